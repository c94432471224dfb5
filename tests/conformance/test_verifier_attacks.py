"""Somebody wants the verifier page to say "Valid" for what is not, to leak, to freeze or to mislead."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from browsing import PAGE, Auditor, auditing, browsing, window
from chains import KEY, STRANGER, chain, own_line, payload, signed
from delego_spec.chain import verify_chain
from delego_spec.ed25519 import SeedSigner
from delego_spec.receipts import GENESIS
from tree import source_only

pytestmark = source_only  # the page in the wheel is the same file, and test_verifier_page opens it

LINES: Final = chain(6)
WHOLE: Final = b"\n".join(LINES) + b"\n"
HEAD: Final = str(verify_chain(LINES, KEY).head)
ALICE: Final = SeedSigner(bytes([3]) * 32).public_key
FORGED: Final = b"\n".join(chain(6, signer=STRANGER)) + b"\n"

HOSTILE: Final = {
    "markup": '</script><img src=x onerror="document.title=1"><svg onload=alert(1)><style>*{top:0}</style>',
    "address": 'javascript:alert(1) https://evil.example/x.png" style="background:url(https://evil.example/)',
    "bidi": "pay \u202e0042\u202c \u2066\u2067\u2069 \u200b\u200d\ufeff\u00ad",
    "controls": "\x1b[31mred\x1b[0m \x00 \x07 \x08 \r\x9b \u2028 \u2029 \U000e0041 \ue000",
    "classes": "skip box good",
    "template": "${alert(1)} {{constructor}} ⟨U+202E⟩",
}


@pytest.fixture(scope="module")
def shared_window() -> Iterator[Page]:
    with browsing() as browser, window(browser) as page:
        yield page


@pytest.fixture
def auditor(shared_window: Page, tmp_path: Path) -> Iterator[Auditor]:
    with auditing(shared_window, tmp_path) as opened:
        yield opened


def ledger_of(*members: dict[str, Any]) -> bytes:
    """A sound chain of receipts with these members in place of the usual ones."""
    lines, prev = [], GENESIS
    for seq, change in enumerate(members):
        receipt = signed(payload(seq, prev, **change))
        prev = receipt["entry_hash"]
        lines.append(own_line(receipt))
    return b"\n".join(lines) + b"\n"


# --- markup and requests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_shown_as_text_and_asks_for_nothing(auditor: Auditor, kind: str) -> None:
    text = HOSTILE[kind]
    page = auditor.page
    ledger = ledger_of(
        {
            "rule": text,
            "reasons": [text, text],
            "action_summary": text,
            "approval_id": text,
            "outcome": "needs_approval",
        },
        {
            "rule": text,
            "reasons": [f"human denied by {text}"],
            "action_summary": f"POST h/ {json.dumps({text: text})}",
        },
    )
    title = auditor.verify(ledger)
    assert title == "Valid, as far as it goes"
    page.locator("#rows .row").first.click()
    expect(page.locator("#detail")).to_be_visible()
    assert (
        page.locator("img, svg, iframe, object, embed, link, base, #detail style, #detail script").count()
        == 0
    )
    assert page.title().startswith(title)
    shown = page.inner_text("#result")
    for hidden in "\u202e\u202c\u2066\u200b\ufeff\x1b\x00\x07\x9b\u2028\U000e0041\ue000":
        assert hidden not in shown
        if hidden in text:
            assert f"⟨U+{ord(hidden):04X}⟩" in shown


def test_an_outcome_that_is_none_gets_no_colour_and_hides_nothing(auditor: Auditor) -> None:
    auditor.verify(ledger_of({"outcome": "allow skip"}))
    tag = auditor.page.locator("#rows .row .tag")
    assert tag.get_attribute("class") == "tag"
    assert tag.inner_text() == "allow skip"


def test_hostile_members_of_other_types_do_not_stop_the_page(auditor: Auditor) -> None:
    hostile: dict[str, Any] = {"toString": None, "valueOf": 1, "__proto__": {"x": 1}}
    line = json.dumps(
        {
            **json.loads(LINES[0]),
            "seq": hostile,
            "reasons": [hostile, 1, None],
            "ts": hostile,
            "approval_id": "a",
        }
    )
    line = line.replace('"rule": "small orders"', '"rule": {"toString": null}')
    assert auditor.verify(f"{line}\n".encode()).startswith("Not valid: ")
    auditor.page.locator("#rows .row").first.click()
    expect(auditor.page.locator("#detail")).to_contain_text('"toString":null')
    expect(auditor.page.locator("#approvals")).to_be_visible()


def test_a_hostile_file_name_is_shown_as_text(auditor: Auditor) -> None:
    name = "<img src=x onerror=alert(1)>\u202elnosj.jsonl"
    auditor.take(auditor.file(name, WHOLE))
    assert "⟨U+202E⟩" in auditor.page.inner_text("#ledger")
    auditor.page.fill("#key", KEY.hex)
    auditor.press()
    assert "<img src=x" in auditor.verdict
    assert auditor.page.locator("img").count() == 0


LOADED: Final = """
one.onload = () => done("sent");
one.onerror = () => done("blocked");
one.src = url;
document.head.append(one);
"""
ATTEMPTS: Final = {
    "fetch": "fetch(url).then(() => done('sent'), () => done('blocked'));",
    "image": f"const one = new Image(); {LOADED}",
    "script": f"const one = document.createElement('script'); {LOADED}",
    "frame": """
        const one = document.createElement("iframe");
        one.src = url;
        one.onload = () => done("ended");
        document.body.append(one);
        """,
    "beacon": "navigator.sendBeacon(url, 'x'); setTimeout(() => done('ended'), 200);",
    "socket": """
        try {
          new WebSocket(url.replace("http", "ws")).onerror = () => done("blocked");
        } catch {
          done("blocked");
        }
        """,
    "form": """
        const one = document.createElement("form");
        one.action = url;
        document.body.append(one);
        one.submit();
        setTimeout(() => done("ended"), 200);
        """,
    "worker": """
        const program = "onmessage = ({ data }) => fetch(data).finally(() => postMessage(1))";
        const one = new Worker(URL.createObjectURL(new Blob([program])));
        one.onmessage = ({ data }) => done(data);
        one.postMessage(url);
        """,
}


class Listener(ThreadingHTTPServer):
    """A server that only remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/leak"


class Answer(BaseHTTPRequestHandler):
    """Notes the path and says nothing."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Listener)
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def attempt(page: Page, way: str, url: str) -> None:
    page.evaluate(f"(url) => new Promise((done) => {{ {ATTEMPTS[way]} }})", url)


@pytest.mark.parametrize("way", ATTEMPTS)
def test_even_a_program_inside_the_page_could_not_send_anything(
    shared_window: Page, listener: Listener, way: str
) -> None:
    shared_window.goto(PAGE.as_uri())
    attempt(shared_window, way, listener.url)
    assert listener.asked == []


def test_the_listener_hears_a_page_without_such_a_policy(
    shared_window: Page, listener: Listener, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>another page</title><body>")
    shared_window.goto(page.as_uri())
    for way in ("image", "frame", "beacon"):
        attempt(shared_window, way, listener.url)
        assert listener.asked != [], way
        listener.asked.clear()


def test_no_script_but_the_pages_own_runs(shared_window: Page) -> None:
    shared_window.goto(PAGE.as_uri())
    program = """() => {
      const one = document.createElement("script");
      one.textContent = "window.ran = 1";
      document.head.append(one);
      return window.ran ?? null;
    }"""
    assert shared_window.evaluate(program) is None


# --- what must never be "Valid" ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ledger",
    [
        pytest.param(FORGED, id="signed by another"),
        pytest.param(b"\n".join(LINES[:5]) + b"\n", id="the last cut off"),
        pytest.param(b"\n".join(LINES[1:]) + b"\n", id="the first cut off"),
        pytest.param(WHOLE + b"\n", id="an empty line more"),
        pytest.param(WHOLE + LINES[5] + b"\n", id="the last one twice"),
        pytest.param(WHOLE.replace(b'"GENESIS"', b'"genesis"', 1), id="another beginning"),
        pytest.param(gzip.compress(WHOLE)[:-9], id="gzip cut off"),
        pytest.param(gzip.compress(WHOLE) + b"x", id="gzip and more"),
        pytest.param(b"\xff\xfe" + WHOLE.decode().encode("utf-16-le"), id="UTF-16"),
        pytest.param(WHOLE.replace(b"\n", b"\r"), id="CR alone"),
        pytest.param(b"[" + WHOLE.replace(b"\n", b",")[:-1] + b"]", id="an array"),
        pytest.param(WHOLE.replace(b'"seq":3', b'"seq":3.5', 1), id="a fraction"),
        pytest.param(WHOLE.replace(b'"seq":3', b'"seq":-3', 1), id="a negative seq"),
        pytest.param(WHOLE.replace(b'"signature":"', b'"signature":"A', 1), id="a longer signature"),
        pytest.param(
            WHOLE.replace(b'"entry_hash"', b'"context":{"a":1,"a":2},"entry_hash"', 1), id="context twice"
        ),
    ],
)
def test_what_is_not_whole_is_never_valid(auditor: Auditor, ledger: bytes) -> None:
    page = auditor.page
    auditor.take(auditor.file("ledger.jsonl", ledger))
    page.fill("#key", KEY.hex)
    page.fill("#head", HEAD)
    page.click("#verify")
    expect(page.locator("#verdict.bad, #hint.bad")).to_be_visible()
    assert not page.title().startswith("Valid")


def test_a_key_that_is_dropped_does_not_replace_the_one_that_was_typed_in(auditor: Auditor) -> None:
    auditor.page.fill("#key", KEY.hex)
    auditor.page.fill("#head", HEAD)
    auditor.page.fill("#approvers", f"alice {ALICE.hex}")
    auditor.take(
        auditor.file("ledger.pub", f"{STRANGER.public_key.hex}\n"),
        auditor.file("head.txt", f"5:{'0' * 64}\n"),
        auditor.file("alice.pub", f"{STRANGER.public_key.hex}\n"),
        auditor.file("receipts.jsonl", FORGED),
    )
    assert auditor.page.input_value("#key") == KEY.hex
    assert auditor.page.input_value("#head") == HEAD
    assert auditor.page.input_value("#approvers") == f"alice {ALICE.hex}"
    for name in ("ledger.pub", "head.txt", "alice.pub"):
        assert f"{name} is not taken" in auditor.hint
    assert auditor.press().startswith("Not valid")


def test_an_approvers_key_that_comes_first_does_not_become_the_ledgers(auditor: Auditor) -> None:
    auditor.take(auditor.file("alice.pub", STRANGER.public_key.hex), auditor.file("ledger.pub", KEY.hex))
    assert auditor.page.input_value("#key") == KEY.hex
    assert auditor.page.input_value("#approvers") == f"alice {STRANGER.public_key.hex}"


def test_the_ledgers_own_key_is_no_approvers(auditor: Auditor) -> None:
    auditor.take(auditor.file("ledger.jsonl", WHOLE))
    auditor.page.fill("#key", KEY.hex)
    auditor.page.fill("#approvers", f"alice {KEY.hex}")
    assert "The key of alice is the ledger’s own" in auditor.refused()


def test_a_fault_opens_the_line_it_is_about_where_two_claim_one_place(auditor: Auditor) -> None:
    inserted = chain(6, signer=STRANGER)[2]
    auditor.verify(b"\n".join([*LINES[:3], inserted, *LINES[3:]]) + b"\n")
    auditor.page.locator("#faults tr", has_text="signature").locator(".link").click()
    expect(auditor.page.locator("#detail")).to_contain_text("in the export (line 4)")


def test_a_saved_result_holds_nothing_that_a_terminal_obeys(auditor: Auditor) -> None:
    line = LINES[1].replace(b'"rule":', '"\u202e\u009b31m\\u001b[31m":1,"rule":'.encode())
    auditor.verify(b"\n".join([LINES[0], line]))
    with auditor.page.expect_download() as saved:
        auditor.page.click(".save")
    raw = Path(saved.value.path()).read_bytes()
    assert set(raw) <= {10, *range(32, 127)}
    assert "unknown field" in json.loads(raw)["problems"][-1]["text"]


def test_two_exports_at_once_are_not_passed_over_in_silence(auditor: Auditor) -> None:
    auditor.take(auditor.file("a.jsonl", WHOLE), auditor.file("b.jsonl", FORGED))
    assert "2 exports at once: b.jsonl is the one that is taken" in auditor.hint


def test_a_file_that_was_changed_since_is_not_shown_as_if_it_had_been_verified(auditor: Auditor) -> None:
    auditor.verify(WHOLE, head=HEAD)
    auditor.file("ledger.jsonl", FORGED + b" " * 10)
    auditor.page.focus("#rows")
    auditor.page.keyboard.press("Enter")
    expect(auditor.page.locator("#hint")).to_have_text(
        "That cannot be shown: the file can no longer be read: it was changed or moved"
    )
    expect(auditor.page.locator("#detail")).to_be_hidden()
    assert "can no longer be read" in auditor.refused()


def test_a_file_that_vanished_is_refused(auditor: Auditor) -> None:
    path = auditor.file("ledger.jsonl", WHOLE)
    auditor.take(path)
    auditor.page.fill("#key", KEY.hex)
    path.unlink()
    assert "can no longer be read" in auditor.refused()


def test_an_evidence_file_that_is_damaged_stops_the_verification(auditor: Auditor) -> None:
    auditor.take(auditor.file("evidence.jsonl", '{"display_hash":"x"}\n{"display_hash":\n'))
    auditor.page.fill("#approvers", f"alice {STRANGER.public_key.hex}")
    auditor.take(auditor.file("ledger.jsonl", WHOLE))
    auditor.page.fill("#key", KEY.hex)
    assert "line 1" in auditor.refused()


# --- size and depth ---------------------------------------------------------------------------------------


def test_a_line_of_several_megabytes_is_a_fault_and_is_shown_in_part(auditor: Auditor) -> None:
    long = LINES[2][:-1] + b',"context":{"x":"' + b"A" * 3_000_000 + b'"}}'
    assert auditor.verify(b"\n".join([*LINES[:2], long, *LINES[3:]]) + b"\n").startswith("Not valid")
    auditor.page.locator("#rows .row").nth(2).click()
    detail = auditor.page.locator("#detail")
    expect(detail).to_contain_text("more characters")
    assert len(detail.inner_text()) < 500_000


def test_json_that_is_deep_is_a_fault_and_does_not_stop_the_page(auditor: Auditor) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    line = LINES[1][:-1] + b',"context":{"x":' + deep + b"}}"
    assert auditor.verify(b"\n".join([LINES[0], line]) + b"\n").startswith("Not valid")
    auditor.page.locator("#rows .row").nth(1).click()
    expect(auditor.page.locator("#detail")).to_contain_text("The line as it stands")


def test_a_deep_action_is_shown_as_it_is(auditor: Auditor) -> None:
    deep = "POST h/ {" + '"a":{' * 2000 + "}" * 2001
    auditor.verify(ledger_of({"action_summary": deep}))
    auditor.page.locator("#rows .row").click()
    assert deep.removeprefix("POST h/ ") in auditor.page.inner_text("#detail pre >> nth=0")


def test_an_action_is_laid_out_without_changing_it(auditor: Auditor) -> None:
    summary = 'POST h/ {"amount":1,"amount":10000000000000000001,"x":1.50,"e":{},"l":[1,{"a":"},{\\""}]}'
    auditor.verify(ledger_of({"action_summary": summary}))
    auditor.page.locator("#rows .row").click()
    shown = auditor.page.inner_text("#detail pre >> nth=0")
    assert '"amount": 1,' in shown
    assert "".join(shown.split()) == "".join(summary.split())


def test_a_hundred_thousand_rules_and_approvals_do_not_freeze_the_page(auditor: Auditor) -> None:
    lines = []
    for number in range(100_000):
        text = f"{number:06d}".encode()
        line = (
            LINES[2]
            .replace(b'"rule":null', b'"rule":"r' + text + b'"')
            .replace(b'"a-1"', b'"a' + text + b'"')
        )
        lines.append(line[: line.index(b',"signature"')] + b"}")
    assert auditor.verify(b"\n".join(lines)).startswith("Not valid: ")
    assert auditor.page.locator("select[name=rule] option").count() == 1002
    assert auditor.page.locator("#approvals tr").count() == 1001
    assert auditor.page.locator("#faults tr").count() == 201
    expect(auditor.page.locator("#approvals")).to_contain_text("… and 99,000 more")


def test_long_names_are_cut_and_told_apart(auditor: Auditor) -> None:
    names = [f"{'n' * 100_000}{number}" for number in (1, 2)]
    auditor.verify(
        ledger_of(
            *({"approval_id": name, "rule": name, "ts": "2026-01-01T00:00:00.000000+00:00"} for name in names)
        )
    )
    assert auditor.page.locator("#approvals tr").count() == 3
    assert len(auditor.page.inner_text("#result")) < 50_000


def test_faults_of_approvals_beyond_a_thousand_are_counted(auditor: Auditor) -> None:
    auditor.page.fill("#approvers", f"alice {STRANGER.public_key.hex}")
    lines, prev = [], GENESIS
    for seq in range(1500):
        receipt = signed(payload(seq, prev, phase="execution", outcome="allow", approval_id=f"a{seq}"))
        prev = receipt["entry_hash"]
        lines.append(own_line(receipt))
    assert auditor.verify(b"\n".join(lines)) == "Not valid: 1,500 faults"
    assert "1,300 more" in auditor.page.inner_text("#faults")


def test_a_gzip_bomb_is_stopped_without_losing_the_page(auditor: Auditor) -> None:
    bomb = gzip.compress(b"\n" * 21_000_000, compresslevel=1)
    auditor.take(auditor.file("bomb.jsonl.gz", bomb))
    auditor.page.fill("#key", KEY.hex)
    auditor.page.click("#verify")
    auditor.page.click("#stop")
    expect(auditor.page.locator("#hint")).to_have_text("Stopped.")
    assert auditor.verify(WHOLE, head=HEAD) == "Valid"


def test_no_source_of_the_page_writes_markup_or_asks_the_network() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "EventSource",
        "sendBeacon",
        "importScripts",
        "localStorage",
        "indexedDB",
        "document.cookie",
        "window.open",
        'postMessage("*',
        "http://",
        "https://",
    ):
        assert word not in text, word
