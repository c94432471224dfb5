"""Documents that people write (policy, configuration): a schema's verdict in plain sentences.

All problems are reported at once, each with its path, its place where one is known, and what would be right.
A schema may say more about a place than JSON Schema has words for, in two annotations: ``x-hint``, a sentence
added to problems there, and ``x-key``, what a key is called there (``unknown constraint 'amuont'``).

Remote references are impossible: a schema that holds one is refused when it is compiled.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

import jsonschema_rs

from delego_spec.canonical import normalise
from delego_spec.errors import CanonicalError, Problem
from delego_spec.types import JSON, JSONObject
from delego_spec.yaml_reader import Document, Path, path_text, read_yaml, shown

__all__ = [
    "Document",
    "DocumentSchema",
    "Path",
    "by_place",
    "parsed_document",
    "path_text",
    "read_yaml",
    "shown",
]

_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "array": "a list",
        "boolean": "true or false",
        "integer": "a whole number",
        "null": "null",
        "number": "a number",
        "object": "a mapping",
        "string": "a string",
    }
)


def parsed_document(value: object) -> Document:
    """A document that another parser (TOML) has read: canonical values, no places. Never raises."""
    try:
        return Document(normalise(value))
    except CanonicalError as error:
        path = error.path.removeprefix("$").removeprefix(".")
        return Document(None, complete=False, problems=(Problem(path, error.problem),))


class DocumentSchema:
    """A compiled JSON Schema, draft 2020-12."""

    __slots__ = ("_schema", "_validator")

    def __init__(self, schema: JSONObject) -> None:
        """Raises ValueError for a schema that is malformed or refers to anything outside itself."""
        self._schema = schema
        self._validator = jsonschema_rs.Draft202012Validator(schema, retriever=_refuse_retrieval)

    def problems(self, document: Document) -> list[Problem]:
        """Everything that is wrong: what reading found, and what the schema says of the rest; by place."""
        found = list(document.problems)
        if document.complete:
            seen: set[tuple[object, ...]] = set()
            for error in self._validator.iter_errors(document.value):
                where = (*error.instance_path, None, error.schema_path[-1])
                if where not in seen:  # one error per missing key, and one sentence for all of them
                    seen.add(where)
                    found.extend(self._sentences(document, error))
        return by_place(found)

    def _sentences(self, document: Document, error: jsonschema_rs.ValidationError) -> Iterable[Problem]:
        path: Path = tuple(error.instance_path)
        keyword = str(error.schema_path[-1])
        schema = self._part(error.schema_path[:-1])
        if document.is_broken(path):
            return
        if keyword == "additionalProperties":
            yield from self._unknown_keys(document, path, schema)
        elif keyword == "required":
            yield from self._missing_keys(document, path, schema)
        else:
            say = _SENTENCES.get(keyword)
            value = _value_at(document.value, path)
            text = error.message if say is None else say(value, schema, _name(path))
            close = _closest(value, _words(schema)) if keyword == "enum" else ""
            yield document.problem(path, f"{text}{_hint(schema)}{close}")

    def _unknown_keys(self, document: Document, path: Path, schema: JSONObject) -> Iterable[Problem]:
        known = sorted(_members(schema.get("properties")))
        noun = schema.get("x-key", "key")
        for key in _members(_value_at(document.value, path)):
            here = (*path, key)
            if key not in known and not document.is_broken(here):
                text = f"unknown {noun} {shown(key)}; known: {', '.join(known)}{_closest(key, known)}"
                yield document.problem(here, text, at_key=True)

    def _missing_keys(self, document: Document, path: Path, schema: JSONObject) -> Iterable[Problem]:
        present = _members(_value_at(document.value, path))
        required = schema["required"]
        for key in required if isinstance(required, list) else ():
            if isinstance(key, str) and key not in present:
                wanted = self._resolve(_members(schema.get("properties")).get(key))
                use = f"; use {_either(_words(wanted))}" if "enum" in wanted else ""
                yield document.problem(path, f"is missing the key {shown(key)}{use}{_hint(wanted)}")

    def _part(self, steps: Iterable[str | int]) -> JSONObject:
        """The subschema at a path of the validator; some of its versions step through ``$ref``, some land
        on the target at once."""
        part: Any = self._schema
        for step in steps:
            part = self._resolve(part) if step == "$ref" else part[step]
        return self._resolve(part)

    def _resolve(self, part: Any) -> JSONObject:
        target: Any = part if isinstance(part, dict) else {}
        if "$ref" in target:
            steps = target["$ref"].removeprefix("#/").split("/")
            target = self._schema
            for step in steps:
                target = target[step]
        result: JSONObject = target
        return result


def by_place(problems: Iterable[Problem]) -> list[Problem]:
    """From the top of the text to its end; problems without a place first."""
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0))


def _refuse_retrieval(uri: str) -> NoReturn:
    raise ValueError(f"a schema may not refer to {uri!r:.80}")


def _members(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _value_at(value: JSON, path: Path) -> JSON:
    found: Any = value
    for step in path:
        found = found[step]
    result: JSON = found
    return result


def _name(path: Path) -> str:
    return next((step for step in reversed(path) if isinstance(step, str)), "value")


def _hint(schema: JSONObject) -> str:
    hint = schema.get("x-hint")
    return f"; {hint}" if isinstance(hint, str) else ""


def _closest(text: object, known: Iterable[str]) -> str:
    if not isinstance(text, str) or len(text) > 40:
        return ""
    close = difflib.get_close_matches(text.lower(), known, n=1)
    return f"; did you mean {shown(close[0])}?" if close else ""


def _either(options: Iterable[str]) -> str:
    *most, last = options
    return f"{', '.join(most)} or {last}" if most else last


def _words(schema: JSONObject) -> list[str]:
    options = schema["enum"]
    return [str(option) for option in options] if isinstance(options, list) else []


def _wrong_type(value: JSON, schema: JSONObject, _: str) -> str:
    wanted = schema["type"]
    names = [wanted] if isinstance(wanted, str) else wanted
    kinds = _either(_TYPES[str(name)] for name in names) if isinstance(names, list) else str(names)
    return f"is {shown(value)}; wanted {kinds}"


def _wrong_word(value: JSON, schema: JSONObject, name: str) -> str:
    return f"unknown {name} {shown(value)}; use {_either(_words(schema))}"


# keyword -> (value, subschema, name of the place) -> sentence
_SENTENCES: Final[Mapping[str, Callable[[JSON, JSONObject, str], str]]] = MappingProxyType(
    {
        "type": _wrong_type,
        "enum": _wrong_word,
        "minimum": lambda value, schema, _: f"is {shown(value)}; at least {schema['minimum']} is wanted",
        "maximum": lambda value, schema, _: f"is {shown(value)}; at most {schema['maximum']} is allowed",
        "minLength": lambda *_: "is an empty text",
        "maxLength": lambda _, schema, __: (
            f"is too long; at most {schema['maxLength']} characters are allowed"
        ),
        "minItems": lambda *_: "is an empty list",
        "minProperties": lambda *_: "is empty",
        "uniqueItems": lambda *_: "names one value twice",
        "pattern": lambda value, *_: f"{shown(value)} does not have the form that is wanted",
    }
)
