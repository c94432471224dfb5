"""``delego pending``, ``approve`` and ``deny``: what a person sees, is asked, and may do."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from delego_authorizer import open_home
from delego_cli import pending
from delego_cli.completers import approval_ids
from delego_ledger import clock
from delego_ledger.keyfiles import generate_key, load_public_key, write_public_key
from delego_ledger.sealed import Cost
from delego_spec.callbacks import Evidence, VerifiedDecision, verify_evidence
from terminal import Terminal

HOUR = 3_600_000_000


def change_config(home: Any, *pairs: tuple[str, str]) -> None:
    path = home.home / "config.toml"
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def later(monkeypatch: pytest.MonkeyPatch, micros: int) -> None:
    """Let the command's clock be ahead."""
    now = clock.system_clock
    monkeypatch.setattr(clock, "system_clock", lambda: now() + micros)


# --- pending --------------------------------------------------------------------------------------------


def test_nothing_waiting_is_said(home: Any) -> None:
    assert home.run("pending").stdout == "nothing waits for a decision\n"
    assert home.json("pending") == {"pending": []}


def test_pending_shows_what_a_person_needs_to_choose(home: Any) -> None:
    first, second = home.parked(), home.parked(amount=99)
    lines = home.run("pending").stdout.splitlines()
    assert lines[0].split("  ")[0] == "approval"
    assert [line.split()[0] for line in lines[1:3]] == [first, second]
    assert "0/1" in lines[1]
    assert "place-order" in lines[1]
    assert "agent" in lines[1]
    assert '"amount":24' in lines[1]
    assert lines[3] == f"to decide: delego approve {first}  or deny"


def test_pending_in_json_has_age_expiry_and_what_is_bound(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    approval = home.parked()
    later(monkeypatch, 2 * HOUR)
    (document,) = home.json("pending")["pending"]
    assert document["approval_id"] == approval
    assert 7200 <= document["age_seconds"] < 7300
    assert 79_000 < document["expires_in_seconds"] <= 79_200
    assert document["instruction"] == "buy a lamp"
    assert document["required_approvers"] == 1
    assert document["approved_by"] == []


def test_what_has_expired_no_longer_waits(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home.parked()
    later(monkeypatch, 25 * HOUR)
    assert home.json("pending") == {"pending": []}


def test_what_expires_soon_and_what_never_does_is_marked(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    approval_id = home.parked()
    approval = open_home(home.home).ledger.approval(approval_id)
    assert approval is not None
    row = pending._row(approval, approval.expires_at - 60_000_000)
    assert row[2] == pending.Styled("1 min", fg="yellow")
    from dataclasses import replace

    endless = replace(approval, expires_at=None)
    assert pending._row(endless, approval.created_at)[2] == pending.Styled("never")
    assert pending._mapping(endless, approval.created_at)["expires_in_seconds"] is None


def test_on_a_narrow_terminal_the_action_goes_below(home: Any) -> None:
    home.parked()
    with Terminal(["pending"], {**home.env, "NO_COLOR": "1"}, columns=80) as screen:
        assert screen.finish() == 0
    lines = screen.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].startswith("  POST api.example.com/orders {")
    assert lines[2].endswith("…") or lines[2].endswith("}")


# --- approve and deny -----------------------------------------------------------------------------------


def test_a_person_sees_all_that_is_bound_and_is_asked(home: Any) -> None:
    approval = home.parked(note="x\u202ey\x1b[31m" + "z" * 300)
    with Terminal(["approve", approval], {**home.env, "NO_COLOR": "1"}, columns=80) as screen:
        screen.wait_for("approve as 'alice'? [y/N]: ")
        screen.type("y\n")
        assert screen.finish() == 0
    for part in (
        f"approval:     {approval}",
        'instruction:  "buy a lamp"',
        "method:       POST",
        "scheme:       https",
        "host:         api.example.com",
        "path:         /orders",
        'param:        "amount" = 24',
        '"note" = "x\\u{202e}y\\u{1b}[31m',
        "z" * 300,
        "proposed by:  agent",
        "rule:         place-order",
        "expires in 23 h 59 min",
        f"approved  {approval}, to be released once, by:\n  delego resolve {approval} …",
    ):
        assert part in screen.output.replace("\r", "")
    assert "\x1b[31m" not in screen.output
    assert "\u202e" not in screen.output


@pytest.mark.parametrize("answer", ["n\n", "\n", "no\n"])
def test_no_answer_but_yes_decides_anything(home: Any, answer: str) -> None:
    approval = home.parked()
    with Terminal(["approve", approval], home.env) as screen:
        screen.wait_for("[y/N]")
        screen.type(answer)
        assert screen.finish() == 3
    assert "nothing was decided" in screen.output
    assert len(home.json("pending")["pending"]) == 1


def test_the_end_of_input_decides_nothing(home: Any) -> None:
    approval = home.parked()
    with Terminal(["deny", approval], home.env) as screen:
        screen.wait_for("[y/N]")
        screen.type("\x04")
        assert screen.finish() == 130
    assert len(home.json("pending")["pending"]) == 1


def test_without_a_terminal_nobody_is_asked_and_nothing_is_decided(home: Any) -> None:
    approval = home.parked()
    for verb in ("approve", "deny"):
        result = home.run(verb, approval, input="y\n")
        assert result.exit_code == 1
        assert "there is no terminal to ask on, and nothing was done; decide with --yes" in result.stderr
    assert len(home.json("pending")["pending"]) == 1


def test_who_cannot_see_the_question_is_not_asked(home: Any, tmp_path: Path) -> None:
    approval = home.parked()
    with (
        (tmp_path / "err").open("wb") as file,
        Terminal(["approve", approval], home.env, stderr=file.fileno()) as screen,
    ):
        assert screen.finish() == 1
    assert "there is no terminal to ask on" in (tmp_path / "err").read_text()


def test_what_is_asked_shows_also_where_stdout_is_piped(home: Any, tmp_path: Path) -> None:
    approval = home.parked()
    out = tmp_path / "out"
    with (
        out.open("wb") as file,
        Terminal(["approve", approval, "--json"], home.env, stdout=file.fileno()) as screen,
    ):
        screen.wait_for('"amount" = 24')
        screen.wait_for("[y/N]")
        screen.type("y\n")
        assert screen.finish() == 0
    assert json.loads(out.read_text())["status"] == "approved"


def test_a_declined_question_is_said_in_json(home: Any, tmp_path: Path) -> None:
    approval = home.parked()
    out = tmp_path / "out"
    with (
        out.open("wb") as file,
        Terminal(["approve", approval, "--json"], home.env, stdout=file.fileno()) as screen,
    ):
        screen.wait_for("[y/N]")
        screen.type("n\n")
        assert screen.finish() == 3
    assert json.loads(out.read_text()) == {
        "approval_id": approval,
        "accepted": False,
        "refusal": "not confirmed",
    }


def test_yes_skips_the_question_and_still_shows_the_action(home: Any) -> None:
    approval = home.parked()
    result = home.run("approve", approval, "--yes", "--note", "for the hall")
    assert result.exit_code == 0
    assert '"amount" = 24' in result.stderr
    assert result.stdout.startswith("approved  ")
    stored = open_home(home.home).ledger.approval(approval)
    assert stored is not None
    assert (stored.approved_by, stored.decision_note) == (("alice",), "for the hall")


def test_a_no_is_final(home: Any, action: Any) -> None:
    approval = home.parked()
    denied = home.run("deny", approval, "--yes")
    assert (denied.exit_code, denied.stdout) == (0, f"denied  {approval}\n")
    late = home.run("approve", approval, "--yes")
    assert late.exit_code == 3
    assert late.stderr == "delego: approval is already denied; nothing was decided\n"
    assert home.json("approve", approval, "--yes", exit_code=3)["accepted"] is False
    assert home.run("resolve", approval, *action()).exit_code == 3


def test_an_expired_approval_asks_nobody(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    approval = home.parked()
    later(monkeypatch, 25 * HOUR)
    result = home.run("approve", approval)
    assert result.exit_code == 3
    assert "approval expired at " in result.stderr


def test_a_stranger_and_the_proposer_may_not_approve(home: Any) -> None:
    change_config(home, ('approvers = ["alice"]', 'approvers = ["alice", "agent"]'))
    approval = home.parked()
    stranger = home.run("approve", approval, "--as", "mallory", "--yes")
    assert stranger.exit_code == 3
    assert "'mallory' is not one of the configured approvers" in stranger.stderr
    proposer = home.json("approve", approval, "--as", "agent", "--yes", exit_code=3)
    assert "may not approve it" in proposer["refusal"]
    assert len(home.json("pending")["pending"]) == 1


def test_two_approvers_are_counted_one_after_the_other(home: Any) -> None:
    change_config(
        home, ('approvers = ["alice"]', 'approvers = ["alice", "bob"]'), ("required = 1 ", "required = 2 ")
    )
    approval = home.parked()
    first = home.run("approve", approval, "--yes")
    assert first.exit_code == 0
    assert "0 of 2 yes so far (nobody yet)" in first.stderr
    assert first.stdout == "counted  1 more must say yes\n"
    assert " 1/2 " in home.run("pending").stdout
    again = home.run("approve", approval, "--yes")
    assert again.exit_code == 3
    assert "already approved" in again.stderr
    second = home.run("approve", approval, "--yes", "--as", "bob")
    assert "1 of 2 yes so far (alice)" in second.stderr
    assert second.stdout.startswith("approved  ")


@pytest.mark.parametrize("name", ["apr_0", "", "../x", "\x1b[31m", "x" * 1000])
def test_an_unknown_approval_cannot_be_decided(home: Any, name: str) -> None:
    result = home.run("approve", name, "--yes")
    assert result.exit_code == 1
    assert result.stderr.startswith("delego: unknown approval id ")
    assert "'delego pending' lists the open ones" in result.stderr
    assert "\x1b" not in result.stderr


# --- signed decisions -----------------------------------------------------------------------------------


@pytest.fixture
def signed(world: Any) -> Any:
    """A home that wants signatures; alice has a key under the passphrase ``pass word``, and is enrolled.

    The key is as `delego keys new-approver` makes it, but for what a guess at the passphrase costs.
    """
    path = Path(world.env["XDG_CONFIG_HOME"]) / "delego" / "alice.pem"
    path.parent.mkdir(mode=0o700, parents=True)
    key = generate_key(path, passphrase=b"pass word", _cost=Cost(passes=1, memory=8192)).public_key
    write_public_key(path.with_suffix(".pub"), key)
    return enrolled(world, path.with_suffix(".pub"))


def enrolled(world: Any, public_key: Path | str) -> Any:
    (world.folder / "secret").write_text("pass word\n")
    assert world.run("init", "--sign").exit_code == 0
    assert world.run("keys", "trust", "alice", str(public_key), "--yes").exit_code == 0
    return world


def test_a_signed_yes_is_kept_as_evidence_that_verifies(world: Any) -> None:
    (world.folder / "secret").write_text("pass word\n")
    made = world.json("keys", "new-approver", "alice", "--passphrase-file", "secret")
    signed = enrolled(world, made["public_key"])
    approval = signed.parked()
    result = signed.run("approve", approval, "--yes", "--note", "ok", "--passphrase-file", "secret")
    assert result.exit_code == 0, result.output
    assert "your decision will be signed" in result.stderr
    ledger = open_home(signed.home).ledger
    head = ledger.head()
    assert head is not None
    receipt = ledger.receipt(head.seq)
    assert receipt is not None
    (named,) = [one for one in receipt.payload.reasons if one.startswith("approval evidence sha256:")]
    stored = ledger.evidence(named.removeprefix("approval evidence sha256:"))
    key = load_public_key(signed.home / "approvers" / "alice.pub")
    verified = verify_evidence(Evidence.from_mapping(stored), {key.key_id: key})
    assert isinstance(verified, VerifiedDecision)
    assert (verified.decision, verified.decision_note) == ("approve", "ok")


def test_the_passphrase_is_asked_on_the_terminal_and_not_shown(signed: Any) -> None:
    approval = signed.parked()
    with Terminal(["approve", approval], signed.env) as screen:
        screen.wait_for("[y/N]")
        screen.type("y\n")
        screen.wait_for("passphrase of alice.pem")
        screen.type("wrong\n")
        screen.wait_for("that is not the passphrase; 2 more")
        screen.wait_for("passphrase of alice.pem")
        screen.type("pass word\n")
        assert screen.finish() == 0
    assert "pass word" not in screen.output
    assert "wrong" not in screen.output
    assert "approved" in screen.output


def test_after_three_wrong_passphrases_nothing_is_decided(signed: Any) -> None:
    approval = signed.parked()
    with Terminal(["deny", approval, "--yes"], signed.env) as screen:
        for _ in range(3):
            screen.wait_for("passphrase of alice.pem")
            screen.type("wrong\n")
        assert screen.finish() == 1
    assert "delego: wrong passphrase for" in screen.output
    assert len(signed.json("pending")["pending"]) == 1


def test_no_passphrase_is_no_decision(signed: Any) -> None:
    approval = signed.parked()
    with Terminal(["deny", approval, "--yes"], signed.env) as screen:
        screen.wait_for("passphrase of alice.pem")
        screen.type("\n")
        assert screen.finish() == 1
    assert "delego: no passphrase was given" in screen.output


@pytest.mark.parametrize(("text", "says"), [("wrong", "wrong passphrase for"), ("", "holds no passphrase")])
def test_a_wrong_passphrase_file_is_not_asked_about(signed: Any, text: str, says: str) -> None:
    (signed.folder / "other").write_text(text)
    result = signed.run("approve", signed.parked(), "--yes", "--passphrase-file", "other")
    assert result.exit_code == 1
    assert says in result.stderr


def test_without_a_terminal_a_passphrase_cannot_be_asked(signed: Any) -> None:
    result = signed.run("approve", signed.parked(), "--yes")
    assert result.exit_code == 1
    assert "give --passphrase-file" in result.stderr


def test_an_approver_without_a_key_is_told_how_to_make_one(signed: Any) -> None:
    result = signed.run("approve", signed.parked(), "--yes", "--as", "bob")
    assert result.exit_code == 1
    assert "there is no key of 'bob' at " in result.stderr
    assert "'delego keys new-approver bob'" in result.stderr


def test_the_key_comes_from_the_option_then_the_variable_then_the_default(signed: Any) -> None:
    made = signed.json("keys", "new-approver", "alice", "--no-passphrase", "--out", "other.pem")
    other = signed.run("approve", signed.parked(), "--yes", "--key", "other.pem")
    assert other.exit_code == 3
    both = signed.run(
        "approve", signed.parked(), "--yes", "--key", "other.pem", env={"DELEGO_APPROVER_KEY": "gone.pem"}
    )
    assert both.exit_code == 3
    assert "is not that of an approver" in other.stderr
    variable = signed.run(
        "approve", signed.parked(), "--yes", env={"DELEGO_APPROVER_KEY": made["private_key"]}
    )
    assert variable.exit_code == 3
    gone = signed.run("approve", signed.parked(), "--yes", env={"DELEGO_APPROVER_KEY": "gone.pem"})
    assert gone.exit_code == 1
    assert "at 'gone.pem'" in gone.stderr


def test_a_key_may_sign_where_no_signature_is_wanted(home: Any) -> None:
    home.json("keys", "new-approver", "alice", "--no-passphrase", "--out", "a.pem")
    assert home.run("keys", "trust", "alice", "a.pub", "--yes").exit_code == 0
    answer = home.json("approve", home.parked(), "--yes", "--key", "a.pem")
    receipt = open_home(home.home).ledger.receipt(int(answer["receipt"].partition(":")[0]))
    assert receipt is not None
    assert any(reason.startswith("approval evidence sha256:") for reason in receipt.payload.reasons)


def test_a_wrong_terminal_for_the_passphrase_is_none_at_all(signed: Any) -> None:
    (signed.folder / "empty").write_text("")
    done = signed.process("approve", signed.parked(), "--yes", stdin=subprocess.DEVNULL)
    assert done.returncode == 1


# --- completion -----------------------------------------------------------------------------------------


def completions(world: Any, *words: str) -> list[str]:
    line = ["delego", *words]
    env = {
        **world.env,
        "_DELEGO_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(line),
        "COMP_CWORD": str(len(line) - 1),
    }
    done = world.process(env=env)
    assert done.stderr == ""
    return [part.partition(",")[2] for part in done.stdout.splitlines() if part]


def test_the_shell_completes_verbs_options_and_approvals(home: Any) -> None:
    assert completions(home, "pro") == ["propose"]
    assert "--home" in completions(home, "pending", "--")
    approval = home.parked()
    assert completions(home, "approve", "apr") == [approval]
    assert completions(home, "resolve", "") == [approval]
    home.run("deny", approval, "--yes")
    assert completions(home, "deny", "apr") == []


def test_the_shell_completes_rules(home: Any) -> None:
    assert completions(home, "log", "--rule", "p") == ["place-order"]
    assert completions(home, "log", "--rule", "no") == ["no-permission-changes"]
    approval = home.parked()
    assert completions(home, "log", "--approval", "apr") == [approval]


@pytest.mark.parametrize(
    "words",
    [
        ["verify"],
        ["verify", "--public-key"],
        ["verify", "--evidence"],
        ["export"],
        ["export", "--evidence"],
        ["policy", "check"],
    ],
)
def test_the_shell_completes_files_where_a_file_is_wanted(home: Any, words: list[str]) -> None:
    env = {"_DELEGO_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["delego", *words, "rec"])}
    done = home.process(env={**home.env, **env, "COMP_CWORD": str(len(words) + 1)})
    assert done.stdout == "file,rec\n"  # bash is told to look for files itself


def test_completion_without_a_home_is_silent(world: Any) -> None:
    assert completions(world, "approve", "apr") == []
    assert approval_ids("pending")(None, None, "") == []  # type: ignore[arg-type]  # whatever goes wrong


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(world: Any, shell: str) -> None:
    result = world.run("completion", shell)
    assert result.exit_code == 0
    assert "_DELEGO_COMPLETE" in result.stdout
    assert world.json("completion", shell)["script"] in result.stdout


def test_the_shell_of_the_person_is_the_default(world: Any) -> None:
    assert "fish" in world.run("completion", env={"SHELL": "/usr/bin/fish"}).stdout
    unknown = world.run("completion", env={"SHELL": "/bin/tcsh\x1b"})
    assert unknown.exit_code == 1
    assert "no completion for the shell 'tcsh\\x1b'; give one of bash, zsh, fish" in unknown.stderr
    assert world.run("completion", "tcsh").exit_code == 2


def test_bash_reads_the_script(world: Any) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=world.run("completion", "bash").stdout, text=True, check=False
    )
    assert done.returncode == 0
