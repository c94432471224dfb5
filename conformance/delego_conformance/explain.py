"""All that is known about one vector, for a person whose implementation fails it."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, Final

from delego_conformance.reports.words import expected_text, plural, printable
from delego_conformance.runner import request_of
from delego_conformance.vectors import JSONObject, Vector

WIDTH: Final = 100  # columns
_LONGEST: Final = 6000  # characters of one text; --json has all of it
_BASE64: Final = 60  # characters of base64 in the request


def load_clauses() -> dict[str, JSONObject]:
    """Clause id → section, title, marks, text: the sentences of SPEC.md."""
    file = resources.files("delego_conformance") / "clauses.json"
    found: dict[str, JSONObject] = json.loads(file.read_text(encoding="utf-8"))
    return found


def explanation(
    vector: Vector, clauses: Mapping[str, JSONObject], notes: Mapping[str, JSONObject]
) -> JSONObject:
    """The same as ``explain`` says, as a JSON object."""
    relation = vector.relation
    return {
        **vector.facts(),
        "errata": list(vector.errata),
        "clauses": {one: clauses.get(one, {}).get("text") for one in vector.clauses},
        "flags": {one: notes.get(one) for one in vector.flags},
        "control": vector.control,
        "relation": relation and {relation.kind: relation.other, "member": relation.member},
        "steps": [
            {"request": request_of(vector, number), "bind": dict(step.bind), "expect": step.expect}
            for number, step in enumerate(vector.steps, 1)
        ],
        "trace": [{"label": label, "text": text} for label, text in vector.trace],
    }


def explain(
    vector: Vector,
    clauses: Mapping[str, JSONObject],
    notes: Mapping[str, JSONObject],
    *,
    width: int = WIDTH,
) -> str:
    """What a vector asks, expects and stands for; no line wider than ``width`` columns."""
    return "\n".join(_lines(vector, clauses, notes, width)) + "\n"


def _lines(
    vector: Vector, clauses: Mapping[str, JSONObject], notes: Mapping[str, JSONObject], width: int
) -> Iterator[str]:
    yield from _prose(f"{vector.id}  {vector.name}", width, "")
    yield from _prose(vector.comment, width, "")
    yield ""
    yield from _facts(vector, width)
    yield from _title("What SPEC.md says")
    for one in vector.clauses:
        clause = clauses.get(one)
        marks = "".join(f"[{mark}] " for mark in clause["marks"]) if clause else ""
        yield from _prose(f"{one}  {marks}{clause['text'] if clause else '(unknown to this kit)'}", width)
    if vector.flags:
        yield from _title("What a failure stands for")
    for flag in vector.flags:
        note = notes.get(flag, {})
        yield from _prose(f"{flag} ({note.get('bugType', '?')}): {note.get('description', '')}", width)
        yield from _prose(f"Effect: {note.get('effect', '')}", width, "    ")
    for number, step in enumerate(vector.steps, 1):
        which = f" {number} of {len(vector.steps)}" if len(vector.steps) > 1 else ""
        yield from _title(f"Request{which}, as sent")
        yield from _request(request_of(vector, number), width)
        yield from _spelled_out(step.args, width)
        yield from _title(f"Expected{which}")
        yield from _block(expected_text(step.expect), width)
        for name, member in step.bind.items():
            yield from _prose(f"Its {member} takes the place of ${{{name}}} in later requests.", width)
    if vector.trace:
        yield from _title("On the way to the answer")
    for number, (label, text) in enumerate(vector.trace, 1):
        yield from _prose(f"{number}. {label}", width)
        yield from _block(text, width, "     ")


def _facts(vector: Vector, width: int) -> Iterator[str]:
    facts = [
        ("section", f"§{vector.section}"),
        ("level", vector.level),
        ("basis", vector.basis),
        ("roles", ", ".join(vector.roles)),
        ("requires", ", ".join(vector.requires)),
        ("errata", ", ".join(map(str, vector.errata))),
        ("suite", vector.suite),
    ]
    if vector.control is not None:
        facts.append(("control", f"{vector.control}: unless that one is answered rightly, this is vacuous"))
    if vector.relation is not None:
        kind = "the same as" if vector.relation.kind == "same_as" else "another than"
        facts.append(("relation", f"{vector.relation.member} is {kind} that of {vector.relation.other}"))
    for name, value in facts:
        if value:
            yield from _prose(f"{name + ':':<10} {value}", width, "")


def _request(request: JSONObject, width: int) -> Iterator[str]:
    """The line that is sent; base64 in it is cut, because what it encodes follows."""
    args = request.get("args", {})
    cut = {
        name: f"{value[:_BASE64]}… (--json shows all {len(value):,} characters)"
        for name, value in args.items()
        if name.endswith("_b64") and isinstance(value, str) and len(value) > _BASE64
    }
    line = json.dumps({**request, "args": {**args, **cut}}, separators=(",", ":"), ensure_ascii=not cut)
    yield from _block(line, width)


def _spelled_out(args: JSONObject, width: int) -> Iterator[str]:
    """The texts within the arguments, without the escapes of the JSON around them."""
    for name, value in _texts(args, ""):
        if name.endswith("_b64"):
            yield from _decoded(name, value, width)
        elif "\\" in json.dumps(value)[1:-1] or len(value) > width:
            yield from _prose(f"{name} is", width)
            yield from _block(value, width, "     ")


def _decoded(name: str, value: str, width: int) -> Iterator[str]:
    """The lines that base64 encodes, numbered as in a verdict; bytes that are not UTF-8 as ``\\xff``."""
    try:
        text = base64.b64decode(value, validate=True).decode("utf-8", "backslashreplace")
    except ValueError:
        return
    lines = text.removesuffix("\n").split("\n") if text else []
    ending = "" if text.endswith("\n") or not text else ", the last one without its line feed"
    yield from _prose(f"{name} is, decoded, {plural(len(lines), 'line')}{ending}", width)
    for number, line in enumerate(lines):
        yield f"    line {number}"
        yield from _block(line, width, "     ")


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from _texts(inner, f"{path}.{name}" if path else str(name))


def _title(text: str) -> tuple[str, str]:
    return "", text


def _prose(text: str, width: int, indent: str = "  ") -> list[str]:
    wrapped = textwrap.wrap(
        printable(text), width, initial_indent=indent, subsequent_indent=indent + "  ", break_on_hyphens=False
    )
    return wrapped or [""]


def _block(text: str, width: int, indent: str = "  ") -> Iterator[str]:
    """Text as it is, cut into lines at the width alone; line feeds in it begin a line."""
    room = width - len(indent)
    shown = (
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… (--json shows all {len(text):,} characters)"
    )
    for line in shown.removesuffix("\n").split("\n"):
        safe = printable(line)
        for start in range(0, max(len(safe), 1), room):
            yield f"{indent}{safe[start : start + room]}"
