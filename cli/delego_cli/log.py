"""``delego log``: receipts, newest last; with ``--follow`` as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

from delego_cli.completers import approval_ids, rule_names
from delego_cli.exit_codes import ExitCode
from delego_cli.log_reading import PAGE, Filter, Row, first_since, follow, newest, parse_since, rows
from delego_cli.output import Styled, Text, emit, say, state
from delego_cli.tables import cut, display_width, pad
from delego_cli.terminals import terminal_columns
from delego_cli.verbs import Session, verb
from delego_ledger.clock import system_clock
from delego_spec.display import visible
from delego_spec.errors import ReceiptError
from delego_spec.receipts import Receipt, decode_members

if TYPE_CHECKING:
    from delego_spec.receipts import Outcome
    from delego_spec.types import JSONObject, Micros

PAUSE: Final = 0.2  # seconds between two looks at a growing ledger
DEFAULT_COUNT: Final = 20
MAX_RULE: Final = 24  # cells of a rule's name on a terminal
MIN_ACTION: Final = 16
NARROW: Final = 110  # columns; below, time and phase are shortened for the action's sake


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> Micros | None:
    try:
        return None if text is None else parse_since(text, system_clock())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@verb(
    "log",
    examples=[
        "delego log -n 50 --outcome deny",
        "delego log --since 2h -v",
        "delego log --follow --json | jq .action_summary",
    ],
)
@click.option(
    "-n",
    "--number",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"How many receipts, at most; else {DEFAULT_COUNT}, or with --since all.",
)
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with new receipts until Ctrl-C.")
@click.option("--outcome", type=click.Choice(["allow", "deny", "needs_approval"]), help="Only this outcome.")
@click.option("--rule", metavar="RULE", shell_complete=rule_names, help="Only receipts of this rule.")
@click.option(
    "--approval", metavar="ID", shell_complete=approval_ids(), help="Only receipts of this approval."
)
@click.option(
    "--since", callback=_moment, metavar="WHEN", help="Only from then on: 30m, 2h, 7d, or a time in UTC."
)
@click.option("-v", "--verbose", is_flag=True, help="With reasons, approval and principal.")
def command(
    session: Session,
    number: int | None,
    following: bool,
    outcome: Outcome | None,
    rule: str | None,
    approval: str | None,
    since: Micros | None,
    verbose: bool,
) -> ExitCode:
    """Show receipts, newest last. With --json each receipt is one line, as it is exported."""
    ledger = session.home().ledger()
    wanted = Filter(outcome, rule, approval)
    head = ledger.head()
    stop = 0 if head is None else head.seq + 1
    first = 0 if since is None else first_since(ledger, since, stop)
    printer = _Printer(session.json, verbose)
    if number is None and since is not None:
        found = filter(wanted.wants, rows(ledger, first, stop))
        while page := list(islice(found, PAGE)):
            printer.show(page)
    else:
        count = DEFAULT_COUNT if number is None else number
        printer.show(newest(ledger, first, stop, count, wanted))
    if not following:
        if not printer.shown and number != 0:
            say("no receipts yet" if head is None else "no receipt matches", err=True)
        return ExitCode.YES
    try:
        for row in follow(ledger, stop - 1, lambda: time.sleep(PAUSE)):
            if wanted.wants(row):
                printer.show([row])
    except KeyboardInterrupt:
        pass
    return ExitCode.YES


class _Printer:
    """Writes receipts as they come, in columns that stay where the first ones were."""

    def __init__(self, as_json: bool, verbose: bool) -> None:
        self._json = as_json
        self._verbose = verbose
        self._rule_width = 12
        self._seq_width = 4
        self.shown = 0

    def show(self, found: Sequence[Row]) -> None:
        if self._json:
            for row in found:
                emit(_members(row))
        else:
            self._show_lines(found)
        self.shown += len(found)
        if sys.stdout is not None:
            sys.stdout.flush()  # who follows through a pipe waits for it

    def _show_lines(self, found: Sequence[Row]) -> None:
        receipts = [row.receipt for row in found if row.receipt is not None]
        columns = terminal_columns()
        widest = max((display_width(_rule(receipt)) for receipt in receipts), default=0)
        self._rule_width = min(max(self._rule_width, widest), MAX_RULE)
        self._seq_width = max([self._seq_width, *(len(str(receipt.payload.seq)) for receipt in receipts)])
        if found and not self.shown:
            titles = ("seq", "time (UTC)", "outcome", "phase", "rule", "action")
            say(Styled(self._line(titles, columns), dim=True))
        for row in found:
            self._show_row(row, columns)

    def _show_row(self, row: Row, columns: int | None) -> None:
        receipt = row.receipt
        if receipt is None:
            say(Styled("a stored receipt cannot be read; run: delego verify", fg="red", bold=True))
            return
        payload = receipt.payload
        cells = (
            str(payload.seq),
            payload.ts[:19].replace("T", " "),
            payload.outcome,
            payload.phase,
            _rule(receipt),
            visible(payload.action_summary),
        )
        before, found, after = self._line(cells, columns).partition(f" {payload.outcome} ")
        say(before, state(payload.outcome, found), after)
        if self._verbose:
            for label, text in _details(receipt):
                say(Styled(f"{'':>8}{label}: ", dim=True), text)

    def _line(self, cells: Sequence[str], columns: int | None) -> str:
        """One row. ``columns``: of the terminal; None cuts nothing."""
        seq, when, outcome, phase, rule, action = cells
        time_width, phase_width = 19, 9
        if columns is not None:
            rule = cut(rule, self._rule_width)
            if columns < NARROW:
                when, time_width, phase, phase_width = _short(when), 14, phase[:3], 3
        start = (
            f"{seq:>{self._seq_width}}  {when:<{time_width}}  {outcome:<14}  {phase:<{phase_width}}  "
            f"{pad(rule, self._rule_width)}  "
        )
        room = None if columns is None else max(MIN_ACTION, columns - display_width(start))
        return start + (action if room is None else cut(action, room))


def _short(when: str) -> str:
    """A time without its year; the column's title stays as it is."""
    return when[5:] if when[:1].isdigit() else when


def _rule(receipt: Receipt) -> str:
    return visible(receipt.payload.rule or "-")


def _details(receipt: Receipt) -> list[tuple[str, Text]]:
    payload, context = receipt.payload, receipt.context or {}
    details: list[tuple[str, Text]] = [("reason", visible(reason)) for reason in payload.reasons]
    if payload.approval_id is not None:
        details.append(("approval", visible(payload.approval_id)))
    if isinstance(principal := context.get("principal"), str):
        details.append(("proposed by", visible(principal)))
    return details


def _members(row: Row) -> JSONObject:
    try:
        return decode_members(row.line)
    except ReceiptError as error:
        return {"error": str(error)}
