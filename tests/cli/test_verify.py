"""``delego verify``: valid, not valid, could not be checked; and never an unqualified "valid"."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from ballots import signed_yes
from cli_tools import FORBIDDEN, ORDER, TIMEOUT, fill, opened, running, set_config
from delego_authorizer import Home
from delego_cli import verify
from delego_cli.verifying import Audit
from delego_ledger.anchorfile import append_anchor
from delego_ledger.jsonl import export_evidence, export_receipts
from delego_ledger.keyfiles import write_public_key
from delego_spec import (
    Anchor,
    ApprovalAudit,
    ApprovalId,
    Digest,
    Entry,
    Micros,
    SeedSigner,
    encode_line,
    seal,
)
from delego_spec.chain import MAX_PROBLEMS
from terminal import Terminal

ALICE = SeedSigner(bytes(range(32)))
MALLORY = SeedSigner(bytes(range(1, 33)))


@pytest.fixture
def filled(home: Any) -> Any:
    """A home with four receipts and its export, ``receipts.jsonl``, in the current folder."""
    fill(home.home)
    export_receipts(Home(home.home).ledger(), home.folder / "receipts.jsonl")
    return home


def key_of(world: Any) -> str:
    return str(Home(world.home).public_key().hex)


def anchor_at(world: Any, seq: int) -> Anchor:
    receipt = Home(world.home).ledger().receipt(seq)
    assert receipt is not None
    return receipt.anchor


def lines_of(world: Any) -> list[str]:
    return list((world.folder / "receipts.jsonl").read_text(encoding="utf-8").splitlines(keepends=True))


def rewrite(world: Any, lines: list[str]) -> None:
    (world.folder / "receipts.jsonl").write_text("".join(lines), encoding="utf-8")


# --- the home's ledger ----------------------------------------------------------------------------------


def test_without_an_anchor_truncation_cannot_be_ruled_out(filled: Any) -> None:
    done = filled.run("verify")
    assert done.exit_code == 0
    assert done.stdout.startswith("valid, but truncation cannot be ruled out: 4 receipts\n")
    assert "give it with --expected-head" in done.stdout
    assert f"head:   {anchor_at(filled, 3)}" in done.stdout


def test_an_expected_head_makes_it_whole(filled: Any) -> None:
    done = filled.run("verify", "--expected-head", str(anchor_at(filled, 3)))
    assert done.exit_code == 0
    assert done.stdout.startswith("valid: 4 receipts")
    assert "it ends at the expected head: nothing is missing" in done.stdout


def test_an_anchor_accepts_growth_and_says_how_far_it_reaches(filled: Any) -> None:
    done = filled.run("verify", "--anchor", str(anchor_at(filled, 0)), "--anchor", str(anchor_at(filled, 2)))
    assert done.exit_code == 0
    assert "nothing is missing through the anchor at seq 2; behind it, truncation cannot be" in done.stdout


def test_another_head_is_not_valid(filled: Any) -> None:
    done = filled.run("verify", "--expected-head", f"3:{'0' * 64}")
    assert done.exit_code == 3
    assert done.stdout.startswith("head mismatch: expected seq 3 (000000000000…), found seq 3")


def test_an_empty_ledger_is_not_valid(home: Any) -> None:
    done = home.run("verify")
    assert done.exit_code == 3
    assert done.stdout.startswith("nothing to verify: ")
    assert home.json("verify", exit_code=3)["valid"] is False


def test_a_missing_ledger_could_not_be_checked(filled: Any) -> None:
    (filled.home / "ledger.db").unlink()
    done = filled.run("verify")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "is missing; restore it from a copy" in done.stderr


def test_a_folder_without_a_home_could_not_be_checked(world: Any) -> None:
    assert world.run("verify").exit_code == 1


def test_a_ledger_of_another_key_is_not_valid(filled: Any) -> None:
    public = filled.home / "keys" / "ledger.pub"
    public.unlink()
    write_public_key(public, ALICE.public_key)
    done = filled.run("verify")
    assert done.exit_code == 3
    assert "is this the key that signed them?" in done.stdout


# --- the configured anchors -----------------------------------------------------------------------------


def test_the_configured_anchor_file_is_used(filled: Any) -> None:
    set_config(filled.home, '[anchors]\nfile = "anchors.txt"\n')
    assert "note: the configured anchor file" in filled.run("verify").stdout
    append_anchor(filled.home / "anchors.txt", anchor_at(filled, 1), Micros(1))
    assert filled.json("verify")["anchored_through"] == 1
    append_anchor(filled.home / "anchors.txt", Anchor(2, Digest("0" * 64)), Micros(2))
    assert filled.run("verify").exit_code == 3


def test_a_given_anchor_file_takes_its_place(filled: Any) -> None:
    set_config(filled.home, '[anchors]\nfile = "anchors.txt"\n')
    append_anchor(filled.folder / "mine.txt", anchor_at(filled, 3), Micros(1))
    document = filled.json("verify", "--anchor-file", "mine.txt")
    assert (document["anchored_through"], document["notes"]) == (3, [])


@pytest.mark.parametrize("text", [None, "nonsense\n"])
def test_an_anchor_file_that_cannot_be_read_is_an_error(filled: Any, text: str | None) -> None:
    if text is not None:
        (filled.folder / "bad.txt").write_text(text)
    done = filled.run("verify", "--anchor-file", "bad.txt")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)


# --- an export ------------------------------------------------------------------------------------------


def test_an_export_needs_no_home(filled: Any) -> None:
    key = key_of(filled)
    shutil.rmtree(filled.home)
    done = filled.run("verify", "receipts.jsonl", "--public-key", key)
    assert (done.exit_code, "4 receipts" in done.stdout) == (0, True)


def test_a_key_file_will_do(filled: Any) -> None:
    shutil.copy(filled.home / "keys" / "ledger.pub", filled.folder / "key.pem")
    assert filled.run("verify", "receipts.jsonl", "--public-key", "key.pem").exit_code == 0


def test_an_export_is_checked_with_the_homes_key_where_there_is_a_home(filled: Any) -> None:
    assert filled.run("verify", "receipts.jsonl").exit_code == 0


def test_without_any_key_nothing_is_checked(filled: Any) -> None:
    shutil.rmtree(filled.home)
    done = filled.run("verify", "receipts.jsonl")
    assert done.exit_code == 1
    assert "give the ledger's public key" in done.stderr


@pytest.mark.parametrize("key", ["0" * 64, "zz" * 32, "nix.pub", ""])
def test_a_key_that_is_none_is_an_error(filled: Any, key: str) -> None:
    done = filled.run("verify", "receipts.jsonl", "--public-key", key)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_an_export_comes_through_a_pipe(filled: Any) -> None:
    with (
        (filled.folder / "receipts.jsonl").open("rb") as file,
        running("verify", "-", "--json", env=filled.env, stdin=file) as started,
    ):
        out, err = started.communicate(timeout=TIMEOUT)
    assert (started.returncode, err) == (0, b"")
    assert json.loads(out)["source"] == "standard input"


@pytest.mark.parametrize("name", ["nix.jsonl", "."])
def test_a_file_that_cannot_be_read_is_an_error(filled: Any, name: str) -> None:
    done = filled.run("verify", name)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)


@pytest.mark.parametrize(("content", "status"), [("", 3), ("\n", 3), ("nonsense", 3), ("[" * 100_000, 3)])
def test_a_file_of_nonsense_is_not_valid(filled: Any, content: str, status: int) -> None:
    rewrite(filled, [content])
    assert filled.run("verify", "receipts.jsonl").exit_code == status


def test_an_edit_is_found_with_its_place(filled: Any) -> None:
    lines = lines_of(filled)
    lines[2] = lines[2].replace('"outcome":"deny"', '"outcome":"allow"')
    rewrite(filled, lines)
    done = filled.run("verify", "receipts.jsonl")
    assert done.exit_code == 3
    assert done.stdout.splitlines()[0] == "seq 2: content hash mismatch (tampered)"
    assert "not valid: 1 problem in 4 receipts" in done.stdout
    document = filled.json("verify", "receipts.jsonl", exit_code=3)
    assert document["problems"] == [
        {"code": "content", "place": 2, "text": "seq 2: content hash mismatch (tampered)"}
    ]


def test_a_cut_tail_is_found_by_the_expected_head_alone(filled: Any) -> None:
    head = str(anchor_at(filled, 3))
    rewrite(filled, lines_of(filled)[:-1])
    assert filled.run("verify", "receipts.jsonl").exit_code == 0
    assert filled.run("verify", "receipts.jsonl", "--expected-head", head).exit_code == 3


def test_many_problems_are_counted_not_listed(filled: Any) -> None:
    rewrite(filled, ["{}\n"] * (verify.MAX_LISTED + 7))
    done = filled.run("verify", "receipts.jsonl")
    assert done.stdout.count("missing field(s)") == verify.MAX_LISTED
    assert "… and 7 more problems" in done.stdout
    assert filled.json("verify", "receipts.jsonl", exit_code=3)["problem_count"] == verify.MAX_LISTED + 7


def test_what_a_forger_writes_does_not_reach_the_terminal(filled: Any) -> None:
    receipt = {**json.loads(lines_of(filled)[0]), "\x1b[2J\u202e": 1}
    rewrite(filled, [json.dumps(receipt) + "\n"])
    done = filled.run("verify", "receipts.jsonl")
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_the_number_of_jobs_changes_nothing(filled: Any, jobs: str) -> None:
    with opened(filled.home) as authorizer:
        authorizer.propose_many([FORBIDDEN] * 600)
    assert filled.json("verify", "--jobs", jobs)["receipts"] == 604


@pytest.mark.parametrize(
    "words",
    [
        ["--jobs", "0"],
        ["--jobs", "100000"],
        ["--expected-head", "x"],
        ["--expected-head", "1:abc"],
        ["--anchor", "-1:" + "0" * 64],
        ["--required-approvers", "2"],
        ["--evidence", "x"],
        ["-", "--approvers", ".", "--evidence", "-"],
        ["a", "b"],
    ],
)
def test_nonsense_is_wrong_usage(filled: Any, words: list[str]) -> None:
    done = filled.run("verify", *words)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)


# --- approvers' signatures ------------------------------------------------------------------------------


@pytest.fixture
def signed(home: Any) -> Any:
    """A home that demands signatures, one approved release, its export, its evidence, and alice's key."""
    keys = home.folder / "approvers"
    keys.mkdir()
    write_public_key(keys / "alice.pub", ALICE.public_key)
    write_public_key(home.home / "approvers" / "alice.pub", ALICE.public_key)
    set_config(home.home, '[approvals]\napprovers = ["alice"]\nsigned = true\n')
    with opened(home.home) as authorizer:
        approval_id = str(authorizer.propose(ORDER).approval_id)
        signature = signed_yes(authorizer.ballot(approval_id, "alice"), ALICE)
        assert authorizer.decide(approval_id, "approve", "alice", callback=signature.callback).accepted
        assert authorizer.resolve(approval_id, ORDER).allowed
    ledger = Home(home.home).ledger()
    export_receipts(ledger, home.folder / "receipts.jsonl")
    export_evidence(ledger, home.folder / "evidence.jsonl")
    return home


def test_signed_approvals_hold(signed: Any) -> None:
    done = signed.run("verify", "--approvers", "approvers")
    assert done.exit_code == 0
    assert "approvers: each of 1 approved release is signed as it must be" in done.stdout


def test_signed_approvals_hold_in_an_export(signed: Any) -> None:
    words = ["verify", "receipts.jsonl", "--approvers", "approvers", "--evidence", "evidence.jsonl"]
    assert signed.json(*words)["approved_releases"] == 1


def test_an_export_without_its_evidence_could_not_be_checked(signed: Any) -> None:
    done = signed.run("verify", "receipts.jsonl", "--approvers", "approvers")
    assert done.exit_code == 1
    assert "--evidence FILE" in done.stderr


def test_evidence_that_is_missing_is_found(signed: Any) -> None:
    (signed.folder / "empty.jsonl").write_text("")
    words = ["verify", "receipts.jsonl", "--approvers", "approvers", "--evidence", "empty.jsonl"]
    document = signed.json(*words, exit_code=3)
    assert {problem["code"] for problem in document["problems"]} == {"approval"}
    assert "is not to be had" in document["problems"][0]["text"]


def test_a_yes_signed_by_somebody_else_is_found(signed: Any) -> None:
    other = signed.folder / "others"
    other.mkdir()
    write_public_key(other / "alice.pub", MALLORY.public_key)
    assert signed.run("verify", "--approvers", "others").exit_code == 3


def test_more_approvers_can_be_demanded(signed: Any) -> None:
    done = signed.run("verify", "--approvers", "approvers", "--required-approvers", "2")
    assert done.exit_code == 3
    assert "has 1 of 2 valid approver signatures" in done.stdout


def test_a_yes_that_only_the_ledgers_key_vouches_for_is_found(home: Any) -> None:
    fill(home.home)
    with opened(home.home) as authorizer:
        approval_id = str(authorizer.propose(ORDER).approval_id)
        assert authorizer.decide(approval_id, "approve", "alice").accepted
        assert authorizer.resolve(approval_id, ORDER).allowed
    (home.folder / "approvers").mkdir()
    write_public_key(home.folder / "approvers" / "alice.pub", ALICE.public_key)
    assert home.run("verify").exit_code == 0
    assert home.run("verify", "--approvers", "approvers").exit_code == 3


def test_signatures_that_were_not_checked_are_named(signed: Any) -> None:
    assert "note: the approvers' signatures were not checked" in signed.run("verify").stdout


@pytest.mark.parametrize("folder", [".", "nix"])
def test_a_folder_without_keys_is_an_error(signed: Any, folder: str) -> None:
    done = signed.run("verify", "--approvers", folder)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_the_audit_keeps_no_more_problems_than_a_report_may_have() -> None:
    entry = Entry(
        phase="execution",
        outcome="allow",
        rule=None,
        reasons=(),
        intent_hash=ORDER.intent_hash,
        action_fingerprint=ORDER.fingerprint,
        action_summary=ORDER.summary,
        approval_id=ApprovalId("apr_1"),
    )
    sealed = seal(entry, seq=0, ts=Micros(0), prev_hash="GENESIS")
    line = encode_line(sealed.payload, sealed.entry_hash, "0" * 128)
    audit = Audit(ApprovalAudit({"alice": ALICE.public_key}, lambda _: None))
    assert len(list(audit.watch(iter([line] * MAX_PROBLEMS)))) == MAX_PROBLEMS
    assert audit.report.problem_count == 2 * MAX_PROBLEMS - 1  # unsigned, and all but the first again
    assert len(audit.report.problems) == MAX_PROBLEMS
    assert audit.report.released == MAX_PROBLEMS


def test_unreadable_lines_are_the_chains_problem(signed: Any) -> None:
    with (signed.folder / "receipts.jsonl").open("a") as file:
        file.write("nonsense\n")
    words = ["verify", "receipts.jsonl", "--approvers", "approvers", "--evidence", "evidence.jsonl"]
    problems = signed.json(*words, exit_code=3)["problems"]
    assert [problem["code"] for problem in problems] == ["structure"]


# --- on a terminal --------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["verify"], ["verify", "receipts.jsonl"]])
def test_a_terminal_sees_progress_and_colour(filled: Any, words: list[str]) -> None:
    with opened(filled.home) as authorizer:
        authorizer.propose_many([FORBIDDEN] * 1200)
    (filled.folder / "receipts.jsonl").unlink()
    export_receipts(Home(filled.home).ledger(), filled.folder / "receipts.jsonl")
    with Terminal(words, filled.env, cwd=filled.folder) as screen:
        assert screen.finish() == 0
    assert "verifying" in screen.output
    assert "100%" in screen.output
    assert "\x1b[33m" in screen.output


def test_no_color_is_honoured(filled: Any) -> None:
    with Terminal(["verify"], {**filled.env, "NO_COLOR": "1"}) as screen:
        assert screen.finish() == 0
    assert "valid, but" in screen.output
    assert "\x1b[3" not in screen.output


def test_a_pipe_that_closes_is_no_traceback(filled: Any) -> None:
    rewrite(filled, ["{}\n"] * 3000)
    command = f"{sys.executable} -m delego_cli verify receipts.jsonl | head -1"
    done = subprocess.run(
        ["bash", "-c", command], env=filled.env, cwd=filled.folder, capture_output=True, check=False
    )
    assert done.stderr == b""
