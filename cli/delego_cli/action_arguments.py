"""An action as arguments: ``-i INSTRUCTION METHOD URL [-p name=value]… [--params JSON]``.

``-p name=value`` is always a string, ``-p name:=JSON`` a value of any type: nothing is guessed, because
``2400`` and ``"2400"`` have different fingerprints. A name that ends in a colon needs ``--params``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from delego_spec.action import Action
    from delego_spec.types import JSONObject

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ActionArguments:
    """What was typed; nothing of it has been read."""

    instruction: str | None
    method: str | None
    url: str | None
    pairs: tuple[str, ...]  # -p
    params: str | None  # --params

    @property
    def empty(self) -> bool:
        """True when no part of an action was given."""
        return not self.pairs and all(
            part is None for part in (self.instruction, self.method, self.url, self.params)
        )

    def action(self) -> Action:
        """The action. Raises click.UsageError for what is missing, given twice, or no action."""
        from delego_spec.action import Action
        from delego_spec.errors import ActionError

        if self.instruction is None:
            raise click.UsageError("missing option '-i': what the person asked for, in their words")
        if self.method is None or self.url is None:
            raise click.UsageError("missing METHOD and URL, such as: GET https://api.example.com/accounts/me")
        try:
            return Action(self.instruction, self.method, self.url, read_params(self.pairs, self.params))
        except ActionError as error:
            raise click.UsageError(str(error)) from None


def action_arguments(function: F) -> F:
    """Add the arguments to a verb; it gets ``instruction, method, url, pairs, params``."""
    for decorate in (
        click.option("--params", metavar="JSON", help="Params, as one JSON object."),
        click.option(
            "-p",
            "pairs",
            metavar="NAME=VALUE",
            multiple=True,
            help="One param, as a string; NAME:=JSON for a number, true, null, a list…",
        ),
        click.option(
            "-i", "--instruction", metavar="TEXT", help="What the person asked for, in their words."
        ),
        click.argument("url", required=False),
        click.argument("method", required=False),
    ):
        function = decorate(function)
    return function


def read_params(pairs: Sequence[str], text: str | None) -> JSONObject:
    """The params of ``--params`` and ``-p`` together. Raises click.UsageError."""
    params: JSONObject = {} if text is None else _object(text)
    for pair in pairs:
        name, sign, value = pair.partition("=")
        typed = name.endswith(":")
        name = name.removesuffix(":")
        if not sign or not name:
            raise click.UsageError(f"-p {pair!r:.80} is not NAME=VALUE or NAME:=JSON")
        if name in params:
            raise click.UsageError(f"the param {name!r:.80} is given twice")
        params[name] = _value(f"-p {name:.80}", value) if typed else value
    return params


def _object(text: str) -> JSONObject:
    value = _value("--params", text)
    if not isinstance(value, dict):
        raise click.UsageError(f"--params {text!r:.80} is not a JSON object, such as '{{\"amount\": 5}}'")
    return value


def _value(name: str, text: str) -> Any:
    from delego_spec.canonical import parse_json
    from delego_spec.errors import CanonicalError

    try:
        return parse_json(text, name=name)
    except CanonicalError as error:
        raise click.UsageError(str(error)) from None
