"""The gateway as an ASGI application: who may ask, and messages of a bounded size.

``POST /v1/execute`` takes a request of §2.2 and answers with 200 and one of its two forms. Any other status
says that nothing was taken and nothing sent: 400 no such message, 401 no right to ask, 404, 405, 411, 413,
415. ``GET /healthz``; ``GET /.well-known/jwks.json`` where it is switched on.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as Path
from starlette.types import ExceptionHandler

from delego_broker.errors import DelegoBrokerError
from delego_broker.gateway.admission import Admission
from delego_broker.gateway.service import Gateway, Log
from delego_broker.gateway.settings import Listen
from delego_broker.keysets import KeySource
from delego_spec.canonical import encode_normalised
from delego_spec.errors import GatewayError
from delego_spec.gateway import GatewayRequest
from delego_spec.jwks import jwks_document
from delego_spec.types import JSONObject

MAX_REQUEST: Final = 300 * 1024  # bytes; a message has at most 256 KiB


class _NotTaken(Exception):  # noqa: N818 - what it is to whoever asked
    """Ends a request before anything was looked at."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def build_app(gateway: Gateway, listen: Listen, keys: KeySource, *, log: Log) -> Starlette:
    """The application. It raises nothing; ``log`` gets one object for each request that was not taken."""

    admission = Admission(listen.bearer)

    async def execute(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise _NotTaken(415, "send application/json")  # a browser's page cannot, without asking first
        if (problem := await admission.problem(request.headers.getlist("authorization"))) is not None:
            raise _NotTaken(401, problem)
        try:
            message = GatewayRequest.from_json(await _bounded(request))
        except GatewayError as error:
            raise _NotTaken(400, f"{error!s:.300}") from None
        return Response(await gateway.execute(message), media_type="application/json")

    async def health(_: Request) -> Response:
        return _json(200, {"status": "stopping" if gateway.stopping else "ok"})

    async def jwks(_: Request) -> Response:
        try:
            table = await asyncio.to_thread(keys.table, None)
        except DelegoBrokerError:
            return _json(503, {"error": "the keys cannot be had now"})
        body = encode_normalised(jwks_document(table.values()))
        return Response(body, media_type="application/jwk-set+json")

    async def not_taken(_: Request, error: Exception) -> Response:
        status = error.status if isinstance(error, _NotTaken) else 500
        log({"event": "not_taken", "status": status, "outcome": "rejected"})
        response = _json(status, {"error": str(error) if isinstance(error, _NotTaken) else "fault"})
        response.headers["connection"] = "close"  # what is left of the body is not read
        if status == 401:
            response.headers["www-authenticate"] = "Bearer"
        return response

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # to nobody

    paths = [Path("/v1/execute", execute, methods=["POST"]), Path("/healthz", health, methods=["GET"])]
    if listen.publish_keys:
        paths.append(Path("/.well-known/jwks.json", jwks, methods=["GET"]))
    handlers: dict[int | type[Exception], ExceptionHandler] = {_NotTaken: not_taken, ClientDisconnect: gone}
    app = Starlette(routes=paths, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app


async def _bounded(request: Request) -> bytes:
    """The body; at most 300 KiB of it are ever held, whatever Content-Length says. How long it may take to
    arrive is the connection's matter (``protocol``)."""
    if "transfer-encoding" in request.headers and "content-length" in request.headers:
        raise _NotTaken(400, "a body has one length")  # whoever stands before could read the other one
    with suppress(ValueError):
        if int(request.headers.get("content-length", "0")) > MAX_REQUEST:
            raise _NotTaken(413, f"a message has at most {MAX_REQUEST} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REQUEST:
            raise _NotTaken(413, f"a message has at most {MAX_REQUEST} bytes")
    return bytes(body)


def _json(status: int, members: JSONObject) -> Response:
    return Response(json.dumps(members), status_code=status, media_type="application/json")
