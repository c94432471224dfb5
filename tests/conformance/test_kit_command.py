"""The command as people and pipelines meet it: exit status, one line on stderr, reports, completion."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest

from conformance_programs import PATIENCE, program
from delego_conformance.cli import main
from delego_conformance.guard import describe, guarded
from delego_conformance.vectors import load_vectors

KIT: Final = [sys.executable, "-m", "delego_conformance"]
OURS: Final = [sys.executable, "-m", "delego_conformance.adapters.delego_spec"]
FEW: Final = ["--id", "FP-000*"]
PINNED: Final = "051bae652ac13aa7eda6389a289e084c3414f9cd2b229544a679b47b21003d06"
ONE_RIGHT: Final = f"send(request, ok={{'action_fingerprint': '{PINNED}'}})"  # for every action


def kit(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KIT, *words],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
        check=False,
    )


def line_of(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr."""
    (line,) = done.stderr.splitlines()
    assert line.startswith("delego-conformance: ")
    return line


def test_a_conformant_implementation_gives_zero() -> None:
    done = kit("run", *FEW, "--", *OURS)
    assert done.returncode == 0, done.stderr
    assert "verdict: in part of the vectors only: conformant as authorizer and broker" in done.stdout
    assert "that is no verdict on the whole" in line_of(done)


def test_an_implementation_that_is_not_conformant_gives_three() -> None:
    done = kit("run", *FEW, "--quiet", "--", *program("send(request, ok={})"))
    assert done.returncode == 3
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "--", "./no-such-program"], 1, "cannot be started: no such file"),
        (["list", "--suite", "nope"], 2, "no vector matches --suite 'nope'; the suites are "),
        (["run", "--", "."], 1, ".: cannot be started: it is a folder"),
        (
            ["run", "--", __file__],
            1,
            "cannot be started: it is not executable; write its interpreter before it",
        ),
        (["run", "--", ""], 1, "'': cannot be started: "),
        (["run", "--report", "json=.", "--", "x"], 2, "'.' is a folder"),
        (["run", "--", sys.executable, "-c", "print('hi')"], 1, "no usable hello"),
        (["run"], 2, "missing argument '-- COMMAND...'"),
        (["run", "--profile", "some", "--", "x"], 2, "invalid value for '--profile'"),
        (["run", "--timeout", "0", "--", "x"], 2, "invalid value for '--timeout'"),
        (["run", "--timeout", "nan", "--", "x"], 2, "invalid value for '--timeout'"),
        (["run", "--report", "pdf=x", "--", "x"], 2, "'pdf=x' is not FORMAT=FILE, with one of text, tap"),
        (["run", "--report", "x.pdf", "--", "x"], 2, "'x.pdf' is not FORMAT=FILE"),
        (["run", "--report", "json=no/such/x", "--", "x"], 2, "there is no folder 'no/such'"),
        (["run", "--id", "ZZ*", "--", "x"], 2, "no vector matches --id 'ZZ*'"),
        (["run", "--known", "no-such-file", "--", "x"], 1, "no-such-file: cannot be read: no such file"),
        (["run", "--upstream", "no-such-folder", "--", "x"], 2, "'no-such-folder' does not exist"),
        (["list", "--section", "99"], 2, "no vector matches --section '99'"),
        (["explain", "ZZ-1"], 2, "there is no vector 'ZZ-1'"),
        (["schema", "zz"], 2, "there is no schema 'zz'; there are hello, "),
        (["template", "cobol"], 2, "'cobol' is not one of 'python', 'javascript'"),
        (["completion", "tcsh"], 2, "'tcsh' is not one of 'bash'"),
        (["no-such-verb"], 2, "no such command 'no-such-verb'"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(words: list[str], code: int, said: str) -> None:
    done = kit(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in line_of(done)


def test_reports_are_written_beside_the_one_on_the_terminal(tmp_path: Path) -> None:
    files = {suffix: tmp_path / f"r.{suffix}" for suffix in ("xml", "json", "tap", "html")}
    options = [word for file in files.values() for word in ("--report", str(file))]
    badge = tmp_path / "badge"
    done = kit("run", *FEW, *options, "--report", f"badge={badge}", "--seed", "7", "--", *OURS)
    assert done.returncode == 0, done.stderr
    assert "verdict: " in done.stdout
    assert ElementTree.parse(files["xml"]).getroot().tag == "testsuites"  # noqa: S314  # our own file
    assert json.loads(files["json"].read_text())["run"]["seed"] == 7
    assert files["tap"].read_text().startswith("TAP version")
    assert "<html" in files["html"].read_text()
    assert json.loads(badge.read_text())["message"] == "judged in part"


def test_a_report_may_take_the_place_of_the_one_on_standard_output() -> None:
    done = kit("run", *FEW, "--report", "json=-", "--", *OURS)
    assert json.loads(done.stdout)["run"]["partial"] is True


def test_a_list_of_known_failures_is_heeded(tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text("FP-0001  because\nFP-0002  because\n")
    done = kit("run", *FEW, "--known", str(known), "--report", "json=-", "--", *OURS)
    assert done.returncode == 0
    assert json.loads(done.stdout)["counts"]["fixed"] == 2
    assert "delego-conformance: FP-0001 passes; take it out of " in done.stderr
    done = kit(
        "run", *FEW, "--known", str(known), "--report", "json=-", "--", *program("send(request, ok={})")
    )
    assert done.returncode == 3
    assert json.loads(done.stdout)["counts"]["known"] == 2


def test_known_failures_alone_may_give_zero_where_that_is_asked_for(tmp_path: Path) -> None:
    known = tmp_path / "known"
    wrong = program(ONE_RIGHT)
    sent = json.loads(kit("run", *FEW, "--report", "json=-", "--", *wrong).stdout)["results"]
    failed = [one["id"] for one in sent if one["verdict"] not in ("pass", "not claimed")]
    assert len(failed) > 2
    known.write_text("".join(f"{one}  because\n" for one in failed))
    asked = ["run", *FEW, "-q", "--known", str(known), "--accept-known", "--"]
    accepted = kit(*asked, *wrong)
    assert accepted.returncode == 0
    assert f"{len(failed)} known failures accepted; the verdict stays what it is" in accepted.stderr
    known.write_text("".join(f"{one}  because\n" for one in failed[1:]))
    assert kit(*asked, *wrong).returncode == 3, "one failure is new"
    assert kit("run", "--accept-known", "--", *wrong).returncode == 2


def test_a_list_of_everything_does_not_let_a_program_pass_that_passes_nothing(tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text("".join(f"{vector.id}  because\n" for vector in load_vectors()))
    asked = ["run", *FEW, "-q", "--known", str(known), "--accept-known", "--"]
    assert kit(*asked, *program("send(request, error={'message': 'x'})")).returncode == 3


def test_a_file_of_known_failures_that_never_ends_is_refused() -> None:
    done = kit("run", *FEW, "--known", os.devnull.replace("null", "zero"), "--", *OURS)
    assert done.returncode == 1
    assert "is larger than" in line_of(done)


def test_options_behind_the_command_belong_to_the_command() -> None:
    done = kit("run", *FEW, "-q", sys.executable, "-m", "delego_conformance.adapters.delego_spec")
    assert done.returncode == 0, done.stderr


def test_published_vectors_are_added(tmp_path: Path) -> None:
    done = kit("run", "--upstream", str(tmp_path), "--", *OURS)
    assert done.returncode == 1
    assert "hashing.json" in line_of(done)


def test_ctrl_c_ends_the_run_and_the_program(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    body = f"open({str(note)!r}, 'w').write(str(os.getpid()) + '.')\nimport time; time.sleep(600)"
    for which, code in ((signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)):
        note.unlink(missing_ok=True)
        with subprocess.Popen(
            [*KIT, "run", *FEW, "--", *program(body)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            until = time.monotonic() + PATIENCE
            while not (note.exists() and note.read_text().endswith(".")) and time.monotonic() < until:
                time.sleep(0.01)
            running.send_signal(which)
            out, err = running.communicate(timeout=PATIENCE)
        assert running.returncode == code
        assert out == ""
        assert "Traceback" not in err
        with pytest.raises(ProcessLookupError):
            os.kill(int(note.read_text().rstrip(".")), 0)


def test_a_closed_pipe_is_no_traceback() -> None:
    script = f"{' '.join(KIT)} list | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")


def called(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The command in this process: status, stdout, stderr."""
    with pytest.raises(SystemExit) as raised:
        main(words)
    out, err = capsys.readouterr()
    return int(raised.value.code or 0), out, err


def test_vectors_are_listed_and_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(["list"], capsys)
    assert code == 0
    assert len(out.splitlines()) == len(load_vectors())
    _, out, _ = called(["list", "--section", "§8*", "--suite", "chain", "--id", "*1"], capsys)
    found = [line.split()[0] for line in out.splitlines()]
    assert found
    wanted = [v.id for v in load_vectors() if v.section[0] == "8" and v.suite == "chain" and v.id[-1] == "1"]
    assert found == wanted
    _, out, _ = called(["list", "--json", "--id", "FP-0001", "--id", "FP-0002"], capsys)
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["FP-0001", "FP-0002"]
    _, out, _ = called(["list", "--role", "auditor", "--suite", "c*"], capsys)
    wanted = [v.id for v in load_vectors() if "auditor" in v.roles and v.suite[0] == "c"]
    assert [line.split()[0] for line in out.splitlines()] == wanted
    assert 0 < len(wanted) < len(load_vectors())


def test_a_vector_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(["explain", "fp-0001"], capsys)
    assert code == 0
    assert out.startswith("FP-0001  ")
    _, out, _ = called(["explain", "FP-0001", "--json"], capsys)
    assert json.loads(out)["id"] == "FP-0001"


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_template_is_printed_or_written_but_not_over_a_file(
    language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = called(["template", language], capsys)
    assert code == 0
    file = tmp_path / "adapter"
    assert called(["template", language, "-o", str(file)], capsys)[0] == 0
    assert file.read_text() == text
    assert os.access(file, os.X_OK)
    code, _, err = called(["template", language, "-o", str(file)], capsys)
    assert (code, "exists; give another name" in err) == (1, True)


def test_schemas_are_listed_and_printed(capsys: pytest.CaptureFixture[str]) -> None:
    names = called(["schema"], capsys)[1].split()
    assert {"request", "reply", "hello", "vectors", "report"} <= set(names)
    for name in names:
        assert json.loads(called(["schema", name], capsys)[1])["$schema"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(
    shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = called(["completion", shell], capsys)
    assert code == 0
    assert "_DELEGO_CONFORMANCE_COMPLETE" in out
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    assert called(["completion"], capsys)[1] == out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert called(["completion"], capsys)[0] == 1


def test_ids_are_completed() -> None:
    env = {
        "_DELEGO_CONFORMANCE_COMPLETE": "bash_complete",
        "COMP_WORDS": "delego-conformance explain fp-000",
        "COMP_CWORD": "2",
    }
    done = kit(env=env)
    assert "plain,FP-0001" in done.stdout.splitlines()


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(["--version"], capsys)[1].startswith("delego-conformance ")
    code, out, _ = called(["run", "-h"], capsys)
    assert code == 0
    assert "delego-conformance run -- ./my-adapter" in out
    code, out, err = called([], capsys)
    assert (code, out) == (2, "")
    assert "Usage: delego-conformance" in err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(28, "No space left on device"), 1, "cannot write the output: no space left on device"),
        (PermissionError(13, "Permission denied", "x.json"), 1, "cannot use 'x.json': permission denied"),
        (ZeroDivisionError("x"), 1, "this is a fault in delego-conformance: ZeroDivisionError: x; run with"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_exception_has_a_status_and_a_line(error: BaseException, code: int, said: str) -> None:
    found, line = describe(error)
    assert found == code
    assert line.startswith(said)


def test_a_fault_of_ours_is_one_line_and_a_traceback_on_demand(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty() -> Any:
        raise ZeroDivisionError("x\x1b[31m")

    assert guarded(faulty) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "\x1b" not in line
    monkeypatch.setenv("DELEGO_DEBUG", "1")
    assert guarded(faulty) == 1
    assert "Traceback" in capsys.readouterr().err
