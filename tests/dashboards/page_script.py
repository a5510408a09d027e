"""Opening a page of the dashboard without a browser, and reading it."""

import re

from streamlit.testing.v1 import AppTest

from dashboards.views import LISTED

PAGES = tuple(LISTED)
SECONDS = 120


def script(name):
    """A page with the navigation that its links need."""
    import streamlit as st

    from dashboards.empty_states import guard_page
    from dashboards.views import LISTED, page

    st.navigation([page(item) for item in LISTED])
    guard_page(LISTED[name][0])()


def open_page(name, **state):
    test = AppTest.from_function(script, default_timeout=SECONDS, kwargs={"name": name})
    for key, value in state.items():
        test.query_params[key] = value
    return test.run()


def read_words(test):
    """Everything that is written on a page, without what has Markdown show it as it is."""
    kinds = ("title", "subheader", "markdown", "caption", "code", "info", "error", "warning")
    shown = [item.value for kind in kinds for item in getattr(test, kind)]
    shown += [item.body for item in test.get("alert") if hasattr(item, "body")]
    shown += [item.proto.text for item in test.get("progress")]
    return show_marks("\n".join(map(str, shown)))


def show_marks(text):
    """Markdown as it is shown, where a backslash stands before a mark."""
    return re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", text)
