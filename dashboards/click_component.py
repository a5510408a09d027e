"""Streamlit components in which a click chooses one of several items."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st


class ClickComponent:
    """A component whose files are named like their folder, and which triggers ``chosen``.

    Args:
        folder: Where its CSS and JavaScript lie.
        html: What its JavaScript fills.
    """

    def __init__(self, folder: Path, html: str) -> None:
        css, js = (
            (folder / f"{folder.name}.{kind}").read_text(encoding="utf-8") for kind in ("css", "js")
        )
        self._mount = st.components.v2.component(
            f"tiledseg_{folder.name}", html=html + "\n", css=css, js=js
        )

    def show(self, data: Mapping[str, Any], key: str) -> str | None:
        """Show it; returns the id of what was just clicked, or None.

        Args:
            data: For its JavaScript.
            key: Of this one among others on the page; see ``widget_key``.
        """
        result = self._mount(key=key, data=dict(data), on_chosen_change=lambda: None)
        clicked = result.get("chosen")
        return None if clicked is None else str(clicked)
