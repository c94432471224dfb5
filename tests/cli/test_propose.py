"""``delego propose`` and ``delego resolve``: one action from arguments."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delego_authorizer import Authorizer, Decision
from delego_cli.action_arguments import ActionArguments, read_params
from delego_spec.action import Action

READ = ["-i", "read my account details", "GET", "https://api.example.com/accounts/me"]


def test_an_allowed_action_exits_with_yes_and_shows_why(home: Any) -> None:
    result = home.run("propose", *READ)
    assert result.exit_code == 0
    assert result.stdout.startswith("allowed  by rule 'read-accounts'\n  rate_limit: 1/50 per hour\n")
    assert "051bae652ac13aa7eda6389a289e084c3414f9cd2b229544a679b47b21003d06" in result.stdout


def test_a_denied_action_exits_with_no(home: Any) -> None:
    result = home.run("propose", "-i", "x", "DELETE", "https://api.example.com/accounts/me")
    assert result.exit_code == 3
    assert result.stdout.startswith("denied\n  no rule matched; default = deny\n")


def test_a_parked_action_exits_with_no_and_says_who_runs_what(home: Any, action: Any) -> None:
    result = home.run("propose", *action())
    assert result.exit_code == 3
    (approval,) = home.json("pending")["pending"]
    assert f"a person decides  delego approve {approval['approval_id']}\n" in result.stdout
    assert f"then release it   delego resolve {approval['approval_id']} …" in result.stdout


def test_json_has_what_a_machine_needs(home: Any) -> None:
    decision = home.json("propose", *READ)
    assert decision["outcome"] == "allow"
    assert decision["rule"] == "read-accounts"
    assert decision["executed"] is False
    assert {
        "reasons",
        "intent_hash",
        "action_fingerprint",
        "approval_id",
        "result",
        "token",
    } <= decision.keys()


def test_the_proposer_is_recorded(home: Any, action: Any) -> None:
    home.json("propose", *action(), "--as", "bot:7", exit_code=3)
    assert home.json("pending")["pending"][0]["proposer"] == "bot:7"


def test_a_token_is_shown_in_full(home: Any) -> None:
    config = home.home / "config.toml"
    config.write_text(config.read_text().replace("# audience =", "audience ="))
    result = home.run("propose", *READ)
    token = result.stdout.split("token:   ")[1].split("\n")[0]
    assert token.count(".") == 2
    assert home.json("propose", *READ)["token"].count(".") == 2


# --- params ---------------------------------------------------------------------------------------------


def test_params_are_strings_unless_they_are_written_as_json() -> None:
    pairs = ["a=5", "b:=5", "c:=null", "d:=[1, 2]", "e=", "f=x=y", 'g:="q"', "h=:=", "i==", "j.k[]=z"]
    assert read_params(pairs, '{"z": {"y": 1}}') == {
        "z": {"y": 1},
        "a": "5",
        "b": 5,
        "c": None,
        "d": [1, 2],
        "e": "",
        "f": "x=y",
        "g": "q",
        "h": ":=",
        "i": "=",
        "j.k[]": "z",
    }


@pytest.mark.parametrize(
    ("pairs", "text", "says"),
    [
        (["a"], None, "-p 'a' is not NAME=VALUE or NAME:=JSON"),
        (["=5"], None, "-p '=5' is not NAME=VALUE or NAME:=JSON"),
        ([":=5"], None, "-p ':=5' is not NAME=VALUE or NAME:=JSON"),
        ([""], None, "-p '' is not NAME=VALUE"),
        (["a=1", "a=2"], None, "the param 'a' is given twice"),
        (["a=1", "a:=1"], None, "the param 'a' is given twice"),
        (["a=1"], '{"a": 1}', "the param 'a' is given twice"),
        ([], "[1]", "--params '[1]' is not a JSON object"),
        ([], "{", "--params: "),
        ([], '{"a": 1, "a": 2}', "--params: "),
        (["a:=NaN"], None, "-p a: "),
        (["a:=1e999"], None, "-p a: "),
        (["a:="], None, "-p a: "),
    ],
)
def test_params_that_cannot_be_meant_are_wrong_usage(pairs: list[str], text: str | None, says: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        read_params(pairs, text)
    assert str(caught.value).startswith(says)


@given(
    st.lists(st.text(max_size=12), max_size=4),
    st.none()
    | st.text(max_size=20)
    | st.recursive(st.integers(), lambda kids: st.dictionaries(st.text(), kids)).map(json.dumps),
)
def test_any_params_give_an_object_or_wrong_usage(pairs: list[str], text: str | None) -> None:
    try:
        params = read_params(pairs, text)
    except click.UsageError:
        return
    assert type(params) is dict


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "missing option '-i'"),
        (["GET", "https://x.example/"], "missing option '-i'"),
        (["-i", "x"], "missing METHOD and URL"),
        (["-i", "x", "GET"], "missing METHOD and URL"),
        (["-i", "x", "GET", "https://x.example/", "more"], ""),
        (["-i", "\x85x", "GET", "https://x.example/"], "instruction: begins or ends with"),
        (["-i", "x", "GET", "https://x.example/", "-p", "n:=1e30"], "-p n: "),
        (["-i", "x", "GET", "https://x.example/", "--as", "two words"], ""),
        (["-i", "x", "GET", "https://x.example/", "--group-by", "kind"], "--group-by counts"),
    ],
)
def test_a_command_line_that_is_no_action_is_wrong_usage(home: Any, arguments: list[str], says: str) -> None:
    result = home.run("propose", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"delego: {says}")
    assert result.stderr.count("\n") == 1
    assert home.json("pending") == {"pending": []}


def test_what_is_not_text_is_wrong_usage(home: Any) -> None:
    done = home.process("propose", "-i", b"\xff", "GET", "https://x.example/")
    assert done.returncode == 2
    assert done.stderr == "delego: instruction: contains a lone surrogate; see 'delego propose --help'\n"


def test_options_may_stand_anywhere_and_a_double_dash_ends_them(home: Any) -> None:
    assert home.json("propose", "GET", "-i", "x", "https://api.example.com/accounts/me")["outcome"] == "allow"
    result = home.run("propose", "-i", "x", "--", "GET", "-x")
    assert result.exit_code == 3
    assert "hazard: scheme" in result.stdout


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30), st.text(max_size=8), st.text(max_size=40), st.text(max_size=20))
def test_nonsense_is_decided_or_refused_and_never_a_fault(
    home: Any, instruction: str, method: str, url: str, value: str
) -> None:
    result = home.run("propose", f"--instruction={instruction}", "-p", f"v={value}", "--", method, url)
    assert result.exit_code in (0, 2, 3)
    assert all(char == "\n" or char.isprintable() for char in result.output)
    assert "fault" not in result.stderr


def test_terminal_escapes_of_an_agent_never_reach_the_terminal(home: Any, action: Any) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e\u200b"
    approval = home.parked(note=evil)
    outputs = [
        home.run("pending").output,
        home.run("approve", approval, "--yes").output,
        home.run("propose", "-i", evil, "GET", f"https://{evil}/", "-p", f"{evil}={evil}").output,
        home.run("resolve", evil, *action(evil)).output,
    ]
    assert "\\u{202e}" in outputs[0]  # the spelling that approve shows
    for output in outputs:
        assert "\x1b" not in output
        assert "\u202e" not in output
        assert "\u200b" not in output
        assert "\x07" not in output


# --- resolve --------------------------------------------------------------------------------------------


def test_an_approved_action_is_released_once(home: Any, action: Any) -> None:
    approval = home.parked()
    waiting = home.run("resolve", approval, *action())
    assert waiting.exit_code == 3
    assert "awaiting human approval" in waiting.stdout
    assert home.run("approve", approval, "--yes").exit_code == 0
    released = home.json("resolve", approval, *action())
    assert released["outcome"] == "allow"
    assert released["approval_id"] == approval
    again = home.run("resolve", approval, *action())
    assert again.exit_code == 3
    assert "approval already used" in again.stdout


def test_another_action_or_instruction_is_refused(home: Any, action: Any) -> None:
    approval = home.parked()
    assert home.run("approve", approval, "--yes").exit_code == 0
    confused = home.json("resolve", approval, *action(recipient="attacker"), exit_code=3)
    assert confused["reasons"][0].startswith("approval/action mismatch")
    repointed = home.json("resolve", approval, *action("pay my rent"), exit_code=3)
    assert repointed["reasons"][0].startswith("approval/intent mismatch")
    assert home.run("resolve", approval, *action()).exit_code == 0


@pytest.mark.parametrize("name", ["apr_0", "", " ", "../x", "\x1b[31m", "a" * 5000])
def test_an_unknown_approval_is_denied(home: Any, action: Any, name: str) -> None:
    result = (
        home.run("resolve", *action(), "--", name)
        if name.startswith("-")
        else home.run("resolve", name, *action())
    )
    assert result.exit_code == 3
    assert "unknown approval id" in result.stdout
    assert "\x1b" not in result.output


def test_resolve_without_an_action_is_wrong_usage(home: Any) -> None:
    assert home.run("resolve", "apr_0").exit_code == 2
    assert home.run("resolve").exit_code == 2


# --- what a broker brings -------------------------------------------------------------------------------


def decided(**members: Any) -> Decision:
    action = Action("x", "GET", "https://x.example/", {})
    return Decision("allow", None, ("why",), action.intent_hash, action.fingerprint, **members)


def test_an_unknown_outcome_is_neither_yes_nor_no(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authorizer, "propose", lambda *_: decided(executed=None))
    result = home.run("propose", *READ)
    assert result.exit_code == 1
    assert result.stdout.startswith("allowed  by the default\n")
    assert "it may have happened" in result.stdout


def test_a_result_is_shown_with_everything_visible(home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authorizer, "propose", lambda *_: decided(executed=True, result={"a": "\x1b[31m"}))
    result = home.run("propose", *READ)
    assert result.exit_code == 0
    assert '"a": "\\u{1b}[31m"' in result.stdout


def test_arguments_know_when_nothing_was_given() -> None:
    assert ActionArguments(None, None, None, (), None).empty
    assert not ActionArguments(None, None, None, ("a=b",), None).empty
    assert not ActionArguments("", None, None, (), None).empty
