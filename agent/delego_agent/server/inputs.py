"""A tool's arguments, read exactly: nothing is converted, and what is not asked for is refused.

An argument that is silently dropped (``approve: true``) would leave an agent believing that it counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from delego_agent.server.errors import InvalidArguments
from delego_authorizer.steps import is_approval_id
from delego_spec.action import Action
from delego_spec.errors import ActionError

INSTRUCTION_KEY: Final = "delego/instruction"  # in a request's _meta: set by the person's own program
MAX_TAIL: Final = 100  # receipts
DEFAULT_TAIL: Final = 20

_TEXTS: Final = ("instruction", "method", "url", "approval_id")


@dataclass(frozen=True, slots=True)
class Words:
    """Where the person's words may come from beside the argument."""

    standing: str | None = None  # --instruction: where a call has none
    of_program: object = None  # the request's _meta; what the person's program says beats what the agent says


def read_arguments(given: object, allowed: tuple[str, ...], required: tuple[str, ...]) -> dict[str, Any]:
    """The arguments, each of its type. Raises InvalidArguments with all that is wrong."""
    if given is None:
        given = {}
    if type(given) is not dict:
        raise InvalidArguments(f"the arguments are a {_kind(given)}; send an object")
    problems = [*_problems(given, allowed, required)]
    if problems:
        raise InvalidArguments(*problems)
    return given


def action_of(arguments: Mapping[str, Any], words: Words) -> Action:
    """The action that the arguments describe. Raises InvalidArguments."""
    instruction = words.of_program
    if instruction is None:
        instruction = arguments.get("instruction", words.standing)
    if instruction is None:
        raise InvalidArguments("'instruction' is missing: the person's own words that this action serves")
    try:  # it looks at the types itself
        return Action.from_mapping(
            {
                "instruction": instruction,
                "method": arguments["method"],
                "url": arguments["url"],
                "params": arguments.get("params", {}),
            }
        )
    except ActionError as error:
        raise InvalidArguments(str(error)) from None


def _problems(given: dict[str, Any], allowed: tuple[str, ...], required: tuple[str, ...]) -> Iterator[str]:
    for name in sorted(given.keys() - set(allowed)):
        takes = ", ".join(allowed) if allowed else "none"
        yield f"there is no argument {name!r:.60}; it takes: {takes}"
    for name in required:
        if name not in given:
            yield f"{name!r} is missing"
    for name in _TEXTS:
        if name in given and name in allowed and type(given[name]) is not str:
            yield f"{name!r} is a {_kind(given[name])}; send a string"
    approval_id = given.get("approval_id")
    if "approval_id" in allowed and type(approval_id) is str and not is_approval_id(approval_id):
        yield f"'approval_id' {approval_id!r:.80} has not the form of one; send it as it was given"
    limit = given.get("limit", DEFAULT_TAIL)
    if "limit" in allowed and (type(limit) is not int or not 1 <= limit <= MAX_TAIL):
        yield f"'limit' is {limit!r:.40}; send an integer from 1 to {MAX_TAIL}"


def _kind(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
