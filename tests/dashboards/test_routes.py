"""The routes serve what a page registered, and nothing else whatever is asked."""

import http.client
import os
import threading
import time
from types import SimpleNamespace
from urllib.parse import quote

import cv2
import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette

from dashboards import pictures, routes, thumbnails
from dashboards.pictures import Picture, forget, register
from dashboards.pyramids import open_pyramid
from dashboards.uploads import UploadFolder
from tiledseg.images.writing import write_image
from tiledseg.masks.drawing import FALSE_NEGATIVE, FALSE_POSITIVE


class Client:
    """Sends paths as they are written; other clients tidy them up before."""

    def __init__(self, port):
        self.port = port

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        content = answer.read()
        connection.close()
        return SimpleNamespace(status_code=answer.status, headers=headers, content=content)


@pytest.fixture(scope="module")
def client():
    app = Starlette(routes=[*routes.tile_routes(), *routes.page_routes(["", "compare"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Client(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (600, 530, 3), np.uint8)
    write_image(tmp_path / "secret name.png", pixels)
    return tmp_path / "secret name.png", pixels


def decoded(answer):
    pixels = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.ndim == 3 else pixels


def test_a_tile_is_the_files_own_pixels(client, image):
    path, pixels = image
    answer = client.get(f"/tiles/{register(Picture(path, 'image'))}/0/1/1")
    assert answer.headers["content-type"] == "image/png"
    assert np.array_equal(decoded(answer), pixels[512:, 512:])


def test_a_reduced_tile_is_small(client, image):
    answer = client.get(f"/tiles/{register(Picture(image[0], 'image'))}/1/0/0")
    assert answer.headers["content-type"] == "image/jpeg"
    assert decoded(answer).shape == (300, 265, 3)


def test_addresses_do_not_tell_the_path(image):
    address = register(Picture(image[0], "image"))
    assert len(address) == 32
    assert "secret" not in address
    assert register(Picture(image[0], "image")) == address != register(Picture(image[0], "mask"))


@pytest.mark.parametrize(
    "path",
    [
        "/tiles/00000000000000000000000000000000/0/0/0",
        "/tiles/../../etc/passwd/0/0/0",
        "/tiles/..%2f..%2fetc%2fpasswd/0/0/0",
        "/tiles/%2e%2e%2f%2e%2e%2fetc%2fpasswd/0/0/0",
        "/tiles//etc/passwd/0/0/0",
        "/tiles/%2fetc%2fpasswd/0/0/0",
        "/tiles/file:%2f%2f%2fetc%2fpasswd/0/0/0",
        "/tiles/C:%5cwindows%5cwin.ini/0/0/0",
        "/tiles/%00/0/0/0",
        "/thumbnails/..%2f..%2f..%2fetc%2fpasswd",
        "/thumbnails/00000000000000000000000000000000",
        "/tiles/{address}/0/0/../../../../etc/passwd",
        "/tiles/{address}/0/9/0",
        "/tiles/{address}/0/0/99999999999999999999999999",
        "/tiles/{address}/77/0/0",
        "/tiles/{address}/-1/0/0",
        "/tiles/{address}/0/0/x",
        f"/tiles/{{address}}/0/0/{'9' * 5000}",
        f"/tiles/{{address}}/{'0' * 5000}/0/0",
    ],
)
def test_anything_else_is_refused(client, image, path):
    address = register(Picture(image[0], "image"))
    answer = client.get(path.format(address=address))
    assert answer.status_code in {400, 404}
    assert b"root:" not in answer.content
    assert str(image[0].parent).encode() not in answer.content


def test_every_path_of_the_disk_is_refused_by_name(client, image):
    for path in (image[0], image[0].parent, "/etc/passwd", __file__):
        for encoded in (quote(str(path)), quote(str(path), safe="")):
            assert client.get(f"/tiles/{encoded}/0/0/0").status_code == 404


def test_what_is_forgotten_is_refused(client, image):
    address = register(Picture(image[0], "image"))
    forget(image[0].parent)
    assert client.get(f"/tiles/{address}/0/0/0").status_code == 404


def test_a_picture_that_was_replaced_by_one_as_old_and_as_large_has_another_address(tmp_path):
    path = tmp_path / "a.bmp"
    shown = []
    for value in (10, 20):
        path.write_bytes(cv2.imencode(".bmp", np.full((9, 9, 3), value, np.uint8))[1].tobytes())
        os.utime(path, ns=(0, 0))
        shown.append(register(Picture(path, "image")))
        assert (thumbnails.thumbnail(Picture(path, "image")) == value).all()
        assert (open_pyramid(path, "image", tmp_path / "cache").tile(0, 0, 0) == value).all()
    assert shown[0] != shown[1]


def test_a_file_that_went_away_is_refused(client, image):
    address = register(Picture(image[0], "image"))
    image[0].unlink()
    assert client.get(f"/tiles/{address}/0/0/0").status_code == 404


def test_the_oldest_addresses_are_forgotten_at_last(image, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PICTURES", 1)
    first = register(Picture(image[0], "image"))
    register(Picture(image[0], "mask"))
    assert pictures.find(first) is None


def test_an_upload_is_gone_with_its_visitor(client, image):
    folder = UploadFolder()
    upload = folder.accept("mine.png", image[0].read_bytes())
    address = register(Picture(upload.path, "image"))
    assert client.get(f"/tiles/{address}/0/0/0").status_code == 200
    folder.close()
    assert not upload.path.parent.exists()
    assert client.get(f"/tiles/{address}/0/0/0").status_code == 404


def test_a_thumbnail_has_the_mask_on_the_image(client, tmp_path):
    write_image(tmp_path / "image.png", np.full((900, 900, 3), 230, np.uint8))
    mask = np.zeros((900, 900), np.uint8)
    mask[300:600, 300:600] = 255
    write_image(tmp_path / "mask.png", mask)
    picture = Picture(tmp_path / "mask.png", "mask", tmp_path / "image.png")
    pixels = decoded(client.get(f"/thumbnails/{register(picture)}")).astype(int)
    assert max(pixels.shape) <= thumbnails.SIDE
    middle, corner = pixels[pixels.shape[0] // 2, pixels.shape[1] // 2], pixels[5, 5]
    assert np.abs(corner - 230).max() < 6
    assert middle[0] < 160 < middle[1]


def test_a_thumbnail_against_the_target_shows_errors_in_their_colors(client, tmp_path):
    """Four quarters: nothing, found, false_positive, false_negative."""
    write_image(tmp_path / "image.png", np.full((800, 800, 3), 128, np.uint8))
    mask, target = np.zeros((2, 800, 800), np.uint8)
    mask[:, 400:] = target[:400, 400:] = target[400:, :400] = 255
    write_image(tmp_path / "mask.png", mask)
    write_image(tmp_path / "target.png", target)
    files = [tmp_path / f"{name}.png" for name in ("mask", "image", "target")]
    picture = Picture(files[0], "mask", files[1], files[2])
    pixels = decoded(client.get(f"/thumbnails/{register(picture)}")).astype(int)
    nothing, found, false_negative, false_positive = (
        pixels[row, column] for row in (80, 240) for column in (80, 240)
    )
    assert np.abs(nothing - 128).max() < 6
    assert np.abs(false_positive - FALSE_POSITIVE).max() < 12
    assert np.abs(false_negative - FALSE_NEGATIVE).max() < 12
    assert found.min() > 150


def test_a_thumbnail_of_a_file_that_went_away(client, image):
    address = register(Picture(image[0], "image"))
    image[0].unlink()
    assert client.get(f"/thumbnails/{address}").status_code == 404


@pytest.mark.parametrize("kind", ["image", "mask"])
@pytest.mark.parametrize("side", [7, 1400])
def test_a_thumbnail_of_any_size(client, tmp_path, kind, side):
    write_image(tmp_path / "a.png", np.full((side, side), 200, np.uint8))
    answer = client.get(f"/thumbnails/{register(Picture(tmp_path / 'a.png', kind))}")
    assert max(decoded(answer).shape) == min(side, thumbnails.SIDE)


def test_answers_may_not_be_sniffed_or_embedded_elsewhere(client, image):
    answer = client.get(f"/tiles/{register(Picture(image[0], 'image'))}/0/0/0")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "private" in answer.headers["cache-control"]


def test_pages_begin_with_streamlits_page(client):
    for path in ("/", "/compare"):
        assert "BACKEND_BASE_URL" in client.get(path).content.decode()
