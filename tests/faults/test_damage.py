"""A ledger that was damaged, removed or replaced: a clear error or sound receipts, never a silent effect."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from delego_authorizer import Authorizer, DelegoAuthorizerError, Home, Unsettled
from delego_broker import CallableBroker
from delego_cli.main import main
from delego_ledger.errors import DamagedLedger, DelegoLedgerError, ReadOnlyLedger, StorageError
from faultlab import action, effect, effects, make_home, nursery, verified_receipts

FAMILY = (DelegoAuthorizerError, DelegoLedgerError)
PAGE = 4096


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """With 40 executions, two parked actions, and nothing in its log."""
    made = make_home(tmp_path / "home")
    authorizer = made.authorizer(CallableBroker(effect(str(tmp_path / "effects"))))
    authorizer.propose_many([action("work", number) for number in range(40)])
    authorizer.propose_many([action("order", number) for number in range(2)])
    authorizer.ledger.close()
    return made


@pytest.fixture
def done(tmp_path: Path) -> Path:
    return tmp_path / "effects"


@pytest.fixture
def running(home: Home, done: Path) -> Iterator[Authorizer]:
    """An authorizer that has its ledger open when the damage is done."""
    authorizer = home.authorizer(CallableBroker(effect(str(done))))
    assert authorizer.propose(action("work", 100)).executed
    yield authorizer
    authorizer.ledger.close()


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def truncate(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def replace_by(data: bytes) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.write_bytes(data)

    return replace


def into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], None]] = {
    "header": lambda path: overwrite(path, 0, b"\0" * 100),
    "header's page size": lambda path: overwrite(path, 16, b"\x00\x03"),
    "mark of the program": lambda path: overwrite(path, 68, b"else"),
    "schema": lambda path: overwrite(path, 100, b"\xff" * (PAGE - 100)),
    "all but the header": lambda path: overwrite(path, PAGE, b"\xa5" * (path.stat().st_size - PAGE)),
    "cut in half": lambda path: truncate(path, path.stat().st_size // 2),
    "cut to a page": lambda path: truncate(path, PAGE),
    "cut to a few bytes": lambda path: truncate(path, 50),
    "empty": replace_by(b""),
    "text": replace_by(b"this is no ledger\n" * 1000),
    "removed": Path.unlink,
    "a folder": into_folder,
}


def check_nothing_happens(home: Home, done: Path) -> str:
    """Proposing must fail, clearly and without effect; the error's text."""
    before = effects(done)
    with pytest.raises(FAMILY) as caught:
        home.authorizer(CallableBroker(effect(str(done)))).propose(action("work", 1000))
    assert effects(done) == before
    text = str(caught.value)
    assert "\n" not in text
    assert str(home.path) in text
    return text


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_ledger_gives_a_clear_error_and_no_effect(
    home: Home, done: Path, damage: Callable[[Path], None]
) -> None:
    damage(home.ledger_path)
    check_nothing_happens(home, done)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_command_says_in_plain_lines_what_is_wrong_with_a_damaged_ledger(
    home: Home, done: Path, damage: Callable[[Path], None]
) -> None:
    before = effects(done)
    damage(home.ledger_path)
    for words in (
        "propose -i work POST https://api.example.com/work",
        "pending",
        "log",
        "verify",
        "head",
        "recover",
        "export -",
        "doctor",
    ):
        result = CliRunner().invoke(main, ["--home", str(home.path), *words.split()])
        assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exception)
        assert result.exit_code in (1, 3), (words, result.output)
        assert "Traceback" not in result.output
    assert effects(done) == before


@pytest.mark.parametrize("seed", range(60))
def test_random_damage_never_leads_to_an_effect_without_its_receipts(
    home: Home, done: Path, seed: int
) -> None:
    chance = random.Random(seed)
    size = home.ledger_path.stat().st_size
    for _ in range(chance.choice((1, 3, 30))):
        length = chance.choice((1, 8, 200, PAGE))
        place = chance.randrange(size)
        overwrite(home.ledger_path, place, chance.randbytes(min(length, size - place)))
    before = effects(done)
    authorizer = None
    try:
        authorizer = home.authorizer(CallableBroker(effect(str(done))))
        decision = authorizer.propose(action("work", 1000))
    except Unsettled:  # what the result needs was damaged, what the write-ahead receipt needs was not
        assert len(effects(done)) == len(before) + 1
        assert authorizer is not None
        assert [one.action_summary for one in authorizer.ledger.executions()] == [
            action("work", 1000).summary
        ]
    except FAMILY:
        assert effects(done) == before
    else:
        assert effects(done)[:-1] == before
        assert decision.receipt is not None
        ahead = authorizer.ledger.receipt(decision.receipt.seq - 1)
        result = authorizer.ledger.receipt(decision.receipt.seq)
        assert ahead is not None
        assert ahead.payload.action_fingerprint == action("work", 1000).fingerprint
        assert result is not None
        assert result.anchor == decision.receipt
    finally:
        if authorizer is not None:
            authorizer.ledger.close()


def test_a_ledger_removed_under_a_running_process_stops_it(
    home: Home, done: Path, running: Authorizer
) -> None:
    before = effects(done)
    home.ledger_path.unlink()
    with pytest.raises(StorageError, match="nothing was changed") as caught:
        running.propose(action("work", 101))
    assert caught.value.retry_safe
    assert not home.ledger_path.exists()  # and nothing makes a new one in its place
    assert effects(done) == before


def test_a_ledger_of_another_key_put_in_its_place_is_refused(
    home: Home, done: Path, running: Authorizer, tmp_path: Path
) -> None:
    before = effects(done)
    make_home(tmp_path / "other").ledger_path.replace(home.ledger_path)
    with pytest.raises(ReadOnlyLedger, match="replaced by a ledger of another key"):
        running.propose(action("work", 101))
    assert effects(done) == before


def test_an_older_copy_put_in_its_place_is_noticed_by_whoever_saw_the_newer_one(
    home: Home, done: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(home.ledger_path, copy)
    authorizer = home.authorizer(CallableBroker(effect(str(done))))
    authorizer.propose(action("work", 100))
    before = effects(done)
    copy.replace(home.ledger_path)
    for suffix in ("-wal", "-shm"):
        Path(f"{home.ledger_path}{suffix}").unlink()
    for _ in range(2):
        with pytest.raises(DamagedLedger, match="lost receipts: seq 83"):
            authorizer.propose(action("work", 101))
    assert effects(done) == before
    authorizer.ledger.close()


def test_a_log_removed_under_a_running_process_loses_nothing(
    home: Home, done: Path, running: Authorizer
) -> None:
    log = Path(f"{home.ledger_path}-wal")
    before = len(verified_receipts(home))
    for number in range(3):
        log.unlink()
        assert running.propose(action("work", 101 + number)).executed
    running.ledger.close()
    assert len(verified_receipts(home)) == before + 6
    assert len(effects(done)) == 44


def test_a_log_that_vanished_after_a_crash_leaves_a_chain_that_its_head_convicts(
    home: Home, done: Path, tmp_path: Path
) -> None:
    with nursery() as children:
        worker = children.start("toil", home=home.path, effects=tmp_path / "toil", first=0)
        acknowledged = worker.hear()["receipt"]
        worker.kill()
    for suffix in ("-wal", "-shm"):
        Path(f"{home.ledger_path}{suffix}").unlink()
    verified_receipts(home)  # sound by itself, which is why heads are to be kept elsewhere
    result = CliRunner().invoke(main, ["--home", str(home.path), "verify", "--expected-head", acknowledged])
    assert result.exit_code == 3
    assert "head mismatch" in result.output


def test_damage_to_one_approval_hurts_only_its_own_release(home: Home, done: Path) -> None:
    authorizer = home.authorizer(CallableBroker(effect(str(done))))
    first, second = (one.id for one in authorizer.pending())
    for approval_id in (first, second):
        assert authorizer.decide(approval_id, "approve", "alice").accepted
    authorizer.ledger.close()
    with sqlite3.connect(home.ledger_path) as connection:
        connection.execute("UPDATE approvals SET body = x'00' WHERE id = ?", (first,))
    connection.close()
    before = len(effects(done))
    with pytest.raises(DamagedLedger):
        authorizer.resolve(first, action("order", 0))
    assert len(effects(done)) == before
    assert authorizer.resolve(second, action("order", 1)).executed
    authorizer.ledger.close()
