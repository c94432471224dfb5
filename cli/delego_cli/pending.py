"""``delego pending``: what waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delego_cli.decisions import command_line
from delego_cli.durations import span
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Column, Styled, Text, emit, say, table
from delego_cli.verbs import Session, verb
from delego_spec.display import visible
from delego_spec.timestamps import SECOND, format_ts

if TYPE_CHECKING:
    from delego_spec.approvals import Approval
    from delego_spec.types import JSONObject, Micros

_COLUMNS = (
    Column("approval"),
    Column("age", right=True),
    Column("expires in", right=True),
    Column("yes", right=True),
    Column("rule", flexible=True),
    Column("proposed by", flexible=True),
    Column("action", flexible=True),
)


@verb("pending", examples=("delego pending", "delego pending --json"))
def command(session: Session) -> ExitCode:
    """Show the actions that wait for a decision, oldest first.

    "yes" is how many approvers have said yes, of how many must. On a terminal long texts are cut to fit;
    `delego approve` shows all of an action before it asks.
    """
    from delego_ledger.clock import system_clock

    home = session.home()
    now = system_clock()
    waiting = [one for one in home.ledger().approvals("pending") if one.status_at(now) == "pending"]
    if session.json:
        emit({"pending": [_mapping(approval, now) for approval in waiting]})
        return ExitCode.YES
    if not waiting:
        say("nothing waits for a decision")
        return ExitCode.YES
    table(_COLUMNS, [_row(approval, now) for approval in waiting], last_below=True)
    line = command_line(session, "approve", waiting[0].id)
    say(Styled("to decide: ", dim=True), line, Styled("  or deny", dim=True))
    return ExitCode.YES


def _row(approval: Approval, now: Micros) -> list[Text]:
    left = "never" if approval.expires_at is None else span(approval.expires_at - now)
    soon = approval.expires_at is not None and approval.expires_at - now < 600 * SECOND
    return [
        Styled(approval.id, bold=True),
        span(now - approval.created_at),
        Styled(left, fg="yellow" if soon else None),
        f"{len(approval.approved_by)}/{approval.required_approvers}",
        visible(approval.rule or "(default)"),
        visible(approval.proposer),
        visible(approval.summary),
    ]


def _mapping(approval: Approval, now: Micros) -> JSONObject:
    expires = approval.expires_at
    return {
        "approval_id": approval.id,
        "created_at": format_ts(approval.created_at),
        "age_seconds": max(0, now - approval.created_at) // SECOND,
        "expires_at": None if expires is None else format_ts(expires),
        "expires_in_seconds": None if expires is None else (expires - now) // SECOND,
        "rule": approval.rule,
        "proposer": approval.proposer,
        "approved_by": [*approval.approved_by],
        "required_approvers": approval.required_approvers,
        "routing_group": approval.routing_group,
        "reason": approval.reason,
        "instruction": approval.instruction,
        "action_summary": approval.summary,
        "action_fingerprint": approval.action_fingerprint,
        "intent_hash": approval.intent_hash,
    }
