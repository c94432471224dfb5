"""Nothing that leaves the gateway holds a credential, not even when a service echoes it.

A secret is looked for as it is and in the spellings in which it travels: in base64 (at each of the three
alignments, so also inside a longer text), percent-encoded, JSON-escaped, in hexadecimal. Not found: a secret
that a service cuts in pieces, turns around or encrypts; against a service that works against its own
customer nothing helps but another service.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from delego_spec.types import JSON

REDACTED: Final = "[redacted]"
_SHORTEST: Final = 8  # characters of an encoded form that are looked for


class Redactor:
    """Replaces the given secrets, in every spelling that is known here, by ``[redacted]``."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
        # Hexadecimal digits may come in either case; a match in too many places costs a few letters.
        self._pattern = re.compile("|".join(map(re.escape, found)), re.IGNORECASE) if found else None

    def text(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(REDACTED, text)

    def value(self, value: JSON) -> JSON:
        """A JSON value with all its texts cleaned: names of members too, and numbers that spell a secret."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        if isinstance(value, int | float) and not isinstance(value, bool):
            return REDACTED if self._pattern.search(json.dumps(value)) else value
        return value

    def has(self, data: bytes) -> bool:
        """Whether a spelling stands in bytes that are no text, or text of another encoding (UTF-16)."""
        if self._pattern is None:
            return False
        pattern = self._pattern
        return any(pattern.search(part.decode("latin-1")) for part in (data, data.replace(b"\0", b"")))


def _forms(secret: str) -> Iterator[str]:
    data = secret.encode()
    yield secret
    yield data.decode("latin-1")  # as bytes that are no text are searched
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    yield json.dumps(json.dumps(secret)[1:-1])[1:-1]  # JSON inside a string of JSON
    for text in (
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
    ):  # as Go, Rails and Jinja write JSON
        for escaped in ("[&<>]", "[&<>']"):
            yield re.sub(escaped, lambda found: f"\\u{ord(found[0]):04x}", text[1:-1])
    for escaped in (html.escape(secret), html.escape(secret, quote=False)):
        yield escaped
        yield escaped.replace("&#x27;", "&#39;")
        yield escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    yield quote(secret, safe="")
    yield quote(quote(secret, safe=""), safe="")  # a URL inside a URL ("?next=...")
    yield quote(secret)
    yield quote_plus(secret)
    yield "".join(f"%{byte:02X}" for byte in data)
    yield data.hex()
    for shift in range(3):
        # What surrounds the secret decides the first and the last character of these forms: leave them out.
        whole = base64.b64encode(b"\0" * shift + data).decode()
        inner = whole[(0, 2, 3)[shift] :].rstrip("=")
        if (shift + len(data)) % 3:
            inner = inner[:-1]
        if len(inner) >= _SHORTEST:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")
            yield inner.replace("+", "%2B").replace("/", "%2F")
