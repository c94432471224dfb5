"""Vectors made of the published files, where these lie beside the checkout; and files that are not them."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519

from delego_conformance.errors import UpstreamError
from delego_conformance.upstream import FILES, load_upstream
from delego_conformance.vectors import Vector
from support import shared


@pytest.fixture
def published() -> dict[str, Vector]:
    return {vector.id: vector for vector in load_upstream(shared("ctk"))}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = shared("ctk")
    for name in FILES:
        shutil.copyfile(folder / name, tmp_path / name)
    return tmp_path


def test_every_published_case_becomes_vectors(published: dict[str, Vector]) -> None:
    hashing = json.loads(shared("ctk", "hashing.json").read_text("utf-8"))
    old = json.loads(shared("ctk", "hashing-v0.2.json").read_text("utf-8"))
    decisions = json.loads(shared("ctk", "decisions.json").read_text("utf-8"))
    assert len(published) == 3 * len(hashing) + len(old) + len(decisions) + 2
    assert {vector.level for vector in published.values()} == {"MUST"}
    assert {vector.suite for vector in published.values()} == {"upstream"}
    assert {vector.basis for vector in published.values()} == {"spec", "reference"}


def test_fingerprints_of_wire_0_2_are_asked_for_as_such(published: dict[str, Vector]) -> None:
    old = published["UP-hashing-v0.2-02-fingerprint"]
    new = published["UP-hashing-02-fingerprint"]
    assert old.steps[0].args == new.steps[0].args
    assert old.steps[0].expect != new.steps[0].expect
    assert (old.steps[0].ctx["spec"], new.steps[0].ctx["spec"]) == ("0.2", "0.3")
    assert (old.requires, new.requires) == (("spec-0.2",), ())


def test_texts_of_problems_become_codes(published: dict[str, Vector]) -> None:
    tampered = published["UP-chain.tampered-01"]
    assert tampered.steps[0].expect == {"ok": {"valid": False, "problems": [{"seq": 0, "code": "content"}]}}
    assert tampered.control == "UP-chain-01"
    assert published["UP-chain-01"].steps[0].expect == {"ok": {"valid": True, "problems": []}}


def test_the_chain_is_sent_byte_for_byte_with_the_published_key(published: dict[str, Vector]) -> None:
    args = published["UP-chain-01"].steps[0].args
    assert base64.b64decode(args["jsonl_b64"]) == shared("ctk", "chain.jsonl").read_bytes()
    pem = serialization.load_pem_public_key(shared("ctk", "signing_key.pub").read_bytes())
    der = pem.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert args["public_key_hex"] == der[-32:].hex()


def test_a_canonical_text_is_asked_for_in_another_spelling(published: dict[str, Vector]) -> None:
    step = published["UP-hashing-02-canonical"].steps[0]
    canonical = step.expect["ok"]["canonical"]
    assert step.args["json"] != canonical
    assert json.loads(step.args["json"]) == json.loads(canonical)


def test_other_files_in_the_folder_are_ignored(copy: Path) -> None:
    (copy / "token.json").write_text("not even JSON", encoding="utf-8")
    assert load_upstream(copy) == load_upstream(shared("ctk"))


def other_problem(text: str, kind: str = "problems") -> Callable[[str], str]:
    return lambda _: json.dumps({"valid": False, kind: [text]})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seq 3: broken chain link", {"seq": 3, "code": "linkage"}),
        ("seq 0: bad signature", {"seq": 0, "code": "signature"}),
        ("seq 1: missing field(s) ['rule'] (tampered)", {"seq": 1, "code": "structure"}),
        ("line 2: unparseable receipt (corrupt)", {"line": 2, "code": "structure"}),
    ],
)
def test_each_published_text_has_its_code(copy: Path, text: str, problem: dict[str, object]) -> None:
    (copy / "chain.tampered.expected.json").write_text(other_problem(text)(""), encoding="utf-8")
    assert load_upstream(copy)[-1].steps[0].expect["ok"]["problems"] == [problem]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(UpstreamError, match=f"^{name}: cannot be read: no such file or directory$"):
        load_upstream(copy)


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".jsonl")])
@pytest.mark.parametrize("content", [b"\xff", b"7", b"", b"[1]", b"{}", b"[" * 100_000, b'[{"a":1,"a":2}]'])
def test_a_damaged_file_is_an_error_in_one_line(copy: Path, name: str, content: bytes) -> None:
    if name == "policy.example.yaml" and content != b"\xff":
        pytest.skip("a policy of any text is sent as it is")
    (copy / name).write_bytes(content)
    with pytest.raises(UpstreamError) as caught:
        load_upstream(copy)
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "before", "after", "problem"),
    [
        ("hashing.json", '"action":', '"act":', r"hashing.json\[0\]: has no action"),
        (
            "hashing.json",
            '"method": "GET"',
            '"method": 7',
            r"hashing.json\[0\]: method is missing or no text",
        ),
        ("hashing.json", '"params": {}', '"params": []', r"hashing.json\[0\]: params is no object"),
        ("hashing.json", '"051b', '"051B', r"action_fingerprint is not 64 lower-case hexadecimal digits"),
        ("hashing.json", '_json": "{\\"host', '_json": "[\\"host', r"canonical_json: is not JSON"),
        ("hashing.json", "read my", "\\\\ud800", "hashing.json: is not JSON: 'utf-8' codec"),
        (
            "decisions.json",
            '"rule": "',
            '"rule": 7, "r": "',
            r"decisions.json\[0\]: rule is neither text nor null",
        ),
        (
            "decisions.json",
            '"reasons": [',
            '"reasons": [7, ',
            r"decisions.json\[0\]: reasons is no list of texts",
        ),
        ("chain.expected.json", "true", "1", "has no member valid that is true or false"),
        ("chain.expected.json", '"problems": []', '"problems": {}', "has no list of problems"),
        (
            "chain.expected.json",
            '"problems": []',
            '"problems": ["seq 01: bad signature"]',
            "which no code stands",
        ),
        (
            "chain.expected.json",
            '"problems": []',
            '"problems": ["seq 1: is odd"]',
            "which no code stands for",
        ),
        ("chain.expected.json", '"problems": []', '"problems": [7]', "which no code stands for"),
    ],
)
def test_a_wrong_member_is_named(copy: Path, name: str, before: str, after: str, problem: str) -> None:
    text = (copy / name).read_text("utf-8")
    assert before in text
    (copy / name).write_text(text.replace(before, after.replace("\\\\", "\\"), 1), encoding="utf-8")
    with pytest.raises(UpstreamError, match=problem):
        load_upstream(copy)


def test_a_preimage_that_is_no_object_is_refused(copy: Path) -> None:
    cases = json.loads((copy / "hashing.json").read_text("utf-8"))
    cases[0]["fingerprint_canonical_json"] = "[]"
    (copy / "hashing.json").write_text(json.dumps(cases), encoding="utf-8")
    with pytest.raises(UpstreamError, match="fingerprint_canonical_json is no object"):
        load_upstream(copy)


def test_a_key_of_another_kind_is_refused(copy: Path) -> None:
    other = x25519.X25519PrivateKey.generate().public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (copy / "signing_key.pub").write_bytes(pem)
    with pytest.raises(UpstreamError, match=r"signing_key\.pub: is no Ed25519 key"):
        load_upstream(copy)


def test_a_huge_file_is_not_read(copy: Path) -> None:
    with (copy / "chain.jsonl").open("r+b") as file:
        file.truncate(17 * 1024 * 1024)
    with pytest.raises(UpstreamError, match=r"chain\.jsonl: is larger than"):
        load_upstream(copy)
