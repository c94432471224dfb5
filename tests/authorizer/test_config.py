"""config.toml: read strictly, with every problem named, and hashed as it is used."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_authorizer import Config, ConfigError, config_schema, load_config
from delego_authorizer.config import DEFAULTS
from delego_authorizer.home import template
from delego_spec.canonical import digest
from delego_spec.errors import DocumentError

FULL = """
version = 1
[actions]
plain_http_hosts = ["intranet.example:8080", "a.example"]
[approvals]
approvers = ["alice", "bob"]
lifetime_seconds = 60
release_seconds = 30
required = 2
separate_duties = false
signed = true
routing_group = "treasury"
[tokens]
issuer = "me"
audience = "https://broker.example"
lifetime_seconds = 10
[broker]
timeout_seconds = 0.5
url = "https://broker.example:8443"
bearer = "env:GATEWAY_BEARER"
ca = "ca.pem"
client_certificate = "client.pem"
[anchors]
file = "anchors.txt"
every = 7
"""


def test_an_empty_file_is_the_defaults() -> None:
    assert load_config("") == DEFAULTS == Config()


def test_every_setting_is_read() -> None:
    assert load_config(FULL) == Config(
        plain_http_hosts=frozenset({"intranet.example:8080", "a.example"}),
        approvers=("alice", "bob"),
        approval_lifetime=60,
        release_window=30,
        required_approvers=2,
        separate_duties=False,
        signed_approvals=True,
        routing_group="treasury",
        issuer="me",
        audience="https://broker.example",
        token_lifetime=10,
        broker_timeout=0.5,
        broker_url="https://broker.example:8443",
        broker_bearer="env:GATEWAY_BEARER",
        broker_ca="ca.pem",
        broker_client_certificate="client.pem",
        anchor_file="anchors.txt",
        anchor_every=7,
    )


def test_the_template_is_the_defaults_with_one_approver() -> None:
    text = template("config.toml").replace("{approver}", '"alice"')
    assert load_config(text) == Config(approvers=("alice",))
    uncommented = "\n".join(
        line.removeprefix("# ") for line in text.splitlines() if " = " in line or line[:1] == "["
    )
    assert load_config(uncommented).audience == "https://broker.example"


def test_all_that_can_change_a_decision_is_hashed_and_nothing_else() -> None:
    before = digest(DEFAULTS.decision_document)
    decisive = [
        '[actions]\nplain_http_hosts = ["a.example"]',
        '[approvals]\napprovers = ["alice"]',
        "[approvals]\nlifetime_seconds = 1",
        "[approvals]\nrelease_seconds = 1",
        "[approvals]\nrequired = 2",
        "[approvals]\nseparate_duties = false",
        '[approvals]\napprovers = ["alice"]\nsigned = true',
        '[approvals]\nrouting_group = "x"',
        '[tokens]\nissuer = "x"',
        '[tokens]\naudience = "x"',
        "[tokens]\nlifetime_seconds = 1",
    ]
    digests = {digest(load_config(text).decision_document) for text in decisive}
    assert len(digests - {before}) == len(decisive)
    gateway = '[tokens]\naudience = "x"\n[broker]\nsocket = "s"\nsocket_owner = "b"\nbearer = "file:b"'
    assert digest(load_config(gateway).decision_document) == digest(
        load_config('[tokens]\naudience = "x"').decision_document
    )
    for text in ("[broker]\ntimeout_seconds = 1", '[anchors]\nfile = "x"\nevery = 2', "version = 1"):
        assert digest(load_config(text).decision_document) == before


def test_the_order_of_lists_does_not_matter_to_the_hash() -> None:
    one, other = (load_config(f"[approvals]\napprovers = {names}") for names in ('["a", "b"]', '["b", "a"]'))
    assert digest(one.decision_document) == digest(other.decision_document)


def test_a_whole_number_may_be_written_as_a_float_and_is_used_as_the_integer_it_is() -> None:
    config = load_config("[approvals]\nlifetime_seconds = 60.0\n[broker]\ntimeout_seconds = 3")
    assert (type(config.approval_lifetime), config.approval_lifetime) == (int, 60)
    assert (type(config.broker_timeout), config.broker_timeout) == (float, 3.0)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("= 1", "config.toml: is not TOML: invalid statement (at line 1, column 1)"),
        ("a = " + "[" * 100_000, "config.toml: is not TOML: "),
        ("version = 2", "version: "),
        ("surprise = 1", "surprise: unknown key 'surprise'"),
        ("[approval]\nrequired = 1", "unknown key 'approval'; known: "),
        ("[approvals]\nrequired = 0", "approvals.required: is 0; at least 1 is wanted"),
        ("[approvals]\nrequired = 1.5", "approvals.required: is 1.5; wanted a whole number"),
        ("[approvals]\nrequired = true", "approvals.required: is true; wanted a whole number"),
        ('[approvals]\nseparate_duties = "no"', "wanted true or false"),
        ('[approvals]\napprovers = "alice"', "wanted a list"),
        ('[approvals]\napprovers = ["al ice"]', 'write principals such as "alice"'),
        ('[approvals]\napprovers = ["alice\\n"]', "does not have the form"),
        ('[approvals]\napprovers = ["a", "a"]', "names one value twice"),
        ('[approvals]\napprovers = ["a"]\nrequired = 2', "but only 1 approver(s) are named"),
        ("[approvals]\nsigned = true", "approvals.signed: is true, but 'approvals.approvers' names nobody"),
        ("[tokens]\nlifetime_seconds = 301", "at most 300 is allowed"),
        ('[tokens]\naudience = ""', "tokens.audience: is an empty text"),
        ("[broker]\ntimeout_seconds = 0", "broker.timeout_seconds: "),
        ("[broker]\ntimeout_seconds = inf", "broker.timeout_seconds"),
        ("[broker]\ntimeout_seconds = nan", "broker.timeout_seconds"),
        ("[broker]\ntimeout_seconds = 2024-01-01", "broker.timeout_seconds"),
        ("[anchors]\nevery = 9007199254740993", "anchors.every"),
        ('[actions]\nplain_http_hosts = ["A.example"]', "write lower-case authorities"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_what_would_be_right(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(text)
    assert problem in str(caught.value)
    assert isinstance(caught.value, DocumentError)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("[approvals]\nrequired = 0\nsigned = 1\n[tokens]\nissuer = 7", source="mine.toml")
    assert len(caught.value.problems) == 3
    assert str(caught.value).count("mine.toml: ") == 3


def test_the_schema_is_a_fresh_copy() -> None:
    schema = config_schema()
    schema.clear()
    assert json.dumps(config_schema())


@given(st.text(max_size=200) | st.sampled_from([FULL]).map(lambda text: text[: len(text) // 2]))
def test_any_text_gives_a_configuration_or_this_rooms_error(text: str) -> None:
    try:
        config = load_config(text)
    except ConfigError:
        return
    assert digest(config.decision_document)


@pytest.mark.parametrize("name", ["alice\n", "al ice", "", "a" * 65])
def test_a_name_that_is_no_principal_is_refused_a_trailing_newline_too(name: str) -> None:
    with pytest.raises(ConfigError, match=r"approvals\.approvers"):
        load_config(f"[approvals]\napprovers = [{json.dumps(name)}]\n")


# --- the gateway ----------------------------------------------------------------------------------------


def problems_of(broker: str, tokens: str = 'audience = "https://broker.example"') -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(f"[tokens]\n{tokens}\n[broker]\n{broker}\n")
    return str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://broker.example",
        "https://broker.example:8443/delego",
        "https://10.0.0.7:8443",
        "http://127.0.0.1:8787",
        "http://localhost:8787/",
        "http://[::1]:8787",
        "https://[2001:db8::7]:8443",
    ],
)
def test_a_gateway_is_https_or_on_loopback(url: str) -> None:
    config = load_config(f'[tokens]\naudience = "x"\n[broker]\nurl = "{url}"')
    assert (config.broker_url, config.names_gateway) == (url, True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker.example",
        "http://broker.example",
        "http://10.0.0.7",
        "http://127.0.0.1.example",
        "https://user:word@broker.example",
        "https://broker.example?x=1",
        "https://broker.example#x",
        "https://broker.example:0",
        "ftp://broker.example",
        "unix:/run/broker.sock",
    ],
)
def test_another_url_of_a_gateway_is_refused_with_what_would_be_right(url: str) -> None:
    assert "https://broker.example:8443" in problems_of(f'url = "{url}"')


@pytest.mark.parametrize("bearer", ["s3cret-bearer", "", "file:", "env:", "env:A B", "keyring:a", "FILE:a"])
def test_a_bearer_is_named_by_where_it_is_kept(bearer: str) -> None:
    assert "never the bearer itself" in problems_of(f'socket = "s"\nbearer = "{bearer}"')


@pytest.mark.parametrize(
    ("broker", "tokens", "text"),
    [
        ('url = "https://a.example"', "lifetime_seconds = 9", "tokens.audience: is missing; a gateway takes"),
        ('socket = "s"', "", "'broker.socket' names one"),
        ('url = "https://a.example"\nsocket = "s"', 'audience = "x"', "broker.socket: is a second way"),
        ('bearer = "env:A"', 'audience = "x"', "broker.bearer: is for a gateway"),
        ('ca = "a"', 'audience = "x"', "broker.ca: is for a gateway"),
        ('url = "http://127.0.0.1:1"\nca = "a"', 'audience = "x"', "broker.ca: is for https"),
        ('socket = "s"\nclient_certificate = "a"', 'audience = "x"', "client_certificate: is for https"),
        ('socket = ""', 'audience = "x"', "broker.socket"),
        ('url = "https://a.example"\nsocket_owner = "a"', 'audience = "x"', "socket_owner: is for a socket"),
        ('path = "s"', 'audience = "x"', "path"),
    ],
)
def test_what_is_said_of_a_gateway_has_to_fit_together(broker: str, tokens: str, text: str) -> None:
    assert text in problems_of(broker, tokens)
