"""Ways from one page to another, with the state that the other shall open in."""

from typing import Any

import streamlit as st


def page_of(name: str) -> Any:
    """A page by its name in the address."""
    from dashboards.views import page  # noqa: PLC0415  # the pages import this module

    return page(name)


def link(name: str, label: str, icon: str, **state: str) -> None:
    """A link to another page in a state."""
    st.page_link(page_of(name), label=label, icon=f":material/{icon}:", query_params=state)


def go(name: str, **state: str) -> None:
    """Go to another page in a state."""
    st.switch_page(page_of(name), query_params=state)


def choose(label: str, options: list[str], key: str, **more: Any) -> str:
    """A select box whose value is in the address; a value that does not exist is left out."""
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    return str(st.selectbox(label, options, key=key, bind="query-params", **more))


def pick(label: str, options: list[str], key: str, default: str, **more: Any) -> str:
    """A row of buttons whose value is in the address."""
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    found = st.segmented_control(
        label, options, key=key, default=default, required=True, bind="query-params", **more
    )
    return str(found)
