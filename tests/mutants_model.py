"""What a mutant is."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One rule broken: in ``module``, ``old`` (found exactly once) becomes ``new``."""

    name: str
    module: str
    old: str
    new: str
    suites: tuple[
        str, ...
    ]  # where a vector that kills it should be, ids first; all others are tried after these


def of(module: str, *suites: str) -> _Of:
    """A short way to state several mutants of one module."""
    return _Of(module, suites)


class _Of:
    def __init__(self, module: str, suites: tuple[str, ...]) -> None:
        self._module, self._suites = module, suites

    def __call__(self, name: str, old: str, new: str, *suites: str) -> Mutant:
        return Mutant(name, self._module, old, new, suites or self._suites)
