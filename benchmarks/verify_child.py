"""Verifies one ledger in a process of its own, and prints receipts, seconds and peak megabytes."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from delego_ledger.sqlite import SQLiteLedger
from delego_ledger.verify import verify_lines


def main() -> int:
    path, jobs = Path(sys.argv[1]), int(sys.argv[2])
    ledger = SQLiteLedger.open(path)
    start = time.perf_counter()
    report = verify_lines(ledger.lines(), ledger.public_key, jobs=jobs)
    taken = time.perf_counter() - start
    peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    megabytes = peak / (1024 if sys.platform != "darwin" else 1024 * 1024)
    sys.stdout.write(f"{report.count if report.valid else 0} {taken} {megabytes:.1f}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
