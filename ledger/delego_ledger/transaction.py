"""One SQLite transaction, as the ledger's contract describes it. Opening and committing are in ``sqlite``."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any, Final, TypeVar

import msgspec

from delego_ledger.contract import Execution
from delego_ledger.errors import DamagedLedger, StorageError
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.approvals import Approval
from delego_spec.canonical import canonical
from delego_spec.constraints import CountUnavailable
from delego_spec.ed25519 import SeedSigner, Signer
from delego_spec.errors import DelegoSpecError, TimestampError
from delego_spec.receipts import GENESIS, Entry, Sealed, seal, sign
from delego_spec.timestamps import format_ts
from delego_spec.types import Digest, JSONObject, Micros, is_digest

# How far the clock may stand behind the newest receipt before windows of time mean nothing: two hosts'
# worth of drift, not a clock that was set back.
MAX_LAG: Final = 2_000_000  # microseconds

V = TypeVar("V")


class SQLiteTransaction:
    """Implements ``contract.Transaction``. Receipts are signed and stored when it ends."""

    def __init__(self, connection: sqlite3.Connection, signer: Signer, clock_time: Micros, path: str) -> None:
        self._open: sqlite3.Connection | None = connection
        self._signer = signer
        self._path = path
        newest = read_head(connection, path)
        self._head = None if newest is None else newest[0]
        # Receipt times never run backwards, whatever the clock does.
        self._now = clock_time if newest is None else Micros(max(clock_time, newest[1]))
        self._lag = self._now - clock_time
        try:
            format_ts(self._now)
        except TimestampError as error:  # a clock that no receipt could be written with
            raise StorageError("write", path, f"the clock is wrong: {error}", retry_safe=True) from None
        self._appended: list[tuple[Sealed, bytes | None]] = []
        self._context: tuple[JSONObject, bytes] = ({}, b"{}")
        self._allows: dict[str, list[int]] = {}  # rule → numbers given out in this transaction

    @property
    def _connection(self) -> sqlite3.Connection:
        # Outside its transaction a write would be durable at once, unguarded and unsigned.
        if self._open is None:
            raise RuntimeError("the transaction is over")
        return self._open

    def end(self) -> None:
        """Nothing can be read or written any more."""
        self._open = None

    @property
    def now(self) -> Micros:
        return self._now

    @property
    def head(self) -> Anchor | None:
        return self._head

    def append(self, entry: Entry, *, context: JSONObject | None = None) -> Anchor:
        if self._open is None:
            raise RuntimeError("the transaction is over")
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
        bound = (approval.action_fingerprint, approval.intent_hash)
        if bound != (action.fingerprint, action.intent_hash):
            raise ValueError(f"approval {approval.id!r} is for another action")
        self._insert(
            "INSERT INTO approvals VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                approval.id,
                approval.status,
                approval.created_at,
                msgspec.json.encode(approval),
                canonical(action.to_mapping()),
            ),
        )

    def _insert(self, statement: str, values: tuple[object, ...]) -> None:
        # Not a database error, which would fail the steps of others in this transaction as well.
        if self._connection.execute(statement, values).rowcount != 1:
            raise ValueError(f"the id {values[0]!r} is taken")

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
        self._insert(
            "INSERT INTO executions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
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

    def evidence(self, evidence_hash: str) -> JSONObject | None:
        return read_evidence(self._connection, evidence_hash, self._path)

    def _signature(self, entry_hash: Digest) -> str:
        try:
            signature = sign(entry_hash, self._signer)
        except Exception as error:  # a device fails in its own way; nothing is committed
            raise StorageError("sign for", self._path, error, retry_safe=True) from error
        # A signer elsewhere may answer for another key: such receipts would be durable, and evidence of none.
        if not isinstance(self._signer, SeedSigner) and not self._signer.public_key.verify(
            entry_hash.encode(), bytes.fromhex(signature)
        ):
            text = "the signer's signature does not fit its public key; check which key it holds"
            raise StorageError("write", self._path, text, retry_safe=True)
        return signature

    def flush(self) -> None:
        """Sign and store what was appended. Called once, just before the commit."""
        self._connection.executemany(
            "INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    sealed.seq,
                    self._now,
                    sealed.entry_hash,
                    self._signature(sealed.entry_hash),
                    sealed.payload,
                    context,
                )
                for sealed, context in self._appended
            ],
        )
        if self._allows:
            self._connection.executemany(
                "INSERT INTO allows VALUES (?, ?, ?)",
                [(rule, self._now, number) for rule, numbers in self._allows.items() for number in numbers],
            )


def read_head(connection: sqlite3.Connection, path: str) -> tuple[Anchor, Micros] | None:
    """Place, hash and time of the newest receipt. Raises DamagedLedger where what is stored is none."""
    row = connection.execute("SELECT seq, entry_hash, ts FROM receipts ORDER BY seq DESC LIMIT 1").fetchone()
    if row is None:
        return None
    seq, entry_hash, ts = row
    if type(seq) is not int or not is_digest(entry_hash) or type(ts) is not int:
        raise DamagedLedger(path, "the newest receipt is not stored as one")
    return Anchor(seq, Digest(entry_hash)), Micros(ts)


def has_receipt(connection: sqlite3.Connection, anchor: Anchor) -> bool:
    """True if the receipt at that place has that hash."""
    row = connection.execute("SELECT entry_hash FROM receipts WHERE seq = ?", (anchor.seq,)).fetchone()
    return row is not None and row[0] == anchor.entry_hash


def read_approval(connection: sqlite3.Connection, approval_id: str, path: str) -> Approval | None:
    """One approval by id. Raises DamagedLedger where what is stored is not one."""
    row = _row(connection, "SELECT body, status FROM approvals WHERE id = ?", approval_id)
    return None if row is None else decode_approval(row[0], row[1], path)


def decode_approval(body: object, status: object, path: str) -> Approval:
    """Raises DamagedLedger where what is stored is not an approval."""
    approval = decode(body, Approval, path)
    if approval.status != status:
        raise DamagedLedger(path, f"approval {approval.id!r} is stored with two different statuses")
    return approval


def read_action(connection: sqlite3.Connection, approval_id: str, path: str) -> Action | None:
    """The action an approval is for. Raises DamagedLedger where what is stored is not one.

    What a person is shown before a decision comes from here, so it must be what the approval is bound to.
    """
    row = _row(connection, "SELECT action, body FROM approvals WHERE id = ?", approval_id)
    if row is None:
        return None
    approval = decode(row[1], Approval, path)
    try:
        action = Action.from_mapping(decode(row[0], dict[str, Any], path))
    except DelegoSpecError as error:
        raise DamagedLedger(path, error) from None
    bound = (approval.action_fingerprint, approval.intent_hash)
    if bound != (action.fingerprint, action.intent_hash):
        raise DamagedLedger(path, f"approval {approval.id!r} is stored with another action")
    return action


def read_evidence(connection: sqlite3.Connection, evidence_hash: str, path: str) -> JSONObject | None:
    """The evidence kept under a hash. Raises DamagedLedger where what is stored is no object."""
    if not is_digest(evidence_hash):
        return None
    row = connection.execute("SELECT body FROM evidence WHERE hash = ?", (evidence_hash,)).fetchone()
    return None if row is None else decode(row[0], dict[str, Any], path)


def read_executions(connection: sqlite3.Connection, path: str) -> tuple[Execution, ...]:
    """All executions in flight, oldest first."""
    rows = connection.execute("SELECT body FROM executions ORDER BY started_at, id").fetchall()
    return tuple(decode(row[0], Execution, path) for row in rows)


def decode(body: object, kind: type[V], path: str) -> V:
    """A stored value. Raises DamagedLedger where the bytes are not one."""
    if type(body) is not bytes:  # STRICT tables are checked when they are written, not when they are read
        raise DamagedLedger(path, f"a {kind.__name__.lower()} is not stored as bytes")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedLedger(path, error) from None


def _row(connection: sqlite3.Connection, query: str, key: str) -> Any:
    try:
        return connection.execute(query, (key,)).fetchone()
    except (
        UnicodeEncodeError
    ):  # a lone surrogate, as in an argument that is not UTF-8: nothing has such an id
        return None
