"""``delego keys``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from delego_ledger.keyfiles import is_encrypted, load_public_key, load_signer
from terminal import Terminal


def private_bytes(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if "-----" not in line]


def test_show_lists_public_keys_and_never_a_secret(home: Any) -> None:
    home.json("keys", "new-approver", "alice", "--no-passphrase", "--out", "a.pem")
    home.run("keys", "trust", "alice", "a.pub", "--yes")
    text = home.run("keys", "show").stdout
    uses = [entry["use"] for entry in home.json("keys", "show")["keys"]]
    assert uses == ["ledger", "token", "approver alice"]
    for name, use in (("ledger", "ledger"), ("token", "token")):
        key = load_public_key(home.home / "keys" / f"{name}.pub")
        assert f"{use} " in text
        assert key.hex in text
        assert key.key_id in text
        for line in private_bytes(home.home / "keys" / f"{name}.pem"):
            assert line not in text


def test_show_does_without_a_token_key(home: Any) -> None:
    (home.home / "keys" / "token.pub").unlink()
    assert [entry["use"] for entry in home.json("keys", "show")["keys"]] == ["ledger"]


def test_show_without_a_home_says_what_to_do(world: Any) -> None:
    assert "'delego init'" in world.run("keys", "show").stderr


# --- new-approver ---------------------------------------------------------------------------------------


def test_a_new_key_is_under_a_passphrase_that_is_asked_for_twice(world: Any) -> None:
    with Terminal(["keys", "new-approver", "alice"], world.env) as screen:
        screen.wait_for("new passphrase for alice.pem")
        screen.type("one\n")
        screen.wait_for("once more")
        screen.type("two\n")
        screen.wait_for("the two differ")
        screen.wait_for("new passphrase")
        screen.type("pässword\n")
        screen.wait_for("once more")
        screen.type("pässword\n")
        assert screen.finish() == 0
    path = Path(world.env["XDG_CONFIG_HOME"]) / "delego" / "alice.pem"
    assert is_encrypted(path)
    assert load_signer(path, passphrase="pässword".encode()).public_key == load_public_key(
        path.with_suffix(".pub")
    )
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    assert "ssword" not in screen.output
    assert f"delego keys trust alice {path.with_suffix('.pub')}" in screen.output


def test_an_empty_passphrase_makes_no_key(world: Any) -> None:
    with Terminal(["keys", "new-approver", "alice", "--out", "a.pem"], world.env, cwd=world.folder) as screen:
        screen.wait_for("new passphrase for a.pem")
        screen.type("\n")
        assert screen.finish() == 1
    assert list(world.folder.iterdir()) == []


def test_without_a_terminal_a_passphrase_has_to_come_from_somewhere(world: Any) -> None:
    result = world.run("keys", "new-approver", "alice", "--out", "a.pem")
    assert result.exit_code == 1
    assert "give --passphrase-file" in result.stderr
    assert list(world.folder.iterdir()) == []


def test_a_key_without_passphrase_is_warned_about(world: Any) -> None:
    result = world.run("keys", "new-approver", "alice", "--no-passphrase", "--out", "a.pem")
    assert result.exit_code == 0
    assert "the key has no passphrase" in result.stderr
    assert not is_encrypted(world.folder / "a.pem")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["alice", "--no-passphrase", "--passphrase-file", "p"], 2),
        (["Alice", "--no-passphrase"], 2),
        (["../alice", "--no-passphrase"], 2),
        (["", "--no-passphrase"], 2),
        (["a:b", "--no-passphrase"], 2),
        (["alice", "--no-passphrase", "--out", "a.pub"], 2),
        (["alice", "--no-passphrase", "--out", "gone/a.pem"], 1),
        (["alice", "--passphrase-file", "gone"], 2),
    ],
)
def test_a_key_that_cannot_be_made_is_said_in_one_line(world: Any, arguments: list[str], code: int) -> None:
    (world.folder / "p").write_text("x\n")
    result = world.run("keys", "new-approver", *arguments)
    assert result.exit_code == code
    assert result.stderr.count("\n") == 1
    assert [path.name for path in world.folder.iterdir()] == ["p"]


@pytest.mark.parametrize("taken", ["a.pem", "a.pub"])
def test_a_key_never_replaces_a_file(world: Any, taken: str) -> None:
    (world.folder / taken).write_text("mine")
    result = world.run("keys", "new-approver", "alice", "--no-passphrase", "--out", "a.pem")
    assert result.exit_code == 1
    assert f"'{taken}' already exists and was left as it is" in result.stderr
    assert [path.name for path in world.folder.iterdir()] == [taken]


# --- trust and untrust ----------------------------------------------------------------------------------


@pytest.fixture
def keyed(home: Any) -> Any:
    """A home, and a.pem, a.pub and b.pub beside it."""
    for name in ("a", "b"):
        home.json("keys", "new-approver", "alice", "--no-passphrase", "--out", f"{name}.pem")
    return home


def test_trust_shows_the_key_id_and_asks(keyed: Any) -> None:
    key = load_public_key(keyed.folder / "a.pub")
    with Terminal(["keys", "trust", "alice", "a.pub"], keyed.env, cwd=keyed.folder) as screen:
        screen.wait_for(key.key_id)
        screen.wait_for("did you compare it? [y/N]")
        screen.type("n\n")
        assert screen.finish() == 3
    assert not (keyed.home / "approvers" / "alice.pub").exists()
    with Terminal(["keys", "trust", "alice", "a.pub"], keyed.env, cwd=keyed.folder) as screen:
        screen.wait_for("[y/N]")
        screen.type("y\n")
        assert screen.finish() == 0
    assert load_public_key(keyed.home / "approvers" / "alice.pub") == key


def test_trust_without_a_terminal_wants_a_yes(keyed: Any) -> None:
    result = keyed.run("keys", "trust", "alice", "a.pub", input="y\n")
    assert result.exit_code == 1
    assert "give --yes if the key id was compared" in result.stderr


def test_a_name_that_config_does_not_know_is_warned_about(keyed: Any) -> None:
    result = keyed.run("keys", "trust", "bob", "a.pub", "--yes")
    assert result.exit_code == 0
    assert "'bob' may not approve before config.toml names them" in result.stderr
    assert keyed.json("keys", "trust", "alice", "b.pub", "--yes")["named_in_config"] is True


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["alice", "a.pub"], "'alice' is enrolled with this key already"),
        (["alice", "b.pub"], "'alice' is enrolled with the key "),
        (["bob", "a.pub"], "this is the key of 'alice'"),
        (["bob", "b.pem"], "is a private key, which its owner alone should hold"),
        (["bob", "ledger"], "this is the home's own ledger key"),
        (["bob", "token"], "this is the home's own token key"),
        (["bob", "junk"], "it does not begin with a PEM line"),
    ],
)
def test_a_key_that_must_not_count_is_refused(keyed: Any, arguments: list[str], says: str) -> None:
    assert keyed.run("keys", "trust", "alice", "a.pub", "--yes").exit_code == 0
    (keyed.folder / "junk").write_text("\x1b junk")
    name, file = arguments
    if file in ("ledger", "token"):
        file = str(keyed.home / "keys" / f"{file}.pub")
    result = keyed.run("keys", "trust", name, file, "--yes")
    assert result.exit_code == 1
    assert says in result.stderr
    assert [path.name for path in (keyed.home / "approvers").iterdir()] == ["alice.pub"]


def test_untrust_asks_and_keeps_the_key_for_auditors(keyed: Any) -> None:
    keyed.run("keys", "trust", "alice", "a.pub", "--yes")
    key = load_public_key(keyed.folder / "a.pub")
    with Terminal(["keys", "untrust", "alice"], keyed.env) as screen:
        screen.wait_for(f"untrust 'alice', key {key.key_id}? [y/N]")
        screen.type("n\n")
        assert screen.finish() == 3
    assert keyed.run("keys", "untrust", "alice", "--yes").exit_code == 0
    kept = keyed.home / "approvers" / "former" / f"alice.{key.key_id}.pub"
    assert load_public_key(kept) == key
    assert [entry["use"] for entry in keyed.json("keys", "show")["keys"]] == ["ledger", "token"]
    assert keyed.run("keys", "untrust", "alice", "--yes").exit_code == 1
    assert keyed.run("keys", "trust", "alice", "b.pub", "--yes").exit_code == 0
    assert keyed.json("keys", "untrust", "alice", "--yes")["name"] == "alice"


def test_a_key_enrolled_by_hand_as_pem_can_be_untrusted(keyed: Any) -> None:
    (keyed.home / "approvers" / "alice.pem").write_text((keyed.folder / "a.pub").read_text())
    assert keyed.json("keys", "untrust", "alice", "--yes")["kept"].endswith(".pem")
