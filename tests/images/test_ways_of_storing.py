"""One picture, stored in every way: all readers give the same pixels, or the same refusal."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tiledseg.errors import ImageError
from tiledseg.images import sources
from tiledseg.images.opening import open_slide, slide_shape
from tiledseg.images.orientation import stored_region, turn_upright, upright_shape
from tiledseg.images.parsing import parse_header
from tiledseg.images.reading import (
    image_shape,
    read_as_stored,
    read_header,
    read_image,
    read_indices,
    read_mask,
)

RGB = np.random.default_rng(3).integers(0, 256, (45, 67, 3), np.uint8)
GRAY = RGB[..., 0].copy()
PLANES = np.ascontiguousarray(np.moveaxis(RGB, 2, 0))
TAG = 274
REGIONS = (np.s_[0:45, 0:67], np.s_[3:21, 10:60], np.s_[44:45, 66:67])

LAYOUTS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 32)},
    "big-endian": {"byteorder": ">"},
    "big-endian tiles": {"byteorder": ">", "tile": (16, 16)},
    "BigTIFF": {"bigtiff": True, "tile": (32, 16)},
    **{
        f"{codec}, {name}": {"compression": codec, **place}
        for codec in ("zlib", "lzw", "packbits", "zstd", "lzma")
        for name, place in (("strips", {"rowsperstrip": 16}), ("tiles", {"tile": (16, 16)}))
    },
    "predictor": {"compression": "zlib", "predictor": True, "tile": (16, 16)},
}


def gray(depth: int) -> NDArray[Any]:
    """The picture in gray of so many bits."""
    values = (GRAY.astype(np.uint32) * (2**depth - 1) + 127) // 255
    return values.astype(np.uint8 if depth <= 8 else np.uint16)


def in_8_bits(values: NDArray[Any], depth: int) -> NDArray[np.uint8]:
    """What the largest of so many bits makes 255."""
    scaled = np.floor(values.astype(np.float64) * 255 / (2**depth - 1) + 0.5).astype(np.uint8)
    return np.repeat(scaled[..., np.newaxis], 3, axis=2) if scaled.ndim == 2 else scaled


def palette() -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Indices, and a table of 256 colors."""
    colors = np.random.default_rng(4).integers(0, 256, (3, 256)).astype(np.uint16)
    return GRAY, colors * 257


def tiff_ways() -> Iterator[tuple[str, Callable[[Path], object], NDArray[np.uint8]]]:
    """Name, writer, and the pixels that come out."""

    def way(pixels: NDArray[Any], **options: Any) -> Callable[[Path], object]:
        return lambda path: tifffile.imwrite(path, pixels, **options)

    for name, layout in LAYOUTS.items():
        yield f"RGB, {name}", way(RGB, photometric="rgb", **layout), RGB
        deep = RGB.astype(np.uint16) * 257
        yield f"RGB of 16 bits, {name}", way(deep, photometric="rgb", **layout), RGB
        separate = {"photometric": "rgb", "planarconfig": "separate", **layout}
        yield f"samples in planes, {name}", way(PLANES, **separate), RGB
        alpha = np.dstack((RGB, GRAY))
        named = {"photometric": "rgb", "extrasamples": ["unassalpha"], **layout}
        yield f"RGB and alpha, {name}", way(alpha, **named), RGB
        for depth in (8, 16):
            values = gray(depth)
            shown = in_8_bits(values, depth)
            yield (
                f"gray of {depth} bits, {name}",
                way(values, photometric="minisblack", **layout),
                shown,
            )
            inverted = values.dtype.type(2**depth - 1) - values
            yield (
                f"white is zero, {depth} bits, {name}",
                way(inverted, photometric="miniswhite", **layout),
                shown,
            )
        if "predictor" not in layout:
            indices, table = palette()
            colors = (table.T // 257).astype(np.uint8)[indices]
            options = {"photometric": "palette", "colormap": table, **layout}
            yield f"palette, {name}", way(indices, **options), colors
    for depth in (1, 2, 3, 4, 5, 7, 9, 10, 12, 14, 15):
        values = gray(depth)
        for name, layout in (("strips", {"rowsperstrip": 16}), ("tiles", {"tile": (16, 16)})):
            yield (
                f"{depth} bits, packed, {name}",
                way(values, photometric="minisblack", bitspersample=depth, **layout),
                in_8_bits(values, depth),
            )
    bits = GRAY > 127
    for name, layout in (("strips", {}), ("tiles", {"tile": (16, 16)})):
        yield (
            f"1 bit, white is zero, {name}",
            way(~bits, photometric="miniswhite", **layout),
            in_8_bits(bits, 1),
        )
        for kind, options in (
            ("OME", {"ome": True, "metadata": {"axes": "CYX"}, **layout}),
            ("shaped", {"metadata": {"axes": "CYX"}, **layout}),
        ):
            yield (
                f"channels in planes, {kind}, {name}",
                way(PLANES, photometric="minisblack", **options),
                RGB,
            )
        pages = np.stack((RGB, RGB // 2, RGB // 3))
        yield f"several pages, {name}", way(pages, photometric="rgb", **layout), RGB
    composite = {"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}}
    yield "channels in planes, ImageJ", way(PLANES, **composite), RGB
    ycbcr = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    for name, codec in (("plain", None), ("LZW", "tiff_lzw")):
        yield (
            f"YCbCr, {name}",
            lambda path, codec=codec: (
                Image.fromarray(RGB).convert("YCbCr").save(path, compression=codec)
            ),
            np.asarray(Image.fromarray(ycbcr, "YCbCr").convert("RGB")),
        )
    for codec in ("group3", "group4"):
        yield (
            codec,
            lambda path, codec=codec: Image.fromarray(bits).save(path, compression=codec),
            in_8_bits(bits, 1),
        )


WAYS = {name: (write, shown) for name, write, shown in tiff_ways()}


def read_in_every_way(path: Path) -> NDArray[np.uint8]:
    """The picture, by whole reader and slide, which must agree with headers and each other."""
    whole = read_image(path)
    assert read_header(path).shape == image_shape(path) == slide_shape(path) == whole.shape[:2]
    height, width = whole.shape[:2]
    slide = open_slide(path)
    try:
        assert slide.shape == whole.shape
        for rows, columns in REGIONS:
            region = slice(*rows.indices(height)[:2]), slice(*columns.indices(width)[:2])
            if region[0].start < height and region[1].start < width:
                np.testing.assert_array_equal(slide.read(region), whole[region])
        np.testing.assert_array_equal(slide.read(np.s_[0:height, 0:width]), whole)
    finally:
        slide.close()
    return whole


@pytest.fixture(params=[False, True], ids=["whole", "in regions"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as a small image, which is decoded whole, once as one too large for that."""
    if request.param:
        monkeypatch.setattr(sources, "fits_in_one_piece", lambda *_: False)
        monkeypatch.setattr("tiledseg.images.tiff_source.fits_in_one_piece", lambda *_: False)


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("way", WAYS)
def test_a_picture_is_the_same_however_it_is_stored(tmp_path: Path, way: str) -> None:
    write, shown = WAYS[way]
    write(tmp_path / "a.tif")
    found = read_in_every_way(tmp_path / "a.tif")
    tolerance = 2 if way.startswith("YCbCr") else 0  # two roundings
    assert np.abs(found.astype(int) - shown).max() <= tolerance


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("way", ["tiles", "strips", "palette", "white is zero", "planes"])
def test_a_tiff_is_turned_as_its_tag_says(tmp_path: Path, way: str, orientation: int) -> None:
    tag = {"extratags": [(TAG, "H", 1, orientation, True)]}
    indices, table = palette()
    written: dict[str, tuple[NDArray[Any], dict[str, Any], NDArray[np.uint8]]] = {
        "tiles": (RGB, {"photometric": "rgb", "tile": (16, 32)}, RGB),
        "strips": (RGB, {"photometric": "rgb", "compression": "zlib"}, RGB),
        "palette": (
            indices,
            {"photometric": "palette", "colormap": table},
            (table.T // 257).astype(np.uint8)[indices],
        ),
        "white is zero": (255 - GRAY, {"photometric": "miniswhite"}, in_8_bits(GRAY, 8)),
        "planes": (PLANES, {"photometric": "minisblack", "metadata": {"axes": "CYX"}}, RGB),
    }
    pixels, options, shown = written[way]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options, **tag)
    np.testing.assert_array_equal(read_in_every_way(path), by_hand(shown, orientation))
    mask = by_hand(shown, orientation).max(axis=2) > 127
    np.testing.assert_array_equal(read_mask(path), mask)
    if way == "palette":
        np.testing.assert_array_equal(read_indices(path), by_hand(indices, orientation))


def by_hand(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Row 0 and column 0 of what is stored, by the words of the TIFF 6.0 specification."""
    turns: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
        1: lambda stored: stored,  # top, left
        2: np.fliplr,  # top, right
        3: lambda stored: np.rot90(stored, 2),  # bottom, right
        4: np.flipud,  # bottom, left
        5: lambda stored: stored.swapaxes(0, 1),  # left, top
        6: lambda stored: np.rot90(stored, -1),  # right, top
        7: lambda stored: np.rot90(stored, 2).swapaxes(0, 1),  # right, bottom
        8: np.rot90,  # left, bottom
    }
    return np.ascontiguousarray(turns[orientation](pixels))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photograph_is_turned_as_pillow_turns_it(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[TAG] = orientation
    file = BytesIO()
    lossless = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0}
    smooth = np.kron(RGB[:6, :9], np.ones((8, 8, 1), np.uint8))
    Image.fromarray(smooth).save(file, kind, exif=exif, **lossless)
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(file.getvalue())
    found = read_in_every_way(path)
    assert np.abs(found.astype(int) - by_hand(smooth, orientation)).max() <= 8
    assert parse_header(file.getvalue()).orientation == orientation


@pytest.mark.parametrize("value", [0, 9, 274])
def test_an_orientation_that_is_none_turns_nothing(tmp_path: Path, value: int) -> None:
    tag = [(TAG, "H", 1, value, True)]
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", extratags=tag)
    np.testing.assert_array_equal(read_in_every_way(tmp_path / "a.tif"), RGB)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 8),
    st.data(),
)
def test_a_region_is_stored_where_it_is_shown(
    shape: tuple[int, int], orientation: int, data: st.DataObject
) -> None:
    stored = np.arange(shape[0] * shape[1]).reshape(shape)
    shown = turn_upright(stored, orientation)
    assert shown.shape == upright_shape(*shape, orientation)
    top, left = (data.draw(st.integers(0, side - 1)) for side in shown.shape)
    region = (
        slice(top, data.draw(st.integers(top + 1, shown.shape[0]))),
        slice(left, data.draw(st.integers(left + 1, shown.shape[1]))),
    )
    place = stored_region(region, *shown.shape, orientation)
    np.testing.assert_array_equal(turn_upright(stored[place], orientation), shown[region])


class TestRefusals:
    @pytest.mark.parametrize(
        ("pixels", "options", "words"),
        [
            (RGB.astype(np.float32), {"photometric": "rgb"}, "float32"),
            (GRAY.astype(np.uint32), {"photometric": "minisblack"}, "uint32"),
            (
                np.stack((GRAY,) * 2),
                {"photometric": "minisblack", "metadata": {"axes": "CYX"}},
                "2 channels",
            ),
            (
                np.stack((GRAY,) * 4),
                {"photometric": "minisblack", "metadata": {"axes": "CYX"}},
                "4 channels",
            ),
            (RGB, {"photometric": "cielab"}, "CIELAB"),
        ],
        ids=["float", "32 bits", "two planes", "four planes", "CIELab"],
    )
    @pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}], ids=["strips", "tiles"])
    def test_all_readers_refuse_alike(
        self,
        tmp_path: Path,
        pixels: NDArray[Any],
        options: dict[str, Any],
        layout: dict[str, Any],
        words: str,
    ) -> None:
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, pixels, **options, **layout)
        told = set()
        for read in (read_image, open_slide):
            with pytest.raises(ImageError, match=words) as caught:
                read(path)
            told.add(str(caught.value))
        assert len(told) == 1, told


class TestThumbnailsFirst:
    def test_the_largest_picture_is_the_image(self, tmp_path: Path) -> None:
        for marked in ({"subfiletype": 1}, {}):
            with tifffile.TiffWriter(tmp_path / "a.tif") as file:
                file.write(RGB[::4, ::4], photometric="rgb", metadata=None, **marked)
                file.write(RGB, photometric="rgb", metadata=None)
                file.write(RGB[::2, ::2], photometric="rgb", metadata=None, tile=(16, 16))
            np.testing.assert_array_equal(read_in_every_way(tmp_path / "a.tif"), RGB)
            assert read_header(tmp_path / "a.tif").pages == 1, "thumbnails are no pages"

    def test_a_thumbnail_whose_picture_lies_below_it(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(RGB[::4, ::4], photometric="rgb", subifds=1, subfiletype=1)
            file.write(RGB, photometric="rgb", tile=(16, 16))
        np.testing.assert_array_equal(read_in_every_way(tmp_path / "a.tif"), RGB)

    def test_a_slides_label_and_macro_image_are_never_read(self, tmp_path: Path) -> None:
        """They show patients' names. In the order of Aperio's files, every page described."""
        name = np.full((20, 24, 3), (255, 0, 255), np.uint8)
        with tifffile.TiffWriter(tmp_path / "a.svs") as file:
            more: dict[str, Any] = {"photometric": "rgb", "metadata": None}
            file.write(RGB, tile=(16, 16), description="Aperio Image Library", **more)
            file.write(RGB[::3, ::3], description="thumbnail", **more)
            file.write(RGB[::2, ::2], tile=(16, 16), description="level", **more)
            file.write(name, description="label 24x20", subfiletype=1, **more)
            file.write(name, description="macro 24x20", subfiletype=9, **more)
        (tmp_path / "a.svs").rename(tmp_path / "a.tif")
        np.testing.assert_array_equal(read_in_every_way(tmp_path / "a.tif"), RGB)
        assert read_header(tmp_path / "a.tif").pages == 1

    def test_the_first_of_equals(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(RGB, photometric="rgb", metadata=None)
            file.write(RGB // 2, photometric="rgb", metadata=None)
        np.testing.assert_array_equal(read_in_every_way(tmp_path / "a.tif"), RGB)
        assert read_header(tmp_path / "a.tif").pages == 2


class TestOtherFormats:
    def encoded(self, kind: str, **options: Any) -> bytes:
        file = BytesIO()
        Image.fromarray(RGB).save(file, kind, **options)
        return file.getvalue()

    @pytest.mark.parametrize("suffix", [".webp", ".jp2", ".gif", ".jfif", ".jpe"])
    def test_are_read(self, tmp_path: Path, suffix: str) -> None:
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            ".webp": ("WEBP", {"lossless": True}),
            ".jp2": ("JPEG2000", {}),
            ".gif": ("GIF", {}),
        }
        kind, options = kinds.get(suffix, ("JPEG", {"quality": 95}))
        (tmp_path / f"a{suffix}").write_bytes(self.encoded(kind, **options))
        expected = np.asarray(Image.open(tmp_path / f"a{suffix}").convert("RGB"))
        np.testing.assert_array_equal(read_in_every_way(tmp_path / f"a{suffix}"), expected)

    def test_jpeg_2000_of_16_bits_and_gray(self, tmp_path: Path) -> None:
        path = tmp_path / "a.j2k"
        data = imagecodecs.jpeg2k_encode(gray(12), level=0, codecformat="j2k", bitspersample=12)
        path.write_bytes(data)
        assert (read_header(path).channels, read_header(path).bits) == (1, 12)
        np.testing.assert_array_equal(read_in_every_way(path), in_8_bits(gray(12), 12))

    def test_the_first_frame_of_a_gif_and_its_indices(self, tmp_path: Path) -> None:
        frames = [Image.fromarray(values).convert("P") for values in (GRAY // 64, GRAY // 32)]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
        assert read_header(tmp_path / "a.gif").pages == 2
        expected = np.asarray(Image.open(tmp_path / "a.gif").convert("RGB"))
        np.testing.assert_array_equal(read_image(tmp_path / "a.gif"), expected)

    @pytest.mark.parametrize("kind", ["WEBP", "JPEG2000", "GIF"])
    @pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
    def test_cut_files_are_refused(self, tmp_path: Path, kind: str, kept: float) -> None:
        data = self.encoded(kind)
        path = tmp_path / "a.webp"
        path.write_bytes(data[: int(len(data) * kept)])
        for read in (read_header, read_image, read_as_stored):
            with pytest.raises(ImageError, match=r"a\.webp: is a (truncated|damaged)"):
                read(path)
