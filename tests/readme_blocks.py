"""Runs the examples of a Markdown document and compares what it shows with what really happens.

A document's blocks run in order, in one empty folder and one home:

- ``python`` blocks share one namespace; an exception fails the document;
- ``console`` blocks share one shell session (folder, variables, last exit status). A line ``$ command`` runs;
  the lines up to the next ``$ `` are what it must print, stderr included. A command goes on over lines that
  begin with ``> ``. A line ``...`` stands for any lines. An exit status other than 0 (yes) and 3 (the answer
  is no) must be shown, by ``$ echo $?``;
- a block marked ``no-run`` is left alone, and so is every other language.

Times, durations, hashes, approval ids and tokens differ from run to run. A documented one stands for whatever
is printed in its place the first time, and for the same thing from then on, also inside later commands.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TIMEOUT: Final = 120  # seconds for one command

_FENCE: Final = re.compile(r"(?P<indent>[ ]*)(?P<fence>`{3,}|~{3,})[ ]*(?P<info>[^`]*)")

# What differs from run to run but keeps its identity within one: it is bound at first sight.
_NAMES: Final = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]+|\bapr_[\w-]+|\b[0-9a-f]{64}\b|\b[0-9a-f]{16}\b|\b[0-9a-f]{12}(?=…)"
)
# What differs and has no identity.
_NOISE: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d| UTC)?"), "<time>"),
    (re.compile(r"(?<![\w.])\d+(\.\d+)? ?(µs|ms|seconds?|minutes?|hours?|days?|[smhd])\b"), "<duration>"),
)


class DocumentError(Exception):
    """The document is wrong: it cannot be read, or what it shows is not what happens."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: the words after the fence, the text, and the line of its first line of text."""

    info: tuple[str, ...]
    text: str
    line: int

    @property
    def runs(self) -> bool:
        return self.info[:1] in {("python",), ("console",)} and "no-run" not in self.info


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a console block, what the document says it prints, and the line it stands on."""

    text: str
    expected: tuple[str, ...]
    line: int


def blocks(document: str) -> Iterator[Block]:
    """Every fenced block of a Markdown text. Raises DocumentError for one that is never closed."""
    lines = document.splitlines()
    number = 0
    while number < len(lines):
        opening = _FENCE.fullmatch(lines[number])
        number += 1
        if opening is None:
            continue
        start = number
        while number < len(lines) and not _closes(lines[number], opening["fence"]):
            number += 1
        if number == len(lines):
            raise DocumentError(f"line {start}: this block is never closed")
        indent = len(opening["indent"])
        text = "".join(f"{line[min(indent, _indent(line)) :]}\n" for line in lines[start:number])
        yield Block(tuple(opening["info"].split()), text, start + 1)
        number += 1


def _closes(line: str, fence: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(fence) and set(bare) == {fence[0]}


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def commands(block: Block) -> list[Command]:
    """The commands of a console block. Raises DocumentError for output that no command has printed."""
    found: list[tuple[list[str], list[str], int]] = []
    for number, line in enumerate(block.text.splitlines(), block.line):
        if line.startswith("$ "):
            found.append(([line[2:]], [], number))
        elif not found:
            if line.strip():
                raise DocumentError(f"line {number}: a console block begins with a line '$ command'")
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line[2:])
        else:
            found[-1][1].append(line)
    return [Command("\n".join(text), _trimmed(expected), number) for text, expected, number in found]


def _trimmed(lines: list[str]) -> tuple[str, ...]:
    """Without white space at the ends of lines, and without empty lines at the end."""
    text = "\n".join(line.rstrip() for line in lines).rstrip("\n")
    return tuple(text.split("\n")) if text else ()


class Bindings:
    """What each documented name (hash, id, token) stands for in this run."""

    def __init__(self) -> None:
        self._actual: dict[str, str] = {}

    def apply(self, command: str) -> str:
        """``command`` with the documented names replaced by this run's."""
        return _NAMES.sub(lambda match: self._actual.get(match.group(), match.group()), command)

    def match(self, expected: tuple[str, ...], actual: tuple[str, ...]) -> bool:
        """Whether this output is the documented one; if so, remember what its names stand for."""
        aligned = _align(expected, actual)
        if aligned is None:
            return False
        learned = dict(self._actual)
        for shown, printed in aligned:
            for name, value in zip(_NAMES.findall(shown), _NAMES.findall(printed), strict=True):
                if learned.setdefault(name, value) != value:
                    return False
        self._actual = learned
        return True


def _align(expected: tuple[str, ...], actual: tuple[str, ...]) -> list[tuple[str, str]] | None:
    """Pairs of (shown line, printed line) of one shape, ``...`` taking any lines; None if they differ."""
    if not expected:
        return None if actual else []
    if expected[0].strip() == "...":
        rests = (_align(expected[1:], actual[skipped:]) for skipped in range(len(actual) + 1))
        return next((rest for rest in rests if rest is not None), None)
    if not actual or shape(expected[0]) != shape(actual[0]):
        return None
    rest = _align(expected[1:], actual[1:])
    return None if rest is None else [(expected[0], actual[0]), *rest]


def shape(line: str) -> str:
    """A line without what differs from run to run."""
    line = _NAMES.sub(_kind, line)
    for pattern, replacement in _NOISE:
        line = pattern.sub(replacement, line)
    return line


def _kind(name: re.Match[str]) -> str:
    text = name.group()
    if text.startswith("apr_"):
        return "<approval>"
    return "<token>" if text.startswith("eyJ") else f"<hex {len(text)}>"


@dataclass
class Session:
    """One document's run: a shell and a Python namespace over the same folder and the same home."""

    folder: Path  # empty; the work folder, the home and the shell's state are made inside
    bindings: Bindings = field(default_factory=Bindings)
    namespace: dict[str, object] = field(default_factory=lambda: {"__name__": "__main__"})
    status: int = 0

    def __post_init__(self) -> None:
        self.work = self.folder / "work"
        self.user = self.folder / "user"
        self._state = self.folder / "state"
        self.work.mkdir()
        self.user.mkdir()
        self._state.write_text(f"cd {self.work}\n", encoding="utf-8")

    @property
    def settings(self) -> dict[str, str]:
        """The variables that both the shell and the Python blocks see."""
        scripts = sysconfig.get_path("scripts")
        return {
            "HOME": str(self.user),
            "DELEGO_HOME": str(self.user / ".delego"),
            "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
            "NO_COLOR": "1",
            "COLUMNS": "100",
            "LC_ALL": "C.UTF-8",
            "PYTHONUTF8": "1",
            "TZ": "UTC",
        }

    def console(self, block: Block) -> None:
        """Run a console block. Raises DocumentError at the first command that prints something else."""
        listed = commands(block)
        for index, command in enumerate(listed):
            printed = self._shell(command)
            if not self.bindings.match(command.expected, printed):
                shown = "\n".join(["the document shows:", *command.expected, "it printed:", *printed])
                raise DocumentError(f"line {command.line}: $ {command.text}\n{shown}")
            follower = listed[index + 1].text if index + 1 < len(listed) else ""
            if self.status not in (0, 3) and follower != "echo $?":
                shown = "\n".join(printed)
                raise DocumentError(f"line {command.line}: exit status {self.status} is not shown\n{shown}")

    def python(self, block: Block) -> None:
        """Run a Python block in the folder the shell began in. Raises DocumentError if it raises."""
        padding = "\n" * (block.line - 1)  # so that a traceback names the document's line
        try:
            code = compile(padding + block.text, "<document>", "exec", dont_inherit=True)
            with self._surroundings():
                exec(code, self.namespace)  # noqa: S102 - our own document
        except Exception as error:
            raise DocumentError(f"block at line {block.line}: {type(error).__name__}: {error}") from error

    def _shell(self, command: Command) -> tuple[str, ...]:
        # The state file carries folder and variables (`set -a` exports them all) to the next command.
        script = (
            f'. "{self._state}"; set -a; trap \'s=$?; {{ declare -px; echo "cd $(printf %q "$PWD")"; }} '
            f'>"{self._state}"; exit $s\' EXIT; (exit {self.status}); eval "$1"'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", script, "bash", self.bindings.apply(command.text)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.settings},
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT,
            check=False,
        )
        self.status = done.returncode
        return _trimmed(done.stdout.replace(str(self.user), "~").splitlines())

    @contextlib.contextmanager
    def _surroundings(self) -> Iterator[None]:
        before, folder = dict(os.environ), Path.cwd()
        os.environ.update(self.settings)
        os.chdir(self.work)
        try:
            yield
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(before)


def run_document(document: str, folder: Path) -> int:
    """Run all blocks of a document in order and return how many ran. Raises DocumentError."""
    session = Session(folder)
    ran = 0
    for block in blocks(document):
        if not block.runs:
            continue
        ran += 1
        if block.info[0] == "python":
            session.python(block)
        else:
            session.console(block)
    return ran
