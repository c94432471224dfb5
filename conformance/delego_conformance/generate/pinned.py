"""Hashes of §4, stated by hand: a suite writes the preimage, and the hash is that of its bytes.

So the core does not grade itself: what it answers has to be the hash of a text that somebody wrote down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from delego_conformance.generate.build import Suite, ok
from delego_conformance.vectors import JSONObject

API: Final = "https://api.example.com"
HOST: Final = "api.example.com"

Pairs = Sequence[tuple[str, str]]


def sha256(text: str) -> str:
    """The hexadecimal SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def intent_preimage(trimmed: str) -> str:
    """What ``intent_hash`` is the hash of ([§4-3])."""
    return f'{{"instruction":{_string(trimmed)}}}'


def preimage(method: str, host: str, path: str, query: Pairs, params: str) -> str:
    """What ``action_fingerprint`` is the hash of ([§4-4]); ``params`` is canonical text."""
    pairs = ",".join(f"[{_string(name)},{_string(value)}]" for name, value in query)
    return (
        f'{{"host":{_string(host)},"method":{_string(method)},"params":{params},'
        f'"path":{_string(path)},"query":[{pairs}]}}'
    )


def request(url: str, *, method: str = "GET", params_json: str | None = "{}") -> JSONObject:
    """The arguments of ``fingerprint``; without ``params_json`` there are no params."""
    found: JSONObject = {"method": method, "url": url}
    if params_json is not None:
        found["params_json"] = params_json
    return found


def pin(
    suite: Suite,
    slug: str,
    comment: str,
    url: str,
    *,
    method: str = "GET",
    params_json: str | None = "{}",
    hashed_method: str | None = None,
    host: str = HOST,
    path: str = "/x",
    query: Pairs = (),
    params: str | None = None,
    **stated: Any,
) -> str:
    """State a fingerprint by its parts: as sent, and as hashed (``params``: canonical text)."""
    text = preimage(hashed_method or method, host, path, query, params or params_json or "{}")
    return suite.add(
        slug,
        comment,
        "fingerprint",
        request(url, method=method, params_json=params_json),
        ok(action_fingerprint=sha256(text)),
        trace=[("preimage", text)],
        **stated,
    )


def _string(text: str) -> str:
    """One string of canonical JSON; for these, Python writes what RFC 8785 does."""
    return json.dumps(text, ensure_ascii=False)
