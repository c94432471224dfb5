"""Loading a policy fails closed, with every problem, its place and what would be right (§5.1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.canonical import digest
from delego_spec.constraints import AllowList, Amount, RateLimit
from delego_spec.errors import CanonicalError, PolicyError
from delego_spec.globs import Glob
from delego_spec.matching import Match
from delego_spec.policy import (
    Forbidden,
    Policy,
    Rule,
    load_policy,
    policy_digest,
    policy_from_document,
    policy_schema,
)
from delego_spec.types import JSON, JSONObject

FULL = """
# a comment
version: 1
default: needs_approval
forbidden:
  - name: no-deletes
    description: Nothing is ever deleted
    match: {method: [delete, Purge], path_contains: /delete}
rules:
  - name: pay
    decision: allow
    match: {method: post, host: API.Example.com:8443, path: /pay/**}
    constraints:
      rate_limit: {max: 3, per: day}
      allow_list: {field: to, in: [a, 1, null, [x]]}
      amount: {field: sum, max: 98.70, currency: NO}
  - name: ask
    decision: needs_approval
    description: A person looks
    match: {path: '*'}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        load_policy(text, source="p.yaml")
    assert str(caught.value) == "\n".join(problem.at("p.yaml") for problem in caught.value.problems)
    return str(caught.value).split("\n")


def test_a_policy_is_loaded_as_values() -> None:
    policy = load_policy(FULL)
    assert policy.version == 1
    assert policy.default == "needs_approval"
    assert policy.forbidden == (
        Forbidden(
            "no-deletes",
            Match(methods=frozenset({"DELETE", "PURGE"}), path_contains="/delete"),
            "Nothing is ever deleted",
        ),
    )
    assert policy.rules == (
        Rule(
            "pay",
            "allow",
            Match(methods=frozenset({"POST"}), host="api.example.com:8443", path=Glob("/pay/**")),
            (Amount("sum", 98.7, "NO"), AllowList("to", ("a", 1, None, ["x"])), RateLimit(3, "day")),
        ),
        Rule("ask", "needs_approval", Match(path=Glob("*")), (), "A person looks"),
    )


def test_the_smallest_policy_has_a_default_only() -> None:
    policy = load_policy("default: deny")
    assert (policy.version, policy.default, policy.forbidden, policy.rules) == (1, "deny", (), ())


def test_a_rate_limit_counts_per_hour_unless_told() -> None:
    policy = policy_from_document(with_rule({"constraints": {"rate_limit": {"max": 2}}}))
    assert policy.rules[0].constraints == (RateLimit(2, "hour"),)


def test_json_text_is_a_policy_too() -> None:
    document = load_policy(FULL).document
    assert load_policy(json.dumps(document, indent=2)) == load_policy(FULL)


def test_the_document_is_canonical_and_gives_the_digest() -> None:
    policy = load_policy("default: deny\nversion: 1.0")
    assert policy.document == {"default": "deny", "version": 1}
    assert type(policy.document["version"]) is int
    config: JSONObject = {"issuer": "me"}
    assert policy_digest(policy.document, config) == digest({"config": config, "policy": policy.document})
    assert policy_digest(policy.document, {}) != policy_digest(policy.document, config)


def test_a_digest_of_what_is_not_json_is_refused() -> None:
    with pytest.raises(CanonicalError, match=r"policy digest\.config\.x: is a set"):
        policy_digest({}, {"x": {1}})  # type: ignore[dict-item]  # the mistake under test


def with_rule(change: JSONObject) -> JSONObject:
    rule: JSONObject = {"name": "r", "decision": "allow", "match": {"path": "/r"}}
    return {"default": "deny", "rules": [rule | change]}


def with_forbidden(change: JSONObject) -> JSONObject:
    entry: JSONObject = {"name": "f", "match": {"path": "/f"}}
    return {"default": "deny", "forbidden": [entry | change]}


def amount(members: JSONObject) -> JSONObject:
    return with_rule({"constraints": {"amount": {"field": "a"} | members}})


def allow_list(members: JSONObject) -> JSONObject:
    return with_rule({"constraints": {"allow_list": {"field": "a", "in": ["x"]} | members}})


def rate_limit(members: JSONObject) -> JSONObject:
    return with_rule({"constraints": {"rate_limit": {"max": 1} | members}})


REFUSED: list[tuple[JSON, str]] = [
    ([], "is a list; wanted a mapping"),
    ("deny", "is 'deny'; wanted a mapping"),
    (None, "is null; wanted a mapping"),
    ({}, "is missing the key 'default'; use deny, allow or needs_approval"),
    ({"default": None}, "unknown default null; use deny, allow or needs_approval"),
    ({"default": "Deny"}, "unknown default 'Deny'"),
    (
        {"default": "deny", "rule": []},
        "unknown key 'rule'; known: default, forbidden, rules, version; did you",
    ),
    ({"default": "deny", "version": 2}, "version: is 2; at most 1 is allowed; version 1 is the newest"),
    ({"default": "deny", "version": 0}, "version: is 0; at least 1 is wanted"),
    ({"default": "deny", "version": True}, "version: is true; wanted a whole number"),
    ({"default": "deny", "version": "1"}, "version: is '1'; wanted a whole number"),
    ({"default": "deny", "rules": None}, "rules: is null; wanted a list"),
    ({"default": "deny", "rules": {}}, "rules: is a mapping; wanted a list"),
    ({"default": "deny", "rules": ["x"]}, "rules[0]: is 'x'; wanted a mapping"),
    (
        {"default": "deny", "rules": [{}]},
        "rules[0]: is missing the key 'decision'; use allow or needs_approval",
    ),
    ({"default": "deny", "forbidden": None}, "forbidden: is null; wanted a list"),
    (
        {"default": "deny", "forbidden": [{"name": "f"}]},
        "forbidden[0]: is missing the key 'match'; give at least",
    ),
    (
        with_rule({"decision": "deny"}),
        "unknown decision 'deny'; use allow or needs_approval; what is always denied",
    ),
    (with_rule({"decision": ["allow"]}), "unknown decision a list"),
    (with_rule({"name": ""}), "rules[0].name: is an empty text; every rule needs a name of its own"),
    (with_rule({"name": 7}), "rules[0].name: is 7; wanted a string"),
    (with_rule({"description": None}), "description: is null; wanted a string"),
    (with_rule({"priority": 1}), "rules[0].priority: unknown key 'priority'; known: constraints, decision"),
    (
        with_rule({"match": {}}),
        "rules[0].match: is empty; give at least one of host, method, path, path_contains",
    ),
    (with_rule({"match": None}), "rules[0].match: is null; wanted a mapping"),
    (with_rule({"match": {"pth": "/x"}}), "unknown match 'pth'; known: host, method, path, path_contains"),
    (with_rule({"match": {"host": None}}), "match.host: is null; wanted a string"),
    (with_rule({"match": {"host": ""}}), "match.host: is an empty text"),
    (with_rule({"match": {"host": "*.example.com"}}), "'*.example.com' does not have the form"),
    (with_rule({"match": {"host": "https://x"}}), "'https://x' does not have the form"),
    (with_rule({"match": {"host": "bücher.example"}}), "a host is compared whole and in ASCII"),
    (with_rule({"match": {"host": "x\n"}}), "'x\\n' does not have the form"),
    (with_rule({"match": {"method": 5}}), "match.method: is 5; wanted a string or a list"),
    (with_rule({"match": {"method": ""}}), "'' does not have the form that is wanted; a method is a word"),
    (with_rule({"match": {"method": "*"}}), "'*' does not have the form that is wanted; a method is a word"),
    (with_rule({"match": {"method": []}}), "match.method: is an empty list"),
    (with_rule({"match": {"method": ["GET", ""]}}), "match.method[1]: '' does not have the form"),
    (with_rule({"match": {"method": ["GET", None]}}), "match.method[1]: is null; wanted a string"),
    (with_rule({"match": {"path": ""}}), "match.path: is an empty text"),
    (with_rule({"match": {"path": "orders"}}), "a path begins with / or *"),
    (with_rule({"match": {"path": "/a?c"}}), "only * is a wildcard: ? [ ] and \\ are refused"),
    (with_rule({"match": {"path": "/[ab]"}}), "only * is a wildcard"),
    (with_rule({"match": {"path": "/a]"}}), "only * is a wildcard"),
    (with_rule({"match": {"path": "/a\\*"}}), "only * is a wildcard"),
    (with_rule({"match": {"path_contains": ""}}), "match.path_contains: is an empty text"),
    (with_rule({"match": {"path_contains": "?admin=1"}}), "a path never contains ? or #"),
    (with_forbidden({"match": {}}), "forbidden[0].match: is empty"),
    (with_forbidden({"decision": "allow"}), "forbidden[0].decision: unknown key 'decision'"),
    (with_rule({"constraints": None}), "constraints: is null; wanted a mapping"),
    (
        with_rule({"constraints": {"amuont": {}}}),
        "unknown constraint 'amuont'; known: allow_list, amount, rate_limit",
    ),
    (with_rule({"constraints": {"amount": None}}), "constraints.amount: is null; wanted a mapping"),
    (with_rule({"constraints": {"amount": []}}), "constraints.amount: is a list; wanted a mapping"),
    (with_rule({"constraints": {"amount": {"max": 5}}}), "constraints.amount: is missing the key 'field'"),
    (amount({"field": ""}), "amount.field: is an empty text"),
    (amount({"max": None}), "amount.max: is null; wanted a number"),
    (amount({"max": "5"}), "amount.max: is '5'; wanted a number"),
    (amount({"max": -1}), "amount.max: is -1; at least 0 is wanted"),
    (amount({"max": True}), "amount.max: is true; wanted a number"),
    (amount({"currency": None}), "amount.currency: is null; wanted a string"),
    (amount({"currency": ""}), "amount.currency: is an empty text"),
    (amount({"min": 1}), "amount.min: unknown key 'min'; known: currency, field, max"),
    (allow_list({"in": "internal"}), "allow_list.in: is 'internal'; wanted a list"),
    (with_rule({"constraints": {"allow_list": {"in": []}}}), "allow_list: is missing the key 'field'"),
    (with_rule({"constraints": {"allow_list": {"field": "a"}}}), "allow_list: is missing the key 'in'"),
    (with_rule({"constraints": {"rate_limit": None}}), "rate_limit: is null; wanted a mapping"),
    (rate_limit({"max": -1}), "rate_limit.max: is -1; at least 0 is wanted"),
    (rate_limit({"max": 1.5}), "rate_limit.max: is 1.5; wanted a whole number"),
    (rate_limit({"per": "week"}), "unknown per 'week'; use minute, hour or day"),
    (rate_limit({"per": None}), "unknown per null; use minute, hour or day"),
    (with_rule({"constraints": {"rate_limit": {"per": "day"}}}), "rate_limit: is missing the key 'max'"),
]


@pytest.mark.parametrize(("document", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_a_fault_is_refused_with_a_sentence(document: JSON, sentence: str) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_from_document(document)
    assert any(sentence in problem.at("policy") for problem in caught.value.problems), str(caught.value)
    assert problems(json.dumps(document, ensure_ascii=False))


@pytest.mark.parametrize(
    "document",
    [
        with_rule({}),
        with_rule({"description": "", "constraints": {}}),
        with_forbidden({"description": "d"}),
        {"default": "allow", "rules": [], "forbidden": []},
        with_rule({"match": {"host": "[::1]:8080", "method": "get", "path_contains": "/a*b"}}),
        with_rule({"match": {"path": "**/x"}}),
        amount({}),
        amount({"max": 0}),
        amount({"max": 0.5, "currency": "EUR"}),
        allow_list({"in": []}),
        rate_limit({"max": 0, "per": "minute"}),
    ],
)
def test_the_valid_twins_are_loaded(document: JSONObject) -> None:
    assert isinstance(policy_from_document(document), Policy)
    assert load_policy(json.dumps(document)).document == document


MISSING_DEFAULT = (
    "is missing the key 'default'; use deny, allow or needs_approval;"
    " it says what happens to an action that nothing else matches"
)


def test_all_problems_stand_in_one_error_each_with_its_line() -> None:
    text = """\
version: 2
forbidden:
- name: a
  match: {}
rules:
- name: a
  decision: deny
  match: {path: /x?}
  constraints: {amuont: {}, amount: {field: f, max: 05000}}
"""
    lines = problems(text)
    assert [line.split(": ")[0:2] for line in lines] == [
        ["p.yaml:1:1", MISSING_DEFAULT],
        ["p.yaml:1:10", "version"],
        ["p.yaml:4:10", "forbidden[0].match"],
        ["p.yaml:6:9", "rules[0].name"],
        ["p.yaml:7:13", "rules[0].decision"],
        ["p.yaml:8:17", "rules[0].match.path"],
        ["p.yaml:9:17", "rules[0].constraints.amuont"],
        ["p.yaml:9:53", "rules[0].constraints.amount.max"],
    ]  # fmt: skip


def test_names_are_unique_across_forbidden_and_rules() -> None:
    [line] = problems(
        "default: deny\nforbidden:\n- {name: a, match: {path: /x}}\n"
        "rules:\n- {name: a, decision: allow, match: {path: /y}}"
    )
    assert line == (
        "p.yaml:5:10: rules[0].name: the name 'a' is taken by another rule on line 3 column 10;"
        " give each rule its own"
    )


def test_a_repeated_name_in_a_mapping_has_no_place_but_a_path() -> None:
    rule = with_rule({})["rules"]
    assert isinstance(rule, list)
    with pytest.raises(PolicyError) as caught:
        policy_from_document({"default": "deny", "rules": rule * 2})
    assert str(caught.value) == (
        "policy: rules[1].name: the name 'r' is taken by another rule; give each rule its own"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "default: deny\nforbidden: []\nforbidden: []",
            "p.yaml:3:1: forbidden: key 'forbidden' is given twice",
        ),
        ('{"default": "deny", "default": "allow"}', "p.yaml:1:21: default: key 'default' is given twice"),
        ("default: &d deny", "has the anchor &d"),
        ("default: !!str deny", "has the tag"),
        ("default: deny\n---\ndefault: allow", "more than one document"),
        ("\ufeffdefault: deny", "a byte order mark"),
        ("default: deny\0", "U+0000"),
        ("default: \ud800", "U+D800"),
        ("default: [", "is not YAML"),
        ("[" * 100_000, "deeper than 64"),
        ("#" * (4 * 1024 * 1024 + 1), "more than 4194304 bytes"),
    ],
)
def test_text_that_programs_read_differently_is_refused(text: str, sentence: str) -> None:
    assert sentence in problems(text)[0]


def test_ten_thousand_rules_load_and_have_a_digest() -> None:
    # Canonical JSON of agents ends at 256 KiB; what people write is hashed whole, whatever its size.
    rules = "".join(
        f"  - {{name: rule-{number}, decision: allow, match: {{host: host-{number}.example.com}}}}\n"
        for number in range(10_000)
    )
    policy = load_policy(f"default: deny\nrules:\n{rules}")
    assert len(policy.rules) == 10_000
    assert len(policy_digest(policy.document, {})) == 64


def test_a_generated_policy_has_no_limit_in_size() -> None:
    rules: JSON = [
        {"name": f"r{number}", "decision": "allow", "match": {"host": f"h{number}.example.com"}}
        for number in range(5000)
    ]
    assert len(policy_from_document({"default": "deny", "rules": rules}).rules) == 5000


def test_a_policy_is_loaded_from_text_only() -> None:
    with pytest.raises(TypeError, match="decode it"):
        load_policy(b"default: deny")  # type: ignore[arg-type]  # the mistake under test


def test_a_mapping_that_is_not_json_is_refused() -> None:
    with pytest.raises(PolicyError, match="policy: default: is a set; JSON has"):
        policy_from_document({"default": {1}})


def test_the_mapping_that_was_handed_in_is_left_alone() -> None:
    document: JSONObject = {"default": "deny", "version": 1.0}
    policy = policy_from_document(document)
    assert type(document["version"]) is float
    assert policy.document is not document


def test_the_schema_is_one_and_a_fresh_copy_each_time() -> None:
    schema = policy_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    schema.clear()
    assert policy_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def refusal(load: Callable[[], Policy]) -> PolicyError | None:
    """None for a policy; any other exception than PolicyError fails the test."""
    try:
        policy = load()
    except PolicyError as error:
        return error
    assert isinstance(policy, Policy)
    return None


def repeats_a_name(document: JSONObject) -> bool:
    """Of a valid document."""
    entries: list[Any] = [*document.get("forbidden", ()), *document.get("rules", ())]  # type: ignore[misc]  # lists
    return len({entry["name"] for entry in entries}) < len(entries)


words = st.sampled_from(
    ["a", "", "/x", "GET", "allow", "deny", "minute", "name", "x?", "*", "needs_approval", "api.x"]
)
scalars = st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, 1.0]) | words
keys = ["name", "description", "decision", "match", "constraints", "method", "host", "path", "path_contains"]
keys += ["amount", "allow_list", "rate_limit", "field", "max", "currency", "in", "per", "x"]
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(["a", "b", "c", "d", "e", ""])
hosts = st.sampled_from(["api.x", "h.x:1", "*.x"])
paths = st.sampled_from(["/x", "*/y", "/a?"])
methods = st.sampled_from(["GET", ["get", "post"], "*"])
matches = st.fixed_dictionaries({"path": paths}, optional={"method": methods, "host": hosts})
forbidden = st.fixed_dictionaries({"name": names, "match": matches}, optional={"description": words})
limits = st.fixed_dictionaries(
    {}, optional={"rate_limit": st.fixed_dictionaries({"max": st.just(1) | scalars})}
)
rules = st.fixed_dictionaries(
    {"name": names, "decision": st.sampled_from(["allow", "needs_approval"]), "match": matches},
    optional={"constraints": limits, "description": words},
)
near_policies = st.fixed_dictionaries(
    {"default": st.sampled_from(["deny", "allow"])},
    optional={
        "version": st.just(1) | scalars,
        "rules": st.lists(rules, max_size=2) | junk,
        "forbidden": st.lists(forbidden, max_size=2),
    },
)


@given(near_policies)
def test_the_loader_and_the_schema_in_another_validator_agree(document: JSONObject) -> None:
    valid = jsonschema.Draft202012Validator(policy_schema()).is_valid(document)
    error = refusal(lambda: policy_from_document(document))
    assert (error is None) == (valid and not repeats_a_name(document))


@given(
    st.text()
    | st.text(alphabet="[]{}:,-?&*!|>'\" \nabdefaultny01.<")
    | st.binary().map(lambda raw: raw.decode("latin-1"))
    | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
    | near_policies.map(json.dumps)
)
def test_any_text_gives_a_policy_or_a_policy_error(text: str) -> None:
    error = refusal(lambda: load_policy(text))
    assert error is None or error.problems


@given(st.data())
def test_a_damaged_policy_gives_a_policy_or_a_policy_error(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(FULL)))
    length = data.draw(st.integers(0, 30))
    text = FULL[:place] + data.draw(st.text(max_size=5)) + FULL[place + length :]
    error = refusal(lambda: load_policy(text))
    assert error is None or all("\n" not in problem.at("p") for problem in error.problems)
