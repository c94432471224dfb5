"""``delego init``."""

from __future__ import annotations

from typing import Any

import pytest

from delego_cli import principals
from delego_cli.errors import CommandError
from delego_cli.principals import account_name, as_principal
from support import ROOT


def test_init_says_what_was_made_and_what_to_do_next(world: Any) -> None:
    result = world.run("init")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"a home is made  {world.home}\n")
    for name in ("policy.yaml", "config.toml", "ledger.db", "keys", "approvers"):
        assert (world.home / name).exists()
        assert f"  {name}:" in result.stdout
    assert "approvers:   alice\n" in result.stdout
    for line in ("delego policy check", "delego propose -i 'read my account' GET", "delego verify"):
        assert f"\n  {line}" in result.stdout


def test_the_next_commands_name_a_home_that_was_given(world: Any) -> None:
    result = world.run("--home", "my home", "init")
    assert "\n  delego --home 'my home' policy check" in result.stdout


def test_the_commands_that_init_names_work(world: Any) -> None:
    assert world.run("init").exit_code == 0
    proposed = world.run("propose", "-i", "read my account", "GET", "https://api.example.com/accounts/me")
    assert proposed.exit_code == 0


def test_init_answers_in_json(world: Any) -> None:
    document = world.json("init", "--approver", "Bob:1")
    assert document["home"] == str(world.home)
    assert document["approvers"] == ["Bob:1"]
    assert document["signed_approvals"] is False
    assert len(document["public_key"]) == 64


def test_a_home_is_not_made_twice(world: Any) -> None:
    assert world.run("init").exit_code == 0
    before = (world.home / "keys" / "ledger.pem").read_bytes()
    result = world.run("init")
    assert result.exit_code == 1
    assert "is a home already; nothing was changed" in result.stderr
    assert (world.home / "keys" / "ledger.pem").read_bytes() == before


def test_init_takes_a_policy_and_a_configuration(world: Any) -> None:
    (world.folder / "c.toml").write_text('version = 1\n[approvals]\napprovers = ["carol"]\nrequired = 1\n')
    policy = ROOT / "examples" / "agentdojo" / "policy.yaml"
    if not policy.exists():
        pytest.skip("examples are not beside these tests")
    assert world.run("init", "--policy", str(policy), "--config", "c.toml").exit_code == 0
    assert (world.home / "policy.yaml").read_text() == policy.read_text()
    assert 'approvers = ["carol"]' in (world.home / "config.toml").read_text()


def test_a_byte_order_mark_in_a_policy_is_no_problem(world: Any) -> None:
    (world.folder / "p.yaml").write_bytes(b"\xef\xbb\xbfversion: 1\ndefault: deny\n")
    assert world.run("init", "--policy", "p.yaml").exit_code == 0
    assert (world.home / "policy.yaml").read_bytes() == b"version: 1\ndefault: deny\n"


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("--policy", "rules: []\n", "bad:1:1: is missing the key 'default'"),
        ("--config", "version = 2\n", "bad: version: "),
        ("--config", "\x1b", "bad: is not TOML"),
    ],
)
def test_a_bad_file_is_reported_by_its_own_name_and_makes_nothing(
    world: Any, option: str, text: str, says: str
) -> None:
    (world.folder / "bad").write_text(text)
    result = world.run("init", option, "bad")
    assert result.exit_code == 1
    assert result.stderr.startswith(says)
    assert "\x1b" not in result.stderr
    assert not world.home.exists()


def test_a_file_that_is_no_text_is_an_error(world: Any) -> None:
    (world.folder / "bad").write_bytes(b"\xff\xfe")
    assert world.run("init", "--policy", "bad").stderr == "delego: 'bad' is not UTF-8 (byte 0)\n"


def test_a_file_of_another_size_is_no_policy(world: Any) -> None:
    with (world.folder / "big").open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    assert "is larger than" in world.run("init", "--policy", "big").stderr


@pytest.mark.parametrize("arguments", [["--approver", "bob"], ["--sign"]])
def test_a_whole_configuration_leaves_no_room_for_parts(world: Any, arguments: list[str]) -> None:
    (world.folder / "c.toml").write_text("version = 1\n")
    assert world.run("init", "--config", "c.toml", *arguments).exit_code == 2


def test_init_with_sign_wants_signed_decisions_and_says_how(world: Any) -> None:
    result = world.run("init", "--sign")
    assert result.exit_code == 0
    assert "delego keys new-approver alice" in result.stdout
    assert "\nsigned = true " in (world.home / "config.toml").read_text()


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, "ä", "x\n"])
def test_an_approver_that_is_no_principal_is_wrong_usage(world: Any, name: str) -> None:
    result = world.run("init", f"--approver={name}")
    assert result.exit_code == 2
    assert "is not a principal's name" in result.stderr
    assert not world.home.exists()


def test_a_home_that_cannot_be_made_is_an_error(world: Any) -> None:
    (world.folder / "file").write_text("x")
    result = world.run("init", "--home", "file/below")
    assert result.exit_code == 1
    assert result.stderr.startswith("delego: cannot make 'file/below'")


@pytest.mark.parametrize(
    ("account", "name"),
    [
        ("alice", "alice"),
        ("CORP\\Alice", "alice"),
        ("Jörg Müller", "jorg-muller"),
        ("root", "root"),
        ("_www", "www"),
        ("x" * 80, "x" * 64),
        ("日本", None),
        ("", None),
        ("a$", "a"),
    ],
)
def test_the_name_of_an_account_becomes_a_principal(account: str, name: str | None) -> None:
    assert as_principal(account) == name


def test_an_account_without_a_name_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(principals.getpass, "getuser", nobody)
    with pytest.raises(CommandError, match="this account has no name; say who you are with --as NAME"):
        account_name("--as")
    monkeypatch.setattr(principals.getpass, "getuser", lambda: "???")
    with pytest.raises(CommandError, match=r"'\?\?\?' cannot be used; say who you are with --approver NAME"):
        account_name("--approver")


def test_keys_are_for_their_owner_alone(world: Any) -> None:
    assert world.run("init").exit_code == 0
    assert (world.home / "keys" / "ledger.pem").stat().st_mode & 0o077 == 0
    assert world.home.stat().st_mode & 0o077 == 0
