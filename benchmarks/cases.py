"""The measurements. Each is a function of a scratch folder and a size, and returns its figures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nacl import bindings

from benchmarks.gateway import gateway
from benchmarks.material import (
    ROW,
    SIGNER,
    authorizer,
    bare_database,
    filled_ledger,
    forbidden_action,
    order_action,
    read_action,
    wide_policy,
)
from benchmarks.mcp_http import mcp_http
from benchmarks.mcp_stdio import mcp_stdio
from benchmarks.measure import Figure, in_turns, seconds
from benchmarks.start_up import start_up
from benchmarks.tokens import authorize
from delego_spec.action import Action
from delego_spec.evaluate import evaluate
from delego_spec.types import Micros

BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement that can be asked for by name."""

    name: str
    run: Callable[[Path, int], list[Figure]]
    about: str


def growth(folder: Path, receipts: int) -> list[Figure]:
    """A durable propose in a long ledger, against one in a short ledger."""
    short = authorizer(filled_ledger(folder / "short.db", 1000))
    long = authorizer(filled_ledger(folder / "long.db", receipts))
    action = read_action()
    short_s, long_s = in_turns(300, lambda: short.propose(action), lambda: long.propose(action))
    detail = f"propose at {receipts:,} receipts / at 1,000 ({long_s * 1e6:.0f} / {short_s * 1e6:.0f} µs)"
    return [Figure("propose in a long ledger", long_s / short_s, "x", 1.25, True, detail)]


def commit(folder: Path, _: int) -> list[Figure]:
    """One allowed propose with a broker (two durable commits) against one bare durable commit."""
    engine = authorizer(filled_ledger(folder / "commit.db", 1000), tokens=False)
    minting = authorizer(filled_ledger(folder / "minting.db", 1000), tokens=True)
    bare = bare_database(folder / "bare.db")

    def bare_commit() -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO rows (body) VALUES (?)", (ROW,))
        bare.execute("COMMIT")

    def propose() -> None:
        engine.propose(read_action())

    def propose_with_token() -> None:
        minting.propose(read_action())

    propose_s, token_s, bare_s = in_turns(500, propose, propose_with_token, bare_commit)
    bare.close()

    def figure(name: str, taken: float) -> Figure:
        detail = f"propose / bare commit ({taken * 1e6:.0f} / {bare_s * 1e6:.0f} µs)"
        return Figure(name, taken / bare_s, "x", 3.0, True, detail)

    return [figure("allowed propose", propose_s), figure("the same, and a token", token_s)]


def batch(folder: Path, _: int) -> list[Figure]:
    """64 decisions in one transaction, hashing and policy included, against raw signing."""
    engine = authorizer(filled_ledger(folder / "batch.db", 1000))
    message = b"0" * 64
    secret = bindings.crypto_sign_seed_keypair(bytes(range(32)))[1]

    def decide() -> None:
        engine.propose_many([forbidden_action() for _ in range(BATCH)])

    def sign() -> None:
        for _ in range(BATCH):
            bindings.crypto_sign(message, secret)

    decide_s, sign_s = in_turns(100, decide, sign)
    rates = f"{BATCH / decide_s:,.0f} decisions/s / {BATCH / sign_s:,.0f} signatures/s"
    return [Figure("decisions in batches of 64", 100 * sign_s / decide_s, "%", 40, False, rates)]


def verification(folder: Path, receipts: int) -> list[Figure]:
    """Full verification in a process of its own, against raw libsodium on one core times the cores."""
    ledger = filled_ledger(folder / "verify.db", receipts)
    ledger.close()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    signed = SIGNER.sign(b"0" * 64) + b"0" * 64
    raw_before = seconds(lambda: bindings.crypto_sign_open(signed, SIGNER.public_key.raw), 20_000)
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.verify_child", str(folder / "verify.db"), str(cores)],
        capture_output=True,
        text=True,
        check=True,
    )
    raw_after = seconds(lambda: bindings.crypto_sign_open(signed, SIGNER.public_key.raw), 20_000)
    verified, taken, megabytes = child.stdout.split()
    if int(verified) != receipts:
        raise RuntimeError(f"{verified} of {receipts} receipts were verified")
    rate, raw = receipts / float(taken), 2 * cores / (raw_before + raw_after)
    detail = f"{rate:,.0f} receipts/s / raw verify on {cores} cores, {raw:,.0f}/s"
    return [
        Figure("full verification", 100 * rate / raw, "%", 85, False, detail),
        Figure("memory of verification", float(megabytes), "MB", 200, True, f"peak, {receipts:,} receipts"),
    ]


def policy(_: Path, __: int) -> list[Figure]:
    """Evaluation against 10,000 rules with distinct hosts, against 10."""
    few, many = wide_policy(10), wide_policy(10_000)
    first = Action("read", "GET", "https://host-9.example.com/items/1", {})
    last = Action("read", "GET", "https://host-9999.example.com/items/1", {})
    few_s, many_s = in_turns(
        50,
        lambda: evaluate(few, first, now=Micros(0), counts=None),
        lambda: evaluate(many, last, now=Micros(0), counts=None),
        repeat=1000,
    )
    detail = f"last of 10,000 rules / last of 10 ({many_s * 1e6:.2f} / {few_s * 1e6:.2f} µs)"
    return [Figure("policy of 10,000 rules", many_s / few_s, "x", 2.0, True, detail)]


def hashing(_: Path, __: int) -> list[Figure]:
    """Fingerprint and intent hash of an order with three params; all that `Action` derives is included."""
    (taken,) = in_turns(50, order_action, repeat=1000)
    return [Figure("fingerprint and intent hash", taken * 1e6, "µs", 15, True, "one new Action")]


CASES: Final = (
    Case("hashing", hashing, "fingerprint plus intent hash"),
    Case("policy", policy, "10,000 rules against 10"),
    Case("commit", commit, "one allowed propose against a bare durable commit"),
    Case("batch", batch, "64 decisions in one transaction against raw signing"),
    Case("authorize", authorize, "a token checked and used up against a bare verify and insert"),
    Case("gateway", gateway, "a request through the gateway against a direct one"),
    Case("mcp-stdio", mcp_stdio, "an allowed MCP call through the gateway against a bare durable commit"),
    Case("mcp-http", mcp_http, "eight MCP callers over HTTP through the gateway against directly"),
    Case("start-up", start_up, "a hook's whole process against an interpreter that does nothing"),
    Case("growth", growth, "a propose at a million receipts against one at a thousand"),
    Case("verification", verification, "a full verification against raw libsodium, and its memory"),
)
