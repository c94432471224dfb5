"""The tools as they are listed: names, words, annotations, and schemas of what goes in and comes out.

Each result is one object with a ``status``; which members come with which status is in the schema itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from delego_agent.server.inputs import DEFAULT_TAIL, MAX_TAIL

Schema = dict[str, Any]

PROPOSE: Final = "delego_propose_action"
RESOLVE: Final = "delego_resolve_action"
PENDING: Final = "delego_pending"
TAIL: Final = "delego_audit_tail"
POLICY: Final = "delego_show_policy"
EXPLAIN: Final = "delego_explain"

TEXT: Final[Schema] = {"type": "string"}
TEXTS: Final[Schema] = {"type": "array", "items": TEXT}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
DIGEST: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TIME: Final[Schema] = {"type": "string", "description": "RFC 3339, UTC"}
MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "description": "RFC 3339, UTC"}

_OUTCOME: Final[Schema] = {"enum": ["allow", "deny", "needs_approval"]}
_CONSTRAINT: Final[Schema] = {"enum": ["amount", "allow_list", "rate_limit"]}
_INSTEAD: Final[Schema] = {
    "type": ["object", "null"],
    "description": "What the policy would take in the place of what was denied.",
    "properties": {
        "failed": {
            "type": "array",
            "description": "The constraints that do not hold, and what each would take.",
            "items": {
                "type": "object",
                "properties": {"constraint": _CONSTRAINT, "reason": TEXT, "allowed": {"type": "object"}},
                "required": ["constraint", "reason", "allowed"],
                "additionalProperties": False,
            },
        },
        "rules": {
            "type": "array",
            "description": "Rules that are nearest to the action, and where it differs from them.",
            "items": {
                "type": "object",
                "properties": {
                    "rule": TEXT,
                    "decision": {"enum": ["allow", "needs_approval"]},
                    "description": MAYBE_TEXT,
                    "match": {"type": "object"},
                    "constraints": {"type": "object"},
                    "differs": TEXTS,
                },
                "required": ["rule", "decision", "description", "match", "constraints", "differs"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["failed", "rules"],
    "additionalProperties": False,
}

_FAILURES: Final[Mapping[str, tuple[str, ...]]] = {
    "setup_required": ("problem", "commands"),
    "invalid_arguments": ("problems",),
    "unavailable": ("problem",),
}
_FAILURE_MEMBERS: Final[Schema] = {
    "problem": TEXT,
    "problems": TEXTS,
    "commands": {"type": "array", "items": TEXT, "description": "For the person to run, not for the agent."},
}
_DECISION: Final[Schema] = {
    "outcome": _OUTCOME,
    "rule": MAYBE_TEXT,
    "reasons": TEXTS,
    "intent_hash": DIGEST,
    "action_fingerprint": DIGEST,
    "approval_id": MAYBE_TEXT,
    "expires_at": MAYBE_TIME,
    "executed": {
        "type": ["boolean", "null"],
        "description": "null: nobody knows; never repeat it by yourself",
    },
    "result": {"description": "What the broker's service returned."},
    "token": {
        "type": ["string", "null"],
        "description": "For the caller's own broker, once, for this action.",
    },
    "receipt": {"type": ["string", "null"], "description": "The newest receipt about it, SEQ:HASH"},
    "instead": _INSTEAD,
}
_DECIDED: Final = (*_DECISION,)
_DECISION_STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "executed": _DECIDED,
    "released": _DECIDED,
    "denied": _DECIDED,
    "needs_approval": _DECIDED,
    "not_executed": _DECIDED,
    "outcome_unknown": (),  # where not even that could be written down
}
_APPROVAL: Final[Schema] = {
    "approval_id": TEXT,
    "summary": TEXT,
    "instruction": TEXT,
    "rule": MAYBE_TEXT,
    "reason": MAYBE_TEXT,
    "created_at": TIME,
    "expires_at": MAYBE_TIME,
}
_RECEIPT: Final[Schema] = {
    "seq": COUNT,
    "ts": TEXT,
    "phase": {"enum": ["decision", "execution"]},
    "outcome": _OUTCOME,
    "rule": MAYBE_TEXT,
    "reasons": TEXTS,
    "intent_hash": TEXT,
    "action_fingerprint": TEXT,
    "action_summary": TEXT,
    "approval_id": MAYBE_TEXT,
    "entry_hash": TEXT,
}
_STEP: Final[Schema] = {
    "section": {"enum": ["forbidden", "rules", "default"]},
    "rule": MAYBE_TEXT,
    "matched": {"type": "boolean"},
    "text": TEXT,
}


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool."""

    name: str
    title: str
    description: str
    arguments: tuple[str, ...]
    required: tuple[str, ...]
    output: Schema
    read_only: bool = True

    def listed(self, *, standing_instruction: bool) -> Schema:
        """As ``tools/list`` has it."""
        required = [name for name in self.required if name != "instruction" or not standing_instruction]
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": {
                "type": "object",
                "properties": {name: _ARGUMENTS[name] for name in self.arguments},
                "required": required,
                "additionalProperties": False,
            },
            "outputSchema": self.output,
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.read_only,
                "destructiveHint": not self.read_only,  # what is released may be anything
                "idempotentHint": self.read_only,  # a released action is released again when asked again
                "openWorldHint": not self.read_only,  # what is released reaches whatever its URL names
            },
        }


_ARGUMENTS: Final[Schema] = {
    "instruction": {
        "type": "string",
        "minLength": 1,
        "description": "The person's own words that this action serves, unchanged. Not your plan, not a"
        " summary: whoever approves reads them, and the yes is bound to them.",
    },
    "method": {"type": "string", "description": "GET, POST, …; CALL for a tool. Letters and hyphens."},
    "url": {
        "type": "string",
        "description": "https://host/path?query, mcp://server/tool or tool://name/operation; no fragment.",
    },
    "params": {
        "type": "object",
        "description": "All that the action carries beside the URL. Every member is bound. Integers beyond"
        " 2^53-1 and numbers that need an exponent: send them as strings.",
    },
    "approval_id": {
        "type": "string",
        "pattern": "^[A-Za-z0-9_.-]{1,80}$",
        "description": "As delego_propose_action gave it.",
    },
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_TAIL,
        "default": DEFAULT_TAIL,
        "description": "How many receipts at most.",
    },
}


def _output(statuses: Mapping[str, tuple[str, ...]], members: Schema) -> Schema:
    """An object whose ``status`` says which other members are there."""
    branches = {**statuses, **_FAILURES}
    return {
        "type": "object",
        "properties": {
            "status": {"enum": [*branches]},
            "next": {"type": "string", "description": "What to do now."},
            **_FAILURE_MEMBERS,
            **members,
        },
        "required": ["status", "next"],
        "additionalProperties": False,
        "allOf": [
            {"if": {"properties": {"status": {"const": status}}}, "then": {"required": [*needed]}}
            for status, needed in branches.items()
            if needed
        ],
    }


def _seen(members: Schema) -> Schema:
    return _output({"ok": (*members,)}, members)


def _list_of(members: Schema) -> Schema:
    item = {
        "type": "object",
        "properties": members,
        "required": [*members],
        "additionalProperties": False,
    }
    return {"type": "array", "items": item}


_ACTION: Final = ("instruction", "method", "url", "params")
_NEEDED: Final = ("instruction", "method", "url")
_DECISION_OUTPUT: Final = _output(_DECISION_STATUS, _DECISION)

TOOLS: Final[Mapping[str, Tool]] = {
    tool.name: tool
    for tool in (
        Tool(
            PROPOSE,
            "Propose an action",
            "Have one action decided, before it happens. Allowed: it is executed at once where this home has"
            " a broker, else released for you to do it now, exactly as proposed, once. Denied: the result"
            " says why, and what would be allowed instead. Needs approval: a person is asked, outside of"
            " this conversation; release it later with delego_resolve_action. The same action under the same"
            " instruction meets the approval that it already has.",
            _ACTION,
            _NEEDED,
            _DECISION_OUTPUT,
            read_only=False,
        ),
        Tool(
            RESOLVE,
            "Release an approved action",
            "Release an action that a person has approved: exactly this one, under the same instruction,"
            " once. While nobody has decided, the result is needs_approval again. It approves nothing.",
            ("approval_id", *_ACTION),
            ("approval_id", *_NEEDED),
            _DECISION_OUTPUT,
            read_only=False,
        ),
        Tool(
            PENDING,
            "Your actions that wait for a person",
            "The actions you proposed on which nobody has decided yet. Only to look at.",
            (),
            (),
            _seen({"pending": _list_of(_APPROVAL), "more": COUNT}),
        ),
        Tool(
            TAIL,
            "The newest receipts about your actions",
            "What was decided and done about your own actions, newest last, out of the signed ledger. It is"
            " not verified here: 'delego verify' does that.",
            ("limit",),
            (),
            _seen({"receipts": _list_of(_RECEIPT), "others": COUNT, "head": MAYBE_TEXT}),
        ),
        Tool(
            POLICY,
            "The policy",
            "The rules by which actions are decided, in the order in which they are read. Only to look at.",
            (),
            (),
            _seen({"version": COUNT, "digest": DIGEST, "policy": {"type": "object"}, "left_out": COUNT}),
        ),
        Tool(
            EXPLAIN,
            "What would become of an action",
            "Says how an action would be decided now, entry by entry of the policy, and what would be allowed"
            " instead. Nothing is decided, recorded or released.",
            _ACTION,
            _NEEDED,
            _seen(
                {
                    "outcome": _OUTCOME,
                    "rule": MAYBE_TEXT,
                    "reasons": TEXTS,
                    "steps": _list_of(_STEP),
                    "instead": _INSTEAD,
                    "intent_hash": DIGEST,
                    "action_fingerprint": DIGEST,
                }
            ),
        ),
    )
}
