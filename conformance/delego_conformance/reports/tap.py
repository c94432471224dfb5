"""TAP 14 (testanything.org): one test point per vector, with a YAML block under whatever did not pass."""

from __future__ import annotations

import json
from collections.abc import Iterator

from delego_conformance.reports.figures import decides, passed, verdict_line
from delego_conformance.reports.words import (
    cut,
    expected_text,
    json_text,
    printable,
    reply_text,
    request_text,
)
from delego_conformance.results import Result, Run

_LONGEST = 4000


def render(run: Run) -> str:
    """The run as TAP.

    What is not claimed is SKIP. TODO is what does not cost the claim by itself: a known failure, and a level
    or a basis that does not decide.
    """
    one = run.implementation
    judge = f"delego-conformance {printable(run.kit_version)}"
    lines = [
        "TAP version 14",
        f"1..{len(run.results)}" + ("" if run.results else " # SKIP there are no vectors"),
        f"# {printable(f'{one.name} {one.version}')}, judged by {judge}",
    ]
    for number, result in enumerate(run.results, 1):
        lines += _point(run, number, result)
    lines.append(f"# {verdict_line(run)}")
    return "\n".join(lines) + "\n"


def _point(run: Run, number: int, result: Result) -> Iterator[str]:
    skipped = result.verdict == "not claimed"
    good = skipped or passed(result)
    name = _escaped(f"{result.vector.id} {result.vector.name}")
    yield f"{'ok' if good else 'not ok'} {number} - {name}{_directive(run, result)}"
    if not good:
        yield "  ---"
        for key, value in _diagnostics(result):
            yield f"  {key}: {_scalar(value)}"
        yield "  ..."


def _directive(run: Run, result: Result) -> str:
    if result.verdict == "not claimed":
        return " # SKIP " + _escaped(result.detail or "not claimed")
    if result.verdict == "known":
        return " # TODO " + _escaped(f"known: {result.known_reason or result.detail}")
    if result.verdict == "fixed":
        return " # TODO listed as a known failure, and passes: take it off the list"
    if not passed(result) and not decides(run, result):
        return f" # TODO {result.vector.level}, basis {result.vector.basis}: does not decide"
    return ""


def _diagnostics(result: Result) -> Iterator[tuple[str, str]]:
    vector = result.vector
    yield "verdict", result.verdict
    yield "message", printable(result.detail)
    yield "comment", printable(vector.comment)
    yield "level", vector.level
    yield "basis", vector.basis
    yield "clauses", printable(" ".join(vector.clauses))
    if vector.flags:
        yield "flags", printable(" ".join(vector.flags))
    for exchange in result.exchanges[-1:]:
        yield "request", request_text(exchange)
        yield "reply", reply_text(exchange)
        yield "expected", expected_text(exchange.expect)
        yield "expect_json", json_text(exchange.expect)
    if result.stderr.strip():
        yield "stderr", printable(result.stderr.strip())


def _scalar(text: str) -> str:
    """A double-quoted YAML scalar; JSON's escapes are YAML's."""
    return json.dumps(cut(text, _LONGEST))


def _escaped(text: str) -> str:
    """A description on one line in which nothing is taken for a directive."""
    return cut(printable(text), 300).replace("\\", "\\\\").replace("#", "\\#")
