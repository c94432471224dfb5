"""JSON-RPC messages as the gateway reads and writes them: strictly, one message a line.

Two parsers may read one text differently (duplicate members, NaN, lone surrogates, batches), and then the
policy looks at one call and the server runs another. Such text is refused, and what is sent on is never the
text that came in but the message that was read, written anew.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final, NoReturn, TypeAlias, TypeGuard

import msgspec

Message: TypeAlias = dict[str, Any]
RequestId: TypeAlias = str | int

MAX_FROM_CLIENT: Final = 4 * 1024 * 1024  # bytes of one message; what can be decided is smaller still
MAX_FROM_SERVER: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 100

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
# The gateway's own, from the range that JSON-RPC leaves to servers and MCP does not use.
DENIED: Final = -32050
PENDING: Final = -32051
UNKNOWN: Final = -32052
UNAVAILABLE: Final = -32053

_ID_NEAR: Final = 4096  # bytes at each end of a refused message in which its id is looked for
_ID: Final = re.compile(rb'"id"\s*:\s*("(?:[^"\\]|\\.){0,200}"|-?[0-9]{1,18})')
_BREAKS: Final = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


class WireError(Exception):
    """A line that is no message. ``ids``: of the messages that it may have been meant as."""

    def __init__(self, problem: str, code: int = INVALID_REQUEST, ids: tuple[RequestId, ...] = ()) -> None:
        self.problem = problem
        self.code = code
        self.ids = tuple({key_of(one): one for one in ids}.values())
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Oversized:
    """A line that was longer than allowed: its two ends, the rest was thrown away while it was read."""

    head: bytes
    tail: bytes
    limit: int

    def error(self) -> WireError:
        ids = (*_ids_near(self.head), *_ids_near(self.tail))
        return WireError(f"a message of more than {self.limit} bytes is not passed on", ids=ids)


def read_lines(stream: IO[bytes], limit: int) -> Iterator[bytes | Oversized]:
    """The lines of a stream, blank ones left out; one that is too long is given as its two ends only."""
    while line := stream.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            if line.strip():
                yield line
            continue
        head, tail = line[:_ID_NEAR], line[-_ID_NEAR:]
        del line
        while (more := stream.readline(65536)) and not more.endswith(b"\n"):
            tail = (tail + more)[-_ID_NEAR:]
        yield Oversized(head, (tail + more)[-_ID_NEAR:], limit)


def parse(line: bytes) -> Message:
    """One JSON-RPC 2.0 message. Raises WireError."""
    value = _strict(line)
    if type(value) is list:
        raise WireError("batches are not passed on; send one message a line", ids=_ids_of(value))
    if type(value) is not dict:
        raise WireError("a message is a JSON object")
    ids = _ids_of([value])
    if value.get("jsonrpc") != "2.0":
        raise WireError("'jsonrpc' must be \"2.0\"", ids=ids)
    if "id" in value and not is_id(value["id"]):
        raise WireError("'id' must be a string or an integer")
    is_answer = "result" in value or "error" in value
    if "method" in value:
        if type(value["method"]) is not str or is_answer:
            raise WireError(
                "a message is a request or an answer: 'method' is text, with no 'result'", ids=ids
            )
        if type(value.get("params", {})) is not dict:
            raise WireError("'params' must be an object", ids=ids)
    elif not is_answer or ("result" in value and "error" in value) or "id" not in value:
        raise WireError("an answer has an 'id', and either 'result' or 'error'", ids=ids)
    elif type(value.get("result", value.get("error"))) is not dict:
        raise WireError("'result' and 'error' must be objects", ids=ids)
    return value


def encode(message: Message) -> bytes:
    """One line: UTF-8, without the characters that some readers take for the end of a line."""
    data = msgspec.json.encode(message)
    if not data.isascii():
        data = data.decode().translate(_BREAKS).encode()
    return data + b"\n"


def error_answer(request_id: RequestId | None, code: int, text: str, data: Message | None = None) -> Message:
    """A JSON-RPC error."""
    error: Message = {"code": code, "message": text}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def is_id(value: object) -> TypeGuard[RequestId]:
    """Whether this is an id: text or an integer (true is none)."""
    return type(value) is str or type(value) is int


def key_of(request_id: RequestId) -> tuple[bool, RequestId]:
    """An id as a key: 1 and "1" are two."""
    return (type(request_id) is str, request_id)


class _Refused(Exception):  # noqa: N818 - carries a refusal out of the parser's hooks
    pass


def _strict(line: bytes) -> Any:
    try:
        value = _DECODER.decode(line.decode())
        # Only an escape can write a lone surrogate, and each level takes a bracket: most lines have neither.
        if b"\\u" in line or line.count(b"{") + line.count(b"[") > MAX_DEPTH:
            _check(value, 0)
    except _Refused as error:
        raise WireError(str(error), ids=_ids_near(line[:_ID_NEAR]) + _ids_near(line[-_ID_NEAR:])) from None
    except UnicodeDecodeError as error:
        raise WireError(f"is not UTF-8 (byte {error.start})", PARSE_ERROR) from None
    except (ValueError, RecursionError) as error:
        text = "is nested too deeply" if isinstance(error, RecursionError) else "is not JSON"
        ids = _ids_near(line[:_ID_NEAR]) + _ids_near(line[-_ID_NEAR:])
        raise WireError(text, PARSE_ERROR, ids) from None
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Refused(f"has the member {name!r:.60} twice; parsers differ on which one counts")
            seen.add(name)
    return members


def _constant(name: str) -> NoReturn:
    raise _Refused(f"contains {name}, which is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Refused("contains a number that is too large; send a string")
    return value


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_constant, parse_float=_number)


def _check(value: Any, depth: int) -> None:
    """Depth, and text that UTF-8 cannot write: parsers differ on what a lone surrogate is."""
    if type(value) is str:
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise _Refused("contains a lone surrogate") from None
        return
    if type(value) is not dict and type(value) is not list:
        return
    if depth >= MAX_DEPTH:
        raise _Refused(f"is nested deeper than {MAX_DEPTH} levels")
    if type(value) is dict:
        for name, member in value.items():
            _check(name, depth)
            _check(member, depth + 1)
    else:
        for member in value:
            _check(member, depth + 1)


def _ids_of(values: list[Any]) -> tuple[RequestId, ...]:
    ids = (value.get("id") for value in values if type(value) is dict)
    return tuple(one for one in ids if is_id(one))


def _ids_near(text: bytes) -> tuple[RequestId, ...]:
    found: list[RequestId] = []
    for match in _ID.finditer(text):
        try:
            found.append(json.loads(match[1]))
        except ValueError:
            continue
    return tuple(found)
