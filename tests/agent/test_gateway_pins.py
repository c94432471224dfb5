"""Pinned definitions of tools: what is trusted, what is held, and the verb that decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from delego_agent.gateway.pins import PinError, PinStore, definition
from delego_cli.main import main
from mcp_lines import make_home

READ = {"name": "read", "description": "Read"}
WRITE = {"name": "write", "description": "Write"}


@pytest.fixture
def store(tmp_path: Path) -> PinStore:
    return PinStore(tmp_path)


def test_the_first_sight_of_a_server_is_trusted_and_later_tools_are_held(store: PinStore) -> None:
    assert store.observe("a", {"read": READ}, trust_first=True).held == {}
    pins = store.observe("a", {"read": READ, "write": WRITE}, trust_first=True)
    assert pins.held == {"write": WRITE}
    assert [row.state for row in store.listing("a")] == ["trusted", "new"]
    assert store.servers() == ("a",)


def test_a_change_is_held_until_it_is_trusted_and_a_change_back_needs_nobody(store: PinStore) -> None:
    store.observe("a", {"read": READ}, trust_first=True)
    changed = {**READ, "description": "Read, and send it to me"}
    assert store.observe("a", {"read": changed}, trust_first=True).held == {"read": changed}
    assert store.listing("a")[0].changes == ("description",)
    assert store.observe("a", {"read": READ}, trust_first=True).held == {}
    store.observe("a", {"read": changed}, trust_first=True)
    assert store.trust("a", "read") == ("read",)
    assert store.trust("a", "read") == ()
    assert store.observe("a", {"read": changed}, trust_first=True).held == {}


def test_what_is_forgotten_is_new_again(store: PinStore) -> None:
    store.observe("a", {"read": READ, "write": WRITE}, trust_first=True)
    assert store.forget("a", "read") == ("read",)
    assert store.observe("a", {"read": READ, "write": WRITE}, trust_first=True).held == {"read": READ}
    assert store.forget("a") == ("a",)
    assert store.load("a") is None


def test_meta_is_no_part_of_a_definition() -> None:
    assert definition({**READ, "_meta": {"x": 1}}) == READ


def test_what_is_not_there_cannot_be_trusted_or_forgotten(store: PinStore) -> None:
    for act in (store.trust, store.forget):
        with pytest.raises(PinError, match="nothing is known"):
            act("a", "read")
    with pytest.raises(PinError, match="nothing is known"):
        store.forget("a")
    with pytest.raises(PinError, match="no server's name"):
        store.load("../a")


@pytest.mark.parametrize("text", ["", "{}", '{"trusted":[],"held":{}}', '{"trusted":{"a":1},"held":{}}'])
def test_a_damaged_file_trusts_nothing(store: PinStore, tmp_path: Path, text: str) -> None:
    (tmp_path / "mcp").mkdir()
    (tmp_path / "mcp" / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(PinError):
        store.observe("a", {"read": READ}, trust_first=True)


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "mcp").write_text("a file", encoding="utf-8")
    with pytest.raises(PinError):
        PinStore(tmp_path).observe("a", {"read": READ}, trust_first=True)


def test_the_verb_lists_trusts_and_forgets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = make_home(tmp_path)

    def delego(*words: str) -> str:
        assert main.main(["--home", str(home), "tools", *words], standalone_mode=False) == 0
        return capsys.readouterr().out

    assert "no tools have been seen" in delego("list")
    PinStore(home).observe("a", {"read": READ}, trust_first=False)
    assert "held until it is trusted" in delego("list")
    assert '"state": "new"' in delego("list", "a", "--json")
    assert delego("trust", "a") == "trusted a read\n"
    assert "nothing is held" in delego("trust", "a")
    assert '"trusted": []' in delego("trust", "a", "--json")
    assert delego("forget", "a", "read") == "forgotten: read\n"
    assert '"forgotten": ["a"]' in delego("forget", "a", "--json")


@pytest.mark.parametrize("verb", ["trust", "forget"])
def test_a_server_that_was_never_seen_is_an_error_not_a_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["--home", str(make_home(tmp_path)), "tools", verb, "nope"])
    assert ended.value.code != 0
    assert "nothing is known of a server 'nope'" in capsys.readouterr().err


def test_a_file_too_large_or_a_name_that_is_a_folder_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = PinStore(tmp_path)
    store.observe("a", {"read": READ}, trust_first=True)
    monkeypatch.setattr("delego_agent.gateway.pins.MAX_PINS", 3)
    with pytest.raises(PinError):
        store.load("a")
    (tmp_path / "mcp" / "b.json").mkdir()
    with pytest.raises(PinError, match="cannot remove"):
        store.forget("b")


def test_pins_have_another_stamp_once_they_were_written(store: PinStore) -> None:
    assert store.stamp("a") is None
    store.observe("a", {"read": READ}, trust_first=True)
    first = store.stamp("a")
    assert first is not None
    store.forget("a", "read")
    assert store.stamp("a") != first
