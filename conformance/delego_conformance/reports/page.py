"""One self-contained HTML page: nothing is loaded, and nothing runs but the script that came with it."""

from __future__ import annotations

import base64
import hashlib
import html
from importlib import resources

from delego_conformance.reports.words import cut, printable


def page(title: str, body: str, script: str = "") -> str:
    """The page. ``body`` is markup, ``title`` is text; the policy allows this one script, by its hash."""
    style = asset("report.css")
    allowed = _source(script) if script else "'none'"
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}\n"
        + (f"<script>{script}</script>\n" if script else "")
        + "</body>\n</html>\n"
    )


def asset(name: str) -> str:
    """A file of the folder ``assets``."""
    return (resources.files("delego_conformance.reports") / "assets" / name).read_text(encoding="utf-8")


def text(value: object, limit: int = 4000) -> str:
    """Any text, made printable, cut and escaped, for an element or a quoted attribute."""
    return html.escape(cut(printable(str(value)), limit))


def anchor(value: str) -> str:
    """Text as (part of) an id: no blank, nothing that would have to be escaped in a link."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in value)


def _source(code: str) -> str:
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return f"'sha256-{digest}'"
