"""YAML 1.2 core, restricted to the values of JSON (§5), with the place of every key and value.

PyYAML's own constructor is not used: it reads YAML 1.1 (``NO`` is false, ``012`` is ten), keeps the last of
two equal keys without a word, follows aliases, and crashes the process on very deep nesting. Here its parser
gives events only; what may stand in a policy is decided event by event.

Not here: what the document means. See ``documents`` (schemas) and ``policy``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

from delego_spec.canonical import MAX_BYTES, MAX_DEPTH, normalise
from delego_spec.errors import CanonicalError, Problem
from delego_spec.types import JSON

Path: TypeAlias = tuple[str | int, ...]

# libyaml where PyYAML was built with it; the pure parser gives the same documents, ten times slower.
LOADER: Final[type[Any]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# YAML 1.2 printable characters, without the byte order mark and without U+2028 and U+2029, which libyaml
# would fold into blanks as line breaks of YAML 1.1. Nor characters that reorder what is read: with them, a
# rule is shown to its reviewer as a part of a comment, or a comment as a rule.
_UNREADABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u061b\u061d-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe"
    "\uff00-\ufffd\U00010000-\U0010ffff]"
)
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")

_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?")
_DECIMAL: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)")
_EXPONENT: Final = re.compile(_DECIMAL.pattern + r"[eE][-+]?[0-9]+")
_RADIX: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[Mapping[str, bool | None]] = MappingProxyType(
    dict.fromkeys(("", "~", "null", "Null", "NULL"), None)
    | dict.fromkeys(("true", "True", "TRUE"), True)
    | dict.fromkeys(("false", "False", "FALSE"), False)
)
_MAX_DIGITS: Final = 40  # more make no number that JSON peers agree on
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Place(NamedTuple):
    """Where something stands in a text; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says, and where it says it.

    ``value`` is canonical JSON wherever it is not ``broken``. ``complete`` is false when reading stopped
    early; then ``problems`` says why, and ``value`` means nothing.
    """

    value: JSON
    complete: bool = True
    problems: tuple[Problem, ...] = ()
    broken: frozenset[Path] = frozenset()  # places whose value was refused and replaced by null
    places: Mapping[Path, Place] = field(default_factory=dict)  # of values; empty for parsed input
    key_places: Mapping[Path, Place] = field(default_factory=dict)

    def problem(self, path: Path, text: str, *, at_key: bool = False) -> Problem:
        """A problem with its place: of the value, or of the key that leads to it."""
        place = self.key_places.get(path) if at_key else None
        place = place or self.places.get(path)
        return _problem(path, text, place)

    def is_broken(self, path: Path) -> bool:
        """True at and below a value that was refused while reading."""
        return any(path[:length] in self.broken for length in range(len(path) + 1))


def read_yaml(text: str, *, max_bytes: int = MAX_BYTES, loader: type[Any] = LOADER) -> Document:
    """Read one YAML 1.2 document of JSON values (JSON text is such a document). Never raises on a ``str``.

    Refused, each with its place: more than ``max_bytes`` bytes, characters that are not printable, a byte
    order mark, characters that reorder text, several documents, directives, anchors, aliases, tags, merge
    keys, equal keys, keys that are not strings, nesting over 64, and numbers that JSON does not write in
    plain digits. ``loader`` is one of PyYAML's two parsers.
    """
    refusal = _refuse_text(text, max_bytes)
    if refusal is not None:
        return Document(None, complete=False, problems=(refusal,))
    builder = _Builder()
    events = yaml.parse(text, Loader=loader)
    while not builder.stopped and (event := _next(events, builder)) is not None:
        builder.take(event)
    return builder.document()


def _next(events: Iterator[Any], builder: _Builder) -> Any:
    try:
        return next(events, None)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = None if mark is None else Place(mark.line + 1, mark.column + 1)
        builder.stop((), f"is not YAML: {_syntax(error)}", place)
    except (yaml.YAMLError, ValueError, OverflowError):  # the pure parser on \UFFFFFFFF or %YAML 99…9
        builder.stop((), "is not YAML: an escape or a directive holds an impossible number", None)
    return None


def path_text(path: Path) -> str:
    """``rules[2].constraints.amount``; the whole document is the empty text."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _IDENTIFIER.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{json.dumps(step[:80])}]")
    return "".join(parts)


def shown(value: object) -> str:
    """A value from the input as error texts quote it: one line, cut."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _problem(path: Path, text: str, place: Place | None) -> Problem:
    return Problem(path_text(path), text, *(place or (None, None)))


def _refuse_text(text: str, max_bytes: int) -> Problem | None:
    if len(text) > max_bytes:  # before any pass over it
        return Problem("", f"has more than {max_bytes} bytes, which is the limit")
    bad = _UNREADABLE.search(text)
    if bad is not None:
        before = text[: bad.start()]
        breaks = list(_LINE_BREAK.finditer(before))
        start = breaks[-1].end() if breaks else 0
        place = Place(len(breaks) + 1, bad.start() - start + 1)
        what = "a byte order mark" if bad[0] == "\ufeff" else f"the character U+{ord(bad[0]):04X}"
        return _problem((), f"contains {what}; remove it, or write it as an escape in double quotes", place)
    size = len(text.encode())
    if size > max_bytes:
        return Problem("", f"has {size} bytes; at most {max_bytes} are allowed")
    return None


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "the text cannot be read"
    if "escape code" in problem:  # JSON writers spell a character beyond U+FFFF as two escapes
        problem += " (write the character itself)"
    return f"{problem} {error.context}" if error.context else problem


@dataclass(slots=True)
class _List:
    """A sequence that is still open."""

    path: Path
    items: list[JSON]


@dataclass(slots=True)
class _Mapping:
    """A mapping that is still open."""

    path: Path
    members: dict[str, JSON]
    key: str | None = None  # whose value comes next; None: a key comes next


class _Builder:
    """Turns parser events into a Document."""

    def __init__(self) -> None:
        self.stopped = False
        self._value: JSON = None
        self._open: list[_List | _Mapping] = []
        self._documents = 0
        self._problems: list[Problem] = []
        self._broken: set[Path] = set()
        self._places: dict[Path, Place] = {}
        self._key_places: dict[Path, Place] = {}

    def document(self) -> Document:
        if not self._documents and not self.stopped:
            self.stop((), "is empty", Place(1, 1))
        return Document(
            self._value,
            not self.stopped,
            tuple(self._problems),
            frozenset(self._broken),
            self._places,
            self._key_places,
        )

    def stop(self, path: Path, text: str, place: Place | None) -> None:
        """Note a problem after which the rest cannot be read."""
        self._note(path, text, place)
        self.stopped = True

    def take(self, event: Any) -> None:
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, place)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._start(event, place)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, place)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._document_start(event, place)

    def _document_start(self, event: Any, place: Place) -> None:
        self._documents += 1
        if self._documents > 1:
            self.stop((), "holds more than one document; split the file at '---'", place)
        elif event.tags or event.version is not None:
            self.stop((), "has a % directive; leave it out, the file is read as YAML 1.2", place)

    def _scalar(self, event: Any, place: Place) -> None:
        self._refuse_properties(event, place)
        plain = event.implicit[0]
        mapping = self._awaiting_key()
        if mapping is not None:
            self._key(mapping, event.value, plain, place)
            return
        value, refusal = _resolve(event.value) if plain else _text(event.value)
        path = self._put(value, place)
        if refusal is not None:
            self._break(path, refusal, place)

    def _alias(self, event: Any, place: Place) -> None:
        text = f"uses the alias *{event.anchor:.40}; write the value out"
        if self._awaiting_key() is not None:
            self.stop(self._here(), text, place)
        else:
            self._break(self._put(None, place), text, place)

    def _start(self, event: Any, place: Place) -> None:
        self._refuse_properties(event, place)
        if self._awaiting_key() is not None:
            self.stop(self._here(), "has a key that is a list or a mapping; a key is a string", place)
        elif len(self._open) >= MAX_DEPTH:
            self.stop((), f"is nested deeper than {MAX_DEPTH} levels", place)
        elif isinstance(event, yaml.MappingStartEvent):
            members: dict[str, JSON] = {}
            self._open.append(_Mapping(self._put(members, place), members))
        else:
            items: list[JSON] = []
            self._open.append(_List(self._put(items, place), items))

    def _key(self, mapping: _Mapping, text: str, plain: bool, place: Place) -> None:
        refusal = _refuse_key(text) if plain else _text(text)[1]
        text = text.encode(errors="replace").decode()
        path = (*mapping.path, text)
        if refusal is not None:
            self._break(path, refusal, place)
        if text in mapping.members:
            first = self._key_places[path]
            where = f"first on line {first.line} column {first.column}"
            self._break(path, f"key {shown(text)} is given twice, {where}", place)
        else:
            self._key_places[path] = place
            mapping.members[text] = None
        mapping.key = text

    def _awaiting_key(self) -> _Mapping | None:
        """The innermost container, if what comes next is a key of it."""
        container = self._open[-1] if self._open else None
        return container if isinstance(container, _Mapping) and container.key is None else None

    def _here(self) -> Path:
        """The path of the value that comes next; of the mapping, where a key comes next."""
        if not self._open:
            return ()
        container = self._open[-1]
        if isinstance(container, _List):
            return (*container.path, len(container.items))
        return container.path if container.key is None else (*container.path, container.key)

    def _put(self, value: JSON, place: Place) -> Path:
        path = self._here()
        self._places[path] = place
        container = self._open[-1] if self._open else None
        if container is None:
            self._value = value
        elif isinstance(container, _List):
            container.items.append(value)
        elif container.key is not None:
            container.members[container.key] = value
            container.key = None
        return path

    def _refuse_properties(self, event: Any, place: Place) -> None:
        if event.anchor is not None:
            self._note(self._here(), f"has the anchor &{event.anchor:.40}; leave it out", place)
        if event.tag is not None:
            self._note(self._here(), f"has the tag {shown(event.tag)}; leave it out", place)

    def _break(self, path: Path, text: str, place: Place) -> None:
        self._note(path, text, place)
        self._broken.add(path)

    def _note(self, path: Path, text: str, place: Place | None) -> None:
        self._problems.append(_problem(path, text, place))


def _refuse_key(text: str) -> str | None:
    """Why a plain scalar may not be a key."""
    if text == "<<":
        return "has the merge key <<; write the keys out"
    value, refusal = _resolve(text)
    if refusal is None and isinstance(value, str):
        return None
    return f"has the key {shown(text)[1:-1]}, which is not a string; quote it"


def _text(text: str) -> tuple[JSON, str | None]:
    try:
        text.encode()
    except UnicodeEncodeError:  # from an escape; libyaml refuses it, the pure parser does not
        return None, "contains a lone surrogate"
    return text, None


def _resolve(text: str) -> tuple[JSON, str | None]:
    """A plain scalar's value under the core schema, or why it has none that JSON agrees on."""
    if text in _WORDS:
        return _WORDS[text], None
    if _JSON_NUMBER.fullmatch(text):
        return _number(text)
    if _DECIMAL.fullmatch(text):
        return None, f"{shown(text)} is read differently by different programs; {_write(_plainer(text))}"
    if _EXPONENT.fullmatch(text):
        return None, f"{shown(text)} has an exponent; write the digits out or quote it"
    if _RADIX.fullmatch(text):
        spelled = str(int(text, 0)) if len(text) <= _MAX_DIGITS else None
        return None, f"{shown(text)} is not a decimal number; {_write(spelled)}"
    if _NOT_FINITE.fullmatch(text):
        return None, f"{shown(text)} is not a finite number; quote it if it is meant as text"
    return text, None


def _number(text: str) -> tuple[JSON, str | None]:
    if len(text) > _MAX_DIGITS:
        return None, f"{shown(text)} has too many digits for a number; quote it"
    if "." not in text:
        number: int | float = int(text)
    else:
        number = float(text)
        if Decimal(repr(number)) != Decimal(text):  # a limit must not be rounded behind its author's back
            return None, f"{shown(text)} has more digits than a number keeps; write {number!r} or quote it"
    try:
        return normalise(number, name=text), None
    except CanonicalError as error:
        return None, f"{text} {error.problem}"


def _write(spelled: str | None) -> str:
    return "quote it" if spelled is None or len(spelled) > _MAX_DIGITS else f"write {spelled} or quote it"


def _plainer(text: str) -> str:
    """``05000``, ``+5``, ``.5``, ``5.`` in the spelling of JSON."""
    whole, _, fraction = text.lstrip("+-").partition(".")
    sign = "-" if text.startswith("-") else ""
    return sign + (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
