"""The SQLite schema: created once, recognised by its application id, refused when it is newer than we are."""

from __future__ import annotations

import sqlite3
from typing import Final

from delego_ledger.errors import DamagedLedger, NewerLedger
from delego_spec.ed25519 import PublicKey
from delego_spec.errors import KeyFormatError

APPLICATION_ID: Final = 0x64656C67  # "delg": tells a ledger from any other SQLite file
SCHEMA_VERSION: Final = 1

# seq is the place in the chain. payload holds the bytes that were hashed, unchanged. ts (microseconds) and
# the table `allows` repeat what the payloads say, so that a rate limit is two index look-ups however long
# the window: `n` numbers the execution/allow receipts of one rule.
_TABLES: Final = """
CREATE TABLE ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    public_key TEXT NOT NULL CHECK (length(public_key) = 64),
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE receipts (
    seq INTEGER PRIMARY KEY CHECK (seq >= 0),
    ts INTEGER NOT NULL CHECK (ts >= 0),
    entry_hash TEXT NOT NULL CHECK (length(entry_hash) = 64),
    signature TEXT NOT NULL CHECK (length(signature) = 128),
    payload BLOB NOT NULL,
    context BLOB
) STRICT;
CREATE TABLE allows (
    rule TEXT NOT NULL,
    ts INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK (n > 0),
    PRIMARY KEY (rule, ts, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'consumed', 'expired')),
    created_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    action BLOB NOT NULL
) STRICT;
CREATE INDEX approvals_by_status ON approvals (status, created_at);
CREATE TABLE executions (
    id TEXT PRIMARY KEY,
    rule TEXT,
    started_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX executions_by_rule ON executions (rule);
CREATE TABLE nonces (
    scope TEXT NOT NULL,
    nonce TEXT NOT NULL,
    keep_until INTEGER NOT NULL,
    PRIMARY KEY (scope, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_by_age ON nonces (keep_until);
CREATE TABLE evidence (
    hash TEXT PRIMARY KEY CHECK (length(hash) = 64),
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
"""


def create(connection: sqlite3.Connection, public_key: str, created_at: int) -> None:
    """Lay out an empty database inside the caller's transaction."""
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute("INSERT INTO ledger VALUES (1, ?, ?)", (public_key, created_at))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def check(connection: sqlite3.Connection, path: str) -> PublicKey:
    """The ledger's public key. Raises DamagedLedger, also for another program's file, or NewerLedger."""
    if _pragma(connection, "application_id") != APPLICATION_ID:
        raise DamagedLedger(path, "it is a SQLite file of another program, or its header was overwritten")
    version = _pragma(connection, "user_version")
    if version > SCHEMA_VERSION:
        raise NewerLedger(path, version, SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise DamagedLedger(path, f"it says schema version {version}, which never was")
    row = connection.execute("SELECT public_key FROM ledger").fetchone()
    if row is None:
        raise DamagedLedger(path, "it does not name its public key")
    try:
        return PublicKey.from_hex(row[0])
    except KeyFormatError as error:
        raise DamagedLedger(path, error) from None


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
