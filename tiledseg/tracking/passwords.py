"""Passwords in addresses, which belong into no record and no message."""

import re

_IN_LOGIN = re.compile(r"(?P<user>://[^\s/:@]*):\S*@")
_IN_OPTION = re.compile(r"(?P<name>password=)[^\s&]+", re.IGNORECASE)


def hide_passwords(text: str) -> str:
    """A text whose addresses show no password: ``postgresql://me:***@host/name``."""
    hidden = _IN_LOGIN.sub(r"\g<user>:***@", text)
    return _IN_OPTION.sub(r"\g<name>***", hidden)
