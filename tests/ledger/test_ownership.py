"""Whether another account could put something else in the place of a file."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from delego_ledger import ownership
from delego_ledger.ownership import foreign_hand

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no user ids")
as_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root can give files away"
)
STRANGER = 61_803


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that others can get to, unlike pytest's, below the system's for temporary files."""
    folder = Path(tempfile.mkdtemp(prefix="delego-own-")).resolve()
    folder.chmod(0o755)
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    for one in (folder / "a", inner):
        one.chmod(0o755)
    (inner / "file").write_text("x")
    (inner / "file").chmod(0o600)
    yield inner
    shutil.rmtree(folder)


def test_a_file_of_this_account_below_folders_of_its_own_is_safe(place: Path) -> None:
    assert foreign_hand(place / "file") is None
    assert foreign_hand(place) is None


def test_a_relative_path_counts_from_the_current_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert foreign_hand("file") is None
    assert foreign_hand("../b/./file") is None
    place.parent.chmod(0o777)
    assert foreign_hand("file") is not None


def test_what_is_not_there_is_nobodys(place: Path) -> None:
    assert foreign_hand(place / "none" / "at all") is None


@pytest.mark.parametrize(
    ("mode", "problem"), [(0o777, True), (0o1777, False), (0o757, True), (0o755, False), (0o711, False)]
)
def test_a_folder_above_that_everybody_may_write(place: Path, mode: int, problem: bool) -> None:
    place.parent.chmod(mode)
    found = foreign_hand(place / "file")
    assert (found is not None) is problem
    if found is not None:
        said = f"others can write {str(place.parent)!r} (mode {mode:04o}); take that from them: chmod go-w"
        assert found == f"{said} {place.parent}"


def test_the_command_that_mends_a_folder_can_be_pasted(place: Path) -> None:
    spaced = place / "my project"
    spaced.mkdir()
    spaced.chmod(0o777)
    assert (foreign_hand(spaced) or "").endswith(f": chmod go-w '{spaced}'")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write(place: Path, mode: int) -> None:
    (place / "file").chmod(mode)
    assert "others can write" in (foreign_hand(place / "file") or "")


def test_what_others_cannot_get_to_they_cannot_write(place: Path) -> None:
    (place / "file").chmod(0o666)
    place.chmod(0o777)
    place.parent.chmod(0o700)
    assert foreign_hand(place / "file") is None
    beside = place.parent.parent / "open"
    beside.write_text("x")
    beside.chmod(0o666)
    assert foreign_hand(place / ".." / ".." / "open") is not None


@as_root
def test_a_group_that_may_write_a_folder_above_is_this_accounts_own_or_a_stranger(place: Path) -> None:
    place.parent.chmod(0o775)
    assert foreign_hand(place / "file") is None
    os.chown(place.parent, -1, STRANGER)
    assert "others can write" in (foreign_hand(place / "file") or "")


@as_root
def test_under_another_group_the_accounts_own_one_is_still_its_own(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwd = pytest.importorskip("pwd")
    entry = [*pwd.getpwuid(os.geteuid())]
    entry[3] = STRANGER
    os.chown(place.parent, -1, STRANGER)
    place.parent.chmod(0o775)
    assert foreign_hand(place / "file") is not None
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(entry))
    assert foreign_hand(place / "file") is None
    place.parent.chmod(0o777)
    assert foreign_hand(place / "file") is not None

    def unknown(_: int) -> None:
        raise KeyError

    place.parent.chmod(0o775)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert foreign_hand(place / "file") is not None


@as_root
@pytest.mark.parametrize("step", ["file", ".", ".."])
def test_a_step_of_another_account_is_named(place: Path, step: str) -> None:
    taken = (place / step).resolve()
    os.chown(taken, STRANGER, -1)
    said = f"{str(taken)!r} belongs to another account (uid {STRANGER}); work as that account, or with a home"
    assert (foreign_hand(place / "file") or "").startswith(said)


def test_links_are_followed_and_each_step_of_them_is_looked_at(place: Path) -> None:
    elsewhere = place.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "target").write_text("x")
    (place / "absolute").symlink_to(elsewhere / "target")
    (place / "relative").symlink_to("../elsewhere/target")
    (place / "folder").symlink_to("../elsewhere")
    names = ("absolute", "relative", "folder/target")
    assert [foreign_hand(place / name) for name in names] == [None] * 3
    elsewhere.chmod(0o777)
    assert all(foreign_hand(place / name) for name in names)


@as_root
def test_a_link_of_another_account_is_not_followed(place: Path) -> None:
    (place / "link").symlink_to("file")
    os.chown(place / "link", STRANGER, -1, follow_symlinks=False)
    assert f"uid {STRANGER}" in (foreign_hand(place / "link") or "")


def test_links_in_a_circle_have_an_end(place: Path) -> None:
    (place / "one").symlink_to("two")
    (place / "two").symlink_to("one")
    assert "too many symbolic links" in (foreign_hand(place / "one") or "")


@as_root
def test_in_a_user_namespace_the_accounts_outside_are_taken_for_root(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(place.parent, STRANGER, -1)
    for name, text in (("uid_map", "0 1000 1\n"), ("overflow", f"{STRANGER}\n")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(ownership, "_OVERFLOW_UID", tmp_path / "overflow")
    assert foreign_hand(place / "file") is not None
    monkeypatch.setattr(ownership, "_UID_MAP", tmp_path / "uid_map")
    assert foreign_hand(place / "file") is None
    (tmp_path / "uid_map").write_text("")
    assert foreign_hand(place / "file") is not None
