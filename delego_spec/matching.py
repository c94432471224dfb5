"""What a rule applies to (§5), and finding the first rule that applies without trying them all (§6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from delego_spec.globs import Glob

T = TypeVar("T")


class Mismatch(NamedTuple):
    """One matcher that an action did not meet."""

    matcher: str  # method, host, path or path_contains
    wanted: str  # as the policy says it
    found: str  # in the action

    def __str__(self) -> str:
        return f"{self.matcher} is {self.found!r}, wanted {self.wanted}"


@dataclass(frozen=True, slots=True)
class Match:
    """All matchers that are not None must be met; with none at all, nothing matches."""

    methods: frozenset[str] | None = None  # upper case
    host: str | None = None  # lower case; the whole authority
    path: Glob | None = None
    path_contains: str | None = None

    def matches(self, method: str, host: str, path: str) -> bool:
        """``method`` in upper case, ``host`` in lower case, as an Action has them."""
        return not self.is_empty and not self.mismatches(method, host, path)

    @property
    def is_empty(self) -> bool:
        return self.methods is None and self.host is None and self.path is None and self.path_contains is None

    def fits_path(self, path: str) -> bool:
        """The part of ``matches`` that an index by method and host leaves over."""
        if self.path is not None and not self.path.matches(path):
            return False
        return self.path_contains is None or self.path_contains in path

    def mismatches(self, method: str, host: str, path: str) -> tuple[Mismatch, ...]:
        """Every matcher that is not met, for people."""
        found = []
        if self.methods is not None and method not in self.methods:
            found.append(Mismatch("method", " or ".join(sorted(self.methods)), method))
        if self.host is not None and host != self.host:
            found.append(Mismatch("host", repr(self.host), host))
        if self.path is not None and not self.path.matches(path):
            found.append(Mismatch("path", repr(self.path.pattern), path))
        if self.path_contains is not None and self.path_contains not in path:
            found.append(Mismatch("path_contains", f"a path with {self.path_contains!r} in it", path))
        return tuple(found)


class _Candidate(NamedTuple, Generic[T]):
    order: int
    match: Match
    item: T


class MatchIndex(Generic[T]):
    """Items in order, found by method and host.

    Each item stands in one bucket per method it names, under its host; what it leaves open is None. An
    action meets at most four buckets, and the earliest fit of the four is the first match: the order of
    the policy stays exact, and rules for other hosts cost nothing.
    """

    __slots__ = ("_buckets",)

    def __init__(self, items: Iterable[tuple[Match, T]]) -> None:
        buckets: dict[tuple[str | None, str | None], list[_Candidate[T]]] = {}
        for order, (match, item) in enumerate(items):
            if match.is_empty:
                continue
            candidate = _Candidate(order, match, item)
            for method in (None,) if match.methods is None else sorted(match.methods):
                buckets.setdefault((match.host, method), []).append(candidate)
        self._buckets = {key: tuple(bucket) for key, bucket in buckets.items()}

    def first(self, method: str, host: str, path: str) -> T | None:
        """The first item, in the order given, whose match the action meets."""
        best: _Candidate[T] | None = None
        for key in ((host, method), (host, None), (None, method), (None, None)):
            for candidate in self._buckets.get(key, ()):
                if best is not None and candidate.order > best.order:
                    break
                if candidate.match.fits_path(path):
                    best = candidate
                    break
        return None if best is None else best.item
