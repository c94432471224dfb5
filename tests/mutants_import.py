"""How a mutant takes the place of the sound module: a replacement in its source, made while it is imported.

Each mutant is tried in a forked process that imports what is ours anew. What is not ours stays imported.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from mutants_model import Mutant

# Where a mutant may stand.
BREAKABLE: Final = ("delego_authorizer", "delego_broker", "delego_ledger", "delego_spec")


class PatchError(Exception):
    """The text that a mutant replaces does not stand in its module exactly once."""


def patched(mutant: Mutant, source: str) -> str:
    """The module's source with one rule broken."""
    if source.count(mutant.old) != 1:
        raise PatchError(f"{mutant.name}: found {source.count(mutant.old)} times in {mutant.module}")
    return source.replace(mutant.old, mutant.new)


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:  # never a cached one
        path = self.get_filename(fullname)
        return compile(patched(self._mutant, Path(path).read_text(encoding="utf-8")), path, "exec")


class Finder(importlib.abc.MetaPathFinder):
    """Puts the broken module in the place of the sound one."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        found = importlib.machinery.PathFinder.find_spec(fullname, path)
        if found is None or found.origin is None:
            return None
        loader = _Loader(self._mutant, found.origin)
        return importlib.util.spec_from_file_location(fullname, found.origin, loader=loader)


def put_in_place(mutant: Mutant) -> None:
    """Whoever imports the module from now on, in this process, has the broken one."""
    if mutant.module in sys.modules:
        raise PatchError(f"{mutant.module} is imported already")
    sys.meta_path.insert(0, Finder(mutant))


def forget(*importers: str) -> None:
    """The rooms that can be broken are imported anew from now on, and so are these, which import them."""
    for name in list(sys.modules):
        if any(name == one or name.startswith(f"{one}.") for one in (*BREAKABLE, *importers)):
            del sys.modules[name]


def freeze() -> None:
    """What is in memory is left out of garbage collection, which would make each child copy it."""
    gc.collect()
    gc.freeze()
