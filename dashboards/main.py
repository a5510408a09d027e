"""What Streamlit runs for every visitor: navigation, then the page."""

from pathlib import Path

import streamlit as st

from dashboards.views import LISTED, page

STYLE = """<style>
.stMainBlockContainer { padding: 3.7rem 2rem 2rem; }
[data-testid="stCaptionContainer"] { color: inherit; opacity: 1; }  /* else too pale to read */
.stElementContainer { opacity: 1 !important; transition: none !important; }  /* no flicker */
@media (max-width: 640px) { .stMainBlockContainer { padding: 3.7rem 0.8rem 2rem; } }
</style>"""

st.set_page_config(
    page_title="tiledseg", page_icon=str(Path(__file__).with_name("icon.png")), layout="wide"
)
st.html(STYLE)
st.navigation([page(name) for name in LISTED], position="top").run()
