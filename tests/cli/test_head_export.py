"""``delego head`` and ``delego export``: what an auditor is given."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from cli_tools import fill, running, set_config
from delego_authorizer import Home
from delego_ledger.anchorfile import append_anchor, read_anchors
from delego_spec import Anchor, Digest, Micros
from terminal import Terminal

ANCHORED = '[anchors]\nfile = "anchors.txt"\n'


@pytest.fixture
def filled(home: Any) -> Any:
    """A home with four receipts."""
    fill(home.home)
    return home


def head_of(world: Any) -> Anchor:
    head = Home(world.home).ledger().head()
    assert head is not None
    return head


# --- head -----------------------------------------------------------------------------------------------


def test_the_head_is_one_plain_line(filled: Any) -> None:
    done = filled.run("head")
    assert (done.exit_code, done.stdout, done.stderr) == (0, f"{head_of(filled)}\n", "")


def test_machines_get_the_head_in_parts(filled: Any) -> None:
    head = head_of(filled)
    wanted = {"seq": 3, "entry_hash": head.entry_hash, "anchor": str(head), "appended": None}
    assert filled.json("head") == wanted


def test_an_empty_ledger_has_no_head(home: Any) -> None:
    done = home.run("head")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "has no receipts yet" in done.stderr


def test_the_head_is_appended_once(filled: Any) -> None:
    set_config(filled.home, ANCHORED)
    first, second = filled.run("head", "--append"), filled.run("head", "--append")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "added to" in first.stderr
    assert "is already in" in second.stderr
    assert first.stdout == second.stdout == f"{head_of(filled)}\n"
    assert [line.anchor for line in read_anchors(filled.home / "anchors.txt")] == [head_of(filled)]


def test_without_a_configured_file_nothing_is_appended(filled: Any) -> None:
    done = filled.run("head", "--append")
    assert done.exit_code == 1
    assert "no anchor file is configured; set 'file' under [anchors]" in done.stderr


@pytest.mark.parametrize(("seq", "found"), [(2, "the ledger has seq 2"), (9, "the ledger ends at seq 3")])
def test_a_head_of_another_history_is_not_appended(filled: Any, seq: int, found: str) -> None:
    set_config(filled.home, ANCHORED)
    path = filled.home / "anchors.txt"
    append_anchor(path, Anchor(seq, Digest("0" * 64)), Micros(1))
    before = path.read_bytes()
    done = filled.run("head", "--append")
    assert (done.exit_code, done.stdout) == (3, "")
    assert found in done.stderr
    assert path.read_bytes() == before


# --- export ---------------------------------------------------------------------------------------------


def test_an_export_is_the_ledgers_lines_and_nothing_else(filled: Any) -> None:
    wanted = b"".join(line + b"\n" for line in Home(filled.home).ledger().lines())
    assert filled.run("export").stdout_bytes == wanted
    assert filled.run("export", "-").stdout_bytes == wanted
    assert filled.run("export", "out.jsonl").exit_code == 0
    assert (filled.folder / "out.jsonl").read_bytes() == wanted


def test_what_is_said_beside_it_verifies_it(filled: Any) -> None:
    done = filled.run("export", "the receipts.jsonl")
    assert done.stdout == ""
    line = next(line for line in done.stderr.splitlines() if line.startswith("to check it: delego "))
    assert str(head_of(filled)) in line
    assert "'the receipts.jsonl'" in line
    words = line.removeprefix("to check it: delego ").replace("'the receipts.jsonl'", "X").split()
    words[words.index("X")] = "the receipts.jsonl"
    assert filled.run(*words).stdout.startswith("valid: 4 receipts")


def test_machines_get_the_summary_where_receipts_go_to_a_file(filled: Any) -> None:
    document = filled.json("export", "out.jsonl", "--evidence", "evidence.jsonl")
    key = Home(filled.home).public_key()
    assert document == {
        "file": "out.jsonl",
        "receipts": 4,
        "start": 0,
        "head": str(head_of(filled)),
        "public_key": key.hex,
        "key_id": key.key_id,
        "evidence": 0,
    }


def test_a_part_says_that_it_is_one(filled: Any) -> None:
    done = filled.run("export", "--start", "1", "--stop", "3")
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [1, 2]
    assert "this is a part" in done.stderr
    assert "head:       2:" in done.stderr


@pytest.mark.parametrize("options", [["--start", "9"], ["--stop", "0"]])
def test_an_empty_part_has_no_head(filled: Any, options: list[str]) -> None:
    done = filled.run("export", *options)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "head:       none" in done.stderr


def test_an_export_replaces_nothing(filled: Any) -> None:
    (filled.folder / "mine.txt").write_text("mine")
    done = filled.run("export", "mine.txt")
    assert done.exit_code == 1
    assert "already exists and was left as it is" in done.stderr
    assert (filled.folder / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "words", [["x", "--evidence", "x"], ["--evidence", "-"], ["--start", "-1"], ["a", "b"]]
)
def test_nonsense_is_wrong_usage(filled: Any, words: list[str]) -> None:
    done = filled.run("export", *words)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_folder_that_is_not_there_is_an_error(filled: Any) -> None:
    done = filled.run("export", "nix/out.jsonl")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)


def test_a_reader_that_leaves_ends_it_quietly(filled: Any) -> None:
    with running("export", env=filled.env) as started:
        assert started.stdout is not None
        started.stdout.close()
        assert started.stderr is not None
        assert b"Traceback" not in started.stderr.read()


def test_a_terminal_sees_progress(filled: Any) -> None:
    with Terminal(["export", "out.jsonl"], filled.env, cwd=filled.folder) as screen:
        assert screen.finish() == 0
    assert "exporting" in screen.output


def test_evidence_is_written_under_its_hash(filled: Any) -> None:
    evidence = {"any": "object"}
    with Home(filled.home).authorizer().ledger.transaction() as transaction:
        key = Digest(hashlib.sha256(b'{"any":"object"}').hexdigest())
        transaction.put_evidence(key, evidence)  # type: ignore[arg-type]  # a JSON object
    assert filled.run("export", "out.jsonl", "--evidence", "-").stdout == '{"any":"object"}\n'


def test_an_export_of_nothing_is_not_called_a_part(filled: Any) -> None:
    done = filled.run("export", "--start", "999", "-")
    assert done.exit_code == 0
    assert done.stderr.splitlines()[-1] == "there is no receipt in what was asked for"


def test_where_the_evidence_cannot_be_written_the_receipts_are_not_either(filled: Any) -> None:
    evidence, receipts = filled.folder / "evidence.jsonl", filled.folder / "receipts.jsonl"
    evidence.write_text("kept\n")
    result = filled.run("export", str(receipts), "--evidence", str(evidence))
    assert result.exit_code == 1
    assert "already exists" in result.stderr
    assert (receipts.exists(), evidence.read_text()) == (False, "kept\n")
