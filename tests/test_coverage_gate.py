"""The coverage gate can fail, and it sees what runs in other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import coverage
import pytest

from coverage_gate import FLOORS, judge, measure
from support import ROOT, unmeasured
from tree import PACKAGES, source_only

MODULE = "def used():\n    return 1\n\ndef unused():\n    return 2\n"  # 4 lines, one of them never runs


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "part.py").write_text(MODULE, encoding="utf-8")
    return folder


def run_measured(folder: Path, code: str, *, patch: list[str] | None = None) -> coverage.Coverage:
    """Run ``code`` in a fresh process under coverage, with these patches, and load what it saw."""
    config = folder / "settings.toml"
    settings = (
        "[tool.coverage.run]\nparallel = true\nsource_pkgs = ['sample']\n" + f"patch = {patch or []!r}\n"
    )
    config.write_text(settings, encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    (folder / "main.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "coverage", "run", f"--rcfile={config}", "main.py"]
    subprocess.run(command, cwd=folder, env={**own, "PYTHONPATH": str(folder)}, check=True)
    data = coverage.Coverage(data_file=str(folder / ".coverage"), config_file=str(config))
    data.combine([str(folder)])
    return data


def test_lines_are_counted_and_the_missing_one_is_named(tmp_path: Path, package: Path) -> None:
    measured = measure(run_measured(tmp_path, "from sample.part import used; used()"), package)
    assert (measured.lines, measured.missed, measured.missing) == (4, 1, {"part.py": "5"})
    assert measured.percent == 75.0


@pytest.mark.parametrize(("floor", "good"), [(75.0, True), (75.1, False)])
def test_the_floor_decides(
    tmp_path: Path, package: Path, capsys: pytest.CaptureFixture[str], floor: float, good: bool
) -> None:
    data = run_measured(tmp_path, "from sample.part import used; used()")
    assert judge(data, {"sample": package}, {"sample": floor}) is good
    assert ("TOO LOW" in capsys.readouterr().out) is not good


def test_one_package_under_its_floor_fails_all(tmp_path: Path, package: Path) -> None:
    data = run_measured(tmp_path, "from sample.part import *; used(); unused()")
    other = tmp_path / "other"
    other.mkdir()
    (other / "bare.py").write_text("x = 1\n", encoding="utf-8")
    floors = {"sample": 100.0, "other": 95.0}
    assert judge(data, {"sample": package}, floors)
    assert not judge(data, {"sample": package, "other": other}, floors)
    assert not judge(data, {"other": other, "sample": package}, floors)


def test_a_package_without_code_passes_no_floor(tmp_path: Path, package: Path) -> None:
    data = run_measured(tmp_path, "import sample.part")
    assert not judge(data, {"empty": tmp_path / "empty"}, {"empty": 95.0})


@pytest.mark.parametrize(
    "leave",
    ["pass", "import os; os._exit(0)"],
    ids=["a process that ends by itself", "a process that leaves at once"],
)
def test_the_project_s_settings_see_what_other_processes_run(
    tmp_path: Path, package: Path, leave: str
) -> None:
    patch = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["coverage"]["run"][
        "patch"
    ]
    child = f"from sample.part import *; used(); unused(); {leave}"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    assert measure(run_measured(tmp_path, code, patch=patch), package).missed == 0
    assert measure(run_measured(tmp_path, code), package).missed == 4


@source_only
def test_the_floors_are_those_the_project_promises() -> None:
    assert FLOORS["delego_spec"] == 100.0
    assert set(FLOORS) == set(PACKAGES)
    assert {floor for name, floor in FLOORS.items() if name != "delego_spec"} == {95.0}


def test_a_second_pytest_does_not_erase_what_the_first_has_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--cov --cov-report=")
    monkeypatch.setenv("COVERAGE_PROCESS_CONFIG", "anything")
    assert [name for name in unmeasured() if name.startswith(("COV", "PYTEST"))] == []
    assert unmeasured()["PATH"] == os.environ["PATH"]
