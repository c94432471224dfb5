"""Homes: made whole, opened strictly, and never begun anew over lost evidence."""

from __future__ import annotations

import contextlib
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from delego_authorizer import (
    ConfigError,
    DelegoAuthorizerError,
    Home,
    HomeError,
    PrincipalError,
    init_home,
    open_home,
)
from delego_authorizer import home as module
from delego_broker import CallableBroker
from delego_ledger.anchorfile import latest_anchor, read_anchors
from delego_ledger.errors import (
    AnchorFileError,
    DelegoLedgerError,
    KeyFileError,
    ReadOnlyLedger,
    StorageError,
)
from delego_ledger.keyfiles import load_public_key, write_public_key
from delego_spec.action import Action
from delego_spec.errors import PolicyError
from houses import ALICE_KEY, FakeClock, Ids, Service, park, read, receipts, verified

ORDER = Action(
    "place an order",
    "POST",
    "https://api.example.com/orders",
    {"amount": 7, "currency": "USD", "destination": "internal"},
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return init_home(tmp_path / "home", approver="alice")


@pytest.fixture(autouse=True)
def ledgers_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened: list[Any] = []
    original = Home.ledger

    def ledger(self: Home, *arguments: Any, **more: Any) -> Any:
        opened.append(original(self, *arguments, **more))
        return opened[-1]

    monkeypatch.setattr(Home, "ledger", ledger)
    yield
    for one in opened:
        one.close()


def replace_config(home: Home, text: str) -> None:
    home.config_path.write_text(text)


def test_a_new_home_has_everything_readable_by_its_owner_alone(home: Home) -> None:
    names = {path.relative_to(home.path).as_posix() for path in home.path.rglob("*") if path.is_file()}
    assert names == {
        "policy.yaml",
        "config.toml",
        "ledger.db",
        "ledger.db.lock",
        "keys/ledger.pem",
        "keys/ledger.pub",
        "keys/token.pem",
        "keys/token.pub",
    }
    assert home.exists
    assert home.require() is home
    for path in (home.path, home.keys_path, home.approvers_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for name in ("policy.yaml", "config.toml", "keys/ledger.pem", "keys/token.pem", "ledger.db"):
        assert stat.S_IMODE((home.path / name).stat().st_mode) & 0o077 == 0
    assert home.config().approvers == ("alice",)
    assert home.public_key() == load_public_key(home.keys_path / "ledger.pem")
    assert home.public_key() != load_public_key(home.keys_path / "token.pub")


def test_a_new_home_works_at_once(home: Home) -> None:
    service = Service()
    authorizer = open_home(str(home.path), CallableBroker(service))
    assert authorizer.propose(read()).executed
    approval_id = park(authorizer, ORDER)
    assert authorizer.decide(approval_id, "approve", "alice").accepted
    assert authorizer.resolve(approval_id, ORDER).executed
    assert service.calls == 2
    verified(authorizer.ledger)


def test_opening_a_home_recovers_what_a_crash_left(home: Home) -> None:
    clock = FakeClock()
    authorizer = home.authorizer(CallableBroker(Service()), clock=clock, randomness=Ids())
    authorizer._execute = None  # type: ignore[method-assign,assignment]  # the process dies here
    with pytest.raises(TypeError):
        authorizer.propose(read())
    clock.pass_seconds(3600)
    again = home.authorizer(clock=clock)
    assert again.ledger.executions() == ()
    assert receipts(again.ledger)[-1].reasons[-1].startswith("outcome unknown: ")


def test_a_home_is_never_made_twice(home: Home) -> None:
    before = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()}
    with pytest.raises(HomeError, match="is a home already; nothing was changed"):
        init_home(home.path, approver="bob")
    assert {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file()} == before


def test_a_lost_ledger_is_never_replaced_by_a_clean_one(home: Home) -> None:
    home.ledger_path.unlink()
    with pytest.raises(HomeError, match=r"its ledger is missing: restore it from a copy; nothing"):
        init_home(home.path, approver="alice")
    with pytest.raises(HomeError, match=r"its ledger 'ledger.db' is missing; restore it from a copy"):
        home.authorizer()
    assert not home.ledger_path.exists()


def test_a_ledger_without_its_key_gets_no_other_key(home: Home) -> None:
    shutil.rmtree(home.keys_path)
    with pytest.raises(HomeError, match=r"'keys/ledger.pem' is missing: restore it from a copy"):
        init_home(home.path, approver="alice")
    assert not home.keys_path.exists()


def test_a_home_that_lost_its_keys_is_not_called_none(home: Home) -> None:
    shutil.rmtree(home.keys_path)
    with pytest.raises(HomeError, match=r"is not whole: 'keys/ledger.pub' is missing; restore it"):
        home.require()
    home.ledger_path.unlink()
    with pytest.raises(HomeError, match="there is no home here; make one with 'delego init'"):
        home.require()


@pytest.mark.parametrize(
    "missing",
    [
        ["keys/ledger.pub"],
        ["keys/ledger.pub", "keys/token.pub"],
        ["keys/ledger.pub", "keys/token.pub", "keys/token.pem", "ledger.db"],
        ["keys/ledger.pub", "keys/token.pub", "ledger.db", "config.toml"],
        ["keys/ledger.pub", "policy.yaml"],
    ],
)
def test_an_interrupted_making_is_finished_and_keeps_what_is_there(home: Home, missing: list[str]) -> None:
    for name in missing:
        (home.path / name).unlink()
    assert not home.exists
    with pytest.raises(HomeError, match="delego init"):
        home.authorizer()
    kept = (home.keys_path / "ledger.pem").read_bytes()
    assert init_home(home.path, approver="alice") == home
    assert (home.keys_path / "ledger.pem").read_bytes() == kept
    assert home.authorizer().propose(read()).allowed


def test_own_texts_are_checked_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / "home"
    with pytest.raises(PolicyError):
        init_home(path, approver="alice", policy_text="rules: []")
    with pytest.raises(ConfigError):
        init_home(path, approver="alice", config_text="surprise = 1")
    with pytest.raises(PrincipalError):
        init_home(path, approver="al ice")
    assert not path.exists()
    home = init_home(path, approver="alice", policy_text="default: allow", config_text="")
    assert home.policy().default == "allow"
    assert home.config().approvers == ()


def test_what_stands_in_the_way_is_said_in_this_rooms_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make"):
        init_home(tmp_path / "file" / "home", approver="alice")
    long = tmp_path / ("x" * 300)
    for ask in (
        lambda: init_home(long, approver="alice"),
        lambda: open_home(long),
        lambda: Home(long).exists,
    ):
        with pytest.raises(HomeError, match="cannot be looked at: file name too long"):
            ask()
    with pytest.raises(HomeError, match="home"):
        open_home("~nobody-of-this-name/home")
    with pytest.raises((DelegoAuthorizerError, DelegoLedgerError)):
        open_home(tmp_path / "nothing\0here")


def test_what_a_home_lacks_is_said_with_its_name(home: Home) -> None:
    home.config_path.unlink()
    with pytest.raises(ConfigError, match=r"config.toml: is missing"):
        home.authorizer()
    home.policy_path.write_bytes(b"default: deny # \xff")
    with pytest.raises(PolicyError, match=r"policy.yaml: is not UTF-8 \(byte 16\)"):
        home.policy()
    home.policy_path.unlink()
    with pytest.raises(PolicyError, match=r"policy.yaml: is missing"):
        home.policy()
    home.policy_path.mkdir()
    with pytest.raises(StorageError, match="cannot read"):
        home.policy()


def test_a_ledger_of_another_key_is_refused(home: Home, tmp_path: Path) -> None:
    other = init_home(tmp_path / "other", approver="alice")
    shutil.copy(other.ledger_path, home.ledger_path)
    with pytest.raises(ReadOnlyLedger, match="its receipts are signed by key"):
        home.authorizer()


def test_tokens_need_their_key(home: Home) -> None:
    replace_config(home, '[tokens]\naudience = "broker"')
    assert home.authorizer().propose(read()).token is not None
    (home.keys_path / "token.pem").unlink()
    with pytest.raises(KeyFileError):
        home.authorizer()
    replace_config(home, "")
    assert home.authorizer().propose(read()).token is None


def test_one_key_for_two_roles_is_refused(home: Home) -> None:
    replace_config(home, '[tokens]\naudience = "broker"')
    shutil.copy(home.keys_path / "ledger.pem", home.keys_path / "token.pem")
    with pytest.raises(HomeError, match="the ledger and the tokens have the same key"):
        home.authorizer()


def test_approver_keys_are_read_by_name(home: Home) -> None:
    assert home.approver_keys() == {}
    write_public_key(home.approvers_path / "alice.pub", ALICE_KEY.public_key)
    assert home.approver_keys() == {"alice": ALICE_KEY.public_key}
    shutil.rmtree(home.approvers_path)
    assert home.approver_keys() == {}


def test_heads_are_kept_as_often_as_configured(home: Home) -> None:
    replace_config(home, '[anchors]\nfile = "kept/anchors.txt"\nevery = 4')
    (home.path / "kept").mkdir()
    path = home.anchor_path(home.config())
    assert path == home.path / "kept" / "anchors.txt"
    authorizer = home.authorizer()
    for _ in range(5):  # two receipts each
        authorizer.propose(read())
    assert [line.anchor.seq for line in read_anchors(path)] == [1, 5, 9]
    again = home.authorizer()
    again.propose(read())
    again.propose(read())
    newest = latest_anchor(path)
    assert newest is not None
    assert newest.anchor == again.ledger.head()
    replace_config(home, "")
    assert home.anchor_path(home.config()) is None


def test_a_head_that_cannot_be_kept_is_reported_and_tried_again(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    replace_config(home, '[anchors]\nfile = "kept/anchors.txt"\nevery = 100')
    authorizer = home.authorizer()
    assert authorizer.propose(read()).allowed  # the folder is not there
    assert "the head anchor could not be kept" in caplog.text
    (home.path / "kept").mkdir()
    authorizer.propose(read())
    assert [line.anchor.seq for line in read_anchors(home.path / "kept" / "anchors.txt")] == [3]


def test_a_file_of_anchors_that_is_none_stops_the_opening(home: Home) -> None:
    replace_config(home, '[anchors]\nfile = "anchors.txt"')
    (home.path / "anchors.txt").write_text("this is no anchor\n")
    with pytest.raises(AnchorFileError):
        home.authorizer()


def test_a_home_may_be_given_from_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    init_home("~/mine", approver="alice")
    assert (tmp_path / "mine" / "ledger.db").exists()
    assert open_home(Path("~/mine")).propose(read()).allowed


def test_two_that_make_one_home_at_once_do_not_mix_their_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "home"
    original = module._key
    first: list[Home] = []

    def key(file: Path) -> Any:
        if not first:
            monkeypatch.setattr(module, "_key", original)
            first.append(init_home(path, approver="alice"))
        return original(file)

    monkeypatch.setattr(module, "_key", key)
    with contextlib.suppress(DelegoAuthorizerError, DelegoLedgerError):
        init_home(path, approver="alice")
    assert first[0].authorizer().propose(read()).allowed


def test_a_home_that_names_a_gateway_is_not_opened_without_one(tmp_path: Path) -> None:
    text = '[tokens]\naudience = "https://broker.example"\n[broker]\nsocket = "s"\n'
    home = init_home(tmp_path / "home", approver="alice", config_text=text)
    with pytest.raises(HomeError, match="names a gateway"):
        home.authorizer()
    home.authorizer(CallableBroker(Service()))


def test_a_home_that_others_may_write_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = init_home(tmp_path / "home", approver="alice")
    monkeypatch.setattr(
        module, "foreign_hand", lambda path: "it is theirs" if path.name == "policy.yaml" else None
    )
    with pytest.raises(HomeError, match="is not used: it is theirs"):
        home.authorizer()
    assert home.ledger().head() is None  # reading it is another matter


@pytest.mark.skipif(sys.platform == "win32", reason="there are no modes")
def test_a_home_that_would_not_be_used_is_not_made() -> None:
    with tempfile.TemporaryDirectory() as folder:  # others get to it, unlike to pytest's
        Path(folder).chmod(0o755)
        for path in (Path(folder, "ready"), Path(folder, "open", "home")):
            open_one = path if path.name == "ready" else path.parent
            open_one.mkdir()
            open_one.chmod(0o777)
            with pytest.raises(HomeError, match=f"is not made: others can write .* chmod go-w {open_one}"):
                init_home(path, approver="alice")
            assert not [*open_one.iterdir()]
            open_one.chmod(0o755)
            assert init_home(path, approver="alice").authorizer().propose(read()).allowed


def test_a_home_that_cannot_be_looked_at_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match="cannot be looked at: not a directory"):
        Home(tmp_path / "file" / "home").check_own()
