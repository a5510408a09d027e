"""Running code in a fresh Python."""

import os
import subprocess
import sys

LOAD = "import sys; from tiledseg.backend import load_backend; load_backend()"
"""Code to begin with."""


def run(code, **environment):
    """Run code with more environment variables; returns the process, which has ended."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
