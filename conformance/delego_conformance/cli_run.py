"""``delego-conformance run``: judge an implementation, and report."""

from __future__ import annotations

import math
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import click

from delego_conformance.filters import Filter, filters
from delego_conformance.guard import ExitCode, say
from delego_conformance.known import load_known
from delego_conformance.reports import FORMATS, SUFFIXES, render
from delego_conformance.reports.words import plural
from delego_conformance.results import AGAINST, Profile, Run
from delego_conformance.runner import TIMEOUT, Progress, chosen_vectors, run, vector_digests
from delego_conformance.upstream import load_upstream
from delego_conformance.vectors import load_notes, load_vectors
from delego_conformance.verdicts import counts

_PIPE_WIDTH: Final = 100  # columns where nobody knows how many there are
_NEVER: Final = 3600.0  # seconds; a longer time-out is a mistake

EPILOG: Final = """\b
Examples:
  delego-conformance run -- ./my-adapter
  delego-conformance run --section '8*' --fail-fast -- node adapter.mjs
  delego-conformance run --report html=report.html -- ./my-adapter

Exit status: 0 conformant; 1 it could not run; 2 wrong usage; 3 not conformant.
"""


def _finite(ctx: click.Context, param: click.Parameter, given: float) -> float:
    if math.isnan(given):  # no range keeps it out
        raise click.BadParameter("nan is no time", ctx, param)
    return given


def _read_reports(
    ctx: click.Context, param: click.Parameter, given: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """(format, file) of each ``FORMAT=FILE``, or of a FILE whose suffix says the format."""
    found = []
    for value in given:
        kind, separator, file = value.partition("=")
        if not separator:
            kind, file = SUFFIXES.get(Path(value).suffix, ""), value
        if kind not in FORMATS or not file:
            words = f"{value!r:.200} is not FORMAT=FILE, with one of {', '.join(FORMATS)}"
            raise click.BadParameter(words, ctx, param)
        if not Path(file).parent.is_dir():  # said before anything is run, which may take long
            raise click.BadParameter(f"there is no folder {str(Path(file).parent)!r:.200}", ctx, param)
        if Path(file).is_dir():
            raise click.BadParameter(f"{file!r:.200} is a folder", ctx, param)
        found.append((kind, file))
    return tuple(found)


@click.command("run", epilog=EPILOG, context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.option(
    "--profile",
    type=click.Choice(["wire", "full"]),
    default="full",
    show_default=True,
    help="wire: what the public specification and its reference do; full: the strict clauses as well.",
)
@click.option("--strict", is_flag=True, help="Take SHOULD as MUST.")
@filters
@click.option(
    "--timeout",
    type=click.FloatRange(0, _NEVER, min_open=True),
    default=TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    callback=_finite,
    help="To wait for one reply; thrice as long for the first.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Of the order; the report shows it.")
@click.option(
    "--known",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Known failures, a line each: an id and the reason.",
)
@click.option(
    "--accept-known",
    is_flag=True,
    help="Exit with 0 too where nothing fails but known failures. The verdict stays what it is.",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="FORMAT=FILE",
    callback=_read_reports,
    help=f"Write a report as well: {', '.join(FORMATS)}. '-' is standard output. May be repeated.",
)
@click.option("--fail-fast", is_flag=True, help="End at the first failure that counts.")
@click.option(
    "--upstream",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Judge by the published vectors in DIR as well.",
)
@click.option("-q", "--quiet", is_flag=True, help="No report on standard output, and no progress.")
def command(
    command: tuple[str, ...],
    profile: Profile,
    strict: bool,
    suites: tuple[str, ...],
    sections: tuple[str, ...],
    ids: tuple[str, ...],
    timeout: float,
    seed: int | None,
    known: Path | None,
    accept_known: bool,
    reports: tuple[tuple[str, str], ...],
    fail_fast: bool,
    upstream: Path | None,
    quiet: bool,
) -> ExitCode:
    """Judge the implementation that COMMAND starts.

    COMMAND is an adapter: it answers requests on its standard input, as docs/kit-protocol.md describes.
    'delego-conformance template' prints one to begin with.
    """
    vectors = load_vectors() + (load_upstream(upstream) if upstream is not None else ())
    chosen = Filter(suites, sections, ids)
    select = chosen.checked(chosen_vectors(vectors, profile)) if chosen else None
    if accept_known and known is None:
        raise click.UsageError("--accept-known needs --known FILE, which says what is known")
    listed = load_known(known, {vector.id for vector in vectors}) if known is not None else {}
    with _progress(hidden=quiet) as progress, _ended_on_sigterm():
        found = run(
            command,
            vectors,
            profile=profile,
            strict=strict,
            timeout=timeout,
            seed=seed,
            known=listed,
            select=select,
            progress=progress,
            fail_fast=fail_fast,
            digests=vector_digests(),
            notes=load_notes(),
        )
    _write(found, reports, quiet=quiet)
    if select is not None or fail_fast:
        asked = sum(result.verdict != "not claimed" for result in found.results)
        say(f"{plural(asked, 'vector')} of {len(vectors):,} decided; that is no verdict on the whole")
    for result in found.results:
        if result.verdict == "fixed":
            say(f"{result.vector.id} passes; take it out of {str(known)!r}")
    return _exit_code(found, accept_known=accept_known)


def _exit_code(found: Run, *, accept_known: bool) -> ExitCode:
    is_accepted = accept_known and not found.conformant and _fails_as_known(found)
    if is_accepted:
        say(f"{plural(found.count('known'), 'known failure')} accepted; the verdict stays what it is")
    return ExitCode.CONFORMANT if found.conformant or is_accepted else ExitCode.NOT_CONFORMANT


def _fails_as_known(found: Run) -> bool:
    """Whether something passed, and all that counts against it is on the list."""
    against = [
        one.verdict
        for one in found.results
        if one.verdict in AGAINST and counts(one.vector, strict=found.strict)
    ]
    # A list of everything would let a program pass that does not even start.
    return found.count("pass") > 0 and all(verdict == "known" for verdict in against)


def _write(found: Run, reports: tuple[tuple[str, str], ...], *, quiet: bool) -> None:
    for kind, file in reports:
        text = render(found, kind, width=_PIPE_WIDTH, color=False)
        if file == "-":
            click.echo(text, nl=False)
        else:
            Path(file).write_text(text, encoding="utf-8", newline="\n")
    if not quiet and not any(file == "-" for _, file in reports):
        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if is_terminal else _PIPE_WIDTH
        color = is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        click.echo(render(found, "text", width=width, color=color), nl=False, color=color)


@contextmanager
def _progress(*, hidden: bool) -> Iterator[Progress | None]:
    """Shows progress on stderr where that is a terminal."""
    if hidden or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label="vectors", file=sys.stderr, show_pos=True, width=24) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield show


@contextmanager
def _ended_on_sigterm() -> Iterator[None]:
    """Let the implementation not outlive us when somebody else ends us."""

    def end(*_: object) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
