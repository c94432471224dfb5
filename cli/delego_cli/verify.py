"""``delego verify``: the verdict on a chain of receipts, and how far it reaches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from delego_cli.completers import ANY_FILE
from delego_cli.errors import CommandError
from delego_cli.exit_codes import ExitCode
from delego_cli.output import Styled, emit, fields, progress, say
from delego_cli.verbs import Session, verb
from delego_cli.verifying import (
    Audit,
    Source,
    Verdict,
    anchors_of,
    file_source,
    find_key,
    home_source,
    make_audit,
    run,
)
from delego_spec.anchors import Anchor
from delego_spec.errors import AnchorError

if TYPE_CHECKING:
    from delego_authorizer import Home
    from delego_spec.ed25519 import PublicKey
    from delego_spec.types import JSON, JSONObject

MAX_JOBS: Final = 256  # each is a process
MAX_LISTED: Final = 50  # problems shown to people; --json has more

NO_ANCHOR: Final = (  # lines that fit any terminal
    "without an anchor, cutting off the newest receipts shows nowhere: keep the head",
    "where the ledger's writer cannot change it, and give it with --expected-head,",
    "or with --anchor where the ledger has grown since",
)


def _anchor(_: click.Context, __: click.Parameter, value: str | None) -> Anchor | None:
    try:
        return None if value is None else Anchor.parse(value)
    except AnchorError as error:
        raise click.BadParameter(str(error)) from None


def _anchors(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[Anchor]:
    return [anchor for value in values if (anchor := _anchor(ctx, param, value)) is not None]


@verb(
    "verify",
    examples=[
        "delego verify --anchor-file /mnt/worm/anchors.txt",
        "delego verify receipts.jsonl --public-key ledger.pub --expected-head 41:9f2c…",
        "delego verify receipts.jsonl --public-key ledger.pub --approvers keys/ --evidence evidence.jsonl",
    ],
)
@click.argument("file", type=ANY_FILE, required=False)
@click.option(
    "--public-key", type=ANY_FILE, metavar="FILE|HEX", help="The ledger's public key; else the home's."
)
@click.option(
    "--expected-head", callback=_anchor, metavar="SEQ:HASH", help="The chain must end exactly there."
)
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    callback=_anchors,
    metavar="SEQ:HASH",
    help="This receipt must be in its place; the chain may have grown since. Repeatable.",
)
@click.option(
    "--anchor-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Anchors to find in place; for the home's ledger, by default, its configured file.",
)
@click.option(
    "--approvers",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Every approved action must carry valid signatures of these keys (NAME.pub).",
)
@click.option(
    "--required-approvers",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many must have signed each; else as the home says, or 1.",
)
@click.option(
    "--evidence",
    type=ANY_FILE,
    metavar="FILE",
    help="The signed evidence, where it is not in the home's ledger.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=MAX_JOBS),
    metavar="N",
    help="Check on N cores at a time; else on all.",
)
def command(
    session: Session,
    file: str | None,
    public_key: str | None,
    expected_head: Anchor | None,
    anchors: list[Anchor],
    anchor_file: Path | None,
    approvers: Path | None,
    required_approvers: int | None,
    evidence: str | None,
    jobs: int | None,
) -> ExitCode:
    """Check every receipt's hash, link and signature, and that the chain's end is there.

    FILE is an export (JSON Lines, - for standard input) and needs no home; without it, the home's ledger is
    checked. The exit status is 0 for a valid chain, 3 for one that is not, 1 if it could not be checked.
    """
    if approvers is None and (evidence is not None or required_approvers is not None):
        raise click.UsageError("--evidence and --required-approvers go with --approvers")
    if file == evidence == "-":
        raise click.UsageError("receipts and evidence cannot both come from standard input")
    home = session.home()
    source = home_source(home) if file is None else file_source(file)
    key = find_key(public_key, home, of_home=file is None)
    notes: list[str] = []
    if anchor_file is not None:
        anchors = [*anchors, *anchors_of(anchor_file)]
    elif file is None:
        anchors = [*anchors, *_configured_anchors(home, notes)]
    audit = None
    if approvers is not None:
        audit = _audit(home, file, approvers, required_approvers, evidence)
    elif file is None and home.config().signed_approvals:
        notes.append("the approvers' signatures were not checked; give --approvers DIR")
    with progress("verifying", source.size) as bar:
        verdict = run(
            source, key, expected_head=expected_head, anchors=anchors, audit=audit, jobs=jobs, step=bar.update
        )
    if session.json:
        emit(_document(source, key, verdict, notes))
    else:
        _say_verdict(source, key, verdict, notes, expected_head)
    return ExitCode.YES if verdict.valid else ExitCode.NO


def _configured_anchors(home: Home, notes: list[str]) -> list[Anchor]:
    path = home.anchor_path(home.config())
    if path is None:
        return []
    if not path.exists():
        notes.append(f"the configured anchor file {str(path)!r:.300} is not there")
        return []
    return anchors_of(path)


def _audit(
    home: Home, file: str | None, approvers: Path, required: int | None, evidence: str | None
) -> Audit:
    if file is not None:
        if evidence is None:
            raise CommandError("--approvers needs the signed evidence as well: --evidence FILE, as exported")
        return make_audit(approvers, required or 1, evidence, lambda _: None)
    wanted = home.config().required_approvers if required is None else required
    return make_audit(approvers, wanted, evidence, home.ledger().evidence)


def _document(source: Source, key: PublicKey, verdict: Verdict, notes: list[str]) -> JSONObject:
    chain, audit = verdict.chain, verdict.audit
    problems: list[JSON] = [
        {"code": problem.code, "place": problem.place, "text": problem.text} for problem in chain.problems
    ]
    found = audit.problems if audit else ()
    problems += [{"code": "approval", "place": None, "text": text} for text in found]
    return {
        "valid": verdict.valid,
        "source": source.name,
        "key_id": key.key_id,
        "receipts": chain.count,
        "head": None if chain.head is None else str(chain.head),
        "completeness": chain.completeness,
        "anchored_through": chain.anchored_through,
        "approved_releases": None if audit is None else audit.released,
        "problem_count": verdict.problem_count,
        "problems": problems,
        "notes": [*notes],
    }


def _say_verdict(
    source: Source, key: PublicKey, verdict: Verdict, notes: list[str], expected: Anchor | None
) -> None:
    chain = verdict.chain
    for problem in verdict.problems[:MAX_LISTED]:
        say(problem)
    if verdict.problem_count > MAX_LISTED:
        say(f"… and {verdict.problem_count - MAX_LISTED} more problems")
    receipts = _count(chain.count, "receipt")
    if verdict.problem_count:
        found = _count(verdict.problem_count, "problem")
        say(Styled("not valid: ", fg="red", bold=True), f"{found} in {receipts}")
        if _another_key(verdict):
            say("every receipt has a bad signature and nothing else: is this the key that signed them?")
    elif chain.count == 0:
        say(Styled("nothing to verify: ", fg="yellow", bold=True), receipts)
        say("this is also what deleting every receipt leaves; only a head kept elsewhere can tell")
    elif chain.completeness == "cannot_be_ruled_out":
        say(Styled("valid, but truncation cannot be ruled out: ", fg="yellow", bold=True), receipts)
        for line in NO_ANCHOR:
            say(line)
    else:
        say(Styled("valid: ", fg="green", bold=True), receipts)
        say(_reach(chain.anchored_through, expected))
    if verdict.audit is not None and not verdict.audit.problem_count and chain.count:
        say(
            f"approvers: each of {_count(verdict.audit.released, 'approved release')} is signed as it must be"
        )
    for note in notes:
        say(Styled("note: ", fg="yellow"), note)
    head = "none" if chain.head is None else str(chain.head)
    fields([("source", source.name), ("head", head), ("key id", key.key_id)])


def _reach(through: int | None, expected: Anchor | None) -> str:
    if expected is not None:
        return "it ends at the expected head: nothing is missing"
    return (
        f"nothing is missing through the anchor at seq {through}; behind it, truncation cannot be ruled out"
    )


def _another_key(verdict: Verdict) -> bool:
    problems = verdict.chain.problems
    return verdict.problem_count == verdict.chain.count and all(one.code == "signature" for one in problems)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
