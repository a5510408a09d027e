"""Unsigned integers in the bytes of a file."""


def big(data: bytes, position: int, length: int) -> int:
    """Most significant byte first; IndexError where the file ends before."""
    field = data[position : position + length]
    if len(field) < length:
        raise IndexError(position)
    return int.from_bytes(field, "big")


def little(data: bytes, position: int, length: int) -> int:
    """Least significant byte first; IndexError where the file ends before."""
    field = data[position : position + length]
    if len(field) < length:
        raise IndexError(position)
    return int.from_bytes(field, "little")
