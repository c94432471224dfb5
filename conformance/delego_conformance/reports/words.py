"""Values of a run as text that is safe to show anywhere, and the words all formats share."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any, Final

from delego_conformance.results import Exchange, Verdict
from delego_conformance.vectors import DEFAULT_CTX, JSONObject

# Categories that draw nothing, or move what is drawn: controls (terminal escapes), formats (bidi),
# surrogates, private use, unassigned, line and paragraph separators, spaces that are not U+0020.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_SHORT: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
_MAX_DEPTH: Final = 60  # of a reply; anything deeper was sent to exhaust a stack
_MAX_BITS: Final = 8192  # of an integer; Python refuses to print those of 4300 digits and more

VERDICTS: Final[dict[Verdict, str]] = {
    "pass": "answered as expected, twice",
    "fail": "answered otherwise",
    "error": "an error, a crash, a time-out, or no usable reply",
    "unstable": "two runs in different order gave different answers",
    "vacuous": "as expected, but its accepted twin was not: the implementation may refuse everything",
    "unsupported": "an operation of a claimed role is missing",
    "known": "failed, and is listed as a known failure",
    "fixed": "listed as a known failure, and passes",
    "not claimed": "its role or feature is not claimed",
}


def printable(text: str) -> str:
    """``text`` on one line, with every character that does not print as itself written as ``\\u{202e}``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) for char in text)


def _escape(char: str) -> str:
    if char == " " or unicodedata.category(char) not in _HIDDEN:
        return char
    return _SHORT.get(char, f"\\u{{{ord(char):x}}}")


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters of ``text``, and how many are left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def plain(value: Any, depth: int = 0) -> Any:
    """A JSON value that every JSON parser can read: no lone surrogates, no NaN, no bottomless nesting."""
    if isinstance(value, str):
        return value if _is_unicode(value) else "".join(_scalar(char) for char in value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > _MAX_BITS:
        return f"(an integer of {value.bit_length()} bits)"
    if isinstance(value, dict | list | tuple) and depth == _MAX_DEPTH:
        return f"(nested deeper than {_MAX_DEPTH} levels)"
    if isinstance(value, dict):
        return {plain(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return value


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _scalar(char: str) -> str:
    return f"\\u{{{ord(char):x}}}" if "\ud800" <= char <= "\udfff" else char


def json_text(value: Any) -> str:
    """A JSON value on one line; characters that do not print as themselves are JSON escapes."""
    written = json.dumps(plain(value), ensure_ascii=False)
    if written.isascii() and written.isprintable():
        return written
    return "".join(char if _escape(char) == char else json.dumps(char)[1:-1] for char in written)


def request_text(exchange: Exchange) -> str:
    """The operation and its arguments, and the context where it is not the usual one."""
    request = exchange.request
    written = f"{printable(str(request.get('op', '?')))} {json_text(request.get('args', {}))}"
    ctx = request.get("ctx", DEFAULT_CTX)
    return written if ctx == DEFAULT_CTX else f"{written} with ctx {json_text(ctx)}"


def reply_text(exchange: Exchange) -> str:
    """What came back without the id, and what was wrong with it as a reply."""
    said = []
    if exchange.problem:
        said.append(printable(exchange.problem))
    if exchange.reply is not None:
        reply = {name: value for name, value in exchange.reply.items() if name != "id"}
        said.append(json_text(reply))
    return "; ".join(said) or "nothing"


def expected_text(expect: JSONObject) -> str:
    """An expectation in words."""
    if "any" in expect:
        return ", or ".join(expected_text(one) for one in expect["any"])
    if "refused" in expect:
        return _refusal(expect["refused"])
    parts = [f"ok with {json_text(expect['ok'])}" if expect.get("ok") else "ok"]
    parts += [f"{name} {json_text(value)}" for name, value in expect.items() if name != "ok"]
    return " and ".join(parts)


def _refusal(wanted: JSONObject) -> str:
    text = "a refusal"
    if codes := wanted.get("codes"):
        text += f" with the code {' or '.join(printable(str(code)) for code in codes)}"
    if words := wanted.get("message_contains"):
        text += f"{' and' if codes else ' with'} a message that says {' and '.join(map(json_text, words))}"
    return text


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 receipt``, ``2 receipts``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
