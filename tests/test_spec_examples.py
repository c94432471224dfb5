"""SPEC.md shows what the code does: each example is computed anew, and checked with other libraries."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import get_args

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from delego_spec import callbacks, chain, gateway, hazards, tokens
from spec_examples import BUILDERS, MarkError, examples, marked_blocks, rewritten
from support import ROOT

SPEC = (ROOT / "SPEC.md").read_text(encoding="utf-8")
BLOCKS = marked_blocks(SPEC)
BODY = SPEC[SPEC.index("\n## §1 ") :]

CLAUSE = re.compile(r"^- \*\*\[§([0-9.]+)-([0-9]+)\]\*\* (.*(?:\n  .*)*)", re.MULTILINE)
HEADING = re.compile(r"^#{2,3} §([0-9.]+) ", re.MULTILINE)
KEYWORD = re.compile(r"\b(?:MUST|SHOULD|MAY)\b")
PIN = re.compile(r"\[§([0-9.]+-[0-9]+)\]")


def spans() -> list[tuple[str, int, str]]:
    """Section, number and text of each clause, in the order of the document."""
    return [(section, int(number), text) for section, number, text in CLAUSE.findall(SPEC)]


# --- the examples ---------------------------------------------------------------------------------------


def test_every_example_in_the_document_is_one_that_can_be_computed() -> None:
    shown = {name for name, block in BLOCKS.items() if block.kind == "example"}
    assert shown == set(BUILDERS)


@pytest.mark.parametrize("name", BUILDERS)
def test_an_example_is_what_the_code_gives(name: str) -> None:
    inputs = {name: block.text for name, block in BLOCKS.items() if block.kind == "input"}
    assert BUILDERS[name](inputs) == BLOCKS[name].text, (
        "if the change was meant: python tests/spec_examples.py SPEC.md"
    )


def test_writing_the_examples_anew_changes_nothing() -> None:
    assert rewritten(SPEC) == SPEC


def test_a_changed_input_changes_what_is_computed_from_it() -> None:
    inputs = {name: block.text for name, block in BLOCKS.items() if block.kind == "input"}
    other = examples({**inputs, "order": inputs["order"].replace("2400", "2401")})
    for name in ("order-hashes", "evidence", "chain", "token", "signed-bytes"):
        assert other[name] != BLOCKS[name].text, name


@pytest.mark.parametrize(
    "text", ["<!-- example: a -->\n", "<!-- input: a -->\n\n", "<!-- input: a -->\nx\n\n" * 2]
)
def test_a_mark_without_a_block_of_its_own_is_an_error(text: str) -> None:
    with pytest.raises(MarkError):
        marked_blocks(text)


# --- the same, read by other libraries ------------------------------------------------------------------


def public_key(role: str) -> Ed25519PublicKey:
    found = re.search(rf"^\| {role} \| .*?`([0-9a-f]{{64}})`", BLOCKS["keys"].text, re.MULTILINE)
    assert found is not None
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(found[1]))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_preimages_hash_to_the_hashes_shown() -> None:
    preimages = BLOCKS["order-preimages"].text.splitlines()
    shown = re.findall(r"\b[0-9a-f]{64}\b", BLOCKS["order-hashes"].text)
    assert [sha256(line.encode()) for line in preimages] == shown
    for name in ("canonical-hash", "legacy-fingerprint", "policy-digest"):
        preimage, digest = BLOCKS[name].text.splitlines()
        assert sha256(preimage.encode()) == digest, name


@pytest.mark.parametrize(
    "name", ["order-preimages", "policy-digest", "payload", "signed-bytes", "evidence", "token-parts"]
)
def test_what_is_hashed_or_signed_is_rfc_8785(name: str) -> None:
    lines = [line for line in BLOCKS[name].text.splitlines() if line.startswith("{")]
    assert lines
    assert [rfc8785.dumps(json.loads(line)).decode() for line in lines] == lines


def test_the_payload_and_its_signature_belong_together() -> None:
    shown = dict(line.split() for line in BLOCKS["entry-hash"].text.splitlines())
    assert sha256(BLOCKS["payload"].text.encode()) == shown["entry_hash"]
    public_key("ledger").verify(bytes.fromhex(shown["signature"]), shown["entry_hash"].encode())


def test_the_chain_verifies_with_other_libraries() -> None:
    previous = "GENESIS"
    for place, line in enumerate(BLOCKS["chain"].text.splitlines()):
        members = json.loads(line)
        members.pop("context", None)
        entry_hash, signature = members.pop("entry_hash"), members.pop("signature")
        assert (members["seq"], members["prev_hash"]) == (place, previous)
        assert sha256(rfc8785.dumps(members)) == entry_hash
        public_key("ledger").verify(bytes.fromhex(signature), entry_hash.encode())
        previous = entry_hash
    assert BLOCKS["anchors"].text.splitlines()[0] == f"{place}:{previous}"


def test_the_decision_is_signed_by_alice_over_exactly_the_bytes_shown() -> None:
    signed = BLOCKS["signed-bytes"].text.encode()
    signature = bytes.fromhex(json.loads(BLOCKS["callback"].text)["signature"])
    public_key("alice").verify(signature, signed)
    with pytest.raises(InvalidSignature):
        public_key("alice").verify(signature, signed + b"\n")


def test_the_evidence_is_what_a_receipt_names() -> None:
    evidence = BLOCKS["evidence"].text.encode()
    (named,) = re.findall(r"approval evidence sha256:([0-9a-f]{64})", BLOCKS["chain"].text)
    assert sha256(evidence) == named


def test_the_display_hash_is_that_of_the_text_as_a_json_string() -> None:
    text = json.dumps(BLOCKS["display-text"].text, ensure_ascii=False)
    assert sha256(text.encode()) == BLOCKS["display-hash"].text
    assert json.loads(BLOCKS["evidence"].text)["display_hash"] == BLOCKS["display-hash"].text


def test_the_nonce_is_derived_as_the_text_says() -> None:
    evidence = json.loads(BLOCKS["evidence"].text)
    preimage = json.dumps(
        ["delego-approval-nonce-v1", evidence["approval_id"], "alice", False], separators=(",", ":")
    )
    assert evidence["nonce"] == sha256(preimage.encode())[:32]


def test_the_token_is_signed_over_the_parts_shown() -> None:
    head, body, signature = BLOCKS["token"].text.split(".")
    parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in (head, body, signature)]
    assert b"\n".join(parts[:2]).decode() == BLOCKS["token-parts"].text
    public_key("token").verify(parts[2], f"{head}.{body}".encode())


# --- the clauses ----------------------------------------------------------------------------------------


def test_clause_ids_are_unique_and_count_up_in_each_section() -> None:
    counted: dict[str, int] = {}
    for section, number, _ in spans():
        counted[section] = counted.get(section, 0) + 1
        assert number == counted[section], f"§{section}-{number}"
    assert {
        "1",
        "2",
        "2.2",
        "3",
        "4",
        "4.2",
        "5",
        "5.1",
        "6",
        "7",
        "7.1",
        "7.2",
        "7.3",
        "8",
        "8.1",
        "8.3",
        "9.1",
    } <= (counted.keys())


def test_a_clause_stands_in_its_section() -> None:
    for clause in CLAUSE.finditer(SPEC):
        headings = HEADING.findall(SPEC, 0, clause.start())
        assert headings[-1] == clause[1], clause[0]


def test_a_clause_says_one_thing_and_nothing_else_does() -> None:
    for section, number, text in spans():
        assert len(KEYWORD.findall(text)) == 1, f"§{section}-{number}"
    assert KEYWORD.findall(CLAUSE.sub("", BODY)) == []


def test_every_clause_that_is_referred_to_is_there() -> None:
    known = {f"{section}-{number}" for section, number, _ in spans()}
    assert set(PIN.findall(SPEC)) == known


def test_every_published_ambiguity_and_every_own_decision_has_one_row() -> None:
    errata = SPEC[SPEC.index("## Errata") :]
    assert re.findall(r"^\| ([0-9]+) \|", errata, re.MULTILINE) == [str(number) for number in range(1, 55)]
    own = re.findall(r"^\| D([0-9]+) \|", errata, re.MULTILINE)
    assert own == [str(number) for number in range(1, len(own) + 1)]
    for row in re.findall(r"^\| D?[0-9]+ \|.*", errata, re.MULTILINE):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        # the published ambiguities also name the vectors that pin them
        assert len(cells) == (4 if cells[0].startswith("D") else 5), row
        assert all(cells), row


@pytest.mark.parametrize(
    ("section", "codes"),
    [
        ("2.2", gateway.REFUSAL_CODES),
        ("4", get_args(hazards.HazardCode)),
        ("7.3", get_args(callbacks.CallbackCode)),
        ("8.1", get_args(chain.Code)),
        ("9.1", get_args(tokens.RefusalCode)),
    ],
)
def test_a_section_lists_every_code(section: str, codes: tuple[str, ...]) -> None:
    listed = {
        code
        for code, text in re.findall(r"^\| `([a-z_]+)` \|(.*)", SPEC, re.MULTILINE)
        if HEADING.findall(SPEC, 0, SPEC.index(f"| `{code}` |{text}"))[-1] == section
    }
    assert set(codes) <= listed
