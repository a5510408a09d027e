"""What pages say."""

import string

from dashboards.words import plain


def test_names_are_no_markdown():
    assert plain("bold-eel *1*") == r"bold\-eel \*1\*"
    assert plain(string.ascii_letters + string.digits + " äß") == (
        string.ascii_letters + string.digits + " äß"
    )
    assert plain(string.punctuation) == "".join(f"\\{sign}" for sign in string.punctuation)
