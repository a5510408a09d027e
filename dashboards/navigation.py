"""Links between pages, and widgets whose values are kept in the address."""

from collections.abc import Collection
from typing import Any

import streamlit as st

from dashboards.markdown import escape


def page_of(name: str) -> Any:
    """A page by its name in the address."""
    from dashboards.views import page  # noqa: PLC0415  # the pages import this module

    return page(name)


def link(name: str, label: str, icon: str, **state: str) -> None:
    """A link to another page in a state."""
    st.page_link(page_of(name), label=escape(label), icon=f":material/{icon}:", query_params=state)


def go(name: str, **state: str) -> None:
    """Go to another page in a state."""
    st.switch_page(page_of(name), query_params=state)


def choose(
    label: str, options: list[str], key: str, index: int = 0, *, always: bool = False, **more: Any
) -> str:
    """A select box whose value is in the address; a value that does not exist is left out.

    Args:
        label: What is written above.
        options: Values.
        key: Name in the address and in the session.
        index: Which is chosen at first.
        always: Write it into the address though it is the first choice, because another one
            may be that by the time a link is opened.
        more: For ``st.selectbox``.
    """
    _follow_address(key, options, options[index])
    value = str(st.selectbox(label, options, key=key, **more))
    return _keep(key, value, None if always else options[index])


def is_in_address(options: Collection[str], key: str) -> bool:
    """Whether the address or the session says which of the options is chosen."""
    return st.query_params.get(key) in options or st.session_state.get(key) in options


def pick(label: str, options: list[str], key: str, default: str, **more: Any) -> str:
    """A row of buttons whose value is in the address."""
    _follow_address(key, options, default)
    found = st.segmented_control(label, options, key=key, required=True, **more)
    return _keep(key, str(found), default)


def _follow_address(key: str, options: list[str], default: str) -> None:
    """Take the value of the address, unless it is the one that was written there before.

    Streamlit's own binding writes the words that people see into the address, which change with
    an alias; ours writes the keys. Streamlit forgets a widget's value once a page without it is
    shown, but not what was written; so then the address is followed whatever was written.
    """
    asked = st.query_params.get(key)
    lost = st.session_state.get(key) not in options
    if asked in options and (lost or asked != st.session_state.get(_written_key(key))):
        st.session_state[key] = asked
    elif lost:
        st.session_state[key] = default


def _keep(key: str, value: str, default: str | None) -> str:
    if value != default:
        if st.query_params.get(key) != value:
            st.query_params[key] = value
        st.session_state[_written_key(key)] = value
    else:
        st.query_params.pop(key, None)
        st.session_state.pop(_written_key(key), None)
    return value


def _written_key(key: str) -> str:
    return f"written-{key}"
