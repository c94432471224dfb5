"""Small programs to be judged, and a few vectors to judge them by."""

from __future__ import annotations

import sys
from typing import Any, Final

from conformance_runs import vector
from delego_conformance.results import Run
from delego_conformance.runner import run
from delego_conformance.vectors import DEFAULT_CTX, JSONObject, Step, Vector

PATIENCE: Final = 20.0  # seconds; a limit for hangs, not a wait

_FRAME: Final = """
import json, os, sys
HELLO = {"protocol": 1, "implementation": {"name": "p", "version": "1", "language": "Python", "url": ""},
         "spec": ["0.3"], "roles": ["authorizer", "auditor"], "features": ["session"]}
def send(request, **answer):
    print(json.dumps({"id": request["id"], **answer}), flush=True)
asked = 0
for line in sys.stdin:
    request = json.loads(line)
    op, args = request["op"], request["args"]
    if op == "hello":
        send(request, ok=HELLO)
        continue
    asked += 1
    if op == "bye":
"""


def program(body: str, *, bye: str = "send(request, ok={})\nbreak") -> list[str]:
    """A command: answers hello, and does ``body`` for each ``request`` (with ``op``, ``args``, ``asked``)."""

    def indented(text: str, by: int) -> str:
        return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())

    return [sys.executable, "-c", _FRAME + indented(bye, 8) + indented(body, 4)]


# A program that does what it is told to in its arguments.
OBEDIENT: Final = program("send(request, **args['say'])")


def told(id: str, say: JSONObject, expect: JSONObject, **others: Any) -> Vector:
    """A vector that tells the obedient program what to reply."""
    return vector(
        id,
        roles=others.pop("roles", ("authorizer",)),
        steps=(Step("fingerprint", {"say": say}, dict(DEFAULT_CTX), expect),),
        **others,
    )


def plain(*ids: str) -> list[Vector]:
    """Vectors that want a result; any will do."""
    return [told(one, {"ok": {}}, {"ok": {}}) for one in ids]


def judged(command: list[str], vectors: list[Vector], **options: Any) -> Run:
    """A run with a fixed seed, and more patience than any answer needs."""
    return run(command, vectors, **{"seed": 1, "timeout": PATIENCE, **options})


def verdicts(found: Run) -> dict[str, str]:
    """Vector id → verdict."""
    return {result.vector.id: result.verdict for result in found.results}


def detail(found: Run, id: str) -> str:
    """What is said about one vector."""
    return next(result.detail for result in found.results if result.vector.id == id)
