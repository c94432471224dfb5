"""The configuration beside the policy (``config.toml``): read as strictly as the policy is.

The part of it that can change a decision, or what a token permits, is hashed together with the policy into
every decision receipt; what is said about the broker and the anchors is not.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from delego_authorizer.errors import ConfigError
from delego_ledger.keyfiles import names_key_file
from delego_spec.documents import DocumentSchema, by_place, parsed_document
from delego_spec.errors import Problem
from delego_spec.tokens import DEFAULT_LIFETIME
from delego_spec.types import JSONObject


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration as loaded, defaults filled in. ``DEFAULTS`` is an empty file's."""

    plain_http_hosts: frozenset[str] = frozenset()
    approvers: tuple[str, ...] = ()  # empty: anybody who can write the home
    approval_lifetime: int = 86_400  # seconds
    release_window: int = 3_600  # seconds, from the last yes
    required_approvers: int = 1
    separate_duties: bool = True
    signed_approvals: bool = False
    routing_group: str | None = None
    issuer: str = "delego"
    audience: str | None = None  # None: no tokens
    token_lifetime: int = DEFAULT_LIFETIME  # seconds
    broker_timeout: float = 30.0  # seconds
    broker_url: str | None = None  # without url and socket: the caller executes, or a broker it brings
    broker_socket: str | None = None  # relative to the home
    broker_socket_owner: str | None = None  # a user's name or id; None: this user or root
    broker_bearer: str | None = None  # "file:NAME" or "env:NAME", where it is kept
    broker_ca: str | None = None  # relative to the home
    broker_client_certificate: str | None = None  # relative to the home
    anchor_file: str | None = None  # relative to the home
    anchor_every: int = 100  # receipts

    @property
    def names_gateway(self) -> bool:
        """Whether what is released goes to a gateway, and not to the caller."""
        return self.broker_url is not None or self.broker_socket is not None

    @property
    def decision_document(self) -> JSONObject:
        """What is hashed into the policy digest: all that can change a decision or a token (§8)."""
        return {
            "actions": {"plain_http_hosts": [*sorted(self.plain_http_hosts)]},
            "approvals": {
                "approvers": [*sorted(self.approvers)],
                "lifetime_seconds": self.approval_lifetime,
                "release_seconds": self.release_window,
                "required": self.required_approvers,
                "routing_group": self.routing_group,
                "separate_duties": self.separate_duties,
                "signed": self.signed_approvals,
            },
            "tokens": {
                "audience": self.audience,
                "issuer": self.issuer,
                "lifetime_seconds": self.token_lifetime,
            },
        }


DEFAULTS = Config()


def load_config(text: str, *, source: str = "config.toml") -> Config:
    """Read a configuration from TOML text. Raises ConfigError with everything that is wrong."""
    try:
        members = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(
            source, [Problem("", f"is not TOML: {_lower(str(error) or 'nested too deeply')}")]
        ) from None
    document = parsed_document(members)
    problems = _schema().problems(document)
    if not problems:
        problems = _contradictions(document.value)
    if problems:
        raise ConfigError(source, by_place(problems))
    return _config(document.value)


def config_schema() -> JSONObject:
    """The JSON Schema (draft 2020-12) of the configuration; a fresh copy."""
    text = files("delego_authorizer").joinpath("schemas", "config.schema.json").read_text(encoding="utf-8")
    schema: JSONObject = json.loads(text)
    return schema


@cache
def _schema() -> DocumentSchema:
    return DocumentSchema(config_schema())


# From here on the document has passed the schema, and 60.0 is 60: what is hashed is what is used.


def _contradictions(members: Any) -> list[Problem]:
    approvals = members.get("approvals", {})
    approvers, required = approvals.get("approvers", []), approvals.get("required", 1)
    problems = []
    if approvers and required > len(approvers):
        text = f"is {required}, but only {len(approvers)} approver(s) are named; no approval could be given"
        problems.append(Problem("approvals.required", text))
    if approvals.get("signed") and not approvers:
        text = "is true, but 'approvals.approvers' names nobody; name who may sign"
        problems.append(Problem("approvals.signed", text))
    problems += _gateway_contradictions(members.get("broker", {}), members.get("tokens", {}))
    for name in approvers if approvals.get("signed") else []:
        if not names_key_file(name):
            text = f"{name!r} can have no key file; where decisions are signed, use a-z, 0-9 and ._@- only"
            problems.append(Problem("approvals.approvers", text))
    return problems


def _gateway_contradictions(broker: Any, tokens: Any) -> list[Problem]:
    problems = []
    gateway = next((name for name in ("url", "socket") if name in broker), None)
    if "url" in broker and "socket" in broker:
        problems.append(Problem("broker.socket", "is a second way to one gateway; give 'url' or 'socket'"))
    if gateway is not None and "audience" not in tokens:
        text = f"is missing; a gateway takes nothing without a token, and 'broker.{gateway}' names one"
        problems.append(Problem("tokens.audience", text))
    if "socket_owner" in broker and "socket" not in broker:
        problems.append(Problem("broker.socket_owner", "is for a socket; name it with 'broker.socket'"))
    secure = broker.get("url", "").startswith("https:")
    for name in ("bearer", "ca", "client_certificate"):
        if name in broker and gateway is None:
            problems.append(Problem(f"broker.{name}", "is for a gateway; name it with 'broker.url'"))
        elif name in broker and name != "bearer" and not secure:
            problems.append(Problem(f"broker.{name}", "is for https, and this gateway is not reached by it"))
    return problems


def _config(members: Any) -> Config:
    actions, approvals = members.get("actions", {}), members.get("approvals", {})
    tokens, broker = members.get("tokens", {}), members.get("broker", {})
    anchors = members.get("anchors", {})
    return Config(
        plain_http_hosts=frozenset(actions.get("plain_http_hosts", ())),
        approvers=tuple(approvals.get("approvers", ())),
        approval_lifetime=approvals.get("lifetime_seconds", DEFAULTS.approval_lifetime),
        release_window=approvals.get("release_seconds", DEFAULTS.release_window),
        required_approvers=approvals.get("required", DEFAULTS.required_approvers),
        separate_duties=approvals.get("separate_duties", DEFAULTS.separate_duties),
        signed_approvals=approvals.get("signed", DEFAULTS.signed_approvals),
        routing_group=approvals.get("routing_group"),
        issuer=tokens.get("issuer", DEFAULTS.issuer),
        audience=tokens.get("audience"),
        token_lifetime=tokens.get("lifetime_seconds", DEFAULTS.token_lifetime),
        broker_timeout=float(broker.get("timeout_seconds", DEFAULTS.broker_timeout)),
        broker_url=broker.get("url"),
        broker_socket=broker.get("socket"),
        broker_socket_owner=broker.get("socket_owner"),
        broker_bearer=broker.get("bearer"),
        broker_ca=broker.get("ca"),
        broker_client_certificate=broker.get("client_certificate"),
        anchor_file=anchors.get("file"),
        anchor_every=anchors.get("every", DEFAULTS.anchor_every),
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
