"""Mutants of our own core: one rule each, broken on purpose. The vectors of the kit have to kill every one.

python tests/mutants.py                 lists the names
python tests/mutants.py NAME            says which vector kills it first
python tests/mutants.py --part 1/4      the same for a quarter of them, a line each
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from delego_conformance.vectors import Vector, load_vectors
from mutants_decisions import DECISIONS
from mutants_evidence import EVIDENCE
from mutants_hashing import HASHING
from mutants_import import forget, freeze, put_in_place
from mutants_model import Mutant
from mutants_probes import PROBES

MUTANTS: Final[dict[str, Mutant]] = {
    mutant.name: mutant for mutant in (*HASHING, *DECISIONS, *EVIDENCE, *PROBES)
}


def prepare() -> tuple[Vector, ...]:
    """The vectors. What all children need is imported here, before they are forked; the core is not kept."""
    importlib.import_module("judging")
    forget("judging", "delego_conformance.adapters")
    return load_vectors()


def killer(mutant: Mutant, vectors: Sequence[Vector]) -> str | None:
    """The id of the first vector that this mutant fails, None if there is none. Once in a process."""
    put_in_place(mutant)
    from judging import first_failure  # only now: it imports what is to be broken

    named = [vector for vector in vectors if vector.id in mutant.suites]
    hinted = [vector for vector in vectors if vector.suite in mutant.suites]
    others = [vector for vector in vectors if vector.suite not in mutant.suites and vector.op != "session"]
    return first_failure(named) or first_failure(hinted) or first_failure(others)


def report(mutant: Mutant, vectors: Sequence[Vector]) -> str:
    """``name<TAB>id of the vector``, ``survives`` or what went wrong; found out in a child process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = killer(mutant, vectors) or "survives"
        except BaseException as error:  # noqa: BLE001  # a core so broken that it raises is judged by that
            said = f"raises {error!r}"
        os.write(writer, said.encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    return f"{mutant.name}\t{said or 'died'}"


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
    vectors = prepare()
    freeze()
    for name in names:
        print(report(MUTANTS[name], vectors), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
