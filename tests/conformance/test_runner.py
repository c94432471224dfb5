"""What a run makes of answers: verdicts, order, controls, relations, lists of known failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance_programs import OBEDIENT, detail, judged, plain, program, told, verdicts
from conformance_runs import vector
from delego_conformance.results import Run
from delego_conformance.runner import chosen_vectors, kit_version, vector_digests
from delego_conformance.vectors import DEFAULT_CTX, Relation, Step, Vector, load_vectors

YES: dict[str, Any] = {"ok": {"valid": True}}
NO: dict[str, Any] = {"ok": {"valid": False}}
REFUSED: dict[str, Any] = {"refused": {"code": "c", "message": "m"}}


def test_an_expected_answer_passes_and_another_one_fails() -> None:
    found = judged(OBEDIENT, [told("A", YES, YES), told("B", NO, YES), told("C", REFUSED, {"refused": {}})])
    assert verdicts(found) == {"A": "pass", "B": "fail", "C": "pass"}
    assert detail(found, "B") == "expected valid true; got false"
    assert detail(found, "A") == ""
    assert found.restarts == 0
    assert [result.vector.id for result in found.results] == ["A", "B", "C"]


def test_a_result_has_what_was_sent_and_what_came() -> None:
    (result,) = judged(OBEDIENT, [told("A", NO, YES)]).results
    (exchange,) = result.exchanges
    assert exchange.request == {
        "v": 1,
        "id": "A",
        "op": "fingerprint",
        "args": {"say": NO},
        "ctx": dict(DEFAULT_CTX),
    }
    assert exchange.reply == {"id": "A", **NO}
    assert exchange.problem is None
    assert exchange.expect == YES


def test_an_error_is_an_error_even_where_a_refusal_is_expected() -> None:
    found = judged(OBEDIENT, [told("A", {"error": {"message": "m"}}, {"refused": {}})])
    assert verdicts(found) == {"A": "error"}


def test_unsupported_counts_against_a_claimed_role() -> None:
    found = judged(OBEDIENT, [told("A", {"unsupported": {"feature": "x"}}, {"refused": {}})])
    assert verdicts(found) == {"A": "unsupported"}
    assert not found.conformant


def test_what_is_not_claimed_is_not_sent() -> None:
    vectors = [
        told("A", YES, NO, roles=("broker",)),
        told("B", YES, NO, requires=("session", "clock")),
        told("C", YES, YES, roles=("broker", "auditor")),
    ]
    found = judged(OBEDIENT, vectors)
    assert verdicts(found) == {"A": "not claimed", "B": "not claimed", "C": "pass"}
    assert detail(found, "A") == "the role broker is not claimed"
    assert detail(found, "B") == "the feature clock is not claimed"


def test_answers_that_depend_on_the_order_are_unstable() -> None:
    body = "send(request, ok={'valid': asked % 2 == 1})"
    vectors = [told(f"A{number}", {}, YES) for number in range(8)]
    found = judged(program(body), vectors)
    assert "unstable" in verdicts(found).values()
    unstable = next(result for result in found.results if result.verdict == "unstable")
    assert unstable.detail in (
        "as expected in one run, not in the first: expected valid true; got false",
        "as expected in one run, not in the second: expected valid true; got false",
    )


def test_two_allowed_answers_one_in_each_run_are_unstable(tmp_path: Path) -> None:
    mark = str(tmp_path / "asked")
    body = f"is_first = not os.path.exists({mark!r})\nopen({mark!r}, 'w').close()\n"
    body += "send(request, ok={'valid': is_first})"
    either = told("A", {}, {"any": [YES, NO]})
    found = judged(program(body), [either])
    assert verdicts(found) == {"A": "unstable"}
    assert detail(found, "A") == "two allowed answers, one in each run"


def test_a_crash_in_one_order_alone_is_an_error(tmp_path: Path) -> None:
    mark = str(tmp_path / "asked")
    body = f"if os.path.exists({mark!r}): os._exit(1)\nopen({mark!r}, 'w').close()\nsend(request, ok={{}})"
    found = judged(program(body), plain("A"))
    assert verdicts(found) == {"A": "error"}
    assert detail(found, "A") == "as expected in one run, not in the second: it ended with exit status 1"


def test_the_second_pass_is_in_another_order_on_a_new_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    body = f"open({str(log)!r}, 'a').write(f\"{{os.getpid()}} {{request['id']}}\\n\")\nsend(request, ok={{}})"
    ids = [f"A{number}" for number in range(8)]
    judged(program(body), plain(*ids), seed=5)
    lines = [line.split() for line in log.read_text().splitlines()]
    first, second = lines[:8], lines[8:]
    assert len({pid for pid, _ in first}) == len({pid for pid, _ in second}) == 1
    assert first[0][0] != second[0][0]
    assert sorted(one for _, one in first) == sorted(one for _, one in second) == ids
    assert [one for _, one in first] != [one for _, one in second] != ids


def test_the_seed_makes_the_order_and_is_chosen_where_none_is_given() -> None:
    body = "send(request, ok={'valid': asked == 1})"
    vectors = [told(f"A{number}", {}, YES) for number in range(6)]
    once, again = (verdicts(judged(program(body), vectors, seed=7)) for _ in range(2))
    assert once == again
    assert judged(OBEDIENT, plain("A"), seed=None).seed != judged(OBEDIENT, plain("A"), seed=None).seed


@pytest.mark.parametrize("wrong", ["control", "own"])
def test_a_vector_whose_control_fails_is_vacuous(wrong: str) -> None:
    control = told("A", NO if wrong == "control" else YES, YES, control="B")
    twin = told("B", NO if wrong == "control" else YES, NO, control="A")
    found = judged(OBEDIENT, [control, twin])
    if wrong == "control":
        assert verdicts(found) == {"A": "fail", "B": "vacuous"}
        said = "as expected, but its control A is not: expected valid true; got false"
        assert detail(found, "B") == said
    else:
        assert verdicts(found) == {"A": "vacuous", "B": "fail"}
    assert not found.conformant


def test_twins_that_are_both_right_pass() -> None:
    vectors = [told("A", YES, YES, control="B"), told("B", NO, NO, control="A")]
    assert verdicts(judged(OBEDIENT, vectors)) == {"A": "pass", "B": "pass"}


def test_a_control_that_is_not_claimed_says_nothing() -> None:
    vectors = [told("A", YES, YES, control="B"), told("B", NO, YES, roles=("broker",))]
    assert verdicts(judged(OBEDIENT, vectors)) == {"A": "pass", "B": "not claimed"}


@pytest.mark.parametrize(
    ("kind", "own", "verdict"),
    [
        ("same_as", 1, "pass"),
        ("same_as", 2, "fail"),
        ("differs_from", 1, "fail"),
        ("differs_from", 2, "pass"),
    ],
)
def test_a_relation_is_judged(kind: Any, own: int, verdict: str) -> None:
    related = told("A", {"ok": {"x": own}}, {"ok": {}}, relation=Relation(kind, "B", "x"))
    found = judged(OBEDIENT, [related, told("B", {"ok": {"x": 1}}, {"ok": {}})])
    assert verdicts(found) == {"A": verdict, "B": "pass"}


def test_a_relation_to_a_vector_without_a_result_fails() -> None:
    body = "if request['id'] == 'B': os._exit(1)\nsend(request, ok={'x': 1})"
    related = told("A", {}, {"ok": {}}, relation=Relation("differs_from", "B", "x"))
    found = judged(program(body), [related, told("B", {}, {"ok": {}})])
    assert verdicts(found)["A"] != "pass"
    refused = told("B", REFUSED, {"refused": {}})
    related = told("A", {"ok": {"x": 1}}, {"ok": {}}, relation=Relation("differs_from", "B", "x"))
    found = judged(OBEDIENT, [related, refused])
    assert verdicts(found) == {"A": "fail", "B": "pass"}
    assert detail(found, "A").startswith("expected a result of B with x; got the refusal")


def test_known_failures_are_marked_and_still_count() -> None:
    vectors = [told("A", NO, YES), told("B", YES, YES), told("C", YES, YES)]
    found = judged(OBEDIENT, vectors, known={"A": "issue 1", "B": "issue 2"})
    assert verdicts(found) == {"A": "known", "B": "fixed", "C": "pass"}
    assert found.results[0].known_reason == "issue 1"
    assert detail(found, "A") == "expected valid true; got false"
    assert "take it off the list" in detail(found, "B")
    assert not found.conformant
    (role, _) = found.roles
    assert (role.passed, role.counted) == (2, 3)


def test_a_vacuous_vector_may_be_known() -> None:
    vectors = [told("A", NO, YES), told("B", NO, NO, control="A")]
    assert verdicts(judged(OBEDIENT, vectors, known={"B": "x"})) == {"A": "fail", "B": "known"}


def roles(found: Run) -> list[tuple[str, bool, int, int]]:
    return [(one.role, one.conformant, one.passed, one.counted) for one in found.roles]


def test_each_claimed_role_has_a_verdict_of_its_own() -> None:
    vectors = [
        told("A", NO, YES, roles=("auditor",)),
        told("B", YES, YES, roles=("authorizer", "auditor")),
        told("C", NO, YES, roles=("authorizer",), level="SHOULD"),
        told("D", NO, YES, roles=("authorizer",), level="MAY"),
    ]
    assert roles(judged(OBEDIENT, vectors)) == [("authorizer", True, 1, 1), ("auditor", False, 1, 2)]
    strict = judged(OBEDIENT, vectors, strict=True)
    assert roles(strict) == [("authorizer", False, 1, 2), ("auditor", False, 1, 2)]


def test_a_role_of_which_nothing_was_asked_is_not_conformant() -> None:
    found = judged(OBEDIENT, [told("A", YES, YES)])
    assert roles(found) == [("authorizer", True, 1, 1), ("auditor", False, 0, 0)]
    assert not found.conformant


def test_the_wire_profile_leaves_out_what_is_proposed() -> None:
    vectors = [
        told("A", YES, YES, roles=("authorizer", "auditor")),
        told("B", YES, YES, basis="reference"),
        told("C", NO, YES, basis="proposed"),
    ]
    found = judged(OBEDIENT, vectors, profile="wire")
    assert verdicts(found) == {"A": "pass", "B": "pass"}
    assert found.conformant
    assert not found.partial
    assert not judged(OBEDIENT, vectors).conformant


def test_a_selection_brings_controls_and_relatives_along_and_is_no_verdict_on_the_whole() -> None:
    vectors = [
        told("A", YES, YES, control="B"),
        told("B", NO, NO, control="C"),
        told("C", YES, YES),
        told("D", YES, YES, relation=Relation("same_as", "E", "valid")),
        told("E", YES, YES),
    ]
    found = judged(OBEDIENT, vectors, select=lambda one: one.id in "AD")
    assert list(verdicts(found)) == ["A", "B", "D", "E"]
    assert found.partial
    assert roles(found) == [("authorizer", True, 4, 4)]
    assert found.conformant


def test_controls_outside_the_profile_are_left_out() -> None:
    vectors = [told("A", YES, YES, control="B"), told("B", YES, YES, basis="proposed")]
    assert [one.id for one in chosen_vectors(vectors, "wire", lambda one: one.id == "A")] == ["A"]


def test_fail_fast_ends_at_the_first_failure_that_counts() -> None:
    vectors = [told(f"A{number}", NO, YES) for number in range(9)]
    found = judged(OBEDIENT, vectors, fail_fast=True)
    assert list(verdicts(found).values()) == ["fail"]
    assert found.partial
    assert not found.conformant


def test_fail_fast_goes_on_after_what_does_not_count() -> None:
    vectors = [told("A", NO, YES, level="MAY"), told("B", NO, YES), told("C", YES, YES)]
    found = judged(OBEDIENT, vectors, fail_fast=True, known={"B": "x"})
    assert verdicts(found) == {"A": "fail", "B": "known", "C": "pass"}
    assert not found.partial


def test_progress_is_told_up_to_its_end() -> None:
    told_so: list[tuple[int, int]] = []
    judged(OBEDIENT, plain("A", "B"), progress=lambda done, total: told_so.append((done, total)))
    assert told_so == [(1, 4), (2, 4), (3, 4), (4, 4)]


def sequence(id: str, *steps: tuple[str, dict[str, Any], dict[str, Any], dict[str, str]]) -> Vector:
    return vector(
        id,
        roles=("authorizer",),
        steps=tuple(Step(op, args, dict(DEFAULT_CTX), expect, bind) for op, args, expect, bind in steps),
    )


ECHO = "send(request, ok={'args': args, 'id': request['id'], 'op': op})"


def test_what_is_bound_takes_its_place_in_later_requests() -> None:
    steps = (
        ("session.open", {"x": {"deep": [1]}}, {"ok": {}}, {"all": "args", "name": "op"}),
        ("session.propose", {"a": "${all}", "b": ["${name}"], "c": "${other}"}, {"ok": {}}, {}),
        ("session.close", {}, {"ok": {"id": "A/3"}}, {}),
    )
    found = judged(program(ECHO), [sequence("A", *steps)])
    assert verdicts(found) == {"A": "pass"}
    args = found.results[0].exchanges[1].request["args"]
    assert args == {"a": {"x": {"deep": [1]}}, "b": ["session.open"], "c": "${other}"}


def test_a_sequence_ends_at_its_first_failure_and_says_which_step() -> None:
    steps = (
        ("session.open", {}, {"ok": {}}, {}),
        ("session.propose", {}, {"ok": {"op": "x"}}, {}),
        ("session.close", {}, {"ok": {}}, {}),
    )
    found = judged(program(ECHO), [sequence("A", *steps)])
    said = 'step 2, session.propose: expected op "x"; got "session.propose"'
    assert detail(found, "A") == said
    assert len(found.results[0].exchanges) == 2


def test_a_member_that_is_to_be_bound_has_to_be_there() -> None:
    found = judged(program(ECHO), [sequence("A", ("session.propose", {}, {"ok": {}}, {"id": "approval_id"}))])
    assert detail(found, "A") == "expected a result with approval_id; got none"


def test_a_session_that_a_failure_left_open_is_closed() -> None:
    body = (
        "if op == 'session.open' and opened: send(request, error={'message': 'open already'}); continue\n"
        "opened = op == 'session.open' or (opened and op != 'session.close')\n"
        "send(request, ok={})"
    )
    command = program(body)
    command[-1] = command[-1].replace("asked = 0", "asked = 0\nopened = False")
    steps = (("session.open", {}, {"ok": {}}, {}), ("session.propose", {}, {"ok": {"x": 1}}, {}))
    found = judged(command, [sequence("A", *steps), sequence("B", *steps)])
    assert verdicts(found) == {"A": "fail", "B": "fail"}


def test_a_run_says_what_it_was_made_with() -> None:
    found = judged(OBEDIENT, plain("A"), digests={"x.json": "00"}, notes={"Flag": {}})
    assert found.vectors_sha256 == {"x.json": "00"}
    assert found.notes == {"Flag": {}}
    assert found.kit_version == kit_version()
    assert found.implementation.command == tuple(OBEDIENT)
    assert found.started.endswith("+00:00")


def test_there_is_a_digest_of_each_file_of_vectors() -> None:
    digests = vector_digests()
    suites = {one.suite for one in load_vectors()}
    assert {name.removesuffix(".json") for name in digests} == suites
    assert all(len(digest) == 64 for digest in digests.values())
