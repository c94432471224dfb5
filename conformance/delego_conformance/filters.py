"""Options that pick vectors by globs, shared by ``run`` and ``list``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import click

from delego_conformance.vectors import Vector

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Filter:
    """Vectors of which each kind of glob that is given matches one: any of one kind, all kinds."""

    suites: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.suites or self.sections or self.ids)

    def __call__(self, vector: Vector) -> bool:
        sections = [glob.removeprefix("§") for glob in self.sections]
        return (
            _matches(vector.suite, self.suites)
            and _matches(vector.section, sections)
            and _matches(vector.id, self.ids)
        )

    def checked(self, vectors: Sequence[Vector]) -> Filter:
        """Itself; raises UsageError if it matches nothing, which nobody means."""
        if not any(map(self, vectors)):
            hint = "'delego-conformance list' shows all"
            if self.suites:  # which only ``list --json`` names
                hint = f"the suites are {', '.join(dict.fromkeys(vector.suite for vector in vectors))}"
            raise click.UsageError(f"no vector matches {self.words()}; {hint}")
        return self

    def words(self) -> str:
        """As it was typed."""
        kinds = (("--suite", self.suites), ("--section", self.sections), ("--id", self.ids))
        return " ".join(f"{name} {glob!r}" for name, globs in kinds for glob in globs)


def filters(command: _F) -> _F:
    """Adds ``--suite``, ``--section`` and ``--id``; they arrive as ``suites``, ``sections`` and ``ids``."""
    for option in (
        click.option(
            "--id", "ids", multiple=True, metavar="GLOB", help="Vectors with these ids, as in FP-00*."
        ),
        click.option(
            "--section", "sections", multiple=True, metavar="GLOB", help="Of these sections: 4, 8.*"
        ),
        click.option(
            "--suite", "suites", multiple=True, metavar="GLOB", help="Of these suites: canonical, chain*"
        ),
    ):
        command = option(command)
    return command


def _matches(text: str, globs: Sequence[str]) -> bool:
    return not globs or any(fnmatchcase(text, glob) for glob in globs)
