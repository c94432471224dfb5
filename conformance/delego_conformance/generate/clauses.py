"""The clauses of SPEC.md as data, so that a failure can show the sentence that it breaks."""

from __future__ import annotations

import re
from typing import Final

from delego_conformance.vectors import JSONObject

_HEADING: Final = re.compile(
    r"#{2,3} §(?P<section>[0-9.]+) (?P<title>.*?)(?P<marks>(?: \[(?:strict|draft|bytes)\])*)"
)
_CLAUSE: Final = re.compile(r"- \*\*\[(?P<id>§[0-9.]+-[0-9]+)\]\*\* (?P<text>.*)")
_MARK: Final = re.compile(r"\[(strict|draft|bytes)\] ?")
_LINKS: Final = ("*Vectors:*", "*No vector:*")  # written there by spec_links


def read_clauses(text: str) -> dict[str, JSONObject]:
    """Clause id → section, title of the section, marks (those of its heading too), text in one line."""
    found: dict[str, JSONObject] = {}
    section: JSONObject = {}
    current: JSONObject | None = None
    for line in text.splitlines():
        heading, clause = _HEADING.fullmatch(line), _CLAUSE.fullmatch(line)
        if heading is not None:
            section = {
                "section": heading["section"],
                "title": heading["title"],
                "marks": _MARK.findall(heading["marks"]),
            }
            current = None
        elif clause is not None:
            said = clause["text"]
            marks = list(section["marks"])
            while (mark := _MARK.match(said)) is not None:
                marks += [] if mark[1] in marks else [mark[1]]
                said = said[mark.end() :]
            current = {**section, "marks": marks, "text": said}
            found[clause["id"]] = current
        elif current is not None and line.startswith("  ") and not line.strip().startswith(_LINKS):
            current["text"] += f" {line.strip()}"
        else:
            current = None
    return found
