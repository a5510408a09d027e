"""What Streamlit runs for every visitor: navigation, then the page."""

from pathlib import Path

import streamlit as st

from dashboards.views import LISTED, page

st.set_page_config(
    page_title="tiledseg", page_icon=str(Path(__file__).with_name("icon.png")), layout="wide"
)
st.html("<style>.stMainBlockContainer { padding: 4.2rem 2rem 2rem; }</style>")
st.navigation([page(name) for name in LISTED], position="top").run()
