"""SECURITY.md points at code and tests: every file, name and heading that it links to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support import ROOT
from tree import source_only

pytestmark = source_only

DOCUMENTS = ("SECURITY.md", "SPEC.md")
LINK = re.compile(r"\[(`?)([^\]`]+)`?\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def links(document: str) -> list[tuple[str, str, str]]:
    """(text, target, "`" if the text is code) of each link that points into this project."""
    text = FENCED.sub("", (ROOT / document).read_text(encoding="utf-8"))
    return [(text, target, tick) for tick, text, target in LINK.findall(text) if "://" not in target]


def names(text: str, source: str) -> bool:
    """Whether Python source defines ``text``: a function, a class or a constant."""
    defined = rf"^\s*(?:(?:async )?def|class) {text}\b|^{text}(?::| =)"
    return re.search(defined, source, re.MULTILINE) is not None


def anchor_of(heading: str) -> str:
    """The fragment that a forge gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def fault(text: str, target: str, tick: str) -> str | None:
    """What is wrong with one link, if anything is."""
    name, _, fragment = target.partition("#")
    path = ROOT / name
    if not path.is_file():
        return f"{target} is not there"
    source = path.read_text(encoding="utf-8")
    if fragment and fragment not in map(anchor_of, re.findall(r"^#+ (.+)$", source, re.MULTILINE)):
        return f"{target} has no such heading"
    if tick and path.suffix == ".py" and text != path.name and not names(text, source):
        return f"{name} does not define {text}"
    return None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_what_it_names(document: str) -> None:
    faults = [found for link in links(document) if (found := fault(*link)) is not None]
    assert faults == []


@pytest.mark.parametrize(
    ("link", "wrong"),
    [
        (("evaluate", "delego_spec/evaluate.py", "`"), None),
        (("MAX_LAG", "ledger/delego_ledger/transaction.py", "`"), None),
        (("here", "delego_spec/evaluate.py", ""), None),
        (("§1", "SPEC.md#1-purpose-and-versions", ""), None),
        (("evaluat", "delego_spec/evaluate.py", "`"), "does not define"),
        (("evaluate", "delego_spec/evaluated.py", "`"), "is not there"),
        (("§1", "SPEC.md#1-purpose", ""), "no such heading"),
    ],
)
def test_a_wrong_link_is_found(link: tuple[str, str, str], wrong: str | None) -> None:
    found = fault(*link)
    assert (found is None) == (wrong is None)
    assert (wrong or "") in (found or "")


def test_every_limit_that_is_shown_by_a_test_is_named_in_the_document() -> None:
    shown = re.findall(
        r"^def (test_\w+)", Path(ROOT, "tests/test_security_claims.py").read_text("utf-8"), re.MULTILINE
    )
    linked = {text for text, _, _ in links("SECURITY.md")}
    assert set(shown) <= linked


def test_code_and_tests_are_both_linked() -> None:
    targets = {target for _, target, _ in links("SECURITY.md")}
    assert sum(target.startswith("tests/") for target in targets) > 10
    assert sum(not target.startswith("tests/") for target in targets) > 20
