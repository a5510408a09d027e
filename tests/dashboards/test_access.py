"""Who is answered, and what pages may fetch."""

import asyncio

import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from dashboards.access import OwnPagesOnly, SecurityHeaders

LOCAL = ["127.0.0.1", "localhost", "::1"]


async def greet(scope, receive, send):
    """Answers everybody."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await PlainTextResponse("hello")(scope, receive, send)


def ask(host, origin=None, *, kind="http", method="GET", hosts=LOCAL, public=None):
    """What is sent back, first."""
    names = {"host": host, "origin": origin}
    headers = [(key.encode(), name.encode()) for key, name in names.items() if name is not None]
    scope = {"type": kind, "method": method, "path": "/", "headers": headers}
    sent = []

    async def receive():
        return {"type": f"{kind}.connect"}

    async def send(message):
        sent.append(message)

    asyncio.run(SecurityHeaders(OwnPagesOnly(greet, hosts, public))(scope, receive, send))
    return sent[0]


def status(*names, **more):
    return ask(*names, **more)["status"]


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost", "LOCALHOST:1", "[::1]:8501"])
def test_its_own_names_are_answered(host):
    assert status(host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8501", "localhost@evil.example", "[::1", ""]
)
def test_other_names_are_not(host):
    assert status(host) == 400
    assert ask(host, kind="websocket") == {"type": "websocket.close", "code": 1008}


def test_where_names_are_not_known_all_are_answered():
    assert status("lab.example", hosts=None) == 200


def test_the_name_of_a_proxy_is_one_of_its_own():
    assert status("masks.example", public="masks.example") == 200
    assert status("other.example", public="masks.example") == 400


@pytest.mark.parametrize(
    ("origin", "is_own"),
    [
        ("http://127.0.0.1:8501", True),
        ("https://127.0.0.1:8501", True),
        (None, True),
        ("http://localhost:1", False),
        ("http://127.0.0.1:1", False),
        ("http://127.0.0.1", False),
        ("http://evil.example", False),
        ("null", False),
    ],
)
def test_changes_and_sockets_come_from_its_own_pages(origin, is_own):
    host = "127.0.0.1:8501"
    assert status(host, origin) == 200
    assert status(host, origin, method="POST") == (200 if is_own else 403)
    first = ask(host, origin, kind="websocket")["type"]
    assert first == ("websocket.accept" if is_own else "websocket.close")


def test_a_proxy_may_pass_on_another_host():
    origin = "https://masks.example"
    assert status("127.0.0.1:8501", origin, method="POST", public="masks.example") == 200


def test_pages_fetch_from_this_server_alone():
    policy = Headers(raw=ask("localhost")["headers"])["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["connect-src"] == "'self'"
    assert rules["img-src"] == "'self' data: blob:"
    assert "http" not in policy


def test_what_is_no_request_is_passed_on():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    asyncio.run(OwnPagesOnly(app, LOCAL)({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
