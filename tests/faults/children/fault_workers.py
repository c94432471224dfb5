"""What the processes of the fault tests do. Each function is one kind of worker; it speaks lines of JSON."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from delego_authorizer import Authorizer, Decision, Unsettled, open_home
from delego_broker import CallableBroker
from delego_ledger.errors import DelegoLedgerError, StorageError
from delego_ledger.sqlite import SQLiteLedger
from delego_spec.action import Action
from delego_spec.gateway import GatewayRequest
from delego_spec.receipts import Entry

NOBODY = 65534  # an account that owns nothing


def run(worker: str, arguments: Any) -> None:
    WORKERS[worker](**arguments)


def action(path: str, number: int) -> Action:
    return Action("do the work", "POST", f"https://api.example.com/{path}", {"n": number})


def say(message: object) -> None:
    """One line, in one write: a reader never sees half of it."""
    os.write(1, json.dumps(message).encode() + b"\n")


def orders() -> Iterator[Any]:
    for line in sys.stdin:
        yield json.loads(line)


def wait_at(gate: str) -> None:
    """Wait until the gate's holder lets go of its lock."""
    with open(gate, "rb") as file:  # noqa: PTH123 - a plain file for flock
        fcntl.flock(file, fcntl.LOCK_SH)


def effect(path: str, ledger: SQLiteLedger | None = None) -> Callable[[GatewayRequest], object]:
    """A broker's function with a real effect: one line, appended in one write.

    The line names the action, the process, and the ledger's head as another reader sees it at that moment.
    """

    def act(request: GatewayRequest) -> object:
        head = None if ledger is None else ledger.head()
        line = {
            "n": request.params.get("n"),
            "fingerprint": request.action_fingerprint,
            "head": -1 if head is None else head.seq,
            "pid": os.getpid(),
        }
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, json.dumps(line).encode() + b"\n")
        finally:
            os.close(descriptor)
        return {"n": request.params.get("n")}

    return act


def told(decision: Decision) -> dict[str, object]:
    return {
        "outcome": decision.outcome,
        "reason": decision.reasons[0],
        "executed": decision.executed,
        "receipt": str(decision.receipt),
    }


def release(home: str, effects: str, gate: str) -> None:
    """For each order (an approval and its number): wait at the gate, then try to release it."""
    authorizer = open_home(home, CallableBroker(effect(effects)))
    for order in orders():
        say("ready")
        wait_at(gate)
        say(told(authorizer.resolve(order["approval"], action(order["path"], order["n"]))))


def propose(
    home: str, effects: str, path: str, count: int, threads: int = 1, gate: str | None = None
) -> None:
    """Propose ``count`` times; with ``gate``, each broker call waits there before it does anything."""
    act = effect(effects)
    authorizer = open_home(home, CallableBroker(act if gate is None else _held(act, gate)))
    say("ready")
    next(orders())
    crowd = [
        threading.Thread(target=_propose_some, args=(authorizer, path, count, place))
        for place in range(threads)
    ]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()


def _propose_some(authorizer: Authorizer, path: str, count: int, place: int) -> None:
    for number in range(count):
        say(told(authorizer.propose(action(path, 1_000_000 * os.getpid() + 1000 * place + number))))


def toil(home: str, effects: str, first: int) -> None:
    """Propose without end, each with a number of its own; say each that is acknowledged."""
    reader = SQLiteLedger.open(Path(home) / "ledger.db")
    authorizer = open_home(home, CallableBroker(effect(effects, reader)))
    number = first
    while True:
        say({"n": number, **told(authorizer.propose(action("work", number)))})
        number += 1


def hold(home: str, effects: str, gate: str, path: str = "work") -> None:
    """Propose once; the broker says so, waits at the gate, and acts."""
    propose(home, effects, path, 1, gate=gate)


def fork_family(home: str, effects: str, count: int, busy: bool) -> None:
    """Fork four children with the authorizer open, in the middle of other threads' work if ``busy``.

    All of them propose; this process closes its ledger in the middle, and then they go on.
    """
    authorizer = open_home(home, CallableBroker(effect(effects)))
    say(told(authorizer.propose(action("work", 0))))
    stop = threading.Event()

    def work(place: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            say(told(authorizer.propose(action("work", place * 1_000_000 + number))))

    crowd = [threading.Thread(target=work, args=(place,)) for place in range(1, 4)] if busy else []
    for thread in crowd:
        thread.start()
    asked, answer = os.pipe()
    go, went = os.pipe()
    children = []
    for child in range(4):
        pid = os.fork()
        if not pid:
            _child_of_family(authorizer, child, count, answer, go)
        children.append(pid)
    for _ in children:
        os.read(asked, 1)
    stop.set()
    for thread in crowd:
        thread.join()
    authorizer.ledger.close()
    os.write(went, b"g" * len(children))
    for pid in children:
        say({"exit": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})
    say(told(authorizer.propose(action("work", 1))))


def _child_of_family(authorizer: Authorizer, child: int, count: int, answer: int, go: int) -> None:
    code = 1
    try:
        for number in range(2 * count):
            if number == count:
                os.write(answer, b"a")
                os.read(go, 1)
            say(told(authorizer.propose(action("work", 10_000_000 * (child + 1) + number))))
        code = 0
    finally:
        os._exit(code)


def fork_reader(home: str) -> None:
    """Fork while a chain is being read; the child tries to use the ledger, and so does this process."""
    authorizer = open_home(home)
    authorizer.propose(action("work", 0))
    lines = authorizer.ledger.lines()
    next(lines)
    pid = os.fork()
    if not pid:
        try:
            authorizer.propose(action("work", 1))
        except DelegoLedgerError as error:
            say({"child": str(error)})
        os._exit(0)
    os.waitpid(pid, 0)
    say(told(authorizer.propose(action("work", 2))))


def fork_inside(home: str) -> None:
    """Fork in the middle of an own transaction: the parent ends it, the child must not."""
    ledger = open_home(home).ledger
    one = action("work", 1)
    entry = Entry("decision", "deny", None, ("x",), one.intent_hash, one.fingerprint, one.summary)
    try:
        with ledger.transaction() as transaction:
            transaction.append(entry)
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
    except RuntimeError as error:
        say({"child": str(error)})
        os._exit(0)
    say({"parent": str(ledger.head())})


def fork_and_hold(home: str, effects: str, gate: str) -> None:
    """Open, fork, and let the child call its broker; say the child's pid. The parent only waits."""
    authorizer = open_home(home, CallableBroker(_held(effect(effects), gate)))
    pid = os.fork()
    if not pid:
        authorizer.propose(action("work", 7))
        os._exit(0)
    say({"child": pid})
    next(orders())


def interrupted(home: str, effects: str, gate: str) -> None:
    """Call a broker that waits at the gate; whoever interrupts the call is told, and the process goes on."""
    authorizer = open_home(home, CallableBroker(_held(effect(effects), gate)))
    try:
        authorizer.propose(action("work", 1))
    except KeyboardInterrupt:
        say("interrupted")
    next(orders())


def cramped(home: str, effects: str, rounds: int) -> None:
    """Propose under limits on the size of files that are drawn ever wider; say what came of each."""
    authorizer = open_home(home, CallableBroker(effect(effects)))
    log = Path(home) / "ledger.db-wal"
    authorizer.propose(action("work", 0))
    for number in range(1, rounds + 1):
        # The first rounds let nothing be written at all, the others this or that page of a commit.
        size = log.stat().st_size if log.exists() else 0
        _limit_files(0 if number <= 5 else size + 1500 * (number % 12))
        try:
            said = told(authorizer.propose(action("work", number)))
        except StorageError as error:
            said = {"error": type(error).__name__, "retry_safe": error.retry_safe}
        except Unsettled as error:
            said = {"error": "Unsettled", "execution": error.execution_id}
        _limit_files(resource.RLIM_INFINITY)
        say({"n": number, **said})
    say(told(authorizer.propose(action("work", rounds + 1))))


def cramped_by_its_effect(home: str, effects: str) -> None:
    """The disk is full when the result is to be recorded."""
    act = effect(effects)

    def broker(request: GatewayRequest) -> object:
        result = act(request)
        _limit_files(0)
        return result

    authorizer = open_home(home, CallableBroker(broker))
    try:
        authorizer.propose(action("work", 1))
    except Unsettled as error:
        say({"execution": error.execution_id, "outcome": str(error.outcome), "text": str(error)})
    _limit_files(resource.RLIM_INFINITY)
    say([execution.id for execution in authorizer.recover()])


def unprivileged(home: str, effects: str) -> None:
    """Take every permission to write away, the superuser's too, and propose."""
    authorizer = open_home(home, CallableBroker(effect(effects)))
    say(told(authorizer.propose(action("work", 0))))
    authorizer.ledger.close()
    folder, root = Path(home), os.geteuid() == 0
    for path in (folder, *folder.rglob("*"), Path(effects)):
        if root:
            os.chown(path, NOBODY, NOBODY)
    (folder / "ledger.db").chmod(0o400)
    folder.chmod(0o500)
    if root:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    try:
        say(told(authorizer.propose(action("work", 1))))
    except StorageError as error:
        say({"error": type(error).__name__, "text": str(error)})


def _limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _held(act: Callable[[GatewayRequest], object], gate: str) -> Callable[[GatewayRequest], object]:
    def broker(request: GatewayRequest) -> object:
        say("in flight")
        wait_at(gate)
        return act(request)

    return broker


WORKERS: dict[str, Callable[..., None]] = {
    worker.__name__: worker
    for worker in (
        release,
        propose,
        toil,
        hold,
        fork_family,
        fork_reader,
        fork_inside,
        unprivileged,
        fork_and_hold,
        interrupted,
        cramped,
        cramped_by_its_effect,
    )
}
