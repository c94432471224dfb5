"""The loop of an adapter in Python (docs/kit-protocol.md). It imports nothing of ours.

    serve({"implementation": {...}, "spec": ["0.3"], "roles": ["auditor"], "features": []},
          {"canonicalize": lambda args, ctx: {"canonical": ...}})

An operation returns its result, or raises ``Refusal`` or ``Unsupported``. Whatever else it raises is
answered as an error: a crash must never look like a deliberate refusal.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final, TypeAlias

JSONObject: TypeAlias = dict[str, Any]
Operation: TypeAlias = Callable[[JSONObject, JSONObject], JSONObject]  # (args, ctx) -> result

PROTOCOL: Final = 1
MAX_MESSAGE: Final = 500  # characters of an error


class Refusal(Exception):  # noqa: N818  # it is an answer, no fault
    """The operation must not accept this input, and says so on purpose."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


class Unsupported(Exception):  # noqa: N818  # it is an answer, no fault
    """The implementation does not have this."""

    def __init__(self, feature: str) -> None:
        self.feature = feature
        super().__init__(feature)


def serve(
    hello: JSONObject,
    operations: Mapping[str, Operation],
    *,
    requests: BinaryIO | None = None,
    replies: BinaryIO | None = None,
) -> None:
    """Answer requests until ``bye`` or the end of input.

    ``hello`` has implementation, spec, roles and features. Without streams, standard input and output are
    used, and taken out of reach: what an operation prints goes to standard error, so that it cannot end up
    between two replies.
    """
    source = requests or _keep(0, os.O_RDONLY)
    target = replies or _keep(1, os.O_WRONLY)
    for line in source:
        reply, ends = answer_line(line, hello, operations)
        try:
            target.write(reply)
            target.flush()
        except BrokenPipeError:  # nobody listens any more
            return
        if ends:
            return


def answer_line(line: bytes, hello: JSONObject, operations: Mapping[str, Operation]) -> tuple[bytes, bool]:
    """The reply to one line, with its line feed, and whether it was ``bye``. Never raises an Exception."""
    request_id: str | None = None
    ends = False
    try:
        request = json.loads(line.decode("utf-8"))
        if not isinstance(request, dict):
            raise TypeError("a request is an object")
        request_id = request["id"] if isinstance(request.get("id"), str) else None
        op = request.get("op")
        if request.get("v") != PROTOCOL or not isinstance(op, str):
            raise ValueError(f"a request has v {PROTOCOL} and op, not {request.get('v')!r} and {op!r}")
        args, ctx = request.get("args", {}), request.get("ctx", {})
        if not isinstance(args, dict) or not isinstance(ctx, dict):
            raise TypeError("args and ctx are objects")
        ends = op == "bye"
        return _encode(request_id, {"ok": _answer(op, args, ctx, hello, operations)}), ends
    except Refusal as refusal:
        answer: JSONObject = {"refused": {"code": str(refusal.code), "message": str(refusal.message)}}
    except Unsupported as unsupported:
        answer = {"unsupported": {"feature": str(unsupported.feature)}}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an adapter outlives every vector
        answer = {"error": {"message": f"{type(error).__name__}: {error}"[:MAX_MESSAGE]}}
        traceback.print_exc(file=sys.stderr)
    return _encode(request_id, answer), ends


def _answer(
    op: str, args: JSONObject, ctx: JSONObject, hello: JSONObject, operations: Mapping[str, Operation]
) -> JSONObject:
    if op == "hello":
        if PROTOCOL not in args.get("protocol", [PROTOCOL]):
            raise Unsupported(f"one of the protocols {args['protocol']}; this is {PROTOCOL}")
        return {"protocol": PROTOCOL, **hello}
    if op == "bye":
        return {}
    if op not in operations:
        raise Unsupported(op)
    return operations[op](args, ctx)


def _encode(request_id: str | None, answer: JSONObject) -> bytes:
    # ASCII, so that lone surrogates and line separators travel as escapes; NaN is an error.
    return json.dumps({"id": request_id, **answer}, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _keep(number: int, mode: int) -> BinaryIO:
    """The standard stream ``number`` for ourselves; its number, and Python's name for it, lead elsewhere."""
    kept = os.dup(number)  # children do not inherit it
    if mode == os.O_RDONLY:
        nowhere = os.open(os.devnull, mode)
        os.dup2(nowhere, number)
        os.close(nowhere)
        return os.fdopen(kept, "rb")
    sys.stdout.flush()
    os.dup2(2, number)
    sys.stdout = sys.stderr
    return os.fdopen(kept, "wb")
