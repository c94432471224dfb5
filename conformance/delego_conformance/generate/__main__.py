"""``python -m delego_conformance.generate``: writes the vectors of the kit out of the suites.

    --suite NAME   only this one (may be given again); the others are still read, for controls
    --check        write nothing; 3 if anything would change or disagrees (CI)
    --prune        drop the ids of vectors that are stated no more; before a first release only

It reads SPEC.md: run it in a checkout that is installed with ``pip install -e .``.
Exit 0: all is well. 1: SPEC.md is not there. 3: something disagrees; suites in which nothing does are written
all the same.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
import traceback
from collections import defaultdict
from collections.abc import Sequence

from delego_conformance.adapters.delego_spec import SESSIONS
from delego_conformance.generate import suites as suites_package
from delego_conformance.generate.build import Suite, document, encode
from delego_conformance.generate.clauses import read_clauses
from delego_conformance.generate.files import Files, differs, grown, ids_text, retired, write
from delego_conformance.generate.filling import Answered, check_together, fill

COULD_NOT_RUN = 1
DISAGREES = 3


def find_suites() -> tuple[list[Suite], list[str]]:
    """All suites, and what kept modules from being read."""
    found, faults = [], []
    for info in pkgutil.iter_modules(suites_package.__path__, f"{suites_package.__name__}."):
        try:
            module = importlib.import_module(info.name)
        except Exception:  # noqa: BLE001 - one author's half-written module must not stop the others
            faults.append(f"{info.name}: cannot be imported\n{traceback.format_exc()}")
            continue
        if isinstance(getattr(module, "SUITE", None), Suite):
            found.append(module.SUITE)
    for member in ("name", "prefix"):
        values = [getattr(suite, member) for suite in found]
        faults += [
            f"the {member} {one!r} is taken by two suites" for one in set(values) if values.count(one) > 1
        ]
    return found, faults


class Generation:
    """One run over some suites."""

    def __init__(self, files: Files, suites: Sequence[Suite]) -> None:
        self._files = files
        self._suites = suites
        self._answers: dict[str, Answered] = {}
        self._faults: defaultdict[str, list[str]] = defaultdict(list)  # of a suite: it is not written
        self.gaps: list[str] = []  # reported, and no reason not to write
        self._clauses = read_clauses(files.spec.read_text(encoding="utf-8"))

    @property
    def faults(self) -> list[str]:
        return [fault for found in self._faults.values() for fault in found]

    def answer(self) -> None:
        """Ask the core for every vector of every suite."""
        for suite in self._suites:
            for stated in suite.stated:
                answered, faults = fill(suite, stated)
                self._answers[f"{suite.name}/{stated.slug}"] = answered
                self._faults[suite.name] += faults

    def check(self, names: set[str]) -> None:
        """What is wrong beyond single answers. Controls of suites outside ``names`` are not looked at."""
        for name, problem in check_together(self._answers):
            self._faults[name.partition("/")[0]].append(f"{name}: {problem}")
        notes = json.loads(self._files.notes.read_text()) if self._files.notes.exists() else {}
        for suite in self._suites:
            if suite.name not in names:
                self._faults.pop(suite.name, None)
                continue
            for stated in suite.stated:
                where = f"{suite.name}/{stated.slug}"
                unknown = [one for one in stated.clauses if one not in self._clauses]
                self._faults[suite.name] += [f"{where}: SPEC.md has no clause {one}" for one in unknown]
                for flag in stated.flags:
                    if flag not in notes and f"notes.json: {flag!r} is not explained" not in self.gaps:
                        self.gaps.append(f"notes.json: {flag!r} is not explained")
            for slug in retired(suite, self._files.known_ids(suite)):
                self.gaps.append(
                    f"{suite.name}/{slug}: has an id and is stated no more; vectors are only added"
                )

    def texts(self, names: set[str], *, prune: bool) -> dict[str, tuple[str, str]]:
        """Suite → its ids and its vectors, as files; only of those in which nothing disagrees."""
        all_ids: dict[str, str] = {}
        own: dict[str, dict[str, str]] = {}
        for suite in self._suites:
            known = self._files.known_ids(suite)
            for slug in retired(suite, known) if prune else ():
                del known[slug]
            own[suite.name] = grown(suite, known)
            all_ids.update({f"{suite.name}/{slug}": one for slug, one in own[suite.name].items()})
        found = {}
        for suite in self._suites:
            if suite.name in names and not self._faults[suite.name]:
                filled = [self._answers[f"{suite.name}/{stated.slug}"].stated for stated in suite.stated]
                complete = Suite(suite.name, suite.prefix, suite.title, suite.section, filled)
                found[suite.name] = (ids_text(own[suite.name]), encode(document(complete, all_ids)))
        return found

    def write(self, names: set[str], *, prune: bool) -> list[str]:
        """Write what is sound; gives the names of the suites that were."""
        with self._files.locked():
            texts = self.texts(names, prune=prune)
            for name, (ids, vectors) in texts.items():
                write(self._files.ids / f"{name}.json", ids)
                write(self._files.vectors / f"{name}.json", vectors)
            write(self._files.clauses, encode(self._clauses))
        return list(texts)

    def differences(self, names: set[str]) -> list[str]:
        """The files that are not what would be written."""
        wanted = {self._files.clauses: encode(self._clauses)}
        for name, (ids, vectors) in self.texts(names, prune=False).items():
            wanted[self._files.ids / f"{name}.json"] = ids
            wanted[self._files.vectors / f"{name}.json"] = vectors
        stray = {path.stem for path in self._files.vectors.glob("*.json")} - {
            one.name for one in self._suites
        }
        return [
            *(
                f"{path.parent.name}/{path.name}: is not what the generator writes"
                for path, text in wanted.items()
                if differs(path, text)
            ),
            *(f"{name}.json: has no suite" for name in sorted(stray)),
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m delego_conformance.generate")
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--prune", action="store_true")
    options = parser.parse_args(arguments)
    files = Files()
    if not files.spec.is_file():
        print(
            "generate: there is no SPEC.md here; run it in a checkout, after `pip install -e .`",
            file=sys.stderr,
        )
        return COULD_NOT_RUN
    suites, faults = find_suites()
    try:
        return run(suites, files, faults, names=options.suite, check=options.check, prune=options.prune)
    finally:
        SESSIONS.close()


def run(
    suites: Sequence[Suite],
    files: Files,
    faults: Sequence[str] = (),
    *,
    names: Sequence[str] = (),
    check: bool = False,
    prune: bool = False,
) -> int:
    """What ``main`` does with suites that are read; ``faults`` is what was wrong so far."""
    known = {suite.name for suite in suites}
    problems = [*faults, *(f"there is no suite {name!r}" for name in names if name not in known)]
    wanted = known.intersection(names) if names else known
    generation = Generation(files, suites)
    generation.answer()
    generation.check(wanted)
    problems += generation.faults
    if check:
        problems += generation.differences(wanted)
        print(f"compared: {len(wanted)} suites")
    else:
        written = generation.write(wanted, prune=prune)
        counts = {suite.name: len(suite.stated) for suite in suites}
        print(f"written: {', '.join(f'{name} ({counts[name]})' for name in written) or 'nothing'}")
    for problem in [*problems, *generation.gaps]:
        print(problem, file=sys.stderr)
    return DISAGREES if problems or generation.gaps else 0


if __name__ == "__main__":
    sys.exit(main())
