"""What a person sees when a verb could not run: one plain line on stderr, never a traceback.

With ``--json`` the same is an object on stdout, ``{"error": …, "exit_code": …}``, so that a program that
reads stdout need not guess.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from delego_cli.exit_codes import ExitCode
from delego_cli.output import emit, say, shown

if TYPE_CHECKING:
    from delego_spec.types import JSON, JSONObject

DEBUG: Final = "DELEGO_DEBUG"
MAX_USAGE: Final = 600  # characters
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CommandError(Exception):
    """A verb cannot do what it was asked; the message is the line that the person sees."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception, ready to be shown."""

    code: ExitCode
    lines: tuple[str, ...]  # as written to stderr; none: nobody is there to read
    members: JSONObject  # of the JSON object


NOBODY: Final = Failure(ExitCode.FAILED, (), {})  # who read the output has gone, and wants no words


def guarded(run: Callable[[], object], *, as_json: bool) -> int:
    """Run a command line; the exit status, whatever happens. ``run`` returns one, or None for 0."""
    try:
        result = run()
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk or a closed pipe can still be said
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:  # noqa: BLE001 - the last line of defence; nothing is swallowed silently
        if os.environ.get(DEBUG):
            traceback.print_exc()
        failure = describe(error)
        _report(failure, as_json=as_json)
        return int(failure.code)
    return int(result) if isinstance(result, int) else ExitCode.YES


def describe(error: BaseException) -> Failure:
    """The words and the exit status for any exception."""
    if isinstance(error, CommandError):
        return _failure(error.code, str(error))
    if isinstance(error, (click.Abort, KeyboardInterrupt, EOFError)):
        return _failure(ExitCode.INTERRUPTED, "interrupted")
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return Failure(ExitCode.USAGE, tuple(error.format_message().splitlines()), {})
    if isinstance(error, click.UsageError):
        return _failure(ExitCode.USAGE, _usage(error))
    if isinstance(error, click.ClickException):
        return _failure(ExitCode.FAILED, _lower(error.format_message()))
    if isinstance(error, OSError):
        if _is_broken_pipe(error):
            return NOBODY
        return _failure(ExitCode.FAILED, _system(error))
    return _ours(error) or _failure(ExitCode.FAILED, _fault(error))


def _ours(error: BaseException) -> Failure | None:
    # Imported here, where they have been imported already if the error is one of theirs: the command starts
    # without them.
    from delego_agent.errors import DelegoAgentError
    from delego_authorizer.errors import DelegoAuthorizerError
    from delego_broker.errors import DelegoBrokerError
    from delego_ledger.errors import DelegoLedgerError, StorageError
    from delego_spec.errors import DelegoSpecError, DocumentError

    if isinstance(error, DocumentError):
        problems: JSON = [
            {"path": one.path, "text": one.text, "line": one.line, "column": one.column}
            for one in error.problems
        ]
        lines = tuple(one.at(error.source) for one in error.problems)
        members: JSONObject = {"error": str(error), "source": error.source, "problems": problems}
        return Failure(ExitCode.FAILED, lines, members)
    if isinstance(error, StorageError) and _is_broken_pipe(error.__cause__):
        return NOBODY
    families = DelegoSpecError, DelegoLedgerError, DelegoAuthorizerError, DelegoBrokerError, DelegoAgentError
    if isinstance(error, families):
        return _failure(ExitCode.FAILED, str(error))
    return None


def _is_broken_pipe(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def _failure(code: ExitCode, line: str) -> Failure:
    return Failure(code, (f"delego: {shown(line)}",), {"error": line})


def _usage(error: click.UsageError) -> str:
    text = _lower(error.format_message()).rstrip(".")
    text = text if len(text) <= MAX_USAGE else f"{text[:MAX_USAGE]}…"  # it repeats what was typed
    path = error.ctx.command_path if error.ctx is not None else "delego"
    return f"{text}; see '{path} --help'"


def _system(error: OSError) -> str:
    reason = _lower(error.strerror or str(error) or type(error).__name__)
    if error.filename is None and error.errno in _FULL:  # the ledger says itself that its disk is full
        return f"cannot write the output: {reason}"
    return reason if error.filename is None else f"cannot use {os.fspath(error.filename)!r:.300}: {reason}"


def _fault(error: BaseException) -> str:
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    cut = what if len(what) <= 300 else f"{what[:300]}…"
    return f"this is a fault in delego: {cut}; run with {DEBUG}=1 for the traceback"


def _lower(text: str) -> str:
    line = " ".join(text.split())
    return line[:1].lower() + line[1:]


def _report(failure: Failure, *, as_json: bool) -> None:
    with contextlib.suppress(OSError, ValueError):  # stderr may be gone as well; the status says it
        for line in failure.lines:
            say(line, err=True)
    try:
        if as_json and failure.members:
            emit({**failure.members, "exit_code": int(failure.code)})
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        _silence_stdout()


def _silence_stdout() -> None:
    """Let the interpreter's last flush go nowhere, instead of failing once more with words of its own."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)
