"""``delego keys jwks`` and ``delego keys rotate-token``."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from cli_tools import READ, opened, set_config
from delego_broker import JwksFile
from delego_ledger.keyfiles import load_public_key
from delego_spec.ed25519 import SeedSigner
from delego_spec.jwks import read_jwks
from delego_spec.tokens import Claims, verify_token
from delego_spec.types import EpochSeconds


def age(home: Path, seconds: float) -> None:
    """Let the next key have been made so long ago."""
    path = home / "keys" / "token.next.pub"
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def listed(home: Any) -> set[str]:
    return {key.hex for key in read_jwks(home.run("keys", "jwks").stdout).values()}


def current(home: Any) -> str:
    return load_public_key(home.home / "keys" / "token.pub").hex


def test_the_set_holds_the_token_key_and_no_secret(home: Any) -> None:
    text = home.run("keys", "jwks").stdout
    assert set(read_jwks(text)) == {load_public_key(home.home / "keys" / "token.pub").key_id}
    for line in (home.home / "keys" / "token.pem").read_text().splitlines():
        assert line not in text
    assert json.loads(text) == home.json("keys", "jwks")


def test_keys_that_are_named_are_listed_too(home: Any) -> None:
    other = SeedSigner(bytes(32)).public_key
    (home.folder / "other.pub").write_text(other.hex)
    text = home.run("keys", "jwks", "--previous", str(home.folder / "other.pub")).stdout
    assert {key.hex for key in read_jwks(text).values()} == {current(home), other.hex}


def test_a_file_is_written_in_the_place_of_the_older_one(home: Any) -> None:
    path = home.folder / "jwks.json"
    assert home.run("keys", "jwks", "--out", str(path)).stdout == ""
    source = JwksFile(path)
    assert len(source.table(None)) == 1
    home.run("keys", "rotate-token")
    assert len(home.json("keys", "jwks", "--out", str(path))["keys"]) == 2
    assert len(source.table(None)) == 2
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_rotation_has_two_steps_with_a_wait_between_them(home: Any) -> None:
    old = current(home)
    first = home.run("keys", "rotate-token").stdout
    assert "signs nothing yet" in first
    assert "300 s later" in first
    assert len(listed(home)) == 2
    early = home.run("keys", "rotate-token", "--activate")
    assert early.exit_code == 1
    assert "less than 300 s ago" in early.stderr
    assert current(home) == old
    age(home.home, 301)
    done = home.run("keys", "rotate-token", "--activate")
    assert done.exit_code == 0, done.output
    assert "stays listed for 3600 s" in done.stdout
    assert current(home) != old
    assert listed(home) == {old, current(home)}
    assert [one["use"] for one in home.json("keys", "show")["keys"]] == ["ledger", "token", "token, previous"]


def test_the_steps_are_told_to_machines(home: Any) -> None:
    first = home.json("keys", "rotate-token")
    assert (first["step"], first["wait_seconds"]) == ("prepared", 300)
    old = load_public_key(home.home / "keys" / "token.pub").key_id
    second = home.json("keys", "rotate-token", "--activate", "--at-once", "--overlap", "420")
    assert second == {
        "step": "activated",
        "key_id": first["key_id"],
        "previous_key_id": old,
        "listed_until": second["listed_until"],
    }


def test_a_stolen_key_is_dropped_at_once(home: Any) -> None:
    old = current(home)
    home.run("keys", "rotate-token")
    done = home.run("keys", "rotate-token", "--activate", "--drop-old")
    assert done.exit_code == 0
    assert "listed no longer" in done.stdout
    assert old not in listed(home)


def test_the_new_key_signs_the_next_token(home: Any) -> None:
    set_config(home.home, '[tokens]\naudience = "https://broker.example"\n')
    tokens = []
    for _ in range(2):
        with opened(home.home) as authorizer:
            tokens.append(str(authorizer.propose(READ).token))
        home.run("keys", "rotate-token")
        home.run("keys", "rotate-token", "--activate", "--at-once")
    keys = read_jwks(home.run("keys", "jwks").stdout)
    assert len(keys) == 3
    now = EpochSeconds(int(time.time()))
    claims = [verify_token(token, keys=keys, audience="https://broker.example", now=now) for token in tokens]
    assert all(isinstance(one, Claims) for one in claims)
    headers = {token.split(".")[0] for token in tokens}
    assert len(headers) == 2  # two kids
    assert home.run("doctor").exit_code == 0


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (["--at-once"], "--activate", 2),
        (["--drop-old"], "--activate", 2),
        (["--activate"], "no next token key", 1),
        (["--activate", "--overlap", "419"], "420", 2),
    ],
)
def test_a_step_that_makes_no_sense_changes_nothing(
    home: Any, words: list[str], told: str, code: int
) -> None:
    before = listed(home)
    result = home.run("keys", "rotate-token", *words)
    assert (result.exit_code, listed(home)) == (code, before)
    assert told in result.stderr


def test_without_a_home_it_says_what_to_do(world: Any) -> None:
    for verb in ("jwks", "rotate-token"):
        assert "'delego init'" in world.run("keys", verb).stderr
