"""The pages, one file each, in the order of the navigation."""

from typing import Any

import streamlit as st

from dashboards import empty_states
from dashboards.views import compare, epochs, models, overview, runs, sweeps, try_out

LISTED = {
    "overview": (overview.show, "Overview", "space_dashboard"),
    "runs": (runs.show, "Runs", "list_alt"),
    "compare": (compare.show, "Compare", "compare"),
    "epochs": (epochs.show, "Epochs", "movie"),
    "sweeps": (sweeps.show, "Sweeps", "tune"),
    "models": (models.show, "Models", "deployed_code"),
    "try": (try_out.show, "Try", "upload_file"),
}
"""Name in the address to body, title and icon."""


def page(name: str) -> Any:
    """A page; made anew in every run, because Streamlit notes in it whether it is open."""
    body, title, icon = LISTED[name]
    return st.Page(
        empty_states.guard_page(body),
        title=title,
        icon=f":material/{icon}:",
        url_path=name,
        default=name == "overview",
    )
