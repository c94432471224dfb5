"""The stateful group for our own authorizer: real storage, real processes, a real crash.

The authorizer runs in a process of its own over a SQLite ledger in a temporary folder. Its broker answers
200 to everything and adds one byte to a file for each request, so that effects are counted across processes
and crashes. ``session.restart`` kills that process; ``session.race`` adds others, of several threads each.
"""

from __future__ import annotations

import base64
import io
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any, Final

from delego_authorizer import Authorizer
from delego_authorizer.authorizer import AGENT
from delego_authorizer.config import load_config
from delego_authorizer.errors import ActionTooLarge, ApprovalUnknown, ConfigError, PrincipalError
from delego_authorizer.values import Decision
from delego_broker import CallableBroker
from delego_conformance.adapters.base import JSONObject, Operation, Refusal
from delego_conformance.adapters.reading import read_action
from delego_ledger.jsonl import export_receipts
from delego_ledger.sqlite import SQLiteLedger
from delego_spec import (
    ActionError,
    CanonicalError,
    Executed,
    GatewayRequest,
    Micros,
    PolicyError,
    SeedSigner,
    load_policy,
    parse_ts,
)

FEATURES: Final = ("session", "session.config", "clock")
RACERS: Final = 4  # processes of a race; the threads are spread over them
PATIENCE: Final = 60.0  # seconds until a race is given up
LAST_WORDS: Final = 5.0  # seconds for a process to end by itself

_FORK: Final = multiprocessing.get_context("fork")  # what the core is here, it is in each process
_CONFIG: Final = {  # name in a session's config → name in the configuration file
    "approvers": "approvers",
    "required_approvers": "required",
    "separate_duties": "separate_duties",
    "approval_seconds": "lifetime_seconds",
    "release_seconds": "release_seconds",
}


class _House:
    """Where a session lives; what all its processes know."""

    def __init__(self, policy_text: str, config: JSONObject) -> None:
        self.govern({"policy_text": policy_text, "config": config})
        self.signer = SeedSigner(secrets.token_bytes(32))
        self.folder = Path(tempfile.mkdtemp(prefix="delego-session-"))
        self.ledger = self.folder / "ledger.db"
        self.effects = self.folder / "effects"
        self.effects.touch()

    def govern(self, args: JSONObject) -> None:
        """Put another policy or configuration in force; the authorizers of before keep theirs."""
        try:
            if "policy_text" in args:
                self.policy = load_policy(args["policy_text"])
            if "config" in args:
                self.config = load_config(_toml(args["config"]))
        except PolicyError as error:
            raise Refusal("policy", str(error)) from None
        except ConfigError as error:
            raise Refusal("config", str(error)) from None

    def count(self) -> int:
        """How often a broker was asked."""
        return self.effects.stat().st_size

    def open(self, clock: Callable[[], Micros]) -> Authorizer:
        """An authorizer over the ledger, which is made if there is none."""
        if self.ledger.exists():
            ledger = SQLiteLedger.open(self.ledger, signer=self.signer, clock=clock)
        else:
            ledger = SQLiteLedger.create(self.ledger, self.signer, clock=clock)
        return Authorizer(self.policy, self.config, ledger, broker=CallableBroker(self._execute), clock=clock)

    def _execute(self, _: GatewayRequest) -> Executed:
        with self.effects.open("ab", buffering=0) as file:  # appending one byte is atomic
            file.write(b".")
        return Executed(status=200)


def _toml(config: JSONObject) -> str:
    unknown = sorted(config.keys() - _CONFIG.keys())
    if unknown:
        raise Refusal("config", f"unknown: {', '.join(unknown)}")
    # What JSON writes for these types is TOML as well.
    lines = [f"{_CONFIG[name]} = {json.dumps(value)}" for name, value in config.items()]
    return "\n".join(["[approvals]", *lines, ""])


class _Child:
    """The process that holds the authorizer."""

    def __init__(self, house: _House, now: Micros) -> None:
        self._connection, theirs = _FORK.Pipe()
        self._process = _fork(_live, house, now, theirs, self._connection)
        theirs.close()

    def ask(self, op: str, args: JSONObject, now: Micros) -> Any:
        """What ``op`` gives there. Raises Refusal, and RuntimeError for whatever went wrong."""
        try:
            self._connection.send((op, args, now))
            kind, *values = self._connection.recv()
        except (EOFError, OSError):
            raise RuntimeError("the authorizer's process has ended") from None
        if kind == "refused":
            raise Refusal(*values)
        if kind == "error":
            raise RuntimeError(*values)
        return values[0]

    def kill(self) -> None:
        """As a crash would: nothing is closed, nothing is said."""
        self._process.kill()
        self.end()

    def end(self) -> None:
        """Hang up, on which it ends by itself."""
        self._connection.close()
        self._process.join(LAST_WORDS)
        self._process.kill()
        self._process.join()
        self._process.close()


def _fork(target: Callable[..., None], *args: Any) -> ForkProcess:
    process = _FORK.Process(target=target, args=args, daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: an adapter has one
        process.start()
    return process


def _live(house: _House, now: Micros, connection: Connection, other_end: Connection) -> None:
    """The authorizer's process: answers until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    other_end.close()  # else nobody would notice that the adapter is gone
    try:
        resident = _Resident(house, now)
        while True:
            op, args, resident.now = connection.recv()
            connection.send(resident.answer(op, args))
    except (EOFError, ConnectionError):  # nobody asks any more
        shutil.rmtree(house.folder, ignore_errors=True)  # the adapter may have been killed


class _Resident:
    def __init__(self, house: _House, now: Micros) -> None:
        self.now = now
        self._house = house
        self._authorizer = house.open(lambda: self.now)
        self._authorizer.recover()
        self._operations: Mapping[str, Callable[[JSONObject], JSONObject]] = {
            "session.open": lambda _: {},
            "session.propose": self._propose,
            "session.decide": self._decide,
            "session.resolve": self._resolve,
            "session.restart": lambda _: {},
            "session.export": self._export,
        }

    def answer(self, op: str, args: JSONObject) -> tuple[Any, ...]:
        try:
            return "ok", self._operations[op](args)
        except (ActionError, ActionTooLarge, CanonicalError) as error:
            return "refused", "action", str(error)
        except PrincipalError as error:
            return "refused", "principal", str(error)
        except Exception as error:  # noqa: BLE001 - the adapter answers it as an error
            traceback.print_exc(file=sys.stderr)
            return "error", f"{type(error).__name__}: {error}"

    def _propose(self, args: JSONObject) -> JSONObject:
        return self._asking(
            lambda: self._authorizer.propose(read_action(args["action"]), args.get("principal", AGENT))
        )

    def _resolve(self, args: JSONObject) -> JSONObject:
        found = self._asking(
            lambda: self._authorizer.resolve(
                args["approval_id"], read_action(args["action"]), args.get("principal", AGENT)
            )
        )
        return {name: found[name] for name in ("outcome", "reasons", "executed")}

    def _asking(self, ask: Callable[[], Decision]) -> JSONObject:
        before = self._house.count()
        found = ask()
        return {
            "outcome": found.outcome,
            "rule": found.rule,
            "reasons": list(found.reasons),
            "approval_id": found.approval_id,
            "executed": self._house.count() > before,
        }

    def _decide(self, args: JSONObject) -> JSONObject:
        try:
            found = self._authorizer.decide(args["approval_id"], args["decision"], args["approver"])
        except ApprovalUnknown:
            return {"accepted": False, "status": None}
        return {"accepted": found.accepted, "status": found.approval.status_at(self.now)}

    def _export(self, _: JSONObject) -> JSONObject:
        lines = io.BytesIO()
        export_receipts(self._authorizer.ledger, lines)
        return {
            "jsonl_b64": base64.b64encode(lines.getvalue()).decode(),
            "public_key_hex": self._authorizer.ledger.public_key.hex,
        }


def _race(house: _House, now: Micros, args: JSONObject, threads: int, start: Any) -> None:
    """One process of a race: some threads, one authorizer between them."""
    action = read_action(args["action"])
    authorizer = house.open(lambda: now)
    failed = []

    def release() -> None:
        start.wait(PATIENCE)
        try:
            authorizer.resolve(args["approval_id"], action)
        except Exception:  # noqa: BLE001 - any failure ends the race with an error
            traceback.print_exc(file=sys.stderr)
            failed.append(True)

    running = [threading.Thread(target=release) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    sys.stderr.flush()
    os._exit(1 if failed else 0)


class Sessions:
    """At most one session at a time."""

    def __init__(self) -> None:
        self._house: _House | None = None
        self._child: _Child | None = None

    def open(self, args: JSONObject, ctx: JSONObject) -> JSONObject:
        self.close()
        now = parse_ts(ctx["now"])
        self._house = _House(args["policy_text"], args.get("config", {}))
        self._child = _Child(self._house, now)
        self._child.ask("session.open", {}, now)
        return {}

    def ask(self, op: str) -> Operation:
        """The operation that the authorizer's process answers."""

        def operation(args: JSONObject, ctx: JSONObject) -> JSONObject:
            _, child = self._current()
            found: JSONObject = child.ask(op, args, parse_ts(ctx["now"]))
            return found

        return operation

    def race(self, args: JSONObject, ctx: JSONObject) -> JSONObject:
        house, _ = self._current()
        parallel = args["parallel"]
        if type(parallel) is not int or not 1 <= parallel <= 256:
            raise ValueError(f"parallel is {parallel!r}; 1 to 256 are possible here")
        before, now = house.count(), parse_ts(ctx["now"])
        start = _FORK.Barrier(parallel)
        racers = min(parallel, RACERS)
        shares = [parallel // racers + (number < parallel % racers) for number in range(racers)]
        processes = [_fork(_race, house, now, args, share, start) for share in shares]
        for process in processes:
            process.join(PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
        failed = [process.exitcode for process in processes if process.exitcode != 0]
        if failed:
            raise RuntimeError(f"{len(failed)} of {racers} processes of the race failed")
        return {"effects": house.count() - before}

    def restart(self, args: JSONObject, ctx: JSONObject) -> JSONObject:
        house, child = self._current()
        now = parse_ts(ctx["now"])
        house.govern(args)
        child.kill()
        self._child = _Child(house, now)
        self._child.ask("session.restart", {}, now)
        return {}

    def close(self) -> None:
        """End the session, if there is one, and take away all that it has left."""
        if self._child is not None:
            self._child.end()
        if self._house is not None:
            shutil.rmtree(self._house.folder, ignore_errors=True)
        self._child = self._house = None

    def _current(self) -> tuple[_House, _Child]:
        if self._house is None or self._child is None:
            raise RuntimeError("no session is open")
        return self._house, self._child


def operations(sessions: Sessions) -> dict[str, Operation]:
    """The stateful group over ``sessions``."""

    def close(_: JSONObject, __: JSONObject) -> JSONObject:
        sessions.close()
        return {}

    return {
        "session.open": sessions.open,
        "session.propose": sessions.ask("session.propose"),
        "session.decide": sessions.ask("session.decide"),
        "session.resolve": sessions.ask("session.resolve"),
        "session.race": sessions.race,
        "session.restart": sessions.restart,
        "session.export": sessions.ask("session.export"),
        "session.close": close,
    }
