"""``delego recover``: what a crash left in flight, settled as "outcome unknown"; nothing is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delego_authorizer.owner import is_abandoned
from delego_authorizer.settling import recover_step
from delego_cli.durations import span
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Column, Styled, emit, say, table
from delego_cli.verbs import Session, verb
from delego_ledger.clock import system_clock
from delego_ledger.keyfiles import load_signer
from delego_spec.display import visible
from delego_spec.timestamps import format_ts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from delego_ledger.contract import Execution
    from delego_spec.types import JSON, Micros


@verb("recover", examples=["delego recover", "delego recover --json"])
def command(session: Session) -> ExitCode:
    """List the executions in flight, and settle those that nobody will settle any more.

    An execution is abandoned when its process is gone or its deadline has passed; those of a live process
    are left alone. What is settled counts as "outcome unknown": it may have happened, and it is never sent
    again. Neither the policy nor the configuration is read.
    """
    home = session.home()
    ledger = home.ledger()
    now = system_clock()
    running = ledger.executions()
    candidates = tuple(one for one in running if is_abandoned(one, now))
    settled: tuple[Execution, ...] = ()
    if candidates:
        ledger = home.ledger(load_signer(home.keys_path / "ledger.pem"))
        settled = ledger.submit([recover_step(candidates)])[0]
        ledger.close()
    gone = {one.id for one in settled}
    if session.json:
        emit(
            {
                "settled": [_document(one) for one in settled],
                "in_flight": [_document(one) for one in running if one not in candidates],
            }
        )
    elif not running:
        say("nothing is in flight")
    else:
        _show(running, gone, now)
    return ExitCode.YES


def _show(running: Sequence[Execution], gone: set[str], now: Micros) -> None:
    columns = [
        Column("execution"),
        Column("state"),
        Column("age", right=True),
        Column("deadline", right=True),
        Column("process"),
        Column("action", flexible=True),
    ]
    table(columns, [_row(one, one.id in gone, now) for one in running])
    if not gone:
        say("all of them may still be settled by their own process; nothing was changed")
        return
    say("")
    unknown = "1 execution is" if len(gone) == 1 else f"{len(gone)} executions are"
    say(Styled(f"{unknown} recorded as 'outcome unknown'", fg="yellow", bold=True))
    say("each may have happened: look at the service whether it did; delego never sends it again")
    say("if it did not happen and is still wanted, propose it anew")


def _row(one: Execution, settled: bool, now: Micros) -> list[str | Styled]:
    state = Styled("outcome unknown", fg="yellow") if settled else "in flight"
    left = one.deadline - now
    deadline = f"in {span(left)}" if left > 0 else f"{span(-left)} ago"
    process = f"{one.owner.pid} on {one.owner.host.partition('/')[0]}"
    return [one.id, state, span(now - one.started_at), deadline, process, visible(one.action_summary)]


def _document(one: Execution) -> dict[str, JSON]:
    return {
        "execution": one.id,
        "action_summary": one.action_summary,
        "action_fingerprint": one.action_fingerprint,
        "rule": one.rule,
        "approval_id": one.approval_id,
        "started_at": format_ts(one.started_at),
        "deadline": format_ts(one.deadline),
        "host": one.owner.host.partition("/")[0],
        "pid": one.owner.pid,
    }
