"""Policy, version 1 (§5): the values, and a loader that fails closed (§5.1).

Not here: deciding (``evaluate``), and saying why (``explain``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from delego_spec.canonical import digest
from delego_spec.constraints import AllowList, Amount, Constraint, RateLimit
from delego_spec.documents import Document, DocumentSchema, Path, by_place, parsed_document, read_yaml, shown
from delego_spec.errors import PolicyError, Problem
from delego_spec.globs import Glob
from delego_spec.matching import Match, MatchIndex
from delego_spec.spellings import host_problems, path_problems
from delego_spec.types import Digest, JSONObject

Outcome = Literal["allow", "deny", "needs_approval"]

MAX_POLICY_BYTES: Final = 4 * 1024 * 1024  # of text: room for tens of thousands of rules


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Denied, whatever the rules say."""

    name: str
    match: Match
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to an action that matches, if all constraints hold; otherwise it is denied."""

    name: str
    decision: Literal["allow", "needs_approval"]
    match: Match
    constraints: tuple[Constraint, ...] = ()  # in the order in which they are checked
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as loaded. ``document`` is its canonical form: what the policy digest is taken of."""

    version: int
    default: Outcome
    forbidden: tuple[Forbidden, ...]
    rules: tuple[Rule, ...]
    document: JSONObject = field(repr=False)
    forbidden_index: MatchIndex[Forbidden] = field(init=False, repr=False, compare=False)
    rule_index: MatchIndex[Rule] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "forbidden_index", MatchIndex((entry.match, entry) for entry in self.forbidden))
        put(self, "rule_index", MatchIndex((rule.match, rule) for rule in self.rules))


def load_policy(text: str, *, source: str = "policy.yaml") -> Policy:
    """Read a policy from YAML or JSON text (§5.1). ``source`` names the text in errors.

    Raises PolicyError with every problem, each with its line and what would be right.
    """
    if type(text) is not str:
        raise TypeError("a policy is loaded from text; decode it as UTF-8 first")
    return _load(read_yaml(text, max_bytes=MAX_POLICY_BYTES), source)


def policy_from_document(document: object, *, source: str = "policy") -> Policy:
    """The policy that a mapping describes: for programs that generate one. Checked like a file, except
    that it has no limit in size. Raises PolicyError.
    """
    return _load(parsed_document(document), source)


def policy_schema() -> JSONObject:
    """The JSON Schema (draft 2020-12) of policy version 1, for editors and other programs; a fresh copy."""
    text = files("delego_spec").joinpath("schemas", "policy.schema.json").read_text(encoding="utf-8")
    schema: JSONObject = json.loads(text)
    return schema


def policy_digest(policy_document: JSONObject, config_document: JSONObject) -> Digest:
    """``H({"config": …, "policy": …})`` (§8): what each decision receipt says it was decided under.

    The one hash without a limit in size: people write policies, not agents. Raises CanonicalError.
    """
    preimage = {"config": config_document, "policy": policy_document}
    return digest(preimage, name="policy digest", max_bytes=None)


@cache
def _schema() -> DocumentSchema:
    return DocumentSchema(policy_schema())


def _load(document: Document, source: str) -> Policy:
    problems = _schema().problems(document)
    if document.complete:
        problems += _repeated_names(document)
        known = {problem.path for problem in problems}
        problems += [problem for problem in _vain_matchers(document) if problem.path not in known]
    if problems:
        raise PolicyError(source, by_place(problems))
    return _policy(document.value)


def _repeated_names(document: Document) -> Iterator[Problem]:
    """Two rules of one name would share a rate limit, and a receipt would not say which one decided."""
    first: dict[str, Path] = {}
    for path, name in _names(document.value):
        if name not in first:
            first[name] = path
            continue
        place = document.places.get(first[name])
        where = "" if place is None else f" on line {place.line} column {place.column}"
        text = f"the name {shown(name)} is taken by another rule{where}; give each rule its own"
        yield document.problem(path, text)


def _vain_matchers(document: Document) -> Iterator[Problem]:
    """Spellings that no decidable action has (§4): "forbidden: /données" would let /donn%C3%A9es pass."""
    for path, match in _members(document.value, "match"):
        for matcher, problems in (
            ("host", host_problems),
            ("path", path_problems),
            ("path_contains", path_problems),
        ):
            text = match.get(matcher) if isinstance(match, dict) else None
            if isinstance(text, str):
                for problem in problems(text):
                    yield document.problem((*path, matcher), f"{shown(text)} fits no action: {problem}")


def _names(value: object) -> Iterator[tuple[Path, str]]:
    for path, name in _members(value, "name"):
        if isinstance(name, str):
            yield path, name


def _members(value: object, key: str) -> Iterator[tuple[Path, object]]:
    """This member of every entry, in a document that may still be wrong elsewhere."""
    for section in ("forbidden", "rules"):
        entries = value.get(section) if isinstance(value, dict) else None
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict) and key in entry:
                yield (section, index, key), entry[key]


# From here on the document has passed the schema: what is read is known to be there and of its type.


def _policy(document: Any) -> Policy:
    return Policy(
        version=document.get("version", 1),
        default=document["default"],
        forbidden=tuple(
            Forbidden(entry["name"], _match(entry["match"]), entry.get("description"))
            for entry in document.get("forbidden", ())
        ),
        rules=tuple(_rule(entry) for entry in document.get("rules", ())),
        document=document,
    )


def _rule(entry: Any) -> Rule:
    return Rule(
        name=entry["name"],
        decision=entry["decision"],
        match=_match(entry["match"]),
        constraints=tuple(_constraints(entry.get("constraints", {}))),
        description=entry.get("description"),
    )


def _match(entry: Any) -> Match:
    method, host, path = entry.get("method"), entry.get("host"), entry.get("path")
    methods = [method] if isinstance(method, str) else method
    return Match(
        methods=None if methods is None else frozenset(name.upper() for name in methods),
        host=None if host is None else host.lower(),
        path=None if path is None else Glob(path),
        path_contains=entry.get("path_contains"),
    )


def _constraints(entry: Any) -> Iterator[Constraint]:
    """In the order of §6, whatever the order in the file."""
    if "amount" in entry:
        amount = entry["amount"]
        yield Amount(amount["field"], amount.get("max"), amount.get("currency"))
    if "allow_list" in entry:
        yield AllowList(entry["allow_list"]["field"], tuple(entry["allow_list"]["in"]))
    if "rate_limit" in entry:
        yield RateLimit(entry["rate_limit"]["max"], entry["rate_limit"].get("per", "hour"))
