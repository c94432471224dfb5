"""Vectors of §3: which text a value has, and which values have none."""

from __future__ import annotations

from typing import Final

from delego_conformance.generate.build import Suite, either, ok, refused

SUITE: Final = Suite("canonical", "CJ", "Canonical JSON", section="3")

_FEW: Final = "trailing-comma"  # refused, and close to most of what is accepted

# slug, what it is about, JSON text, canonical text
_VALUES: Final = (
    ("object", "Keys are sorted, white space goes.", '{ "b" : 1 ,\n\t"a" : [ true , null ] }\r\n', '{"a":[true,null],"b":1}'),
    ("null", "A null alone is a value.", " null ", "null"),
    ("true", "A boolean alone is a value.", "\ttrue", "true"),
    ("false", "A boolean alone is a value.", "false\n", "false"),
    ("string", "A string alone is a value.", ' "x"', '"x"'),
    ("empty-object", "An empty object has no space inside.", "{ }", "{}"),
    ("empty-array", "An empty array has no space inside.", "[ ]", "[]"),
    ("nested-keys", "Keys are sorted at every depth, inside arrays too.", '{"z":{"b":1,"a":{"d":4,"c":3}},"a":[{"y":1,"x":2}]}', '{"a":[{"x":2,"y":1}],"z":{"a":{"c":3,"d":4},"b":1}}'),
    ("array-order", "The order of an array stays.", "[3, 1, 2]", "[3,1,2]"),
    ("null-member", "A member whose value is null stays.", '{"b":null, "a":null}', '{"a":null,"b":null}'),
    ("booleans", "Booleans are no numbers.", '[true, false, 1, 0]', "[true,false,1,0]"),
    ("empty-values", "Empty strings, arrays and objects stay.", '{"s":"", "o":{}, "a":[]}', '{"a":[],"o":{},"s":""}'),
    ("empty-key", "The empty key comes first.", '{"a":1,"":2}', '{"":2,"a":1}'),
    ("digits-in-keys", "Keys are text, not numbers: 10 stands before 9.", '{"9":1,"10":2}', '{"10":2,"9":1}'),
    ("upper-before-lower", "Upper case sorts before lower case.", '{"a":1,"B":2,"C":3,"b":4}', '{"B":2,"C":3,"a":1,"b":4}'),
    ("prefix-keys", "A key stands before those that it begins.", '{"a!":3,"a b":1,"a":2}', '{"a":2,"a b":1,"a!":3}'),
    ("escaped-key", "Keys are sorted by what their escapes mean.", '{"b":1,"\\u0061":2}', '{"a":2,"b":1}'),
    ("control-keys", "Keys are sorted before they are escaped.", '{" ":3,"\\n":2,"\\u0001":1}', '{"\\u0001":1,"\\n":2," ":3}'),
    ("quote-key", "A key is escaped as any string is.", '{"\\\\":1,"\\"":2}', '{"\\"":2,"\\\\":1}'),
    ("latin-keys", "Letters beyond ASCII sort behind it.", '{"é":1,"z":2,"a":3}', '{"a":3,"z":2,"é":1}'),
    ("nfc-nfd-keys", "Keys in NFC and in NFD are two keys.", '{"\\u00e9":1,"e\\u0301":2}', '{"e\u0301":2,"\u00e9":1}'),
)  # fmt: skip

for _slug, _comment, _text, _canonical in _VALUES:
    SUITE.add(
        _slug, _comment, "canonicalize", {"json": _text}, ok(canonical=_canonical),
        clauses="3-1", control=_FEW, flags=["CaseFolded"] if _slug == "upper-before-lower" else (),
    )  # fmt: skip

_KEY_ORDERS: Final = (
    ("astral-keys", "Two keys beyond U+FFFF sort alike in both orders.", '{"\\ud83d\\ude01":1,"\\ud83d\\ude00":2}', '{"\U0001f600":2,"\U0001f601":1}'),
    ("astral-after-latin", "A letter below the surrogates stands before an emoji in both orders.", '{"\\ud83d\\ude00":1,"\\u00e9":2}', '{"é":2,"\U0001f600":1}'),
    ("edge-below-surrogates", "U+D7FF is the last code point below the surrogates.", '{"\\ud83d\\ude00":1,"\\ud7ff":2}', '{"\ud7ff":2,"\U0001f600":1}'),
    ("private-use-key", "U+E000 sorts behind ASCII in both orders.", '{"\\ue000":1,"a":2}', '{"a":2,"\ue000":1}'),
    ("siblings-of-both-kinds", "Keys of different objects are never compared.", '[{"\\uffff":1},{"\\ud83d\\ude00":2}]', '[{"\uffff":1},{"\U0001f600":2}]'),
)  # fmt: skip

for _slug, _comment, _text, _canonical in _KEY_ORDERS:
    SUITE.add(
        _slug, _comment, "canonicalize", {"json": _text}, ok(canonical=_canonical),
        clauses="3-1 3-5", errata=3, control="keys-ffff-and-emoji", flags=["Utf16Order"],
    )  # fmt: skip

_DISPUTED_KEYS: Final = (
    ("keys-ffff-and-emoji", "U+FFFF stands before U+1F600 by code point and behind it by UTF-16 unit.", '{"\\uffff":1,"\\ud83d\\ude00":2}', "astral-keys"),
    ("keys-e000-and-10000", "U+E000 and U+10000 are the first two on which the orders differ.", '{"\\ue000":1,"\\ud800\\udc00":2}', "edge-below-surrogates"),
    ("keys-disputed-inside", "The keys of an inner object count as well.", '{"a":[{"\\uff5e":1,"\\ud83d\\ude00":2}]}', "siblings-of-both-kinds"),
    ("keys-disputed-after-prefix", "The orders differ behind a common beginning.", '{"k\\uff5e":1,"k\\ud83d\\ude00":2}', "astral-after-latin"),
)  # fmt: skip

for _slug, _comment, _text, _control in _DISPUTED_KEYS:
    SUITE.add(
        _slug, _comment, "canonicalize", {"json": _text}, refused(),
        clauses="3-5", errata=3, basis="proposed", control=_control, flags=["Utf16Order"],
    )  # fmt: skip

_STRINGS: Final = (
    ("non-ascii", "Text beyond ASCII is not escaped.", '"\\u00e9 \\u20ac"', '"é €"'),
    ("surrogate-pair", "A surrogate pair is one code point.", '"\\ud83d\\ude00"', '"\U0001f600"'),
    ("escape-upper-case-hex", "Escapes are read in either case.", '"\\u00E9\\uD83D\\uDE00"', '"é\U0001f600"'),
    ("short-escapes", "Five control characters have a short escape.", '"\\u0008\\u0009\\u000a\\u000c\\u000d"', '"\\b\\t\\n\\f\\r"'),
    ("long-escapes", "All other control characters are escaped in lower case.", '"\\u0000\\u0001\\u000B\\u001F"', '"\\u0000\\u0001\\u000b\\u001f"'),
    ("quote-and-backslash", "Quotation mark and backslash are escaped.", '"\\u0022 \\u005c"', '"\\" \\\\"'),
    ("slash", "A slash is not escaped.", '"\\/ \\u002f"', '"/ /"'),
    ("html-characters", "Nothing is escaped for HTML.", '"\\u003c\\u003e\\u0026\\u0027"', "\"<>&'\""),
    ("del", "U+007F is not escaped.", '"\\u007f"', '"\x7f"'),
    ("c1-controls", "U+0080 to U+009F are not escaped.", '"\\u0080\\u0085\\u009f"', '"\x80\x85\x9f"'),
    ("line-separators", "U+2028 and U+2029 are not escaped.", '"\\u2028\\u2029"', '"\u2028\u2029"'),
    ("byte-order-mark-inside", "U+FEFF inside a string is text.", '"\\ufeffx"', '"\ufeffx"'),
    ("noncharacters", "U+FFFE and U+FFFF are text.", '"\\ufffe\\uffff"', '"\ufffe\uffff"'),
    ("replacement-character", "U+FFFD is text.", '"\\ufffd"', '"\ufffd"'),
    ("zero-width", "Joiners and variation selectors stay.", '"a\\u200d\\ufe0fb"', '"a\u200d\ufe0fb"'),
    ("unescaped-once", "An escape is read once.", '"\\\\u0041"', '"\\\\u0041"'),
)  # fmt: skip

for _slug, _comment, _text, _canonical in _STRINGS:
    SUITE.add(
        _slug, _comment, "canonicalize", {"json": _text}, ok(canonical=_canonical),
        clauses="3-1", control="lone-high-surrogate", flags=["EscapeStyle"],
    )  # fmt: skip

_NOT_NORMALISED: Final = (
    ("nfc", "U+00E9 stays one code point.", '"\\u00e9"', '"\u00e9"'),
    ("nfd", "An e with U+0301 stays two code points.", '"e\\u0301"', '"e\u0301"'),
    ("compatibility", "Ligatures and full-width letters stay.", '"\\ufb01\\uff21"', '"\ufb01\uff21"'),
    ("angstrom", "U+212B is not U+00C5, although both look alike.", '"\\u212b\\u00c5"', '"\u212b\u00c5"'),
    ("inner-spaces", "White space inside a string stays.", '"  a \\t b  "', '"  a \\t b  "'),
)
for _slug, _comment, _text, _canonical in _NOT_NORMALISED:
    SUITE.add(
        _slug, _comment, "canonicalize", {"json": _text}, ok(canonical=_canonical),
        clauses="3-7", errata=2, control="lone-high-surrogate", flags=["TextNormalised"],
        differs_from=("nfc", "canonical") if _slug == "nfd" else None,
    )  # fmt: skip

# slug, JSON text, canonical text
_INTEGERS: Final = (
    ("zero", " 0", "0"),
    ("minus-one", " -1", "-1"),
    ("largest-integer", " 9007199254740991", "9007199254740991"),
    ("smallest-integer", " -9007199254740991", "-9007199254740991"),
)
for _slug, _text, _canonical in _INTEGERS:
    SUITE.add(
        _slug, "Integers are written as they are.", "canonicalize", {"json": _text}, ok(canonical=_canonical),
        clauses="3-1 3-4", errata=1, flags=["BigInteger"], control=(
            "integer-below" if _text.startswith(" -") else "integer-2-53"
        ),
    )  # fmt: skip

_WHOLE: Final = (
    ("minus-zero-integer", "-0", "0"),
    ("minus-zero", "-0.0", "0"),
    ("zero-point-zero", "0.0", "0"),
    ("zero-exponent", "0e5", "0"),
    ("one-point-zero", "1.0", "1"),
    ("minus-one-point-zero", "-1.0", "-1"),
    ("money", "2400.0", "2400"),
    ("upper-case-exponent", "1E2", "100"),
    ("signed-exponent", "1e+2", "100"),
    ("negative-exponent-whole", "1200e-2", "12"),
    ("fraction-and-exponent", "1.5e3", "1500"),
    ("fifteen-zeros", "1e15", "1000000000000000"),
    ("largest-as-float", "9007199254740991.0", "9007199254740991"),
    ("largest-with-exponent", "9.007199254740991e15", "9007199254740991"),
    ("smallest-as-float", "-9007199254740991.0", "-9007199254740991"),
)
for _slug, _text, _canonical in _WHOLE:
    SUITE.add(
        _slug, "A float with a whole value is that integer.", "canonicalize", {"json": _text},
        ok(canonical=_canonical), clauses="3-2", errata=(1, 2), basis="proposed",
        control="float-2-53" if "9007" in _text or "15" in _text else "fraction-1e-5", flags=["NumberSpelling"],
    )  # fmt: skip

_FRACTIONS: Final = (
    ("half", " 0.5", "0.5"),
    ("price", " 98.7", "98.7"),
    ("negative-price", " -98.7", "-98.7"),
    ("tenth", "1e-1", "0.1"),
    ("trailing-zeros", "0.10", "0.1"),
    ("thousandths", "2.5e-3", "0.0025"),
    ("exponent-that-keeps-a-fraction", "12345e-2", "123.45"),
    ("smallest-fraction", " 0.0001", "0.0001"),
    ("smallest-fraction-exponent", "1e-4", "0.0001"),
    ("smallest-negative-fraction", "-1E-4", "-0.0001"),
    ("just-above-smallest", "1.2345e-4", "0.00012345"),
    ("sum-of-floats", " 0.30000000000000004", "0.30000000000000004"),
    ("seventeen-digits", " 0.12345678901234568", "0.12345678901234568"),
    ("thirds", " 333333333.3333333", "333333333.3333333"),
    ("large-with-half", " 4503599627370495.5", "4503599627370495.5"),
    ("next-after-one", " 1.0000000000000002", "1.0000000000000002"),
)
for _slug, _text, _canonical in _FRACTIONS:
    SUITE.add(
        _slug, "Other floats have their shortest decimal form.", "canonicalize", {"json": _text},
        ok(canonical=_canonical), clauses="3-3", errata=1, basis="reference", control="fraction-1e-5",
        flags=["NumberSpelling"],
    )  # fmt: skip

_ROUNDED: Final = (
    ("more-digits-than-a-double", "0.1000000000000000055511151231257827", "0.1", "The nearest double is 0.1."),
    ("rounds-to-whole", "9007199254740991.4", "9007199254740991", "The nearest double is whole."),
    ("rounds-up-to-smallest", "0.00009999999999999999999999", "0.0001", "The nearest double is 0.0001."),
    ("rounds-to-even", "4503599627370496.5", "4503599627370496", "Halfway between two doubles, the even one is taken."),
)  # fmt: skip
for _slug, _text, _canonical, _comment in _ROUNDED:
    SUITE.add(
        _slug, _comment, "canonicalize", {"json": _text}, ok(canonical=_canonical),
        clauses="3-10", errata=1, basis="proposed", control="fraction-1e-5", flags=["NumberSpelling"],
    )  # fmt: skip
SUITE.add(
    "underflow", "The nearest double of 1e-400 is zero; refusing it as too small is as good.", "canonicalize",
    {"json": "1e-400"}, either(ok(canonical="0"), refused()),
    clauses="3-4 3-10", errata=1, basis="proposed", control="zero-exponent", flags=["NumberSpelling"],
)  # fmt: skip

_NO_NUMBERS: Final = (
    ("integer-2-53", "9007199254740992", "largest-integer", "BigInteger"),
    ("integer-2-53-plus-1", "9007199254740993", "largest-integer", "BigInteger"),
    ("integer-below", "-9007199254740992", "smallest-integer", "BigInteger"),
    ("integer-of-30-digits", "123456789012345678901234567890", "largest-integer", "BigInteger"),
    ("integer-of-5000-digits", "1" + "0" * 4999, "largest-integer", "BigInteger"),
    ("float-2-53", "9007199254740992.0", "largest-as-float", "BigInteger"),
    ("float-below", "-9007199254740992.0", "smallest-as-float", "BigInteger"),
    ("rounds-to-2-53", "9007199254740991.6", "rounds-to-whole", "BigInteger"),
    ("exponent-1e16", "1e16", "fifteen-zeros", "BigInteger"),
    ("exponent-1e21", "1e21", "fifteen-zeros", "BigInteger"),
    ("exponent-1e308", "1e308", "fifteen-zeros", "BigInteger"),
    ("overflow", "1e400", "fifteen-zeros", "NumberSpelling"),
    ("negative-overflow", "-1e400", "fifteen-zeros", "NumberSpelling"),
    ("fraction-1e-5", "0.00001", "smallest-fraction", "NumberSpelling"),
    ("fraction-just-below", "0.00009999999999999999", "smallest-fraction", "NumberSpelling"),
    ("fraction-1e-7", "1e-7", "smallest-fraction-exponent", "NumberSpelling"),
    ("negative-fraction", "-0.00001", "smallest-negative-fraction", "NumberSpelling"),
    ("subnormal", "5e-324", "smallest-fraction-exponent", "NumberSpelling"),
    ("number-inside", '{"a":[{"b":1e-7}]}', "nested-keys", "NumberSpelling"),
    ("not-a-number", "NaN", "null", "LenientParser"),
    ("infinity", "Infinity", "null", "LenientParser"),
    ("minus-infinity", "-Infinity", "null", "LenientParser"),
    ("not-a-number-inside", '{"a":NaN}', "null-member", "LenientParser"),
)
for _slug, _text, _control, _flag in _NO_NUMBERS:
    SUITE.add(
        _slug, "A number on which libraries differ has no canonical text.", "canonicalize", {"json": _text},
        refused(), clauses="3-4", errata=1, basis="proposed", control=_control, flags=[_flag],
    )  # fmt: skip

for _slug, _text, _names in (
    ("path-to-a-number", '{"order":{"lines":[1,{"price":1e-7}]}}', ("order", "lines", "price")),
    ("path-to-a-surrogate", '{"customer":{"remark":"\\udfff"}}', ("customer", "remark")),
):
    SUITE.add(
        _slug, "The refusal names the path to the value.", "canonicalize", {"json": _text},
        refused(says=_names), clauses="3-9", level="SHOULD", basis="proposed", control="nested-keys",
    )  # fmt: skip

# Not JSON by RFC 8259: slug, text, accepted twin
_MALFORMED: Final = (
    ("trailing-comma", '{"a":[1],}', "empty-values"),
    ("trailing-comma-in-array", "[3,1,2,]", "array-order"),
    ("missing-comma", "[3 1]", "array-order"),
    ("leading-zero", "01", "zero"),
    ("plus-sign", "+1", "minus-one"),
    ("bare-minus", "-", "minus-one"),
    ("no-digit-before-point", ".5", "half"),
    ("no-digit-after-point", "5.", "half"),
    ("no-digit-in-exponent", "1e", "tenth"),
    ("hexadecimal", "0x10", "zero"),
    ("underscore-in-number", "1_000", "zero"),
    ("foreign-digits", "\u0661\u0662", "zero"),
    ("capital-true", "True", "true"),
    ("lower-case-nan", "nan", "null"),
    ("undefined", "undefined", "null"),
    ("single-quotes", "{'a':1}", "object"),
    ("bare-key", "{a:1}", "object"),
    ("number-as-key", "{1:1}", "digits-in-keys"),
    ("comment", '{"a":1/* one */}', "object"),
    ("line-comment", "1 // one", "zero"),
    ("raw-tab-in-string", '"a\tb"', "string"),
    ("raw-line-feed-in-string", '"a\nb"', "string"),
    ("raw-nul-in-string", '"a\x00b"', "string"),
    ("unknown-escape", '"\\x41"', "string"),
    ("short-hex-escape", '"\\u041"', "non-ascii"),
    ("sign-in-hex-escape", '"\\u+041"', "non-ascii"),
    ("unclosed-string", '"abc', "string"),
    ("unclosed-array", "[3,1,2", "array-order"),
    ("unclosed-object", '{"a":1', "object"),
    ("wrong-bracket", "[3,1,2}", "array-order"),
    ("two-values", "{} {}", "empty-object"),
    ("trailing-text", "{}x", "empty-object"),
    ("trailing-nul", "{}\x00", "empty-object"),
    ("nothing", "", "null"),
    ("only-space", " \n", "null"),
    ("no-break-space", "\u00a0{}", "empty-object"),
    ("form-feed", "{\x0c}", "empty-object"),
)
for _slug, _text, _control in _MALFORMED:
    SUITE.add(
        _slug, "Text that is not JSON is no value.", "canonicalize", {"json": _text}, refused(),
        clauses="3-8", control=_control, flags=["LenientParser"],
    )  # fmt: skip

_STRICT: Final = (
    ("byte-order-mark", "A byte order mark in front is refused.", "\ufeff{}", "3-8", "empty-object", "LenientParser"),
    ("byte-order-mark-behind", "A byte order mark behind is refused.", "{}\ufeff", "3-8", "empty-object", "LenientParser"),
    ("duplicate", "A member stands twice.", '{"a":1,"a":2}', "3-8", "object", "DuplicateMember"),
    ("duplicate-equal", "A member stands twice with the same value.", '{"a":1,"a":1}', "3-8", "object", "DuplicateMember"),
    ("duplicate-escaped", "One of the two is spelled with an escape.", '{"a":1,"\\u0061":2}', "3-8", "escaped-key", "DuplicateMember"),
    ("duplicate-inside", "A member of an inner object stands twice.", '{"b":[{"a":{"c":1,"d":2,"c":3}}]}', "3-8", "nested-keys", "DuplicateMember"),
    ("duplicate-empty-key", "The empty key stands twice.", '{"":1,"":2}', "3-8", "empty-key", "DuplicateMember"),
    ("duplicate-null", "A null hides the value before it.", '{"a":1,"a":null}', "3-8", "null-member", "DuplicateMember"),
    ("lone-high-surrogate", "Half of a pair has no UTF-8 form.", '"\\ud800"', "3-6", "surrogate-pair", "LoneSurrogate"),
    ("lone-low-surrogate", "The other half has none either.", '"x\\udc00"', "3-6", "surrogate-pair", "LoneSurrogate"),
    ("reversed-surrogates", "Two halves in the wrong order are no pair.", '"\\ude00\\ud83d"', "3-6", "surrogate-pair", "LoneSurrogate"),
    ("parted-surrogates", "Two halves with a space between are no pair.", '"\\ud83d \\ude00"', "3-6", "surrogate-pair", "LoneSurrogate"),
    ("surrogate-in-key", "Keys are text as well.", '{"\\ud800":1}', "3-6", "astral-keys", "LoneSurrogate"),
    ("surrogate-before-escape", "A half before another escape is no pair.", '"\\ud83d\\u0041"', "3-6", "surrogate-pair", "LoneSurrogate"),
)  # fmt: skip
for _slug, _comment, _text, _clause, _control, _flag in _STRICT:
    SUITE.add(
        _slug, _comment, "canonicalize", {"json": _text}, refused(),
        clauses=_clause, errata=2 if _flag == "DuplicateMember" else (), basis="proposed",
        control=_control, flags=[_flag],
    )  # fmt: skip


def _arrays(depth: int, inner: str = "") -> str:
    return "[" * depth + inner + "]" * depth


def _objects(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def _mixed(depth: int) -> str:
    return '[{"a":' * (depth // 2) + ("[]" if depth % 2 else "1") + "}]" * (depth // 2)


_DEPTHS: Final = (
    ("arrays", _arrays(64), _arrays(65)),
    ("arrays-with-value", _arrays(64, "1"), _arrays(65, "1")),
    ("objects", _objects(64), _objects(65)),
    ("mixed", _mixed(64), _mixed(65)),
)
for _slug, _text, _deeper in _DEPTHS:
    SUITE.add(
        f"depth-64-{_slug}", "64 levels are allowed.", "canonicalize", {"json": _text}, ok(canonical=_text),
        clauses="3-6", basis="reference", control=f"depth-65-{_slug}", flags=["DeepNesting"],
    )  # fmt: skip
    SUITE.add(
        f"depth-65-{_slug}", "65 levels are refused.", "canonicalize", {"json": _deeper}, refused(),
        clauses="3-6", basis="proposed", control=f"depth-64-{_slug}", flags=["DeepNesting"],
    )  # fmt: skip
SUITE.add(
    "depth-10000", "Nesting that exhausts a stack is refused, not a crash.", "canonicalize",
    {"json": _arrays(10_000)}, refused(),
    clauses="3-6", basis="proposed", control="depth-64-arrays", flags=["DeepNesting"],
)  # fmt: skip

# 1e15 is written with 16 digits, so that 262140 bytes of canonical text need a third of that here.
_LARGE: Final = "[" + ",".join(["1e15"] * 15_420)
SUITE.add(
    "size-limit", "256 KiB of canonical text are allowed; this has 262144 bytes.", "canonicalize",
    {"json": _LARGE + ",10]"}, ok(),
    clauses="3-6", basis="proposed", control="size-over-limit", flags=["ResourceLimit"],
)  # fmt: skip
SUITE.add(
    "size-over-limit", "This has 262145 bytes of canonical text.", "canonicalize",
    {"json": _LARGE + ",100]"}, refused(),
    clauses="3-6", basis="proposed", control="size-limit", flags=["ResourceLimit"],
)  # fmt: skip

# A receipt's signature is over the 64 digits of its hash: receipt 3 of the example in §8, and its key.
_HASH: Final = "df789cb0825ec24cd8c440852d3d7e177f967732917d8d2207439a7932a72de0"
_SIGNED: Final = {
    "public_key_hex": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "signature_hex": (
        "059d25e6facaa19f81e0137ca3c23933d3b229363796f874a20293b9201c6c54"
        "f633f5f95183dba044a19f38be1dab49bbd3da8497c9b416bcecc9a800fea60e"
    ),
}
for _slug, _comment, _message, _valid, _control in (
    ("signed-digits", "A receipt's signature is over 64 characters.", _HASH.encode().hex(), True, "signed-bytes"),
    ("signed-bytes", "It is not over the 32 bytes that they stand for.", _HASH, False, "signed-digits"),
    ("signed-as-json", "Nor over these characters as a JSON string.", f'"{_HASH}"'.encode().hex(), False, "signed-digits"),
):  # fmt: skip
    SUITE.add(
        _slug, _comment, "ed25519_verify", {**_SIGNED, "message_hex": _message}, ok(valid=_valid),
        clauses="8-3", errata=4, basis="proposed", control=_control,
    )  # fmt: skip
SUITE.add(
    "signed-receipt", "The receipt of these: its hash, and the signature over the digits of the hash.",
    "receipt_build",
    {
        "payload": {
            "seq": 3, "ts": "2026-01-01T12:00:02.000000+00:00", "phase": "decision", "outcome": "needs_approval", "rule": "place-order",
            "reasons": ["amount: 2400 within max 5000", "allow_list: destination='internal' permitted", "policy sha256:f9e1b87616a4fd2b655a7d7d8f8f262bf629031c7f636003f5ff5d6bc31ed0d7"],
            "intent_hash": "76f8eef1b97e1213a59eec28cedf15bb999fdb00a3fd17f8343bc4676fdbb4f3",
            "action_fingerprint": "4327df2637072bf058622d1f8baea6e431726f7332a50cd12ec970d6e43c2fd2",
            "action_summary": (
                "POST api.example.com/orders "
                '{"amount":2400,"currency":"USD","destination":"internal"}'
            ),
            "approval_id": "apr_098812a3c6ffc7d236a2c11e",
            "prev_hash": "a7a5ae538dc94d3dce2ca73c197c557d8df771e3094ad9f1d8b5a85857525e8e",
        },
        "seed_hex": "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    },
    ok(entry_hash=_HASH, signature=_SIGNED["signature_hex"]), clauses="8-3 3-1", errata=4,
)  # fmt: skip
