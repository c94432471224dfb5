"""A made-up run that holds every verdict, and text that would break a careless report."""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.reports.words import VERDICTS
from delego_conformance.results import Exchange, Implementation, Profile, Result, RoleVerdict, Run, Verdict
from delego_conformance.vectors import DEFAULT_CTX, Level, Relation, Step, Vector

HOSTILE: Final = (
    "]]></failure>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b]0;title\x07",
    "nul\x00 and del\x7f and csi\x9b31m",
    "lone \ud800 surrogate",
    "bidi \u202egnp.exe\u2066",
    "lines\r\nnot ok 99 - forged # TODO\n1..5\n---\n...\u2028\u0085x",
    "noncharacters \ufffe\uffff \U0001ffff",
    "quotes \" ' & \\ # TODO # SKIP",
    "wide 漢字 and é and 🎉",
    "long " + "x" * 50_000,
)

# What no report but JSON (in escapes) may ever hold.
FORBIDDEN: Final = ("\x1b", "\x00", "\x07", "\x7f", "\x9b", "\ud800", "\u202e", "\u2066", "\u2028", "\ufffe")


def vector(id: str, *, level: Level = "MUST", section: str = "4", **others: Any) -> Vector:
    """A vector of one request, unless said otherwise."""
    step = Step("fingerprint", {"method": "GET"}, dict(DEFAULT_CTX), {"ok": {"action_fingerprint": "ab"}})
    known: dict[str, Any] = {
        "name": id.lower(),
        "comment": f"What {id} is about.",
        "suite": "made-up",
        "clauses": (f"§{section}-1",),
        "errata": (),
        "basis": "spec",
        "roles": ("authorizer", "broker"),
        "requires": (),
        "flags": ("MadeUp",),
        "steps": (step,),
    }
    return Vector(id=id, level=level, section=section, **{**known, **others})


def result(of: Vector, verdict: Verdict, **others: Any) -> Result:
    """A result with a request and a reply for each step."""
    good = verdict in ("pass", "fixed", "not claimed")
    exchanges = tuple(
        Exchange(
            {"v": 1, "id": of.id, "op": step.op, "args": step.args, "ctx": step.ctx},
            {"id": of.id, "ok": {"action_fingerprint": "ab" if good else "cd"}},
            None,
            step.expect,
        )
        for step in of.steps
    )
    known: dict[str, Any] = {
        "detail": "" if verdict in ("pass", "fixed") else f"says {verdict}",
        "exchanges": () if verdict == "not claimed" else exchanges,
        "seconds": 0.25,
    }
    return Result(of, verdict, **{**known, **others})


def run(*results: Result, conformant: bool = False, profile: Profile = "full", **others: Any) -> Run:
    """A run with one role."""
    passed = sum(one.verdict == "pass" for one in results)
    known: dict[str, Any] = {
        "implementation": Implementation(
            "made-up", "1.2.3", "Go 1.24", "https://example.com/x", ("0.3",), ("authorizer",), (), ("./x",)
        ),
        "kit_version": "0.1.0",
        "strict": False,
        "started": "2026-01-01T12:00:00Z",
        "seconds": 1.5,
        "seed": 7,
        "vectors_sha256": {"made-up.json": "ab" * 32},
        "roles": (RoleVerdict("authorizer", conformant, passed, len(results)),),
        "notes": {"MadeUp": {"bugType": "MADE_UP", "description": "A bug.", "effect": "Harm."}},
    }
    return Run(profile=profile, results=results, **{**known, **others})


def good_run() -> Run:
    """All that is claimed holds."""
    return run(result(vector("GO-0001"), "pass"), result(vector("GO-0002"), "pass"), conformant=True)


def every_verdict() -> Run:
    """One result of each verdict, a failure of each level, a sequence, and a relation."""
    results = [
        result(vector(f"EV-{number:04}", section=str(number)), verdict, known_reason=None)
        for number, verdict in enumerate(VERDICTS, 1)
    ]
    levels: tuple[Level, ...] = ("SHOULD", "MAY")
    results += [result(vector(f"LE-{level}", level=level), "fail") for level in levels]
    results.append(result(vector("PR-0001", basis="proposed"), "fail"))
    steps = tuple(
        Step(op, {"policy_text": "version: 1\nrules: []\n"}, dict(DEFAULT_CTX), {"ok": {}})
        for op in ("session.open", "session.propose", "session.close")
    )
    results.append(result(vector("SE-0001", steps=steps, section="7.2"), "error", stderr="it broke\n"))
    relation = Relation("differs_from", "EV-0001", "action_fingerprint")
    results.append(
        result(vector("RE-0001", relation=relation, control="EV-0001", section="10.1", flags=()), "fail")
    )
    return run(*results, restarts=2)


def hostile_run() -> Run:
    """Each hostile text wherever an implementation, or a file, can put one."""
    results = []
    for number, text in enumerate(HOSTILE, 1):
        exchange = Exchange(
            {"v": 1, "id": "x", "op": text, "args": {text: text, "deep": deep(80)}, "ctx": {"spec": text}},
            {"id": text, "refused": {"code": text, "message": text, "nan": float("nan"), "big": 10**5000}},
            text,
            {"any": [{"refused": {"codes": [text], "message_contains": [text]}}, {"ok": {text: text}}]},
        )
        failing = vector(f"HO-{number:04}", comment=text, name=text, flags=(text,), clauses=(text,))
        verdict: Verdict = "known" if number % 3 == 0 else "fail"
        results.append(
            result(failing, verdict, detail=text, exchanges=(exchange,), stderr=text, known_reason=text)
        )
    everything = "".join(text[:200] for text in HOSTILE)
    one = Implementation(*(everything,) * 4, (everything,), ("authorizer",), (everything,), (everything,) * 2)
    notes = {text: {"bugType": text, "description": text, "effect": text} for text in HOSTILE}
    return run(*results, implementation=one, notes=notes, vectors_sha256={everything: everything})


def deep(levels: int) -> Any:
    """A list in a list in a list."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value
