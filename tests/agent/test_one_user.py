"""An agent with a shell under the account that owns the home: what the approver's passphrase protects, and
what it does not. SECURITY.md says both."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cli_tools import ORDER, TIMEOUT, opened
from delego_authorizer import Home, init_home
from delego_authorizer.home import template
from delego_ledger.keyfiles import generate_key, load_signer, write_public_key
from delego_ledger.sealed import Cost

PASSPHRASE = b"correct horse battery staple"
CHEAP = Cost(passes=1, memory=8192)


@pytest.fixture
def alices_key(tmp_path: Path) -> Path:
    """The approver's key, under a passphrase, readable for the agent as for her: one account."""
    path = tmp_path / "alice.pem"
    generate_key(path, passphrase=PASSPHRASE, _cost=CHEAP)
    return path


@pytest.fixture
def home(tmp_path: Path, alices_key: Path) -> Path:
    """A home with signed approvals."""
    config = template("config.toml").replace("signed = false", "signed = true")
    made = init_home(tmp_path / "home", approver="alice", config_text=config)
    assert made.config().signed_approvals
    public = load_signer(alices_key, passphrase=PASSPHRASE).public_key
    write_public_key(made.approvers_path / "alice.pub", public)
    write_public_key(tmp_path / "alice.pub", public)  # what the auditor has, from alice herself
    return made.path


def park(home: Path) -> str:
    with opened(home) as authorizer:
        return str(authorizer.propose(ORDER).approval_id)


def delego(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "delego_cli", "--home", str(home), *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "NO_COLOR": "1"},
        check=False,
    )


def released(home: Path, approval_id: str) -> bool:
    with opened(home) as authorizer:
        return authorizer.resolve(approval_id, ORDER).allowed


def audited(home: Path, approvers: Path) -> subprocess.CompletedProcess[str]:
    """An audit with a list of approvers that is not the home's."""
    receipts, evidence = (home.parent / f"{approvers.name}-{kind}.jsonl" for kind in ("receipts", "evidence"))
    assert delego(home, "export", receipts, "--evidence", evidence).returncode == 0
    key = home / "keys" / "ledger.pub"
    words = ("--public-key", key, "--approvers", approvers, "--evidence", evidence)
    return delego(home, "verify", receipts, *words)


def auditors(home: Path) -> Path:
    folder = home.parent / "auditors"
    folder.mkdir()
    (home.parent / "alice.pub").rename(folder / "alice.pub")
    return folder


def test_without_signed_approvals_the_same_account_can_say_yes(tmp_path: Path) -> None:
    home = init_home(tmp_path / "home", approver="alice").path
    approval_id = park(home)
    assert delego(home, "approve", approval_id, "--as", "alice", "--yes").returncode == 0
    assert released(home, approval_id)


def test_the_same_account_cannot_sign_without_the_passphrase(home: Path, alices_key: Path) -> None:
    approval_id = park(home)
    words = ("approve", approval_id, "--as", "alice", "--yes", "--key", alices_key)
    wrong = home.parent / "guess"
    wrong.write_text("password1\n")
    for more in ((), ("--passphrase-file", wrong)):
        done = delego(home, *words, *more)
        assert done.returncode == 1
        assert "passphrase" in done.stderr
    own = home.parent / "own.pem"
    generate_key(own)
    done = delego(home, "approve", approval_id, "--as", "alice", "--yes", "--key", own)
    assert done.returncode == 3
    assert "does not count" in done.stderr
    assert not released(home, approval_id)

    right = home.parent / "passphrase"
    right.write_bytes(PASSPHRASE)
    assert delego(home, *words, "--passphrase-file", right).returncode == 0
    assert released(home, approval_id)


def test_the_same_account_releases_nothing_by_writing_approved_into_the_database(home: Path) -> None:
    approval_id = park(home)
    with closing(sqlite3.connect(home / "ledger.db", isolation_level=None)) as connection:
        changed = connection.execute(
            "UPDATE approvals SET status = 'approved',"
            " body = CAST(replace(body, '\"pending\"', '\"approved\"') AS BLOB)"
        )
        assert changed.rowcount == 1
    assert not released(home, approval_id)


def test_the_same_account_can_enrol_a_key_of_its_own_and_an_audit_with_the_true_keys_finds_it(
    home: Path,
) -> None:
    approval_id = park(home)
    own = home.parent / "own.pem"
    (Home(home).approvers_path / "alice.pub").unlink()
    write_public_key(Home(home).approvers_path / "alice.pub", generate_key(own).public_key)
    assert delego(home, "approve", approval_id, "--as", "alice", "--yes", "--key", own).returncode == 0
    assert released(home, approval_id)
    assert audited(home, home / "approvers").returncode == 0
    assert audited(home, auditors(home)).returncode == 3


def test_the_same_account_can_switch_signing_off_and_an_audit_with_the_true_keys_finds_it(home: Path) -> None:
    approval_id = park(home)
    config = Home(home).config_path
    config.write_text(config.read_text().replace("signed = true", "signed = false"))
    assert delego(home, "approve", approval_id, "--as", "alice", "--yes").returncode == 0
    assert released(home, approval_id)
    assert audited(home, auditors(home)).returncode == 3
