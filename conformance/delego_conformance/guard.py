"""Exit status and words of the command, whatever happens: one line on stderr, never a traceback."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import click

from delego_conformance.errors import DelegoConformanceError, StartError
from delego_conformance.reports.words import printable

NAME: Final = "delego-conformance"
DEBUG: Final = "DELEGO_DEBUG"
_LONGEST: Final = 700  # characters of a line; it may repeat what was typed, or what a program wrote


class ExitCode(IntEnum):
    """Exit status; the same as those of ``delego``."""

    CONFORMANT = 0  # or whatever else was asked has been done
    FAILED = 1  # it could not run; nothing follows about the implementation
    USAGE = 2  # the command line is wrong
    NOT_CONFORMANT = 3
    INTERRUPTED = 130  # Ctrl-C, as shells write it


def guarded(run: Callable[[], object]) -> int:
    """Run a command line; its exit status."""
    try:
        result = run()
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk or a closed pipe can still be said
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.USAGE
    except BrokenPipeError:  # who read the output has gone
        _silence_stdout()
        return ExitCode.FAILED
    except BaseException as error:  # noqa: BLE001 - the last line of defence; nothing is swallowed silently
        if os.environ.get(DEBUG):
            traceback.print_exc()
        code, line = describe(error)
        with contextlib.suppress(OSError, ValueError):
            say(line)
        return code
    return int(result) if isinstance(result, int) else ExitCode.CONFORMANT


def describe(error: BaseException) -> tuple[ExitCode, str]:
    """The exit status and the line for any exception."""
    if isinstance(error, (click.Abort, KeyboardInterrupt, EOFError)):
        return ExitCode.INTERRUPTED, "interrupted; what was started has been ended"
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx is not None else NAME
        return ExitCode.USAGE, f"{_lower(error.format_message()).rstrip('.')}; see '{path} --help'"
    if isinstance(error, click.ClickException):
        return ExitCode.FAILED, _lower(error.format_message())
    if isinstance(error, StartError):
        return ExitCode.FAILED, f"{error}; '{NAME} template python' prints an adapter that starts"
    if isinstance(error, DelegoConformanceError):
        return ExitCode.FAILED, str(error)
    if isinstance(error, OSError):
        reason = _lower(error.strerror or str(error))
        if error.filename is None:
            return ExitCode.FAILED, f"cannot write the output: {reason}"
        return ExitCode.FAILED, f"cannot use {os.fspath(error.filename)!r:.300}: {reason}"
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return (
        ExitCode.FAILED,
        f"this is a fault in {NAME}: {what[:300]}; run with {DEBUG}=1 for the traceback",
    )


def say(line: str) -> None:
    """Write one line to stderr, for people; escapes in it stay visible."""
    text = printable(line)
    click.echo(f"{NAME}: {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}", err=True)


def _lower(text: str) -> str:
    line = " ".join(text.split())
    return line[:1].lower() + line[1:]


def _silence_stdout() -> None:
    """Let the interpreter's last flush go nowhere, instead of failing once more with words of its own."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)
