"""A link opens what it names, however often it is followed in a session."""

import pytest
from streamlit.testing.v1 import AppTest

OPTIONS = ["best", "middle", "worst"]


def script(options, always):
    """Two pages in one session; only the first has the widget."""
    import streamlit as st

    from dashboards import navigation

    if st.session_state.get("elsewhere"):
        st.write("another page")
    else:
        st.write(navigation.choose("Which", options, "which", always=always))


@pytest.fixture(params=[True, False], ids=["always in the address", "not where it is the first"])
def visitor(request):
    kwargs = {"options": OPTIONS, "always": request.param}
    return AppTest.from_function(script, kwargs=kwargs)


def follow(visitor, **address):
    visitor.session_state["elsewhere"] = False
    visitor.query_params.clear()
    visitor.query_params.update(address)
    return visitor.run()


def leave(visitor):
    visitor.session_state["elsewhere"] = True
    visitor.query_params.clear()
    visitor.run()


def test_the_same_link_opens_the_same_again(visitor):
    for _ in range(3):
        assert follow(visitor, which="worst").selectbox(key="which").value == "worst"
        leave(visitor)


def test_another_link_opens_another(visitor):
    for wanted in ("worst", "middle", "worst"):
        assert follow(visitor, which=wanted).selectbox(key="which").value == wanted
        leave(visitor)


def test_without_a_link_it_is_the_first_again(visitor):
    follow(visitor, which="worst")
    leave(visitor)
    assert follow(visitor).selectbox(key="which").value == "best"


def test_who_chooses_on_the_page_is_not_overruled_by_its_address(visitor):
    follow(visitor, which="worst").selectbox(key="which").select("middle").run()
    assert visitor.selectbox(key="which").value == "middle"
    assert visitor.query_params["which"] == "middle"
    assert visitor.run().selectbox(key="which").value == "middle"


def test_a_value_that_does_not_exist_is_left_out(visitor):
    assert follow(visitor, which="nonsense").selectbox(key="which").value == "best"
