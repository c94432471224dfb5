"""What the shell offers after TAB: ids of approvals, names of rules. Silent about everything that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import click
from click.shell_completion import CompletionItem

from delego_cli.verbs import Session

Completer: TypeAlias = "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]"

# A file's name, for which the shell offers files; whether it is there is found when it is used.
ANY_FILE: Final = click.Path(readable=False)


def approval_ids(*statuses: str) -> Completer:
    """Offers the approvals in one of these states (in any, if none is named), each with what it is about."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _quietly(
            lambda: [
                CompletionItem(approval.id, help=_one_line(approval.summary))
                for approval in ctx.ensure_object(Session).home().ledger().approvals()
                if (not statuses or approval.status in statuses) and approval.id.startswith(incomplete)
            ]
        )

    return complete


def rule_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offers the names of the policy's rules, the forbidden ones too."""

    def names() -> Iterable[CompletionItem]:
        policy = ctx.ensure_object(Session).home().policy()
        known = [rule.name for rule in policy.forbidden] + [rule.name for rule in policy.rules]
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]

    return _quietly(names)


def _quietly(find: Callable[[], Iterable[CompletionItem]]) -> list[CompletionItem]:
    try:
        return list(find())
    except Exception:  # noqa: BLE001 - words of ours in the middle of a line that a person is typing help nobody
        return []


def _one_line(text: str) -> str:
    from delego_spec.display import visible

    return visible(text)[:60]
