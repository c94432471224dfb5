"""What the command's exit status means; "could not run" and "ran, and the answer is no" are kept apart."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of every verb."""

    YES = 0  # it ran, and the answer is yes
    FAILED = 1  # it could not run, or not to its end; nothing follows about the answer
    USAGE = 2  # the command line is wrong
    NO = 3  # it ran, and the answer is no: denied, waiting for a person, chain invalid
    INTERRUPTED = 130  # Ctrl-C, as shells write it
