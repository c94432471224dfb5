"""Text from agents, made visible: what a person is shown before a decision hides nothing (§7).

Right-to-left overrides, zero-width characters and terminal escapes let one text look like another. Every
character that does not print as itself is written as its code point; nothing is cut.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from delego_spec.action import Action
from delego_spec.approvals import Approval
from delego_spec.canonical import digest, encode_normalised
from delego_spec.types import JSON, Digest

_SHORT: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\"}

# Categories that draw nothing, or move what is drawn: controls, formats, surrogates, private use,
# unassigned, line and paragraph separators. Spaces other than U+0020 look like it and are not it.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})

# Letters, symbols and marks that draw nothing: fillers, the empty braille cell, joiners, variation selectors.
_BLANK: Final = frozenset(
    map(
        chr,
        (
            *(0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0x034F, 0x17B4, 0x17B5, 0x16FE4, 0x1D159),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


def visible(text: str) -> str:
    """``text`` with every non-printing character written out: ``\\n``, ``\\u{202e}``.

    A backslash becomes two, so that nothing an agent writes can pass for an escape. Combining marks are
    written out where they have nothing to combine with.
    """
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(_escape(char, text[index - 1 : index]) for index, char in enumerate(text))


def _escape(char: str, before: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char.isascii() and char.isprintable():
        return char
    category = unicodedata.category(char)
    stray_mark = category[0] == "M" and not (
        before.isalpha() or unicodedata.category(before or " ")[0] == "M"
    )
    if category in _HIDDEN or char in _BLANK or stray_mark:
        return f"\\u{{{ord(char):x}}}"
    return char


def literal(value: JSON) -> str:
    """A JSON value as text with the same spelling rules: strings in quotes, made visible, nothing cut."""
    if isinstance(value, str):
        return '"' + visible(value).replace('"', '\\"') + '"'
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in sorted(value.items())) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return encode_normalised(value).decode()


def decision_text(approval: Approval, action: Action) -> str:
    """Exactly what is bound, as a person must see it before deciding: one fact a line, nothing cut."""
    lines = [
        ("approval", visible(approval.id)),
        ("instruction", literal(approval.instruction)),
        ("method", visible(action.method)),
        ("scheme", visible(action.scheme)),
        ("host", visible(action.host)),
        ("path", visible(action.path)),
        *[("query", f"{literal(name)} = {literal(value)}") for name, value in action.query],
        *[("param", f"{literal(name)} = {literal(value)}") for name, value in sorted(action.params.items())],
        ("proposed by", visible(approval.proposer)),
        ("rule", visible(approval.rule or "(default)")),
        *([("reason", visible(approval.reason))] if approval.reason else []),
        ("fingerprint", action.fingerprint),
    ]
    return "\n".join(f"{name + ':':<13} {text}" for name, text in lines)


def display_hash(text: str) -> Digest:
    """``H`` of exactly the text shown to the person (§7.3), so that evidence says what they saw."""
    return digest(text)
