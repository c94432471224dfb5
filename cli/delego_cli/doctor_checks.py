"""What ``delego doctor`` looks at. Each check reads, changes nothing, and says what to do. Prints nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import nacl

from delego_authorizer.errors import DelegoAuthorizerError
from delego_authorizer.owner import is_abandoned
from delego_broker.errors import DelegoBrokerError
from delego_cli.brokers import gateway_of
from delego_cli.durations import span
from delego_cli.hook_checks import hook_findings
from delego_cli.mcp_checks import mcp_findings
from delego_ledger.anchorfile import read_anchors
from delego_ledger.connections import connect
from delego_ledger.errors import DelegoLedgerError
from delego_ledger.keyfiles import load_public_key, load_signer
from delego_ledger.transaction import MAX_LAG
from delego_spec.errors import DelegoSpecError, DocumentError
from delego_spec.timestamps import parse_ts

if TYPE_CHECKING:
    from delego_authorizer import Config, Home
    from delego_ledger.sqlite import SQLiteLedger
    from delego_spec.types import Micros

Status: TypeAlias = Literal["ok", "warn", "fail"]

SCARCE: Final = 256 * 1024 * 1024  # bytes free on the disk
TOO_LITTLE: Final = 16 * 1024 * 1024
ANCHORS_COMPARED: Final = 200  # the newest ones; 'delego verify' compares all
FULL: Final = 2  # what SQLite answers for synchronous=FULL
OLDEST_SQLITE: Final = (3, 37, 0)  # the first with STRICT tables


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    status: Status
    text: str
    todo: str | None = None  # what to do; None where nothing is wrong, or the text says it


@dataclass
class Patient:
    """A home under examination; what several checks need is opened once."""

    home: Home
    now: Micros

    @cached_property
    def config(self) -> Config:
        return self.home.config()

    @cached_property
    def ledger(self) -> SQLiteLedger:
        return self.home.ledger()


_TROUBLE: Final = (
    DelegoSpecError,
    DelegoLedgerError,
    DelegoAuthorizerError,
    DelegoBrokerError,
    OSError,
    sqlite3.Error,
)
Check: TypeAlias = Callable[[Patient], Iterator[Finding]]


def examine(patient: Patient) -> Iterator[Finding]:
    """Every finding, in order. A check that cannot be made is a finding as well."""
    said: set[str] = set()
    for name, check in CHECKS:
        try:
            yield from check(patient)
        except _TROUBLE as error:
            if str(error) in said:  # one cause, one finding
                yield Finding(name, "fail", "cannot be looked at", "solve what fails above")
            elif isinstance(error, DocumentError):
                yield from (Finding(name, "fail", one.at(error.source)) for one in error.problems)
            else:
                yield Finding(name, "fail", str(error))
            said.add(str(error))


# --- files and keys -------------------------------------------------------------------------------------


def _folders(patient: Patient) -> Iterator[Finding]:
    home = patient.home
    for folder, forbidden in ((home.path, 0o022), (home.keys_path, 0o077)):
        status = folder.stat()
        mode = stat.S_IMODE(status.st_mode)
        name = f"{folder.name or folder}/" if folder != home.path else str(folder)
        command = f"chmod 700 {shlex.quote(str(folder))}"
        if mode & forbidden and sys.platform != "win32":
            what = "write" if mode & 0o022 else "look"
            yield Finding("folder", "fail", f"{name} has mode {mode:04o}: others can {what} there", command)
        elif mode & 0o077 and sys.platform != "win32":
            yield Finding("folder", "warn", f"{name} has mode {mode:04o}: others can look there", command)
        else:
            yield Finding("folder", "ok", f"{name} is its owner's alone (mode {mode:04o})")
        if hasattr(os, "getuid") and status.st_uid != os.getuid():
            text = f"{name} belongs to another account (uid {status.st_uid})"
            yield Finding("folder", "warn", text, "run delego as the account that owns the home")
    home.check_own()


def _keys(patient: Patient) -> Iterator[Finding]:
    home, public = patient.home, patient.home.public_key()
    signer = load_signer(home.keys_path / "ledger.pem")
    if signer.public_key != public:
        text = f"ledger.pem is key {signer.public_key.key_id}, ledger.pub is {public.key_id}"
        yield Finding("keys", "fail", text, "restore both from a copy; one of them was replaced")
    else:
        yield Finding("keys", "ok", f"the ledger's key is {public.key_id}, for its owner alone")
    token = home.keys_path / "token.pem"
    if not token.exists():
        if patient.config.audience is None:
            yield Finding("keys", "ok", "there is no token key, and no audience that needs one")
        else:
            text = "an audience is configured, but keys/token.pem is missing: no tokens are minted"
            yield Finding("keys", "fail", text, "restore it from a copy")
        return
    token_key = load_signer(token).public_key
    if token_key == public:
        text = "the token key is the ledger's key: who may mint tokens could write evidence"
        yield Finding("keys", "fail", text, "make another one: move keys/token.pem away, then 'delego keys'")
        return
    written = load_public_key(home.keys_path / "token.pub")
    if written != token_key:
        text = f"token.pem is key {token_key.key_id}, token.pub is {written.key_id}: brokers refuse"
        yield Finding("keys", "fail", text, "restore both from a copy")
        return
    yield Finding("keys", "ok", f"the token key is {token_key.key_id}, another one")


def _policy(patient: Patient) -> Iterator[Finding]:
    policy = patient.home.policy()
    text = f"version {policy.version}, {len(policy.forbidden)} forbidden, {len(policy.rules)} rules"
    if policy.default == "allow":
        todo = "set default: deny, and name what is allowed"
        yield Finding("policy", "warn", f"{text}; what no rule matches is allowed", todo)
    else:
        yield Finding("policy", "ok", f"{text}, default {policy.default}")


def _configuration(patient: Patient) -> Iterator[Finding]:
    config = patient.config
    tokens = "no tokens" if config.audience is None else f"tokens for {config.audience!r:.80}"
    yield Finding("config", "ok", f"{tokens}, broker time-out {config.broker_timeout:g} s")


def _gateway(patient: Patient) -> Iterator[Finding]:
    config = patient.config
    if not config.names_gateway:
        yield Finding("broker", "ok", "no gateway: what is released is sent by the caller")
        return
    patient.home.check_own()  # asking it shows it this account's bearer
    broker = gateway_of(patient.home, config)
    assert broker is not None  # noqa: S101 - it is named
    from delego_spec.gateway import NotSent

    try:
        health = broker.health()
    except NotSent as error:
        todo = "start it: delego broker --config broker.yaml; or correct [broker] in config.toml"
        yield Finding("broker", "fail", str(error), todo)
        return
    status = health.get("status") if isinstance(health, dict) else None
    text = f"{broker.shown} answers, for tokens to {config.audience!r:.80}"
    if status == "ok":
        yield Finding("broker", "ok", text)
    else:
        yield Finding("broker", "warn", f"{text}, but says it is {status!r:.60}", "look at its log")


def _approvers(patient: Patient) -> Iterator[Finding]:
    config, keys = patient.config, patient.home.approver_keys()
    if not config.approvers:
        todo = "name the approvers under [approvals]"
        yield Finding("approvers", "warn", "whoever can use this home may approve", todo)
        return
    if config.separate_duties is False:
        todo = "set separate_duties = true under [approvals]"
        yield Finding("approvers", "warn", "whoever proposes an action may approve it", todo)
    named = ", ".join(config.approvers)
    if not config.signed_approvals:
        yield Finding("approvers", "ok", f"{named}; decisions are not signed")
        return
    for name in config.approvers:
        if name not in keys:
            text = f"{name} has no key in approvers/, so that no decision of theirs counts"
            yield Finding("approvers", "fail", text, f"put their public key there as {name}.pub")
    for name in keys.keys() - set(config.approvers):
        todo = "name them in config.toml, or remove the key"
        yield Finding("approvers", "warn", f"approvers/{name}.pub is a key of nobody named", todo)
    if set(config.approvers) <= keys.keys():
        yield Finding("approvers", "ok", f"{named}; each has a key, decisions must be signed")


# --- the ledger -----------------------------------------------------------------------------------------


def _opens(patient: Patient) -> Iterator[Finding]:
    home, ledger = patient.home, patient.ledger
    if ledger.public_key != home.public_key():
        text = f"it is the ledger of key {ledger.public_key.key_id}, not of keys/ledger.pub"
        yield Finding("ledger", "fail", text, "it was replaced, or the key was: restore the right one")
        return
    head = ledger.head()
    size = "empty" if head is None else f"{head.seq + 1} receipts, head {head.short}"
    yield Finding("ledger", "ok", f"opens, {size}")
    if not os.access(home.ledger_path, os.W_OK):
        yield Finding("ledger", "warn", "this account can only read it", "decide as the account that owns it")
    receipt = None if head is None else ledger.receipt(head.seq)
    if receipt is None:
        return
    good = home.public_key().verify(receipt.entry_hash.encode(), _bytes(receipt.signature))
    if good:
        yield Finding("ledger", "ok", "its newest receipt is signed by the ledger's key")
    else:
        yield Finding(
            "ledger", "fail", "its newest receipt is not signed by the ledger's key", "delego verify"
        )


def _durability(patient: Patient) -> Iterator[Finding]:
    with closing(connect(patient.ledger.path, "ro")) as connection:
        journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
        synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    if journal == "wal" and synchronous == FULL:
        text = f"schema version {version}, write-ahead log, every commit is synced"
        yield Finding("durability", "ok", text)
    else:
        text = f"journal mode {journal}, synchronous {synchronous}; WAL and FULL (2) are wanted"
        todo = "set it back: sqlite3 ledger.db 'PRAGMA journal_mode = WAL'"
        yield Finding("durability", "fail", text, todo)


def _disk(patient: Patient) -> Iterator[Finding]:
    free = shutil.disk_usage(patient.home.path).free
    text = f"{free // (1024 * 1024)} MiB are free"
    if free < SCARCE:
        status: Status = "fail" if free < TOO_LITTLE else "warn"
        yield Finding("disk", status, text, "make room: without it nothing can be decided")
    else:
        yield Finding("disk", "ok", text)


def _clock(patient: Patient) -> Iterator[Finding]:
    head = patient.ledger.head()
    receipt = None if head is None else patient.ledger.receipt(head.seq)
    if receipt is None:
        yield Finding("clock", "ok", "no receipt to compare it with")
        return
    ahead = parse_ts(receipt.payload.ts) - patient.now
    if ahead > MAX_LAG:
        text = f"it stands {span(ahead)} behind the newest receipt: rules with a rate limit deny"
        yield Finding("clock", "fail", text, "set the clock")
    else:
        yield Finding("clock", "ok", f"not behind the newest receipt ({span(-ahead)} ago)")


def _executions(patient: Patient) -> Iterator[Finding]:
    running = patient.ledger.executions()
    lost = [one for one in running if is_abandoned(one, patient.now)]
    if lost:
        text = f"{len(lost)} left in flight by a process that is gone, or past the deadline"
        yield Finding("executions", "warn", text, "delego recover")
    else:
        yield Finding("executions", "ok", f"{len(running)} in flight")


def _approvals(patient: Patient) -> Iterator[Finding]:
    stored = patient.ledger.approvals("pending") + patient.ledger.approvals("approved")
    states = [one.status_at(patient.now) for one in stored]
    waiting, ready = states.count("pending"), states.count("approved")
    text = (
        f"{waiting} wait for a person, {ready} approved and not released, {states.count('expired')} expired"
    )
    yield Finding("approvals", "ok", text)


def _anchors(patient: Patient) -> Iterator[Finding]:
    path, head = patient.home.anchor_path(patient.config), patient.ledger.head()
    if path is None:
        todo = "set 'file' under [anchors], best on storage that can only grow"
        yield Finding("anchors", "warn", "none are kept: a ledger that was cut off looks whole", todo)
        return
    shown = f"{str(path)!r:.300}"
    if not path.exists():
        if head is None:
            yield Finding("anchors", "ok", f"{shown} comes with the first receipt")
        else:
            todo = "restore it if there was one, else: delego head --append"
            yield Finding("anchors", "fail", f"{shown} is missing, and the ledger has receipts", todo)
        return
    lines = read_anchors(path)
    for line in lines[-ANCHORS_COMPARED:]:
        receipt = patient.ledger.receipt(line.anchor.seq)
        if receipt is None or receipt.entry_hash != line.anchor.entry_hash:
            found = "is not in the ledger" if receipt is None else "is another receipt in the ledger"
            todo = "receipts were removed or replaced: keep both files, and run delego verify"
            yield Finding("anchors", "fail", f"{line.anchor.short} of {shown} {found}", todo)
            return
    newest = lines[-1].anchor.seq if lines else -1
    behind = (-1 if head is None else head.seq) - newest
    yield Finding(
        "anchors", "ok", f"{len(lines)} in {shown}, the newest is {behind} receipts behind the head"
    )


def _hooks(_: Patient) -> Iterator[Finding]:
    try:
        user = Path.home()
    except RuntimeError:
        user = None
    for status, text, todo in hook_findings(Path.cwd(), user):
        yield Finding("hooks", status, text, todo)


def _mcp(_: Patient) -> Iterator[Finding]:
    try:
        user = Path.home()
    except RuntimeError:
        user = None
    for status, text, todo in mcp_findings(Path.cwd(), user):
        yield Finding("mcp", status, text, todo)


def _versions(_: Patient) -> Iterator[Finding]:
    text = (
        f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version},"
        f" PyNaCl {nacl.__version__} (libsodium)"
    )
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield Finding("versions", "fail", text, "use a Python with SQLite 3.37 or later")
    else:
        yield Finding("versions", "ok", text)


def _bytes(hexadecimal: str) -> bytes:
    try:
        return bytes.fromhex(hexadecimal)
    except ValueError:
        return b""


CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("folder", _folders),
    ("keys", _keys),
    ("policy", _policy),
    ("config", _configuration),
    ("broker", _gateway),
    ("approvers", _approvers),
    ("ledger", _opens),
    ("durability", _durability),
    ("disk", _disk),
    ("clock", _clock),
    ("executions", _executions),
    ("approvals", _approvals),
    ("anchors", _anchors),
    ("hooks", _hooks),
    ("mcp", _mcp),
    ("versions", _versions),
)
