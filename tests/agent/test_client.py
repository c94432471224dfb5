"""``Client`` and ``AsyncClient`` over a local home."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import delego_agent
from agents import decide, make_home, person, receipts
from delego_agent import AsyncClient, Client, ClientClosed, LocalService, NotDecided
from delego_agent import client as client_module
from delego_authorizer import ApprovalUnknown, HomeError, PrincipalError
from delego_authorizer.authorizer import Authorizer
from delego_broker import CallableBroker
from delego_spec import Action

READ = Action("read it", "CALL", "tool://python/read", {"path": "a"})
DELETE = Action("tidy up", "CALL", "tool://python/file.delete", {"path": "a"})
OTHER = Action("tidy up", "CALL", "tool://python/file.delete", {"path": "b"})
FORMAT = Action("tidy up", "CALL", "tool://python/disk.format", {})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    with Client.local(home) as opened:
        yield opened


def parked(client: Client, action: Action = DELETE) -> str:
    decision = client.propose(action)
    assert decision.outcome == "needs_approval"
    return str(decision.approval_id)


def test_what_is_allowed_is_released_to_the_caller(client: Client) -> None:
    decision = client.propose(READ)
    assert (decision.outcome, decision.executed) == ("allow", False)


def test_a_broker_executes_what_is_allowed(home: Path) -> None:
    with Client.local(home, broker=CallableBroker(lambda request: request.params["path"])) as client:
        assert client.propose(READ).result == "a"


def test_what_is_asked_many_times_at_once_is_parked_once(client: Client) -> None:
    together = threading.Barrier(16)
    found: list[Any] = []

    def ask() -> None:
        together.wait(30)
        found.append(client.request(DELETE).approval_id)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [one.id for one in client.pending()] == [found[0]]
    assert set(found) == {found[0]}
    assert len(found) == 16


def test_an_approved_action_is_released_once(home: Path, client: Client) -> None:
    approval = parked(client)
    decide(home, approval)
    assert client.resolve(approval, DELETE).allowed
    assert not client.resolve(approval, DELETE).allowed


def test_an_agent_reaches_no_decision_policy_or_key() -> None:
    offered = {name for kind in (Client, AsyncClient, LocalService) for name in dir(kind) if name[0] != "_"}
    assert offered == {
        "aclose",
        "approval",
        "close",
        "held",
        "local",
        "open",
        "pending",
        "principal",
        "propose",
        "request",
        "resolve",
        "wait_until_decided",
    }


def test_the_package_offers_what_it_names_and_nothing_else() -> None:
    for name in delego_agent.__all__:
        found = getattr(delego_agent, name)
        assert not inspect.ismodule(found), name
        assert found.__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'decide'"):
        _ = delego_agent.decide


# --- the same request again -----------------------------------------------------------------------------


def test_the_same_request_is_parked_once(client: Client) -> None:
    first = client.request(DELETE)
    again = client.request(DELETE)
    assert first.approval_id == again.approval_id
    assert again.outcome == "needs_approval"
    assert client.request(OTHER).approval_id != first.approval_id
    assert client.request(replace_words(DELETE, "something else")).approval_id != first.approval_id


def test_a_yes_releases_the_same_request_once(home: Path, client: Client) -> None:
    first = client.request(DELETE)
    decide(home, str(first.approval_id))
    assert client.request(OTHER).outcome == "needs_approval"
    assert client.request(DELETE).allowed
    third = client.request(DELETE)
    assert third.outcome == "needs_approval"
    assert third.approval_id != first.approval_id


def test_a_no_stands_for_the_same_request(home: Path, client: Client) -> None:
    decide(home, str(client.request(DELETE).approval_id), "deny")
    assert client.request(DELETE).reasons == ("human denied this action",)
    assert client.request(replace_words(DELETE, "really")).outcome == "needs_approval"


def test_a_no_stands_no_longer_than_its_approval_would_have(home: Path) -> None:
    with person(home) as authorizer:
        start = authorizer.ledger.approvals()
        assert start == ()
        late = [0]
        service = LocalService(authorizer, clock=lambda: later(authorizer, late[0]))
        client = Client(service)
        first = str(client.request(DELETE).approval_id)
        authorizer.decide(first, "deny", "alice")
        assert client.request(DELETE).outcome == "deny"
        late[0] = 86_400 * 1_000_000
        assert client.request(DELETE).outcome == "needs_approval"


def test_a_yes_that_lapsed_is_asked_for_again(home: Path) -> None:
    with person(home) as authorizer:
        # The engine's clock is the one that counts: here it says that the yes has lapsed, ours does not.
        client = Client(LocalService(authorizer))
        first = str(client.request(DELETE).approval_id)
        authorizer.decide(first, "approve", "alice")
        approval = authorizer.ledger.approval(first)
        assert approval is not None
        with authorizer.ledger.transaction() as transaction:
            assert transaction.decide(approval, replace(approval, release_by=approval.created_at))
        assert client.request(DELETE).approval_id != first


def test_a_yes_of_another_principal_is_nobody_elses(home: Path, client: Client) -> None:
    decide(home, parked(client))
    with Client.local(home, principal="mallory") as other:
        assert other.request(DELETE).outcome == "needs_approval"


def test_a_yes_lifts_no_denial(home: Path, client: Client) -> None:
    decide(home, parked(client))
    parked(client, OTHER)
    policy = (home / "policy.yaml").read_text(encoding="utf-8")
    (home / "policy.yaml").write_text(policy.replace("/disk.format", "/file.delete"), encoding="utf-8")
    with Client.local(home) as later_client:
        assert later_client.request(DELETE).reasons == ("forbidden: Nobody formats disks",)
        assert later_client.request(OTHER).outcome == "deny"
        assert later_client.request(FORMAT).outcome == "deny"


def test_of_many_threads_that_ask_again_one_gets_the_release(home: Path, client: Client) -> None:
    decide(home, parked(client))
    barrier, outcomes = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        outcomes.append(client.request(DELETE).outcome)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["allow", *["needs_approval"] * 7]
    assert sum(phase == "execution" and outcome == "allow" for phase, outcome, _ in receipts(home)) == 1


# --- what is held ---------------------------------------------------------------------------------------


def test_an_agent_sees_its_own_pending_approvals_only(home: Path, client: Client) -> None:
    approval = parked(client)
    (held,) = client.pending()
    assert (held.id, held.status, held.instruction, held.rule) == (approval, "pending", "tidy up", "deletes")
    assert held.reason == "Deleting is final"
    with Client.local(home, principal="other") as other:
        assert other.pending() == ()
        with pytest.raises(ApprovalUnknown):
            other.approval(approval)


@pytest.mark.parametrize("strange", ["", "apr_nothing", "x" * 500, "apr\x00", "\ud800"])
def test_an_unknown_approval_is_said_to_be_unknown(client: Client, strange: str) -> None:
    with pytest.raises(ApprovalUnknown):
        client.wait_until_decided(strange, timeout=1)


@pytest.mark.parametrize(("decision", "status"), [("approve", "approved"), ("deny", "denied")])
def test_waiting_ends_with_the_persons_decision(
    home: Path, client: Client, decision: str, status: str
) -> None:
    approval = parked(client)
    late = threading.Thread(target=decide, args=(home, approval, decision))
    late.start()
    assert client.wait_until_decided(approval, timeout=60).status == status
    late.join()


def test_waiting_ends_with_its_time(client: Client) -> None:
    approval = parked(client)
    with pytest.raises(NotDecided) as caught:
        client.wait_until_decided(approval, timeout=0.01)
    assert caught.value.approval_id == approval
    assert isinstance(caught.value, TimeoutError)
    with pytest.raises(NotDecided):
        client.wait_until_decided(approval, timeout=0)


def test_waiting_ends_when_the_client_is_closed(home: Path) -> None:
    client = Client.local(home)
    approval, caught = parked(client), []

    def wait() -> None:
        try:
            client.wait_until_decided(approval)
        except ClientClosed as error:
            caught.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    client.close()
    waiter.join(60)
    assert len(caught) == 1
    client.close()
    with pytest.raises(ClientClosed):
        client.propose(READ)


def test_the_looks_at_an_approval_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(client_module.time, "monotonic", lambda: clock[0])
    found = []
    for pause in client_module.pauses(10.0):
        if pause is None:
            break
        found.append(pause)
        clock[0] += pause
    assert found[0] == client_module.FIRST_WAIT
    assert max(found) == client_module.LONGEST_WAIT
    assert len(found) < 20
    assert sum(found) == pytest.approx(10.0)


# --- what is wrong --------------------------------------------------------------------------------------


def test_a_client_needs_a_home_and_a_principal(home: Path, tmp_path: Path) -> None:
    with pytest.raises(HomeError):
        Client.local(tmp_path / "nowhere")
    with pytest.raises(PrincipalError):
        Client.local(home, principal="no spaces")
    with Client.local(home, principal="bot") as client:
        assert client.principal == "bot"


def test_the_home_is_the_environments_or_the_users(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_home(tmp_path / ".claude" / ".delego")  # what an agent could have written is never taken
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("DELEGO_HOME", raising=False)
    with pytest.raises(HomeError, match=r"user/\.delego"):
        Client.local()
    monkeypatch.setenv("DELEGO_HOME", str(home))
    with Client.local() as client:
        assert client.propose(READ).allowed
    with pytest.raises(HomeError):
        Client.local("~nobody-of-this-name/x")


# --- asyncio --------------------------------------------------------------------------------------------


def run(main: Any) -> Any:
    return asyncio.run(main)


def test_the_async_client_does_the_same(home: Path) -> None:
    async def main() -> None:
        async with AsyncClient.local(home) as client:
            assert client.principal == "agent"
            assert (await client.propose(READ)).allowed
            held = await client.request(DELETE)
            approval = str(held.approval_id)
            assert [one.id for one in await client.pending()] == [approval]
            assert (await client.approval(approval)).status == "pending"
            with pytest.raises(NotDecided):
                await client.wait_until_decided(approval, timeout=0.01)
            waiting = asyncio.create_task(client.wait_until_decided(approval, timeout=60))
            await asyncio.to_thread(decide, home, approval)
            assert (await waiting).status == "approved"
            assert (await client.resolve(approval, DELETE)).allowed

    run(main())


def test_a_cancelled_wait_ends_at_once_and_changes_nothing(home: Path) -> None:
    async def main() -> None:
        async with AsyncClient.local(home) as client:
            approval = str((await client.propose(DELETE)).approval_id)
            waiting = asyncio.create_task(client.wait_until_decided(approval))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await client.approval(approval)).status == "pending"

    started = time.monotonic()
    run(main())
    assert time.monotonic() - started < 60


def later(authorizer: Authorizer, microseconds: int) -> Any:
    newest = authorizer.ledger.approvals()
    return (newest[-1].created_at if newest else 0) + microseconds


def replace_words(action: Action, words: str) -> Action:
    return Action(words, action.method, action.url, action.params)
