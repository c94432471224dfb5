"""The server's tools: what each answers, in words and as an object that fits its schema, in both eras."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from agents import decide, executions, receipts
from delego_agent.errors import ClientClosed
from delego_authorizer import Home
from delego_broker.callable import CallableBroker
from delego_spec.gateway import NotSent, Refused
from served import ERAS, ORDER, POLICY, READ, ask, desk_of, fits, new_home, with_client

PROPOSE, RESOLVE = "delego_propose_action", "delego_resolve_action"
LOOKS = ("delego_pending", "delego_audit_tail", "delego_show_policy", "delego_explain")
PAY = {
    "instruction": "pay ann",
    "method": "POST",
    "url": "https://api.example.com/pay",
    "params": {"amount": 250, "currency": "USD", "to": "eve"},
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return new_home(tmp_path)


def front(desk: Any, **more: Any) -> Any:
    pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")
    from delego_agent.server.protocol import Front

    return Front(desk, **more).server()


@pytest.mark.parametrize("era", ERAS)
def test_a_client_of_each_era_sees_the_tools_and_the_resources(home: Path, era: str) -> None:
    async def script(client: Any) -> Any:
        tools = (await client.list_tools()).tools
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        read = [await client.read_resource(one.uri) for one in resources]
        return client.protocol_version, tools, resources, templates, read

    with desk_of(home) as desk:
        version, tools, resources, templates, read = with_client(front(desk), script, era)
    assert version == ("2025-11-25" if era == "legacy" else era)
    assert [tool.name for tool in tools] == [PROPOSE, RESOLVE, *LOOKS]
    assert [str(one.uri) for one in resources] == ["delego://policy", "delego://pending", "delego://ledger"]
    assert templates == []
    names = ("delego_show_policy", "delego_pending", "delego_audit_tail")
    for name, one in zip(names, read, strict=True):
        assert fits(name, json.loads(one.contents[0].text))["status"] == "ok"


def test_the_annotations_say_what_is_only_looked_at(home: Path) -> None:
    async def script(client: Any) -> Any:
        return (await client.list_tools()).tools

    with desk_of(home) as desk:
        tools = {tool.name: tool for tool in with_client(front(desk), script)}
    for name, tool in tools.items():
        looks = name in LOOKS
        hints = tool.annotations
        assert hints.read_only_hint is looks
        assert hints.destructive_hint is not looks
        assert hints.idempotent_hint is looks
        assert hints.open_world_hint is not looks
        assert tool.input_schema["additionalProperties"] is False
        assert "principal" not in tool.input_schema["properties"]


@pytest.mark.parametrize("era", ERAS)
def test_results_are_structured_and_in_words(home: Path, era: str) -> None:
    async def script(client: Any) -> Any:
        return [await client.call_tool(PROPOSE, arguments) for arguments in (READ, ORDER, PAY, {})]

    with desk_of(home) as desk:
        results = with_client(front(desk), script, era)
    documents = [fits(PROPOSE, one.structured_content) for one in results]
    assert [one["status"] for one in documents] == [
        "released",
        "needs_approval",
        "denied",
        "invalid_arguments",
    ]
    assert [one.is_error for one in results] == [False, False, False, True]
    words = [one.content[0].text for one in results]
    assert "You may do it now" in words[0]
    assert documents[1]["approval_id"] in words[1]
    assert documents[1]["expires_at"] in words[1]
    assert "Do not run it" in words[1]
    assert "delego_resolve_action" in words[1]
    assert "amount: 250 exceeds max 100 USD" in words[2]
    assert "'method' is missing" in words[3]


def test_a_denial_says_what_would_be_allowed_by_the_rule_that_matched(home: Path) -> None:
    with desk_of(home) as desk:
        document = ask(desk, PROPOSE, PAY)
        assert document["instead"] == {
            "failed": [
                {
                    "constraint": "amount",
                    "reason": "amount: 250 exceeds max 100 USD",
                    "allowed": {"field": "amount", "max": 100, "currency": "USD"},
                },
                {
                    "constraint": "allow_list",
                    "reason": "allow_list: to='eve' not in ['ann', 'bob']",
                    "allowed": {"field": "to", "in": ["ann", "bob"]},
                },
            ],
            "rules": [],
        }
        better = {**PAY, "params": {"amount": 100, "currency": "USD", "to": "ann"}}
        assert ask(desk, PROPOSE, better)["status"] == "released"


def test_a_denial_by_default_names_the_nearest_rules_and_where_the_action_differs(home: Path) -> None:
    with desk_of(home) as desk:
        reply = desk.call(PROPOSE, {**READ, "url": "https://api.example.com/cards"})
        found = fits(PROPOSE, reply.document)["instead"]["rules"]
        assert [one["rule"] for one in found] == ["reads", "pays", "few", "orders"]
        assert found[0]["differs"] == ["path is '/cards', wanted '/accounts/*'"]
        assert found[1]["constraints"]["allow_list"] == {"field": "to", "in": ["ann", "bob"]}
        assert found[3]["description"] == "A person looks at orders"
        assert "wanted '/accounts/*'" in reply.text
        elsewhere = ask(desk, PROPOSE, {**READ, "url": "https://other.example/accounts/me"})
        assert elsewhere["instead"]["rules"][0]["match"]["host"] == "api.example.com"


def test_what_is_forbidden_and_what_is_a_hazard_say_so(home: Path) -> None:
    with desk_of(home) as desk:
        forbidden = ask(desk, PROPOSE, {**READ, "method": "DELETE"})
        assert forbidden["reasons"] == ["forbidden: Nothing is deleted"]
        assert forbidden["instead"]["rules"][0]["rule"] == "reads"
        hazard = ask(desk, PROPOSE, {**READ, "url": "http://api.example.com/accounts/me"})
        assert hazard["reasons"][0].startswith("hazard: scheme")
        assert hazard["instead"] == {"failed": [], "rules": []}


def test_a_rule_that_cannot_help_is_not_named(tmp_path: Path) -> None:
    rules = (
        "  - { name: every, decision: allow, match: { host: api.example.com } }\n"
        "  - { name: mail, decision: allow, match: { host: api.example.com, method: POST, path: /mail } }\n"
        "  - { name: other, decision: allow, match: { host: other.example, method: DELETE } }\n"
    )
    head = "version: 1\ndefault: deny\nforbidden: [{ name: no, match: { method: DELETE } }]\n"
    policy = f"{head}rules:\n{rules}"
    with desk_of(new_home(tmp_path, policy)) as desk:
        found = ask(desk, PROPOSE, {**READ, "method": "DELETE"})["instead"]["rules"]
    assert [one["rule"] for one in found] == ["mail"]


def test_a_rate_limit_that_is_used_up_is_named(home: Path) -> None:
    few = {**ORDER, "url": "https://api.example.com/few"}
    with desk_of(home) as desk:
        assert ask(desk, PROPOSE, few)["status"] == "released"
        denied = ask(desk, PROPOSE, few)
    assert denied["instead"]["failed"][0]["allowed"] == {"max": 1, "per": "day"}


def test_what_a_person_approved_is_released_once(home: Path) -> None:
    with desk_of(home) as desk:
        parked = ask(desk, PROPOSE, ORDER)
        release = {**ORDER, "approval_id": parked["approval_id"]}
        again = ask(desk, RESOLVE, release)
        assert (again["status"], again["reasons"]) == ("needs_approval", ["awaiting human approval"])
        assert again["expires_at"] == parked["expires_at"]
        decide(home, parked["approval_id"])
        assert ask(desk, RESOLVE, release)["status"] == "released"
        spent = ask(desk, RESOLVE, release)
        assert spent["status"] == "denied"
        assert "This yes was spent" in spent["next"]
        assert spent["instead"] is None


def test_an_action_that_is_proposed_again_meets_the_approval_it_has(home: Path) -> None:
    with desk_of(home) as desk:
        first, second = ask(desk, PROPOSE, ORDER), ask(desk, PROPOSE, ORDER)
        assert first["approval_id"] == second["approval_id"]
        assert len(ask(desk, "delego_pending")["pending"]) == 1
        decide(home, first["approval_id"], "deny")
        refused = ask(desk, PROPOSE, ORDER)
        assert refused["reasons"] == ["human denied this action"]
        assert "A person said no" in refused["next"]


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"params": {"amount": 9999, "currency": "USD"}}, "exactly the action"),
        ({"instruction": "buy a house"}, "exactly the action"),
        ({"approval_id": "apr_none"}, "no approval of this id"),
    ],
)
def test_a_release_of_something_else_is_refused_with_advice(home: Path, change: Any, advice: str) -> None:
    with desk_of(home) as desk:
        parked = ask(desk, PROPOSE, ORDER)
        decide(home, parked["approval_id"])
        refused = ask(desk, RESOLVE, {**ORDER, "approval_id": parked["approval_id"], **change})
    assert refused["status"] == "denied"
    assert advice in refused["next"]
    assert receipts(home)[-1][:2] == ("execution", "deny")


def test_pending_and_the_ledger_show_the_principals_own_alone(home: Path) -> None:
    with desk_of(home, "shopper") as shopper, desk_of(home, "banker") as banker:
        secret = {**ORDER, "instruction": "a secret errand", "params": {"amount": 7}}
        parked = ask(banker, PROPOSE, secret)
        ask(banker, PROPOSE, READ)
        ask(shopper, PROPOSE, {**READ, "url": "https://api.example.com/accounts/1"})
        decide(home, parked["approval_id"])
        ask(banker, RESOLVE, {**secret, "approval_id": parked["approval_id"]})
        assert ask(shopper, "delego_pending")["pending"] == []
        tail = ask(shopper, "delego_audit_tail")
        assert [one["action_summary"] for one in tail["receipts"]] == ["GET api.example.com/accounts/1"] * 2
        assert tail["others"] == 6
        theirs = ask(banker, "delego_audit_tail", {"limit": 100})["receipts"]
        assert [(one["phase"], one["outcome"]) for one in theirs] == [
            ("decision", "needs_approval"),
            ("decision", "allow"),
            ("execution", "allow"),
            ("decision", "allow"),
            ("decision", "allow"),
            ("execution", "allow"),
        ]
        assert "human approved by 'alice'" in theirs[3]["reasons"]
        last = ask(banker, "delego_audit_tail", {"limit": 1})
        assert [one["seq"] for one in last["receipts"]] == [7]
        assert last["head"].startswith("7:")


def test_a_damaged_receipt_is_counted_and_not_shown(home: Path) -> None:
    class Damaged:
        """A ledger whose last line is none."""

        def __init__(self, ledger: Any) -> None:
            self.head, self.approval = ledger.head, ledger.approval
            self._lines = [*ledger.lines(), b"{"]

        def lines(self, start: int, stop: int) -> Any:
            return iter(self._lines)

    from delego_agent.server.own_receipts import own_receipts

    with desk_of(home) as desk:
        ask(desk, PROPOSE, READ)
        with desk._door.entered() as opened:
            found: Any = own_receipts(Damaged(opened.authorizer.ledger), "agent", 10)  # type: ignore[arg-type]  # as much of one as is read
    assert found["others"] == 1
    assert len(found["receipts"]) == 2


def test_explaining_decides_and_records_nothing(home: Path) -> None:
    with desk_of(home) as desk:
        told = ask(desk, "delego_explain", PAY)
        assert told["outcome"] == "deny"
        assert told["instead"]["failed"][0]["constraint"] == "amount"
        assert [one["matched"] for one in told["steps"]] == [False, False, True]
        assert ask(desk, "delego_explain", READ)["outcome"] == "allow"
        assert ask(desk, "delego_explain", ORDER)["outcome"] == "needs_approval"
        hazard = ask(desk, "delego_explain", {**READ, "url": "https://api.example.com/a#b"})
        assert (hazard["outcome"], hazard["steps"]) == ("deny", [])
    assert receipts(home) == []


def test_a_policy_is_shown_and_a_long_one_is_cut_aloud(home: Path) -> None:
    with desk_of(home) as desk:
        told = ask(desk, "delego_show_policy")
        assert told["policy"]["rules"][1]["constraints"]["amount"]["max"] == 100
        assert (told["version"], told["left_out"]) == (1, 0)
        rules = [
            f"  - {{ name: r{number}, decision: allow, match: {{ path: /{'x' * 200}/{number} }} }}\n"
            for number in range(400)
        ]
        Home(home).policy_path.write_text(f"version: 1\ndefault: deny\nrules:\n{''.join(rules)}")
        reply = desk.call("delego_show_policy")
        cut = fits("delego_show_policy", reply.document)
        assert cut["left_out"] == 400 - len(cut["policy"]["rules"]) > 0
        assert "are left out" in reply.text
        assert "steps" in ask(desk, "delego_explain", READ)


def test_without_a_home_every_tool_says_what_to_run_and_goes_on_once_it_is_made(tmp_path: Path) -> None:
    log: list[str] = []
    given = {PROPOSE: READ, RESOLVE: {**READ, "approval_id": "apr_1"}, "delego_explain": READ}
    with desk_of(tmp_path / "home", log=log) as desk:
        for name in (PROPOSE, RESOLVE, *LOOKS):
            reply = desk.call(name, given.get(name))
            told = fits(name, reply.document)
            assert (told["status"], reply.is_error) == ("setup_required", False)
            assert told["commands"] == ["delego init --approver NAME"]
            assert str(tmp_path) not in reply.text + json.dumps(told)
        assert len(log) == 1
        assert str(tmp_path) in log[0]
        new_home(tmp_path)
        assert ask(desk, PROPOSE, READ)["status"] == "released"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("policy.yaml", "default: maybe\n", "the policy cannot be used"),
        ("config.toml", "[approvals]\nsigned = 3\n", "the configuration cannot be used"),
        ("keys/ledger.pem", "no key", "cannot be opened"),
        ("ledger.db", None, "cannot be opened"),
    ],
)
def test_a_home_that_cannot_be_used_is_not_used_as_it_was(
    home: Path, name: str, text: str | None, problem: str
) -> None:
    path = home / name
    before = path.read_bytes()
    with desk_of(home) as desk:
        assert ask(desk, PROPOSE, READ)["status"] == "released"
        if text is None:
            path.rename(path.with_suffix(".away"))
        else:
            path.write_text(text)
        told = desk.call(PROPOSE, READ)
        assert fits(PROPOSE, told.document)["status"] == "setup_required"
        assert problem in told.text
        assert str(home) not in told.text
        if text is None:
            path.with_suffix(".away").rename(path)
        else:
            path.write_bytes(before)
        assert ask(desk, PROPOSE, READ)["status"] == "released"


def test_a_changed_policy_counts_from_the_next_call_on(home: Path) -> None:
    with desk_of(home) as desk:
        assert ask(desk, PROPOSE, READ)["status"] == "released"
        Home(home).policy_path.write_text("version: 1\ndefault: deny\n")
        assert ask(desk, PROPOSE, READ)["status"] == "denied"


def test_a_home_that_changes_while_a_call_is_on_its_way_is_closed_behind_it(home: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(_: Any) -> str:
        begun.set()
        assert go.wait(60)
        return "done"

    answers: list[Any] = []
    with desk_of(home, opens=lambda one: one.authorizer(CallableBroker(slow))) as desk:
        thread = threading.Thread(target=lambda: answers.append(ask(desk, PROPOSE, READ)))
        thread.start()
        assert begun.wait(60)
        Home(home).policy_path.write_text(f"{POLICY}\n# changed\n")
        assert ask(desk, "delego_pending")["status"] == "ok"
        go.set()
        thread.join(60)
    assert (answers[0]["status"], answers[0]["result"]) == ("executed", "done")


def test_an_opened_home_is_closed_behind_the_last_of_those_who_hold_it(home: Path) -> None:
    with desk_of(home) as desk:
        with desk._door.entered() as first:
            Home(home).policy_path.write_text(f"{POLICY}\n# changed\n")
            with desk._door.entered() as second:
                assert second is not first
            assert first.client.pending() == ()
        with pytest.raises(ClientClosed):
            first.client.pending()
    with pytest.raises(ClientClosed):
        second.client.pending()


def test_with_a_broker_what_is_allowed_is_executed(home: Path) -> None:
    def send(request: Any) -> Any:
        if request.url.endswith("/refused"):
            return Refused("unsupported", "no route")
        if request.url.endswith("/unsent"):
            raise NotSent("no connection")
        if request.url.endswith("/lost"):
            raise OSError("the line was cut")
        return {"balance": 12.5, "none": None, "text": "a\u202eb\n"}

    with desk_of(home, opens=lambda one: one.authorizer(CallableBroker(send))) as desk:
        reply = desk.call(PROPOSE, READ)
        told = fits(PROPOSE, reply.document)
        assert (told["status"], told["executed"]) == ("executed", True)
        assert told["result"] == {"balance": 12.5, "none": None, "text": "a\u202eb\n"}
        assert '"text": "a\\u{202e}b\\n"' in reply.text
        for name, status in (
            ("refused", "not_executed"),
            ("unsent", "not_executed"),
            ("lost", "outcome_unknown"),
        ):
            answer = ask(desk, PROPOSE, {**READ, "url": f"https://api.example.com/accounts/{name}"})
            assert answer["status"] == status
            assert answer["instead"] is None
    assert executions(home) == [
        "executed via broker",
        "outcome unknown: the broker failed: OSError: the line was cut",
    ]


def test_a_token_is_handed_out_where_the_home_mints_them(home: Path) -> None:
    config = Home(home).config_path
    config.write_text('version = 1\n[tokens]\naudience = "my-broker"\n')
    with desk_of(home) as desk:
        reply = desk.call(PROPOSE, READ)
    assert fits(PROPOSE, reply.document)["token"].count(".") == 2
    assert reply.document["token"] in reply.text


@pytest.mark.parametrize("era", ERAS)
def test_with_hold_a_call_waits_for_the_person_and_runs_then(home: Path, era: str) -> None:
    seen: list[Any] = []

    async def script(client: Any) -> Any:
        async def progress(*arguments: Any) -> None:
            if not seen:
                decide(home, str(arguments[2]).rpartition(" ")[2])
            seen.append(arguments)

        return await client.call_tool(PROPOSE, ORDER, progress_callback=progress)

    with desk_of(home) as desk:
        result = with_client(front(desk, hold=60.0), script, era)
    assert result.structured_content["status"] == "released"
    assert "human approved by 'alice'" in result.content[0].text
    assert "waiting for a person" in seen[0][2]


def test_with_hold_a_call_comes_back_when_its_time_is_over(home: Path) -> None:
    async def script(client: Any) -> Any:
        return await client.call_tool(PROPOSE, ORDER)

    with desk_of(home) as desk:
        result = with_client(front(desk, hold=0.3), script)
    assert result.structured_content["status"] == "needs_approval"


def test_many_calls_that_wait_look_no_more_often_than_a_few() -> None:
    from delego_agent.server.protocol import AT_ONCE, POLL, pause_among

    assert pause_among(1) == pause_among(AT_ONCE) == POLL
    assert 10_000 / pause_among(10_000) == pytest.approx(AT_ONCE / POLL)


def test_with_hold_calls_come_back_when_the_server_ends_however_many_wait(home: Path) -> None:
    from delego_agent.server.protocol import Front

    with desk_of(home) as desk, pytest.MonkeyPatch.context() as patch:
        patch.setattr("delego_agent.server.protocol.POLL", 600.0)
        serving = Front(desk, hold=600.0)

        async def script(client: Any) -> Any:
            async def progress(*_: Any) -> None:
                serving.leave()

            return await client.call_tool(PROPOSE, ORDER, progress_callback=progress)

        result = with_client(serving.server(), script)
    assert result.structured_content["status"] == "needs_approval"


def test_with_hold_a_call_comes_back_when_the_server_ends(home: Path) -> None:
    from delego_agent.server.protocol import Front

    with desk_of(home) as desk:
        serving = Front(desk, hold=600.0)

        async def script(client: Any) -> Any:
            async def progress(*_: Any) -> None:
                serving.leave()

            return await client.call_tool(PROPOSE, ORDER, progress_callback=progress)

        result = with_client(serving.server(), script)
    assert result.structured_content["status"] == "needs_approval"


def test_the_persons_words_come_from_their_program_then_the_agent_then_the_operator(home: Path) -> None:
    words = "tidy up my accounts"

    async def script(client: Any) -> Any:
        tools = (await client.list_tools()).tools
        bare = {name: value for name, value in READ.items() if name != "instruction"}
        given = [(bare, None), (READ, None), (READ, {"delego/instruction": "said by the program"})]
        results = [await client.call_tool(PROPOSE, one, meta=meta) for one, meta in given]
        return tools, [one.structured_content["intent_hash"] for one in results]

    from delego_spec.action import intent_hash

    with desk_of(home, instruction=words) as desk:
        tools, hashes = with_client(front(desk), script)
        assert ask(desk, PROPOSE, READ, of_program=7)["status"] == "invalid_arguments"
    assert "instruction" not in tools[0].input_schema["required"]
    assert hashes == [intent_hash(one) for one in (words, "read my account", "said by the program")]
    with desk_of(home) as desk:
        missing = ask(desk, PROPOSE, {"method": "GET", "url": "https://a.example/"})
        assert "'instruction' is missing" in missing["problems"][0]


def test_what_is_too_much_to_be_read_is_left_out_and_counted(home: Path) -> None:
    with desk_of(home) as desk:
        for number in range(5):
            big = {**ORDER, "params": {"n": number, "text": "x" * 30_000}}
            assert ask(desk, PROPOSE, big)["status"] == "needs_approval"
        reply = desk.call("delego_pending")
        told = fits("delego_pending", reply.document)
        assert (len(told["pending"]), told["more"]) == (4, 1)
        assert "5 of your actions" in reply.text
        tail = ask(desk, "delego_audit_tail")["receipts"]
        assert [one["seq"] for one in tail] == [1, 2, 3, 4]


def test_a_clients_configuration_with_this_server_needs_no_gateway(home: Path, tmp_path: Path) -> None:
    from delego_agent.gateway.wrapping import configured, wrapping

    servers = {
        "a": {"command": "/usr/bin/delego", "args": ["--home", "h", "mcp", "--principal", "a"]},
        "b": {"command": "python", "args": ["-m", "delego_cli", "mcp"]},
        "c": {"command": "uvx", "args": ["mcp"]},
    }
    file = tmp_path / ".mcp.json"
    file.write_text(json.dumps({"mcpServers": servers}))
    assert [one.place for one in configured(file)] == ["gateway", "gateway", "bypass"]
    assert wrapping(file, ["delego"], home).changed == ("c",)
