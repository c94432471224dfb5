"""``delego-conformance report`` and ``matrix``: other formats, and comparisons, of JSON reports."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

import click

from delego_conformance.errors import ReportError
from delego_conformance.reports import FORMATS, SUFFIXES, from_json, render, render_matrix
from delego_conformance.results import Run

_PIPE_WIDTH: Final = 100  # columns where nobody knows how many there are
_FILE: Final = click.Path(path_type=Path, allow_dash=True)

REPORT_EPILOG: Final = """\b
Examples:
  delego-conformance report report.json
  delego-conformance report report.json -o report.html
  delego-conformance report report.json --format badge
"""
MATRIX_EPILOG: Final = """\b
Examples:
  delego-conformance matrix ours.json theirs.json -o matrix.html
"""


@click.command("report", epilog=REPORT_EPILOG)
@click.argument("file", type=_FILE, metavar="REPORT.json")
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="Unless given: what --output ends in, else text."
)
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write it there; over a file, too.")
def report_command(file: Path, kind: str | None, output: Path | None) -> None:
    """Draw a JSON report of an earlier run in another format."""
    found = _read(file)
    chosen = kind or (SUFFIXES.get(output.suffix) if output is not None else None) or "text"
    is_terminal = output is None and sys.stdout is not None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else _PIPE_WIDTH
    _write(render(found, chosen, width=width), output)


@click.command("matrix", short_help="Compare several implementations on one HTML page.", epilog=MATRIX_EPILOG)
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="REPORT.json...")
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write it there; over a file, too.")
def matrix_command(files: tuple[Path, ...], output: Path | None) -> None:
    """Compare several implementations: one HTML page, made of their JSON reports."""
    _write(render_matrix([_read(file) for file in files]), output)


def _read(file: Path) -> Run:
    source = str(file)
    try:
        with click.open_file(source, "rb") as stream:
            text = stream.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReportError(source, f"is not UTF-8 at byte {error.start}") from None
    return from_json(text, source=source)


def _write(text: str, output: Path | None) -> None:
    if output is None or str(output) == "-":
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8", newline="\n")
