"""The folder of each visit, from its first image until the browser is gone for good."""

import threading
import time

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dashboards.uploads import UploadFolder

GONE_SECONDS = 120.0
"""How long a browser may be away, as over a bad network: Streamlit keeps its session as long."""
LOOK_SECONDS = 2.0

_folders: dict[str, UploadFolder] = {}
_guard = threading.Lock()


def upload_folder() -> UploadFolder:
    """The folder of the visit that this page is shown to."""
    context = get_script_run_ctx()
    session = "" if context is None else context.session_id
    with _guard:
        if not _folders:
            threading.Thread(target=_watch, daemon=True).start()
        if session not in _folders:
            _folders[session] = UploadFolder()
        return _folders[session]


def _watch() -> None:
    """Remove the folders of those who have left; end when none is there."""
    seen: dict[str, float] = {}
    while True:
        time.sleep(LOOK_SECONDS)
        with _guard:
            for session in list(_folders):
                now = time.monotonic()
                # Without a server, as in a test, nobody leaves.
                if not runtime.exists() or runtime.get_instance().is_active_session(session):
                    seen[session] = now
                elif now - seen.setdefault(session, now) > GONE_SECONDS:
                    _folders.pop(session).close()
            if not _folders:
                return
