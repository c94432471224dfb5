"""The implementation in JavaScript: it passes every vector, and it and ours give the same answers."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delego_conformance.runner import run
from delego_conformance.vectors import DEFAULT_CTX, load_vectors
from javascript import node
from support import ROOT

FOLDER: Final = ROOT / "conformance" / "javascript"
TEMPLATE: Final = Path(str(resources.files("delego_conformance") / "templates" / "adapter.mjs"))
LEDGER_KEY: Final = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
ALICE_KEY: Final = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="conformance/javascript is not in this tree")


class Adapter:
    """A process that answers requests of the kit protocol, kept open."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, op: str, args: dict[str, Any], spec: str = "0.3") -> dict[str, Any]:
        request = {"v": 1, "id": "1", "op": op, "args": args, "ctx": {**DEFAULT_CTX, "spec": spec}}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        del reply["id"]
        assert isinstance(reply, dict)
        return reply

    def close(self) -> None:
        self.ask("bye", {})
        self._process.communicate(timeout=20)


@pytest.fixture(scope="module")
def javascript() -> Iterator[Adapter]:
    adapter = Adapter(node(), str(FOLDER / "adapter.mjs"))
    yield adapter
    adapter.close()


@pytest.fixture(scope="module")
def python() -> Iterator[Adapter]:
    adapter = Adapter(sys.executable, "-m", "delego_conformance.adapters.delego_spec")
    yield adapter
    adapter.close()


def script(source: str, *arguments: str) -> Any:
    """What a program that imports modules of ``src`` by ``./src/…`` says in JSON."""
    command = [node(), "--input-type=module", "-e", source, "--", *arguments]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def example(name: str) -> str:
    """The text of an example in SPEC.md."""
    return (
        (ROOT / "SPEC.md").read_text().split(f"<!-- example: {name} -->")[1].split("```")[1].split("\n", 1)[1]
    )


def test_it_passes_every_vector_of_every_role() -> None:
    found = run([node(), str(FOLDER / "adapter.mjs")], load_vectors(), seed=1)
    failed = [(one.vector.id, one.verdict, one.detail) for one in found.results if one.verdict != "pass"]
    assert [one for one in failed if one[1] != "not claimed"] == []
    assert [(role.role, role.conformant) for role in found.roles] == [
        ("authorizer", True),
        ("broker", True),
        ("auditor", True),
    ]


# --- the same answers as ours -----------------------------------------------------------------------

CHECKED = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def same(one: Adapter, other: Adapter, op: str, args: dict[str, Any], spec: str = "0.3") -> None:
    """Both give one result, or both refuse; an ``error`` is a failure of whoever gives it."""
    first, second = one.ask(op, args, spec), other.ask(op, args, spec)
    assert "error" not in first, first
    assert "error" not in second, second
    assert first.get("ok") == second.get("ok"), (first, second)
    assert ("refused" in first) == ("refused" in second), (first, second)


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
STRINGS = st.text(max_size=8).map(json.dumps) | st.from_regex(
    r'"(\\u[dD][89a-fA-F][0-9a-f]{2}|\\[nrt"/]|[a-c]|\\x|[\x00-\x21])*"', fullmatch=True
)
JSON_TEXTS = st.recursive(
    NUMBERS | STRINGS | st.sampled_from(["true", "false", "null", "NaN", "01", "", "[1,]"]),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(STRINGS, inner), max_size=4).map(
            lambda items: "{" + ",".join(f"{name} : {value}" for name, value in items) + "}"
        )
    ),
    max_leaves=12,
)
URL_PIECES = st.sampled_from(
    [
        "https://", "http://", "mcp://", "tool://", "//", "/", "a.b", "api.example.com", "files", "LOCALHOST",
        "127.0.0.1", "0x7f.1", "[::1]", "[2001:db8::1]", ":80", ":443", ":8080", ":", "@", "\\", ".", "..",
        "%2e", "%2F", "%C3%A9", "%c3", "%ff", "%zz", "%", "?", "#", "&", "=", "+", ";", "a", "b", "é",
        "\u212a", "ß", "\U0001f600", "\uffff", "\u0085", "xn--a", "--", "-", " ", "\t", "\n",
    ]
)  # fmt: skip
URLS = st.lists(URL_PIECES, max_size=10).map("".join) | st.lists(URL_PIECES, max_size=8).map(
    lambda pieces: "https://api.example.com/" + "".join(pieces)
)


@CHECKED
@given(text=JSON_TEXTS)
def test_json_texts_have_one_canonical_form_or_are_refused(
    text: str, javascript: Adapter, python: Adapter
) -> None:
    same(javascript, python, "canonicalize", {"json": text})


@CHECKED
@given(
    url=URLS,
    method=st.sampled_from(["GET", "post", "po\u017ft", "G T", ""]),
    spec=st.sampled_from(["0.2", "0.3"]),
)
def test_urls_have_one_fingerprint(
    url: str, method: str, spec: str, javascript: Adapter, python: Adapter
) -> None:
    same(javascript, python, "fingerprint", {"method": method, "url": url}, spec)


@CHECKED
@given(
    url=URLS,
    method=st.sampled_from(["GET", "po\u017ft", "G-T"]),
    plain=st.sampled_from([[], ["a.b", "A.B:8080"]]),
)
def test_urls_have_the_same_hazards(
    url: str, method: str, plain: list[str], javascript: Adapter, python: Adapter
) -> None:
    action = {"instruction": "x", "method": method, "url": url}
    same(javascript, python, "hazards", {"action": action, "plain_http_hosts": plain})


@CHECKED
@given(
    instruction=st.text(
        st.characters(exclude_categories=[]) | st.sampled_from(" \t\x1c\x85\ufeff\u3000\u202e"), max_size=6
    )
)
def test_instructions_have_one_hash(instruction: str, javascript: Adapter, python: Adapter) -> None:
    same(javascript, python, "intent_hash", {"instruction": instruction})


def rule_with(constraint: str) -> str:
    """A policy that allows every POST under one constraint."""
    rule = f"{{name: r, decision: allow, match: {{method: POST}}, constraints: {{{constraint}}}}}"
    return f"default: deny\nrules: [{rule}]\n"


def posting(n: str) -> dict[str, Any]:
    """A POST whose parameter ``n`` is this JSON text."""
    return {"instruction": "x", "method": "POST", "url": "https://a.b/", "params_json": f'{{"n":{n}}}'}


AMOUNTS = NUMBERS | st.from_regex(r'"[+-]?[0-9]{0,20}\.?[0-9]{0,20}(e3|inf| )?"', fullmatch=True) | JSON_TEXTS
LIMITS = st.from_regex(r"(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?", fullmatch=True)


@CHECKED
@given(amount=AMOUNTS, limit=LIMITS, currency=st.sampled_from([None, "USD", "it's"]))
def test_amounts_are_judged_in_the_same_words(
    amount: str, limit: str, currency: str | None, javascript: Adapter, python: Adapter
) -> None:
    constraint = f"field: n, max: {limit}" + (f", currency: {json.dumps(currency)}" if currency else "")
    policy = rule_with(f"amount: {{{constraint}}}")
    same(javascript, python, "decide", {"policy_text": policy, "action": posting(amount)})


@CHECKED
@given(listed=st.lists(JSON_TEXTS, max_size=4), value=JSON_TEXTS)
def test_allow_lists_are_judged_in_the_same_words(
    listed: list[str], value: str, javascript: Adapter, python: Adapter
) -> None:
    policy = rule_with(f'allow_list: {{"field": "n", "in": [{", ".join(listed)}]}}')
    # Escaped surrogate pairs are JSON, but not what every YAML reader takes (§5.1-9 is a MAY).
    if not re.search(r"\\u[dD]|[\x00-\x1f]", policy):
        same(javascript, python, "decide", {"policy_text": policy, "action": posting(value)})


STORY = example("chain").strip().split("\n")
EDITS = st.tuples(
    st.integers(0, len(STORY) - 1),
    st.sampled_from(
        [
            ("allow", "deny"), ('"rule":null', '"rule":7'), ('"rule"', '"rules"'), ('"seq":', '"seq":1'),
            ("{", '{"x":1,'), ("{", "{ "), ("}", ""), ("+00:00", "Z"), ("+00:00", "+01:00"), ("a", "A"),
            ('"context"', '"context":1,"context"'), ("GENESIS", "genesis"),
            ('"signature":"', '"signature":"0'), ('"entry_hash":"', '"entry_hash":"0'),
        ]
    ),
)  # fmt: skip


@CHECKED
@given(
    edits=st.lists(EDITS, max_size=3),
    order=st.lists(st.integers(0, len(STORY) - 1), max_size=12) | st.just(list(range(len(STORY)))),
    breaks=st.sampled_from(["\n", "\r\n", "\n\n", "\x0b"]),
)
def test_damaged_chains_have_the_same_problems(
    edits: list[tuple[int, tuple[str, str]]],
    order: list[int],
    breaks: str,
    javascript: Adapter,
    python: Adapter,
) -> None:
    lines = list(STORY)
    for place, (old, new) in edits:
        lines[place] = lines[place].replace(old, new, 1)
    text = breaks.join(lines[place] for place in order)
    args = {"jsonl_b64": base64.b64encode(text.encode()).decode(), "public_key_hex": LEDGER_KEY}
    same(javascript, python, "chain_verify", args)


# --- the library itself -----------------------------------------------------------------------------


def test_its_sha_256_is_that_of_the_platform() -> None:
    assert (
        script("""
        import { sha256Hex } from "./src/sha256.mjs";
        import { hexFromBytes } from "./src/ed25519.mjs";
        let wrong = 0;
        for (let size = 0; size < 300; size += 1) {
          const bytes = crypto.getRandomValues(new Uint8Array(size));
          const theirs = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
          if (sha256Hex(bytes) !== hexFromBytes(theirs)) wrong += 1;
        }
        console.log(wrong);
    """)
        == 0
    )


def test_a_chain_may_come_in_chunks_of_any_size() -> None:
    found = script(
        """
        import { LineSplitter, createChainVerifier } from "./src/chain.mjs";
        const bytes = new TextEncoder().encode(process.argv.at(-2));
        const found = [];
        for (const size of [1, 7, 1000, 100000]) {
          const verifier = await createChainVerifier({ publicKeyHex: process.argv.at(-1) });
          const splitter = new LineSplitter();
          for (let at = 0; at < bytes.length; at += size) {
            await verifier.push(splitter.split(bytes.subarray(at, at + size)));
          }
          await verifier.push(splitter.end());
          found.push(await verifier.finish());
        }
        console.log(JSON.stringify(found));
        """,
        "\n".join(STORY),
        LEDGER_KEY,
    )
    assert [(one["valid"], one["count"], one["completeness"]) for one in found] == [
        (True, 9, "cannot_be_ruled_out")
    ] * 4


def test_problems_beyond_a_thousand_are_counted_and_not_kept() -> None:
    found = script(
        """
        import { createChainVerifier } from "./src/chain.mjs";
        const anchor = "8:" + "0".repeat(64);
        const verifier = await createChainVerifier({ publicKeyHex: process.argv.at(-1), anchor });
        await verifier.push(Array(2500).fill(new Uint8Array(1)));
        console.log(JSON.stringify(await verifier.finish()));
        """,
        LEDGER_KEY,
    )
    assert (found["problemCount"], len(found["problems"]), found["problems"][-1]["code"]) == (
        2501,
        1000,
        "head",
    )


AUDIT: Final = """
import { createApprovalAudit, readEvidenceLines } from "./src/audit.mjs";
const [lines, evidence, approvers, required] = process.argv.slice(-4);
const audit = await createApprovalAudit({
  approvers: JSON.parse(approvers), evidence: readEvidenceLines(evidence), required: Number(required),
});
const found = [];
for (const line of lines.split("\\n")) found.push(...(await audit.check(JSON.parse(line))));
console.log(JSON.stringify(found));
"""
ALICE: Final = json.dumps([{"name": "alice", "publicKeyHex": ALICE_KEY}])
STRANGER: Final = json.dumps([{"name": "mallory", "publicKeyHex": LEDGER_KEY}])
APPROVAL: Final = "approval apr_098812a3c6ffc7d236a2c11e"


@pytest.mark.parametrize(
    ("change", "approvers", "required", "expected"),
    [
        pytest.param("", ALICE, 1, [], id="sound"),
        pytest.param("", ALICE, 2, ["was released with 1 of 2 signed approvals"], id="too few"),
        pytest.param("", STRANGER, 1, ["evidence 2b87866bc303…: it is not", "with 0 of 1"], id="no approver"),
        pytest.param(
            "no evidence", ALICE, 1, ["evidence 2b87866bc303…: is not there", "with 0 of 1"], id="none"
        ),
        pytest.param("another action", ALICE, 1, ["was released with 0 of 1"], id="action"),
        pytest.param("only written ahead", STRANGER, 1, ["evidence 2b87", "with 0 of 1"], id="no end"),
        pytest.param("denied", ALICE, 1, ["although a person said no"], id="denied"),
        pytest.param("counted twice", ALICE, 1, ["was counted before"], id="one yes, counted twice"),
        pytest.param("another name", ALICE, 1, ["signed by alice, and", "with 0 of 1"], id="another name"),
        pytest.param("twice", ALICE, 1, ["was released before"], id="released twice"),
    ],
)
def test_an_audit_finds_releases_that_nobody_signed(
    change: str, approvers: str, required: int, expected: list[str]
) -> None:
    lines, evidence = list(STORY), example("evidence")
    if change == "no evidence":
        evidence = ""
    if change == "another action":
        lines[7] = lines[7].replace("4327df", "000000", 1)
    if change == "twice":
        lines.append(lines[7])
    if change == "only written ahead":
        del lines[7]
    if change == "denied":
        lines.insert(4, lines[4].replace("human approved", "human denied").replace('"allow"', '"deny"'))
    if change == "counted twice":
        lines.insert(5, lines[4])
    if change == "another name":
        lines[4] = lines[4].replace("by 'alice'", "by 'bob'")
    found = script(AUDIT, "\n".join(lines), evidence, approvers, str(required))
    assert len(found) == len(expected), found
    for text, words in zip(found, expected, strict=True):
        assert text.startswith(APPROVAL)
        assert words in text


# --- what a bundle of src/ rests on -----------------------------------------------------------------

DECLARED: Final = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|class|const|let|var) +(?:\{([^}]*)\}|\[([^\]]*)\]|(\w+))", re.M
)


def test_modules_can_be_joined_into_one_text() -> None:
    seen: dict[str, str] = {}
    for path in sorted((FOLDER / "src").glob("*.mjs")):
        text = path.read_text(encoding="utf-8")
        for match in DECLARED.finditer(text):
            for name in re.findall(r"\w+", match[1] or match[2] or match[3]):
                assert name not in seen, f"{name} is in {seen.get(name)} and {path.name}"
                seen[name] = path.name
        for line in re.findall(r"^import.*", text, re.M):
            assert re.fullmatch(r'import \{ \w+(?:, \w+)* \} from "\./[\w-]+\.mjs";', line), (
                f"{path.name}: {line}"
            )
        assert not re.search(r"^export (?!(async )?function|class|const)", text, re.M), path.name
        assert not re.search(r"^(?:const [^=]*= )?await\b", text, re.M), path.name
        assert not re.search(r"\b(?:process|Buffer|require|globalThis)\b", text), path.name
    assert {"createChainVerifier", "verifyEvidence", "createApprovalAudit"} <= seen.keys()


def test_the_template_answers_in_the_shapes_of_the_protocol_and_ends_with_bye(tmp_path: Path) -> None:
    path = tmp_path / "adapter.mjs"
    path.write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    asked = [
        ("hello", {"protocol": [1], "kit": "0"}),
        ("canonicalize", {"json": '{"b":1,"a":"é\u2028"}'}),
        ("canonicalize", {"json": "{"}),
        ("intent_hash", {"instruction": " place a small order\n"}),
        ("intent_hash", {}),
        ("decide", {}),
        ("bye", {}),
        ("bye", {}),
    ]
    lines = [
        json.dumps({"v": 1, "id": str(number), "op": op, "args": args, "ctx": {}}, ensure_ascii=False)
        for number, (op, args) in enumerate(asked)
    ]
    command = [node(), str(path)]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    hello, text, refused, intent, error, unsupported, bye = map(json.loads, done.stdout.split("\n")[:-1])
    assert hello["ok"]["protocol"] == 1
    assert text["ok"] == {"canonical": '{"a":"é\u2028","b":1}'}
    assert refused["refused"]["code"] == "not_json"
    assert intent["ok"]["intent_hash"].startswith("76f8eef1b97e")
    assert "TypeError" in error["error"]["message"]
    assert unsupported["unsupported"] == {"feature": "decide"}
    assert bye == {"id": "6", "ok": {}}
