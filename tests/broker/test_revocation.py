"""The list of revoked tokens: what stands on it is refused, and what cannot be read permits nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from delego_broker import RevocationError, RevocationList, Revoked
from delego_spec.types import EpochSeconds
from forge import NOW

UNTIL = EpochSeconds(NOW + 420)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "revoked.jsonl"


def test_a_revoked_token_is_known_to_every_reader_at_once(path: Path) -> None:
    path.touch()
    reader = RevocationList(path)
    assert not reader.is_revoked("a")
    assert RevocationList(path).revoke("a", UNTIL)
    assert reader.is_revoked("a")
    assert not reader.is_revoked("A")
    assert RevocationList(path).revoke("b", UNTIL)
    assert reader.is_revoked("a")
    assert reader.is_revoked("b")


def test_the_first_revocation_makes_the_file(path: Path) -> None:
    assert RevocationList(path).revoke("a", UNTIL)
    assert path.read_text() == f'{{"jti":"a","until":{UNTIL}}}\n'
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_entry_is_written_once_and_never_shortened(path: Path) -> None:
    revoked = RevocationList(path)
    assert revoked.revoke("a", UNTIL)
    assert not revoked.revoke("a", EpochSeconds(NOW))
    assert revoked.entries() == (Revoked("a", UNTIL),)
    assert not revoked.revoke("a", EpochSeconds(UNTIL + 1))
    assert revoked.entries() == (Revoked("a", EpochSeconds(UNTIL + 1)),)


def test_any_name_that_a_token_can_have_is_found_again(path: Path) -> None:
    revoked = RevocationList(path)
    names = ["a b", "a\nb", '"', "é", "\0", "x" * 8000, "{}"]
    for name in names:
        revoked.revoke(name, UNTIL)
    assert [entry.jti for entry in revoked.entries()] == names
    assert all(map(revoked.is_revoked, names))


def test_a_purge_removes_what_is_dead_and_nothing_else(path: Path) -> None:
    revoked = RevocationList(path)
    revoked.revoke("a", UNTIL)
    revoked.revoke("b", EpochSeconds(UNTIL + 1))
    assert revoked.purge(EpochSeconds(UNTIL - 1)) == 0
    assert revoked.purge(UNTIL) == 1
    assert not revoked.is_revoked("a")
    assert revoked.is_revoked("b")


@pytest.mark.parametrize(
    "data",
    [
        b'{"jti":"a","until":5}',
        b"\n",
        b"a\n",
        b'{"jti":"a"}\n',
        b'{"jti":"","until":5}\n',
        b'{"jti":5,"until":5}\n',
        b'{"jti":"a","until":-1}\n',
        b'{"jti":"a","until":5.5}\n',
        b'{"jti":"a","until":5,"x":1}\n',
        b'{"jti":"a","jti":"b","until":5}\n',
        b'{"jti":"a","until":5}\n\xff\n',
    ],
)
def test_a_list_that_is_wrong_anywhere_is_not_read_in_part(path: Path, data: bytes) -> None:
    revoked = RevocationList(path)
    revoked.revoke("x", UNTIL)
    assert revoked.is_revoked("x")
    path.write_bytes(data)
    for _ in range(2):
        with pytest.raises(RevocationError, match="no token is accepted"):
            revoked.is_revoked("x")
    with pytest.raises(RevocationError):
        revoked.revoke("y", UNTIL)
    assert path.read_bytes() == data


def test_a_missing_list_permits_nothing_until_it_is_back(path: Path) -> None:
    revoked = RevocationList(path)
    revoked.revoke("a", UNTIL)
    assert revoked.is_revoked("a")
    path.rename(path.with_name("away"))
    for _ in range(2):
        with pytest.raises(RevocationError, match="no such file"):
            revoked.is_revoked("b")
    path.with_name("away").rename(path)
    assert revoked.is_revoked("a")


def test_a_list_that_is_there_and_cannot_be_read_permits_nothing(path: Path) -> None:
    path.mkdir()
    with pytest.raises(RevocationError, match="directory"):
        RevocationList(path).is_revoked("a")


def test_a_list_that_is_too_long_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delego_broker.revocation.MAX_BYTES", 50)
    revoked = RevocationList(path)
    revoked.revoke("a", UNTIL)
    revoked.revoke("b", UNTIL)
    with pytest.raises(RevocationError, match="purge"):
        revoked.is_revoked("a")


def test_a_list_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(RevocationError, match="cannot be changed"):
        RevocationList(tmp_path / "missing" / "revoked.jsonl").revoke("a", UNTIL)
    with pytest.raises(RevocationError, match="written down"):
        RevocationList(tmp_path / "revoked.jsonl").revoke("\ud800", UNTIL)


@pytest.mark.parametrize("jti", ["", "x" * 8193, None, 5])
def test_a_name_that_no_token_can_have_is_refused(path: Path, jti: str) -> None:
    with pytest.raises(ValueError, match="jti"):
        RevocationList(path).revoke(jti, UNTIL)


@pytest.mark.parametrize("until", [-1, 1.0, True, None])
def test_an_until_that_is_no_second_is_refused(path: Path, until: EpochSeconds) -> None:
    with pytest.raises(ValueError, match="until"):
        RevocationList(path).revoke("a", until)


def test_writers_of_several_processes_lose_no_entry(path: Path) -> None:
    script = (
        "import sys; from delego_broker import RevocationList\n"
        "for n in range(20): RevocationList(sys.argv[1]).revoke(f'{sys.argv[2]} {n}', 5)"
    )
    children = [subprocess.Popen([sys.executable, "-c", script, str(path), str(n)]) for n in range(4)]
    assert [child.wait(120) for child in children] == [0] * 4
    assert len(RevocationList(path).entries()) == 80
