"""JUnit XML, as CI systems read it: a suite per file of vectors, a case per vector."""

from __future__ import annotations

from itertools import groupby
from typing import Final
from xml.etree import ElementTree as ET

from delego_conformance.reports.figures import decides, passed, verdict_line
from delego_conformance.reports.words import cut, expected_text, printable, reply_text, request_text
from delego_conformance.results import Result, Run

_LONGEST: Final = 8000
_ERRORS: Final = frozenset({"error", "unstable"})


def render(run: Run) -> str:
    """The run as JUnit XML.

    Known failures, levels and a basis that do not decide, and what is not claimed are ``skipped``: they must
    not turn a build red by themselves.
    """
    root = ET.Element("testsuites", name=_clean(f"delego-conformance: {run.implementation.name}"))
    by_suite = groupby(sorted(run.results, key=lambda one: one.vector.suite), lambda one: one.vector.suite)
    for name, group in by_suite:
        _suite(root, run, name, list(group))
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("time", f"{run.seconds:.3f}")
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(root: ET.Element, run: Run, name: str, results: list[Result]) -> None:
    suite = ET.SubElement(root, "testsuite", name=_clean(name), timestamp=_clean(run.started[:19]))
    _properties(suite, run)
    for result in results:
        _case(suite, run, result)
    suite.set("tests", str(len(results)))
    for tag, name_of_count in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name_of_count, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", f"{sum(result.seconds for result in results):.3f}")


def _properties(suite: ET.Element, run: Run) -> None:
    one = run.implementation
    facts = {
        "implementation": f"{one.name} {one.version}",
        "language": one.language,
        "kit": run.kit_version,
        "profile": run.profile,
        "strict": "yes" if run.strict else "no",
        "seed": str(run.seed),
        "verdict": verdict_line(run),
    }
    properties = ET.SubElement(suite, "properties")
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=_clean(value))


def _case(suite: ET.Element, run: Run, result: Result) -> None:
    vector = result.vector
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_clean(f"delego.{vector.suite}"),
        name=_clean(f"{vector.id} {vector.name}"),
        time=f"{result.seconds:.3f}",
    )
    if passed(result):
        return
    if result.verdict == "not claimed":
        ET.SubElement(case, "skipped", message=_clean(result.detail or "not claimed"))
        return
    if result.verdict == "known":
        tag, message = "skipped", f"known: {result.known_reason or ''}; {result.detail}"
    elif not decides(run, result):
        tag, message = "skipped", f"{vector.level}, basis {vector.basis}, does not decide: {result.detail}"
    else:
        tag, message = "error" if result.verdict in _ERRORS else "failure", result.detail
    said = ET.SubElement(case, tag, message=_clean(message), type=result.verdict)
    said.text = _body(result)
    if result.stderr.strip():
        ET.SubElement(case, "system-err").text = _clean(result.stderr.strip())


def _body(result: Result) -> str:
    lines = [_clean(result.vector.comment), f"clauses: {_clean(' '.join(result.vector.clauses))}"]
    for exchange in result.exchanges[-1:]:
        lines += [
            f"request: {cut(request_text(exchange), _LONGEST)}",
            f"reply: {cut(reply_text(exchange), _LONGEST)}",
            f"expected: {cut(expected_text(exchange.expect), _LONGEST)}",
        ]
    return "\n".join(lines)


def _clean(text: str) -> str:
    """Text on one line; what XML forbids, even as a reference, is written out."""
    return cut(printable(text), _LONGEST)
