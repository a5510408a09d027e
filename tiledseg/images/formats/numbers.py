"""Unsigned integers in the bytes of a file."""


def big(data: bytes, position: int, length: int) -> int:
    """Most significant byte first; IndexError where the file ends before."""
    return int.from_bytes(_field(data, position, length), "big")


def little(data: bytes, position: int, length: int) -> int:
    """Least significant byte first; IndexError where the file ends before."""
    return int.from_bytes(_field(data, position, length), "little")


def _field(data: bytes, position: int, length: int) -> bytes:
    field = data[position : position + length]
    if len(field) < length:
        raise IndexError(position)
    return field
