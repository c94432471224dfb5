"""Chain verification as a stream (§8.1) and against head anchors (§8.3).

Nothing here raises on bad input: a receipt that cannot be read is a problem in the report. A chain is
checked in batches that do not depend on each other, so that a shell can spread them over threads, and then
joined in order:

    verifier = ChainVerifier(key)
    for batch in batches:                       # lists of lines, without their newlines
        verifier.join(check_batch(batch, key))  # check_batch may run anywhere, join is called in order
    report = verifier.finish()
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal, TypeAlias

from msgspec import UNSET

from delego_spec.anchors import Anchor
from delego_spec.canonical import MAX_INTEGER, canonical
from delego_spec.ed25519 import PublicKey
from delego_spec.errors import CanonicalError, ReceiptError
from delego_spec.receipts import (
    GENESIS,
    MAX_PAYLOAD_BYTES,
    PAYLOAD_FIELDS,
    RECEIPT_FIELDS,
    decode_members,
    decode_payload,
    has_plain_keys,
    payload_of,
    read_lines,
)
from delego_spec.timestamps import are_ts, is_ts
from delego_spec.types import Digest, is_digest

Code: TypeAlias = Literal["content", "linkage", "signature", "structure", "seq", "head"]
Completeness: TypeAlias = Literal["anchored", "cannot_be_ruled_out"]

BATCH: Final = 512  # receipts checked together: enough that the code stays warm between the signatures
BATCH_BYTES: Final = 1024 * 1024  # after which a batch is full, however few receipts it has
MAX_PROBLEMS: Final = 1000  # kept in a report; the rest are counted

_AT_ONCE: Final = 16  # lines taken between two looks at their size

_SIGNATURE: Final = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """One thing wrong with a chain. ``place`` is a seq, or a line number from 0 where no seq can be read."""

    code: Code
    place: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class BatchReport:
    """What one batch showed by itself, and its loose ends: how it hangs together with its neighbours."""

    count: int = 0
    first: tuple[int, str] | None = None  # (seq, prev_hash) of the first readable receipt
    first_index: int = 0  # lines in front of it
    last: Anchor | None = None  # of the last readable receipt
    trailing: int = 0  # unreadable lines behind it
    problems: list[ChainProblem] = field(default_factory=list)
    at_first: int = 0  # how many of `problems` come before the first receipt's link is judged
    seen: dict[int, Digest] = field(default_factory=dict)  # entry hashes at the anchored places


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The verdict on a chain.

    ``completeness`` is ``anchored`` only if an anchor given by the caller was found: without one, cutting
    off the newest receipts, or all of them, leaves a valid chain.
    """

    count: int
    head: Anchor | None
    problems: tuple[ChainProblem, ...]
    problem_count: int
    completeness: Completeness
    anchored_through: int | None  # the highest anchored seq that was found in place

    @property
    def valid(self) -> bool:
        """No problem was found in what is there. Read it together with ``completeness``."""
        return self.problem_count == 0


def verify_chain(
    lines: Iterable[bytes],
    key: PublicKey,
    *,
    expected_head: Anchor | None = None,
    anchors: Sequence[Anchor] = (),
) -> ChainReport:
    """Verify receipts one after the other (§8.1), in memory bounded by one batch.

    ``expected_head``: the chain must end exactly there. ``anchors``: each must be found in place, and the
    chain may have grown since. ``lines`` have no newline; see ``delego_ledger`` for reading files.
    """
    verifier = ChainVerifier(expected_head=expected_head, anchors=anchors)
    for batch in batches(lines):
        verifier.join(check_batch(batch, key, start=verifier.count, wanted=verifier.wanted))
    return verifier.finish()


def batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Lines in lots for ``check_batch``, bounded in number and bytes. How they are cut changes no report."""
    source = iter(lines)
    some = list(islice(source, _AT_ONCE))
    while some:
        batch: list[bytes] = []
        size = 0
        while some and len(batch) < BATCH and size < BATCH_BYTES:
            batch += some
            size += sum(map(len, some))
            some = list(islice(source, _AT_ONCE))
        yield batch


class ChainVerifier:
    """Joins the reports of consecutive batches. Not safe for use by several threads at once."""

    def __init__(self, *, expected_head: Anchor | None = None, anchors: Sequence[Anchor] = ()) -> None:
        self._expected_head = expected_head
        self._anchors = tuple(anchors)
        self.wanted = frozenset(anchor.seq for anchor in self._anchors)
        self.count = 0  # lines joined so far
        self._next_seq = 0
        self._prev_hash: str = GENESIS
        self._head: Anchor | None = None
        self._seen: dict[int, Digest] = {}
        self._problems: list[ChainProblem] = []
        self._problem_count = 0

    def join(self, report: BatchReport) -> None:
        """Add the next batch, in the chain's order."""
        self.count += report.count
        if report.first is None:
            self._add(report.problems)
            self._next_seq += report.count
            return
        seq, prev_hash = report.first
        self._add(report.problems[: report.at_first])
        self._add(_link_problems(seq, prev_hash, self._next_seq + report.first_index, self._prev_hash))
        self._add(report.problems[report.at_first :])
        self._seen.update(report.seen)
        if report.last is not None:
            self._head = report.last
            self._prev_hash = report.last.entry_hash
            self._next_seq = report.last.seq + 1 + report.trailing

    def finish(self) -> ChainReport:
        """Judge the anchors and give the verdict."""
        if self._expected_head is not None and self._head != self._expected_head:
            self._add([_head_problem(self._expected_head, self._head)])
        for anchor in self._anchors:
            found = self._seen.get(anchor.seq)
            if found != anchor.entry_hash:
                where = self._head if found is None else Anchor(anchor.seq, found)
                self._add([_head_problem(anchor, where)])
        placed = [anchor.seq for anchor in self._anchors if self._seen.get(anchor.seq) == anchor.entry_hash]
        if self._expected_head is not None and self._head == self._expected_head:
            placed.append(self._expected_head.seq)
        return ChainReport(
            count=self.count,
            head=self._head,
            problems=tuple(self._problems),
            problem_count=self._problem_count,
            completeness="anchored" if placed else "cannot_be_ruled_out",
            anchored_through=max(placed, default=None),
        )

    def _add(self, problems: Sequence[ChainProblem]) -> None:
        self._problem_count += len(problems)
        self._problems.extend(problems[: MAX_PROBLEMS - len(self._problems)])


def check_batch(
    lines: Sequence[bytes], key: PublicKey, *, start: int = 0, wanted: frozenset[int] = frozenset()
) -> BatchReport:
    """Check consecutive lines as far as they go by themselves (§8.1). Pure, and safe to run in any thread.

    ``start``: the number of the first line, from 0. ``wanted``: the seqs whose entry_hash to note for
    comparing anchors.
    """
    return _pass_sound(lines, key, wanted) or _check_each(lines, key, start, wanted)


def _pass_sound(lines: Sequence[bytes], key: PublicKey, wanted: frozenset[int]) -> BatchReport | None:
    """The report on a batch in our own spelling in which ``_check_each`` would find nothing wrong.

    None if there may be anything to find. Nearly all batches of an honest ledger pass here, at a quarter of
    the cost: the same checks, each done for the whole batch in one go.
    """
    found = read_lines(lines)
    if not found:
        return None
    hashes = [one.entry_hash for one in found]
    digits = "".join([one.intent_hash + one.action_fingerprint + one.signature for one in found])
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        return None
    first, last = found[0], found[-1]
    if not (
        [hashlib.sha256(payload).hexdigest() for payload in map(payload_of, lines, found)] == hashes
        and [one.prev_hash for one in found[1:]] == hashes[:-1]
        and [one.seq for one in found] == list(range(first.seq, first.seq + len(found)))
        and first.seq >= 0
        and last.seq <= MAX_INTEGER
        and max(map(len, lines)) <= MAX_PAYLOAD_BYTES  # longer ones are rare, and left to the long way
        and raw.hex() == digits  # bytes.fromhex reads upper case and blanks as well
        and {(len(one.intent_hash), len(one.action_fingerprint), len(one.signature)) for one in found}
        == {(64, 64, 128)}
        and are_ts([one.ts for one in found])
        and all(one.context is UNSET or has_plain_keys(one.context) for one in found)
    ):
        return None
    signatures = [raw[end - 64 : end] for end in range(128, len(raw) + 1, 128)]
    if not key.verify_all([one.encode() for one in hashes], signatures):
        return None
    report = BatchReport(count=len(lines), first=(first.seq, first.prev_hash))
    report.last = Anchor(last.seq, Digest(last.entry_hash))
    if wanted:
        report.seen = {one.seq: Digest(one.entry_hash) for one in found if one.seq in wanted}
    return report


def _check_each(lines: Sequence[bytes], key: PublicKey, start: int, wanted: frozenset[int]) -> BatchReport:
    report = BatchReport(count=len(lines))
    problems = report.problems
    last: Anchor | None = None
    for number, line in enumerate(lines, start):
        found = _examine(line, number, key, problems)
        if found is None:
            report.trailing += 1
            continue
        problems.extend(found.content)
        # The link: a receipt removed, inserted or moved.
        if last is None:
            report.first = (found.seq, found.prev_hash)
            report.first_index = number - start
            report.at_first = len(problems)
        else:
            expected = last.seq + 1 + report.trailing
            problems.extend(_link_problems(found.seq, found.prev_hash, expected, last.entry_hash))
        problems.extend(found.behind_link)
        last = Anchor(found.seq, Digest(found.entry_hash))
        report.trailing = 0
        if found.seq in wanted:
            report.seen[found.seq] = last.entry_hash
    report.last = last
    return report


@dataclass(slots=True)
class _Found:
    """One line that is a receipt, and what is wrong with it, before and behind the verdict on its link."""

    seq: int
    prev_hash: str
    entry_hash: str
    content: list[ChainProblem]
    behind_link: list[ChainProblem]


def _examine(line: bytes, number: int, key: PublicKey, problems: list[ChainProblem]) -> _Found | None:
    """A line in any JSON spelling (§8.1). None, and a problem, for one that is no receipt at all."""
    try:
        members = decode_members(line)
    except ReceiptError:
        problems.append(ChainProblem("structure", number, f"line {number}: unparseable receipt (corrupt)"))
        return None
    seq = members.get("seq")
    place = seq if type(seq) is int else number
    missing = sorted(RECEIPT_FIELDS - members.keys())
    if missing:
        problems.append(_structure(place, f"missing field(s) {missing} (tampered)"))
        return None
    try:
        payload = canonical({name: members[name] for name in PAYLOAD_FIELDS})
    except CanonicalError:
        problems.append(ChainProblem("structure", number, f"line {number}: unparseable receipt (corrupt)"))
        return None
    entry_hash, signature, prev_hash = (
        value if type(value) is str else ""
        for value in (members["entry_hash"], members["signature"], members["prev_hash"])
    )
    found = _Found(place, prev_hash, entry_hash, [], [])
    # 1. The content is what was hashed: an edited field.
    if hashlib.sha256(payload).hexdigest() != entry_hash:
        found.content.append(ChainProblem("content", place, f"seq {place}: content hash mismatch (tampered)"))
    # 2. The link is judged where the receipt before it is known.
    # 3. The signature: a receipt that the ledger's key never signed.
    if not _signature_holds(entry_hash, signature, key):
        found.behind_link.append(ChainProblem("signature", place, f"seq {place}: bad signature"))
    # 4. [strict] Members, types, formats: a signed receipt that no two readers would read alike.
    unknown = sorted(members.keys() - RECEIPT_FIELDS - {"context"})
    if unknown:
        found.behind_link.append(_structure(place, f"unknown field(s) {_few(unknown)}"))
    if type(members.get("context", {})) is not dict:
        found.behind_link.append(_structure(place, "'context' is not an object"))
    found.behind_link.extend(_payload_problems(payload, place))
    return found


def _payload_problems(payload: bytes, place: int) -> list[ChainProblem]:
    try:
        fields = decode_payload(payload)
    except ReceiptError as error:
        return [_structure(place, str(error))]
    wrong = [
        f"{name!r} is not 64 lower-case hexadecimal digits"
        for name in ("intent_hash", "action_fingerprint")
        if not is_digest(getattr(fields, name))
    ]
    if fields.seq < 0:
        wrong.append("'seq' is negative")
    if not is_ts(fields.ts):
        wrong.append("'ts' is not an RFC 3339 time in UTC")
    return [_structure(place, text) for text in wrong]


def _structure(place: int, text: str) -> ChainProblem:
    return ChainProblem("structure", place, f"seq {place}: {text}")


def _few(names: Sequence[str]) -> str:
    """The first names, cut: a report must not grow with what an attacker writes."""
    shown = [name[:40] for name in names[:5]]
    return f"{shown}" if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _link_problems(seq: int, prev_hash: str, expected_seq: int, expected_hash: str) -> Sequence[ChainProblem]:
    if prev_hash == expected_hash and seq == expected_seq:
        return ()
    problems = []
    if prev_hash != expected_hash:
        problems.append(ChainProblem("linkage", seq, f"seq {seq}: broken chain link"))
    # Contiguous places, so that "N receipts" and "seq N-1" say the same, and an anchor names one receipt.
    if seq != expected_seq:
        problems.append(ChainProblem("seq", seq, f"seq {seq}: out of sequence, expected {expected_seq}"))
    return problems


def _signature_holds(entry_hash: str, signature: str, key: PublicKey) -> bool:
    # Upper-case or spaced hex is a second spelling of one signature: refused.
    if _SIGNATURE.fullmatch(signature) is None:
        return False
    return key.verify(entry_hash.encode(), bytes.fromhex(signature))


def _head_problem(expected: Anchor, found: Anchor | None) -> ChainProblem:
    tail = "no receipts" if found is None else found.short
    return ChainProblem("head", expected.seq, f"head mismatch: expected {expected.short}, found {tail}")
