"""What SECURITY.md says is stopped, what is *not*, and what finds it afterwards: each claim, shown."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ballots import signed_yes
from delego_authorizer import Authorizer, Config, HomeError, init_home
from delego_broker import MemoryReplayStore, Outgoing, Refusal, TokenVerifier
from delego_ledger.keyfiles import load_public_key
from delego_ledger.sqlite import SQLiteLedger
from delego_spec import (
    Action,
    Anchor,
    ApprovalAudit,
    Broker,
    Entry,
    Executed,
    GatewayRequest,
    Micros,
    decode_line,
    encode_line,
    load_policy,
    seal,
    sign,
    verify_chain,
)
from delego_spec.display import decision_text
from delego_spec.ed25519 import PublicKey
from delego_spec.types import JSONObject
from spec_story import ALICE, LEDGER, Clock, Numbers, OneShop

POLICY = """
default: deny
rules:
  - name: read
    decision: allow
    match: { method: GET, path: /accounts/** }
    constraints: { rate_limit: { max: 2, per: day } }
  - name: order
    decision: needs_approval
    match: { method: POST, path: /orders }
    constraints: { rate_limit: { max: 2, per: day } }
"""
READ = Action("read my account", "GET", "https://api.example.com/accounts/me", {})
ORDER = Action("place a small order", "POST", "https://api.example.com/orders", {"amount": 2400})

House = Callable[..., Authorizer]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Opens an authorizer on the ledger in ``tmp_path``, made if there is none; a new one on each call."""

    ledgers: list[SQLiteLedger] = []

    def opened(
        policy: str = POLICY, folder: Path = tmp_path, shop: Broker | None = None, clock: Clock | None = None
    ) -> Authorizer:
        path, clock = folder / "ledger.db", clock or Clock()
        make = not path.exists()
        ledger = (
            SQLiteLedger.create(path, LEDGER, clock=clock)
            if make
            else SQLiteLedger.open(path, signer=LEDGER, clock=clock)
        )
        ledgers.append(ledger)
        return Authorizer(
            load_policy(policy),
            Config(approvers=("alice",), signed_approvals=True, broker_timeout=0.2),
            ledger,
            broker=shop or OneShop(),
            approver_keys={"alice": ALICE.public_key},
            clock=clock,
            randomness=Numbers(),
        )

    yield opened
    for ledger in ledgers:
        ledger.close()


def parked(authorizer: Authorizer) -> str:
    return str(authorizer.propose(ORDER).approval_id)


def say_yes(authorizer: Authorizer, approval_id: str, clock: Clock | None = None) -> None:
    evidence = signed_yes(authorizer.ballot(approval_id, "alice"), ALICE, (clock or Clock())())
    assert authorizer.decide(approval_id, "approve", "alice", callback=evidence.callback).accepted


def chain(authorizer: Authorizer) -> list[bytes]:
    return list(authorizer.ledger.lines())


def is_clean(lines: list[bytes]) -> bool:
    return verify_chain(lines, LEDGER.public_key).valid


def audit(lines: list[bytes], evidence: Callable[[str], JSONObject | None] = lambda _: None) -> list[str]:
    auditor = ApprovalAudit({"alice": ALICE.public_key}, evidence)
    return [problem for line in lines for problem in auditor.check(decode_line(line).payload)]


def forged(lines: list[bytes], *entries: Entry) -> list[bytes]:
    """The chain with receipts that the holder of the ledger's key makes up."""
    made = list(lines)
    for entry in entries:
        head = decode_line(made[-1])
        sealed = seal(entry, seq=len(made), ts=Micros(Clock()()), prev_hash=head.entry_hash)
        made.append(encode_line(sealed.payload, sealed.entry_hash, sign(sealed.entry_hash, LEDGER)))
    return made


def entry(phase: str, reason: str, rule: str | None, approval_id: str | None, *more: str) -> Entry:
    return Entry(
        phase=phase,  # type: ignore[arg-type]  # one of the two
        outcome="allow",
        rule=rule,
        reasons=(reason, *more),
        intent_hash=ORDER.intent_hash,
        action_fingerprint=ORDER.fingerprint,
        action_summary=ORDER.summary,
        approval_id=approval_id,  # type: ignore[arg-type]  # a NewType of str
    )


def head(lines: list[bytes]) -> Anchor:
    return decode_line(lines[-1]).anchor


def edit(folder: Path, statement: str, *values: object) -> None:
    """Somebody who can write the database does so."""
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        assert database.execute(statement, values).rowcount > 0
        database.commit()


class Silent:
    """A broker that answers when it is told to, if ever."""

    def __init__(self) -> None:
        self.asked = 0
        self.enough = threading.Event()

    def execute(self, request: GatewayRequest) -> Executed:
        self.asked += 1
        self.enough.wait(60)
        return Executed(status=200)


# --- what is stopped ------------------------------------------------------------------------------------


def test_params_that_change_after_the_action_was_made_are_not_released(house: House) -> None:
    authorizer = house()
    changing = Action(ORDER.instruction, "GET", READ.url, {"amount": 1})
    changing.params["amount"] = 1_000_000
    decision = authorizer.propose(changing)
    assert decision.outcome == "deny"
    assert "changed after it was made" in decision.reasons[0]


def test_a_rate_limit_holds_for_what_was_parked_while_it_was_free(house: House) -> None:
    authorizer = house()
    approvals = [parked(authorizer) for _ in range(3)]
    for approval_id in approvals:
        say_yes(authorizer, approval_id)
    assert [authorizer.resolve(one, ORDER).outcome for one in approvals] == ["allow", "allow", "deny"]


def test_every_allow_has_a_receipt_before_and_after(house: House) -> None:
    authorizer = house()
    authorizer.propose(READ)
    shown = [decode_line(line).payload for line in chain(authorizer)]
    assert [(one.phase, one.outcome) for one in shown] == [("decision", "allow"), ("execution", "allow")]


def test_a_broker_that_never_answers_is_asked_once_and_its_outcome_is_unknown(house: House) -> None:
    silent = Silent()
    authorizer = house(shop=silent)
    try:
        decision = authorizer.propose(READ)
        assert decision.outcome_unknown
        assert "outcome unknown" in decision.reasons[-1]
        assert silent.asked == 1
    finally:
        silent.enough.set()


@pytest.mark.parametrize("role", ["tokens", "approver"])
def test_the_ledgers_key_serves_no_other_role(house: House, role: str) -> None:
    ledger = house().ledger
    other = {"token_signer": LEDGER} if role == "tokens" else {"approver_keys": {"alice": LEDGER.public_key}}
    with pytest.raises(ValueError, match="each needs its own"):
        Authorizer(load_policy(POLICY), Config(), ledger, **other)  # type: ignore[arg-type]  # one of the two


def test_a_lost_ledger_is_not_started_anew(tmp_path: Path) -> None:
    home = init_home(tmp_path / "home", approver="alice")
    home.ledger_path.unlink()
    with pytest.raises(HomeError, match="restore it from a copy"):
        home.authorizer()
    assert not home.ledger_path.exists()


# --- the chain ------------------------------------------------------------------------------------------


def test_a_cut_chain_is_clean_and_only_an_anchor_shows_the_cut(house: House) -> None:
    authorizer = house()
    authorizer.propose(READ)
    lines = chain(authorizer)
    assert verify_chain(lines[:-1], LEDGER.public_key).completeness == "cannot_be_ruled_out"
    assert is_clean(lines[:-1])
    assert not verify_chain(lines[:-1], LEDGER.public_key, anchors=[head(lines)]).valid


def test_the_key_holder_can_rewrite_what_no_anchor_holds_and_nothing_else(house: House) -> None:
    authorizer = house()
    authorizer.propose(READ)
    anchor = head(chain(authorizer))
    authorizer.propose(READ)
    lines = chain(authorizer)
    after = forged(lines[: anchor.seq + 1], entry("execution", "executed via broker", "read", None))
    before = forged(lines[:1], entry("execution", "executed via broker", "read", None))
    assert verify_chain(after, LEDGER.public_key, anchors=[anchor]).valid
    assert is_clean(before)
    assert not verify_chain(before, LEDGER.public_key, anchors=[anchor]).valid


def test_the_principal_stands_beside_what_is_signed(house: House) -> None:
    authorizer = house()
    authorizer.propose(READ, "agent-7")
    lines = chain(authorizer)
    assert json.loads(lines[0])["context"] == {"principal": "agent-7"}
    assert is_clean([lines[0].replace(b"agent-7", b"agent-8"), *lines[1:]])


def test_a_time_stamp_is_the_writers_word(house: House) -> None:
    authorizer = house(clock=Clock(seconds=631_152_000))
    authorizer.propose(READ)
    lines = chain(authorizer)
    assert decode_line(lines[0]).payload.ts.startswith("1990-01-01")
    assert is_clean(lines)


# --- a yes ----------------------------------------------------------------------------------------------


def test_an_invented_yes_makes_a_clean_chain_and_is_found_by_the_audit(house: House) -> None:
    authorizer = house()
    approval_id = parked(authorizer)
    lines = forged(
        chain(authorizer),
        entry("decision", "human approved by 'alice'", None, approval_id),
        entry("execution", "human approved by 'alice'", "order", approval_id),
    )
    assert is_clean(lines)
    assert len(audit(lines)) == 2


def test_a_signature_lent_to_another_approval_is_found_by_the_audit(house: House) -> None:
    authorizer = house()
    approval_id, other = parked(authorizer), parked(authorizer)
    say_yes(authorizer, approval_id)
    lines = chain(authorizer)
    (lent,) = [reason for reason in decode_line(lines[-1]).payload.reasons if "evidence" in reason]
    assert audit(lines, authorizer.ledger.evidence) == []
    lines = forged(lines, entry("decision", "human approved by 'alice'", None, other, lent))
    assert is_clean(lines)
    (problem,) = audit(lines, authorizer.ledger.evidence)
    assert "is for another" in problem


def test_an_invented_allow_without_an_approval_is_beyond_the_audit(house: House) -> None:
    authorizer = house()
    parked(authorizer)
    lines = forged(chain(authorizer), entry("execution", "matched rule 'read'", "read", None))
    assert is_clean(lines)
    assert audit(lines) == []


def test_any_principal_may_release_what_was_approved(house: House) -> None:
    authorizer = house()
    approval_id = parked(authorizer)
    say_yes(authorizer, approval_id)
    assert authorizer.resolve(approval_id, ORDER, "somebody-else").executed


def test_only_a_forbidden_entry_stops_what_was_approved_before(house: House) -> None:
    authorizer = house()
    approval_id = parked(authorizer)
    say_yes(authorizer, approval_id)
    forbidding = house("default: deny\nforbidden: [{name: none, match: {path: /**}}]\n")
    assert forbidding.resolve(approval_id, ORDER).reasons == ("forbidden: none",)
    stricter = house("default: deny\n")
    assert stricter.propose(ORDER).outcome == "deny"
    assert stricter.resolve(approval_id, ORDER).executed


def test_look_alike_letters_are_shown_as_they_are(house: House) -> None:
    look_alike = Action("pay Alice", "POST", "https://api.example.com/orders", {"to": "\u0410lice"})
    authorizer = house()
    approval_id = str(authorizer.propose(look_alike).approval_id)
    approval = authorizer.ledger.approval(approval_id)
    assert approval is not None
    assert '"to" = "\u0410lice"' in decision_text(approval, look_alike)


# --- who can write the home -----------------------------------------------------------------------------


def test_an_edited_database_without_a_signed_yes_releases_nothing(house: House, tmp_path: Path) -> None:
    authorizer = house()
    approval_id = parked(authorizer)
    body = '\'"status":"pending"\', \'"status":"approved"\''
    edit(
        tmp_path,
        f"UPDATE approvals SET status = 'approved', body = CAST(replace(CAST(body AS TEXT), {body}) AS BLOB)",  # noqa: S608
    )
    decision = authorizer.resolve(approval_id, ORDER)
    assert decision.reasons == ("approval is not signed as it must be: 0 of 1 valid approver signatures",)
    assert not decision.executed


def test_an_edited_database_releases_twice_and_the_audit_finds_it(house: House, tmp_path: Path) -> None:
    authorizer = house()
    approval_id = parked(authorizer)
    say_yes(authorizer, approval_id)
    assert authorizer.resolve(approval_id, ORDER).executed
    assert audit(chain(authorizer), authorizer.ledger.evidence) == []
    body = '\'"status":"consumed"\', \'"status":"approved"\''
    edit(
        tmp_path,
        f"UPDATE approvals SET status = 'approved', body = CAST(replace(CAST(body AS TEXT), {body}) AS BLOB)",  # noqa: S608
    )
    assert authorizer.resolve(approval_id, ORDER).executed
    assert is_clean(chain(authorizer))
    (problem,) = audit(chain(authorizer), authorizer.ledger.evidence)
    assert "was released before" in problem


def test_an_edited_database_forgets_a_rate_limit_and_the_chain_stays_clean(
    house: House, tmp_path: Path
) -> None:
    authorizer = house()
    assert [authorizer.propose(READ).outcome for _ in range(3)] == ["allow", "allow", "deny"]
    edit(tmp_path, "DELETE FROM allows")
    assert authorizer.propose(READ).outcome == "allow"
    assert is_clean(chain(authorizer))


def test_single_use_is_per_ledger(house: House, tmp_path: Path) -> None:
    shop = OneShop()
    authorizer = house(shop=shop)
    approval_id = parked(authorizer)
    say_yes(authorizer, approval_id)
    authorizer.ledger.close()
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "ledger.db", copy)
    assert authorizer.resolve(approval_id, ORDER).executed
    assert house(folder=copy, shop=shop).resolve(approval_id, ORDER).executed
    assert len(shop.requests) == 2


# --- brokers --------------------------------------------------------------------------------------------


def broker_of(key: PublicKey, store: MemoryReplayStore) -> TokenVerifier:
    return TokenVerifier({key.key_id: key}, "https://broker.example", store)


def minted(folder: Path) -> tuple[str, PublicKey]:
    """A token for READ, as an authorizer without a broker releases it, and the key that checks it."""
    config = '[tokens]\naudience = "https://broker.example"\n'
    home = init_home(folder / "home", approver="alice", policy_text=POLICY, config_text=config)
    authorizer = home.authorizer()
    with closing(authorizer.ledger):
        token = authorizer.propose(READ).token
    assert token is not None
    return token, load_public_key(home.keys_path / "token.pub")


def test_a_stolen_token_has_the_effect_that_was_released_and_no_other(tmp_path: Path) -> None:
    token, key = minted(tmp_path)
    broker = broker_of(key, MemoryReplayStore())
    elsewhere = broker.authorize(token, Outgoing("GET", "https://api.example.com/accounts/you", {}))
    assert isinstance(elsewhere, Refusal)
    thief = broker.authorize(token, Outgoing("GET", READ.url, {}))
    assert not isinstance(thief, Refusal)
    owner = broker.authorize(token, Outgoing("GET", READ.url, {}))
    assert isinstance(owner, Refusal)
    assert owner.code == "already_consumed"


def test_single_use_of_a_token_is_per_store(tmp_path: Path) -> None:
    token, key = minted(tmp_path)
    for store in (MemoryReplayStore(), MemoryReplayStore()):
        assert not isinstance(broker_of(key, store).authorize(token, Outgoing("GET", READ.url, {})), Refusal)
