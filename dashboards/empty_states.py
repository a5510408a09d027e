"""Messages where there is nothing to show, or an error: the reason, and the next command."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

import streamlit as st

from dashboards.keys import widget_key
from dashboards.markdown import code, escape
from dashboards.run_table import run_table
from tiledseg.errors import RegistryError, TiledsegError, TrackingError
from tiledseg.tracking.store import store_address
from tiledseg.tracking.store_problems import is_forbidden

Given = ParamSpec("Given")

logger = logging.getLogger(__name__)

TRAIN = "tiledseg train --dataset Synthetic-Cell"
SWEEP = "tiledseg sweep --dataset Synthetic-Cell --trials 20"


def show_no_runs() -> None:
    """Say that the store is empty."""
    st.subheader("Nothing has been trained yet")
    st.write(
        "Runs appear here as soon as the first training begins. The drawn dataset takes about "
        "eight minutes and needs no images of yours:"
    )
    st.code(TRAIN, language=None, wrap_lines=True)
    _show_address()


def show_no_models() -> None:
    """Say that no model is registered."""
    st.subheader("No model is registered yet")
    st.write("A training registers its model when it ends (unless told not to):")
    st.code(TRAIN, language=None, wrap_lines=True)
    _show_address()


def show_no_sweeps() -> None:
    """Say that there is no study."""
    st.subheader("No sweep has been run yet")
    st.write("A sweep tries settings and keeps every trial as a run:")
    st.code(SWEEP, language=None, wrap_lines=True)
    _show_address()


def show_no_pictures(what: str) -> None:
    """Say that a run lacks the images of a page."""
    st.info(
        f"{escape(what)} Runs that ended before their evaluation, or were made with "
        "`tracking.log_images: false`, keep no pictures. Score the model again to get them:"
    )
    st.code("tiledseg evaluate --model DATASET --dataset DATASET", language=None, wrap_lines=True)


def show_error(error: TiledsegError, part: str) -> None:
    """Say that the store does not answer, or that something in it cannot be read.

    Args:
        error: What was raised.
        part: Of the page, by a name that no other part of it has.
    """
    if is_missing(error):
        st.error(
            f"{escape(str(error.__cause__))}. It was removed from the store, and something still "
            "points to it; choose another one.",
            title="This is not in the store any more",
            icon=":material/search_off:",
        )
        return
    if isinstance(error.__cause__, Exception) and is_forbidden(error.__cause__):
        st.error(escape(str(error)), title="This cannot be shown", icon=":material/lock:")
        return
    if not isinstance(error, TrackingError) or isinstance(error, RegistryError):
        st.error(escape(str(error)), title="This cannot be shown", icon=":material/broken_image:")
        return
    st.error(escape(str(error)), title="The store cannot be read", icon=":material/cloud_off:")
    st.write("Start the tracking server, or name the store and start the dashboard again:")
    st.code(
        "MLFLOW_TRACKING_URI=sqlite:///mlflow.db tiledseg dashboard\n"
        "mlflow server --backend-store-uri sqlite:///mlflow.db   # or a server",
        language=None,
        wrap_lines=True,
    )
    _show_address()
    if st.button("Try again", icon=":material/refresh:", key=widget_key("try-again", part)):
        st.cache_data.clear()
        st.cache_resource.clear()
        run_table.cache_clear()
        st.rerun()


def is_missing(error: TiledsegError) -> bool:
    """Whether the store answered that it has no such run or version."""
    return getattr(error.__cause__, "error_code", "") == "RESOURCE_DOES_NOT_EXIST"


@contextmanager
def guard_part(part: str) -> Iterator[None]:
    """Show errors as messages, and let the rest of the page stand.

    Args:
        part: Of the page, by a name that no other part of it has: several may fail at once.
    """
    try:
        yield
    except TiledsegError as error:
        logger.info("a page could not be shown: %s", error)
        show_error(error, part)
    except Exception as error:
        # Not ours to foresee: a file of a store may hold anything. The log has the traceback.
        logger.exception("a part of a page failed: %s", part)
        st.error(
            escape(f"{type(error).__name__}: {error}; the dashboard's own log says more"),
            title="This cannot be shown",
            icon=":material/broken_image:",
        )


def guard_fragment(body: Callable[Given, None]) -> Callable[Given, None]:
    """Make a fragment: a part of a page that reruns alone, guarded like the page."""

    @st.fragment
    @wraps(body)
    def show(*args: Given.args, **kwargs: Given.kwargs) -> None:
        with guard_part(body.__name__):
            body(*args, **kwargs)

    return show


def guard_page(body: Callable[[], None]) -> Callable[[], None]:
    """Make a page whose errors are shown as messages."""

    def show() -> None:
        with guard_part("page"):
            body()

    show.__name__ = body.__module__.rpartition(".")[2]
    show.__doc__ = body.__doc__
    return show


def _show_address() -> None:
    st.caption(f"Store: {code(store_address())}")
