"""The adapter for the public reference package, and what a run against it has to find.

The runs need an interpreter that has the package; ``DELEGO_REFERENCE_PYTHON`` names it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

from delego_conformance.generate.known_reference import ADAPTER, FINDINGS, judged
from delego_conformance.known import load_known
from delego_conformance.results import AGAINST, Result, Run
from delego_conformance.vectors import load_vectors

PYTHON = os.environ.get("DELEGO_REFERENCE_PYTHON")
KNOWN = ADAPTER.with_suffix(".known")

needs_the_package = pytest.mark.skipif(
    PYTHON is None, reason="DELEGO_REFERENCE_PYTHON names no interpreter with delego 0.3.4"
)


@pytest.fixture(scope="module")
def found() -> Run:
    assert PYTHON is not None
    return judged(PYTHON)


def of(found: Run, name: str) -> Result:
    suite, slug = name.split("/")
    (result,) = found.of(suite=suite, name=slug)
    return result


def test_the_adapter_imports_nothing_but_the_standard_library() -> None:
    imported = set()
    for node in ast.walk(ast.parse(ADAPTER.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= sys.stdlib_module_names


def test_the_adapter_says_where_it_is_without_the_package() -> None:
    command = [sys.executable, "-m", "delego_conformance.adapters.delego_reference", "--path"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == str(ADAPTER.resolve())


def test_what_is_listed_as_known_exists_and_has_a_reason() -> None:
    vectors = {vector.id: vector for vector in load_vectors()}
    known = load_known(KNOWN, vectors)
    listed = {f"{vectors[one].suite}/{vectors[one].name}" for one in known}
    assert set(FINDINGS) <= listed


@needs_the_package
@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_is_found_again(found: Run, name: str) -> None:
    result = of(found, name)
    assert result.verdict in AGAINST - {"unsupported", "vacuous"}


@needs_the_package
def test_an_approval_under_a_race_has_more_than_one_effect(found: Run) -> None:
    last = of(found, "reference/one-effect-under-a-race").exchanges[-1]
    assert last.request["op"] == "session.race"
    assert last.reply is not None
    assert last.reply["ok"]["effects"] > 1


@needs_the_package
@pytest.mark.parametrize("slug", ["path-below-the-rule", "forbidden-once", "amount-with-a-cap"])
def test_the_twin_of_a_finding_is_answered_rightly(found: Run, slug: str) -> None:
    (exchange,) = of(found, f"reference/{slug}").exchanges
    assert exchange.reply is not None
    assert exchange.reply["ok"]["outcome"] == exchange.expect["ok"]["outcome"]


@needs_the_package
def test_nothing_fails_that_is_not_listed_as_known(found: Run) -> None:
    known = load_known(KNOWN, {result.vector.id for result in found.results})
    assert {result.vector.id for result in found.results if result.verdict in AGAINST} <= set(known)


@needs_the_package
def test_the_command_says_that_a_deleted_ledger_cannot_be_told_from_a_new_one() -> None:
    assert PYTHON is not None
    by_command = judged(PYTHON, "--command", suite="reference")
    assert of(by_command, "reference/deleted-ledger").verdict == "pass"
