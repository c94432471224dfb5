"""Several implementations side by side, made of their JSON reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from delego_conformance.reports.figures import cell, heading, passed, section_key, sections, verdict_line
from delego_conformance.reports.html import tone
from delego_conformance.reports.page import page, text
from delego_conformance.results import Result, Run

_ROLES: Final = ("authorizer", "broker", "auditor")


def render_matrix(runs: Sequence[Run]) -> str:
    """One HTML page: roles and sections by implementation, and each vector that somebody does not pass."""
    title = f"{len(runs)} implementations of the delego protocol"
    body = [
        '<header><p class="kicker">Conformance to the delego protocol</p><h1>Implementations compared</h1>',
        _profiles(runs),
        "</header><h2>Roles</h2>",
        _table(runs, "Role", [(role, [_role(run, role) for run in runs]) for role in _ROLES]),
        "<h2>Sections</h2><p>Vectors passed, of those whose role and features are claimed.</p>",
        _table(runs, "Section of the protocol", _section_rows(runs)),
        "<h2>Vectors that not all of them pass</h2>",
        _table(runs, "Vector", _vector_rows(runs)),
    ]
    return page(title, "\n".join(body))


def _profiles(runs: Sequence[Run]) -> str:
    lines = [
        f"<dt>{text(run.implementation.name)} {text(run.implementation.version)}</dt>"
        f'<dd><span class="{"good" if run.conformant else "bad"}">{text(verdict_line(run))}</span> '
        f'<span class="quiet">(profile {run.profile}{", strict" if run.strict else ""}; '
        f"kit {text(run.kit_version)}; {text(run.started)})</span></dd>"
        for run in runs
    ]
    digests = {tuple(sorted(run.vectors_sha256.items())) for run in runs}
    mixed = len(digests) > 1 or len({(run.profile, run.strict) for run in runs}) > 1
    warning = "These runs used different vectors or profiles; their figures cannot be compared one by one."
    return f'<dl class="facts">{"".join(lines)}</dl>' + (f'<p class="warn">{warning}</p>' if mixed else "")


def _table(runs: Sequence[Run], corner: str, rows: list[tuple[str, list[tuple[str, str]]]]) -> str:
    if not rows:
        return "<p>None.</p>"
    head = "".join(f'<th scope="col">{text(run.implementation.name)}</th>' for run in runs)
    lines = "".join(
        f'<tr><th scope="row">{label}</th>'
        + "".join(f'<td class="{colour}">{text(shown)}</td>' for colour, shown in cells)
        + "</tr>"
        for label, cells in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">{corner}</th>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _role(run: Run, role: str) -> tuple[str, str]:
    for one in run.roles:
        if one.role == role:
            word = "✓ conformant" if one.conformant else "✗ not conformant"
            return "good" if one.conformant else "bad", f"{word}, {one.passed}/{one.counted}"
    return "quiet", "not claimed"


def _section_rows(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, str]]]]:
    names = sorted({section for run in runs for section in sections(run)}, key=section_key)
    return [(text(" ".join(heading(name))), [_section(run, name) for run in runs]) for name in names]


def _section(run: Run, section: str) -> tuple[str, str]:
    figures = cell(run, run.of(section=section))
    if not figures.counted:
        return "quiet", "–"
    return figures.tone, f"{figures.passed}/{figures.counted} {'✓' if figures.whole else '✗'}"


def _vector_rows(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, str]]]]:
    tables = [{result.vector.id: result for result in run.results} for run in runs]
    found: dict[str, Result] = {}
    for run in runs:
        for result in run.results:
            if not passed(result) and result.verdict != "not claimed":
                found.setdefault(result.vector.id, result)
    return [
        (
            f"<strong>{text(one)}</strong> {text(found[one].vector.level)} {text(found[one].vector.comment)} "
            f'<span class="quiet">{text(found[one].vector.name)}</span>',
            [_verdict(table.get(one)) for table in tables],
        )
        for one in sorted(found)
    ]


def _verdict(result: Result | None) -> tuple[str, str]:
    return ("quiet", "–") if result is None else (tone(result.verdict), result.verdict)
