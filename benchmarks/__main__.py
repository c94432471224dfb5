"""``python -m benchmarks``: a table for people, ``--json`` for machines. Exit 0 measured, 3 with ``--check``
when a goal was missed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.measure import Figure


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("case", nargs="*", help=f"any of: {', '.join(case.name for case in CASES)}")
    parser.add_argument("--receipts", type=int, default=1_000_000, help="in the long ledger (1,000,000)")
    parser.add_argument("--folder", type=Path, help="where to write; the disk decides what a commit costs")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--check", action="store_true", help="exit with 3 if a goal was missed")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.case) - {case.name for case in CASES})
    if unknown:
        parser.error(f"unknown case {unknown[0]!r}")
    if options.receipts < 1:
        parser.error("--receipts must be at least 1")
    figures: list[Figure] = []
    for case in CASES:
        if options.case and case.name not in options.case:
            continue
        if not options.json:
            sys.stderr.write(f"measuring {case.about} ...\n")
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            figures += case.run(Path(folder), options.receipts)
    sys.stdout.write(_as_json(figures) if options.json else _as_table(figures))
    return 3 if options.check and not all(figure.met for figure in figures) else 0


def _as_json(figures: list[Figure]) -> str:
    rows = [
        {
            "name": figure.name,
            "value": round(figure.value, 3),
            "unit": figure.unit,
            "goal": figure.goal,
            "goal_is": "at most" if figure.at_most else "at least",
            "met": figure.met,
            "detail": figure.detail,
        }
        for figure in figures
    ]
    machine = {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
    }
    return json.dumps({"machine": machine, "figures": rows}, indent=2) + "\n"


def _as_table(figures: list[Figure]) -> str:
    rows = [
        (
            figure.name,
            f"{figure.value:.2f} {figure.unit}",
            f"{'<=' if figure.at_most else '>='} {figure.goal:g} {figure.unit}",
            "met" if figure.met else "missed",
            figure.detail,
        )
        for figure in figures
    ]
    rows.insert(0, ("figure", "measured", "goal", "", "of what"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
