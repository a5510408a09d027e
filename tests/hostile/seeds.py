"""Small sound files of every kind that is read, to be damaged."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image
from zarr_store import write_zarr

from tiledseg.data.prepare.cutting import Piece
from tiledseg.data.prepare.layout import Job, write_layout
from tiledseg.data.prepare.manifest import read_manifest
from tiledseg.data.prepare.windows import Window
from tiledseg.prediction.journal import JournaledWorkplace
from tiledseg.tracking.outbox import Outbox

RGB = cv2.GaussianBlur(
    np.random.default_rng(6).integers(0, 256, (40, 56, 3), dtype=np.uint8), (0, 0), 1.5
)
GRAY = RGB[..., 0].copy()
MASK = ((GRAY > 120) * 255).astype(np.uint8)
DEEP = RGB.astype(np.uint16) * 257
Seeds = Iterator[tuple[str, bytes]]


def encoded(suffix: str, image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def by_pillow(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_tifffile(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def palette(image: np.ndarray) -> Image.Image:
    shown = Image.fromarray(image)
    shown.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    return shown


def turned(kind: str) -> bytes:
    exif = Image.Exif()
    exif[274] = 6
    return by_pillow(Image.fromarray(RGB), kind, exif=exif)


def jpegs() -> Seeds:
    yield "plain.jpg", encoded(".jpg", RGB)
    yield "progressive.jpg", encoded(".jpg", RGB, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    yield "restarts.jpg", encoded(".jpg", RGB, cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
    yield "gray.jpg", encoded(".jpg", GRAY)
    yield "turned.jpg", turned("JPEG")


def pngs() -> Seeds:
    yield "plain.png", encoded(".png", RGB)
    yield "deep.png", encoded(".png", DEEP)
    yield "gray.png", encoded(".png", GRAY)
    yield "mask.png", encoded(".png", MASK)
    yield "palette.png", by_pillow(palette(GRAY // 100), "PNG")
    yield "bit.png", by_pillow(Image.fromarray(MASK).convert("1"), "PNG")
    yield "turned.png", turned("PNG")


def bmps() -> Seeds:
    yield "plain.bmp", encoded(".bmp", RGB)
    yield "gray.bmp", encoded(".bmp", GRAY)
    yield "palette.bmp", by_pillow(palette(GRAY // 100), "BMP")


def gifs() -> Seeds:
    yield "plain.gif", by_pillow(palette(GRAY // 100), "GIF")
    frames = [palette(np.roll(GRAY, each, 0) // 100) for each in range(3)]
    yield "film.gif", by_pillow(frames[0], "GIF", save_all=True, append_images=frames[1:])


def webps() -> Seeds:
    shown = Image.fromarray(RGB)
    yield "plain.webp", by_pillow(shown, "WEBP")
    yield "lossless.webp", by_pillow(shown, "WEBP", lossless=True)
    yield "film.webp", by_pillow(shown, "WEBP", save_all=True, append_images=[shown.rotate(9)])
    yield "turned.webp", turned("WEBP")


def jpeg_2000s() -> Seeds:
    yield "plain.jp2", encoded(".jp2", RGB)
    yield "gray.jp2", encoded(".jp2", GRAY)
    yield "stream.j2k", imagecodecs.jpeg2k_encode(RGB, codecformat="j2k")


def tiffs() -> Seeds:
    color = {"photometric": "rgb"}
    yield "plain.tif", by_tifffile(RGB, **color)
    yield "tiles.tif", by_tifffile(RGB, tile=(16, 16), compression="zlib", predictor=True, **color)
    yield "strips.tif", by_tifffile(GRAY, rowsperstrip=8, compression="lzw")
    yield "jpeg.tif", by_tifffile(RGB, tile=(16, 16), compression="jpeg", **color)
    yield "jpeg2000.tif", by_tifffile(RGB, tile=(32, 32), compression="jpeg2000", **color)
    yield "webp.tif", by_tifffile(RGB, tile=(32, 32), compression="webp", **color)
    yield "zstd.tif", by_tifffile(DEEP, compression="zstd", bigtiff=True, **color)
    yield "bit.tif", by_tifffile(MASK > 0, photometric="minisblack")
    yield "pages.tif", by_tifffile(np.stack([MASK, MASK]))
    yield "ome.ome.tif", by_tifffile(np.stack([GRAY, GRAY]), ome=True, metadata={"axes": "CYX"})
    yield "imagej.tif", by_tifffile(np.stack([GRAY, GRAY]), imagej=True)
    table = np.zeros((3, 256), np.uint16)
    yield "palette.tif", by_tifffile(GRAY, photometric="palette", colormap=table)
    levels = {"subifds": 1, "tile": (16, 16)}
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(RGB, photometric="rgb", **levels)
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1, tile=(16, 16))
    yield "pyramid.tif", file.getvalue()


EXPERIMENT = """# A comment
dataset:
  name: Cells
  mask_form: labels
  classes: [none, "red cell", 'white']
  split: {seed: 3, group_pattern: "([a-z]+)_"}
image: &image
  size: 64
  gamma: 1.5e-1
model:
  architecture: UNet
  base_filters: 16
training:
  epochs: 3
  precision: float32
tiling:
  max_tile: 128
tracking: {log_images: false}
"""
SPACE = """parameters:
  model.base_filters: {type: int, low: 4, high: 32, log: true}
  training.learning_rate:
    type: float
    low: 1e-5
    high: 1e-2
    log: true
  model.architecture: {type: categorical, choices: [UNet, SharpUNet]}
trial: {training.epochs: 2}
limits: []
initial_trials:
  - {values: {model.base_filters: 8}}
"""
GROUPS = 'stem,group\na,1\n"b","2"\nc_0_1,3\n'
CONFIG = """[DATASET]
path = ../Datasets/Tiled-Cell/
image_size = 256
[MODEL]
model = "TensorFlowUNet"
learning_rate = 0.0001
loss = "bce_dice_loss"
metrics = ["dice_coef"]
dilation = (1,1)
[train]
epochs = 100
batch_size = 4
create_backup = True
[augmentor]
angles = [90, 180, 270,]
"""
OUTLINE = "10,10\n40.5,10\n40,50\n1e1,30\n"
RATES = "epoch,step,learning_rate\n1,1,0.01\n1,2,0.02\n2,1,0.01\n"
STATE = {
    "epoch": 2, "batch": 0, "elapsed": 12.5, "stopped": False, "within": None,
    "parts": {"best": {"value": 0.5, "epoch": 1}, "reports": {"history": [{"loss": 0.1}]}},
}  # fmt: skip


def texts(name: str, text: str) -> Callable[[], Seeds]:
    def make() -> Seeds:
        yield name, text.encode()

    return make


def stores(folder: Path) -> None:
    write_zarr(folder / "blosc.zarr", RGB)
    write_zarr(folder / "plain.zarr", GRAY, compressors=None)
    write_zarr(folder / "three.zarr", RGB, 3)
    write_zarr(folder / "shards.zarr", GRAY, 3, chunks=(8, 8), shards=(16, 16))


def workplaces(folder: Path) -> None:
    for model in ("a", "b"):  # that of the prediction which goes on, and another
        place = JournaledWorkplace(folder, "a", {"model": model}, (64, 64))
        place.finish([0, 1, 2])
        place.leave()
    for path in folder.iterdir():
        if path.is_file():  # a lock
            path.unlink()


def outboxes(folder: Path) -> None:
    outbox = Outbox(folder / "outbox")
    for kind in ("metrics", "end"):
        outbox.add(kind, {"status": "FINISHED", "values": [1, 0.5]})


def prepare(folder: Path) -> None:
    """Prepare a dataset of one image, or what is missing of it."""
    piece = Piece("train", "a", "a", "tile", Window(0, 0, *GRAY.shape), 1.0, 0, RGB, MASK // 255)
    write_layout(folder, {"name": "a"}, [Job("a", lambda: [piece])], splits=["train"])


def layouts(folder: Path) -> None:
    finished, begun = folder / "finished", folder / "begun"
    prepare(finished)
    shutil.copytree(finished, begun)
    (finished / "statistics.csv").unlink()  # made again of the manifest
    rows = read_manifest(begun).to_dict("records")
    (begun / "manifest.csv").unlink()
    (begun / ".unfinished").mkdir()
    line = json.dumps({"job": "a", "rows": rows})
    (begun / ".unfinished" / "done.jsonl").write_text(line + "\n")
    for path in folder.iterdir():
        if path.is_file():  # a lock
            path.unlink()


def states(folder: Path) -> None:
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "state.json").write_text(json.dumps(STATE))


def pixels(folder: Path) -> None:
    header = b"tiledseg pixels " + json.dumps([4, 5, 3]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.pixels").write_bytes(header.ljust(127) + b"\n" + bytes(60))


FILES: dict[str, tuple[str, Callable[[], Seeds]]] = {
    "jpeg": ("image", jpegs),
    "png": ("image", pngs),
    "bmp": ("image", bmps),
    "gif": ("image", gifs),
    "webp": ("image", webps),
    "jpeg 2000": ("image", jpeg_2000s),
    "tiff": ("image", tiffs),
    "experiment": ("experiment", texts("a.yaml", EXPERIMENT)),
    "search space": ("space", texts("a.yaml", SPACE)),
    "groups": ("groups", texts("a.csv", GROUPS)),
    "config": ("config", texts("train_eval_infer.config", CONFIG)),
    "outline": ("outline", texts("a.dat", OUTLINE)),
    "rates": ("rates", texts("a.csv", RATES)),
}
"""Kinds of files: their reader, and what makes them."""
FOLDERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "zarr": ("image", stores),
    "journal": ("journal", workplaces),
    "layout": ("layout", layouts),
    "outbox": ("outbox", outboxes),
    "state": ("state", states),
    "pixels": ("pixels", pixels),
}
"""Kinds whose seeds are folders, or files in one."""


def copy_to(source: Path, target: Path) -> None:
    """Put a fresh copy of a seed in place of what a damaged one has left."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
