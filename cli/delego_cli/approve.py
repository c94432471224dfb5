"""``delego approve`` and ``delego deny``: one person's decision about one action."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import click

from delego_cli.approver_key import key_path, open_key
from delego_cli.asking import confirm
from delego_cli.brokers import open_authorizer
from delego_cli.completers import approval_ids
from delego_cli.decisions import command_line
from delego_cli.durations import span
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Styled, emit, say, state
from delego_cli.principals import account_name, principal_name
from delego_cli.verbs import Session, verb

if TYPE_CHECKING:
    from delego_authorizer import Authorizer, Ballot, HumanDecision
    from delego_spec.callbacks import DecisionCallback

F = TypeVar("F", bound=Callable[..., Any])
Choice = Literal["approve", "deny"]

_FILE: Final = click.Path(exists=True, dir_okay=False)


def _decision_options(function: F) -> F:
    for decorate in (
        click.option(
            "--passphrase-file",
            type=_FILE,
            metavar="FILE",
            help="Take the key's passphrase from the first line of a file, instead of asking.",
        ),
        click.option(
            "--key",
            type=_FILE,
            metavar="FILE",
            help="Sign with this key; else $DELEGO_APPROVER_KEY, else NAME.pem in your configuration folder.",
        ),
        click.option("--yes", is_flag=True, help="Do not ask; the answer is yes to doing it."),
        click.option("--note", metavar="TEXT", help="A note that is kept with the decision."),
        click.option(
            "--as",
            "approver",
            type=principal_name,
            metavar="NAME",
            help="Who decides; the name of your account, if not given.",
        ),
        click.argument("approval_id", shell_complete=approval_ids("pending")),
    ):
        function = decorate(function)
    return function


@verb("approve", examples=("delego approve apr_0123456789ab", "delego approve apr_0123456789ab --as alice"))
@_decision_options
def command(session: Session, **options: Any) -> ExitCode:
    """Say yes to one action: exactly the one that is shown, once.

    All that is bound is shown first, each character that does not print made visible. Where the home wants
    signed decisions, yours is signed with your own key. Exit status: 0 it counts; 3 it does not.
    """
    return _decide(session, "approve", **options)


@verb("deny", examples=("delego deny apr_0123456789ab --note 'not this supplier'",))
@_decision_options
def deny(session: Session, **options: Any) -> ExitCode:
    """Say no to one action, for good.

    One person's no is final, however many have said yes. Exit status: 0 it counts; 3 it does not.
    """
    return _decide(session, "deny", **options)


def _decide(
    session: Session,
    choice: Choice,
    approval_id: str,
    approver: str | None,
    note: str | None,
    yes: bool,
    key: str | None,
    passphrase_file: str | None,
) -> ExitCode:
    who = approver if approver is not None else account_name("--as")
    authorizer = open_authorizer(session.home())
    ballot = authorizer.ballot(approval_id, who)
    refusal = _closed(ballot)
    if refusal is None:
        _show(authorizer, ballot)
        question = f"{choice} as {who!r}?"
        if not yes and not confirm(question, otherwise="decide with --yes if you have seen the action"):
            return _undecided(session, ballot)
        callback = None
        if authorizer.config.signed_approvals or key is not None:
            callback = _sign(choice, ballot, note, open_key(key_path(who, key), passphrase_file))
        outcome = authorizer.decide(approval_id, choice, who, note=note, callback=callback)
        return _answer(session, choice, outcome)
    if session.json:
        emit({"approval_id": approval_id, "accepted": False, "refusal": refusal})
    say(f"delego: {refusal}", err=True)
    return ExitCode.NO


def _closed(ballot: Ballot) -> str | None:
    """Why there is nothing to decide any more. Asking would only waste a person's attention."""
    from delego_ledger.clock import system_clock
    from delego_spec.approvals import expired_reason

    status = ballot.approval.status_at(system_clock())
    if status == "pending":
        return None
    text = expired_reason(ballot.approval) if status == "expired" else f"approval is already {status}"
    return f"{text}; nothing was decided"


def _show(authorizer: Authorizer, ballot: Ballot) -> None:
    """All that is bound, on stderr: there it is seen, whatever becomes of stdout."""
    from delego_ledger.clock import system_clock

    approval = ballot.approval
    for line in ballot.text.split("\n"):
        name, colon, rest = line.partition(":")
        say(Styled(name + colon, dim=True), rest, err=True)
    facts = []
    if approval.expires_at is not None:
        facts.append(f"expires in {span(approval.expires_at - system_clock())}")
    if approval.required_approvers > 1:
        names = ", ".join(approval.approved_by) or "nobody yet"
        facts.append(f"{len(approval.approved_by)} of {approval.required_approvers} yes so far ({names})")
    if authorizer.config.signed_approvals:
        facts.append("your decision will be signed")
    if facts:
        say(Styled("; ".join(facts), dim=True), err=True)


def _undecided(session: Session, ballot: Ballot) -> ExitCode:
    if session.json:
        emit({"approval_id": ballot.approval.id, "accepted": False, "refusal": "not confirmed"})
    say("nothing was decided", err=True)
    return ExitCode.NO


def _sign(choice: Choice, ballot: Ballot, note: str | None, signer: Any) -> DecisionCallback:
    from delego_ledger.clock import system_clock
    from delego_spec.callbacks import sign_decision

    return sign_decision(
        choice,
        signer=signer,
        approval_id=ballot.approval.id,
        nonce=ballot.nonce,
        ts=system_clock(),
        action_fingerprint=ballot.approval.action_fingerprint,
        intent_hash=ballot.approval.intent_hash,
        display_hash=ballot.display_hash,
        decision_note=note,
    ).callback


def _answer(session: Session, choice: Choice, outcome: HumanDecision) -> ExitCode:
    approval = outcome.approval
    if session.json:
        emit(
            {
                "approval_id": approval.id,
                "accepted": outcome.accepted,
                "refusal": outcome.refusal,
                "status": approval.status,
                "approved_by": [*approval.approved_by],
                "required_approvers": approval.required_approvers,
                "denied_by": approval.denied_by,
                "receipt": None if outcome.receipt is None else str(outcome.receipt),
            }
        )
    if not outcome.accepted:
        say(f"delego: the decision does not count: {outcome.refusal}", err=True)
        return ExitCode.NO
    if session.json:
        return ExitCode.YES
    if approval.status == "pending":
        missing = approval.required_approvers - len(approval.approved_by)
        say(state("pending", "counted"), f"  {missing} more must say yes")
    elif choice == "deny":
        say(state("denied"), f"  {approval.id}")
    else:
        say(state("approved"), f"  {approval.id}, to be released once, by:")
        say(
            "  ",
            Styled(f"{command_line(session, 'resolve', approval.id)} …", bold=True),
            " (same action)",
        )
    return ExitCode.YES
