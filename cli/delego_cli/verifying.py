"""One verification: where receipts, key and anchors come from, and what is found. Prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from delego_cli.errors import CommandError
from delego_ledger.anchorfile import read_anchors
from delego_ledger.jsonl import STDIN, read_evidence, read_lines
from delego_ledger.keyfiles import load_public_key, load_public_keys
from delego_ledger.verify import verify_lines
from delego_spec.audit import ApprovalAudit
from delego_spec.chain import MAX_PROBLEMS, ChainReport
from delego_spec.ed25519 import PublicKey
from delego_spec.errors import KeyFormatError, ReceiptError
from delego_spec.receipts import decode_line

if TYPE_CHECKING:
    from delego_authorizer import Home
    from delego_spec.anchors import Anchor
    from delego_spec.types import JSONObject

KEY_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class Source:
    """Receipts to verify. ``size``: None where it is not known before the end."""

    name: str
    lines: Iterator[bytes]
    size: int | None
    in_bytes: bool  # what ``size`` counts; else receipts


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What checking the approvers' signatures came to."""

    released: int  # executions under an approval
    problems: tuple[str, ...]
    problem_count: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything a verification found."""

    chain: ChainReport
    audit: AuditReport | None  # None: the approvers' signatures were not asked for

    @property
    def problem_count(self) -> int:
        return self.chain.problem_count + (self.audit.problem_count if self.audit else 0)

    @property
    def valid(self) -> bool:
        """No problem, and something was verified: an empty chain is never valid."""
        return self.problem_count == 0 and self.chain.count > 0

    @property
    def problems(self) -> tuple[str, ...]:
        found = self.audit.problems if self.audit else ()
        return (*map(str, self.chain.problems), *found)


def file_source(path: str) -> Source:
    """An export, or standard input for ``-``. What cannot be read is found when reading it."""
    file = Path(path)
    size = file.stat().st_size if path != STDIN and file.is_file() else None
    return Source("standard input" if path == STDIN else path, read_lines(path), size, in_bytes=True)


def home_source(home: Home) -> Source:
    """A home's own ledger, up to its present head."""
    ledger = home.ledger()
    head = ledger.head()
    count = 0 if head is None else head.seq + 1
    return Source(str(home.ledger_path), ledger.lines(0, count), count, in_bytes=False)


def find_key(given: str | None, home: Home, *, of_home: bool) -> PublicKey:
    """The ledger's public key: as given (a file, or 64 hexadecimal digits), else the home's own.

    Raises CommandError, KeyFileError, HomeError.
    """
    if given is not None:
        if len(given) == KEY_DIGITS and not Path(given).exists():
            try:
                return PublicKey.from_hex(given)
            except KeyFormatError as error:
                raise CommandError(f"--public-key: {error}") from None
        return load_public_key(given)
    if not of_home and not home.exists:
        raise CommandError(
            "whose receipts are they? give the ledger's public key, a file or 64 hexadecimal digits, with"
            " --public-key"
        )
    return home.public_key()


def anchors_of(path: Path) -> list[Anchor]:
    """Every anchor of a file. Raises AnchorFileError, StorageError."""
    return [line.anchor for line in read_anchors(path)]


def make_audit(
    approvers: Path, required: int, evidence_file: str | None, evidence: Callable[[str], JSONObject | None]
) -> Audit:
    """Raises CommandError for a folder without keys, KeyFileError, EvidenceFileError, StorageError."""
    keys = load_public_keys(approvers)
    if not keys:
        raise CommandError(f"{str(approvers)!r:.300} holds no approver's key; NAME.pub is the key of NAME")
    if evidence_file is not None:
        evidence = read_evidence(evidence_file).get
    return Audit(ApprovalAudit(keys, evidence, required_approvers=required))


class Audit:
    """Checks approvers' signatures while the chain's lines pass by, in order."""

    def __init__(self, audit: ApprovalAudit) -> None:
        self._audit = audit
        self._problems: list[str] = []
        self._count = 0
        self._released = 0

    def watch(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """The same lines. One that is no receipt is a problem of the chain, found there."""
        for line in lines:
            try:
                payload = decode_line(line).payload
            except ReceiptError:
                yield line
                continue
            found = self._audit.check(payload)
            self._count += len(found)
            self._problems.extend(found[: MAX_PROBLEMS - len(self._problems)])
            if payload.approval_id is not None and (payload.phase, payload.outcome) == ("execution", "allow"):
                self._released += 1
            yield line

    @property
    def report(self) -> AuditReport:
        return AuditReport(self._released, tuple(self._problems), self._count)


def run(
    source: Source,
    key: PublicKey,
    *,
    expected_head: Anchor | None = None,
    anchors: Sequence[Anchor] = (),
    audit: Audit | None = None,
    jobs: int | None = None,
    step: Callable[[int], object] = lambda _: None,
) -> Verdict:
    """Verify. ``step`` is told how much of the source's size was done since it was last told."""
    passed = _Passed(source)
    told = 0

    def progress(receipts: int) -> None:
        nonlocal told
        now = passed.bytes if source.in_bytes else receipts
        if now > told:
            step(now - told)
            told = now

    lines = passed.lines if audit is None else audit.watch(passed.lines)
    chain = verify_lines(
        lines, key, expected_head=expected_head, anchors=anchors, jobs=jobs, progress=progress
    )
    return Verdict(chain, None if audit is None else audit.report)


class _Passed:
    """Counts the bytes of the lines that were taken."""

    def __init__(self, source: Source) -> None:
        self.bytes = 0
        self.lines = self._counted(source.lines) if source.in_bytes else source.lines

    def _counted(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        for line in lines:
            self.bytes += len(line) + 1
            yield line
