"""docs/conformance.md builds an adapter: its blocks run, and every command prints what the page shows."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import yaml

import readme_blocks
from delego_conformance.known import read_known
from delego_conformance.runner import run
from delego_conformance.vectors import load_vectors
from javascript import node
from readme_blocks import Block, Session, blocks
from support import ROOT

PAGE: Final = ROOT / "docs" / "conformance.md"
ADAPTER: Final = "auditor.mjs"

# Figures change whenever vectors are added; ids, clauses and what is inside quotes do not.
_COUNT: Final = re.compile(r"(?<![\w§.:\-\"])[\d,]+(/\d+)?(?![\w.:\"])")


def page() -> list[Block]:
    return list(blocks(PAGE.read_text(encoding="utf-8")))


def code(of: list[Block], *, naive: bool) -> str:
    """The blocks of the adapter, one after the other; a naive one is replaced by what follows."""
    wanted = [block for block in of if block.info[:1] == ("js",) and (naive or "naive" not in block.info)]
    return "\n".join(block.text for block in wanted)


def test_the_adapter_of_the_page_is_conformant_as_auditor(tmp_path: Path) -> None:
    (tmp_path / ADAPTER).write_text(code(page(), naive=False), encoding="utf-8")
    found = run((node(), str(tmp_path / ADAPTER)), load_vectors(), strict=True)
    assert [(role.role, role.passed - role.counted) for role in found.roles] == [("auditor", 0)]
    assert found.conformant


def test_each_step_of_the_page_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node()
    shape = readme_blocks.shape

    @cache
    def without_counts(line: str) -> str:
        return " ".join(_COUNT.sub("N", shape(line)).split())

    monkeypatch.setattr(readme_blocks, "shape", without_counts)
    session = Session(tmp_path)
    so_far: list[Block] = []
    shown = 0
    for block in page():
        so_far.append(block)
        if block.info[:1] == ("console",) and "adapter" in block.info:
            (session.work / ADAPTER).write_text(code(so_far, naive=True), encoding="utf-8")
            session.console(block)
            shown += 1
    assert shown >= 6
    assert {"auditor.html", "matrix.html"} <= {file.name for file in session.work.iterdir()}


def test_the_example_of_known_failures_can_be_read() -> None:
    (known,) = [block for block in page() if block.info == ("text",)]
    assert read_known(known.text, {vector.id for vector in load_vectors()}, source="page")


def test_the_example_for_ci_is_yaml_and_names_no_registry_host() -> None:
    (workflow,) = [block for block in page() if block.info == ("yaml",)]
    document = yaml.safe_load(workflow.text)
    steps = [step.get("run", "") for step in document["jobs"]["conformance"]["steps"]]
    assert any(step.startswith("delego-conformance run -q --report junit=") for step in steps)
    assert "://" not in workflow.text
