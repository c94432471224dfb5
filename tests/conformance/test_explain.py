"""Every vector can be explained, to people within a hundred columns and to programs whole."""

from __future__ import annotations

import base64
import json
from typing import Final

from conformance_programs import told
from delego_conformance.explain import WIDTH, explain, explanation, load_clauses
from delego_conformance.vectors import Relation, load_notes, load_vectors

VECTORS: Final = load_vectors()
CLAUSES: Final = load_clauses()
NOTES: Final = load_notes()


def test_each_vector_is_explained_within_a_hundred_columns() -> None:
    assert VECTORS
    for vector in VECTORS:
        text = explain(vector, CLAUSES, NOTES)
        lines = text.split("\n")
        assert max(map(len, lines)) <= WIDTH, vector.id
        assert all(line.isprintable() for line in lines), vector.id
        assert lines[0].startswith(vector.id)
        assert "(unknown to this kit)" not in text, vector.id


def test_each_vector_is_explained_as_json() -> None:
    for vector in VECTORS:
        document = json.loads(json.dumps(explanation(vector, CLAUSES, NOTES)))
        assert None not in document["clauses"].values(), vector.id
        assert None not in document["flags"].values(), vector.id
        assert [one["request"]["op"] for one in document["steps"]] == [step.op for step in vector.steps]


def test_an_explanation_has_all_that_helps() -> None:
    vector = told(
        "A-1",
        {"ok": {"text": 'line one\n"two"\x1b[31m\u202e'}},
        {"ok": {}},
        clauses=("§4-4",),
        flags=("CaseFolded",),
        control="A-2",
        relation=Relation("same_as", "A-3", "text"),
        errata=(6, 7),
        requires=("session",),
        trace=(("canonical preimage", '{"a":1}'), ("SHA-256", "00" * 32)),
    )
    text = explain(vector, CLAUSES, NOTES)
    for words in (
        "§4-4  [bytes]",
        "CaseFolded (",
        "Effect: ",
        "A-2: unless that one is answered rightly",
        "text is the same as that of A-3",
        "errata:    6, 7",
        "requires:  session",
        '{"v":1,"id":"A-1","op":"fingerprint"',
        "  say.ok.text is\n     line one\n",
        '  1. canonical preimage\n     {"a":1}\n',
    ):
        assert words in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_very_long_text_is_cut_for_people_only() -> None:
    vector = told("A-1", {"ok": {"text": "x" * 100_000}}, {"ok": {}})
    assert len(explain(vector, CLAUSES, NOTES)) < 20_000
    assert "--json shows all" in explain(vector, CLAUSES, NOTES)
    assert "x" * 100_000 in json.dumps(explanation(vector, CLAUSES, NOTES))


def test_a_chain_is_shown_line_by_line_and_not_in_base64() -> None:
    vector = next(vector for vector in VECTORS if vector.id == "CL-0025")
    text = explain(vector, CLAUSES, NOTES)
    assert "  jsonl_b64 is, decoded, 3 lines\n    line 0\n     {" in text
    assert "\\xff" in text  # a byte that is not UTF-8
    assert "--json shows all" in text
    assert text.count("eyJhY3Rpb25") == 1
    request = explanation(vector, CLAUSES, NOTES)["steps"][0]["request"]
    assert request["args"]["jsonl_b64"] == vector.steps[0].args["jsonl_b64"]


def test_a_missing_line_feed_and_broken_base64_are_not_lost() -> None:
    data = base64.b64encode(b"one\r\ntwo").decode()
    text = explain(told("A-1", {"x_b64": data, "y_b64": "%"}, {"ok": {}}), CLAUSES, NOTES)
    assert "x_b64 is, decoded, 2 lines, the last one without its line feed\n" in text
    assert "     one\\r\n" in text
    assert "y_b64 is" not in text
