"""Canonical JSON (§3): one spelling for every value that is hashed.

The canonical bytes are those of RFC 8785, for the values on which RFC 8785 and the wire specification's
"sort by code point" agree. All other values are refused, with the path to the offending one, because two
implementations that hash them differently would disagree about what a human approved.

Not here: what is hashed. See ``action`` (fingerprint, intent), ``receipts`` (entry hash).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final, NoReturn

import msgspec

from delego_spec.errors import CanonicalError
from delego_spec.types import JSON, Digest

MAX_INTEGER: Final = 2**53 - 1  # beyond it a JavaScript peer rounds
MIN_FRACTION: Final = 1e-4  # below it the shortest spelling may need an exponent
MAX_DEPTH: Final = 64  # arrays and objects inside each other
MAX_BYTES: Final = 256 * 1024  # of canonical text

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# On the domain that `normalise` lets through, msgspec writes the bytes of RFC 8785 forty times faster
# than the reference canonicalizer; tests/spec/test_canonical.py holds the two side by side.
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def normalise(value: object, *, name: str = "$", depth: int = 0) -> JSON:
    """Return ``value`` as a fresh, plain JSON value in its one canonical form (§3).

    A whole-numbered float becomes the integer it is, tuples become lists; the input is left alone.
    ``name`` is what error paths begin with; ``depth`` counts the arrays and objects that will be around the
    value where it is hashed. Raises CanonicalError.
    """
    try:
        return _normalise(value, depth)  # type: ignore[no-any-return]  # JSON by the checks it makes
    except _Refused as refused:
        raise refused.at(name) from None


def canonical(value: object, *, name: str = "$") -> bytes:
    """The canonical UTF-8 bytes of ``value`` (§3). Raises CanonicalError."""
    return encode_normalised(normalise(value, name=name), name=name)


def encode_normalised(value: JSON, *, name: str = "$", max_bytes: int | None = MAX_BYTES) -> bytes:
    """The canonical bytes of what ``normalise`` returned, without walking it again.

    Raises CanonicalError for more than ``max_bytes``.
    """
    encoded = _ENCODER.encode(value)
    if max_bytes is not None and len(encoded) > max_bytes:
        raise CanonicalError(
            name, f"canonical text has {len(encoded)} bytes; at most {max_bytes} are allowed"
        )
    return encoded


def digest(value: object, *, name: str = "$", max_bytes: int | None = MAX_BYTES) -> Digest:
    """``H(value)``: lower-case hex SHA-256 of the canonical bytes (§3). Raises CanonicalError."""
    encoded = encode_normalised(normalise(value, name=name), name=name, max_bytes=max_bytes)
    return Digest(hashlib.sha256(encoded).hexdigest())


def parse_json(text: str | bytes, *, name: str = "$", max_bytes: int = MAX_BYTES) -> JSON:
    """Read JSON text strictly and normalise it (§3).

    Refused beside malformed text: duplicate members (parsers differ on which one wins), NaN and Infinity,
    numbers and nesting outside the canonical domain, a byte order mark, invalid UTF-8, more than
    ``max_bytes`` bytes. Raises CanonicalError.
    """
    if isinstance(text, str):
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise CanonicalError(name, "contains a lone surrogate") from None
    else:
        data = text
    if len(data) > max_bytes:
        raise CanonicalError(name, f"has {len(data)} bytes; at most {max_bytes} are allowed")
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_no_duplicates,
            parse_constant=_refuse_constant,
        )
    except _MemberError as error:
        raise CanonicalError(name, str(error)) from None
    except UnicodeDecodeError as error:
        raise CanonicalError(name, f"is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise CanonicalError(name, f"is not JSON: {error.msg.lower()} ({where})") from None
    except RecursionError:
        raise CanonicalError(name, f"is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:  # an integer of thousands of digits
        raise CanonicalError(name, "contains a number with too many digits; send a string") from None
    return normalise(value, name=name)


class _MemberError(Exception):
    """Carries a refusal out of the JSON parser's hooks."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _MemberError(f"has the member {_quote(key)} twice")
            seen.add(key)
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise _MemberError(f"contains {name}, which is not JSON")


class _Refused(Exception):  # noqa: N818 - carries a refusal outwards, becomes a CanonicalError
    """Why a value is refused. The path is put together only while this travels outwards: it costs nothing
    where nothing is wrong.
    """

    def __init__(self, problem: str) -> None:
        self.problem = problem
        self.steps: list[str] = []  # innermost first

    def inside(self, step: str | int) -> _Refused:
        if isinstance(step, int):
            self.steps.append(f"[{step}]")
        else:
            self.steps.append(f".{step}" if _IDENTIFIER.fullmatch(step) else f"[{_quote(step)}]")
        return self

    def at(self, name: str) -> CanonicalError:
        return CanonicalError(name + "".join(reversed(self.steps)), self.problem)


def _quote(text: str) -> str:
    return json.dumps(text[:80])


def _normalise(value: Any, depth: int) -> Any:
    """The value itself where it is canonical as it is. ``Any``: every kind is told apart below, exactly."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _checked_text(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return _checked_integer(value)
    if kind is dict:
        return _object(value, depth + 1)
    if kind is list or kind is tuple:
        return _array(value, depth + 1)
    if kind is float:
        return _checked_float(value)
    raise _Refused(f"is a {kind.__name__}; JSON has null, booleans, numbers, strings, arrays and objects")


def _array(items: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
    if depth > MAX_DEPTH:
        raise _Refused(f"is nested deeper than {MAX_DEPTH} levels")
    index, result = 0, []
    try:
        for index, item in enumerate(items):  # noqa: B007 - names the place in the error
            result.append(_normalise(item, depth))
    except _Refused as refused:
        raise refused.inside(index) from None
    return result


def _object(members: dict[Any, Any], depth: int) -> dict[str, Any]:
    if depth > MAX_DEPTH:
        raise _Refused(f"is nested deeper than {MAX_DEPTH} levels")
    result: dict[str, Any] = {}
    ascii_keys = True
    for key, item in members.items():
        if type(key) is not str:
            raise _Refused(f"has the key {key!r:.80}, which is a {type(key).__name__}; send a string")
        if not key.isascii():
            ascii_keys = False
            _checked_text(key)
        try:
            result[key] = _normalise(item, depth)
        except _Refused as refused:
            raise refused.inside(key) from None
    if not ascii_keys and sorted(result) != sorted(result, key=_utf16):
        raise _Refused("has keys that sort differently by code point and by UTF-16 unit; rename one of them")
    return result


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be")


def _checked_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _Refused("contains a lone surrogate") from None
    return text


def _checked_integer(number: int) -> int:
    if -MAX_INTEGER <= number <= MAX_INTEGER:
        return number
    raise _Refused("is an integer beyond 2^53-1; send a string")


def _checked_float(number: float) -> int | float:
    if number != number or number in (float("inf"), float("-inf")):
        raise _Refused("is not a finite number")
    if number.is_integer():
        return _checked_integer(int(number))
    if abs(number) < MIN_FRACTION:
        raise _Refused(f"is the float {number!r}, below 0.0001 in size; send a string")
    return number
