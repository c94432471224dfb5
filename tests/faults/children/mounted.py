"""Runs on a small or a read-only disk that somebody mounted: ``mounted.py full|read-only FOLDER EFFECTS``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from delego_authorizer import Home, Unsettled
from delego_broker import CallableBroker
from delego_ledger.errors import StorageError
from delego_spec.chain import verify_chain
from faultlab import action, effect, effects, make_home


def full(folder: Path, path: Path) -> dict[str, object]:
    """Fill the disk to the last page but so many, propose, and make room again; many times."""
    home = make_home(folder / "home")
    authorizer = home.authorizer(CallableBroker(effect(str(path))))
    filler = folder / "filler"
    refused, after_effect, unsettled = 0, 0, 0
    for number in range(60):
        fill(filler, spare=number % 6)
        before = len(effects(path))
        try:
            authorizer.propose(action("work", number))
        except StorageError:
            refused += 1
            after_effect += len(effects(path)) - before
        except Unsettled:
            unsettled += 1  # the last page went between the two commits
        filler.unlink()
    after = authorizer.propose(action("work", 100)).outcome
    ledger = authorizer.ledger
    report = verify_chain(ledger.lines(), home.public_key(), expected_head=ledger.head())
    return {
        "refused": refused,
        "refused_after_effect": after_effect,
        "unsettled": unsettled,
        "in_flight": len(ledger.executions()),
        "problems": [str(problem) for problem in report.problems],
        "after": after,
    }


def fill(path: Path, spare: int) -> None:
    """Take all space but ``spare`` pages."""
    page = b"\0" * 4096
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while True:
            os.write(descriptor, page)
    except OSError:
        size = os.fstat(descriptor).st_size
        os.ftruncate(descriptor, max(0, size - spare * 4096))
    finally:
        os.close(descriptor)


def read_only(folder: Path, path: Path) -> dict[str, object]:
    try:
        Home(folder).authorizer(CallableBroker(effect(str(path)))).propose(action("work", 1))
    except StorageError as error:
        return {"error": type(error).__name__, "text": str(error)}
    return {"error": None}


if __name__ == "__main__":
    run = {"full": full, "read-only": read_only}[sys.argv[1]]
    print(json.dumps(run(Path(sys.argv[2]), Path(sys.argv[3]))))
