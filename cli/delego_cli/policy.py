"""``delego policy``: show what is loaded, check a file, explain a decision, print the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from delego_authorizer.config import config_schema
from delego_cli.action_arguments import ActionArguments, action_arguments
from delego_cli.asking import standard_input
from delego_cli.completers import ANY_FILE
from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Column, Styled, Text, emit, fields, say, state, table
from delego_cli.policy_text import constraints_text, explanation, match_text
from delego_cli.verbs import Session, verb, verb_group
from delego_ledger.errors import StorageError
from delego_ledger.files import read_file
from delego_spec.display import visible
from delego_spec.errors import PolicyError
from delego_spec.policy import Policy, load_policy, policy_digest, policy_schema

if TYPE_CHECKING:
    from delego_spec.types import JSON

MAX_FILE = 4 * 1024 * 1024  # bytes; the loader has a smaller limit and says so better

command = verb_group("policy", "Show, check and explain what agents may do.")


@verb("show", group=command, examples=["delego policy show"])
def show(session: Session) -> ExitCode:
    """Show the home's policy, in the order it is read."""
    home = session.home().require()
    policy, config = home.policy(), home.config()
    digest = policy_digest(policy.document, config.decision_document)
    if session.json:
        emit({"digest": digest, "policy": policy.document, "config": config.decision_document})
        return ExitCode.YES
    fields(
        [
            ("policy", f"{home.policy_path}, version {policy.version}"),
            ("digest", f"sha256:{digest}"),
            ("default", state(policy.default)),
        ]
    )
    columns = [
        Column("name"),
        Column("decision"),
        Column("match", flexible=True),
        Column("constraints", flexible=True),
    ]
    forbidden: list[list[Text]] = [
        [visible(entry.name), state("deny", "forbidden"), match_text(entry.match), ""]
        for entry in policy.forbidden
    ]
    rules: list[list[Text]] = [
        [visible(rule.name), state(rule.decision), match_text(rule.match), constraints_text(rule.constraints)]
        for rule in policy.rules
    ]
    say("")
    table(columns, [*forbidden, *rules])
    return ExitCode.YES


@verb("check", group=command, examples=["delego policy check draft.yaml"])
@click.argument("file", type=ANY_FILE, required=False)
def check(session: Session, file: str | None) -> ExitCode:
    """Read a policy strictly, and list all that is wrong with it.

    FILE is YAML or JSON (- for standard input); without it, the home's policy. The exit status is 3 for a
    policy that is refused.
    """
    if file is None:
        source = str(session.home().require().policy_path)
    else:
        source = "standard input" if file == "-" else file
    text = _read(file, source)
    try:
        policy = load_policy(text, source=source)
    except PolicyError as error:
        if session.json:
            problems: list[JSON] = [
                {"path": one.path, "text": one.text, "line": one.line, "column": one.column}
                for one in error.problems
            ]
            emit({"valid": False, "source": source, "problems": problems})
        else:
            for problem in error.problems:
                say(problem.at(source))
            say(Styled("refused: ", fg="red", bold=True), _count(len(error.problems), "problem"))
        return ExitCode.NO
    if session.json:
        emit({"valid": True, "source": source, "problems": []})
    else:
        what = f"version {policy.version}, default {policy.default}, {_sizes(policy)}"
        say(Styled("good: ", fg="green", bold=True), f"{source}: {what}")
    return ExitCode.YES


@verb(
    "explain",
    group=command,
    examples=["delego policy explain -i 'read my account' GET https://api.example.com/accounts/me"],
)
@action_arguments
def explain(session: Session, **typed: Any) -> ExitCode:
    """Say what would become of an action, and why.

    Nothing is decided and nothing recorded. Every entry of the policy is shown up to the one that decides.
    Exit status: 0 it would be allowed; 3 it would be denied, or wait for a person.
    """
    action = ActionArguments(**typed).action()
    found = explanation(session.home().require(), action)
    if session.json:
        steps: list[JSON] = [
            {"section": step.section, "rule": step.rule, "matched": step.matched, "text": step.text}
            for step in found.steps
        ]
        emit(
            {
                "outcome": found.outcome,
                "rule": found.rule,
                "reasons": [*found.reasons],
                "steps": steps,
                "intent_hash": action.intent_hash,
                "action_fingerprint": action.fingerprint,
            }
        )
    else:
        say(Styled("action: ", dim=True), visible(action.summary))
        for hazard in found.hazards:
            say("  ", Styled(visible(hazard), fg="red"))
        for step in found.steps:
            say("  ", Styled(visible(step.text), dim=not step.matched))
        say(Styled("would be: ", dim=True), state(found.outcome), f"; {visible('; '.join(found.reasons))}")
    return ExitCode.YES if found.outcome == "allow" else ExitCode.NO


@verb("schema", group=command, examples=["delego policy schema > policy.schema.json"])
@click.option("--config", "of_config", is_flag=True, help="The schema of config.toml instead.")
def schema(session: Session, of_config: bool) -> ExitCode:  # noqa: ARG001 - it is JSON anyway
    """Print the JSON Schema of policy.yaml, for your editor."""
    document = config_schema() if of_config else policy_schema()
    click.echo(json.dumps(document, indent=2))
    return ExitCode.YES


def _read(file: str | None, source: str) -> str:
    try:
        if file == "-":
            data = standard_input().read(MAX_FILE + 1)
        else:
            data = read_file(Path(source), limit=MAX_FILE)[0]
        return data.decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{source!r:.300} is not UTF-8 (byte {error.start})", ExitCode.NO) from None
    except StorageError as error:
        raise CommandError(f"cannot read {source!r:.300}: {error.reason}") from None


def _sizes(policy: Policy) -> str:
    return f"{len(policy.forbidden)} forbidden, {_count(len(policy.rules), 'rule')}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
