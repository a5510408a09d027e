"""The form of what is kept: runs, studies and models carry its version.

The version rises with every change of form. What has another version is refused in one line,
never read by guesswork.
"""

from tiledseg.errors import FormatError

FORMAT_VERSION = 3
"""Of runs, studies and saved models. Version 1: modes tiled and resized, names of
``tracking.names``. Version 2: the threshold beside the weights, which it is not part of any more;
checkpoints and the state of a training as logged models. Version 3: with several classes, an image
that lacks a class does not count in its scores; the number of images behind every figure."""


def require_format(found: object, what: str) -> None:
    """Refuse what was written in another form.

    Args:
        found: The version that was found; None where none stands there.
        what: Names the run, study or model in the message.

    Raises:
        FormatError: It is older or newer than ``FORMAT_VERSION``, or no version.
    """
    text = "none" if found is None else str(found)
    if text == str(FORMAT_VERSION):
        return
    reads = f"this tiledseg reads format {FORMAT_VERSION}, {what} has {text}"
    if text.isdigit() and int(text) > FORMAT_VERSION:
        raise FormatError(f"{reads}: a newer version wrote it; update tiledseg")
    raise FormatError(
        f"{reads}: an older version wrote it; train it again, or use the version that wrote it"
    )
