"""Small files that claim, or unpack to, far more than they hold: JPEG, PNG, BMP, GIF, WebP, JPEG
2000. Each maker gives the bytes of one.

Those in ``HARMLESS`` hold a sound small picture, and beside it what must never be unpacked.
"""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

Bombs = dict[str, Callable[[], bytes]]
SOUND = np.random.default_rng(5).integers(0, 256, (10, 10, 3), np.uint8)
HUGE = 32_000
ZEROS = 2**30
"""Bytes that packed content unpacks to."""


def encode(suffix: str, image: np.ndarray = SOUND) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def zlib_zeros(count: int) -> bytes:
    """That many zeros, a multiple of a mebibyte, packed; the same packed piece over and over."""
    packer, piece = zlib.compressobj(9), bytes(2**20)
    head = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.flush()[:-4] + struct.pack(">HH", count % 65521, 1)  # Adler-32 of zeros
    return head + again * (count // len(piece) - 1) + end


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def frame(side: int, kind: int = 0xC0, channels: int = 3, bits: int = 8, width: int = 0) -> bytes:
    parts = b"".join(bytes([number + 1, 0x11, 0]) for number in range(channels))
    return segment(kind, struct.pack(">BHHB", bits, side, width or side, channels) + parts)


def jpeg_parts() -> tuple[bytes, bytes, bytes]:
    """Tables, frame header and the rest of a sound JPEG of 10 x 10."""
    data = encode(".jpg")
    start = data.index(b"\xff\xc0")
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return data[:start], data[start:end], data[end:]


def jpeg(*headers: bytes) -> bytes:
    tables, _, rest = jpeg_parts()
    return tables + b"".join(headers) + rest


def many_scans() -> bytes:
    image = np.zeros((64, 64, 3), np.uint8)
    data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))[1].tobytes()
    start = data.rindex(b"\xff\xda")
    large = data.index(b"\xff\xc2")
    head = data[: large + 5] + struct.pack(">HH", 8000, 8000) + data[large + 9 : start]
    return head + data[start:-2] * 5000 + b"\xff\xd9"


JPEGS: Bombs = {
    "the large header first": lambda: jpeg(frame(HUGE), frame(10)),
    "the small header first": lambda: jpeg(frame(10), frame(HUGE)),
    "the largest sides": lambda: jpeg(frame(65_500)),
    "32,000 x 32,000 in a few bytes": lambda: jpeg(frame(HUGE)),
    "gray": lambda: jpeg(frame(HUGE, channels=1)),
    "inks": lambda: jpeg(frame(20_000, channels=4)),
    "progressive": lambda: jpeg(frame(HUGE, kind=0xC2)),
    "arithmetic": lambda: jpeg(frame(HUGE, kind=0xC9)),
    "lossless of 16 bits": lambda: jpeg(frame(HUGE, kind=0xC3, bits=16)),
    "255 channels": lambda: jpeg(frame(HUGE, channels=255)),
    "a header after fill bytes": lambda: jpeg(b"\xff\xff\xff" + frame(HUGE), frame(10)),
    "a header after the scan": lambda: encode(".jpg")[:-2] + frame(HUGE) + encode(".jpg")[2:],
    "five thousand scans": many_scans,
    "a long row": lambda: jpeg(frame(8_000, width=65_500)),
}


# PNG


def block(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def png_header(width: int, height: int = 0, bits: int = 8, color: int = 2, lace: int = 0) -> bytes:
    sides = struct.pack(">II", width, height or width)
    return block(b"IHDR", sides + bytes([bits, color, 0, 0, lace]))


def png(*blocks: bytes, pixels: bytes = b"") -> bytes:
    body = block(b"IDAT", pixels or zlib.compress(bytes(31 * 10)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(blocks) + body + block(b"IEND", b"")


def sound_png(*blocks: bytes) -> bytes:
    data = encode(".png")
    return data[:33] + b"".join(blocks) + data[33:]


PNGS: Bombs = {
    "text before the header": lambda: png(
        block(b"tEXt", struct.pack(">IIBB", 100, 100, 8, 2) + b"key\0"), png_header(HUGE)
    ),
    "the large header first": lambda: png(png_header(HUGE), png_header(10)),
    "the small header first": lambda: png(png_header(10), png_header(HUGE)),
    "more pixels than any": lambda: png(png_header(60_000)),
    "the longest row": lambda: png(png_header(2**31 - 1, 1)),
    "32,000 x 32,000 in a few bytes": lambda: png(png_header(HUGE)),
    "16 bits with alpha": lambda: png(png_header(30_000, bits=16, color=6)),
    "gray with alpha of 16 bits": lambda: png(png_header(20_000, bits=16, color=4)),
    "a palette of one bit": lambda: png(
        png_header(HUGE, bits=1, color=3), block(b"PLTE", bytes(6))
    ),
    "interlaced": lambda: png(png_header(HUGE, lace=1)),
    "a header of 14 bytes": lambda: png(
        block(b"IHDR", struct.pack(">II", HUGE, HUGE) + bytes([8, 2, 0, 0, 0, 0]))
    ),
    "millions of blocks": lambda: sound_png(block(b"tEXt", b"") * 1_500_000),
    "pixels that unpack to a gigabyte": lambda: png(png_header(10), pixels=zlib_zeros(ZEROS)),
    "frames of a film": lambda: png(
        png_header(HUGE),
        block(b"acTL", struct.pack(">II", 10_000, 0)),
        block(b"fcTL", struct.pack(">IIIIIHHBB", 0, HUGE, HUGE, 0, 0, 1, 1, 0, 0)),
    ),
}
HARMLESS_PNGS: Bombs = {
    "text that unpacks to a gigabyte": lambda: sound_png(
        block(b"zTXt", b"key\0\0" + zlib_zeros(ZEROS))
    ),
    "a profile that unpacks to a gigabyte": lambda: sound_png(
        block(b"iCCP", b"sRGB\0\0" + zlib_zeros(ZEROS))
    ),
    "international text": lambda: sound_png(block(b"iTXt", b"key\0\1\0\0\0" + zlib_zeros(ZEROS))),
}


# BMP


def bmp(
    width: int, height: int, bits: int = 24, packing: int = 0, pixels: bytes = bytes(400)
) -> bytes:
    table = b"" if bits > 8 else bytes(4 * 2**bits)
    start = 54 + len(table)
    header = struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, packing, 0, 0, 0, 0, 0)
    return header + table + pixels


def small_bmp_header(width: int, height: int) -> bytes:
    """The header of OS/2, whose sides have 16 bits."""
    header = struct.pack("<2sIHHI", b"BM", 500, 0, 0, 26)
    return header + struct.pack("<IHHHH", 12, width, height, 1, 24) + bytes(400)


RUNS, LARGE = b"\xff\x00" * 100 + b"\x00\x01", 31_000
BMPS: Bombs = {
    "32,000 x 32,000 in a few bytes": lambda: bmp(HUGE, HUGE),
    "top down": lambda: bmp(HUGE, -HUGE),
    "with alpha": lambda: bmp(HUGE, HUGE, 32),
    "one bit": lambda: bmp(HUGE, HUGE, 1),
    "runs of 8 bits": lambda: bmp(LARGE, LARGE, 8, 1, RUNS),
    "runs of 4 bits": lambda: bmp(LARGE, LARGE, 4, 2, RUNS),
    "runs, top down": lambda: bmp(LARGE, -LARGE, 8, 1, RUNS),
    "the largest sides": lambda: bmp(2**31 - 1, 2**31 - 1),
    "a long row": lambda: bmp(2**30, 1, 8, 1, RUNS),
    "bit fields": lambda: bmp(HUGE, HUGE, 32, 3),
    "a JPEG inside": lambda: bmp(HUGE, HUGE, 24, 4, jpeg(frame(HUGE))),
    "the header of OS/2": lambda: small_bmp_header(65_535, 65_535),
}


# GIF


def gif_screen(width: int, height: int = 0) -> bytes:
    table = bytes(range(6))
    return b"GIF89a" + struct.pack("<HHBBB", width, height or width, 0x80, 0, 0) + table


def lzw_zeros(count: int) -> bytes:
    """The code of so many zeros, in blocks: each code is one longer than the last (2 colors)."""
    clear, code, bits, size, width = 4, 6, [], 0, 3

    def put(value: int) -> None:
        bits.extend((value >> place) & 1 for place in range(width))

    put(clear)
    left, length = count - 1, 1
    put(0)
    while left > 0:
        length = min(length + 1, left)
        put(0 if length == 1 else code + length - 2)
        left -= length
        size += 1
        if code + size == 2**width and width < 12:
            width += 1
        if code + size >= 4095:
            put(clear)
            width, size, length = 3, 0, 0
    put(clear + 1)
    bits.extend([0] * (-len(bits) % 8))
    data = np.packbits(np.array(bits, np.uint8), bitorder="little").tobytes()
    parts = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"\x02" + b"".join(bytes([len(part)]) + part for part in parts) + b"\x00"


def gif_frame(width: int, height: int, left: int = 0, top: int = 0, code: bytes = b"") -> bytes:
    return struct.pack("<BHHHHB", 0x2C, left, top, width, height, 0) + (
        code or b"\x02\x02\x4c\x01\x00"
    )


def sound_gif_frame() -> bytes:
    file = BytesIO()
    Image.fromarray(SOUND[..., 0]).convert("P").save(file, "GIF")
    return file.getvalue()[:-1]


GIFS: Bombs = {
    "the largest canvas": lambda: gif_screen(65_535) + gif_frame(1, 1) + b";",
    "a canvas of 32,000 x 32,000": lambda: gif_screen(HUGE) + gif_frame(1, 1) + b";",
    "a canvas of 10,000 x 10,000": lambda: gif_screen(10_000) + gif_frame(10_000, 10_000) + b";",
    "a frame larger than its canvas": lambda: gif_screen(10) + gif_frame(65_535, 65_535) + b";",
    "a frame far away": lambda: gif_screen(10) + gif_frame(1, 1, 65_000, 65_000) + b";",
    "a frame without pixels": lambda: gif_screen(HUGE) + gif_frame(0, 0) + b";",
    "a long row": lambda: gif_screen(65_535, 20_000) + gif_frame(65_535, 20_000) + b";",
    "a table of colors of its own": lambda: (
        gif_screen(HUGE) + gif_frame(HUGE, HUGE)[:9] + b"\x87" + bytes(768) + b"\x02\x01\x4c\x00;"
    ),
    "an extension before it": lambda: (
        gif_screen(HUGE) + b"\x21\xfe\x04text\x00" + gif_frame(1, 1) + b";"
    ),
    "no frame": lambda: gif_screen(HUGE) + b";",
}
HARMLESS_GIFS: Bombs = {
    "a second frame of 60,000 x 60,000": lambda: (
        sound_gif_frame() + gif_frame(60_000, 60_000) + b";"
    ),
    "a thousand frames of 16 million pixels": lambda: (
        sound_gif_frame() + gif_frame(4000, 4000, code=lzw_zeros(16_000_000)) * 1000 + b";"
    ),
    "a million frames": lambda: sound_gif_frame() + gif_frame(1, 1) * 1_000_000 + b";",
}


# WebP


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def lossless(side: int = 16_383) -> bytes:
    sizes = (side - 1) | (side - 1) << 14
    return chunk(b"VP8L", b"\x2f" + struct.pack("<I", sizes) + bytes([0x88, 0x88, 8, 0, 0, 0]))


def lossy(side: int = 16_383) -> bytes:
    return chunk(b"VP8 ", b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", side, side) + bytes(40))


def canvas(width: int, height: int = 0, flags: int = 0) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + ((height or width) - 1).to_bytes(3, "little")
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides)


def film_frame(side: int) -> bytes:
    sides = (side - 1).to_bytes(3, "little") * 2
    return chunk(b"ANMF", bytes(6) + sides + bytes(4) + lossless(side))


WEBPS: Bombs = {
    "16,383 x 16,383 without loss": lambda: webp(lossless()),
    "16,383 x 16,383 with loss": lambda: webp(lossy()),
    "the largest canvas": lambda: webp(canvas(2**24), lossless(10)),
    "a small canvas": lambda: webp(canvas(10), lossless()),
    "a film on a large canvas": lambda: webp(canvas(HUGE, flags=2), film_frame(10)),
    "a film of large frames": lambda: webp(canvas(16_383, flags=2), film_frame(16_383) * 100),
    "two pictures": lambda: webp(lossless(10), lossless()),
    "two canvases": lambda: webp(canvas(10), canvas(16_383), lossless(10)),
    "alpha beside it": lambda: webp(canvas(16_383, flags=0x10), chunk(b"ALPH", b"\1"), lossy()),
    "a chunk before it": lambda: webp(chunk(b"JUNK", bytes(10)), lossless()),
    "a film without frames": lambda: webp(canvas(16_383, flags=2), lossless(10)),
}


# JPEG 2000


def j2k_size(side: int, tile: int = 0, channels: int = 3, left: int = 0) -> bytes:
    corners = (left + side, side, left, 0, tile or side, tile or side, left, 0)
    sides = struct.pack(">H8I", 0, *corners)
    depths = bytes([7, 1, 1]) * channels
    return segment(0x51, sides + struct.pack(">H", channels) + depths)


def j2k_code(
    levels: int = 5, block: tuple[int, int] = (4, 4), layers: int = 1, precincts: int | None = None
) -> bytes:
    sizes = b"" if precincts is None else bytes([precincts]) * (levels + 1)
    head = struct.pack(">BBHBBBBBB", precincts is not None, 0, layers, 0, levels, *block, 0, 1)
    return segment(0x52, head + sizes)


def codestream(*segments: bytes) -> bytes:
    quantized = segment(0x5C, bytes([0x40]) + bytes([0x40]) * 16)
    part = segment(0x90, struct.pack(">HIBB", 0, 0, 0, 1))
    return (
        b"\xff\x4f" + b"".join(segments) + quantized + part + b"\xff\x93" + bytes(8) + b"\xff\xd9"
    )


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def jp2(side: int, stream: bytes, *others: bytes, channels: int = 3, before: bytes = b"") -> bytes:
    header = box(b"ihdr", struct.pack(">IIHBBBB", side, side, channels, 7, 7, 0, 0))
    header += box(b"colr", b"\1\0\0" + struct.pack(">I", 16))
    return (
        b"\x00\x00\x00\x0cjP  \r\n\x87\n"
        + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
        + before
        + box(b"jp2h", header + b"".join(others))
        + box(b"jp2c", stream)
    )


def plain(side: int = HUGE, **options: int) -> bytes:
    return codestream(j2k_size(side, **options), j2k_code())


PALETTE = box(b"pclr", struct.pack(">HB", 256, 255) + bytes([7]) * 255 + bytes(256 * 255))
MAP = box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, number) for number in range(255)))
JPEG_2000S: Bombs = {
    "a codestream of 32,000 x 32,000": plain,
    "boxes of 32,000 x 32,000": lambda: jp2(HUGE, plain()),
    "boxes that claim 10 x 10": lambda: jp2(10, plain()),
    "a header in a box before it": lambda: jp2(
        10, plain(), before=box(b"xml ", j2k_size(10) + plain(10))
    ),
    "16,384 channels": lambda: plain(1000, channels=16_384),
    "a tile for each pixel": lambda: plain(255, tile=1),
    "blocks of 4 x 4": lambda: codestream(j2k_size(12_000, channels=1), j2k_code(block=(0, 0))),
    "precincts of 2 x 2": lambda: codestream(j2k_size(8000, channels=1), j2k_code(precincts=0x11)),
    "layers without number": lambda: codestream(j2k_size(4000), j2k_code(layers=65_535)),
    "a palette of 255 channels": lambda: jp2(
        8000, plain(8000, channels=1), PALETTE, MAP, channels=1
    ),
    "far from the origin": lambda: plain(HUGE, left=2**31),
    "two headers": lambda: codestream(j2k_size(10), j2k_size(HUGE), j2k_code()),
    "sides beyond 32 bits": lambda: plain(2**32 - 1),
}

BOMBS: dict[str, Bombs] = {
    "jpg": JPEGS, "png": PNGS, "bmp": BMPS, "gif": GIFS, "webp": WEBPS, "jp2": JPEG_2000S,
}  # fmt: skip
HARMLESS: dict[str, Bombs] = {"png": HARMLESS_PNGS, "gif": HARMLESS_GIFS}
