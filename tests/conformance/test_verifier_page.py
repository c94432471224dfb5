"""The verifier page in a real Chromium: what an auditor hands in, and what it says."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from ballots import signed_yes
from browsing import Auditor, auditing, browsing, window
from chains import KEY, STRANGER, chain
from cli_tools import ORDER
from delego_authorizer import Home, init_home
from delego_conformance.vectors import load_vectors
from delego_ledger.jsonl import export_evidence, export_receipts
from delego_ledger.keyfiles import write_public_key
from delego_spec import Anchor, SeedSigner, verify_chain
from delego_spec.ed25519 import PublicKey
from delego_spec.errors import AnchorError, KeyFormatError

LINES: Final = chain(12)
WHOLE: Final = b"\n".join(LINES) + b"\n"
HEAD: Final = str(verify_chain(LINES, KEY).head)
EARLIER: Final = str(verify_chain(LINES[:6], KEY).head)
ALICE: Final = SeedSigner(bytes([3]) * 32)
BOB: Final = SeedSigner(bytes([4]) * 32)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_window(browser: Browser) -> Iterator[Page]:
    with window(browser) as page:
        yield page


@pytest.fixture
def auditor(shared_window: Page, tmp_path: Path) -> Iterator[Auditor]:
    with auditing(shared_window, tmp_path) as opened:
        yield opened
    shared_window.emulate_media(media="screen")


def joined(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n"


# --- verdicts ---------------------------------------------------------------------------------------------


def test_a_sound_chain_that_ends_at_its_head_is_valid(auditor: Auditor) -> None:
    assert auditor.verify(WHOLE, head=HEAD) == "Valid"
    assert auditor.colour == "good"
    assert "all receipts, 0 to 11" in auditor.verdict
    assert auditor.page.locator("#faults").is_hidden()


def test_without_a_head_it_says_that_the_end_may_be_cut_off(auditor: Auditor) -> None:
    assert auditor.verify(WHOLE) == "Valid, as far as it goes"
    assert auditor.colour == "warn"
    assert "cannot be ruled out" in auditor.verdict
    assert "nothing: the end of the chain is not compared" in auditor.verdict


def test_a_chain_that_has_grown_behind_its_anchor_is_valid_up_to_it(auditor: Auditor) -> None:
    assert auditor.verify(WHOLE, head=EARLIER, grown=True) == "Valid"
    assert "receipts 0 to 5; 6 receipts behind it not" in auditor.verdict


def test_a_chain_that_has_grown_behind_its_head_is_not_valid(auditor: Auditor) -> None:
    assert auditor.verify(WHOLE, head=EARLIER) == "Not valid: 1 fault"
    assert auditor.faults == [("seq 5", "head")]
    assert "does not have what it was compared with" in auditor.verdict


DAMAGE: Final = {
    "edited": [*LINES[:4], LINES[4].replace(b"small orders", b"large orders"), *LINES[5:]],
    "cut in front": LINES[3:],
    "cut inside": [*LINES[:5], *LINES[6:]],
    "reordered": [*LINES[:4], LINES[5], LINES[4], *LINES[6:]],
    "inserted": [*LINES[:4], chain(9, signer=STRANGER)[4], *LINES[4:]],
    "doubled": [*LINES[:4], LINES[3], *LINES[4:]],
    "half a line": [*LINES[:11], LINES[11][:80]],
    "byte 0xff": [*LINES[:2], LINES[2].replace(b"cd", b"\xff\xfe", 1), *LINES[3:]],
    "empty line": [*LINES[:2], b"", *LINES[2:]],
    "no json": [*LINES[:2], b"receipt", *LINES[3:]],
    "no object": [*LINES[:2], b"[]", *LINES[3:]],
    "member twice": [*LINES[:2], LINES[2].replace(b"{", b'{"seq":2,', 1), *LINES[3:]],
    "byte order mark": [b"\xef\xbb\xbf" + LINES[0], *LINES[1:]],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_chain_is_not_valid_and_each_fault_is_placed(auditor: Auditor, damage: str) -> None:
    lines = DAMAGE[damage]
    wanted = verify_chain(lines, KEY, expected_head=Anchor.parse(HEAD))
    assert auditor.verify(joined(lines), head=HEAD).startswith("Not valid: ")
    assert auditor.colour == "bad"
    places = [
        ("line", one.place + 1) if one.code == "structure" else ("seq", one.place) for one in wanted.problems
    ]
    found = [(where.split()[0], int(where.split()[1]), code) for where, code in auditor.faults]
    assert [code for _, _, code in found] == [one.code for one in wanted.problems]
    assert [number for _, number, code in found if code != "structure"] == [
        number for (_, number), one in zip(places, wanted.problems, strict=True) if one.code != "structure"
    ]


def test_another_key_is_named_as_the_likely_cause(auditor: Auditor) -> None:
    assert auditor.verify(WHOLE, key=STRANGER.public_key.hex) == "Not valid: 12 faults"
    assert "is this the key that signed them?" in auditor.verdict
    assert {code for _, code in auditor.faults} == {"signature"}


def test_an_empty_file_is_never_called_valid(auditor: Auditor) -> None:
    assert auditor.verify(b"") == "No receipts"
    assert auditor.colour == "warn"
    assert auditor.verify(b"", head=HEAD) == "Not valid: 1 fault"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(joined(LINES).replace(b"\n", b"\r\n"), id="CR LF"),
        pytest.param(b"\n".join(LINES), id="no last LF"),
        pytest.param(gzip.compress(WHOLE), id="gzip"),
    ],
)
def test_what_an_export_goes_through_on_its_way_does_not_matter(auditor: Auditor, content: bytes) -> None:
    assert auditor.verify(content, head=HEAD) == "Valid"


def test_a_line_separator_inside_a_text_ends_no_line(auditor: Auditor) -> None:
    lines = chain(3, context={"note": "one\u2028two\u2029three\x85four"})
    assert "\u2028".encode() in lines[0]
    assert auditor.verify(joined(lines)) == "Valid, as far as it goes"
    assert "Receipts\n3\n" in auditor.verdict


# --- as `delego verify` says, for every vector ------------------------------------------------------------

ASK_WORKER: Final = """
async (cases) => {
  const source = document.getElementById("worker").textContent;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url);
  const found = [];
  for (const { jsonl, key, head, anchor } of cases) {
    const bytes = Uint8Array.from(atob(jsonl), (one) => one.charCodeAt(0));
    found.push(await new Promise((resolve) => {
      worker.onmessage = ({ data }) => { if (data.progress === undefined) resolve(data); };
      worker.postMessage({
        id: 1, ask: "verify", file: new File([bytes], "x.jsonl"), gzip: false, publicKeyHex: key, head,
        meaning: "head", anchors: anchor === null ? [] : [anchor], approvers: [], required: 1, evidence: null,
      });
    }));
  }
  return found;
}
"""


def test_the_bundled_worker_agrees_with_the_vectors_and_with_our_verification(auditor: Auditor) -> None:
    vectors = [vector for vector in load_vectors() if vector.op == "chain_verify"]
    assert len(vectors) > 200
    args = [vector.steps[0].args for vector in vectors]
    cases = [
        {
            "jsonl": one["jsonl_b64"],
            "key": one["public_key_hex"],
            "head": one.get("expected_head"),
            "anchor": one.get("anchor"),
        }
        for one in args
    ]
    for vector, case, answer in zip(vectors, cases, auditor.page.evaluate(ASK_WORKER, cases), strict=True):
        try:
            key = PublicKey.from_hex(str(case["key"]))
        except KeyFormatError:
            assert "problem" in answer, vector.id
            continue
        try:
            head, anchor = (
                None if case[name] is None else Anchor.parse(str(case[name])) for name in ("head", "anchor")
            )
        except AnchorError:
            assert "problem" in answer, vector.id
            continue
        text = base64.b64decode(str(case["jsonl"]))
        lines = text.removesuffix(b"\n").split(b"\n") if text else []
        wanted = verify_chain(lines, key, expected_head=head, anchors=[anchor] if anchor else [])
        found = answer["answer"]
        assert (found["problemCount"] == 0) == (wanted.problem_count == 0), vector.id
        # Several members of another form are one problem there, and one each here.
        assert {one["code"] for one in found["problems"]} == {one.code for one in wanted.problems}, vector.id
        assert found["completeness"] == wanted.completeness or found["problemCount"] > 0, vector.id


# --- approvals --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export, evidence, keys and head of a home that demands two signatures, with one release."""
    folder = tmp_path_factory.mktemp("signed")
    config = 'version = 1\n[approvals]\napprovers = ["alice", "bob"]\nrequired = 2\nsigned = true\n'
    home = init_home(folder / "home", approver="alice", config_text=config)
    for name, signer in (("alice", ALICE), ("bob", BOB)):
        write_public_key(home.path / "approvers" / f"{name}.pub", signer.public_key)
        write_public_key(folder / f"{name}.pub", signer.public_key)
    authorizer = home.authorizer()
    approval_id = str(authorizer.propose(ORDER).approval_id)
    for name, signer in (("alice", ALICE), ("bob", BOB)):
        decision = signed_yes(authorizer.ballot(approval_id, name), signer)
        assert authorizer.decide(approval_id, "approve", name, callback=decision.callback).accepted
    assert authorizer.resolve(approval_id, ORDER).allowed
    authorizer.ledger.close()
    ledger = Home(home.path).ledger()
    export_receipts(ledger, folder / "receipts.jsonl")
    export_evidence(ledger, folder / "evidence.jsonl")
    (folder / "head.txt").write_text(f"{ledger.head()}\n")
    write_public_key(folder / "ledger.pub", home.public_key())
    ledger.close()
    return folder


ALL: Final = ("alice.pub", "evidence.jsonl", "ledger.pub", "receipts.jsonl", "bob.pub", "head.txt")


def test_all_files_at_once_are_told_apart_by_what_is_in_them(auditor: Auditor, signed: Path) -> None:
    auditor.take(*(signed / name for name in ALL))
    assert auditor.hint == ""
    auditor.page.fill("#required", "2")
    assert auditor.press() == "Valid"
    assert "1 action released under an approval, each signed by at least 2 of: alice, bob" in auditor.verdict
    text = auditor.page.inner_text("#approvals")
    assert "approve by alice" in text
    assert "approve by bob" in text
    assert text.count("valid ") == 2


@pytest.mark.parametrize(
    ("left_out", "required", "fault"),
    [
        ("evidence.jsonl", 2, "is not there"),
        ("alice.pub", 1, "it is not the key of an approver"),
        ("", 3, "was released with 2 of 3 signed approvals"),
    ],
)
def test_an_approval_that_is_not_shown_to_be_signed_is_a_fault(
    auditor: Auditor, signed: Path, left_out: str, required: int, fault: str
) -> None:
    auditor.take(*(signed / name for name in ALL if name != left_out))
    auditor.page.fill("#required", str(required))
    assert auditor.press().startswith("Not valid: ")
    assert fault in auditor.page.inner_text("#faults")
    assert {code for _, code in auditor.faults} == {"approval"}


def test_without_approvers_keys_it_says_that_nobody_checked_them(auditor: Auditor, signed: Path) -> None:
    auditor.take(
        signed / "receipts.jsonl", signed / "ledger.pub", signed / "head.txt", signed / "evidence.jsonl"
    )
    assert auditor.press() == "Valid"
    assert "not checked, because no approver’s key was given" in auditor.verdict
    text = auditor.page.inner_text("#approvals")
    assert text.count("not checked") == 2
    assert "rests on the ledger’s word alone" in text


def test_a_wrong_approvers_key_is_found(auditor: Auditor, signed: Path) -> None:
    auditor.take(*(signed / name for name in ALL))
    auditor.page.fill("#approvers", f"alice {STRANGER.public_key.hex}\nbob {BOB.public_key.hex}")
    assert auditor.press().startswith("Not valid: ")
    assert "it is not the key of an approver" in auditor.page.inner_text("#faults")


# --- anchors ----------------------------------------------------------------------------------------------


def anchor_lines(*heads: str) -> str:
    return "".join(f"{head} 2026-01-01T00:00:00.000000+00:00\n" for head in heads)


def test_every_anchor_of_a_file_is_compared(auditor: Auditor) -> None:
    auditor.take(auditor.file("anchors.txt", anchor_lines(EARLIER, HEAD)))
    assert "2 anchors, the newest at seq 11" in auditor.page.inner_text("#anchors")
    assert auditor.verify(WHOLE) == "Valid"
    assert "2 anchors of a file" in auditor.verdict


def test_an_older_anchor_exposes_a_ledger_written_anew_whose_newest_anchor_fits(auditor: Auditor) -> None:
    forged = f"5:{'0' * 64}"
    auditor.take(auditor.file("anchors.txt", anchor_lines(forged, HEAD)))
    assert auditor.verify(WHOLE) == "Not valid: 1 fault"
    assert auditor.faults == [("seq 5", "head")]


def test_anchors_that_are_out_of_order_are_not_taken(auditor: Auditor) -> None:
    auditor.take(auditor.file("anchors.txt", anchor_lines(HEAD, EARLIER)))
    assert "does not come after the one before it" in auditor.hint
    assert auditor.page.inner_text("#anchors") == "none"


# --- the page as a tool -----------------------------------------------------------------------------------


def test_it_can_be_used_with_the_keyboard_alone(auditor: Auditor) -> None:
    page = auditor.page
    auditor.take(auditor.file("ledger.jsonl", WHOLE))
    page.focus("#files")
    order = ["key", "head", "", "approvers", "required", "verify"]
    for name in order:
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.id")
        assert focused == name
        if name == "key":
            page.keyboard.type(KEY.hex)
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_be_visible()
    expect(page.locator("#result")).to_be_focused()
    page.focus("#rows")
    current = page.locator("#rows .row.current .seq")
    for key, seq in [
        ("ArrowDown", "1"),
        ("ArrowDown", "2"),
        ("ArrowUp", "1"),
        ("End", "11"),
        ("Home", "0"),
        ("PageDown", "11"),
    ]:
        page.keyboard.press(key)
        expect(current).to_have_text(seq)
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_be_focused()
    assert "Receipt 11" in page.inner_text("#detail")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator("#rows")).to_be_focused()


def test_enter_in_a_field_verifies(auditor: Auditor) -> None:
    auditor.take(auditor.file("ledger.jsonl", WHOLE))
    auditor.page.fill("#key", KEY.hex)
    auditor.page.press("#key", "Enter")
    expect(auditor.page.locator("#verdict")).to_be_visible()


def test_receipts_can_be_filtered(auditor: Auditor) -> None:
    page = auditor.page
    auditor.verify(joined([*LINES[:4], LINES[4].replace(b"small orders", b"other orders"), *LINES[5:]]))
    matches = page.locator("#shown-count")
    filters: list[tuple[str, str, str]] = [("outcome", "deny", "4 found"), ("phase", "execution", "8 found")]
    for name, value, count in filters:
        page.select_option(f"select[name={name}]", value)
        expect(matches).to_have_text(count)
        page.select_option(f"select[name={name}]", "")
        expect(matches).to_have_text("12 found")
    page.select_option("select[name=rule]", label="other orders")
    expect(matches).to_have_text("1 found")
    page.select_option("select[name=rule]", "")
    page.fill("input[name=text]", 'näh "')
    expect(matches).to_have_text("0 found")
    page.fill("input[name=text]", "A-1")
    expect(matches).to_have_text("4 found")
    page.fill("input[name=text]", "")
    page.check("input[name=faulty]")
    expect(matches).to_have_text("1 found")
    page.locator("#rows .row").click()
    expect(page.locator("#detail")).to_contain_text("a field was changed afterwards")


def test_a_fault_opens_the_receipt_it_is_about(auditor: Auditor) -> None:
    auditor.verify(joined(DAMAGE["edited"]))
    auditor.page.locator("#faults .link").first.click()
    expect(auditor.page.locator("#detail h3").first).to_have_text("Receipt 4")


def test_a_second_verification_replaces_the_first(auditor: Auditor) -> None:
    assert auditor.verify(joined(DAMAGE["edited"]), head=HEAD).startswith("Not valid")
    assert auditor.verify(WHOLE, head=HEAD) == "Valid"
    assert auditor.page.locator("#faults").is_hidden()
    assert auditor.verify(joined(LINES[:3])) == "Valid, as far as it goes"
    expect(auditor.page.locator("#shown-count")).to_have_text("3 receipts")


def test_a_verification_can_be_stopped(auditor: Auditor) -> None:
    page = auditor.page
    auditor.take(auditor.file("ledger.jsonl", WHOLE * 4000))
    page.fill("#key", KEY.hex)
    page.click("#verify")
    page.click("#stop")
    expect(page.locator("#hint")).to_have_text("Stopped.")
    expect(page.locator("#progress")).to_be_hidden()
    assert page.locator("#verdict").is_hidden()
    assert auditor.verify(WHOLE, head=HEAD) == "Valid"


def test_a_result_says_when_the_inputs_were_changed_since(auditor: Auditor) -> None:
    auditor.verify(WHOLE, head=HEAD)
    stale = auditor.page.locator("#stale")
    expect(stale).to_be_hidden()
    auditor.take(auditor.file("other.jsonl", joined(LINES[:3])))
    expect(stale).to_be_visible()
    auditor.press()
    expect(stale).to_be_hidden()
    auditor.page.fill("#head", "")
    expect(stale).to_be_visible()


def test_it_can_start_over(auditor: Auditor) -> None:
    auditor.verify(WHOLE, head=HEAD)
    auditor.page.click("#over")
    assert auditor.page.locator("#verdict").is_hidden()
    assert auditor.page.input_value("#key") == auditor.page.input_value("#head") == ""
    assert auditor.refused() == "Choose a ledger export first."


def test_the_result_can_be_saved(auditor: Auditor) -> None:
    auditor.verify(WHOLE, head=HEAD)
    with auditor.page.expect_download() as saved:
        auditor.page.click(".save")
    document = json.loads(Path(saved.value.path()).read_text())
    assert saved.value.suggested_filename == "verification of ledger.jsonl.json"
    assert (document["verdict"], document["valid"], document["count"], document["head"]) == (
        "Valid",
        True,
        12,
        HEAD,
    )
    assert document["publicKeyHex"] == KEY.hex
    assert len(document["fileSha256"]) == 64


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("#key", "", "public key has 64"),
        ("#key", "00" * 32, "not a canonical point of the prime-order subgroup"),
        ("#key", KEY.hex.upper(), "64 lower-case"),
        ("#head", "12", "written SEQ:HASH"),
        ("#head", f"9007199254740993:{'0' * 64}", "anchor is written SEQ:HASH"),
        ("#approvers", "alice", "line 1: write a name"),
        ("#approvers", f"alice {'00' * 32}", "prime-order"),
        ("#required", "0", "At least one approver"),
    ],
)
def test_what_cannot_be_used_is_refused_and_nothing_is_shown(
    auditor: Auditor, field: str, value: str, said: str
) -> None:
    page = auditor.page
    auditor.take(auditor.file("ledger.jsonl", WHOLE))
    page.evaluate("document.querySelector('#inputs').noValidate = true")
    page.fill("#key", KEY.hex)
    page.fill(field, value)
    assert said in auditor.refused()


def test_a_file_that_is_no_ledger_is_not_taken(auditor: Auditor) -> None:
    auditor.take(
        auditor.file("notes.txt", "Dear auditor, all is well."), auditor.file("x.png", b"\x89PNG\r\n")
    )
    assert "notes.txt is not recognised" in auditor.hint
    assert "x.png is not recognised" in auditor.hint
    assert auditor.page.inner_text("#ledger") == "none yet"


def test_a_text_named_like_an_export_is_not_valid(auditor: Auditor) -> None:
    assert auditor.verify(b"Dear auditor, all is well.\n") == "Not valid: 1 fault"
    assert auditor.faults == [("line 1", "structure")]


# --- how it looks -----------------------------------------------------------------------------------------


def test_dark_and_light_have_their_own_colours(browser: Browser, tmp_path: Path) -> None:
    colours = []
    for scheme in ("light", "dark"):
        with window(browser, color_scheme=scheme) as page, auditing(page, tmp_path) as auditor:
            colours.append(auditor.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(set(colours)) == 2


def test_on_a_narrow_screen_nothing_but_the_list_scrolls_sideways(
    browser: Browser, tmp_path: Path, signed: Path
) -> None:
    with window(browser, viewport={"width": 390, "height": 800}) as page, auditing(page, tmp_path) as auditor:
        auditor.take(*(signed / name for name in ALL))
        auditor.press()
        auditor.page.locator("#rows .row").first.click()
        expect(auditor.page.locator("#detail")).to_be_visible()
        assert auditor.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_paper_shows_the_verdict_faults_and_receipts_and_no_controls(auditor: Auditor) -> None:
    auditor.verify(joined(DAMAGE["edited"]))
    auditor.page.emulate_media(media="print")
    expect(auditor.page.locator("#verdict")).to_be_visible()
    expect(auditor.page.locator("#printed")).to_be_visible()
    assert "seq 4" in auditor.page.inner_text("#faults table")
    assert auditor.page.locator("#printed tr").count() == 13
    for hidden in ("#inputs", "#filters", "#rows", ".save"):
        expect(auditor.page.locator(hidden)).to_be_hidden()
    assert len(auditor.page.pdf()) > 10_000
