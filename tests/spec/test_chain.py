"""Chain verification finds every edit, and says the same however the chain is cut into batches."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st

from chains import KEY, SIGNER, STRANGER, chain, line, own_line, payload, signed, texts
from delego_spec import chain as chain_module
from delego_spec.anchors import Anchor
from delego_spec.chain import MAX_PROBLEMS, ChainReport, ChainVerifier, batches, check_batch, verify_chain
from delego_spec.ed25519 import PublicKey
from delego_spec.receipts import GENESIS, MAX_LINE_BYTES, decode_line
from delego_spec.types import Digest
from support import shared

SOUND = chain(8, context={"principal": "agent-1"})
ANCHORS = [decode_line(one).anchor for one in SOUND]


def verified(lines: list[bytes], **options: Any) -> list[str]:
    return texts(verify_chain(lines, KEY, **options).problems)


def in_batches(lines: list[bytes], size: int, anchors: tuple[Anchor, ...] = ()) -> ChainReport:
    verifier = ChainVerifier(anchors=anchors)
    for start in range(0, len(lines), size):
        batch = lines[start : start + size]
        verifier.join(check_batch(batch, KEY, start=start, wanted=verifier.wanted))
    return verifier.finish()


def slowly(lines: list[bytes], monkeypatch: pytest.MonkeyPatch) -> ChainReport:
    with monkeypatch.context() as patch:
        patch.setattr(chain_module, "_pass_sound", lambda *_: None)
        return verify_chain(lines, KEY)


# --- published chains -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chain", "chain.tampered"])
def test_a_published_chain_gets_its_published_verdict(name: str) -> None:
    pem = load_pem_public_key(shared("ctk", "signing_key.pub").read_bytes())
    key = PublicKey(pem.public_bytes_raw())  # type: ignore[union-attr]  # the published key is Ed25519
    expected = json.loads(shared("ctk", f"{name}.expected.json").read_text(encoding="utf-8"))
    report = verify_chain(shared("ctk", f"{name}.jsonl").read_bytes().split(b"\n")[:-1], key)
    assert report.valid is expected["valid"]
    assert texts(report.problems) == expected["problems"]
    assert report.count == expected.get("receipt_count", report.count)


# --- sound chains ---------------------------------------------------------------------------------------


def test_a_sound_chain_has_no_problem_but_truncation_stays_possible_without_an_anchor() -> None:
    report = verify_chain(SOUND, KEY)
    assert report == ChainReport(
        count=8,
        head=ANCHORS[-1],
        problems=(),
        problem_count=0,
        completeness="cannot_be_ruled_out",
        anchored_through=None,
    )
    assert report.valid


def test_an_empty_chain_is_never_shown_to_be_complete() -> None:
    report = verify_chain([], KEY)
    assert (report.count, report.head, report.completeness) == (0, None, "cannot_be_ruled_out")


@pytest.mark.parametrize(
    "spell",
    [
        lambda members: json.dumps(members).encode(),
        lambda members: json.dumps(members, indent=1).encode(),
        lambda members: json.dumps(members, ensure_ascii=False, sort_keys=True).encode(),
        lambda members: json.dumps(dict(reversed(members.items()))).encode(),
        lambda members: json.dumps({**members, "seq": float(members["seq"])}).encode(),
        lambda members: json.dumps({**members, "context": {"any": [1.5, None]}}).encode(),
        lambda members: json.dumps({**members, "context": {}}).encode() + b"  ",
    ],
)
def test_another_spelling_of_a_sound_chain_is_sound(spell: Any) -> None:
    assert verified([spell(json.loads(one)) for one in SOUND]) == []


def test_the_short_path_and_the_long_one_agree_on_a_sound_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_batch(SOUND, KEY) == chain_module._pass_sound(SOUND, KEY, frozenset())
    assert slowly(SOUND, monkeypatch) == verify_chain(SOUND, KEY)


# --- edits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seq", 7),
        ("ts", "2026-01-01T00:00:00.000001+00:00"),
        ("phase", "execution"),
        ("outcome", "allow"),
        ("rule", "r"),
        ("reasons", []),
        ("intent_hash", "ba" * 32),
        ("action_fingerprint", "dc" * 32),
        ("action_summary", "GET api.example.com/x"),
        ("approval_id", "a"),
        ("prev_hash", "00" * 32),
    ],
)
def test_changing_any_signed_member_is_found(name: str, value: object) -> None:
    place = value if name == "seq" else 0
    found = verified([line(signed(payload()) | {name: value})])
    assert found[0] == f"seq {place}: content hash mismatch (tampered)"


def test_a_changed_hash_breaks_content_link_and_signature() -> None:
    lines = [json.loads(one) for one in SOUND[:2]]
    lines[0]["entry_hash"] = "00" * 32
    assert verified([line(one) for one in lines]) == [
        "seq 0: content hash mismatch (tampered)",
        "seq 0: bad signature",
        "seq 1: broken chain link",
    ]


def test_a_receipt_of_another_key_has_a_bad_signature() -> None:
    assert verified(chain(2, signer=STRANGER)) == ["seq 0: bad signature", "seq 1: bad signature"]


@pytest.mark.parametrize(
    "spell",
    [
        str.upper,
        lambda text: f" {text[:2]} {text[2:]}",
        lambda text: text[:-2],
        lambda text: text + "00",
        lambda text: text + "\n",
        lambda text: "zz" + text[2:],
        lambda text: text.translate({ord("0"): "\u0660"}),
        lambda text: "",
        lambda text: 7,
        lambda text: None,
    ],
)
def test_a_second_spelling_of_a_signature_is_no_signature(spell: Any) -> None:
    members = signed(payload())
    assert verified([line(members | {"signature": spell(members["signature"])})]) == ["seq 0: bad signature"]


def test_a_removed_receipt_breaks_the_link_and_the_sequence() -> None:
    assert verified(SOUND[:2] + SOUND[3:]) == [
        "seq 3: broken chain link",
        "seq 3: out of sequence, expected 2",
    ]


def test_the_first_receipt_cannot_be_cut_off() -> None:
    assert verified(SOUND[1:]) == ["seq 1: broken chain link", "seq 1: out of sequence, expected 0"]


def test_swapped_receipts_are_found() -> None:
    problems = verified([SOUND[0], SOUND[2], SOUND[1], *SOUND[3:]])
    assert problems.count("seq 2: broken chain link") == 1
    assert problems.count("seq 1: broken chain link") == 1


def test_a_repeated_receipt_is_found() -> None:
    assert verified([SOUND[0], SOUND[0]]) == [
        "seq 0: broken chain link",
        "seq 0: out of sequence, expected 1",
    ]


def test_a_fork_signed_by_the_key_itself_is_found() -> None:
    first = signed(payload())
    link = first["entry_hash"]
    second = [signed(payload(1, link, rule=rule)) for rule in ("a", "b")]
    assert verified([line(first), *map(line, second)]) == [
        "seq 1: broken chain link",
        "seq 1: out of sequence, expected 2",
    ]


def test_signed_receipts_out_of_sequence_are_found_though_their_links_hold() -> None:
    first = signed(payload(0))
    second = signed(payload(5, first["entry_hash"]))
    third = signed(payload(2, second["entry_hash"]))
    assert verified([line(first), line(second), line(third)]) == [
        "seq 5: out of sequence, expected 1",
        "seq 2: out of sequence, expected 6",
    ]


# --- lines that are no receipts -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"\xff",
        b"\xef\xbb\xbf" + SOUND[0],
        SOUND[0] + b"," + SOUND[0],
        SOUND[0] + b"\n" + SOUND[1],
        b'{"seq":0,' + SOUND[0][1:],
        SOUND[0].replace(b'"seq":0', b'"seq":9007199254740993'),
        SOUND[0].replace(b'"seq":0', b'"seq":1e400'),
        SOUND[0].replace(b'"rule":"small orders"', b'"rule":"\\ud800"'),
        SOUND[0].replace(b'{"principal"', b'{"principal":"x","principal"'),
        b"[" * 100_000,
        b" " * (MAX_LINE_BYTES + 1),
        line(signed(payload())).replace(b"GET", b"G" * 300_000),
    ],
)
def test_a_line_that_is_no_receipt_is_a_problem_with_its_number(bad: bytes) -> None:
    assert verified([SOUND[0], bad, *SOUND[2:]])[0] == "line 1: unparseable receipt (corrupt)"


def test_behind_an_unreadable_line_the_link_is_broken_but_the_sequence_is_not() -> None:
    assert verified([SOUND[0], b"?", SOUND[2]]) == [
        "line 1: unparseable receipt (corrupt)",
        "seq 2: broken chain link",
    ]


def test_missing_members_are_named() -> None:
    members = signed(payload(3))
    del members["rule"], members["signature"]
    assert verified([line(members)]) == ["seq 3: missing field(s) ['rule', 'signature'] (tampered)"]
    assert verified([SOUND[0], b"{}"])[0].startswith("seq 1: missing field(s) ['action_fingerprint', ")


def test_unknown_members_are_named_and_the_list_is_cut() -> None:
    members = signed(payload())
    assert verified([line(members | {"x": 1, "y": 2})]) == ["seq 0: unknown field(s) ['x', 'y']"]
    many = {f"{number}{'x' * 100}": 1 for number in range(1000)}
    (problem,) = verified([line(members | many)])
    assert problem.endswith(" and 995 more")
    assert len(problem) < 300


def test_context_is_an_object_and_otherwise_ignored() -> None:
    members = signed(payload())
    assert verified([line(members | {"context": {"outcome": "allow"}})]) == []
    assert verified([line(members | {"context": ["x"]})]) == ["seq 0: 'context' is not an object"]


# --- signed receipts that readers would not read alike ----------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"intent_hash": "AB" * 32}, "'intent_hash' is not 64 lower-case hexadecimal digits"),
        ({"intent_hash": "ab" * 31}, "'intent_hash' is not 64 lower-case hexadecimal digits"),
        ({"action_fingerprint": "ab" * 32 + "\n"}, "'action_fingerprint' is not 64 lower-case"),
        ({"intent_hash": "ab" * 31, "action_fingerprint": "ab" * 33}, "'intent_hash' is not 64"),
        ({"ts": "yesterday"}, "'ts' is not an RFC 3339 time in UTC"),
        ({"ts": "2026-02-30T00:00:00.000000+00:00"}, "'ts' is not an RFC 3339 time in UTC"),
        ({"ts": "1969-12-31T23:59:59.999999+00:00"}, "'ts' is not an RFC 3339 time in UTC"),
        ({"phase": "banana"}, "receipt: invalid enum value 'banana'"),
        ({"outcome": 7}, "receipt: expected `str`, got `int`"),
        ({"reasons": "x"}, "receipt: expected `array`, got `str`"),
        ({"rule": False}, "receipt: expected `str | null`, got `bool`"),
    ],
)
def test_a_signed_receipt_with_a_wrong_type_or_format_is_refused(change: Any, problem: str) -> None:
    found = verified([line(signed(payload(**change)))])[0]
    assert found.startswith(f"seq 0: {problem}")


@pytest.mark.parametrize("seq", ["0", True, None, [0]])
def test_a_signed_receipt_whose_seq_is_no_integer_is_refused(seq: object) -> None:
    assert any("receipt: expected `int`" in text for text in verified([line(signed(payload(seq)))]))  # type: ignore[arg-type]  # that is the point


def test_a_negative_seq_is_refused() -> None:
    assert "seq -1: 'seq' is negative" in verified([line(signed(payload(-1)))])


def test_a_prev_hash_that_is_no_string_is_a_broken_link() -> None:
    assert "seq 0: broken chain link" in verified([line(signed(payload(prev_hash=7)))])  # type: ignore[arg-type]  # that is the point


FIRST = signed(payload())
LINK = FIRST["entry_hash"]


@pytest.mark.parametrize(
    "members",
    [
        [signed(payload(ts="2026-01-01T24:00:00.000000+00:00"))],
        [signed(payload(intent_hash="AB" * 32))],
        [signed(payload(intent_hash="ab" * 31, action_fingerprint="cd" * 33))],
        [signed(payload(intent_hash="ab " * 21 + "a"))],
        [signed(payload(action_fingerprint="cd" * 31), signature=FIRST["signature"] + "cd")],
        [signed(payload(), signature=signed(payload())["signature"].upper())],
        [signed(payload(), signature="0" * 128)],
        [signed(payload(), signature="é" * 128)],
        [signed(payload(-1))],
        [FIRST, signed(payload(1, "00" * 32))],
        [FIRST, signed(payload(2, LINK))],
        [FIRST, signed(payload(0, LINK))],
        [FIRST, signed(payload(1, LINK) | {"rule": "x"}, entry_hash="00" * 32)],
        [signed(payload(phase="banana"))],
    ],
)
def test_our_own_spelling_is_judged_as_any_other(members: list[dict[str, Any]]) -> None:
    own = [own_line(one) for one in members]
    assert own != [line(one) for one in members]
    found = verified(own)
    assert found
    assert found == verified([line(one) for one in members])


def test_our_own_spelling_keeps_to_the_limits_of_any_other() -> None:
    huge = [
        own_line(FIRST).replace(b"no rule", b"n" * 300_000),
        own_line(FIRST).replace(b'"seq":0', b'"seq":9007199254740992'),
        own_line(FIRST | {"context": {"k": "v"}}).replace(b'"v"', b'"%s"' % (b"v" * MAX_LINE_BYTES)),
        own_line(FIRST | {"context": {"k": "v"}}).replace(b'"k":"v"', '"\ue000":"","\U00010000":""'.encode()),
    ]
    for one in huge:
        assert verified([one]) == ["line 0: unparseable receipt (corrupt)"]


# --- anchors --------------------------------------------------------------------------------------------


def test_the_expected_head_makes_a_chain_complete() -> None:
    report = verify_chain(SOUND, KEY, expected_head=ANCHORS[-1])
    assert (report.valid, report.completeness, report.anchored_through) == (True, "anchored", 7)


@pytest.mark.parametrize("kept", [0, 1, 7])
def test_a_chain_whose_tail_was_cut_off_does_not_end_at_the_expected_head(kept: int) -> None:
    report = verify_chain(SOUND[:kept], KEY, expected_head=ANCHORS[-1])
    found = "no receipts" if kept == 0 else f"seq {kept - 1} ({ANCHORS[kept - 1].entry_hash[:12]}…)"
    expected = f"head mismatch: expected seq 7 ({ANCHORS[-1].entry_hash[:12]}…), found {found}"
    assert texts(report.problems) == [expected]
    assert (report.completeness, report.anchored_through) == ("cannot_be_ruled_out", None)


def test_the_expected_head_accepts_no_growth_and_an_anchor_does() -> None:
    assert not verify_chain(SOUND, KEY, expected_head=ANCHORS[5]).valid
    report = verify_chain(SOUND, KEY, anchors=[ANCHORS[5], ANCHORS[2]])
    assert (report.valid, report.completeness, report.anchored_through) == (True, "anchored", 5)


def test_an_anchor_behind_the_end_finds_the_cut() -> None:
    report = verify_chain(SOUND[:6], KEY, anchors=[ANCHORS[2], ANCHORS[6]])
    assert [problem.code for problem in report.problems] == ["head"]
    assert report.anchored_through == 2


def test_an_anchor_with_another_hash_finds_the_rewritten_chain() -> None:
    wrong = Anchor(3, Digest("0" * 64))
    (problem,) = verify_chain(SOUND, KEY, anchors=[wrong]).problems
    assert str(problem) == (
        f"head mismatch: expected seq 3 (000000000000…), found seq 3 ({ANCHORS[3].entry_hash[:12]}…)"
    )


def test_anchors_are_found_on_the_long_path_as_well() -> None:
    lines = [json.dumps(json.loads(one)).encode() for one in SOUND]
    assert verify_chain(lines, KEY, anchors=ANCHORS).valid


# --- reports --------------------------------------------------------------------------------------------


def test_a_report_keeps_a_bounded_number_of_problems_and_counts_all() -> None:
    report = verify_chain([b"x"] * (MAX_PROBLEMS + 500), KEY)
    assert (len(report.problems), report.problem_count) == (MAX_PROBLEMS, MAX_PROBLEMS + 500)
    assert (report.head, report.count) == (None, MAX_PROBLEMS + 500)


def test_readable_receipts_behind_batches_without_any_keep_their_place() -> None:
    lines = [b"x", b"x", b"x", *SOUND[3:]]
    for size in (1, 2, 3, 100):
        assert texts(in_batches(lines, size).problems)[3:] == ["seq 3: broken chain link"]


def test_a_batch_is_bounded_in_number_and_in_bytes() -> None:
    assert [len(lot) for lot in batches(iter([b""] * 1300))] == [512, 512, 276]
    assert [len(lot) for lot in batches([b"x" * MAX_LINE_BYTES] * 40)] == [16, 16, 8]
    assert list(batches([])) == []
    lines = [b"%d" % number for number in range(1000)]
    assert [line for lot in batches(lines) for line in lot] == lines


EDITS = st.one_of(
    st.tuples(st.just("drop"), st.integers(0, 7)),
    st.tuples(st.just("repeat"), st.integers(0, 7)),
    st.tuples(st.just("swap"), st.integers(0, 6)),
    st.tuples(st.just("garbage"), st.integers(0, 7)),
    st.tuples(st.just("cut"), st.integers(0, 7)),
    st.tuples(st.just("flip"), st.integers(0, sum(map(len, SOUND)) - 1)),
)


def edited(lines: list[bytes], how: str, place: int) -> list[bytes]:
    lines = list(lines)
    if how == "flip":
        for index, one in enumerate(lines):
            if place < len(one):
                lines[index] = one[:place] + bytes([one[place] ^ 1]) + one[place + 1 :]
                break
            place -= len(one)
        return lines
    place = min(place, len(lines) - 1)
    if place < 0:
        return [b"garbage"]
    if how == "drop":
        del lines[place]
    elif how == "repeat":
        lines.insert(place, lines[place])
    elif how == "swap":
        lines[place : place + 2] = reversed(lines[place : place + 2])
    elif how == "garbage":
        lines[place] = b"garbage"
    else:
        del lines[place:]
    return lines


def signed_part(lines: list[bytes]) -> list[object]:
    """What verification must protect: everything but the unsigned context."""
    result: list[object] = []
    for one in lines:
        try:
            members = json.loads(one)
            members.pop("context", None)
            result.append(members)
        except ValueError:
            result.append(one)
    return result


@given(st.lists(EDITS, min_size=1, max_size=4), st.integers(1, 9))
def test_every_edit_is_found_and_batches_and_paths_do_not_matter(
    edits: list[tuple[str, int]], size: int
) -> None:
    lines = SOUND
    for how, place in edits:
        lines = edited(lines, how, place)
    report = verify_chain(lines, KEY, expected_head=ANCHORS[-1])
    assert report.valid == (signed_part(lines) == signed_part(SOUND))
    anchored = verify_chain(lines, KEY, anchors=(ANCHORS[3],))
    assert in_batches(lines, size, (ANCHORS[3],)) == anchored
    with pytest.MonkeyPatch.context() as patch:
        assert slowly(lines, patch) == verify_chain(lines, KEY)


@given(st.lists(st.binary(max_size=60) | st.sampled_from(SOUND), max_size=6))
def test_no_bytes_make_verification_raise(lines: list[bytes]) -> None:
    assert verify_chain(lines, KEY).count == len(lines)


def test_a_signature_over_something_else_of_the_same_key_does_not_count() -> None:
    members = signed(payload())
    members["signature"] = SIGNER.sign(b"delego" + members["entry_hash"].encode()).hex()
    assert verified([line(members)]) == ["seq 0: bad signature"]


def test_genesis_is_only_the_first_link() -> None:
    first = signed(payload())
    assert verified([line(first), line(signed(payload(1, GENESIS)))]) == ["seq 1: broken chain link"]
