"""The canonical report: everything that was found, as JSON; the other formats can be made of it later.

Its form is ``schemas/report.schema.json``. Strings that no JSON parser but Python's would read (lone
surrogates) are written out as ``\\u{d800}``.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, Final

import jsonschema_rs

from delego_conformance.errors import ReportError
from delego_conformance.reports.words import VERDICTS, plain, printable
from delego_conformance.results import Exchange, Implementation, Result, RoleVerdict, Run
from delego_conformance.vectors import DEFAULT_CTX, JSONObject, Relation, Step, Vector

SCHEMA: Final = "delego-conformance-report-1"


def render(run: Run) -> str:
    """The run as JSON, in ASCII, so that it survives any mail and any terminal."""
    return json.dumps(plain(_document(run)), indent=1, allow_nan=False) + "\n"


def _document(run: Run) -> JSONObject:
    one = run.implementation
    return {
        "schema": SCHEMA,
        "conformant": run.conformant,
        "implementation": {
            "name": one.name,
            "version": one.version,
            "language": one.language,
            "url": one.url,
            "spec": list(one.spec),
            "roles": list(one.roles),
            "features": list(one.features),
            "command": list(one.command),
        },
        "kit": {"version": run.kit_version, "vectors_sha256": run.vectors_sha256},
        "run": {
            "profile": run.profile,
            "strict": run.strict,
            "started": run.started,
            "seconds": round(run.seconds, 6),
            "seed": run.seed,
            "restarts": run.restarts,
            "partial": run.partial,
        },
        "roles": [
            {"role": one.role, "conformant": one.conformant, "passed": one.passed, "counted": one.counted}
            for one in run.roles
        ],
        "counts": {verdict: run.count(verdict) for verdict in VERDICTS},
        "notes": run.notes,
        "results": [_result(result) for result in run.results],
    }


def _result(result: Result) -> JSONObject:
    vector = result.vector
    relation = vector.relation
    return {
        **vector.facts(),
        "verdict": result.verdict,
        "detail": result.detail,
        "known_reason": result.known_reason,
        "seconds": round(result.seconds, 6),
        "clauses": list(vector.clauses),
        "errata": list(vector.errata),
        "flags": list(vector.flags),
        "op": vector.op,
        "control": vector.control,
        "relation": {relation.kind: relation.other, "member": relation.member} if relation else None,
        "stderr": result.stderr,
        "exchanges": [
            {"request": one.request, "reply": one.reply, "problem": one.problem, "expect": one.expect}
            for one in result.exchanges
        ],
    }


def from_json(text: str, *, source: str = "report.json") -> Run:
    """The run that ``render`` wrote, without the traces of its vectors; raises ReportError.

    Of vectors that were not sent, the report has no requests: their only step is empty.
    """
    try:
        document = plain(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ReportError(source, f"is not JSON: {printable(str(error))}") from None
    problem = next(iter(_validator().iter_errors(document)), None)
    if problem is not None:
        place = "/".join(map(str, problem.instance_path)) or "the report"
        raise ReportError(source, f"is no report of this kit: {printable(place)}: {_short(problem.message)}")
    return _run(document)


@functools.cache
def _validator() -> Any:
    file = resources.files("delego_conformance") / "schemas" / "report.schema.json"
    return jsonschema_rs.Draft202012Validator(json.loads(file.read_text(encoding="utf-8")))


def _short(message: str) -> str:
    line = printable(message)
    return line if len(line) <= 160 else f"{line[:80]}…{line[-79:]}"


def _run(document: JSONObject) -> Run:
    one, kit, run = document["implementation"], document["kit"], document["run"]
    return Run(
        implementation=Implementation(
            name=one["name"],
            version=one["version"],
            language=one["language"],
            url=one["url"],
            spec=tuple(one["spec"]),
            roles=tuple(one["roles"]),
            features=tuple(one["features"]),
            command=tuple(one["command"]),
        ),
        kit_version=kit["version"],
        profile=run["profile"],
        strict=run["strict"],
        started=run["started"],
        seconds=run["seconds"],
        seed=run["seed"],
        vectors_sha256=kit["vectors_sha256"],
        results=tuple(_read_result(result) for result in document["results"]),
        roles=tuple(RoleVerdict(**role) for role in document["roles"]),
        restarts=run["restarts"],
        notes=document["notes"],
        partial=run.get("partial", False),
    )


def _read_result(found: JSONObject) -> Result:
    exchanges = tuple(
        Exchange(one["request"], one["reply"], one["problem"], one["expect"]) for one in found["exchanges"]
    )
    return Result(
        vector=_read_vector(found, exchanges),
        verdict=found["verdict"],
        detail=found["detail"],
        exchanges=exchanges,
        seconds=found["seconds"],
        stderr=found["stderr"],
        known_reason=found["known_reason"],
    )


def _read_vector(found: JSONObject, exchanges: tuple[Exchange, ...]) -> Vector:
    steps = tuple(_read_step(exchange) for exchange in exchanges)
    if len(steps) < 2:  # a sequence that ended early is a sequence still
        steps = (Step(found["op"], steps[0].args if steps else {}, dict(DEFAULT_CTX), {}),)
    relation = None
    if found["relation"] is not None:
        ((kind, other),) = ((key, value) for key, value in found["relation"].items() if key != "member")
        relation = Relation(kind, other, found["relation"]["member"])
    return Vector(
        id=found["id"],
        name=found["name"],
        comment=found["comment"],
        suite=found["suite"],
        section=found["section"],
        clauses=tuple(found["clauses"]),
        errata=tuple(found["errata"]),
        level=found["level"],
        basis=found["basis"],
        roles=tuple(found["roles"]),
        requires=tuple(found["requires"]),
        flags=tuple(found["flags"]),
        steps=steps,
        control=found["control"],
        relation=relation,
    )


def _read_step(exchange: Exchange) -> Step:
    request = exchange.request
    return Step(request["op"], request["args"], request.get("ctx", dict(DEFAULT_CTX)), exchange.expect)
