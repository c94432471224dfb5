"""``delego demo``: the whole loop in a temporary home, each step said, done for real and checked."""

from __future__ import annotations

import signal
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from delego_cli.demo_end import missing_libraries, real_end
from delego_cli.demo_end_steps import END_STEPS
from delego_cli.demo_stage import APPROVER, make_stage
from delego_cli.demo_steps import STEPS, Step, StepResult, run_step
from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Styled, emit, say
from delego_cli.terminals import terminal_columns
from delego_cli.verbs import Session, verb
from delego_ledger.errors import os_reason

if TYPE_CHECKING:
    from delego_spec.types import JSON, JSONObject

# What ends a program without Ctrl-C, and would leave the temporary home behind: kill, a closed terminal.
_ENDINGS: Final = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@verb("demo", examples=["delego demo", "delego demo --keep ./demo && delego log --home ./demo"])
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Make the home in this new folder and leave it there, to be looked at.",
)
def command(session: Session, keep: Path | None) -> ExitCode:
    """Show the whole loop in a temporary home: an agent proposes, a policy decides, a person approves, and a
    ledger remembers; then a gateway in a process of its own, with a key that the agent never has. Each step
    says what it shows and checks it; the exit status is 0 only if all held.

    The gateway's steps need the extra 'broker'; without it they are left out, and that is said.
    """
    began = time.monotonic()
    results: list[StepResult] = []
    missing = missing_libraries()

    def play(step: Step[Any], stage: Any) -> None:
        if not session.json:
            say(Styled(f"{len(results) + 1:>2}  ", dim=True), Styled(step.shows, bold=True))
        results.append(run_step(step, stage))
        if not session.json:
            _say_result(results[-1])

    with _folder(keep) as folder, ExitStack() as stack:
        stage = stack.enter_context(closing(make_stage(folder)))
        # Its processes get ready while the first steps run.
        end = None if missing else stack.enter_context(real_end(folder / "real-end", APPROVER))
        for step in STEPS:
            play(step, stage)
        for one in () if end is None else END_STEPS:
            play(one, end)
    seconds = time.monotonic() - began
    if missing and not session.json:
        say("")
        say(f"{len(END_STEPS)} steps with a real gateway were left out: {_needs(missing)}")
    failed = [result.step.name for result in results if not result.passed]
    if session.json:
        steps: list[JSON] = [
            {"name": one.step.name, "shows": one.step.shows, "passed": one.passed, "saw": one.saw}
            for one in results
        ]
        kept = None if keep is None else str(keep)
        members: JSONObject = {"passed": not failed, "seconds": round(seconds, 3), "home": kept}
        if missing:
            skipped: list[JSON] = [step.name for step in END_STEPS]
            members |= {"skipped": skipped, "skipped_because": _needs(missing)}
        emit({**members, "steps": steps})
    else:
        _say_end(failed, len(results), seconds, keep)
    return ExitCode.NO if failed else ExitCode.YES


def _needs(missing: tuple[str, ...]) -> str:
    return f"they need {', '.join(missing)}; run: pip install 'delego-spec[broker]'"


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where the home is made; a temporary one is gone afterwards, however the demo ends."""
    if keep is not None:
        try:
            taken = keep.exists() and any(keep.iterdir())
        except OSError as error:
            raise CommandError(f"cannot use the folder {str(keep)!r:.300}: {os_reason(error)}") from None
        if taken:
            raise CommandError(f"the folder {str(keep)!r:.300} is not empty; give --keep a new one")
        yield keep
        return
    with (
        _endings_clean_up(),
        tempfile.TemporaryDirectory(prefix="delego-demo-", ignore_cleanup_errors=True) as name,
    ):
        yield Path(name) / "home"


@contextmanager
def _endings_clean_up() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = {number: signal.signal(number, _end) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _say_result(result: StepResult) -> None:
    mark = Styled(_mark(result.passed), fg="green" if result.passed else "red", bold=True)
    columns = terminal_columns()
    lines = [result.saw]
    if columns is not None:
        lines = textwrap.wrap(result.saw, max(columns - 7, 20), break_on_hyphens=False)
    say("    ", mark, " ", Styled(lines[0], dim=result.passed))
    for line in lines[1:]:
        say("      ", Styled(line, dim=result.passed))


def _mark(passed: bool) -> str:
    try:
        "✓✗".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "ok:" if passed else "FAILED:"
    return "✓" if passed else "✗"


def _say_end(failed: list[str], count: int, seconds: float, keep: Path | None) -> None:
    say("")
    if failed:
        text = f"{len(failed)} of {count} steps did not do what they should: {', '.join(failed)}"
        say(Styled(text, fg="red", bold=True))
    else:
        say(Styled(f"all {count} steps did what they should", fg="green", bold=True), f" ({seconds:.1f} s)")
    if keep is None:
        say("nothing was left behind; begin with your own: delego init")
    else:
        say(f"the home is left in {str(keep)!r}; look at it: delego log --home {keep}")
