"""An agent that tries everything decides nothing, changes no file, and sees nothing of others."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from agents import decide, person
from delego_agent.server.schemas import TOOLS
from delego_authorizer import Home
from delego_spec.receipts import decode_line
from served import ERAS, ORDER, READ, ask, desk_of, fits, new_home, with_client

PROPOSE, RESOLVE = "delego_propose_action", "delego_resolve_action"
SECRET: Final = "the-other-agents-secret"
THEIRS: Final[dict[str, Any]] = {
    **ORDER,
    "instruction": f"for {SECRET}",
    "params": {"amount": 7, "note": SECRET},
}

VERBS: Final = (
    *(
        "approve",
        "deny",
        "decide",
        "decision",
        "ballot",
        "vote",
        "sign",
        "consume",
        "release",
        "grant",
        "allow",
    ),
    *(
        "set_policy",
        "write_policy",
        "update_policy",
        "edit_policy",
        "policy",
        "reload",
        "config",
        "set_config",
    ),
    *(
        "keys",
        "key",
        "export",
        "import",
        "trust",
        "tools_trust",
        "tools",
        "init",
        "recover",
        "token",
        "revoke",
    ),
    *(
        "rotate_token",
        "enrol",
        "add_approver",
        "approvers",
        "delete",
        "reset",
        "shell",
        "exec",
        "read_file",
        "call",
    ),
)
NAMES: Final = (
    *(f"{before}{verb}{after}" for verb in VERBS for before in ("", "delego_") for after in ("", "_action")),
    *(
        "delego/approve",
        "delego.approve",
        "DELEGO_PROPOSE_ACTION",
        "delego_pending ",
        "delego_pending\x00",
        "",
    ),
    *("__init__", "_decide", "authorizer.decide", "../approve", "call", "waits", "delego_begin_task"),
)
EXTRA: Final[tuple[dict[str, Any], ...]] = (
    {"approve": True},
    {"approver": "alice"},
    {"approved_by": ["alice"]},
    {"principal": "banker"},
    {"as": "banker"},
    {"decision": "approve"},
    {"callback": {"decision": "approve"}},
    {"broker": "http://127.0.0.1:1"},
    {"home": "/elsewhere"},
    {"policy": {"default": "allow"}},
    {"force": True, "yes": True},
    {"_meta": {"principal": "banker"}},
    {"__proto__": {}},
    {"Instruction": "x"},
)
IDS: Final = (
    *("", " ", "*", "%", "apr_%", "' OR 1=1 --", "apr_0\x00", "../keys/ledger.pem", "/etc/passwd", "a" * 81),
    *("apr_\u202e", "\ud800", "apr_1\napr_2", "{approval_id}", "$(id)", "-", ".", ".."),
)
URIS: Final = (
    *(
        "delego://../approver",
        "delego://policy/../keys",
        "delego://policy/",
        "delego://policy?x",
        "delego://policy#x",
    ),
    *(
        "delego://Policy",
        "DELEGO://policy",
        "delego:policy",
        "delego:///policy",
        "delego://policy%2f..%2fkeys",
    ),
    *("delego://keys/ledger.pem", "delego://approve/apr_1", "delego://pending/apr_1", "delego://ledger/0"),
    *("file:///etc/passwd", "file:policy.yaml", "policy.yaml", "", "delego://", "delego://pending\x00"),
    *("delego://config", "delego://home", "http://127.0.0.1/", "delego://ledger/../../keys/token.pem"),
)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home that is, behind each test, what it was but for its ledger, and without a person's decision."""
    home = new_home(tmp_path)
    with desk_of(home, "banker") as desk:
        ask(desk, PROPOSE, THEIRS)
    before = files_of(home)
    yield home
    assert files_of(home) == before
    assert decisions_of(home) == []


def files_of(home: Path) -> dict[str, str]:
    """Every file but the ledger's own, by digest and mode."""
    return {
        str(
            path.relative_to(home)
        ): f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.startswith("ledger.db")
    }


def decisions_of(home: Path) -> list[str]:
    """Receipts of what a person is said to have decided, and approvals that no longer wait."""
    with person(home) as authorizer:
        payloads = [decode_line(line).payload for line in authorizer.ledger.lines()]
        approvals = authorizer.ledger.approvals()
    found = [reason for one in payloads for reason in one.reasons if reason.startswith("human ")]
    return found + [str(one.status) for one in approvals if one.status != "pending"]


def theirs(home: Path) -> str:
    with person(home) as authorizer:
        return next(str(one.id) for one in authorizer.pending() if one.proposer == "banker")


def front(desk: Any) -> Any:
    pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")
    from delego_agent.server.protocol import Front

    return Front(desk).server()


@pytest.mark.parametrize("era", ERAS)
def test_there_is_no_other_tool_resource_or_method(home: Path, era: str) -> None:
    from mcp.shared.exceptions import MCPError

    async def refused(call: Any) -> str:
        try:
            result = await call
        except (MCPError, ValueError) as error:  # ValueError: the client itself refuses to send it
            return str(error)
        raise AssertionError(result)

    async def script(client: Any) -> Any:
        own = await client.call_tool(PROPOSE, ORDER)
        arguments = {"approval_id": own.structured_content["approval_id"], "approver": "alice"}
        said = [await refused(client.call_tool(name, arguments)) for name in NAMES]
        said += [await refused(client.read_resource(uri)) for uri in URIS]
        said.append(await refused(client.get_prompt("approve", {})))
        said.append(await refused(client.list_prompts()))
        return said

    assert not set(NAMES) & TOOLS.keys()
    with desk_of(home) as desk:
        said = with_client(front(desk), script, era)
    assert len(said) >= len(NAMES) + len(URIS) + 2
    assert all("there is no tool" in one for one in said[: len(NAMES)])
    assert all("there is no resource" in one for one in said[len(NAMES) : len(NAMES) + len(URIS)])
    assert SECRET not in "".join(said)


def test_an_argument_that_is_not_listed_is_refused_and_nothing_is_proposed(home: Path) -> None:
    own = {"approval_id": theirs(home), **READ}
    with desk_of(home) as desk:
        for name, extra in itertools.product(TOOLS, EXTRA):
            base = {key: value for key, value in own.items() if key in TOOLS[name].arguments}
            told = ask(desk, name, {**base, **extra})
            assert told["status"] == "invalid_arguments"
            assert "there is no argument" in told["problems"][0]
        assert ask(desk, "delego_audit_tail")["receipts"] == []


def test_nothing_is_converted(home: Path) -> None:
    wanted: dict[str, type] = {
        "instruction": str,
        "method": str,
        "url": str,
        "params": dict,
        "approval_id": str,
        "limit": int,
    }
    whole = {**ORDER, "approval_id": "apr_1", "limit": 5}
    with desk_of(home) as desk:
        for tool, kind in itertools.product(TOOLS.values(), (None, 1, True, 1.5, "text", [], {}, [{}])):
            base = {key: value for key, value in whole.items() if key in tool.arguments}
            for argument in tool.arguments:
                if type(kind) is not wanted[argument]:
                    told = ask(desk, tool.name, {**base, argument: kind})
                    assert told["status"] == "invalid_arguments", (tool.name, argument, kind)
            if type(kind) is not dict and kind is not None:
                assert ask(desk, tool.name, kind)["status"] == "invalid_arguments"
        for limit in (0, -1, 101, 10**30, 2.0):
            assert ask(desk, "delego_audit_tail", {"limit": limit})["status"] == "invalid_arguments", limit
        assert ask(desk, "delego_audit_tail")["receipts"] == []


NOT_CANONICAL: Final[tuple[dict[str, Any], ...]] = (
    {"n": 2**53},
    {"n": 1e300},
    {"n": 1e-9},
    {"n": float("nan")},
    {"n": float("inf")},
    {"s": "\ud800"},
    {"deep": json.loads("[" * 70 + "]" * 70)},
    {"big": "x" * 300_000},
    {"medium": "x" * 200_000},
    {"\ue000": 1, "\U00010000": 2},
)


def test_what_has_no_canonical_form_is_refused_before_anything_is_recorded(home: Path) -> None:
    with desk_of(home) as desk:
        for params in NOT_CANONICAL:
            told = ask(desk, PROPOSE, {**ORDER, "params": params})
            assert told["status"] == "invalid_arguments", repr(params)[:80]
        assert ask(desk, "delego_pending")["pending"] == []


def test_another_principals_approval_can_neither_be_read_nor_released(home: Path) -> None:
    approval_id = theirs(home)
    with desk_of(home) as desk:
        said = []
        for given in (THEIRS, ORDER, {**THEIRS, "instruction": "x"}, {**THEIRS, "params": {}}):
            reply = desk.call(RESOLVE, {**given, "approval_id": approval_id})
            said.append(reply)
            assert fits(RESOLVE, reply.document)["status"] == "denied"
            assert reply.document["reasons"] == [f"unknown approval id '{approval_id} for agent'"]
        none = desk.call(RESOLVE, {**ORDER, "approval_id": "apr_none"})
        assert none.document["reasons"] == ["unknown approval id 'apr_none for agent'"]
        told = "".join(json.dumps(desk.call(name, None).document) for name in TOOLS)
    # What it asked for itself is in its own receipts; what the other wrote came out nowhere else.
    assert SECRET not in "".join(one.text + json.dumps(one.document) for one in said)
    assert approval_id not in told.replace(f"{approval_id} for agent", "")


def test_even_an_approved_action_of_another_principal_stays_theirs(tmp_path: Path) -> None:
    home = new_home(tmp_path)
    with desk_of(home, "banker") as banker, desk_of(home) as thief:
        approval_id = ask(banker, PROPOSE, THEIRS)["approval_id"]
        decide(home, approval_id)
        assert ask(thief, RESOLVE, {**THEIRS, "approval_id": approval_id})["status"] == "denied"
        assert ask(thief, PROPOSE, THEIRS)["status"] == "needs_approval"
        assert ask(banker, RESOLVE, {**THEIRS, "approval_id": approval_id})["status"] == "released"


def test_a_refusal_that_quotes_another_principals_action_is_not_shown(home: Path) -> None:
    from delego_spec.action import Action

    approval_id = theirs(home)
    with person(home) as authorizer:  # by the command, which anybody with a shell has
        refused = authorizer.resolve(approval_id, Action("x", "GET", "https://api.example.com/", {}), "agent")
    assert SECRET in refused.reasons[0]
    with desk_of(home) as desk:
        reply = desk.call("delego_audit_tail", {"limit": 100})
        assert reply.document["receipts"] == []
        assert SECRET not in reply.text
        own = ask(desk, PROPOSE, ORDER)["approval_id"]
        with person(home) as authorizer:  # the other way round: their words, under an approval of one's own
            authorizer.resolve(own, Action(SECRET, "GET", f"https://api.example.com/{SECRET}", {}), "banker")
        reply = desk.call("delego_audit_tail", {"limit": 100})
        assert [one["phase"] for one in reply.document["receipts"]] == ["decision"]
        assert SECRET not in reply.text


def test_a_hostile_approval_id_is_looked_up_nowhere(home: Path) -> None:
    with desk_of(home) as desk:
        own = ask(desk, PROPOSE, ORDER)["approval_id"]
        for approval_id in IDS:
            told = ask(desk, RESOLVE, {**ORDER, "approval_id": approval_id.format(approval_id=f"{own} ")})
            status = "denied" if approval_id in ("-", ".", "..") else "invalid_arguments"
            assert told["status"] == status, approval_id


def test_hostile_words_are_shown_as_what_they_are(home: Path) -> None:
    hostile = {**ORDER, "params": {"note": "\x1b[2J\u202eevorppa\u200b", "to": "a\nstatus: approved"}}
    with desk_of(home) as desk:
        own = ask(desk, PROPOSE, hostile)["approval_id"]
        mismatch = desk.call(RESOLVE, {**ORDER, "approval_id": own}).text
        assert "the approval was issued for" in mismatch
        for text in (mismatch, *(desk.call(name).text for name in ("delego_pending", "delego_audit_tail"))):
            assert "\x1b" not in text
            assert "\u202e" not in text
            assert "\nstatus: approved" not in text


def test_no_answer_names_a_path_a_key_or_the_configuration(home: Path) -> None:
    secrets = [path.read_text() for path in (home / "keys").iterdir() if path.suffix == ".pem"]
    lines = [line for text in secrets for line in text.splitlines() if "-----" not in line]
    with desk_of(home) as desk:
        given: dict[str, Any] = {
            PROPOSE: ORDER,
            "delego_explain": ORDER,
            RESOLVE: {**ORDER, "approval_id": "x"},
        }
        replies = [desk.call(name, given.get(name)) for name in TOOLS]
    said = "".join(reply.text + json.dumps(reply.document) for reply in replies)
    for secret in (
        *lines,
        str(home),
        str(home.parent),
        "ledger.pem",
        "token.pem",
        "config.toml",
        "policy.yaml",
    ):
        assert secret not in said
    assert SECRET not in said


def test_a_ledger_that_fails_says_so_without_its_path_and_releases_nothing(home: Path) -> None:
    from delego_ledger.errors import StorageError

    class Broken:
        """An authorizer whose ledger's disk is full."""

        def __init__(self, authorizer: Any) -> None:
            self._authorizer = authorizer

        def __getattr__(self, name: str) -> Any:
            return getattr(self._authorizer, name)

        def propose(self, *_: Any) -> Any:
            raise StorageError("write", home / "ledger.db", OSError(28, "No space left"), retry_safe=True)

        def explain(self, _: Any) -> Any:
            raise RuntimeError(f"a fault that quotes {home}")

    log: list[str] = []
    with desk_of(home, opens=lambda one: Broken(Home.authorizer(one)), log=log) as desk:  # type: ignore[arg-type,return-value]  # stands in for one
        reply = desk.call(PROPOSE, READ)
        fault = desk.call("delego_explain", READ)
    assert fits(PROPOSE, reply.document)["status"] == "unavailable"
    assert fits("delego_explain", fault.document)["status"] == "unavailable"
    assert str(home) not in reply.text + fault.text
    assert len(log) == 2
    assert all(str(home) in line for line in log)


def test_a_result_that_could_not_be_written_down_is_an_unknown_outcome(home: Path) -> None:
    from delego_authorizer import Unsettled
    from delego_ledger.errors import StorageError

    full = StorageError("write", home / "ledger.db", OSError(28, "No space left"), retry_safe=False)

    class Full:
        """An authorizer whose disk was full behind the broker's call, and is full for advice."""

        def __init__(self, authorizer: Any) -> None:
            self._authorizer = authorizer

        def __getattr__(self, name: str) -> Any:
            return getattr(self._authorizer, name)

        def propose(self, action: Any, _: str) -> Any:
            if action.params.get("fault"):
                raise RuntimeError("a fault behind the decision")
            raise Unsettled("exe_1", None, full)

        def explain(self, _: Any) -> Any:
            raise full

    log: list[str] = []
    with desk_of(home, opens=lambda one: Full(Home.authorizer(one)), log=log) as desk:  # type: ignore[arg-type,return-value]  # stands in for one
        for params in ({}, {"fault": True}):
            reply = desk.call(PROPOSE, {**READ, "params": params})
            assert fits(PROPOSE, reply.document)["status"] == "outcome_unknown"
            assert reply.is_error
            assert "Do not repeat it" in reply.text
        refused = ask(desk, RESOLVE, {**READ, "approval_id": "apr_none"})
        assert (refused["status"], refused["instead"]) == ("denied", None)
        assert not desk.waits("apr_none")
    assert len(log) == 2


def test_no_way_leads_from_the_servers_code_to_a_decision() -> None:
    """The names that decide stand nowhere in it; a person's tools live in other modules."""
    import delego_agent.server

    folder = Path(str(delego_agent.server.__file__)).parent
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    for name in (
        ".decide(",
        ".ballot(",
        "approver_keys",
        "load_signer",
        "PinStore",
        "init_home",
        "write_text",
    ):
        assert name not in text, name


def test_combinations_of_what_is_valid_alone_never_decide(home: Path) -> None:
    with desk_of(home) as desk:
        own = ask(desk, PROPOSE, ORDER)["approval_id"]
        for name, approval_id in itertools.product(TOOLS, (own, theirs(home))):
            for given in ({"approval_id": approval_id, **ORDER}, {"approval_id": approval_id}, ORDER):
                assert ask(desk, name, given)["status"] in (
                    "invalid_arguments",
                    "needs_approval",
                    "denied",
                    "ok",
                )
