"""Proposing: what is decided, written down, sent and answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from delego_authorizer import ActionTooLarge, Authorizer, PrincipalError
from delego_ledger.errors import StorageError
from delego_spec.action import Action
from delego_spec.policy import load_policy
from delego_spec.tokens import Claims, verify_token
from houses import (
    CONFIG,
    LEDGER_KEY,
    POLICY,
    START,
    TOKEN_KEY,
    FakeClock,
    Service,
    few,
    order,
    read,
    receipts,
    share,
    story,
    verified,
)

Build = Callable[..., Authorizer]
TOKENS = replace(CONFIG, audience="https://broker.example", issuer="me", token_lifetime=60)


def claims_of(token: str | None, clock: FakeClock) -> Claims:
    public = TOKEN_KEY.public_key
    checked = verify_token(
        token,
        keys={public.key_id: public},
        audience="https://broker.example",
        now=clock() // 1_000_000,
        issuer="me",
    )
    assert isinstance(checked, Claims), checked
    return checked


def test_an_allowed_action_is_written_ahead_sent_once_and_its_result_written_down(build: Build) -> None:
    service = Service(lambda _: {"balance": 12})
    authorizer = build(service=service)
    decision = authorizer.propose(read(), "reader")
    assert (decision.outcome, decision.rule, decision.executed) == ("allow", "read", True)
    assert decision.result == {"balance": 12}
    assert decision.reasons == ("matched rule 'read'", "executed via broker")
    assert decision.receipt == authorizer.ledger.head()
    assert decision.token is None
    assert service.calls == 1
    ahead, result = receipts(authorizer.ledger)
    assert (ahead.phase, ahead.outcome, ahead.rule) == ("decision", "allow", None)
    assert ahead.reasons[0] == "authorized by rule 'read'; execution follows"
    assert (result.phase, result.outcome, result.rule) == ("execution", "allow", "read")
    assert result.reasons == decision.reasons
    verified(authorizer.ledger)


def test_the_write_ahead_receipt_is_durable_before_the_broker_is_called(build: Build) -> None:
    seen: list[list[str]] = []
    authorizer = build(service=lambda _: seen.append(story(authorizer.ledger)))
    authorizer.propose(read())
    assert seen == [["decision/allow: authorized by rule 'read'; execution follows"]]


def test_the_broker_is_told_the_action_its_hashes_and_a_token_for_exactly_it(
    build: Build, clock: FakeClock
) -> None:
    service = Service()
    authorizer = build(service=service, config=TOKENS, token_signer=TOKEN_KEY)
    decision = authorizer.propose(read(), "reader")
    (request,) = service.requests
    assert (request.method, request.url, request.params) == ("GET", read().url, {})
    assert (request.action_fingerprint, request.intent_hash) == (read().fingerprint, read().intent_hash)
    claims = claims_of(request.authorization_token, clock)
    assert (claims.fpr, claims.iht, claims.sub, claims.pol) == (
        read().fingerprint,
        read().intent_hash,
        "reader",
        (1, "read"),
    )
    assert claims.exp - claims.iat == 60
    assert decision.token is None  # it is the broker's, and used up there


def test_an_authorizer_says_what_it_decides_by(build: Build) -> None:
    authorizer = build(config=TOKENS)
    assert authorizer.policy is POLICY
    assert authorizer.config is TOKENS


def test_no_two_tokens_share_an_id(build: Build, clock: FakeClock) -> None:
    authorizer = build(config=TOKENS, token_signer=TOKEN_KEY)
    tokens = [claims_of(one.token, clock) for one in authorizer.propose_many([read()] * 5)]
    assert len({one.jti for one in tokens} | {one.cns for one in tokens}) == 10


def test_without_a_broker_what_is_allowed_is_released_to_the_caller_with_a_token(
    build: Build, clock: FakeClock
) -> None:
    authorizer = build(config=TOKENS, token_signer=TOKEN_KEY)
    decision = authorizer.propose(read())
    assert (decision.outcome, decision.executed, decision.result) == ("allow", False, None)
    assert decision.reasons[-1] == "released to the caller: this authorizer calls no broker"
    assert claims_of(decision.token, clock).fpr == read().fingerprint
    assert [one.phase for one in receipts(authorizer.ledger)] == ["decision", "execution"]
    assert authorizer.ledger.executions() == ()


def test_a_forbidden_action_is_denied_with_a_receipt_and_nothing_is_sent(build: Build) -> None:
    service = Service()
    authorizer = build(service=service)
    decision = authorizer.propose(share())
    assert (decision.outcome, decision.rule) == ("deny", "no-sharing")
    assert decision.reasons == ("forbidden: Agents never share",)
    assert not decision.allowed
    assert service.calls == 0
    (receipt,) = receipts(authorizer.ledger)
    assert (receipt.phase, receipt.outcome, receipt.rule) == ("decision", "deny", "no-sharing")


def test_a_hazard_is_denied_before_any_rule_is_asked(build: Build) -> None:
    authorizer = build(policy=load_policy("default: allow"))
    decision = authorizer.propose(read("../admin"))
    assert (decision.outcome, decision.rule) == ("deny", None)
    assert decision.reasons[0].startswith("hazard: path: ")
    assert story(authorizer.ledger)[0].startswith("decision/deny: hazard: path: ")


def test_plain_http_hosts_come_from_the_configuration(build: Build) -> None:
    action = Action("read", "GET", "http://intranet.example/accounts/me", {})
    assert build().propose(action).reasons[0].startswith("hazard: scheme: ")
    config = replace(CONFIG, plain_http_hosts=frozenset({"intranet.example"}))
    assert build(config=config).propose(action).allowed


def test_an_action_that_needs_approval_is_parked_with_all_that_a_person_needs(
    build: Build, clock: FakeClock
) -> None:
    service = Service()
    config = replace(CONFIG, approval_lifetime=60, required_approvers=2, routing_group="treasury")
    authorizer = build(service=service, config=config)
    decision = authorizer.propose(order(7), "buyer")
    assert (decision.outcome, decision.rule) == ("needs_approval", "order")
    assert decision.reasons == ("amount: 7 within max 5000",)
    assert service.calls == 0
    (approval,) = authorizer.pending()
    assert approval.id == decision.approval_id
    assert (approval.proposer, approval.rule, approval.reason) == ("buyer", "order", "Orders cost money")
    assert (approval.required_approvers, approval.routing_group) == (2, "treasury")
    assert approval.expires_at == clock() + 60_000_000
    assert authorizer.ledger.parked_action(approval.id) == order(7)
    (receipt,) = receipts(authorizer.ledger)
    assert (receipt.outcome, receipt.approval_id, receipt.rule) == ("needs_approval", approval.id, "order")


def test_where_a_rule_says_nothing_the_reason_of_an_approval_is_the_verdicts(build: Build) -> None:
    authorizer = build(policy=load_policy("default: needs_approval"))
    authorizer.propose(read())
    assert authorizer.pending()[0].reason == "no rule matched; default = needs_approval"


def test_every_decision_receipt_ends_with_the_digest_of_policy_and_configuration(build: Build) -> None:
    first = build()
    first.propose_many([share(), order(), read()])
    second = build(config=replace(CONFIG, release_window=1))
    second.propose(share())
    digests = [one.reasons[-1] for one in receipts(first.ledger) if one.phase == "decision"]
    assert all(text.startswith("policy sha256:") for text in digests)
    assert len(set(digests[:-1])) == 1
    assert digests[-1] != digests[0]


def test_the_proposing_principal_stands_beside_the_signed_fields(build: Build) -> None:
    authorizer = build()
    authorizer.propose(share(), "bot-7")
    assert json.loads(next(authorizer.ledger.lines()))["context"] == {"principal": "bot-7"}


@pytest.mark.parametrize("name", ["", "a b", "-a", "a" * 65, "ä", "a\n", "'", 7, None])
def test_a_principal_that_would_be_ambiguous_in_a_receipt_is_refused(build: Build, name: Any) -> None:
    authorizer = build()
    with pytest.raises(PrincipalError, match="is not a principal's name"):
        authorizer.propose(read(), name)
    assert authorizer.ledger.head() is None


def test_a_batch_is_decided_in_order_in_one_commit(build: Build) -> None:
    service = Service()
    authorizer = build(service=service)
    decisions = authorizer.propose_many([few("a"), share(), few("b"), order(), few("c"), few("d")])
    assert [one.outcome for one in decisions] == ["allow", "deny", "allow", "needs_approval", "allow", "deny"]
    assert decisions[5].reasons == ("rate_limit: 3/3 per hour already used",)
    assert len({one.ts for one in receipts(authorizer.ledger)}) == 1
    assert [one.url[-1] for one in service.requests] == ["a", "b", "c"]
    assert authorizer.propose_many([]) == []


def test_a_rate_limit_counts_results_and_executions_in_flight_and_forgets_after_its_window(
    build: Build, clock: FakeClock
) -> None:
    inner: list[str] = []
    depth = iter(range(4))

    def service(_: object) -> None:  # each call proposes once more while it is in flight itself
        if next(depth, None) is not None:
            inner.append(authorizer.propose(few()).outcome)

    authorizer = build(service=service)
    assert authorizer.propose(few()).allowed
    assert inner == ["deny", "allow", "allow"]
    clock.pass_seconds(3599)
    assert authorizer.propose(few()).outcome == "deny"
    clock.pass_seconds(1)
    assert authorizer.propose(few()).outcome == "allow"


def test_a_clock_that_was_set_back_closes_rate_limits_and_receipt_times_stand_still(
    build: Build, clock: FakeClock
) -> None:
    authorizer = build()
    assert authorizer.propose(few()).allowed
    clock.now = START - 60_000_000
    decision = authorizer.propose(few())
    assert decision.outcome == "deny"
    assert "the newest receipt lies 60 s in the future" in decision.reasons[0]
    assert authorizer.propose(read()).allowed
    times = [one.ts for one in receipts(authorizer.ledger)]
    assert times == sorted(times)


def test_an_action_edited_after_it_was_hashed_is_refused_wherever_it_matters(build: Build) -> None:
    service = Service()
    authorizer = build(service=service)
    for action in (read(), order(4000)):
        action.params["amount"] = 1
        decision = authorizer.propose(action)
        assert decision.outcome == "deny"
        assert decision.reasons[0].startswith("the action was changed after it was made")
    action = read()
    action.params["bad"] = {1, 2}  # type: ignore[assignment]  # no JSON at all
    assert authorizer.propose(action).outcome == "deny"
    assert service.calls == 0
    assert authorizer.pending() == ()


def test_what_a_broker_does_to_its_request_does_not_reach_the_callers_action(build: Build) -> None:
    action = Action("read my account", "GET", read().url, {"fields": ["name"]})

    def service(request: Any) -> None:
        request.params["fields"].append("password")

    assert build(service=service).propose(action).executed
    assert action.params == {"fields": ["name"]}


def test_an_action_too_large_for_a_receipt_is_refused_before_its_batch_is_decided(build: Build) -> None:
    service = Service()
    authorizer = build(service=service)
    large = Action("read my account", "GET", read().url, {"text": "x" * 250_000})
    with pytest.raises(ActionTooLarge, match=r"takes 2500\d\d bytes in a receipt, 196608 fit"):
        authorizer.propose_many([read(), large, read()])
    assert authorizer.ledger.head() is None
    assert service.calls == 0


def test_an_action_just_small_enough_is_decided_whatever_its_characters(build: Build) -> None:
    service = Service()
    authorizer = build(service=service)
    for text in ("x" * 180_000, "\x01" * 27_000, '"' * 48_000, "ä" * 90_000):
        assert authorizer.propose(Action("read", "GET", read().url, {"text": text})).executed
    verified(authorizer.ledger)


def test_reasons_too_long_for_a_receipt_are_cut_in_a_denial_and_deny_what_they_would_allow(
    build: Build,
) -> None:
    authorizer = build()
    many = "9" * 150_000
    decision = authorizer.propose(order(many))  # exceeds the maximum, and says by how much
    assert decision.outcome == "deny"
    assert decision.reasons[0].startswith("amount: 9999")
    assert decision.reasons[0].endswith("9…")
    assert len(decision.reasons[0]) < 10_000
    decision = authorizer.propose(order("0" * 150_000 + "7"))  # within the maximum, and as long to say
    assert decision.reasons == ("the reasons do not fit into a receipt; send large content by reference",)
    assert authorizer.pending() == ()
    verified(authorizer.ledger)


def test_where_nothing_can_be_recorded_nothing_is_sent(build: Build) -> None:
    service = Service()
    authorizer = build(service=service)

    def fail(steps: object) -> None:
        raise StorageError("write", "ledger.db", "no space left on device", retry_safe=True)

    authorizer.ledger.submit = fail  # type: ignore[method-assign]  # a disk that fails
    with pytest.raises(StorageError):
        authorizer.propose(read())
    assert service.calls == 0


def test_explaining_counts_as_deciding_would_and_changes_nothing(build: Build) -> None:
    authorizer = build()
    for _ in range(3):
        authorizer.propose(few())
    head = authorizer.ledger.head()
    last = authorizer.explain(few())[-1]
    assert last.verdict is not None
    assert last.verdict.reasons == ("rate_limit: 3/3 per hour already used",)
    assert authorizer.ledger.head() == head


def test_who_listens_is_told_of_each_newest_receipt_and_cannot_hide_a_decision(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []

    def listen(anchor: Any) -> None:
        told.append(anchor)
        raise OSError("the disk for anchors is gone")

    authorizer = build(service=Service(), on_receipt=listen)
    decision = authorizer.propose(read())
    assert decision.executed
    assert told == [decision.receipt]
    assert "what is to be told of each receipt failed" in caplog.text


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"token_signer": LEDGER_KEY}, "the ledger and the tokens have the same key"),
        ({"approver_keys": {"alice": LEDGER_KEY.public_key}}, "the ledger and the approver 'alice' have"),
        (
            {"token_signer": TOKEN_KEY, "approver_keys": {"alice": TOKEN_KEY.public_key}},
            "the tokens and the approver 'alice' have",
        ),
        (
            {"approver_keys": {"alice": TOKEN_KEY.public_key, "bob": TOKEN_KEY.public_key}},
            "the approver 'alice' and the approver 'bob' have",
        ),
    ],
)
def test_one_key_serves_one_role(build: Build, more: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        build(**more)


def test_a_token_that_cannot_be_minted_keeps_the_broker_from_being_called(build: Build) -> None:
    class Device:
        public_key = TOKEN_KEY.public_key

        def sign(self, message: bytes) -> bytes:
            raise OSError("the device is gone\nsee its log \ud800")

    service = Service()
    authorizer = build(service=service, config=TOKENS, token_signer=Device())
    decision = authorizer.propose(read())
    assert (decision.outcome, decision.executed) == ("deny", False)
    assert decision.reasons[-1] == (
        "broker did not execute: no token could be minted: the device is gone see its log ?"
    )
    assert service.calls == 0
    assert story(authorizer.ledger)[1].startswith("execution/deny: matched rule")
    released = build(config=TOKENS, token_signer=Device()).propose(read())
    assert released.token is None
    assert released.reasons[-1].startswith("no token could be minted")


def test_what_was_parked_in_one_commit_is_listed_in_its_order(build: Build) -> None:
    # They share a time stamp; ordered by their random ids, "oldest first" would be a matter of luck.
    authorizer = build()
    parked = [decision.approval_id for decision in authorizer.propose_many([order() for _ in range(8)])]
    assert [approval.id for approval in authorizer.pending()] == parked
