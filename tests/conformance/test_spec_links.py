"""Every clause and every known ambiguity in SPEC.md names the vectors that pin it, or says why none does."""

from __future__ import annotations

import re
from typing import Final

from delego_conformance.generate.spec_links import CLAUSE, linked, missing, reasons, spans
from delego_conformance.vectors import load_vectors
from support import ROOT
from tree import source_only

SPEC: Final = (ROOT / "SPEC.md").read_text(encoding="utf-8")
VECTORS: Final = load_vectors()

pytestmark = source_only


def test_no_clause_and_no_ambiguity_is_without_a_vector_or_a_reason() -> None:
    assert missing(SPEC, VECTORS) == []


def test_the_specification_names_the_vectors_that_there_are() -> None:
    assert linked(SPEC, VECTORS) == SPEC, (
        "if vectors were added: python -m delego_conformance.generate.spec_links SPEC.md"
    )


def test_a_clause_that_loses_its_vectors_is_found() -> None:
    others = [vector for vector in VECTORS if "§4-3" not in vector.clauses]
    assert missing(SPEC, others) == ["§4-3"]


def test_an_ambiguity_that_loses_its_vectors_is_found() -> None:
    others = [vector for vector in VECTORS if 12 not in vector.errata]
    assert missing(SPEC, others) == ["erratum 12"]


def test_each_vector_names_clauses_that_exist() -> None:
    known = {found[1] for found in CLAUSE.finditer(SPEC)}
    named = {clause for vector in VECTORS for clause in vector.clauses}
    assert named <= known
    assert all(vector.clauses for vector in VECTORS)


def test_no_reason_excuses_a_clause_that_has_vectors() -> None:
    clauses, errata = reasons()
    assert clauses.keys() & {clause for vector in VECTORS for clause in vector.clauses} == set()
    assert errata.keys() & {number for vector in VECTORS for number in vector.errata} == set()


def test_ids_are_written_as_runs() -> None:
    assert spans(["FP-0003", "FP-0001", "FP-0002", "HZ-0001", "HZ-0003", "HZ-0002", "A-0001", "A-0002"]) == (
        "A-0001, A-0002, FP-0001 to FP-0003, HZ-0001 to HZ-0003"
    )


def test_every_id_in_the_specification_is_a_vectors() -> None:
    ids = {vector.id for vector in VECTORS}
    assert set(re.findall(r"\b[A-Z]{2}-[0-9]{4}\b", SPEC)) <= ids
