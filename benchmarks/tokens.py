"""What a broker pays before it may use a credential: all of §9.1, with a store that outlives a power cut."""

from __future__ import annotations

import base64
import hashlib
import itertools
from pathlib import Path

from benchmarks.material import TOKEN_SIGNER, bare_database, order_action
from benchmarks.measure import Figure, in_turns
from delego_broker import MemoryReplayStore, Outgoing, Refusal, SQLiteReplayStore, TokenVerifier
from delego_spec.tokens import Claims, mint
from delego_spec.types import EpochSeconds

ROUNDS = 1000
WARM = 2000  # tokens that are in the store before it is measured
NOW = EpochSeconds(1_760_000_000)
AUDIENCE = "https://broker.example"


def authorize(folder: Path, _: int) -> list[Figure]:
    """``TokenVerifier.authorize`` with the SQLite store, against an Ed25519 verify and a durable insert."""
    action = order_action()
    request = Outgoing(action.method, action.url, action.params)
    keys = {TOKEN_SIGNER.public_key.key_id: TOKEN_SIGNER.public_key}
    store = SQLiteReplayStore.open(folder / "used.db")
    durable = TokenVerifier(keys, AUDIENCE, store, clock=lambda: NOW)
    forgetful = TokenVerifier(keys, AUDIENCE, MemoryReplayStore(), clock=lambda: NOW)
    numbers = itertools.count()
    bare, plain = bare_database(folder / "bare.db"), bare_database(folder / "plain.db")
    # The least that can tell a replay: a row with two names, each there once.
    bare.execute("CREATE TABLE used (jti TEXT PRIMARY KEY, cns TEXT NOT NULL UNIQUE, until INTEGER) STRICT")

    def insert() -> None:
        names = (_spread(f"a{next(numbers)}"), _spread(f"b{next(numbers)}"), NOW)
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO used VALUES (?, ?, ?)", names)
        bare.execute("COMMIT")

    def insert_a_row() -> None:
        plain.execute("BEGIN IMMEDIATE")
        plain.execute("INSERT INTO rows (body) VALUES (?)", (b"x" * 64,))
        plain.execute("COMMIT")

    for number in range(WARM):  # the logs have come round once: a file that grows is synced more slowly
        insert()
        insert_a_row()
        store.consume(
            _spread(f"j{number}"), _spread(f"c{number}"), keep_until=EpochSeconds(NOW + 45), now=NOW
        )

    def token() -> str:
        claims = Claims(
            iss="https://authorizer.example",
            aud=AUDIENCE,
            iat=NOW,
            exp=EpochSeconds(NOW + 45),
            jti=_spread(f"token {next(numbers)}"),
            cns=_spread(f"release {next(numbers)}"),
            fpr=action.fingerprint,
            iht=action.intent_hash,
            sub="agent-7",
            pol=(1, "orders"),
        )
        return mint(claims, TOKEN_SIGNER)

    tokens = iter([token() for _ in range(2 * ROUNDS)])
    signed, signature = token().rsplit(".", 1)
    message, raw = signed.encode(), base64.urlsafe_b64decode(f"{signature}==")

    def check(verifier: TokenVerifier) -> None:
        outcome = verifier.authorize(next(tokens), request)
        if isinstance(outcome, Refusal):
            raise RuntimeError(outcome.message)  # noqa: TRY004 - no question of types

    def verify() -> None:
        if not TOKEN_SIGNER.public_key.verify(message, raw):
            raise RuntimeError("a good signature was refused")

    def verify_and_insert() -> None:
        verify()
        insert()

    durable_s, memory_s, both_s, verify_s, plain_s = in_turns(
        ROUNDS, lambda: check(durable), lambda: check(forgetful), verify_and_insert, verify, insert_a_row
    )
    for database in (store, bare, plain):
        database.close()
    micros = [round(taken * 1e6) for taken in (durable_s, both_s, memory_s, verify_s, plain_s)]
    detail = (
        "authorize, durable / Ed25519 verify and one durable insert ({} / {} µs; authorize in memory {}, the"
        " verify alone {}, a durable row of no meaning {})"
    ).format(*micros)
    return [Figure("token checked and used up", durable_s / both_s, "x", 1.5, True, detail)]


def _spread(name: str) -> str:
    """32 hexadecimal digits as random as those of real tokens: where rows land in an index is a part of the
    cost."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]
