"""The verbs that draw JSON reports again."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance_runs import every_verdict, good_run
from delego_conformance.cli_report import matrix_command, report_command
from delego_conformance.errors import ReportError
from delego_conformance.reports import render, render_matrix


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_text(render(every_verdict(), "json"), encoding="utf-8")
    return path


def test_a_saved_report_is_shown_as_text(saved: Path) -> None:
    done = CliRunner().invoke(report_command, [str(saved)])
    assert (done.exit_code, done.stdout) == (0, render(every_verdict(), "text", width=100))


def test_the_format_is_what_is_asked_for_or_what_the_file_ends_in(saved: Path, tmp_path: Path) -> None:
    page, tap = tmp_path / "x.html", tmp_path / "y.html"
    assert CliRunner().invoke(report_command, [str(saved), "-o", str(page)]).exit_code == 0
    assert CliRunner().invoke(report_command, [str(saved), "-o", str(tap), "--format", "tap"]).exit_code == 0
    assert page.read_text("utf-8") == render(every_verdict(), "html")
    assert tap.read_text("utf-8") == render(every_verdict(), "tap")


def test_a_report_may_come_from_standard_input(saved: Path) -> None:
    done = CliRunner().invoke(report_command, ["-", "--format", "badge"], input=saved.read_bytes())
    assert done.stdout == render(every_verdict(), "badge")


def test_several_reports_make_a_matrix(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(render(good_run(), "json"), encoding="utf-8")
    done = CliRunner().invoke(matrix_command, [str(saved), str(other)])
    assert (done.exit_code, done.stdout) == (0, render_matrix([every_verdict(), good_run()]))


@pytest.mark.parametrize(("content", "problem"), [(b"\xff", "is not UTF-8 at byte 0"), (b"{", "is not JSON")])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    done = CliRunner().invoke(report_command, [str(path)])
    assert isinstance(done.exception, ReportError)
    assert problem in str(done.exception)
