"""The generated files, and the ids that are given once and for good."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from delego_conformance.generate.build import Suite, encode

PACKAGE: Final = Path(__file__).resolve().parents[1]
_ID: Final = re.compile(r"[A-Z]{2}-[0-9]{4}")


class Files:
    """Where everything is: ``package`` is the folder of delego_conformance, ``spec`` is SPEC.md."""

    def __init__(self, package: Path = PACKAGE, spec: Path | None = None) -> None:
        self.spec = spec or package.parents[1] / "SPEC.md"
        self.ids = package / "generate" / "ids"
        self.vectors = package / "vectors" / "v1"
        self.notes = package / "notes.json"
        self.clauses = package / "clauses.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One generator at a time gives ids and writes."""
        self.ids.mkdir(parents=True, exist_ok=True)
        self.vectors.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.ids, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def known_ids(self, suite: Suite) -> dict[str, str]:
        """Slug → id, as given so far."""
        path = self.ids / f"{suite.name}.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}


def grown(suite: Suite, known: Mapping[str, str]) -> dict[str, str]:
    """The ids with those of new slugs behind them: each the next number of its suite, none given twice."""
    ids = dict(known)
    for slug, one in ids.items():
        if _ID.fullmatch(one) is None or not one.startswith(f"{suite.prefix}-"):
            raise ValueError(f"{suite.name}: the id of {slug!r} is {one!r}, which is none of {suite.prefix}")
    if len(set(ids.values())) != len(ids):
        raise ValueError(f"{suite.name}: an id stands twice")
    following = max((int(one[-4:]) for one in ids.values()), default=0) + 1
    for stated in suite.stated:
        if stated.slug not in ids:
            ids[stated.slug] = f"{suite.prefix}-{following:04d}"
            following += 1
    return ids


def retired(suite: Suite, known: Iterable[str]) -> list[str]:
    """Slugs that have an id and are stated no more."""
    return sorted(set(known) - {stated.slug for stated in suite.stated})


def differs(path: Path, text: str) -> bool:
    """Whether a file does not hold exactly this."""
    return not path.exists() or path.read_text(encoding="utf-8") != text


def write(path: Path, text: str) -> None:
    """Put a file in place in one go; one that is right already is left alone."""
    if differs(path, text):
        temporary = path.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


def ids_text(ids: Mapping[str, str]) -> str:
    """How ids are written: in their own order, so that new ones come last."""
    return encode(dict(sorted(ids.items(), key=lambda item: item[1])))
