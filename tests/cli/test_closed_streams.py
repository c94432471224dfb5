"""Verbs whose standard output is closed or full: a status and a line, never a traceback."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import Any

import pytest

from cli_tools import TIMEOUT, fill


def shell(world: Any, line: str) -> subprocess.CompletedProcess[str]:
    """Run ``delego`` with the words and redirections of ``line``."""
    command = f"{shlex.quote(sys.executable)} -m delego_cli {line}"
    return subprocess.run(
        ["bash", "-c", command], env=world.env, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


@pytest.mark.parametrize(
    ("verb", "status"),
    [("demo", 0), ("log", 0), ("head", 0), ("verify", 0), ("doctor", 0), ("policy show", 0), ("export", 1)],
)
def test_a_closed_standard_output_is_no_fault(home: Any, verb: str, status: int) -> None:
    fill(home.home)
    done = shell(home, f"{verb} >&-")
    assert (done.returncode, "fault in delego" in done.stderr) == (status, False)


@pytest.mark.parametrize("verb", ["propose --batch -", "policy check -", "verify -"])
def test_a_closed_standard_input_is_no_fault(home: Any, verb: str) -> None:
    done = shell(home, f"{verb} <&-")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "fault in delego" not in done.stderr


def test_an_export_whose_reader_has_gone_ends_without_words(home: Any) -> None:
    fill(home.home)
    read, write = os.pipe()
    os.close(read)
    try:
        done = home.process("export", capture_output=False, stdout=write, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("verb", ["log", "head", "verify", "doctor", "policy show", "export"])
def test_a_full_disk_behind_standard_output_is_said(home: Any, verb: str) -> None:
    fill(home.home)
    done = shell(home, f"{verb} > /dev/full")
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    assert "Traceback" not in done.stderr
