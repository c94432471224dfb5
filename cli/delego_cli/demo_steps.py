"""The steps of ``delego demo``: each says what it shows, does it for real, and checks what came of it.

A step returns what it saw, in one line, or raises ``Unexpected``. Nothing here prints.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from delego_authorizer.errors import DelegoAuthorizerError
from delego_authorizer.values import Decision
from delego_broker.errors import DelegoBrokerError
from delego_cli.demo_stage import APPROVER, AUDIENCE, DOTTED, FORBIDDEN, READ, Stage, order, re_pointed
from delego_ledger.clock import system_clock
from delego_ledger.errors import DelegoLedgerError
from delego_ledger.files import write_atomically
from delego_ledger.keyfiles import load_public_key
from delego_spec.action import Action
from delego_spec.approvals import ALREADY_USED
from delego_spec.canonical import digest
from delego_spec.chain import ChainReport, verify_chain
from delego_spec.errors import DelegoSpecError
from delego_spec.receipts import PAYLOAD_FIELDS, decode_members
from delego_spec.timestamps import SECOND
from delego_spec.tokens import TokenRefusal, check_binding, verify_token
from delego_spec.types import EpochSeconds

RACERS: Final = 16  # threads that want the same "yes"
PATIENCE: Final = 30.0  # seconds; only a hanging thread ever waits this long

EXPORT: Final = "receipts.jsonl"
EDITED: Final = "receipts-edited.jsonl"
CUT: Final = "receipts-cut.jsonl"


class Unexpected(Exception):  # noqa: N818 - reads as what happened
    """A step did not come out as it should; the text says what was seen instead."""


class _Counts(Protocol):
    def new_calls(self) -> int: ...


_S = TypeVar("_S", bound=_Counts)


@dataclass(frozen=True)
class Step(Generic[_S]):
    """One step, on a stage of its kind."""

    name: str  # stable, for machines
    shows: str  # one line for a newcomer
    run: Callable[[_S], str]


@dataclass(frozen=True, slots=True)
class StepResult:
    step: Step[Any]
    passed: bool
    saw: str


def play(stage: Stage) -> Iterator[StepResult]:
    """Run every step in order, those behind a failed one as well."""
    for step in STEPS:
        yield run_step(step, stage)


def run_step(step: Step[_S], stage: _S) -> StepResult:
    """Run one step. What the project's own packages raise is a failed step, not the end of the demo."""
    try:
        stage.new_calls()  # those of a step that failed before it counted them
        return StepResult(step, True, step.run(stage))
    except Unexpected as error:
        return StepResult(step, False, str(error))
    except (DelegoSpecError, DelegoLedgerError, DelegoAuthorizerError, DelegoBrokerError) as error:
        return StepResult(step, False, f"could not be run: {error}")


# --- what the policy decides ----------------------------------------------------------------------------


def allowed_read(stage: Stage) -> str:
    decision = stage.authorizer.propose(READ)
    _expect(decision, "allow", "matched rule|rate_limit")
    _expect_calls(stage, 1, READ)
    if decision.executed is not True or decision.receipt is None or decision.receipt.seq < 1:
        raise Unexpected("it was not recorded as executed, with a receipt before and one after")
    return f"allow; {READ.summary}; one receipt before it was sent, one after"


def forbidden(stage: Stage) -> str:
    decision = stage.authorizer.propose(FORBIDDEN)
    _expect(decision, "deny", "forbidden: ")
    _expect_calls(stage, 0)
    return _denied(decision)


def over_cap(stage: Stage) -> str:
    decision = stage.authorizer.propose(order(9000))
    _expect(decision, "deny", "amount: 9000 exceeds max ")
    _expect_calls(stage, 0)
    stage.over_cap_seq = -1 if decision.receipt is None else decision.receipt.seq
    return _denied(decision)


def hazard(stage: Stage) -> str:
    decision = stage.authorizer.propose(DOTTED)
    _expect(decision, "deny", "hazard: path")
    _expect_calls(stage, 0)
    return _denied(decision)


# --- what a person decides ------------------------------------------------------------------------------


def approval(stage: Stage) -> str:
    parked = stage.authorizer.propose(order(2400))
    _expect(parked, "needs_approval", "amount: 2400 within max ")
    stage.approval_id = _approve(stage, parked)
    _expect_calls(stage, 0)
    return f"needs_approval; {APPROVER} looked and said yes; nothing is sent before the agent comes back"


def confused_deputy(stage: Stage) -> str:
    decision = stage.authorizer.resolve(_approved(stage), order(2400, recipient="attacker"))
    _expect(decision, "deny", "approval/action mismatch")
    _expect_calls(stage, 0)
    return _denied(decision)


def re_pointed_instruction(stage: Stage) -> str:
    other = re_pointed(order(2400), "do what the web page says")
    decision = stage.authorizer.resolve(_approved(stage), other)
    _expect(decision, "deny", "approval/intent mismatch")
    _expect_calls(stage, 0)
    return _denied(decision)


def released_once(stage: Stage) -> str:
    decision = stage.authorizer.resolve(_approved(stage), order(2400))
    _expect(decision, "allow", f"human approved by '{APPROVER}'")
    _expect_calls(stage, 1, order(2400))
    if decision.executed is not True:
        raise Unexpected("the broker did it, and it was not recorded as executed")
    return f"allow; {decision.reasons[0]}; {order(2400).summary}"


def replay(stage: Stage) -> str:
    decision = stage.authorizer.resolve(_approved(stage), order(2400))
    _expect(decision, "deny", re.escape(ALREADY_USED))
    _expect_calls(stage, 0)
    return _denied(decision)


def race(stage: Stage) -> str:
    wanted = order(1200)
    approval_id = _approve(stage, stage.authorizer.propose(wanted))
    start = threading.Barrier(RACERS)

    def run(_: int) -> Decision:
        start.wait(PATIENCE)
        return stage.authorizer.resolve(approval_id, wanted)

    with ThreadPoolExecutor(RACERS) as pool:
        decisions = list(pool.map(run, range(RACERS)))
    outcomes = Counter("allow" if one.allowed else one.reasons[0] for one in decisions)
    if outcomes != {"allow": 1, ALREADY_USED: RACERS - 1}:
        raise Unexpected(f"of {RACERS} threads {outcomes['allow']} got an allow: {dict(outcomes)}")
    _expect_calls(stage, 1, wanted)
    return f"{RACERS} threads; 1 allow; {RACERS - 1} times {ALREADY_USED.partition(':')[0]!r}; sent once"


# --- what the broker gets -------------------------------------------------------------------------------


def token(stage: Stage) -> str:
    done, key = order(2400), load_public_key(stage.home.keys_path / "token.pub")
    tokens = [request.authorization_token for request in stage.service.effects(done)]
    now = EpochSeconds(system_clock() // SECOND)
    if len(tokens) != 1:
        raise Unexpected(f"the broker got {len(tokens)} tokens for the approved order instead of one")

    keys = {key.key_id: key}
    claims = verify_token(tokens[0], keys=keys, audience=AUDIENCE, now=now)
    if isinstance(claims, TokenRefusal):
        raise Unexpected(f"the token does not verify: {claims.code}: {claims.message}")
    bound = (claims.fpr, claims.iht, claims.apr)
    if bound != (done.fingerprint, done.intent_hash, stage.approval_id) or check_binding(claims, done):
        raise Unexpected("the token's claims are not those of the approved action")
    refusals = {
        "binding": check_binding(claims, order(2400, recipient="attacker")),
        "expired": verify_token(tokens[0], keys=keys, audience=AUDIENCE, now=claims.exp),
        "audience": verify_token(tokens[0], keys=keys, audience="https://other.example", now=now),
    }
    for code, refusal in refusals.items():
        if not isinstance(refusal, TokenRefusal) or refusal.code != code:
            raise Unexpected(f"a token that must be refused ({code}) was taken")
    lifetime = claims.exp - claims.iat
    return f"good for this one action and {lifetime} s; refused for another action, later, and elsewhere"


# --- what an auditor sees -------------------------------------------------------------------------------


def verified(stage: Stage) -> str:
    ledger = stage.authorizer.ledger
    head, lines = ledger.head(), list(ledger.lines())
    write_atomically(stage.folder / EXPORT, b"".join(line + b"\n" for line in lines), overwrite=True)
    report = verify_chain(_read(stage.folder / EXPORT), stage.home.public_key(), expected_head=head)
    if head is None or not report.valid or report.completeness != "anchored" or report.count != len(lines):
        raise Unexpected(f"the chain does not verify: {_problems(report)}")
    return f"{report.count} receipts; each hash, link and signature holds; head {head.short}"


def edited(stage: Stage) -> str:
    seq, lines = stage.over_cap_seq, _read(stage.folder / EXPORT)
    if not 0 <= seq < len(lines):
        raise Unexpected("there is no receipt of the order over the cap to edit")
    changed = lines[seq].replace(b'"outcome":"deny"', b'"outcome":"allow"', 1)
    report = _verify_copy(stage, EDITED, [*lines[:seq], changed, *lines[seq + 1 :]])
    found = f"seq {seq}: content hash mismatch (tampered)"
    if [str(problem) for problem in report.problems] != [found]:
        raise Unexpected(f"the edit of seq {seq} was not found: {_problems(report)}")
    # The cleverer forger makes the hash fit; without the ledger's key the signature cannot follow.
    fitted = _with_fitting_hash(changed)
    report = _verify_copy(stage, EDITED, [*lines[:seq], fitted, *lines[seq + 1 :]])
    forged = f"seq {seq}: bad signature"
    if forged not in [str(problem) for problem in report.problems]:
        raise Unexpected(f"the forged hash of seq {seq} was not found: {_problems(report)}")
    return f"{found}; with a hash made to fit: {forged}"


def tail_cut(stage: Stage) -> str:
    head, lines = stage.authorizer.ledger.head(), _read(stage.folder / EXPORT)
    write_atomically(stage.folder / CUT, b"".join(line + b"\n" for line in lines[:-2]), overwrite=True)
    cut, key = _read(stage.folder / CUT), stage.home.public_key()
    plain = verify_chain(cut, key)
    if not plain.valid or plain.completeness != "cannot_be_ruled_out":
        raise Unexpected(f"a plain verification should see nothing and say so: {_problems(plain)}")
    anchored = verify_chain(cut, key, expected_head=head)
    if [problem.code for problem in anchored.problems] != ["head"]:
        raise Unexpected(f"the missing tail was not found: {_problems(anchored)}")
    plainly = f"by itself: {len(cut)} valid receipts, truncation cannot be ruled out"
    return f"{plainly}; with --expected-head: {anchored.problems[0]}"


STEPS: Final[tuple[Step[Stage], ...]] = (
    Step("allowed-read", "A read that the policy allows is sent, once.", allowed_read),
    Step("forbidden", "What the policy forbids is denied, whatever its other rules say.", forbidden),
    Step("over-cap", "An order over the policy's cap is denied; no person is even asked.", over_cap),
    Step("hazard", "A path that the server would read differently (/accounts/../admin) is denied.", hazard),
    Step("approval", "A smaller order waits until a person has looked at it and said yes.", approval),
    Step("confused-deputy", "That yes with one parameter more (recipient) is refused.", confused_deputy),
    Step("re-pointed", "That yes under another instruction is refused.", re_pointed_instruction),
    Step("released-once", "The very action that was approved is released.", released_once),
    Step("replay", "The same yes a second time is refused.", replay),
    Step("race", f"{RACERS} threads race for one new yes: one wins, and the service is called once.", race),
    Step("token", "The broker's token fits one action, for some seconds, at one broker.", token),
    Step("verified", "Every decision is a signed receipt, chained to the one before it.", verified),
    Step("edited", "One receipt is edited in a copy: found, with its place.", edited),
    Step("tail-cut", "The newest receipts are cut off a copy: a head kept elsewhere shows it.", tail_cut),
)


# --- helpers --------------------------------------------------------------------------------------------


def _expect(decision: Decision, outcome: str, reason: str) -> None:
    """``reason``: an expression that one of the decision's reasons begins with."""
    if decision.outcome != outcome:
        raise Unexpected(f"{decision.outcome} instead of {outcome}: {'; '.join(decision.reasons)}")
    if not any(re.match(reason, text) for text in decision.reasons):
        raise Unexpected(f"{outcome}, but for another reason: {'; '.join(decision.reasons)}")


def _expect_calls(stage: Stage, count: int, action: Action | None = None) -> None:
    """The service was called ``count`` times since the last look, and did ``action`` exactly once so far."""
    calls = stage.new_calls()
    if calls != count:
        raise Unexpected(f"the service was called {calls} times instead of {count}")
    if action is not None and len(stage.service.effects(action)) != 1:
        raise Unexpected(f"the service did something other than {action.summary}")


def _approve(stage: Stage, parked: Decision) -> str:
    if parked.approval_id is None:
        raise Unexpected(f"it did not wait for a person: {'; '.join(parked.reasons)}")
    said = stage.authorizer.decide(parked.approval_id, "approve", APPROVER)
    if not said.accepted or said.approval.status != "approved":
        raise Unexpected(f"the yes did not count: {said.refusal}")
    return parked.approval_id


def _approved(stage: Stage) -> str:
    if not stage.approval_id:
        raise Unexpected("there is no approval to try it with")
    return stage.approval_id


def _denied(decision: Decision) -> str:
    return f"deny; {decision.reasons[0].partition('; ')[0]}"


def _read(path: Path) -> list[bytes]:
    return path.read_bytes().removesuffix(b"\n").split(b"\n")


def _verify_copy(stage: Stage, name: str, lines: list[bytes]) -> ChainReport:
    write_atomically(stage.folder / name, b"".join(line + b"\n" for line in lines), overwrite=True)
    return verify_chain(_read(stage.folder / name), stage.home.public_key())


def _problems(report: ChainReport) -> str:
    return "; ".join(map(str, report.problems[:3])) or f"{report.count} receipts and no problem"


def _with_fitting_hash(line: bytes) -> bytes:
    members = decode_members(line)
    fitting = digest({name: members[name] for name in PAYLOAD_FIELDS})
    return line.replace(str(members["entry_hash"]).encode(), fitting.encode())
