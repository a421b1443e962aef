"""The server of ``vpr view``: read-only, on this machine unless told otherwise. No request names a path: places and frames are found by number."""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from vpr_aesvc.errors import VprError
from vpr_aesvc.placemap.interface import OpenMap
from vpr_aesvc.view.matrix import Matrices
from vpr_aesvc.view.places import DrawnPlaces
from vpr_aesvc.view.recognized_run import RecognizedRun

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def page_files() -> dict[str, str]:
    """The files of the page by name."""
    found = files("vpr_aesvc.view").joinpath("page").iterdir()
    return {one.name: one.read_text("utf-8") for one in found if one.is_file()}


def application(
    place_map: OpenMap, runs: Sequence[RecognizedRun], token: str | None, is_live: bool = False
) -> Starlette:
    """The page and what it asks for; ``is_live``: the runs grow meanwhile. Every request must bring the token, in the address or in the cookie that the first answer sets. Without one only
    requests to a name of this machine are answered, so that the page of another site cannot ask."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import PlainTextResponse, RedirectResponse, Response
    from starlette.routing import Route

    drawn, page = DrawnPlaces.of(place_map), page_files()
    shown = {"map": drawn.content(Path(place_map.path).name), "runs": [run.content(drawn) for run in runs]}
    scene = json.dumps({**shown, "live": is_live})
    answers: dict[str, tuple[str, Callable[..., str | bytes | None]]] = {
        "/": ("text/html", lambda: page["index.html"]),
        "/page/{name}.css": ("text/css", lambda name: page[f"{name}.css"]),
        "/page/{name}.js": ("text/javascript", lambda name: page[f"{name}.js"]),
        "/scene": ("application/json", lambda: scene),
        "/runs/{known:int}": ("application/json", partial(_grown, runs, drawn)),
        "/place/{place:int}.jpg": ("image/jpeg", place_map.thumbnail_jpeg),
        "/frame/{run:int}/{at:int}": ("application/json", lambda run, at: runs[run].details[at]),
        "/frame/{run:int}/{at:int}.jpg": ("image/jpeg", lambda run, at: runs[run].pictures[at]),
        "/frame/{run:int}/{at:int}/cosines": ("application/octet-stream", lambda run, at: runs[run].similarities(at)),
        "/matrix/{rows:int}/{columns:int}": ("application/octet-stream", Matrices(place_map, drawn, runs).cosines),
    }

    def route(path: str) -> Route:
        media_type, read = answers[path]

        async def answer(request: Request) -> Response:
            with suppress(LookupError, VprError):
                found = read(**request.path_params)
                return Response(found, media_type=media_type) if found else Response(status_code=204)
            return PlainTextResponse("not found", 404)

        return Route(path, answer)

    async def guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        given, cookie = request.query_params.get("token"), request.cookies.get("vpr_token", "")
        if token is None and not _is_own(request.url.hostname or ""):
            response: Response = PlainTextResponse("start vpr view with --host to open it from elsewhere", 403)
        elif token and not secrets.compare_digest((given or cookie).encode(), token.encode()):
            response = PlainTextResponse("use the whole address that vpr view printed, with its token", 403)
        elif token and given:
            response = RedirectResponse(request.url.path, 303)  # the address bar does not keep the token
            response.set_cookie("vpr_token", token, httponly=True, samesite="strict")
        else:
            response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    return Starlette(
        routes=[route(path) for path in answers], middleware=[Middleware(BaseHTTPMiddleware, dispatch=guarded)]
    )


def _grown(runs: Sequence[RecognizedRun], drawn: DrawnPlaces, known: int) -> str | None:
    """All runs, if they have other than ``known`` frames together."""
    return None if sum(map(len, runs)) == known else json.dumps([run.content(drawn) for run in runs])


def serve(app: Callable[[str | None], Starlette], host: str, port: int, say: Callable[[str], None]) -> None:
    """Serves until it is interrupted. ``app`` makes the application for a token, None on an address of this machine only; ``say`` is given the
    address of the page. Raises VprError if the address cannot be used."""
    import uvicorn

    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = error.strerror or error
        raise VprError(f"{host}:{port} cannot be used ({reason}); choose another --host or --port") from error
    with listener:
        token = None if _is_own(host) else secrets.token_urlsafe(16)
        server = uvicorn.Server(uvicorn.Config(app(token), log_level="warning", access_log=False, server_header=False))
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{listener.getsockname()[1]}/" + (f"?token={token}" if token else ""))
        with suppress(KeyboardInterrupt):  # the usual end
            server.run(sockets=[listener])


def _is_own(host: str) -> bool:
    """Whether a name or address is of this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
