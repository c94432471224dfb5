"""A ledger that another program changes under a running process: in place, and behind a symbolic link."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from chains import SIGNER
from delego_ledger.contract import Transaction
from delego_ledger.errors import DamagedLedger
from delego_ledger.sqlite import SQLiteLedger
from delego_spec.anchors import Anchor
from ledgers import entry


def append(transaction: Transaction) -> Anchor:
    return transaction.append(entry())


def test_receipts_cut_off_in_place_stop_the_process_that_wrote_them(tmp_path: Path) -> None:
    with closing(SQLiteLedger.create(tmp_path / "ledger.db", SIGNER)) as ledger:
        ledger.submit([append, append, append])
        with closing(sqlite3.connect(ledger.path)) as other:
            other.execute("DELETE FROM receipts WHERE seq = 2")
            other.commit()
        with pytest.raises(DamagedLedger, match="lost receipts: seq 2 "):
            ledger.submit([append])
        head = ledger.head()
        assert head is not None
        assert head.seq == 1  # nothing was signed in the place of what is gone


def test_receipts_of_other_writers_behind_its_own_newest_are_no_loss(tmp_path: Path) -> None:
    with (
        closing(SQLiteLedger.create(tmp_path / "ledger.db", SIGNER)) as ledger,
        closing(SQLiteLedger.open(tmp_path / "ledger.db", signer=SIGNER)) as neighbour,
    ):
        places = [one.submit([append])[0].seq for one in (ledger, neighbour, neighbour, ledger, neighbour)]
    assert places == [0, 1, 2, 3, 4]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed")
def test_a_log_removed_behind_a_symbolic_link_takes_no_acknowledged_receipt_with_it(tmp_path: Path) -> None:
    real, link = tmp_path / "real.db", tmp_path / "elsewhere" / "ledger.db"
    link.parent.mkdir()
    SQLiteLedger.create(real, SIGNER).close()
    link.symlink_to(real)
    with closing(SQLiteLedger.open(link, signer=SIGNER)) as ledger:
        ledger.submit([append])
        Path(f"{real}-wal").unlink()
        newest = ledger.submit([append])[0]
        with closing(SQLiteLedger.open(real)) as reader:
            assert reader.head() == newest
