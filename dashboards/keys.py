"""Keys of Streamlit's elements."""

import hashlib


def widget_key(kind: str, *texts: str) -> str:
    """A key that tells elements of a kind apart by texts which it does not hold.

    Streamlit gives meaning to parts of a key, such as two underscores, and what users call their
    datasets, images and runs may hold them.

    Args:
        kind: What the element is, in the page's own words.
        texts: Whatever tells this one from others.
    """
    content = "\0".join(texts).encode("utf-8", "surrogatepass")
    return f"{kind}-{hashlib.blake2b(content, digest_size=8).hexdigest()}"
