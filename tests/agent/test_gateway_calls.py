"""Calls through the gateway: allowed, denied, waiting for a person, and made again."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from delego_agent.gateway.gate import NO_INSTRUCTION
from delego_agent.gateway.relay import INSTRUCTION
from delego_spec.canonical import digest
from mcp_lines import Gateway, decide, effects_of, make_home, person, reader, reasons, running

GO = ("--instruction", "go")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path)


@pytest.fixture
def effects(tmp_path: Path) -> Path:
    return tmp_path / "effects"


def document(answer: Any) -> Any:
    return answer["result"]["structuredContent"]["delego/decision"]


def waiting(home: Path) -> list[str]:
    with person(home) as authorizer:
        return [str(one.id) for one in authorizer.pending()]


def test_an_allowed_call_is_sent_once_and_its_receipt_has_the_digest_of_the_result(
    home: Path, effects: Path
) -> None:
    with running(home, effects, *GO) as gateway:
        answer = gateway.call("echo", a=1)
    assert answer["result"]["content"][0]["text"] == '{"a": 1}'
    assert effects_of(effects) == ['echo {"a": 1}']
    result = {"content": answer["result"]["content"]}
    assert digest(result) not in reasons(home)[-1]  # of all of it
    whole = json.dumps(answer["result"], sort_keys=True, separators=(",", ":"))
    assert answer["result"]["x-vendor"] == {"kept": 1.5}
    assert f"result sha256:{digest(json.loads(whole))}" in reasons(home)[-1]


def test_a_denied_call_comes_back_with_reasons_to_act_on_and_is_not_sent(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        answer = gateway.call("constant", amount=11)
    assert answer["result"]["isError"] is True
    assert "amount: 11 exceeds max 10" in answer["result"]["content"][0]["text"]
    assert document(answer)["status"] == "denied"
    assert "resultType" not in answer["result"]
    assert effects_of(effects) == []


def test_a_denial_in_the_era_without_a_handshake_says_that_it_is_complete(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
        answer = gateway.answer(gateway.tool("constant", meta=meta, amount=11))
    assert answer["result"]["resultType"] == "complete"


def test_arguments_that_cannot_be_hashed_are_denied_with_what_to_send(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        answer = gateway.call("echo", a=1e300)
    assert "cannot be decided" in answer["result"]["content"][0]["text"]
    assert effects_of(effects) == []


def test_a_call_waits_for_a_person_with_progress_and_runs_when_they_say_yes(
    home: Path, effects: Path
) -> None:
    with running(home, effects, *GO) as gateway:
        one = gateway.tool("slow", meta={"progressToken": "t"}, seconds=0)
        told = gateway.until(lambda message: message.get("method") == "notifications/progress")
        assert effects_of(effects) == []
        approval_id = decide(home)
        assert approval_id in told["params"]["message"]
        assert told["params"]["progressToken"] == "t"
        assert "content" in gateway.answer(one)["result"]
    assert effects_of(effects) == ['slow {"seconds": 0}']
    assert reasons(home)[-1].startswith("human approved by 'alice'")


def test_a_call_that_a_person_denies_is_denied_then_and_when_it_is_made_again(
    home: Path, effects: Path
) -> None:
    with running(home, effects, *GO) as gateway:
        one = gateway.tool("slow", seconds=0)
        decide(home, "deny")
        assert document(gateway.answer(one))["status"] == "denied"
        assert document(gateway.call("slow", seconds=0))["status"] == "denied"
    assert effects_of(effects) == []
    assert waiting(home) == []


def test_in_return_mode_the_identical_call_is_released_once(home: Path, effects: Path) -> None:
    with running(home, effects, *GO, "--hold", "0") as gateway:
        first = document(gateway.call("slow", seconds=0))
        assert first["status"] == "pending"
        assert document(gateway.call("slow", seconds=0))["approval_id"] == first["approval_id"]
        assert document(gateway.call("slow", seconds=0.0001))["approval_id"] != first["approval_id"]
        with person(home) as authorizer:
            authorizer.decide(first["approval_id"], "approve", "alice")
        assert "content" in gateway.call("slow", seconds=0)["result"]
        again = document(gateway.call("slow", seconds=0))
        assert (again["status"], again["approval_id"] == first["approval_id"]) == ("pending", False)
    assert effects_of(effects) == ['slow {"seconds": 0}']


def test_a_yes_for_one_instruction_does_not_release_the_call_for_another(home: Path, effects: Path) -> None:
    with running(home, effects, "--hold", "0") as gateway:
        first = document(gateway.answer(gateway.tool("slow", meta={INSTRUCTION: "one"}, seconds=0)))
        with person(home) as authorizer:
            authorizer.decide(first["approval_id"], "approve", "alice")
        other = document(gateway.answer(gateway.tool("slow", meta={INSTRUCTION: "two"}, seconds=0)))
    assert other["status"] == "pending"
    assert effects_of(effects) == []


def test_the_instruction_comes_from_the_call_then_the_task_then_the_option(home: Path, effects: Path) -> None:
    with running(home, effects, "--hold", "0", "--instruction", "option") as gateway:
        gateway.call("slow", n=1)
        gateway.call("delego_begin_task", instruction="task")
        gateway.call("slow", n=2)
        answer = gateway.answer(gateway.tool("slow", meta={INSTRUCTION: "call", "kept": 1}, n=3))
        assert document(answer)["status"] == "pending"
        assert gateway.call("delego_begin_task")["result"]["isError"] is True
        assert (
            "must be text" in gateway.answer(gateway.tool("slow", meta={INSTRUCTION: ""}))["error"]["message"]
        )
    with person(home) as authorizer:
        assert [one.instruction for one in authorizer.pending()] == ["option", "task", "call"]


def test_the_persons_words_are_not_sent_to_the_server(home: Path, effects: Path) -> None:
    with running(home, effects) as gateway:
        meta = {INSTRUCTION: "secret words", "kept": 1}
        answer = gateway.ask("acme/do", {"_meta": meta, "x": 1})
    assert answer["result"]["seen"] == {"_meta": {"kept": 1}, "x": 1}


def test_without_an_instruction_a_person_is_asked_about_what_would_be_allowed(
    home: Path, effects: Path
) -> None:
    with running(home, effects, "--hold", "0") as gateway:
        answer = gateway.call("echo", a=1)
        assert document(answer)["status"] == "pending"
        assert "delego_begin_task" in answer["result"]["content"][0]["text"]
        with person(home) as authorizer:
            (one,) = authorizer.pending()
            assert one.instruction == NO_INSTRUCTION
            authorizer.decide(one.id, "approve", "alice")
        assert "content" in gateway.call("echo", a=1)["result"]
        assert document(gateway.call("constant", amount=11))["status"] == "denied"
    assert effects_of(effects) == ['echo {"a": 1}']


def test_without_an_instruction_the_policy_decides_where_the_operator_wants_it(
    home: Path, effects: Path
) -> None:
    with running(home, effects, "--without-instruction", "policy", "--no-begin-task") as gateway:
        assert gateway.call("echo", a=1)["result"]["x-vendor"] == {"kept": 1.5}
        names = [tool["name"] for tool in gateway.ask("tools/list")["result"]["tools"]]
    assert "delego_begin_task" not in names


@pytest.mark.parametrize(
    ("method", "params", "url"),
    [
        ("resources/read", {"uri": "a://never"}, "evil/resource/a:/~/never"),
        ("prompts/get", {"name": "never"}, "evil/prompt/never"),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "never"}}, "evil/prompt/never"),
        ("acme/do", {"x": 1}, "evil/method/acme/do"),
    ],
)
def test_what_reads_is_decided_too(home: Path, effects: Path, method: str, params: Any, url: str) -> None:
    policy = "version: 1\ndefault: deny\nrules: []\n"
    (home / "policy.yaml").write_text(policy, encoding="utf-8")
    with running(home, effects, *GO) as gateway:
        answer = gateway.ask(method, params)
    assert answer["error"]["code"] == -32050
    assert answer["error"]["data"]["status"] == "denied"
    assert effects_of(effects) == []
    ledger = reader(home)
    assert url in next(ledger.lines()).decode()
    ledger.close()


def test_methods_of_mcp_that_are_not_known_are_refused_in_both_directions(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        for method in ("tools/frob", "tasks/list", "rpc/x", "nothing", "sampling/createMessage"):
            assert gateway.ask(method)["error"]["code"] == -32601
        gateway.call("ask")
        asked = {message["id"] for message in gateway.seen if "method" in message and "id" in message}
        assert asked == {"q1", "q2"}  # tools/call is no question to a client
        gateway.line('{"jsonrpc":"2.0","id":"q1","result":{"action":"decline"}}')
        gateway.line('{"jsonrpc":"2.0","id":"q1","result":{"action":"accept"}}')
        gateway.call("echo")
    assert effects_of(effects).count("answer q1") == 1
    assert "answer q3" in effects_of(effects)


def test_a_vendors_notification_is_decided_and_others_are_dropped(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        gateway.notify("acme/note", x=1)
        gateway.notify("tools/frob")
        while "acme/note" not in effects_of(effects):
            gateway.call("echo")
        assert gateway.ask("ping") == {"jsonrpc": "2.0", "id": next(gateway.ids) - 1, "result": {}}
    assert any("acme/note" in line for line in effects_of(effects))


def test_a_call_that_was_cancelled_while_it_waited_is_not_sent_and_stays_with_the_person(
    home: Path, effects: Path
) -> None:
    with running(home, effects, *GO) as gateway:
        one = gateway.tool("slow", meta={"progressToken": 1}, seconds=0)
        gateway.until(lambda message: message.get("method") == "notifications/progress")
        gateway.notify("notifications/cancelled", requestId=one)
        gateway.notify("notifications/cancelled", requestId=[])
        gateway.ask("ping")
        decide(home)
        assert effects_of(effects) == []
        assert "content" in gateway.call("slow", seconds=0)["result"]
    assert effects_of(effects) == ['slow {"seconds": 0}']
    assert not any(message.get("id") == one for message in gateway.seen)


def test_two_identical_calls_need_two_yeses(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        calls = [gateway.tool("slow", seconds=0) for _ in range(2)]
        decide(home)
        decide(home)
        for one in calls:
            assert "content" in gateway.answer(one)["result"]
    assert len(effects_of(effects)) == 2


def test_a_call_as_an_mcp_task_is_refused(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        answer = gateway.ask("tools/call", {"name": "echo", "arguments": {}, "task": {"ttl": 1}})
    assert "MCP tasks" in answer["error"]["message"]


def test_an_id_that_is_in_use_is_refused(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        one = gateway.tool("slow", seconds=0)
        gateway.line(json.dumps({"jsonrpc": "2.0", "id": one, "method": "ping"}))
        gateway.until(
            lambda message: message.get("id", 0) is None and "in use" in message["error"]["message"]
        )
        decide(home)
        assert "content" in gateway.answer(one)["result"]


def test_a_line_of_the_client_that_is_no_message_is_answered_with_an_error(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        call = '"method":"tools/call","params":{"name":"echo","arguments":{"a":1,"a":2}}'
        gateway.line(f'{{"jsonrpc":"2.0","id":900,{call}}}')
        assert "twice" in gateway.answer(900)["error"]["message"]
        gateway.line("x" * 5_000_000)
        gateway.until(lambda message: "bytes" in message.get("error", {}).get("message", ""))
        assert "content" in gateway.call("echo")["result"]
    assert effects_of(effects) == ["echo {}"]


def test_a_hundred_calls_at_once_do_not_mix(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        calls = {gateway.tool("echo", n=number): number for number in range(100)}
        for one, number in calls.items():
            assert json.loads(gateway.answer(one)["result"]["content"][0]["text"]) == {"n": number}
    assert len(set(effects_of(effects))) == 100


def test_a_server_that_cannot_be_started_is_one_plain_line(home: Path, tmp_path: Path) -> None:
    gateway = Gateway(home, tmp_path / "no", ["--", str(tmp_path / "absent")])
    assert gateway.ended() == 1
    assert gateway.log == [
        f"delego: server 'evil': cannot start '{tmp_path / 'absent'}': no such file or directory\n"
    ]


def test_a_gateway_that_is_asked_to_end_ends_its_server(home: Path, effects: Path) -> None:
    with running(home, effects, *GO) as gateway:
        gateway.call("echo")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(30) == 0


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(["--server", "A B"], "write 'a-b'"), (["--principal", "?"], "principal"), (["--hold", "-1"], "hold")],
)
def test_options_that_cannot_be_are_refused(
    home: Path, tmp_path: Path, words: list[str], wanted: str
) -> None:
    gateway = Gateway(home, tmp_path / "no", words)
    assert gateway.ended() in (1, 2)
    assert wanted in "".join(gateway.log)
