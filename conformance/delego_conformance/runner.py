"""A whole run: hello, every vector twice in two random orders, verdicts."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata, resources
from typing import Any, Final, TypeAlias

from delego_conformance.driver import Driver
from delego_conformance.judge import choice, mismatch, substitute
from delego_conformance.replies import PROTOCOL
from delego_conformance.results import Exchange, Profile, Run
from delego_conformance.vectors import DEFAULT_CTX, JSONObject, Step, Vector
from delego_conformance.verdicts import Kind, Outcome, counts, results, role_verdicts, unclaimed

Progress: TypeAlias = Callable[[int, int], None]  # requests answered, of how many
Select: TypeAlias = Callable[[Vector], bool]

TIMEOUT: Final = 10.0  # seconds


def run(
    command: Sequence[str],
    vectors: Sequence[Vector],
    *,
    profile: Profile = "full",
    strict: bool = False,
    timeout: float = TIMEOUT,
    seed: int | None = None,
    known: Mapping[str, str] | None = None,
    select: Select | None = None,
    progress: Progress | None = None,
    fail_fast: bool = False,
    digests: Mapping[str, str] | None = None,
    notes: Mapping[str, JSONObject] | None = None,
) -> Run:
    """Judge the implementation that ``command`` starts. Raises StartError if it cannot be started.

    ``select`` picks vectors; their controls and those that they are compared with are sent as well.
    ``seed`` (chosen at random unless given) makes both orders. With ``fail_fast`` the run ends at the
    first vector that costs conformance, and vectors that were not sent by then have no result.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    known = known or {}
    chosen = chosen_vectors(vectors, profile, select)
    driver = Driver(command, kit_version(), timeout=timeout)
    try:
        implementation = driver.open()
        asked = [vector for vector in chosen if unclaimed(vector, implementation) is None]

        def ends_it(vector: Vector, outcome: Outcome) -> bool:
            against = outcome.kind != "pass" and vector.id not in known
            return fail_fast and against and counts(vector, strict=strict)

        asking = _Asking(driver, progress, 2 * len(asked), ends_it)
        outcomes = asking.twice(asked, seed)
    finally:
        driver.close()
    partial = select is not None or asking.is_ended
    found = results(chosen, outcomes, implementation=implementation, known=known)
    return Run(
        implementation=implementation,
        kit_version=kit_version(),
        profile=profile,
        strict=strict,
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - begun,
        seed=seed,
        vectors_sha256=dict(digests or {}),
        results=found,
        roles=role_verdicts(implementation, found, strict=strict, partial=partial),
        restarts=driver.restarts,
        notes=dict(notes or {}),
        partial=partial,
    )


def chosen_vectors(
    vectors: Sequence[Vector], profile: Profile, select: Select | None = None
) -> tuple[Vector, ...]:
    """The vectors of a run, in their order: of the profile, selected, and what these need to be judged."""
    of_profile = {vector.id: vector for vector in vectors if profile == "full" or vector.basis != "proposed"}
    if select is None:
        return tuple(of_profile.values())
    wanted = {one for one, vector in of_profile.items() if select(vector)}
    for one in tuple(wanted):
        vector = of_profile[one]
        wanted.update({vector.control or one, vector.relation.other if vector.relation else one})
    return tuple(vector for one, vector in of_profile.items() if one in wanted)


def request_of(vector: Vector, number: int, bindings: Mapping[str, Any] | None = None) -> JSONObject:
    """The request of a step, counted from 1. In a sequence each one has an id of its own."""
    step = vector.steps[number - 1]
    return {
        "v": PROTOCOL,
        "id": vector.id if len(vector.steps) == 1 else f"{vector.id}/{number}",
        "op": step.op,
        "args": substitute(step.args, bindings or {}),
        "ctx": dict(step.ctx),
    }


def vector_digests() -> dict[str, str]:
    """File name → SHA-256 of each file of vectors that ships with the kit."""
    folder = resources.files("delego_conformance") / "vectors" / "v1"
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".json")), key=lambda one: one.name)
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


def kit_version() -> str:
    """The version of the kit."""
    return metadata.version("delego-spec")


def _shuffled(vectors: Sequence[Vector], seed: int, which: int) -> list[Vector]:
    order = list(vectors)
    random.Random(f"{seed}/{which}").shuffle(order)  # noqa: S311  # an order, no secret
    return order


class _Asking:
    """Sends vectors, one after the other, in a pass or two."""

    def __init__(
        self,
        driver: Driver,
        progress: Progress | None,
        total: int,
        ends_it: Callable[[Vector, Outcome], bool],
    ) -> None:
        self._driver = driver
        self._progress = progress
        self._total = total
        self._ends_it = ends_it
        self._done = 0
        self.is_ended = False  # there is nothing more to be found out

    def twice(self, vectors: Sequence[Vector], seed: int) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
        """The outcomes in two random orders; what gave no usable reply is not asked again."""
        first = self._through(_shuffled(vectors, seed, 1))
        if self.is_ended or self._driver.gave_up is not None:
            return first, {}
        again = [vector for vector in vectors if first[vector.id].is_usable]
        self._done += len(vectors) - len(again)
        return first, self._through(_shuffled(again, seed, 2))

    def _through(self, vectors: Sequence[Vector]) -> dict[str, Outcome]:
        """The outcome of each vector. The program is ended afterwards: the next pass has a new one."""
        found: dict[str, Outcome] = {}
        last: str | None = None
        for vector in vectors:
            _blame(found, last, self._driver.stray())
            if self._driver.gave_up is not None:
                found[vector.id] = Outcome("error", self._driver.gave_up, is_usable=False)
            else:
                self._driver.late = None
                found[vector.id] = _outcome(self._driver, vector)
                _blame(found, last, self._driver.late)
                last = vector.id
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)
            if self._ends_it(vector, found[vector.id]):
                self.is_ended = True
                break
        _blame(found, last, self._driver.finish())
        return found


def _blame(found: dict[str, Outcome], last: str | None, problem: str | None) -> None:
    """What comes unasked comes after the reply to the vector that was sent last."""
    if last is not None and problem is not None:
        found[last] = replace(found[last], kind="error", detail=problem, is_usable=False)


def _outcome(driver: Driver, vector: Vector) -> Outcome:
    begun = time.monotonic()
    exchanges: list[Exchange] = []
    choices: list[int] = []
    bindings: dict[str, Any] = {}
    kind: Kind = "pass"
    detail = ""
    is_usable = True
    for number, step in enumerate(vector.steps, 1):
        request = request_of(vector, number, bindings)
        reply, problem = driver.ask(request)
        exchanges.append(Exchange(request, reply, problem, step.expect))
        is_usable = reply is not None and problem is None
        kind, detail = _step_verdict(step, reply, problem)
        if kind != "pass" or reply is None:
            detail = detail if len(vector.steps) == 1 else f"step {number}, {step.op}: {detail}"
            break
        choices.append(choice(step.expect, reply))
        bindings.update({name: reply["ok"][member] for name, member in step.bind.items()})
    seconds = time.monotonic() - begun
    _close_session(driver, vector, len(exchanges), is_usable)
    return Outcome(kind, detail, tuple(exchanges), tuple(choices), seconds, driver.take_stderr(), is_usable)


def _step_verdict(step: Step, reply: JSONObject | None, problem: str | None) -> tuple[Kind, str]:
    if problem is not None or reply is None:
        return "error", problem or "no reply"
    if "error" in reply:
        return "error", f"it answers an error: {reply['error']['message'][:300]}"
    if "unsupported" in reply:
        return "unsupported", f"{step.op} is unsupported: {reply['unsupported']['feature'][:100]}"
    wrong = mismatch(step.expect, reply)
    if wrong is None and step.bind:
        lacking = [member for member in step.bind.values() if member not in reply.get("ok", {})]
        wrong = f"expected a result with {lacking[0]}; got none" if lacking else None
    return ("pass", "") if wrong is None else ("fail", wrong)


def _close_session(driver: Driver, vector: Vector, sent: int, is_usable: bool) -> None:
    """A sequence that ended early leaves its session open, and the next one must not find it."""
    operations = [step.op for step in vector.steps[:sent]]
    if is_usable and "session.open" in operations and operations[-1] != "session.close":
        request = {"v": PROTOCOL, "id": f"{vector.id}/close", "op": "session.close", "args": {}}
        driver.ask({**request, "ctx": dict(DEFAULT_CTX)})
