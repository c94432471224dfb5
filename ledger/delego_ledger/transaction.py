"""One SQLite transaction, as the ledger's contract describes it. Opening and committing are in ``sqlite``."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Final, TypeVar

import msgspec

from delego_ledger.contract import Execution
from delego_ledger.errors import DamagedLedger
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.approvals import Approval
from delego_spec.canonical import canonical
from delego_spec.constraints import CountUnavailable
from delego_spec.ed25519 import Signer
from delego_spec.errors import DelegoSpecError
from delego_spec.receipts import GENESIS, Entry, Sealed, seal, sign
from delego_spec.types import Digest, JSONObject, Micros

# How far the clock may stand behind the newest receipt before windows of time mean nothing: two hosts'
# worth of drift, not a clock that was set back.
MAX_LAG: Final = 2_000_000  # microseconds

V = TypeVar("V")


class SQLiteTransaction:
    """Implements ``contract.Transaction``. Receipts are signed and stored when it ends."""

    def __init__(self, connection: sqlite3.Connection, signer: Signer, clock_time: Micros, path: str) -> None:
        self._connection = connection
        self._signer = signer
        self._path = path
        row = connection.execute(
            "SELECT seq, entry_hash, ts FROM receipts ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        self._head = None if row is None else Anchor(row[0], Digest(row[1]))
        # Receipt times never run backwards, whatever the clock does.
        self._now = clock_time if row is None else Micros(max(clock_time, row[2]))
        self._lag = self._now - clock_time
        self._appended: list[tuple[Sealed, bytes | None]] = []
        self._context: tuple[JSONObject, bytes] = ({}, b"{}")
        self._allows: dict[str, list[int]] = {}  # rule → numbers given out in this transaction

    @property
    def now(self) -> Micros:
        return self._now

    @property
    def head(self) -> Anchor | None:
        return self._head

    def append(self, entry: Entry, *, context: JSONObject | None = None) -> Anchor:
        seq, prev_hash = (0, GENESIS) if self._head is None else (self._head.seq + 1, self._head.entry_hash)
        sealed = seal(entry, seq=seq, ts=self._now, prev_hash=prev_hash)
        self._appended.append((sealed, None if context is None else self._encoded(context)))
        if entry.phase == "execution" and entry.outcome == "allow" and entry.rule is not None:
            self._number_allow(entry.rule)
        self._head = Anchor(seq, sealed.entry_hash)
        return self._head

    def _encoded(self, context: JSONObject) -> bytes:
        # A batch shares one context: encode it once.
        if context is not self._context[0]:
            self._context = (context, canonical(context, name="context"))
        return self._context[1]

    def _number_allow(self, rule: str) -> None:
        numbers = self._allows.setdefault(rule, [])
        numbers.append((numbers[-1] if numbers else self._newest_allow(rule)) + 1)

    def _newest_allow(self, rule: str) -> int:
        row = self._connection.execute(
            "SELECT n FROM allows WHERE rule = ? ORDER BY ts DESC, n DESC LIMIT 1", (rule,)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def count_allows(self, rule: str, since: Micros) -> int:
        if self._lag > MAX_LAG:
            seconds = self._lag // 1_000_000
            raise CountUnavailable(
                f"the newest receipt lies {seconds} s in the future of the clock; set the clock"
            )
        appended = self._allows.get(rule, ())
        first = self._connection.execute(
            "SELECT n FROM allows WHERE rule = ? AND ts > ? ORDER BY ts, n LIMIT 1", (rule, since)
        ).fetchone()
        settled = len(appended)
        if first is not None:
            settled += self._newest_allow(rule) - int(first[0]) + 1
        running = self._connection.execute(
            "SELECT count(*) FROM executions WHERE rule = ?", (rule,)
        ).fetchone()[0]
        return settled + int(running)

    def park(self, approval: Approval, action: Action) -> None:
        self._connection.execute(
            "INSERT INTO approvals VALUES (?, ?, ?, ?, ?)",
            (
                approval.id,
                approval.status,
                approval.created_at,
                msgspec.json.encode(approval),
                canonical(action.to_mapping()),
            ),
        )

    def approval(self, approval_id: str) -> Approval | None:
        return read_approval(self._connection, approval_id, self._path)

    def decide(self, before: Approval, after: Approval) -> bool:
        cursor = self._connection.execute(
            "UPDATE approvals SET status = ?, body = ? WHERE id = ? AND status = ? AND body = ?",
            (after.status, msgspec.json.encode(after), before.id, before.status, msgspec.json.encode(before)),
        )
        return cursor.rowcount == 1

    def consume(self, approval: Approval) -> bool:
        return approval.status == "approved" and self.decide(approval, replace(approval, status="consumed"))

    def start_execution(self, execution: Execution) -> None:
        self._connection.execute(
            "INSERT INTO executions VALUES (?, ?, ?, ?)",
            (execution.id, execution.rule, execution.started_at, msgspec.json.encode(execution)),
        )

    def settle_execution(self, execution_id: str) -> bool:
        cursor = self._connection.execute("DELETE FROM executions WHERE id = ?", (execution_id,))
        return cursor.rowcount == 1

    def executions(self) -> tuple[Execution, ...]:
        return read_executions(self._connection, self._path)

    def use_nonce(self, scope: str, nonce: str, keep_until: Micros) -> bool:
        # Purging here keeps the table as small as the nonces that still matter.
        self._connection.execute("DELETE FROM nonces WHERE keep_until < ?", (self._now,))
        cursor = self._connection.execute(
            "INSERT INTO nonces VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (scope, nonce, keep_until)
        )
        return cursor.rowcount == 1

    def put_evidence(self, evidence_hash: Digest, evidence: JSONObject) -> None:
        self._connection.execute(
            "INSERT INTO evidence VALUES (?, ?) ON CONFLICT DO NOTHING", (evidence_hash, canonical(evidence))
        )

    def flush(self) -> None:
        """Sign and store what was appended. Called once, just before the commit."""
        self._connection.executemany(
            "INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    sealed.seq,
                    self._now,
                    sealed.entry_hash,
                    sign(sealed.entry_hash, self._signer),
                    sealed.payload,
                    context,
                )
                for sealed, context in self._appended
            ],
        )
        self._connection.executemany(
            "INSERT INTO allows VALUES (?, ?, ?)",
            [(rule, self._now, number) for rule, numbers in self._allows.items() for number in numbers],
        )


def read_approval(connection: sqlite3.Connection, approval_id: str, path: str) -> Approval | None:
    """One approval by id. Raises DamagedLedger where what is stored is not one."""
    row = connection.execute("SELECT body, status FROM approvals WHERE id = ?", (approval_id,)).fetchone()
    return None if row is None else decode_approval(row[0], row[1], path)


def decode_approval(body: bytes, status: str, path: str) -> Approval:
    approval = decode(body, Approval, path)
    if approval.status != status:
        raise DamagedLedger(path, f"approval {approval.id!r} is stored with two different statuses")
    return approval


def read_action(connection: sqlite3.Connection, approval_id: str, path: str) -> Action | None:
    """The action an approval is for. Raises DamagedLedger where what is stored is not one."""
    row = connection.execute("SELECT action FROM approvals WHERE id = ?", (approval_id,)).fetchone()
    try:
        return None if row is None else Action.from_json(row[0])
    except DelegoSpecError as error:
        raise DamagedLedger(path, error) from None


def read_executions(connection: sqlite3.Connection, path: str) -> tuple[Execution, ...]:
    """All executions in flight, oldest first."""
    rows = connection.execute("SELECT body FROM executions ORDER BY started_at, id").fetchall()
    return tuple(decode(row[0], Execution, path) for row in rows)


def decode(body: bytes, kind: type[V], path: str) -> V:
    """A stored value. Raises DamagedLedger where the bytes are not one."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DamagedLedger(path, error) from None
