"""The documents tell the truth: their examples run, and the gate runs the commands README gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from readme_blocks import blocks, commands, run_document
from support import ROOT
from tree import source_only

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_shows_is_what_happens(path: Path, tmp_path: Path) -> None:
    run_document(path.read_text(encoding="utf-8"), tmp_path)


@source_only
def test_the_gate_runs_the_test_commands_of_the_readme_word_for_word() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    listed = readme_test_commands()
    assert listed[-1].startswith("python -m pytest")
    positions = [gate.index(command) for command in listed]
    assert positions == sorted(positions)


def readme_test_commands() -> list[str]:
    """The commands of the first block under README's heading "Run the tests"."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    heading = re.search(r"^## Run the tests$", readme, re.MULTILINE)
    assert heading is not None
    return [command.text for command in commands(next(blocks(readme[heading.end() :])))]
