"""Token keys that follow one another: the published set always holds all that count, after a crash too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from delego_authorizer import Home, HomeError, init_home, tokenkeys
from delego_authorizer.tokenkeys import (
    LEAST_OVERLAP,
    complete_rotation,
    prepare_rotation,
    published_token_keys,
)
from delego_ledger.errors import KeyFileError, StorageError
from delego_ledger.keyfiles import generate_key, load_public_key, load_signer
from delego_spec.ed25519 import PublicKey
from delego_spec.types import EpochSeconds

NOW = EpochSeconds(1_760_000_000)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return init_home(tmp_path / "home", approver="alice")


def published(home: Home, now: int = NOW) -> list[tuple[str, PublicKey]]:
    return [(one.use, one.key) for one in published_token_keys(home, EpochSeconds(now))]


def signing(home: Home) -> PublicKey:
    return load_signer(home.keys_path / "token.pem").public_key


def test_a_new_home_publishes_the_key_that_signs(home: Home) -> None:
    assert published(home) == [("current", signing(home))]


def test_a_rotation_publishes_before_it_signs_and_withdraws_after_the_overlap(home: Home) -> None:
    old = signing(home)
    following = prepare_rotation(home)
    assert following.key != old
    assert published(home) == [("current", old), ("next", following.key)]
    assert signing(home) == old
    assert complete_rotation(home, NOW, LEAST_OVERLAP) == (old, following.key)
    assert signing(home) == load_public_key(home.keys_path / "token.pub") == following.key
    assert published(home, NOW + LEAST_OVERLAP - 1) == [("current", following.key), ("previous", old)]
    assert published(home, NOW + LEAST_OVERLAP) == [("current", following.key)]


def test_the_overlap_outlives_every_token_of_the_old_key() -> None:
    assert LEAST_OVERLAP >= 300 + 60 + 60


def test_a_key_that_was_stolen_is_withdrawn_at_once(home: Home) -> None:
    stolen, following = signing(home), prepare_rotation(home).key
    complete_rotation(home, NOW, LEAST_OVERLAP)
    third = prepare_rotation(home).key
    complete_rotation(home, NOW, 0)
    assert published(home) == [("current", third), ("previous", stolen)]
    assert following not in dict(map(reversed, published(home)))  # type: ignore[arg-type]  # pairs


def test_preparing_twice_makes_one_key(home: Home) -> None:
    assert prepare_rotation(home) == prepare_rotation(home)


def test_several_rotations_keep_what_may_be_alive_and_remove_what_is_dead(home: Home) -> None:
    keys = [signing(home)]
    for number in range(4):
        keys.append(prepare_rotation(home).key)
        complete_rotation(home, EpochSeconds(NOW + 300 * number), LEAST_OVERLAP)
    assert {key for _, key in published(home, NOW + 900)} == {keys[4], keys[3], keys[2]}
    assert len(list(home.keys_path.glob("token.previous.*"))) == 2


def test_the_private_half_of_an_old_key_is_gone(home: Home) -> None:
    old = load_signer(home.keys_path / "token.pem")
    prepare_rotation(home)
    complete_rotation(home, NOW, LEAST_OVERLAP)
    assert sorted(path.name for path in home.keys_path.glob("*.pem")) == ["ledger.pem", "token.pem"]
    assert signing(home) != old.public_key


@pytest.mark.parametrize("step", range(6))
def test_a_crash_at_any_step_leaves_every_key_published_and_can_be_gone_on_from(
    home: Home, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    old, following = signing(home), prepare_rotation(home).key
    calls = iter(range(100))

    def counted(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(calls) == step:
                raise KeyboardInterrupt
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("write_atomically", "place_file", "sync_directory", "load_signer"):
            patch.setattr(tokenkeys, name, counted(getattr(tokenkeys, name)))
        interrupted = False
        try:
            complete_rotation(home, NOW, LEAST_OVERLAP)
        except KeyboardInterrupt:
            interrupted = True
    assert interrupted
    assert {old, following} <= {key for _, key in published(home)}
    if (home.keys_path / "token.next.pub").exists():
        complete_rotation(home, NOW, LEAST_OVERLAP)
    assert signing(home) == load_public_key(home.keys_path / "token.pub") == following
    assert {old, following} == {key for _, key in published(home)}


def test_half_a_preparation_is_finished(home: Home) -> None:
    key = generate_key(home.keys_path / "token.next.pem").public_key
    assert published(home) == [("current", signing(home))]
    assert prepare_rotation(home).key == key


def test_half_an_activation_is_not_taken_for_a_fresh_start(home: Home) -> None:
    prepare_rotation(home)
    os.replace(home.keys_path / "token.next.pem", home.keys_path / "token.pem")  # noqa: PTH105 - as a crash would
    with pytest.raises(HomeError, match="complete it"):
        prepare_rotation(home)


def test_nothing_is_activated_that_was_not_published(home: Home) -> None:
    for _ in range(2):
        with pytest.raises(HomeError, match="no next token key"):
            complete_rotation(home, NOW, LEAST_OVERLAP)
        generate_key(home.keys_path / "token.next.pem") if _ == 0 else None


def test_a_next_key_whose_halves_differ_is_refused(home: Home) -> None:
    prepare_rotation(home)
    (home.keys_path / "token.next.pem").unlink()
    generate_key(home.keys_path / "token.next.pem")
    with pytest.raises(KeyFileError, match="half"):
        complete_rotation(home, NOW, LEAST_OVERLAP)


@pytest.mark.parametrize("overlap", [1, LEAST_OVERLAP - 1, -1, 600.0, True])
def test_an_overlap_that_would_kill_living_tokens_is_refused(home: Home, overlap: Any) -> None:
    prepare_rotation(home)
    with pytest.raises(ValueError, match="overlap"):
        complete_rotation(home, NOW, overlap)


def test_what_cannot_be_moved_is_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_rotation(home)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokenkeys, "place_file", fail)
    with pytest.raises(StorageError, match="no space"):
        complete_rotation(home, NOW, LEAST_OVERLAP)


def test_other_files_beside_the_keys_are_passed_over(home: Home) -> None:
    (home.keys_path / "token.previous.notes.pub").write_text("x")
    assert published(home) == [("current", signing(home))]


def test_without_a_home_nothing_is_made(tmp_path: Path) -> None:
    for call in (prepare_rotation, lambda home: complete_rotation(home, NOW, 0)):
        with pytest.raises(HomeError):
            call(Home(tmp_path))
    assert list(tmp_path.iterdir()) == []
