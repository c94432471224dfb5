"""Writes into SPEC.md which vectors pin each clause and each ambiguity:
``python -m delego_conformance.generate.spec_links SPEC.md`` (``--check`` compares, for CI).

A clause without a vector has to say why: no vector is no accident. The reasons stand in the suites
(``NO_VECTOR``, ``OPEN_ERRATA``), beside the vectors that are there.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from delego_conformance.generate import suites
from delego_conformance.vectors import Vector, load_vectors

MARK: Final = "*Vectors:*"
NO_MARK: Final = "*No vector:*"
WIDTH: Final = 118

# A clause, and what this program wrote behind it the last time.
CLAUSE: Final = re.compile(
    r"^- \*\*\[(§[0-9.]+-[0-9]+)\]\*\* (?:.*(?:\n  (?!\*Vectors:\*|\*No vector:\*).*)*)"
    r"(?P<mark>\n  \*(?:Vectors|No vector):\*.*(?:\n  .*)*)?",
    re.MULTILINE,
)
_ERRATA: Final = re.compile(r"(?<=\n\| # \| § \| open \| decided \|)(?: vectors \|)?\n(?P<rows>(?:\|.*\n)+)")
_ROW: Final = re.compile(r"\| (?P<number>[0-9]+) \|(?:[^|]|\\\|)*\|(?:[^|]|\\\|)*\|(?:[^|]|\\\|)*\|")


def spans(ids: Iterable[str]) -> str:
    """Ids in order, runs of neighbours written as ``FP-0001 to FP-0012``."""
    runs: list[list[str]] = []
    for one in sorted(set(ids)):
        prefix, number = one.split("-")
        if runs and runs[-1][-1] == f"{prefix}-{int(number) - 1:04d}":
            runs[-1].append(one)
        else:
            runs.append([one])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def reasons() -> tuple[dict[str, str], dict[int, str]]:
    """Why a clause has no vector, and why an ambiguity stays open, from all suites."""
    clauses: dict[str, str] = {}
    errata: dict[int, str] = {}
    for found in pkgutil.iter_modules(suites.__path__, f"{suites.__name__}."):
        module = importlib.import_module(found.name)
        clauses.update(getattr(module, "NO_VECTOR", {}))
        errata.update(getattr(module, "OPEN_ERRATA", {}))
    return clauses, errata


def missing(text: str, vectors: Iterable[Vector]) -> list[str]:
    """Clauses and ambiguities of a specification that have neither a vector nor a reason."""
    pinned = _by_clause(vectors), _by_erratum(vectors)
    without, still_open = reasons()
    clauses = [found[1] for found in CLAUSE.finditer(text)]
    numbers = [int(row["number"]) for row in _ROW.finditer(_table(text))]
    return [
        *(clause for clause in clauses if clause not in pinned[0] and clause not in without),
        *(f"erratum {one}" for one in numbers if one not in pinned[1] and one not in still_open),
    ]


def linked(text: str, vectors: Iterable[Vector]) -> str:
    """The specification with the ids of these vectors behind each clause and ambiguity."""
    all_vectors = list(vectors)
    by_clause, by_erratum = _by_clause(all_vectors), _by_erratum(all_vectors)
    without, still_open = reasons()

    def clause(found: re.Match[str]) -> str:
        said = found[0].removesuffix(found["mark"] or "")
        ids = by_clause.get(found[1])
        mark = f"{MARK} {spans(ids)}." if ids else f"{NO_MARK} {without.get(found[1], 'missing.')}"
        return said + "\n" + textwrap.fill(mark, WIDTH, initial_indent="  ", subsequent_indent="  ")

    def table(found: re.Match[str]) -> str:
        rows = found["rows"].splitlines()
        written = [f"{rows[0].rstrip('|').rstrip()}|"] if rows else []
        written[0] = "|---|---|---|---|---|"
        for row in rows[1:]:
            parts = _ROW.match(row)
            if parts is None:
                raise ValueError(f"not a row of the errata: {row!r}")
            number = int(parts["number"])
            ids = by_erratum.get(number)
            said = spans(ids) if ids else f"open: {still_open.get(number, 'missing')}"
            written.append(f"{parts[0]} {said} |")
        return " vectors |\n" + "\n".join(written) + "\n"

    return _ERRATA.sub(table, CLAUSE.sub(clause, text))


def _table(text: str) -> str:
    found = _ERRATA.search(text)
    return found["rows"] if found else ""


def _by_clause(vectors: Iterable[Vector]) -> Mapping[str, list[str]]:
    found = defaultdict(list)
    for vector in vectors:
        for clause in vector.clauses:
            found[clause].append(vector.id)
    return found


def _by_erratum(vectors: Iterable[Vector]) -> Mapping[int, list[str]]:
    found = defaultdict(list)
    for vector in vectors:
        for number in vector.errata:
            found[number].append(vector.id)
    return found


def main(arguments: list[str]) -> int:
    """Rewrites the file, or with ``--check`` says whether that would change it."""
    path = Path(next(one for one in arguments if not one.startswith("-")))
    text = path.read_text(encoding="utf-8")
    vectors = load_vectors()
    lacking = missing(text, vectors)
    if lacking:
        print(f"without vector or reason: {', '.join(lacking)}", file=sys.stderr)
    written = linked(text, vectors)
    if "--check" not in arguments:
        path.write_text(written, encoding="utf-8")
        return 3 if lacking else 0
    return 3 if lacking or written != text else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
