"""Ledgers, policies and actions to measure with."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from delego_authorizer import Authorizer, Config
from delego_broker import CallableBroker
from delego_ledger.contract import Step, Transaction
from delego_ledger.sqlite import MAX_STEPS, SQLiteLedger
from delego_spec.action import Action
from delego_spec.anchors import Anchor
from delego_spec.ed25519 import SeedSigner
from delego_spec.policy import Policy, load_policy, policy_from_document
from delego_spec.receipts import Entry
from delego_spec.types import JSONObject

SIGNER = SeedSigner(bytes(range(32)))
TOKEN_SIGNER = SeedSigner(bytes(range(1, 33)))
RULE = "read-accounts"
ROW: Final = b"x" * 900  # about what one receipt adds to the database

POLICY = load_policy(
    """
default: deny
forbidden:
  - { name: no-permissions, match: { path_contains: /permissions } }
rules:
  - name: read-accounts
    decision: allow
    match: { method: GET, host: api.example.com, path: /accounts/** }
    constraints: { rate_limit: { max: 100000000, per: day } }
"""
)
TRANSFER_POLICY: Final = """\
default: deny
forbidden:
  - { name: no-closing, match: { host: bank, path: "/close*" } }
rules:
  - name: own-accounts
    decision: allow
    match: { method: CALL, host: bank, path: /transfer }
    constraints: { amount: { field: amount, max: 5000, currency: USD } }
"""


def read_action() -> Action:
    """An action that the policy allows."""
    return Action("read my account details", "GET", "https://api.example.com/accounts/me", {})


def order_action() -> Action:
    """An action with a few params, as agents send them."""
    params: JSONObject = {"amount": 2400, "currency": "USD", "destination": "internal"}
    return Action("place a small order", "POST", "https://api.example.com/orders", params)


def forbidden_action() -> Action:
    """An action that the policy denies."""
    url = "https://api.example.com/accounts/me/permissions"
    return Action("share my account", "POST", url, {"grant": "teammate@example.com"})


def filled_ledger(path: Path, receipts: int) -> SQLiteLedger:
    """A ledger with so many execution/allow receipts of one rule, all within today."""
    ledger = SQLiteLedger.create(path, SIGNER)
    action = read_action()
    entry = Entry(
        "execution",
        "allow",
        RULE,
        ("rate_limit: 1/100000000 per day", "executed via broker"),
        action.intent_hash,
        action.fingerprint,
        action.summary,
    )

    def append(transaction: Transaction) -> Anchor:
        return transaction.append(entry)

    steps: list[Step[Anchor]] = [append] * MAX_STEPS
    for start in range(0, receipts, MAX_STEPS):
        ledger.submit(steps[: receipts - start])
    return ledger


def authorizer(ledger: SQLiteLedger, *, tokens: bool = True) -> Authorizer:
    """An authorizer with a broker that does nothing; with ``tokens`` it mints one for each release."""
    broker = CallableBroker(lambda _: {"ok": True})
    config = Config(audience="https://broker.example" if tokens else None)
    return Authorizer(POLICY, config, ledger, broker=broker, token_signer=TOKEN_SIGNER if tokens else None)


def bare_database(path: Path) -> sqlite3.Connection:
    """A SQLite database with the ledger's durability and one table."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
    return connection


def wide_policy(rules: int) -> Policy:
    """So many rules, each for a host of its own."""
    return policy_from_document(
        {
            "default": "deny",
            "rules": [
                {
                    "name": f"rule-{number}",
                    "decision": "allow",
                    "match": {"method": "GET", "host": f"host-{number}.example.com", "path": "/items/**"},
                }
                for number in range(rules)
            ],
        }
    )
