"""What a run found, drawn: for people, for test harnesses, for other programs.

    render(run, "text", width=120, color=True)

Every format is a pure function of the run. Whatever an implementation wrote is shown as printable text
in all of them: it may hold terminal escapes, markup, or characters that a format forbids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from delego_conformance.errors import ReportError
from delego_conformance.reports import badge, html, json_report, junit, tap, text
from delego_conformance.reports.json_report import from_json
from delego_conformance.reports.matrix import render_matrix
from delego_conformance.results import Run

__all__ = ["FORMATS", "SUFFIXES", "from_json", "render", "render_matrix"]


class _Renderer(Protocol):
    def __call__(self, run: Run, /) -> str: ...


_RENDERERS: Final[Mapping[str, _Renderer]] = {
    "tap": tap.render,
    "junit": junit.render,
    "json": json_report.render,
    "html": html.render,
    "badge": badge.render,
}

FORMATS: Final = ("text", *_RENDERERS)
SUFFIXES: Final[Mapping[str, str]] = {  # of a file -> the format that people mean by it
    ".txt": "text",
    ".tap": "tap",
    ".xml": "junit",
    ".json": "json",
    ".html": "html",
}


def render(run: Run, format: str, *, width: int | None = None, color: bool = False) -> str:
    """The run in one of ``FORMATS``, with a line feed at the end.

    ``width`` (columns, 80 unless given) and ``color`` are for ``text`` alone. Raises ReportError for a
    format that does not exist.
    """
    if format == "text":
        return text.render(run, width=width, color=color)
    if format not in _RENDERERS:
        raise ReportError(repr(format), f"is no format; there are {', '.join(FORMATS)}")
    return _RENDERERS[format](run)
