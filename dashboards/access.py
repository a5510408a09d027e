"""Who may ask this server, and what its pages may fetch."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READING = {"GET", "HEAD", "OPTIONS"}
_WRONG_HOST, _WRONG_ORIGIN = 400, 403
_POLICY_VIOLATION = 1008
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    # Streamlit's page has scripts and styles of its own within it, and Vega compiles its formulas.
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        )
    ),
}


class SecurityHeaders:
    """Middleware: pages fetch nothing from other hosts, and are not shown within other pages.

    Args:
        app: The application that answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add headers to its answer."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)


class OwnPagesOnly:
    """Middleware: requests by a name of this server, and changes and sockets from its own pages.

    A page of another site can have a browser ask this server. Under a name of its own that leads
    here it could read the answers; a socket it may open, and read, under any name.

    Args:
        app: The application that answers.
        hosts: Names that this server is called by; None where they are not known.
        public: The name under which a proxy makes it known, if any: the proxy may pass on
            another one.
    """

    def __init__(
        self, app: ASGIApp, hosts: Collection[str] | None = None, public: str | None = None
    ) -> None:
        self._app, self._hosts, self._public = app, hosts, public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refusal = self._refuse(scope) if scope["type"] in {"http", "websocket"} else None
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            status, reason = refusal
            await PlainTextResponse(reason, status)(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    def _refuse(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if self._hosts is not None and not self._is_own(_name_of(host)):
            return _WRONG_HOST, "this server is not called by this name"
        origin = headers.get("origin")
        changes = scope["type"] == "websocket" or scope["method"] not in _READING
        if origin is None or not changes:
            return None
        asking = origin.lower().partition("://")[2]
        if asking == host or (self._public and _name_of(asking) == self._public):
            return None
        return _WRONG_ORIGIN, "only pages of this server may ask for this"

    def _is_own(self, name: str | None) -> bool:
        return name is not None and name in {*(self._hosts or ()), self._public}


def _name_of(host: str) -> str | None:
    """The name in a host with or without a port; None where it is no host."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
