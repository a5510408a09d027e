"""Loading Keras and its backend without the chatter of compiled libraries."""

import os
import sys
import tempfile
from importlib import import_module


def load_backend() -> None:
    """Import Keras; what its backend writes to standard error is shown only if that fails.

    TensorFlow 2.21 reports on CPU features and missing GPUs before its own log level applies,
    so the file descriptor is turned aside while it is imported.
    """
    if "keras" in sys.modules:
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as chatter:
        standard_error = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            import_module("keras")
        except BaseException:
            chatter.seek(0)
            os.write(standard_error, chatter.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
