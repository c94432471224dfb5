"""Vectors of the intent hash: what of an instruction is hashed, and which ones are not."""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.generate.build import Suite, ok, refused
from delego_conformance.generate.pinned import intent_preimage, sha256

SUITE: Final = Suite("instruction", "IH", "Intent hashes", section="4")


def _pin(slug: str, comment: str, instruction: str, trimmed: str, **stated: Any) -> str:
    text = intent_preimage(trimmed)
    return SUITE.add(
        slug,
        comment,
        "intent_hash",
        {"instruction": instruction},
        ok(intent_hash=sha256(text)),
        trace=[("preimage", text)],
        **stated,
    )


# The published values.
for _slug, _instruction, _hash in (
    ("read", "read my account details", "ec949034e985a92f3bcd9f9ab8313a80005157698f748f2b8df6163c04af4619"),
    ("order", "place a small order", "76f8eef1b97e1213a59eec28cedf15bb999fdb00a3fd17f8343bc4676fdbb4f3"),
    ("report", "  send the report to me ", "100c07cd4a1894eddb1e8555d2ff02ab29400c35d5423aeb774a3fcf59c8dbca"),
):  # fmt: skip
    SUITE.add(
        f"published-{_slug}", "A published value.", "intent_hash", {"instruction": _instruction},
        ok(intent_hash=_hash), clauses="4-3 3-1",
    )  # fmt: skip

_pin("pay", "The text that most of the others are compared with.", "pay", "pay", clauses="4-3")

# White space to Python, JavaScript and Unicode alike: all 24, at both ends.
_ASCII_SPACE: Final = (0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20)
_OTHER_SPACE: Final = (0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
for _code in (*_ASCII_SPACE, *_OTHER_SPACE):
    _pin(
        f"trims-{_code:04x}", f"U+{_code:04X} is removed at both ends.", f"{chr(_code)}pay{chr(_code)}", "pay",
        clauses="4-3 4-5", errata=5, basis="spec" if _code in _ASCII_SPACE else "reference",
        flags=["WhiteSpace"], same_as=("pay", "intent_hash"),
    )  # fmt: skip

_NO_SPACE: Final = (
    0x00,
    0x08,
    0x0E,
    0x1B,
    0x7F,
    0x84,
    0x86,
    0xAD,
    0x180E,
    0x200B,
    0x200C,
    0x2060,
    0x2800,
    0x3164,
)
for _code in _NO_SPACE:
    _text = f"{chr(_code)}pay{chr(_code)}"
    _pin(
        f"keeps-{_code:04x}", f"U+{_code:04X} is not white space.", _text, _text,
        clauses="4-5", errata=5, basis="reference", flags=["WhiteSpace"], differs_from=("pay", "intent_hash"),
    )  # fmt: skip

# One of the three trims these, another one does not.
for _code in (0x1C, 0x1D, 0x1E, 0x1F, 0x85, 0xFEFF):
    _char = chr(_code)
    _pin(
        f"inside-{_code:04x}", f"U+{_code:04X} between other characters stays.", f"pay{_char}now",
        f"pay{_char}now", clauses="4-3 4-6", errata=5, basis="reference", flags=["WhiteSpace"],
    )  # fmt: skip
    for _slug, _text in (("begin", f"{_char}pay"), ("end", f"pay{_char}")):
        SUITE.add(
            f"{_slug}-{_code:04x}", f"Languages disagree on trimming U+{_code:04X}.", "intent_hash",
            {"instruction": _text}, refused(),
            clauses="4-6", errata=5, basis="proposed", flags=["WhiteSpace"], control=f"inside-{_code:04x}",
        )  # fmt: skip

for _slug, _comment, _text, _control in (
    ("disputed-behind-space", "Trimming uncovers a character on which languages disagree.", "  \u0085pay", "inside-0085"),
    ("disputed-before-space", "The same at the end.", "pay\ufeff\n", "inside-feff"),
    ("disputed-alone", "Nothing but such a character.", "\u0085", "inside-0085"),
    ("disputed-both", "One at each end.", "\x1cpay\x1f", "inside-001c"),
):  # fmt: skip
    SUITE.add(
        _slug, _comment, "intent_hash", {"instruction": _text}, refused(),
        clauses="4-5 4-6", errata=5, basis="proposed", flags=["WhiteSpace"], control=_control,
    )  # fmt: skip

_pin("empty", "An empty instruction has a hash; deciding is another matter.", "", "", clauses="4-3")
for _slug, _text, _basis in (
    ("only-blanks", " \t\r\n ", "spec"),
    ("only-wide-blanks", "\u00a0\u2003\u3000", "reference"),
):
    _pin(
        _slug, "Nothing but white space is the empty text.", _text, "",
        clauses="4-3 4-5", errata=5, basis=_basis, same_as=("empty", "intent_hash"),
    )  # fmt: skip
_pin(
    "mixed-blanks", "All kinds at once.", " \u00a0\t\u2028pay\u3000\r\n ", "pay",
    clauses="4-5", errata=5, basis="reference", flags=["WhiteSpace"], same_as=("pay", "intent_hash"),
)  # fmt: skip

# Nothing else changes: slug, comment, text, and the one from which it has to differ.
_pin("pay-now", "Two words.", "pay now", "pay now", clauses="4-3")
_pin("cafe-nfc", "An accent in one code point.", "caf\u00e9", "caf\u00e9", clauses="4-3 3-7", errata=2)
for _slug, _comment, _text, _other, _clauses, _flag in (
    ("two-spaces", "Two spaces inside are not one.", "pay  now", "pay-now", "4-3 4-5", "TextNormalised"),
    ("inner-tab", "A tab inside is no space.", "pay\tnow", "pay-now", "4-3 4-5", "TextNormalised"),
    ("inner-line-feed", "A line feed inside is no space.", "pay\nnow", "pay-now", "4-3 4-5", "TextNormalised"),
    ("inner-no-break-space", "U+00A0 inside is no space.", "pay\u00a0now", "pay-now", "4-3 4-5", "TextNormalised"),
    ("inner-carriage-return", "CR LF inside does not become LF.", "pay\r\nnow", "inner-line-feed", "4-3", "TextNormalised"),
    ("upper-case", "Case counts.", "Pay now", "pay-now", "4-3", "CaseFolded"),
    ("cafe-nfd", "An accent of its own is another text.", "cafe\u0301", "cafe-nfc", "4-3 3-7", "TextNormalised"),
    ("full-width", "Full-width letters are other letters.", "\uff50\uff41\uff59", "pay", "4-3 3-7", "TextNormalised"),
    ("sharp-s", "One letter is not two.", "stra\u00dfe", "cafe-nfc", "4-3 3-7", "TextNormalised"),
    ("zero-width-joiner", "A joiner inside stays.", "pay\u200dnow", "pay-now", "4-3 3-7", "TextNormalised"),
):  # fmt: skip
    _pin(_slug, _comment, _text, _text, clauses=_clauses, flags=[_flag], differs_from=(_other, "intent_hash"))

for _slug, _comment, _text in (
    (
        "emoji",
        "An emoji with joiner is five code points.",
        "thanks \U0001f469\u200d\U0001f4bb \U0001f44d\U0001f3fd",
    ),
    ("quotes", "Quotation mark and backslash are escaped.", 'say "yes" to C:\\temp'),
    ("markup", "Nothing is escaped for HTML.", "<b>pay & go</b>"),
    ("inner-separator", "U+2028 is not escaped.", "pay\u2028now"),
    ("inner-controls", "Control characters have the escapes of RFC 8785.", "a\x00b\x08c\x1fd\x7fe"),
    ("json-look-alike", "Text that looks like JSON is text.", '{"instruction":"pay"}'),
    ("escape-look-alike", "Text that looks like an escape is text.", "pay \\u0041 now %41"),
):
    _pin(_slug, _comment, _text, _text, clauses="4-3 3-1", flags=["EscapeStyle"])
