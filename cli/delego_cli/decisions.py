"""A decision on a screen, and as an exit status: what ``propose`` and ``resolve`` answer with."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from delego_cli.exit_codes import ExitCode
from delego_cli.output import Styled, emit, fields, say, state

if TYPE_CHECKING:
    from delego_authorizer import Decision
    from delego_cli.verbs import Session

LABELS: Final = {"allow": "allowed", "deny": "denied", "needs_approval": "needs approval"}


def answer(session: Session, decision: Decision) -> ExitCode:
    """Show a decision; with ``--json`` as JSON."""
    if session.json:
        emit(decision.to_mapping())
    else:
        _show(session, decision)
    return status_of(decision)


def status_of(decision: Decision) -> ExitCode:
    """0 released; 3 denied, or a person has to decide; 1 released, and nobody knows whether it was done."""
    if decision.outcome_unknown:
        return ExitCode.FAILED
    return ExitCode.YES if decision.allowed else ExitCode.NO


def command_line(session: Session, *words: str) -> str:
    """A command to be typed next, on the same home."""
    home = () if session.home_given is None else ("--home", session.home_given)
    return shlex.join(("delego", *home, *words))


def _show(session: Session, decision: Decision) -> None:
    from delego_spec.display import literal

    rule = "the default" if decision.rule is None else f"rule {decision.rule!r}"
    by = "" if decision.rule is None and not decision.allowed else f"  by {rule}"
    say(state(decision.outcome, LABELS[decision.outcome]), by)
    for reason in decision.reasons:
        say(f"  {reason}")
    lines = []
    if decision.result is not None:
        lines.append(("result", literal(decision.result)))
    if decision.token is not None:
        lines.append(("token", decision.token))
    if decision.approval_id is not None:
        lines.append(("approval", str(decision.approval_id)))
    lines.append(("intent", str(decision.intent_hash)))
    lines.append(("action", str(decision.action_fingerprint)))
    if decision.receipt is not None:
        lines.append(("receipt", str(decision.receipt)))
    fields([(f"  {name}", Styled(text)) for name, text in lines])
    if decision.outcome == "needs_approval" and decision.approval_id is not None:
        say("a person decides  ", Styled(command_line(session, "approve", decision.approval_id), bold=True))
        then = command_line(session, "resolve", decision.approval_id)
        say("then release it   ", Styled(f"{then} …", bold=True), " (same action)")
    if decision.outcome_unknown:
        say(Styled("it may have happened: look before doing it again", fg="yellow"))
