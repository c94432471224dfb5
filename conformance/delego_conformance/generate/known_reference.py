"""``python -m delego_conformance.generate.known_reference PYTHON``: what the public reference fails, and why.

Writes ``adapters/delego_reference.known`` after a run with the adapter; PYTHON is an interpreter that has
``delego`` 0.3.4. A reason says what was seen, so that the list can be read without the report.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from delego_conformance.judge import mismatch
from delego_conformance.results import AGAINST, Result, Run
from delego_conformance.runner import run
from delego_conformance.vectors import JSONObject, Vector, load_vectors

ADAPTER: Final = Path(__file__).parent.parent / "adapters" / "delego_reference.py"
SEED: Final = 1
LONGEST: Final = 120  # characters of a reason that the package's or the judge's words make up

MISSING: Final = {
    "hazards": "it knows no hazards",
    "ed25519_verify": "no public function verifies a signature by itself",
    "callback_verify": "signed decisions belong to wire version 0.4, it implements 0.3",
    "message_read": "the messages belong to wire version 0.4, it implements 0.3",
}
FINDINGS: Final = {
    "reference/one-effect-under-a-race": "one approval is released several times at once",
    "reference/one-fingerprint-of-two-queries": "%ff and %fe have one fingerprint, and both are allowed",
    "reference/path-that-climbs-out": "/accounts/../admin matches /accounts/** and is allowed",
    "reference/deleted-ledger": "a deleted ledger is valid, and AuditLog.verify says no word on completeness",
    "reference/byte-that-is-no-utf8": "AuditLog.verify raises UnicodeDecodeError on a byte 0xff",
    "reference/forbidden-twice": "of two lists of forbidden the first is dropped without a word",
    "reference/amount-null": "amount: null is no cap at all",
}


def reason(result: Result) -> str:
    """Why a vector is failed, in a line."""
    vector = result.vector
    finding = FINDINGS.get(f"{vector.suite}/{vector.name}")
    if finding is not None:
        return finding
    if result.verdict == "vacuous":
        return f"proves nothing, since its control {vector.control} fails"
    if not result.exchanges:
        return _cut(result.detail)
    last = result.exchanges[-1]
    reply = last.reply or {}
    if "unsupported" in reply:
        return MISSING.get(last.request["op"], f"it has no {reply['unsupported']['feature']}")
    if "error" in reply:
        return _cut(f"{last.request['op']} raises {reply['error']['message']}")
    if last.request["op"] == "session.race" and "ok" in reply:
        return FINDINGS["reference/one-effect-under-a-race"]  # how often differs from run to run
    if _lacks_completeness_alone(last.expect, reply):
        return "AuditLog.verify says nothing about completeness"
    clauses = " ".join(f"[{clause}]" for clause in vector.clauses)
    if "refused" in last.expect and "ok" in reply:
        return f"does not refuse it as {clauses} wants"
    if "refused" in reply:
        return _cut(f"refuses it: {reply['refused']['message'].splitlines()[-1].strip(' -')}")
    return _cut(result.detail)


def _lacks_completeness_alone(expect: JSONObject, reply: JSONObject) -> bool:
    if "completeness" not in expect.get("ok", {}) or "completeness" in reply.get("ok", {}):
        return False
    filled = (
        {**reply, "ok": {**reply["ok"], "completeness": expect["ok"]["completeness"]}}
        if "ok" in reply
        else reply
    )
    return mismatch(expect, filled) is None


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def judged(python: str, *arguments: str, suite: str | None = None) -> Run:
    """A run of all vectors, or of one suite, against the package that this interpreter has."""

    def select(vector: Vector) -> bool:
        return suite in (None, vector.suite)

    return run([python, str(ADAPTER), *arguments], load_vectors(), seed=SEED, select=select)


def figures(found: Run) -> str:
    """The counts of a run by section, as the rows of a table."""
    sections = sorted({result.vector.section for result in found.results})
    rows = [f"| {'section':8} | vectors | pass | fail | error | vacuous | unsupported | not claimed |"]
    for section in [*sections, "all"]:
        counted = Counter(
            result.verdict for result in found.results if section in ("all", result.vector.section)
        )
        numbers = (counted[one] for one in ("pass", "fail", "error", "vacuous", "unsupported", "not claimed"))
        rows.append(f"| {section:8} | {counted.total()} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(rows)


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    found = judged(arguments[0])
    failures = {result.vector.id: reason(result) for result in found.results if result.verdict in AGAINST}
    lines = ["# What delego 0.3.4 fails: vector, reason. Written by generate/known_reference.py."]
    lines += [f"{one}  {why}" for one, why in failures.items()]
    ADAPTER.with_suffix(".known").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(figures(found))
    print(
        f"{found.implementation.name} {found.implementation.version}, {found.implementation.language}, "
        f"{found.started}: {len(failures)} of {len(found.results)} in {found.seconds:.1f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
