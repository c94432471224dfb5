"""The generator: hand-written expectations and our core have to agree, and an id is given once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from delego_conformance.generate import __main__ as generate
from delego_conformance.generate.__main__ import DISAGREES, run
from delego_conformance.generate.build import COMPUTED, Suite, action, either, ok, refused, step
from delego_conformance.generate.clauses import read_clauses
from delego_conformance.generate.files import Files, grown
from delego_conformance.judge import mismatch
from delego_conformance.vectors import read_suites
from support import ROOT
from tree import source_only

SPEC = """\
## §3 Canonical JSON [draft]

- **[§3-1]** [bytes] Canonical text MUST be sorted,
  and [strict] stays in the text.
  *Vectors:* CA-0001 to CA-0009,
  CA-0011.
- **[§3-2]** [strict] Other texts MUST
  be refused.

Text that belongs to no clause.

### §4.2 Query
- **[§4.2-1]** One line.
"""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    spec = tmp_path / "SPEC.md"
    spec.write_text(SPEC, encoding="utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "notes.json").write_text('{"Flag": {}}')
    return Files(tmp_path / "package", spec)


def suite(*slugs: str, name: str = "canonical", prefix: str = "CA") -> Suite:
    """Vectors that agree with the core: each of ``slugs`` in canonical form."""
    found = Suite(name, prefix, "Canonical JSON", "3")
    for slug in slugs:
        add(found, slug, {"json": f'"{slug}"'}, ok(canonical=f'"{slug}"'))
    return found


def add(to: Suite, slug: str, args: dict[str, Any], expect: dict[str, Any], **more: Any) -> None:
    more.setdefault("clauses", "3-1")
    to.add(slug, "A comment.", more.pop("op", "canonicalize"), args, expect, **more)


def written(files: Files, name: str = "canonical") -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = json.loads((files.vectors / f"{name}.json").read_text())["tests"]
    return tests


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


@source_only
def test_the_vectors_of_the_kit_are_what_the_generator_writes() -> None:
    command = [sys.executable, "-m", "delego_conformance.generate", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_checkout_it_says_so_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        generate, "Files", lambda: Files(tmp_path / "delego_conformance", tmp_path / "SPEC.md")
    )
    assert generate.main([]) == generate.COULD_NOT_RUN
    assert said(capsys).startswith("generate: there is no SPEC.md here")
    assert list(tmp_path.iterdir()) == []


def test_what_is_computed_is_filled_in_and_can_be_read_and_compared(files: Files) -> None:
    one = suite("a")
    add(one, "computed", {"json": "[1.0]"}, ok(canonical=COMPUTED))
    add(one, "either", {"json": "[2.0]"}, either(refused(), ok(canonical=COMPUTED)))
    assert run([one], files) == 0
    tests = written(files)
    assert [test["id"] for test in tests] == ["CA-0001", "CA-0002", "CA-0003"]
    assert tests[1]["expect"] == {"ok": {"canonical": "[1]"}}
    assert tests[2]["expect"] == {"any": [{"refused": {}}, {"ok": {"canonical": "[2]"}}]}
    vectors = read_suites(files.vectors.iterdir())
    assert [mismatch(one.steps[0].expect, {"ok": {"canonical": "[1]"}}) for one in vectors][1] is None
    assert run([one], files, check=True) == 0


def test_a_wrong_expectation_is_listed_and_its_suite_alone_is_not_written(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = suite("a")
    add(bad, "wrong", {"json": "1.0"}, ok(canonical="1.0"))
    add(bad, "wrong-too", {"json": "1"}, refused())
    good = suite("b", name="other", prefix="OT")
    assert run([bad, good], files) == DISAGREES
    text = said(capsys)
    assert 'canonical/wrong: expected canonical "1.0"; got "1"' in text
    assert "canonical/wrong-too: expected a refusal; got the result" in text
    assert [path.name for path in files.vectors.iterdir()] == ["other.json"]
    assert run([bad, good], files, names=["other"]) == 0


def test_a_member_that_cannot_be_computed_is_a_fault(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    one = suite()
    add(one, "refused", {"json": "{"}, ok(canonical=COMPUTED))
    assert run([one], files) == DISAGREES
    assert "canonical/refused: nothing to compute a member from" in said(capsys)


def test_ids_only_grow(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([suite("a", "b")], files) == 0
    assert run([suite("z", "b", "a")], files) == 0
    assert [(test["name"], test["id"]) for test in written(files)] == [
        ("z", "CA-0003"),
        ("b", "CA-0002"),
        ("a", "CA-0001"),
    ]
    assert run([suite("b", "a", "new")], files) == DISAGREES
    assert "canonical/z: has an id and is stated no more" in said(capsys)
    assert written(files)[-1]["id"] == "CA-0004"  # the number of the one that is gone is not given again
    assert run([suite("b", "a", "new")], files, check=True) == DISAGREES
    run([suite("b", "a", "new")], files, prune=True)
    assert run([suite("b", "a", "new")], files, check=True) == 0


@pytest.mark.parametrize("known", [{"a": "XX-0001"}, {"a": "CA-1"}, {"a": "CA-0001", "b": "CA-0001"}])
def test_ids_of_another_suite_or_given_twice_are_errors(known: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="canonical"):
        grown(suite("a"), known)


def test_a_control_has_to_exist_and_to_have_another_kind_of_answer(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    one = suite("a")
    add(one, "good", {"json": "{"}, refused(), control="a")
    add(one, "same-kind", {"json": "["}, refused(), control="good")
    add(one, "no-such", {"json": "["}, refused(), control="nowhere")
    add(one, "elsewhere", {"json": "["}, refused(), control="other/b")
    assert run([one, suite("b", name="other", prefix="OT")], files) == DISAGREES
    assert said(capsys).splitlines() == [
        "canonical/same-kind: the control 'good' has the same kind of answer: ['refused']",
        "canonical/no-such: the control 'nowhere' does not exist",
    ]


@pytest.mark.parametrize(
    ("policy", "other", "verdict"), [("allow", "deny", 0), ("allow", "allow", DISAGREES)]
)
def test_results_that_say_yes_and_no_are_controls_of_each_other(
    files: Files, policy: str, other: str, verdict: int
) -> None:
    one = suite()
    for slug, word, twin in (("one", policy, "two"), ("two", other, "one")):
        args = {"policy_text": f"default: {word}", "action": action()}
        add(one, slug, args, ok(outcome=word), op="decide", control=twin)
    assert run([one], files) == verdict


def test_relations_have_to_hold(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    one = suite("a")
    add(one, "same", {"json": ' "a" '}, ok(), same_as=("a", "canonical"))
    add(one, "different", {"json": '"b"'}, ok(), differs_from=("a", "canonical"))
    assert run([one], files) == 0
    assert written(files)[1]["relation"] == {"same_as": "CA-0001", "member": "canonical"}
    add(one, "not-same", {"json": '"b"'}, ok(), same_as=("a", "canonical"))
    add(one, "not-different", {"json": '"a"'}, ok(), differs_from=("a", "canonical"))
    add(one, "no-member", {"json": '"a"'}, ok(), same_as=("a", "hash"))
    add(one, "no-other", {"json": '"a"'}, ok(), same_as=("b", "canonical"))
    assert run([one], files) == DISAGREES
    faults = said(capsys).splitlines()
    assert [line.split(":")[0] for line in faults] == [
        f"canonical/{slug}" for slug in ("not-same", "not-different", "no-member", "no-other")
    ]


def test_clauses_and_flags_have_to_exist(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    one = suite("a")
    add(one, "flagged", {"json": "1"}, ok(), flags=["Flag", "Unknown"])
    assert run([one], files) == DISAGREES
    assert said(capsys) == "notes.json: 'Unknown' is not explained\n"
    assert len(written(files)) == 2  # a note may come later
    add(one, "claused", {"json": "1"}, ok(), clauses="3-1 3-9")
    assert run([one], files) == DISAGREES
    assert "canonical/claused: SPEC.md has no clause §3-9" in said(capsys)


def test_bindings_go_from_step_to_step(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    one = suite()
    steps = [
        step("canonicalize", {"json": "1.0"}, ok(canonical="1"), bind={"text": "canonical"}),
        step("canonicalize", {"json": "${text}"}, ok(canonical="1")),
    ]
    one.sequence("bound", "A comment.", steps, clauses="3-1", requires=())
    assert run([one], files) == 0
    assert written(files)[0]["steps"] == steps
    one.sequence(
        "unbound", "A comment.", [step("canonicalize", {"json": "1"}, bind={"x": "y"})], clauses="3-1"
    )
    assert run([one], files) == DISAGREES
    assert "canonical/unbound step 1: binds 'y', which the answer does not have" in said(capsys)


def test_check_finds_files_that_differ_and_files_of_no_suite(
    files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([suite("a")], files, check=True) == DISAGREES
    assert not files.vectors.exists()
    assert run([suite("a")], files) == 0
    (files.vectors / "stray.json").write_text("{}")
    (files.vectors / "canonical.json").write_text("{}")
    said(capsys)
    assert run([suite("a")], files, check=True) == DISAGREES
    assert said(capsys).splitlines() == [
        "v1/canonical.json: is not what the generator writes",
        "stray.json: has no suite",
    ]


def test_what_went_wrong_before_is_reported_as_well(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([suite("a")], files, ["suites.x: cannot be imported"], names=["nowhere"]) == DISAGREES
    assert said(capsys).splitlines() == ["suites.x: cannot be imported", "there is no suite 'nowhere'"]


def test_bytes_that_are_hashed_are_shown_step_by_step(files: Files) -> None:
    one = suite()
    add(one, "intent", {"instruction": " pay\n"}, ok(), op="intent_hash")
    add(one, "long", {"json": json.dumps("x" * 5000)}, ok())
    add(one, "refused", {"json": "{"}, refused())
    assert run([one], files) == 0
    intent, long, no = written(files)
    assert intent["trace"] == [
        {"label": "canonical preimage", "text": '{"instruction":"pay"}'},
        {
            "label": "SHA-256 of these 21 bytes",
            "text": "31b00342db0119440c429769610597022d6bb4c125916b3f94abd752fe8df178",
        },
    ]
    assert len(long["trace"][0]["text"]) == 4001
    assert "trace" not in no


def test_clauses_are_read_with_their_section_and_marks() -> None:
    assert read_clauses(SPEC) == {
        "§3-1": {
            "section": "3",
            "title": "Canonical JSON",
            "marks": ["draft", "bytes"],
            "text": "Canonical text MUST be sorted, and [strict] stays in the text.",
        },
        "§3-2": {
            "section": "3",
            "title": "Canonical JSON",
            "marks": ["draft", "strict"],
            "text": "Other texts MUST be refused.",
        },
        "§4.2-1": {"section": "4.2", "title": "Query", "marks": [], "text": "One line."},
    }
