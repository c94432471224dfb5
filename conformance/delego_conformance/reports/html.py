"""The report as one HTML page that works from disk, without a network and without its script."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Final

from delego_conformance.reports.figures import (
    LEVELS,
    cell,
    decides,
    demands,
    failures,
    heading,
    passed,
    sections,
    verdict_line,
)
from delego_conformance.reports.page import anchor, asset, page, text
from delego_conformance.reports.words import (
    VERDICTS,
    cut,
    expected_text,
    json_text,
    plain,
    plural,
    printable,
)
from delego_conformance.results import AGAINST, Exchange, Result, Run, Verdict
from delego_conformance.vectors import DEFAULT_CTX, JSONObject, Level

_LONGEST: Final = 6000  # characters of one block; the JSON report has all of them
_TONES: Final[dict[Verdict, str]] = {"pass": "good", "fixed": "warn", "known": "warn", "not claimed": "quiet"}


def render(run: Run) -> str:
    """The page."""
    one = run.implementation
    title = f"{one.name} {one.version}: {'conformant' if run.conformant else 'not conformant'}"
    parts = [
        '<a class="skip" href="#results">Skip to the results</a>',
        _header(run),
        _roles(run),
        _matrix(run),
        '<h2 id="results">Results</h2>',
        _filter(run),
        *_groups(run),
        _flags(run),
        _footer(run),
    ]
    return page(title, "\n".join(part for part in parts if part), asset("report.js"))


def tone(verdict: Verdict) -> str:
    """The colour of a verdict; the word always stands beside it."""
    return _TONES.get(verdict, "bad")


def _header(run: Run) -> str:
    one = run.implementation
    good = "good" if run.conformant else "bad"
    facts = {
        "Language": text(one.language),
        "Home": _link(one.url),
        "Command": f"<code>{text(' '.join(one.command))}</code>",
        "Wire version": text(", ".join(one.spec)),
        "Features": text(", ".join(one.features) or "none"),
        "Run": f"{text(run.started)}, {run.seconds:.1f} s, seed {run.seed}, "
        f"{plural(run.restarts, 'restart')} of the implementation",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items() if value)
    mark = "✓" if run.conformant else "✗"
    asked = f"Asked for: {demands(run)} (profile {run.profile}{', strict' if run.strict else ''})."
    return (
        '<header><p class="kicker">Conformance to the delego protocol</p>'
        f"<h1>{text(one.name)} <span class='quiet'>{text(one.version)}</span></h1>"
        f'<p class="banner {good}">{mark} {text(verdict_line(run)).capitalize()}'
        f"<small>{asked}</small></p>"
        f'<dl class="facts">{rows}</dl>{_chips(run)}</header>'
    )


def _link(url: str) -> str:
    """A link only where a browser would open a web page; any other text is shown as it is."""
    if url.startswith(("https://", "http://")) and url.isascii() and url.isprintable() and " " not in url:
        return f'<a href="{text(url)}" rel="noreferrer noopener">{text(url)}</a>'
    return text(url)


def _chips(run: Run) -> str:
    chips = [
        f'<li class="tag {tone(verdict)}" title="{text(meaning)}">{run.count(verdict):,} {verdict}</li>'
        for verdict, meaning in VERDICTS.items()
        if run.count(verdict)
    ]
    return f'<ul class="chips" aria-label="Verdicts">{"".join(chips)}</ul>'


def _roles(run: Run) -> str:
    if not run.roles:
        return "<h2>Roles</h2><p>The implementation claims no role.</p>"
    cards = []
    for role in run.roles:
        mark, word, good = ("✓", "conformant", "good") if role.conformant else ("✗", "not conformant", "bad")
        share = 100 * role.passed / role.counted if role.counted else 0
        cards.append(
            f'<li><strong>{text(role.role)}</strong> <span class="{good}">{mark} {word}</span><br>'
            f'<span class="quiet">{role.passed:,} of {plural(role.counted, "vector")} passed</span>'
            f'<svg class="bar {good}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
            f'<rect width="{share:.2f}" height="6"/></svg></li>'
        )
    return f'<h2>Roles</h2><ul class="cards">{"".join(cards)}</ul>'


def _matrix(run: Run) -> str:
    head = "".join(f'<th scope="col" class="number">{level}</th>' for level in LEVELS)
    rows = []
    for section in sections(run):
        here = run.of(section=section)
        cells = "".join(
            _cell(run, [one for one in here if one.vector.level == level], _group_id(section, level))
            for level in LEVELS
        )
        title = text(" ".join(heading(section)))
        rows.append(f'<tr><th scope="row">{title}</th>{cells}</tr>')
    total = "".join(_cell(run, run.of(level=level), None) for level in LEVELS)
    return (
        '<h2>Sections</h2><div class="scroll"><table><thead><tr><th scope="col">Section of the protocol</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
        f'<tfoot><tr><th scope="row">All</th>{total}</tr></tfoot></table></div>'
    )


def _cell(run: Run, results: list[Result], target: str | None) -> str:
    figures = cell(run, results)
    if not figures.counted:
        return '<td class="number quiet">–</td>'
    shown = f"{figures.passed:,}/{figures.counted:,} {'✓' if figures.whole else '✗'}"
    linked = f'<a href="#{target}">{shown}</a>' if target else shown
    return f'<td class="number {figures.tone}">{linked}</td>'


def _group_id(section: str, level: Level) -> str:
    return f"s-{anchor(section)}-{level}"


def _filter(run: Run) -> str:
    verdicts = [("", "all"), *((one, f"{one} ({run.count(one)})") for one in VERDICTS if run.count(one))]
    if failures(run):
        verdicts.insert(0, ("against", f"not passed ({len(failures(run))})"))
    roles = sorted({role for result in run.results for role in result.vector.roles})
    fields = [
        _select("verdict", "Verdict", verdicts),
        _select("role", "Role", [("", "all"), *((one, one) for one in roles)]),
        _select("level", "Level", [("", "all"), *((one, one) for one in LEVELS)]),
        '<label class="wide">Text<input type="search" name="text" autocomplete="off"></label>',
        '<button type="reset">Reset</button>',
        '<p id="count" role="status"></p>',
    ]
    return f'<form id="filter" hidden aria-label="Filter the results">{"".join(fields)}</form>'


def _select(name: str, label: str, options: list[tuple[str, str]]) -> str:
    listed = "".join(f'<option value="{text(value)}">{text(shown)}</option>' for value, shown in options)
    return f'<label>{label}<select name="{name}">{listed}</select></label>'


def _groups(run: Run) -> Iterator[str]:
    for section in sections(run):
        here = run.of(section=section)
        yield f'<section class="group"><h3>{text(" ".join(heading(section)))}</h3>'
        for level in LEVELS:
            of_level = [result for result in here if result.vector.level == level]
            if of_level:
                yield f'<div class="group" id="{_group_id(section, level)}"><h4>{level}</h4>'
                yield from (_result(run, result) for result in of_level)
                yield "</div>"
        yield "</section>"


def _result(run: Run, result: Result) -> str:
    vector = result.vector
    against = "yes" if result.verdict in AGAINST else "no"
    data = (
        f'class="one" id="{anchor(vector.id)}" data-verdict="{result.verdict}" data-against="{against}" '
        f'data-roles="{text(" ".join(vector.roles))}" data-level="{vector.level}"'
    )
    line = (
        f'<span class="tag {tone(result.verdict)}">{result.verdict}</span>'
        f'<span class="id">{text(vector.id)}</span>{text(vector.comment)} '
        f'<span class="quiet">{text(vector.name)}</span>'
    )
    if passed(result) and not result.detail:
        return f"<div {data}>{line}</div>"
    if result.verdict == "not claimed":
        return f'<div {data}>{line} <span class="quiet">{text(result.detail)}</span></div>'
    return f'<details {data}><summary>{line}</summary><div class="body">{_body(run, result)}</div></details>'


def _body(run: Run, result: Result) -> str:
    vector = result.vector
    decisive = "" if decides(run, result) else ", does not decide"
    facts = {
        "Clauses": text(", ".join(vector.clauses)),
        "Level, basis": f"{vector.level}, {vector.basis}{decisive}",
        "Flags": ", ".join(
            f'<a href="#flag-{anchor(flag)}">{text(flag)}</a>' if flag in run.notes else text(flag)
            for flag in vector.flags
        ),
        "Because": f"<strong>{text(result.detail)}</strong>",
        "Control": f'<a href="#{anchor(vector.control)}">{text(vector.control)}</a>'
        if vector.control
        else "",
        "Known": text(result.known_reason or ""),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items() if value)
    parts = [f'<dl class="facts">{rows}</dl>']
    for number, exchange in enumerate(result.exchanges, 1):
        parts.append(_exchange(exchange, f" {number}" if len(result.exchanges) > 1 else ""))
    if result.stderr.strip():
        lines = "\n".join(text(line) for line in result.stderr.strip()[-_LONGEST:].split("\n"))
        parts.append(f"<h4>STANDARD ERROR</h4>{_block(lines, 'standard error')}")
    return "".join(parts)


def _exchange(exchange: Exchange, number: str) -> str:
    request = exchange.request
    ctx = request.get("ctx", DEFAULT_CTX)
    shown: JSONObject = {"op": request.get("op"), "args": request.get("args", {})}
    if ctx != DEFAULT_CTX:
        shown["ctx"] = ctx
    parts = [f"<h4>REQUEST{number}</h4>{_json(shown, 'request')}"]
    args = request.get("args")
    for name, value in args.items() if isinstance(args, dict) else ():
        if isinstance(value, str) and "\n" in value.strip():
            lines = "\n".join(text(line) for line in value[:_LONGEST].split("\n"))
            parts.append(f'<p class="quiet">{text(name)}, line by line</p>{_block(lines, str(name))}')
    parts.append(f"<h4>REPLY{number}</h4>")
    if exchange.problem:
        parts.append(f'<p class="bad">{text(exchange.problem)}</p>')
    if exchange.reply is not None:
        reply = {name: value for name, value in exchange.reply.items() if name != "id"}
        parts.append(_json(reply, "reply"))
    parts.append(f"<h4>EXPECTED{number}</h4>")
    if exchange.expect.keys() == {"ok"}:  # as the reply is drawn, so that both can be compared by eye
        parts.append(_json(exchange.expect, "expected"))
    else:
        parts.append(_block(text(expected_text(exchange.expect), _LONGEST), "expected"))
    return "".join(parts)


def _json(value: JSONObject, label: str) -> str:
    """Indented JSON; the lines are ours, all else in them is escaped."""
    written = json.dumps(plain(value), ensure_ascii=False, indent=2)
    lines = [_safe(line) for line in cut(written, _LONGEST).split("\n")]
    return _block("\n".join(lines), label)


def _safe(line: str) -> str:
    return text(
        "".join(char if printable(char) == char else json_text(char)[1:-1] for char in line), _LONGEST
    )


def _block(markup: str, label: str) -> str:
    return f'<pre tabindex="0" aria-label="{text(label)}">{markup}</pre>'


def _flags(run: Run) -> str:
    hits = Counter(flag for result in failures(run) for flag in result.vector.flags if flag in run.notes)
    if not hits:
        return ""
    entries = []
    for flag, hit in hits.most_common():
        note = run.notes[flag]
        kind = f'<span class="tag">{text(note.get("bugType", ""))}</span>'
        entries.append(
            f'<dt id="flag-{anchor(flag)}">{text(flag)} {kind} '
            f'<span class="quiet">{plural(hit, "vector")} not passed</span></dt>'
            f"<dd>{text(note.get('description', ''))} {text(note.get('effect', ''))}</dd>"
        )
    return f'<h2>What the failures have in common</h2><dl class="flags">{"".join(entries)}</dl>'


def _footer(run: Run) -> str:
    files = "".join(
        f"<dt>{text(name)}</dt><dd><code>{text(digest)}</code></dd>"
        for name, digest in sorted(run.vectors_sha256.items())
    )
    listed = f'<details><summary>SHA-256 of the vectors</summary><dl class="facts">{files}</dl></details>'
    return f"<footer><p>delego-conformance {text(run.kit_version)}</p>{listed if files else ''}</footer>"
