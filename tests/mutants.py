"""Mutants of our own core: one rule each, broken on purpose. The vectors of the kit have to kill every one.

    python tests/mutants.py                 lists the names
    python tests/mutants.py NAME            says which vector kills it first
    python tests/mutants.py --part 1/8      the same for an eighth of them, a line each

A mutant is a replacement in the source of one module, made while that module is imported.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from mutants_decisions import DECISIONS
from mutants_evidence import EVIDENCE
from mutants_hashing import HASHING
from mutants_model import Mutant
from mutants_probes import PROBES

MUTANTS: Final[dict[str, Mutant]] = {
    mutant.name: mutant for mutant in (*HASHING, *DECISIONS, *EVIDENCE, *PROBES)
}


# Imported once, before the children are forked: none of ours, which each child imports broken.
PRELOADED: Final = (
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "delego_conformance.judge",
    "delego_conformance.vectors",
    "jsonschema_rs",
    "jwt",
    "msgspec",
    "nacl.bindings",
    "rfc8785",
    "sqlite3",
    "yaml",
)


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


def killer(name: str) -> str | None:
    """The id of the first vector that this mutant fails, None if there is none. Once in a process."""
    mutant = MUTANTS[name]
    if mutant.module in sys.modules:
        raise PatchError(f"{mutant.module} is imported already")
    sys.meta_path.insert(0, Finder(mutant))
    # Only now: these import what is to be broken.
    from delego_conformance.vectors import load_vectors
    from judging import first_failure

    vectors = load_vectors()
    hinted = [vector for vector in vectors if vector.suite in mutant.suites]
    others = [vector for vector in vectors if vector.suite not in mutant.suites and vector.op != "session"]
    return first_failure(hinted) or first_failure(others)


def report(name: str) -> str:
    """``name<TAB>id of the vector``, ``survives`` or what went wrong; found out in a child process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = killer(name) or "survives"
        except BaseException as error:  # noqa: BLE001  # a core so broken that it raises is judged by that
            said = f"raises {error!r}"
        os.write(writer, said.encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    return f"{name}\t{said or 'died'}"


def main(arguments: list[str]) -> int:
    """Runs one mutant or a part of them, or lists all."""
    names = list(MUTANTS)
    if not arguments:
        print("\n".join(names))
        return 0
    if arguments[0] == "--part":
        part, parts = map(int, arguments[1].split("/"))
        names = names[part - 1 :: parts]
    else:
        names = arguments
    for library in PRELOADED:
        importlib.import_module(library)
    for name in names:
        print(report(name), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
