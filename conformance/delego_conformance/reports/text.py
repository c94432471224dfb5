"""The report for a terminal: what was judged, who is conformant, where it fails and why.

A first run has thousands of failures. Those that say most are shown in full, the others have a line each;
the other formats have all of everything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from delego_conformance.reports.figures import (
    LEVELS,
    Cell,
    cell,
    decides,
    demands,
    failures,
    heading,
    sections,
    verdict_line,
)
from delego_conformance.reports.words import (
    VERDICTS,
    cut,
    expected_text,
    plural,
    printable,
    reply_text,
    request_text,
)
from delego_conformance.results import Exchange, Result, Run
from delego_conformance.vectors import Level

DEFAULT_WIDTH: Final = 80
_NARROWEST: Final = 60
_LABEL: Final = 10  # columns of "request", "expected", …
_LONGEST: Final = 1200  # characters of one request or reply; the JSON report has all of them
_STDERR: Final = 400
_BASE64: Final = 60  # characters of an argument in base64; ``explain`` shows what it encodes
_IN_FULL: Final = 20  # failures
_UNTELLING: Final = ("unsupported", "vacuous")  # verdicts that follow from something that is known already

_STYLES: Final = {"good": "32", "bad": "31", "warn": "33", "strong": "1", "faint": "2"}


def render(run: Run, *, width: int | None = None, color: bool = False) -> str:
    """The report, no line but the verdict's wider than ``width`` columns (60 at least).

    ``color`` adds terminal styles and nothing else.
    """
    page = _Page(max(width or DEFAULT_WIDTH, _NARROWEST), color)
    _head(page, run)
    _roles(page, run)
    _matrix(page, run)
    failed = failures(run)
    if failed:
        page.title(plural(len(failed), "failure"))
        shown = _most_telling(failed)
        for result in shown:
            _failure(page, run, result)
        _others(page, run, shown, failed)
        _flags(page, run, shown)
    _fixed(page, run)
    page.blank()
    line = f"verdict: {verdict_line(run)}"
    page.add(page.style(line, "good" if run.conformant else "bad"))
    return "\n".join(page.lines) + "\n"


class _Page:
    """Lines of a fixed width."""

    def __init__(self, width: int, color: bool) -> None:
        self.width = width
        self.color = color
        self.lines: list[str] = []

    def style(self, text: str, name: str) -> str:
        return f"\x1b[{_STYLES[name]}m{text}\x1b[0m" if self.color else text

    def add(self, line: str) -> None:
        self.lines.append(line)

    def blank(self) -> None:
        self.lines.append("")

    def title(self, text: str) -> None:
        self.blank()
        self.add(self.style(text, "strong"))

    def labelled(self, label: str, text: str, *, indent: int = 2, columns: int = _LABEL) -> None:
        """A label, and beside it the text, wrapped."""
        room = max(self.width - indent - columns, 20)
        for number, line in enumerate(wrap(text, room)):
            name = label if number == 0 else ""
            self.add(f"{' ' * indent}{self.style(f'{name:<{columns}}', 'faint')}{line}".rstrip())


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters, broken at blanks where there are any, and not too many."""
    return textwrap.wrap(cut(text, _LONGEST), width, break_on_hyphens=False) or [""]


def _short(text: str, limit: int = 28) -> str:
    shown = printable(text)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def _head(page: _Page, run: Run) -> None:
    one = run.implementation
    page.add(page.style(f"delego-conformance {printable(run.kit_version)}", "strong"))
    page.blank()
    judged = f"{printable(one.name)} {printable(one.version)}"
    facts = [
        ("judged", f"{judged}, {printable(one.language)}" if one.language else judged),
        ("", printable(one.url)),
        ("command", printable(" ".join(one.command))),
        ("claims", printable(f"wire {', '.join(one.spec)}; {', '.join(one.roles) or 'no role'}")),
        ("features", printable(", ".join(one.features) or "none")),
        ("asked for", f"{demands(run)} (profile {run.profile}{', strict' if run.strict else ''})"),
        ("run", f"{printable(run.started)}, {run.seconds:.1f} s, seed {run.seed}, {_restarts(run)}"),
        ("verdicts", ", ".join(_counts(run))),
    ]
    for label, text in facts:
        if text:
            page.labelled(label, text, indent=0, columns=11)


def _restarts(run: Run) -> str:
    return plural(run.restarts, "restart") if run.restarts else "no restart"


def _counts(run: Run) -> Iterator[str]:
    for verdict in VERDICTS:
        if number := run.count(verdict):
            yield f"{number:,} {verdict}"


def _roles(page: _Page, run: Run) -> None:
    page.title("roles")
    if not run.roles:
        page.add("  none is claimed")
    widest = max((len(f"{role.passed}/{role.counted}") for role in run.roles), default=0)
    for role in run.roles:
        verdict, style = ("conformant", "good") if role.conformant else ("not conformant", "bad")
        figures = f"{role.passed}/{role.counted}"
        page.add(f"  {role.role:<12}{page.style(f'{verdict:<16}', style)}{figures:>{widest}}")


def _matrix(page: _Page, run: Run) -> None:
    page.title(f"{'sections':<{_title_room(page)}}" + "".join(f"{level:>11}" for level in LEVELS))
    for section in sections(run):
        here = run.of(section=section)
        if all(result.verdict == "not claimed" for result in here):
            continue
        number, name = map(printable, heading(section))
        title = f"  {number:<6}{name}"
        _figures(page, title, [_cell(run, here, level) for level in LEVELS])
    _figures(page, "  all", [_cell(run, run.results, level) for level in LEVELS])


def _cell(run: Run, results: Iterable[Result], level: Level) -> Cell:
    return cell(run, [result for result in results if result.vector.level == level])


def _title_room(page: _Page) -> int:
    return min(page.width, 100) - 11 * len(LEVELS)


def _figures(page: _Page, title: str, cells: Iterable[Cell]) -> None:
    room = _title_room(page)
    if len(title) > room - 1:
        title = title[: room - 2] + "…"
    drawn = []
    for one in cells:
        text = f"{f'{one.passed}/{one.counted}' if one.counted else '–':>11}"
        drawn.append(text if one.whole else page.style(text, one.tone))
    page.add(f"{title:<{room}}{''.join(drawn)}")


def _most_telling(failed: list[Result]) -> list[Result]:
    """All failures if they are few; otherwise the first ones that do not just follow from something else."""
    if len(failed) <= _IN_FULL:
        return failed
    return [result for result in failed if result.verdict not in _UNTELLING][:_IN_FULL]


def _others(page: _Page, run: Run, shown: list[Result], failed: list[Result]) -> None:
    """A line for each that is not shown, and one for each operation that is missing."""
    told = {id(result) for result in shown}
    failed = [result for result in failed if id(result) not in told]
    if not failed:
        return
    more = f"{len(failed):,} more; " if shown else ""
    page.title(f"{more}'delego-conformance explain ID' says all about one")
    missing: dict[str, list[str]] = {}
    for result in failed:
        vector = result.vector
        if result.verdict == "unsupported":
            op = next((str(one.request.get("op", "?")) for one in result.exchanges[-1:]), "?")
            missing.setdefault(printable(op), []).append(printable(vector.id))
            continue
        level = "" if decides(run, result) else f"{vector.level} "
        line = f"  {result.verdict:<12}{_short(vector.id)}  {level}{printable(vector.comment)}"
        page.add(line if len(line) <= page.width else f"{line[: page.width - 1]}…")
    for op, ids in missing.items():
        page.labelled("unsupported", f"{op}: {plural(len(ids), 'vector')}, {ids[0]} is one", columns=12)


def _failure(page: _Page, run: Run, result: Result) -> None:
    vector = result.vector
    page.blank()
    verdict = page.style(f"{result.verdict:<12}", "warn" if result.verdict == "known" else "bad")
    aside = "" if decides(run, result) else " (does not decide)"
    page.add(f"{verdict}{page.style(_short(vector.id), 'strong')}  {vector.level}{aside}")
    for line in wrap(printable(vector.comment), page.width - 2):
        page.add(f"  {line}")
    about = " ".join(printable(clause) for clause in vector.clauses) or f"§{printable(vector.section)}"
    page.labelled("clause", f"{about}, basis {vector.basis}, {printable(vector.name)}")
    if vector.flags:
        page.labelled("flags", ", ".join(map(printable, vector.flags)))
    _exchanges(page, result.exchanges)
    page.labelled("because", printable(result.detail))
    if result.known_reason:
        page.labelled("known", printable(result.known_reason))
    if result.stderr.strip():
        page.labelled("stderr", _tail(printable(result.stderr.strip())))


def _exchanges(page: _Page, exchanges: tuple[Exchange, ...]) -> None:
    """The last one in full: the runner stops at the step that failed."""
    for number, earlier in enumerate(exchanges[:-1], 1):
        said = cut(reply_text(earlier), 120)
        page.labelled(f"step {number}", f"{printable(str(earlier.request.get('op', '?')))}: {said}")
    for last in exchanges[-1:]:
        page.labelled("request", request_text(_without_base64(last)))
        page.labelled("reply", reply_text(last))
        page.labelled("expected", expected_text(last.expect))


def _without_base64(exchange: Exchange) -> Exchange:
    """The exchange with the arguments cut that nobody can read."""
    args = exchange.request.get("args")
    if not isinstance(args, dict):
        return exchange
    legible = {
        name: cut(value, _BASE64) if name.endswith("_b64") and isinstance(value, str) else value
        for name, value in args.items()
    }
    return replace(exchange, request={**exchange.request, "args": legible})


def _tail(text: str) -> str:
    return text if len(text) <= _STDERR else f"({len(text) - _STDERR:,} characters before) …{text[-_STDERR:]}"


def _flags(page: _Page, run: Run, failed: list[Result]) -> None:
    used = sorted({flag for result in failed for flag in result.vector.flags if flag in run.notes})
    if not used:
        return
    page.title("what the flags stand for")
    for flag in used:
        note = run.notes[flag]
        told = " ".join(str(note[part]) for part in ("description", "effect") if note.get(part))
        kind = _short(str(note.get("bugType", "")), 20)
        page.add(f"  {page.style(_short(flag), 'strong')} ({kind})")
        for line in wrap(printable(told), page.width - 4):
            page.add(f"    {line}")


def _fixed(page: _Page, run: Run) -> None:
    fixed = [printable(result.vector.id) for result in run.results if result.verdict == "fixed"]
    if fixed:
        page.title("known failures that pass now: take them off the list")
        for line in wrap(", ".join(fixed), page.width - 2):
            page.add(f"  {line}")
