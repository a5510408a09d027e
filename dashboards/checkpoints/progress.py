"""The progress of work that a page waits for."""

import streamlit as st

from dashboards.jobs import Job, Work, find_job, start_job, stop_job
from dashboards.keys import widget_key
from dashboards.markdown import escape

LOOK_SECONDS = 0.5


def wait_for(key: str, work: Work, what: str) -> bool:
    """Start some work, and show how far it is; the page runs again when it is done.

    Args:
        key: Tells this work from other work.
        work: Done in a thread, once for everybody who waits for it.
        what: Is being done, for the reader.

    Returns:
        Whether it goes on; else it failed or was stopped.
    """
    job = find_job(key)
    if job is None:
        start_job(key, work)
    elif job.is_done:
        _show_end(job, key, what)
        return False
    _show_progress(key, what)
    return True


@st.fragment(run_every=LOOK_SECONDS)
def _show_progress(key: str, what: str) -> None:
    job = find_job(key)
    if job is None or job.is_done:
        st.rerun()
    st.progress(min(1.0, job.share), text=f"{what}: {job.words}" if job.words else what)


def _show_end(job: Job, key: str, what: str) -> None:
    """Say why there is nothing, and offer to try again."""
    if job.error is not None:
        st.error(escape(str(job.error)), title=f"{what}: not done")
    else:
        st.info(f"{what}: stopped.")
    if st.button("Try again", icon=":material/refresh:", key=widget_key("again", key)):
        stop_job(key)
        st.rerun()
