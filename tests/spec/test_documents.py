"""Reading YAML as JSON values with places, and a schema's verdict in plain sentences."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.documents import DocumentSchema, parsed_document, path_text
from delego_spec.types import JSON, JSONObject
from delego_spec.yaml_reader import LOADER, Place, read_yaml, shown

PARSERS = pytest.mark.parametrize("loader", [yaml.SafeLoader, LOADER], ids=["pure", "default"])


def texts(text: str, **options: Any) -> list[str]:
    return [problem.at("f") for problem in read_yaml(text, **options).problems]


def value(text: str) -> JSON:
    document = read_yaml(text)
    assert document.problems == ()
    assert document.complete
    return document.value


def test_libyaml_is_used_where_it_is_there() -> None:
    assert (LOADER is not yaml.SafeLoader) == yaml.__with_libyaml__


@PARSERS
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("=", "="),
        ("5000", 5000),
        ("-7", -7),
        ("-0", 0),
        ("98.70", 98.7),
        ("5000.0", 5000),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("a: ", {"a": None}),
        ("'012'", "012"),
        ('"null"', "null"),
        ("[a, 1, [b]]", ["a", 1, ["b"]]),
        ("a: {b: 1, c: [2]}\nd: |\n  x\n  y\n", {"a": {"b": 1, "c": [2]}, "d": "x\ny\n"}),
        ('{\n  "a": 1,\n  "b": "\\u00e9"}', {"a": 1, "b": "é"}),
        ("---\na: 1\n...\n", {"a": 1}),
    ],
)
def test_scalars_are_read_as_yaml_1_2_with_the_types_of_json(
    text: str, expected: JSON, loader: type[Any]
) -> None:
    document = read_yaml(text, loader=loader)
    assert (document.value, document.problems) == (expected, ())
    assert type(document.value) is type(expected)


@PARSERS
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("05000", "f:1:1: '05000' is read differently by different programs; write 5000 or quote it"),
        ("[a, 012]", "f:1:5: [1]: '012' is read differently by different programs; write 12 or quote it"),
        ("+5", "f:1:1: '+5' is read differently by different programs; write 5 or quote it"),
        ("-.50", "f:1:1: '-.50' is read differently by different programs; write -0.50 or quote it"),
        ("5.", "f:1:1: '5.' is read differently by different programs; write 5 or quote it"),
        ("0x10", "f:1:1: '0x10' is not a decimal number; write 16 or quote it"),
        ("0o7", "f:1:1: '0o7' is not a decimal number; write 7 or quote it"),
        (".inf", "f:1:1: '.inf' is not a finite number; quote it if it is meant as text"),
        (".NaN", "f:1:1: '.NaN' is not a finite number; quote it if it is meant as text"),
        ("1e3", "f:1:1: '1e3' has an exponent; write the digits out or quote it"),
        ("9007199254740992", "f:1:1: 9007199254740992 is an integer beyond 2^53-1; send a string"),
        ("0.00001", "f:1:1: 0.00001 is the float 1e-05, below 0.0001 in size; send a string"),
        (
            "0.30000000000000000001",
            "f:1:1: '0.30000000000000000001' has more digits than a number keeps; write 0.3 or quote it",
        ),
    ],
)
def test_numbers_that_programs_read_differently_are_refused_with_their_plain_spelling(
    text: str, problem: str, loader: type[Any]
) -> None:
    assert texts(text, loader=loader) == [problem]


@pytest.mark.parametrize("text", ["9" * 5000, "0." + "1" * 5000])
def test_a_number_of_thousands_of_digits_is_refused(text: str) -> None:
    [problem] = texts(text)
    assert problem.endswith("has too many digits for a number; quote it")


@pytest.mark.parametrize("text", ["0x" + "f" * 5000, "0" + "9" * 5000])
def test_no_spelling_is_proposed_that_is_longer_than_a_number(text: str) -> None:
    [problem] = texts(text)
    assert problem.endswith("; quote it")
    assert len(problem) < 160


@PARSERS
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x 1", "f:1:4: a: has the anchor &x; leave it out"),
        ("- &x [1]", "f:1:3: [0]: has the anchor &x; leave it out"),
        ("&k a: 1", "f:1:1: has the anchor &k; leave it out"),
        ("a: !!str 1", "f:1:4: a: has the tag 'tag:yaml.org,2002:str'; leave it out"),
        ("! a", "f:1:1: has the tag '!'; leave it out"),
        (
            "a: !!python/object:os.x {}",
            "f:1:4: a: has the tag 'tag:yaml.org,2002:python/object:os.x'; leave it out",
        ),
        ("a:\n  <<: {b: 1}", 'f:2:3: a["<<"]: has the merge key <<; write the keys out'),
        ("1: x", 'f:1:1: ["1"]: has the key 1, which is not a string; quote it'),
        ("x: 1\ntrue: x", "f:2:1: true: has the key true, which is not a string; quote it"),
        ("012: x", 'f:1:1: ["012"]: has the key 012, which is not a string; quote it'),
        ("? [a]\n: 1", "f:1:3: has a key that is a list or a mapping; a key is a string"),
        ("a: 1\n---\nb: 2", "f:2:1: holds more than one document; split the file at '---'"),
        ("%YAML 1.2\n---\na: 1", "f:1:1: has a % directive; leave it out, the file is read as YAML 1.2"),
        ("%YAML 1.1\n---\na: 1", "f:1:1: has a % directive; leave it out, the file is read as YAML 1.2"),
        (
            "%TAG ! tag:x,2000:\n---\na: 1",
            "f:1:1: has a % directive; leave it out, the file is read as YAML 1.2",
        ),
        ("", "f:1:1: is empty"),
        ("# only a comment\n", "f:1:1: is empty"),
    ],
)
def test_what_yaml_has_beyond_json_is_refused_with_its_place(
    text: str, expected: str, loader: type[Any]
) -> None:
    assert texts(text, loader=loader) == [expected]


def test_an_alias_is_refused_as_value_and_as_key() -> None:
    assert texts("a: &x 1\nb: *x\n*x : 2") == [
        "f:1:4: a: has the anchor &x; leave it out",
        "f:2:4: b: uses the alias *x; write the value out",
        "f:3:1: uses the alias *x; write the value out",
    ]


def test_equal_keys_are_refused_naming_both_places() -> None:
    assert texts("forbidden: [a]\nrules:\n  x: 1\n  x: 2\nforbidden: []") == [
        "f:4:3: rules.x: key 'x' is given twice, first on line 3 column 3",
        "f:5:1: forbidden: key 'forbidden' is given twice, first on line 1 column 1",
    ]


def test_equal_keys_are_found_when_json_spells_one_with_an_escape() -> None:
    assert texts('{"a": 1, "\\u0061": 2}') == ["f:1:10: a: key 'a' is given twice, first on line 1 column 2"]


@PARSERS
@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "? "])
def test_deep_nesting_is_refused_before_it_can_hurt(opening: str, loader: type[Any]) -> None:
    document = read_yaml(opening * 50_000, loader=loader)
    assert not document.complete
    assert len(document.problems) == 1


def test_sixty_four_levels_are_read_and_sixty_five_are_not() -> None:
    assert value("[" * 64 + "]" * 64) is not None
    assert texts("[" * 65 + "]" * 65) == ["f:1:65: is nested deeper than 64 levels"]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("\ufeffa: 1", "f:1:1", "a byte order mark"),
        ("a: 1\r\nb: \0", "f:2:4", "the character U+0000"),
        ("a: '\x85'", "f:1:5", "the character U+0085"),
        ("a: '\u2028'", "f:1:5", "the character U+2028"),
        ("a: \ud800", "f:1:4", "the character U+D800"),
        ("\ra: \x7f", "f:2:4", "the character U+007F"),
    ],
)
def test_characters_that_cannot_be_seen_are_refused(text: str, where: str, what: str) -> None:
    assert texts(text) == [f"{where}: contains {what}; remove it, or write it as an escape in double quotes"]


def test_printable_characters_of_all_planes_are_read() -> None:
    assert value("é: \U0001f600 \U00020000 \ufffd") == {"é": "\U0001f600 \U00020000 \ufffd"}


def test_the_size_limit_counts_bytes() -> None:
    assert read_yaml("é" * 8, max_bytes=16).problems == ()
    assert texts("é" * 9, max_bytes=16) == ["f: has 18 bytes; at most 16 are allowed"]
    assert texts("e" * 17, max_bytes=16) == ["f: has more than 16 bytes, which is the limit"]
    assert texts(" " * (256 * 1024) + "a") == ["f: has more than 262144 bytes, which is the limit"]


def test_a_syntax_error_names_its_place() -> None:
    assert texts("a: b: c") == ["f:1:5: is not YAML: mapping values are not allowed in this context"]
    [unclosed] = texts("a: [1,\nb\n")
    assert unclosed.startswith("f:3:1: is not YAML: did not find expected ',' or ']'")


def test_an_escaped_surrogate_pair_is_refused_with_what_to_write() -> None:
    [problem] = texts('{"a": "\\ud83d\\ude00"}')
    assert "(write the character itself)" in problem


def test_surrogates_that_the_pure_parser_lets_through_are_refused() -> None:
    assert texts('{"\\ud83d": "\\ude00"}', loader=yaml.SafeLoader) == [
        'f:1:2: ["?"]: contains a lone surrogate',
        'f:1:12: ["?"]: contains a lone surrogate',
    ]


def test_an_impossible_escape_is_a_problem_with_the_pure_parser_too() -> None:
    assert texts('"\\UFFFFFFFF"', loader=yaml.SafeLoader) == [
        "f: is not YAML: an escape or a directive holds an impossible number"
    ]


def test_every_key_and_value_has_its_place() -> None:
    document = read_yaml("a: 1\nb:\n  - c: [x,  y]\n")
    assert document.places[()] == Place(1, 1)
    assert document.places[("b", 0, "c", 1)] == Place(3, 13)
    assert document.key_places[("b", 0, "c")] == Place(3, 5)


def test_all_problems_of_a_text_are_reported_at_once() -> None:
    assert len(texts("a: 012\nb: 0x1\na: &q 3\nc: [1e3, .inf]")) == 6


@given(st.text() | st.text(alphabet="[]{}:,-?&*!|>'\"%@ \nab01.<~#\\"))
def test_any_text_gives_a_document(text: str) -> None:
    for loader in (LOADER, yaml.SafeLoader):
        document = read_yaml(text, loader=loader)
        assert document.complete or document.problems


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii")), inner),
)


@given(json_values)
def test_json_text_is_read_as_json_reads_it(document: JSON) -> None:
    # Escapes only where JSON demands them; the C1 controls and their like are escaped for YAML's sake.
    text = json.dumps(document, ensure_ascii=False)
    escaped = "".join(
        char if char == "\t" or (char.isprintable() and ord(char) not in {0x2028, 0x2029}) else _escape(char)
        for char in text
    )
    assert read_yaml(escaped).value == document


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("rules", 2, "constraints"), "rules[2].constraints"),
        (("a b", 0), '["a b"][0]'),
        (("x", "é"), 'x["\\u00e9"]'),
    ],
)
def test_paths_are_written_dotted(path: tuple[str | int, ...], text: str) -> None:
    assert path_text(path) == text


def test_quoted_input_is_one_short_line() -> None:
    assert shown("a\nb") == "'a\\nb'"
    assert len(shown("x" * 1000)) == 61
    assert [shown(None), shown(True), shown([1]), shown({}), shown(5)] == [
        "null",
        "true",
        "a list",
        "a mapping",
        "5",
    ]


# --- schemas ---

SCHEMA: JSONObject = {
    "type": "object",
    "required": ["mode", "size"],
    "additionalProperties": False,
    "properties": {
        "mode": {"enum": ["fast", "safe", "off"], "x-hint": "it says how"},
        "size": {"type": ["integer", "string"], "minimum": 1, "maximum": 9, "minLength": 1, "maxLength": 3},
        "tags": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"$ref": "#/$defs/tag"}},
        "one": {"enum": ["only"]},
        "odd": {"multipleOf": 2},
        "extra": {"$ref": "#/$defs/extra"},
        "point": {"required": ["x"], "properties": {"x": {"$ref": "#/$defs/tag"}}},
    },
    "$defs": {
        "tag": {"type": "string", "pattern": "^[a-z]+$", "x-hint": "write small letters"},
        "extra": {
            "type": "object",
            "minProperties": 1,
            "x-key": "extra",
            "additionalProperties": False,
            "properties": {"alpha": {"type": "boolean"}},
        },
    },
}
GOOD: JSONObject = {"mode": "fast", "size": 1}


def verdict(document: object) -> list[str]:
    return [problem.at("c") for problem in DocumentSchema(SCHEMA).problems(parsed_document(document))]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"mode": "fst"},
            "c: mode: unknown mode 'fst'; use fast, safe or off; it says how; did you mean 'fast'?",
        ),
        ({"mode": None}, "c: mode: unknown mode null; use fast, safe or off; it says how"),
        ({"one": "x" * 50}, f"c: one: unknown one '{'x' * 50}'; use only"),
        ({"size": True}, "c: size: is true; wanted a whole number or a string"),
        ({"size": 1.5}, "c: size: is 1.5; wanted a whole number or a string"),
        ({"size": 0}, "c: size: is 0; at least 1 is wanted"),
        ({"size": 10}, "c: size: is 10; at most 9 is allowed"),
        ({"size": ""}, "c: size: is an empty text"),
        ({"size": "abcd"}, "c: size: is too long; at most 3 characters are allowed"),
        ({"tags": []}, "c: tags: is an empty list"),
        ({"tags": ["a", "a"]}, "c: tags: names one value twice"),
        ({"tags": ["a", "B"]}, "c: tags[1]: 'B' does not have the form that is wanted; write small letters"),
        ({"tags": {}}, "c: tags: is a mapping; wanted a list"),
        ({"odd": 3}, "c: odd: 3 is not a multiple of 2"),
        ({"extra": {}}, "c: extra: is empty"),
        ({"point": {}}, "c: point: is missing the key 'x'; write small letters"),
        (
            {"extra": {"alhpa": True}},
            "c: extra.alhpa: unknown extra 'alhpa'; known: alpha; did you mean 'alpha'?",
        ),
        (
            {"nope": 1},
            "c: nope: unknown key 'nope'; known: extra, mode, odd, one, point, size, tags",
        ),
    ],
)
def test_each_keyword_has_a_sentence_that_says_what_would_be_right(change: JSONObject, expected: str) -> None:
    assert verdict(GOOD) == []
    assert verdict(GOOD | change) == [expected]


def test_every_missing_key_is_named_once() -> None:
    assert verdict({}) == [
        "c: is missing the key 'mode'; use fast, safe or off; it says how",
        "c: is missing the key 'size'",
    ]


def test_a_document_that_is_no_mapping_is_refused() -> None:
    assert verdict([1]) == ["c: is a list; wanted a mapping"]


def test_a_value_that_is_not_json_is_refused_with_its_path() -> None:
    assert verdict({"mode": {"x": {1, 2}}}) == [
        "c: mode.x: is a set; JSON has null, booleans, numbers, strings, arrays and objects"
    ]


def test_a_refused_value_is_not_reported_a_second_time_by_the_schema() -> None:
    document = read_yaml("mode: 0x1\nsize: 1\n7: x\nextra: {beta: *q}")
    problems = [problem.at("c") for problem in DocumentSchema(SCHEMA).problems(document)]
    assert problems == [
        "c:1:7: mode: '0x1' is not a decimal number; write 1 or quote it",
        'c:3:1: ["7"]: has the key 7, which is not a string; quote it',
        "c:4:15: extra.beta: uses the alias *q; write the value out",
    ]


def test_problems_stand_in_the_order_of_the_text() -> None:
    document = read_yaml("zeta: 1\nsize: 012\nmode: x")
    lines = [problem.line for problem in DocumentSchema(SCHEMA).problems(document)]
    assert lines == [1, 2, 3]


def test_an_incomplete_document_is_not_held_against_the_schema() -> None:
    assert len(DocumentSchema(SCHEMA).problems(read_yaml("mode: [fast"))) == 1


@pytest.mark.parametrize(
    ("reference", "refusal"),
    [
        ("http://127.0.0.1:1/x.json", "a schema may not refer to 'http"),
        ("file:///etc/hosts", "a schema may not refer to 'file"),
        ("other.json", "is not present in a registry"),
    ],
)
def test_a_schema_that_refers_to_anything_outside_itself_is_refused(reference: str, refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):  # refused here, before any connection is tried
        DocumentSchema({"$ref": reference})


@given(
    json_values
    | st.fixed_dictionaries({}, optional=dict.fromkeys(("mode", "size", "tags", "extra"), json_values))
)
def test_the_verdict_is_that_of_another_validator(document: JSON) -> None:
    expected = jsonschema.Draft202012Validator(SCHEMA).is_valid(document)
    assert (DocumentSchema(SCHEMA).problems(parsed_document(document)) == []) == expected


def test_one_compiled_schema_serves_many_threads() -> None:
    schema = DocumentSchema(SCHEMA)
    with ThreadPoolExecutor(4) as pool:
        counts = pool.map(lambda _: len(schema.problems(parsed_document({"nope": 1}))), range(40))
    assert set(counts) == {3}
