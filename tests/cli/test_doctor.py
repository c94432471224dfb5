"""``delego doctor``: one thing is broken at a time, and exactly that is found."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli_tools import FORBIDDEN, ORDER, fill, opened, set_config
from delego_authorizer import Home
from delego_cli import doctor_checks
from delego_cli.doctor_checks import Patient, examine
from delego_ledger.anchorfile import append_anchor
from delego_ledger.clock import system_clock
from delego_ledger.keyfiles import generate_key, write_public_key
from delego_spec import Anchor, Digest, Micros, SeedSigner
from delego_spec.timestamps import SECOND

ANCHORED = '[anchors]\nfile = "anchors.txt"\n'
SIGNED = '[approvals]\napprovers = ["alice", "bob"]\nsigned = true\n'
SEED = SeedSigner(bytes(range(32)))


@pytest.fixture
def filled(home: Any) -> Any:
    """A home with four receipts."""
    fill(home.home)
    return home


def found(world: Any, *, exit_code: int, status: str = "fail") -> list[tuple[str, str]]:
    """Name and text of every finding of one status."""
    checks = world.json("doctor", exit_code=exit_code)["checks"]
    return [(one["name"], one["text"]) for one in checks if one["status"] == status]


# --- as it should be ------------------------------------------------------------------------------------


def test_a_new_home_is_healthy(home: Any) -> None:
    done = home.run("doctor")
    assert done.exit_code == 0
    assert "nothing fails; 1 to think about" in done.stdout
    assert found(home, exit_code=0, status="warn") == [
        ("anchors", "none are kept: a ledger that was cut off looks whole")
    ]


def test_a_home_in_use_is_healthy(filled: Any) -> None:
    set_config(filled.home, ANCHORED + '[approvals]\napprovers = ["alice"]\n')
    with opened(filled.home) as authorizer:
        authorizer.propose(FORBIDDEN)
    assert found(filled, exit_code=0, status="warn") == []
    text = filled.run("doctor").stdout
    assert "1 in " in text
    assert "the newest is 0 receipts behind the head" in text
    assert "1 wait for a person, 0 approved" in text


def test_nothing_is_changed(filled: Any) -> None:
    def state() -> dict[str, tuple[int, int]]:
        files = (path for path in filled.home.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}

    filled.run("doctor")  # SQLite may tidy its own files once
    before = state()
    filled.run("doctor")
    assert state() == before


def test_without_a_home_it_could_not_run(world: Any) -> None:
    done = world.run("doctor")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)


# --- one fault each -------------------------------------------------------------------------------------


class Fault(NamedTuple):
    name: str  # of the check
    text: str  # part of what it says
    make: Callable[[Path], object]


def _replace_public(home: Path, name: str) -> None:
    (home / "keys" / name).unlink()
    write_public_key(home / "keys" / name, SEED.public_key)


def _same_key_twice(home: Path) -> None:
    for suffix in ("pem", "pub"):
        shutil.copy2(home / "keys" / f"ledger.{suffix}", home / "keys" / f"token.{suffix}")


def _other_ledger_key(home: Path) -> None:
    for suffix in ("pem", "pub"):
        (home / "keys" / f"ledger.{suffix}").unlink()
    write_public_key(home / "keys" / "ledger.pub", generate_key(home / "keys" / "ledger.pem").public_key)


def _no_token_key(home: Path) -> None:
    (home / "keys" / "token.pem").unlink()
    set_config(home, '[tokens]\naudience = "https://broker.example"\n')


def _sql(statement: str) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        with closing(sqlite3.connect(home / "ledger.db", isolation_level=None)) as connection:
            connection.execute(statement)

    return change


def _anchor(seq: int) -> Callable[[Path], None]:
    def keep(home: Path) -> None:
        set_config(home, ANCHORED)
        append_anchor(home / "anchors.txt", Anchor(seq, Digest("0" * 64)), Micros(1))

    return keep


def _signed_without_keys(home: Path) -> None:
    set_config(home, SIGNED)
    write_public_key(home / "approvers" / "alice.pub", SEED.public_key)


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda home: (home / name).write_text(text)


FAILING = [
    Fault("folder", "others can write there", lambda home: home.chmod(0o777)),
    Fault("folder", "keys/ has mode 0750: others can look there", lambda home: (home / "keys").chmod(0o750)),
    Fault("keys", "ledger.pem': it cannot be read", lambda home: (home / "keys" / "ledger.pem").unlink()),
    Fault("keys", "chmod 600", lambda home: (home / "keys" / "token.pem").chmod(0o644)),
    Fault("keys", "brokers refuse", lambda home: _replace_public(home, "token.pub")),
    Fault("keys", "the token key is the ledger's key", _same_key_twice),
    Fault("keys", "no tokens are minted", _no_token_key),
    Fault("policy", "is missing the key 'default'", _write("policy.yaml", "version: 1\n")),
    Fault("config", "unknown key 'nix'", _write("config.toml", "nix = 1\n")),
    Fault("approvers", "bob has no key in approvers/", _signed_without_keys),
    Fault("ledger", "is missing; restore it", lambda home: (home / "ledger.db").unlink()),
    Fault("ledger", "is damaged", _write("ledger.db", "nonsense" * 1000)),
    Fault("ledger", "schema version 99", _sql("PRAGMA user_version = 99")),
    Fault("ledger", "it is the ledger of key", _other_ledger_key),
    Fault("ledger", "not signed by", _sql("UPDATE receipts SET signature = hex(zeroblob(64))")),
    Fault(
        "ledger",
        "not signed by",
        _sql("UPDATE receipts SET signature = replace(hex(zeroblob(64)), '0', 'z')"),
    ),
    Fault("durability", "journal mode delete", _sql("PRAGMA journal_mode = DELETE")),
    Fault("anchors", "is missing, and the ledger has receipts", lambda home: set_config(home, ANCHORED)),
    Fault("anchors", "is another receipt in the ledger", _anchor(2)),
    Fault("anchors", "is not in the ledger", _anchor(9)),
]


@pytest.mark.parametrize("fault", FAILING, ids=[f"{one.name}-{one.text[:20]}" for one in FAILING])
def test_a_fault_is_found(filled: Any, fault: Fault) -> None:
    fault.make(filled.home)
    fails = found(filled, exit_code=3)
    assert any(name == fault.name and fault.text in text for name, text in fails), fails
    done = filled.run("doctor")
    assert done.exit_code == 3
    assert "Traceback" not in done.output


WARNED = [
    Fault("folder", "others can look there", lambda home: home.chmod(0o755)),
    Fault("policy", "what no rule matches is allowed", _write("policy.yaml", "version: 1\ndefault: allow\n")),
    Fault("approvers", "whoever can use this home may approve", lambda home: set_config(home, "")),
    Fault(
        "approvers",
        "whoever proposes an action may approve it",
        lambda home: set_config(home, '[approvals]\napprovers = ["alice"]\nseparate_duties = false\n'),
    ),
]


@pytest.mark.parametrize("fault", WARNED, ids=[f"{one.name}-{one.text[:20]}" for one in WARNED])
def test_what_may_be_meant_is_a_warning(filled: Any, fault: Fault) -> None:
    fault.make(filled.home)
    warnings = found(filled, exit_code=0, status="warn")
    assert any(name == fault.name and fault.text in text for name, text in warnings), warnings


def test_one_cause_is_said_once(filled: Any) -> None:
    (filled.home / "config.toml").write_text("nix = 1\n")
    text = filled.run("doctor").stdout
    assert text.count("unknown key 'nix'") == 1
    assert "cannot be looked at" in text


def test_signed_approvals_with_all_keys_are_good(filled: Any) -> None:
    set_config(filled.home, SIGNED)
    for name in ("alice", "bob", "carol"):
        key = generate_key(filled.folder / f"{name}.pem").public_key
        write_public_key(filled.home / "approvers" / f"{name}.pub", key)
    assert ("approvers", "approvers/carol.pub is a key of nobody named") in found(
        filled, exit_code=0, status="warn"
    )
    assert "alice, bob; each has a key, decisions must be signed" in filled.run("doctor").stdout


def test_no_token_key_is_needed_without_an_audience(filled: Any) -> None:
    (filled.home / "keys" / "token.pem").unlink()
    assert found(filled, exit_code=0) == []


def test_anchors_may_be_configured_before_the_first_receipt(home: Any) -> None:
    set_config(home.home, ANCHORED)
    assert "comes with the first receipt" in home.run("doctor").stdout


def findings(world: Any, now: int, monkeypatch: pytest.MonkeyPatch | None = None) -> dict[str, str]:
    """Name → status, the worst one, at a time."""
    rank = ("ok", "warn", "fail")
    worst: dict[str, str] = {}
    for one in examine(Patient(Home(world.home), Micros(now))):
        worst[one.name] = max(worst.get(one.name, "ok"), one.status, key=rank.index)
    return worst


def test_a_clock_that_was_set_back_is_found(filled: Any) -> None:
    now = system_clock()
    assert findings(filled, now)["clock"] == "ok"
    assert findings(filled, now - 60 * SECOND)["clock"] == "fail"


def test_executions_that_nobody_will_settle_are_found(filled: Any) -> None:
    from delego_authorizer.owner import this_process
    from delego_ledger.contract import Execution

    now = system_clock()
    with opened(filled.home) as authorizer, authorizer.ledger.transaction() as transaction:
        transaction.start_execution(
            Execution(
                id="exe_1",
                rule=None,
                reasons=(),
                intent_hash=ORDER.intent_hash,
                action_fingerprint=ORDER.fingerprint,
                action_summary=ORDER.summary,
                approval_id=None,
                owner=this_process(),
                started_at=now,
                deadline=Micros(now + 60 * SECOND),
            )
        )
    assert findings(filled, now)["executions"] == "ok"
    assert findings(filled, now + 61 * SECOND)["executions"] == "warn"


@pytest.mark.parametrize(("free", "status"), [(2**40, "ok"), (100 * 2**20, "warn"), (2**20, "fail")])
def test_a_full_disk_is_found(filled: Any, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(doctor_checks.shutil, "disk_usage", lambda _: usage)
    assert findings(filled, system_clock())["disk"] == status


def test_a_folder_of_another_account_is_a_warning(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert findings(filled, system_clock())["folder"] == "warn"


def test_a_ledger_that_can_only_be_read_is_a_warning(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks.os, "access", lambda *_: False)
    assert findings(filled, system_clock())["ledger"] == "warn"


def test_an_old_sqlite_is_found(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "OLDEST_SQLITE", (99, 0, 0))
    assert findings(filled, system_clock())["versions"] == "fail"
