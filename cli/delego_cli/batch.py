"""Many actions from JSON Lines: read strictly, decided in chunks, counted by a label.

A line is an action, or an object with an action as its member ``action``; the members around it are labels.
What cannot be read is reported with its number and does not stop the rest.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

from delego_authorizer import ActionTooLarge, Authorizer, Decision
from delego_cli.brokers import open_authorizer
from delego_cli.decisions import command_line
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Column, Progress, Styled, Text, emit, progress, say, table
from delego_ledger.errors import StorageError
from delego_spec.action import Action
from delego_spec.canonical import MAX_BYTES, parse_json
from delego_spec.display import literal, visible
from delego_spec.errors import ActionError, CanonicalError
from delego_spec.types import JSONObject

if TYPE_CHECKING:
    from delego_cli.verbs import Session

CHUNK: Final = 64  # actions in one durable commit
# An action that might not fit into a receipt is decided alone: within a chunk its failure would hide what
# became of the others. Its reasons may repeat its params.
LARGE: Final = 16_000  # characters of a summary
MAX_LINE: Final = 2 * MAX_BYTES  # bytes; an action is smaller, its labels may take the rest
NO_GROUP: Final = "(none)"

COUNTS: Final = ("allowed", "parked", "refused", "unreadable")
_WORDS: Final = {"allow": "allowed", "needs_approval": "parked", "deny": "refused"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the input, read or not."""

    number: int  # from 1
    labels: JSONObject
    action: Action | None
    problem: str = ""


@dataclass(slots=True)
class Tally:
    """How many of each kind, by group."""

    label: str | None  # dotted; None: one group
    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))

    def count(self, line: Line, kind: str) -> None:
        group = self.groups.setdefault(self._group(line.labels), dict.fromkeys(COUNTS, 0))
        group[kind] += 1
        self.total[kind] += 1

    def _group(self, labels: JSONObject) -> str:
        value: object = labels
        for name in () if self.label is None else self.label.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is None or value is labels:
            return NO_GROUP
        return value if isinstance(value, str) else literal(value)  # type: ignore[arg-type]  # it came out of a JSON object


def run_batch(session: Session, file: IO[bytes], principal: str, group_by: str | None) -> ExitCode:
    """Decide every action of ``file``; the closing table comes also when it had to stop half-way."""
    run = _Run(session, open_authorizer(session.home()), principal, Tally(group_by))
    try:
        with _progress(session, file) as bar:
            run.decide_all(file, bar)
    except (KeyboardInterrupt, StorageError) as error:
        run.close()
        if isinstance(error, StorageError):
            say(f"delego: stopped; line {run.undecided} and those behind it are not decided", err=True)
        raise
    return run.close()


@dataclass(slots=True)
class _Run:
    session: Session
    authorizer: Authorizer
    principal: str
    tally: Tally
    undecided: int = 1  # the first line that nothing is known of yet

    def decide_all(self, file: IO[bytes], bar: Progress) -> None:
        chunk: list[Line] = []
        for raw, line in read_lines(file):
            large = line.action is not None and len(line.action.summary) > LARGE
            if large:
                self._decide(chunk, bar)
                chunk = []
            chunk.append(line)
            if large or len(chunk) == CHUNK:
                self._decide(chunk, bar)
                chunk = []
            bar.update(raw)
        self._decide(chunk, bar)

    def _decide(self, lines: list[Line], bar: Progress) -> None:
        actions = [line.action for line in lines if line.action is not None]
        try:
            decisions = iter(self.authorizer.propose_many(actions, self.principal) if actions else [])
        except ActionTooLarge as error:  # it is alone
            lines = [Line(line.number, line.labels, None, str(error)) for line in lines]
            decisions = iter(())
        for line in lines:
            if line.action is None:
                self._unreadable(line, bar)
            else:
                self._decided(line, next(decisions))
            self.undecided = line.number + 1

    def _unreadable(self, line: Line, bar: Progress) -> None:
        self.tally.count(line, "unreadable")
        if self.session.json:
            emit({"line": line.number, "labels": line.labels, "error": line.problem})
        bar.say(f"line {line.number}: {line.problem}")

    def _decided(self, line: Line, decision: Decision) -> None:
        self.tally.count(line, _WORDS[decision.outcome])
        if self.session.json:
            emit({"line": line.number, "labels": line.labels, **decision.to_mapping()})

    def close(self) -> ExitCode:
        """Show the totals."""
        total = self.tally.total
        if self.session.json:
            groups: JSONObject = {name: {**counts} for name, counts in self.tally.groups.items()}
            emit({"group_by": self.tally.label, "groups": groups, "total": {**total}})
        else:
            _show(self.tally)
            if total["parked"]:
                line = command_line(self.session, "pending")
                say("waiting for a person: ", Styled(line, bold=True), " lists them")
        if total["unreadable"]:
            return ExitCode.FAILED
        return ExitCode.NO if total["parked"] or total["refused"] else ExitCode.YES


def read_lines(file: IO[bytes]) -> Iterator[tuple[int, Line]]:
    """The lines that are not blank, each with the bytes read for it."""
    number, skipped = 0, 0
    while raw := file.readline(MAX_LINE + 1):
        number += 1
        size = skipped + len(raw)
        if len(raw) > MAX_LINE:
            while raw and not raw.endswith(b"\n"):  # to the end of the line, without keeping it
                raw = file.readline(MAX_LINE)
                size += len(raw)
            yield size, Line(number, {}, None, f"the line is longer than {MAX_LINE} bytes")
            skipped = 0
            continue
        text = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw  # some shells put it in front
        if not text.strip():
            skipped = size
            continue
        yield size, _read(number, text)
        skipped = 0


def _read(number: int, text: bytes) -> Line:
    try:
        members = parse_json(text.rstrip(b"\r\n"), name="line", max_bytes=MAX_LINE)
    except CanonicalError as error:
        return Line(number, {}, None, str(error))
    labels: JSONObject = {}
    if isinstance(members, dict) and "action" in members:
        labels = {name: value for name, value in members.items() if name != "action"}
        members = members["action"]
    try:
        return Line(number, labels, Action.from_mapping(members))
    except ActionError as error:
        return Line(number, labels, None, str(error))


def _show(tally: Tally) -> None:
    if tally.label is None:
        rows: list[list[Text]] = [_row(None, tally.total)]
        columns = []
    else:
        columns = [Column(visible(tally.label), flexible=True)]
        rows = [_row(visible(name), counts) for name, counts in sorted(tally.groups.items())]
        if len(rows) != 1:
            rows.append(_row("total", tally.total))
    table([*columns, *(Column(name, right=True) for name in (*COUNTS, "total"))], rows)


def _row(name: str | None, counts: dict[str, int]) -> list[Text]:
    colours = {"allowed": "green", "parked": "yellow", "refused": "red", "unreadable": "red"}
    cells: list[Text] = [
        Styled(str(counts[kind]), fg=colours[kind] if counts[kind] else None) for kind in COUNTS
    ]
    return [*([] if name is None else [name]), *cells, str(sum(counts.values()))]


def _progress(session: Session, file: IO[bytes]) -> AbstractContextManager[Progress]:
    """No bar in the middle of what a person is typing, or of answers on the same terminal."""
    out = sys.stdout is not None and sys.stdout.isatty()
    return progress("deciding", _size(file), hidden=file.isatty() or (session.json and out))


def _size(file: IO[bytes]) -> int | None:
    """Bytes still to be read, or None where that is not known (a pipe)."""
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) and status.st_size else None
