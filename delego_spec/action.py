"""An action and its two hashes (§4): what is proposed, and what a human's yes is bound to.

Hashing accepts whatever the wire protocol accepts; whether an action may be *decided* is another question,
answered by ``hazards``. Not here: rebuilding the request that a broker sends (``gateway``).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import unquote_plus, urlencode

import msgspec

from delego_spec.canonical import canonical, encode_normalised, normalise, parse_json
from delego_spec.errors import ActionError, CanonicalError
from delego_spec.types import JSON, Digest, JSONObject

# The white space on which Python, JavaScript and the Unicode property agree (§4).
_WHITE_SPACE: Final = (
    "\t\n\x0b\x0c\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
# One of the three strips these and another does not: two implementations would bind different intents.
_DISPUTED: Final = frozenset("\x1c\x1d\x1e\x1f\x85\ufeff")

# RFC 3986, appendix B, taken literally: nothing is stripped, decoded or resolved. It matches any text.
_URL: Final = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)

_MEMBERS: Final = frozenset({"instruction", "method", "url", "params"})


@dataclass(frozen=True, slots=True)
class Action:
    """One proposed action, with everything that is derived from it.

    Raises ActionError where a part has no canonical form: a wrong type, a lone surrogate, params outside
    the canonical domain (§3), an instruction whose white space implementations trim differently.
    """

    instruction: str  # as given; the person's words
    method: str  # upper-cased (ASCII)
    url: str  # as given
    params: JSONObject = field(hash=False)  # a normalised copy
    scheme: str = field(init=False)  # lower-cased; not part of the fingerprint
    host: str = field(init=False)  # the lower-cased authority: userinfo and port included
    path: str = field(init=False)  # as written; "/" if empty
    raw_query: str | None = field(init=False)  # as written, without "?"; None if there is no "?"
    fragment: str | None = field(init=False)  # as written, without "#"; not part of the fingerprint
    query: tuple[tuple[str, str], ...] = field(init=False)  # canonical pairs (§4.2)
    intent_hash: Digest = field(init=False)
    fingerprint: Digest = field(init=False)
    summary: str = field(init=False)  # ``METHOD host/path?query {params}``, as a receipt says it (§8)
    _params: bytes = field(init=False, repr=False, compare=False)  # canonical, as they were hashed

    def __post_init__(self) -> None:
        _check_text("instruction", self.instruction)
        _check_text("method", self.method)
        _check_text("url", self.url)
        if type(self.params) is not dict:
            raise ActionError("params", f"is a {type(self.params).__name__}; send an object")
        put = object.__setattr__
        parts = cast("re.Match[str]", _URL.fullmatch(self.url))  # the expression matches any text
        scheme, authority, path, raw_query, fragment = parts.groups()
        put(self, "method", self.method.upper() if self.method.isascii() else self.method)
        put(self, "scheme", (scheme or "").lower())
        put(self, "host", (authority or "").lower())
        put(self, "path", path or "/")
        put(self, "raw_query", raw_query)
        put(self, "fragment", fragment)
        put(self, "query", canonical_query(raw_query))
        put(self, "intent_hash", intent_hash(self.instruction))
        try:
            put(self, "params", normalise(self.params, name="params", depth=1))  # inside the preimage
            put(self, "fingerprint", _hash(self.preimage()))
            put(self, "_params", encode_normalised(self.params))
        except CanonicalError as error:
            raise ActionError(error.path, error.problem) from None
        shown = f" {self._params.decode()}" if self.params else ""
        put(self, "summary", f"{self.method} {self.target}{shown}")

    @classmethod
    def from_mapping(cls, members: object, *, name: str = "action") -> Action:
        """Read ``{instruction, method, url, params?}``; absent params are ``{}``. Raises ActionError."""
        if type(members) is not dict:
            raise ActionError(name, "is not an object")
        unknown = sorted(str(key) for key in members if key not in _MEMBERS)
        if unknown:
            raise ActionError(name, f"has the unknown member {unknown[0]!r:.60}")
        missing = sorted(_MEMBERS - {"params"} - members.keys())
        if missing:
            raise ActionError(name, f"lacks {missing[0]!r}")
        return cls(members["instruction"], members["method"], members["url"], members.get("params", {}))

    @classmethod
    def from_json(cls, text: str | bytes, *, name: str = "action") -> Action:
        """Read one action from strict JSON text (§3). Raises ActionError."""
        try:
            members = parse_json(text, name=name)
        except CanonicalError as error:
            raise ActionError(error.path, error.problem) from None
        return cls.from_mapping(members, name=name)

    def to_mapping(self) -> JSONObject:
        """``{instruction, method, url, params}``, as ``from_mapping`` reads it."""
        params = cast(JSONObject, normalise(self.params))
        return {"instruction": self.instruction, "method": self.method, "url": self.url, "params": params}

    def private_copy(self) -> Action | None:
        """This action as nobody else can change it; None if its params are no longer those that were hashed.

        ``params`` is a dict: a caller that edits it, on purpose or from another thread, would have one action
        judged and another one released.
        """
        try:
            if canonical(self.params) != self._params:
                return None
        except CanonicalError:
            return None
        copy = object.__new__(Action)
        for name in Action.__slots__:
            object.__setattr__(copy, name, getattr(self, name))
        object.__setattr__(copy, "params", msgspec.json.decode(self._params))
        return copy

    def preimage(self) -> JSONObject:
        """The object whose canonical hash is the fingerprint (§4)."""
        query: JSON = [[name, value] for name, value in self.query]
        return {
            "host": self.host,
            "method": self.method,
            "params": self.params,
            "path": self.path,
            "query": query,
        }

    @property
    def legacy_fingerprint(self) -> Digest:
        """The fingerprint of wire versions up to 0.2, which did not bind the query: for old chains."""
        preimage = self.preimage()
        del preimage["query"]
        return _hash(preimage)

    @property
    def target(self) -> str:
        """Host, path and canonical query, form-encoded: all of the URL that is bound."""
        query = f"?{urlencode(self.query)}" if self.query else ""
        return f"{self.host}{self.path}{query}"


def trim(instruction: str) -> str:
    """TRIM (§4): remove the 24 code points that every implementation calls white space.

    Raises ActionError for an end on which implementations disagree (U+001C–1F, U+0085, U+FEFF).
    """
    text = instruction.strip(_WHITE_SPACE)
    if text and (text[0] in _DISPUTED or text[-1] in _DISPUTED):
        raise ActionError(
            "instruction",
            "begins or ends with U+001C–1F, U+0085 or U+FEFF, which not everybody trims; remove it",
        )
    return text


def intent_hash(instruction: str) -> Digest:
    """``H({"instruction": TRIM(instruction)})`` (§4). Raises ActionError."""
    _check_text("instruction", instruction)
    try:
        return _hash({"instruction": trim(instruction)})
    except CanonicalError as error:
        raise ActionError("instruction", error.problem) from None


def canonical_query(raw: str | None) -> tuple[tuple[str, str], ...]:
    """The query as sorted ``(name, value)`` pairs (§4.2); absent and empty are both ``()``.

    Split on ``&``, then on the first ``=``, decode after splitting, sort by code point. An empty segment is
    ``("", "")``; duplicates stay. Invalid UTF-8 becomes U+FFFD, which is why deciding refuses it.
    """
    if not raw:
        return ()
    pairs = []
    for segment in raw.split("&"):
        name, _, value = segment.partition("=")
        pairs.append((_decode(name), _decode(value)))
    pairs.sort()
    return tuple(pairs)


def _decode(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def _hash(normalised: JSONObject) -> Digest:
    return Digest(hashlib.sha256(encode_normalised(normalised)).hexdigest())


def _check_text(name: str, text: object) -> None:
    if type(text) is not str:
        raise ActionError(name, f"is a {type(text).__name__}; send a string")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ActionError(name, "contains a lone surrogate") from None
