"""Every report format, over a run with every verdict and over hostile text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from importlib import resources

import jsonschema
import pytest
import yaml

from conformance_runs import (
    FORBIDDEN,
    HOSTILE,
    every_verdict,
    good_run,
    hostile_run,
    result,
    run,
    vector,
)
from delego_conformance.errors import ReportError
from delego_conformance.reports import FORMATS, SUFFIXES, from_json, render, render_matrix
from delego_conformance.reports.figures import TITLES, heading, section_key
from delego_conformance.reports.page import asset
from delego_conformance.reports.words import VERDICTS, cut, expected_text, json_text, plain, printable
from delego_conformance.results import Run
from delego_conformance.vectors import DEFAULT_CTX, Step
from support import ROOT
from tree import source_only

RUNS = {
    "good": good_run(),
    "every verdict": every_verdict(),
    "hostile": hostile_run(),
    "nothing claimed": run(result(vector("NO-0001"), "not claimed"), roles=()),
    "no vectors": run(),
    "strict wire": run(
        result(vector("SW-0001", level="SHOULD"), "fail"),
        result(vector("SW-0002", basis="proposed"), "fail"),
        profile="wire",
        strict=True,
    ),
}
every_run = pytest.mark.parametrize("of", RUNS.values(), ids=RUNS.keys())


# All formats


@every_run
@pytest.mark.parametrize("format", FORMATS)
def test_a_report_is_printable_text_with_one_line_feed_at_its_end(of: Run, format: str) -> None:
    report = render(of, format)
    assert report.endswith("\n")
    assert not report.endswith("\n\n")
    report.encode("utf-8")
    assert [char for char in FORBIDDEN if char in report.replace(asset("report.js"), "")] == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_report_of_the_same_run_is_the_same(format: str) -> None:
    assert render(every_verdict(), format) == render(every_verdict(), format)


def test_an_unknown_format_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        ReportError, match="'pdf': is no format; there are text, tap, junit, json, html, badge"
    ):
        render(good_run(), "pdf")


def test_each_suffix_stands_for_a_format() -> None:
    assert set(SUFFIXES.values()) <= set(FORMATS)


@source_only
def test_the_titles_of_sections_are_those_of_the_specification() -> None:
    found = re.findall(r"^###? §([0-9.]+) (.+?)(?: \[\w+\])?$", (ROOT / "SPEC.md").read_text("utf-8"), re.M)
    first: dict[str, str] = {}
    for number, title in found:
        first.setdefault(number, title)
    assert first == TITLES


def test_sections_sort_by_number_and_bring_their_titles() -> None:
    assert sorted(["10", "4 Hazards", "2.2", "9.1", "4", "2", "4.2"], key=section_key) == [
        "2", "2.2", "4", "4 Hazards", "4.2", "9.1", "10",
    ]  # fmt: skip
    assert heading("4 Hazards") == ("§4", "Hazards")
    assert heading("4") == ("§4", "Action")
    assert heading("77") == ("§77", "")


# Words


@pytest.mark.parametrize("text", HOSTILE)
def test_printable_text_is_one_line_that_prints(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


def test_ordinary_text_stays_as_it_is() -> None:
    assert printable("wide 漢字, é, 🎉 and \\ and 'quotes'") == "wide 漢字, é, 🎉 and \\ and 'quotes'"


@pytest.mark.parametrize("text", HOSTILE)
def test_json_text_prints_and_still_means_the_same(text: str) -> None:
    assert json_text({"a": text}).isprintable()
    if "\ud800" not in text:
        assert json.loads(json_text({"a": text})) == {"a": text}


def test_plain_values_can_be_read_by_any_parser() -> None:
    value = plain({"\ud800": [float("inf"), 10**5000, True, None, 1.5, -7], "t": ("\udfff",)})
    assert value == {
        "\\u{d800}": ["inf", "(an integer of 16610 bits)", True, None, 1.5, -7],
        "t": ["\\u{dfff}"],
    }


def test_cut_text_says_how_much_is_left_out() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("a" * 1503, 3) == "aaa… (1,500 more characters)"


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({"ok": {}}, "ok"),
        ({"ok": {"a": 1}}, 'ok with {"a": 1}'),
        ({"ok": {"a": 1}, "receipts": []}, 'ok with {"a": 1} and receipts []'),
        ({"refused": {}}, "a refusal"),
        ({"refused": {"codes": ["alg", "kid"]}}, "a refusal with the code alg or kid"),
        ({"refused": {"message_contains": ["x"]}}, 'a refusal with a message that says "x"'),
        (
            {"refused": {"codes": ["alg"], "message_contains": ["x", "y"]}},
            'a refusal with the code alg and a message that says "x" and "y"',
        ),
        ({"any": [{"ok": {}}, {"refused": {}}]}, "ok, or a refusal"),
    ],
)
def test_an_expectation_is_said_in_words(expect: dict[str, object], words: str) -> None:
    assert expected_text(expect) == words


# Text


@every_run
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_of_the_text_is_wider_than_asked(of: Run, width: int) -> None:
    lines = render(of, "text", width=width).splitlines()
    assert [line for line in lines[:-1] if len(line) > width] == []


@every_run
def test_color_adds_styles_and_nothing_else(of: Run) -> None:
    styled = render(of, "text", color=True)
    assert re.sub(r"\x1b\[\d+m", "", styled) == render(of, "text")
    assert styled != render(of, "text")


@pytest.mark.parametrize(
    ("of", "line"),
    [
        ("good", "verdict: conformant as authorizer"),
        ("every verdict", "verdict: not conformant as authorizer (1 of 14)"),
        ("nothing claimed", "verdict: not conformant: no role is claimed"),
    ],
)
def test_the_last_line_of_the_text_is_the_verdict(of: str, line: str) -> None:
    assert render(RUNS[of], "text").splitlines()[-1] == line


def test_the_text_names_whatever_did_not_pass_and_explains_its_flag_once() -> None:
    report = render(every_verdict(), "text")
    for verdict in ("fail", "error", "unstable", "vacuous", "unsupported", "known"):
        assert re.search(rf"^{verdict} +EV-\d{{4}}  MUST$", report, re.M)
        assert f"  because   says {verdict}\n" in report
    assert re.search(r"^fail +LE-SHOULD  SHOULD \(does not decide\)$", report, re.M)
    assert "  expected  ok with" in report
    assert report.count("  MadeUp (MADE_UP)\n    A bug. Harm.\n") == 1
    assert "take them off the list\n  EV-0008\n" in report


def test_the_text_shows_the_steps_that_led_to_a_failure() -> None:
    report = render(every_verdict(), "text")
    assert "  step 1    session.open: {" in report
    assert "  request   session.close {" in report
    assert "  stderr    it broke\n" in report


def test_a_failure_without_an_explained_flag_has_no_such_section() -> None:
    report = render(run(result(vector("FL-0001", flags=("Unexplained",)), "fail")), "text")
    assert "  flags     Unexplained\n" in report
    assert "what the flags stand for" not in report


# TAP


def read_tap(report: str) -> list[tuple[bool, str, str, dict[str, str]]]:
    """A strict reader of what TAP 14 says of one level: (ok, description, directive, diagnostics)."""
    lines = report.split("\n")
    assert lines.pop() == ""
    assert lines[0] == "TAP version 14"
    plan = re.fullmatch(r"1\.\.(\d+)(?: # SKIP .*)?", lines[1])
    assert plan is not None
    points: list[tuple[bool, str, str, dict[str, str]]] = []
    rest = iter(lines[2:])
    for line in rest:
        if line.startswith("#"):
            continue
        if line == "  ---":
            block = "\n".join(iter(lambda: next(rest), "  ..."))
            points[-1][3].update(yaml.safe_load(block))
            continue
        found = re.fullmatch(r"(not )?ok (\d+) - ((?:[^\\#]|\\[\\#])*?)(?: # (TODO|SKIP) (.*))?", line)
        assert found is not None, line
        assert int(found[2]) == len(points) + 1
        points.append((found[1] is None, found[3], found[4] or "", {}))
    assert len(points) == int(plan[1])
    return points


@every_run
def test_tap_has_a_point_for_each_vector(of: Run) -> None:
    points = read_tap(render(of, "tap"))
    assert len(points) == len(of.results)
    for (ok, description, _, diagnostics), found in zip(points, of.results, strict=True):
        assert description.startswith(found.vector.id)
        assert ok == (found.verdict in ("pass", "fixed", "not claimed"))
        assert diagnostics.get("verdict", found.verdict) == found.verdict
        assert bool(diagnostics) == (not ok)


def test_tap_marks_what_does_not_cost_the_claim() -> None:
    directives = {
        description.split()[0]: directive
        for _, description, directive, _ in read_tap(render(every_verdict(), "tap"))
    }
    verdicts = dict(zip(VERDICTS, (directives[f"EV-{number:04}"] for number in range(1, 10)), strict=True))
    assert verdicts == {
        "pass": "", "fail": "", "error": "", "unstable": "", "vacuous": "", "unsupported": "",
        "known": "TODO", "fixed": "TODO", "not claimed": "SKIP",
    }  # fmt: skip
    assert (directives["LE-SHOULD"], directives["LE-MAY"], directives["PR-0001"]) == ("TODO", "TODO", "")


def test_a_strict_run_counts_should_and_a_wire_run_leaves_out_what_is_proposed() -> None:
    directives = [directive for _, _, directive, _ in read_tap(render(RUNS["strict wire"], "tap"))]
    assert directives == ["", "TODO"]


# JUnit


def read_junit(of: Run) -> ET.Element:
    return ET.fromstring(render(of, "junit").encode())  # noqa: S314 -- we wrote it ourselves


@every_run
def test_junit_is_xml_whose_counts_are_right(of: Run) -> None:
    root = read_junit(of)
    cases = root.findall("testsuite/testcase")
    assert int(root.attrib["tests"]) == len(cases) == len(of.results)
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert int(root.attrib[name]) == len(root.findall(f"testsuite/testcase/{tag}"))
    expected = [one.vector.id for one in of.results if one.verdict not in ("pass", "fixed")]
    assert sorted(case.attrib["name"].split()[0] for case in cases if len(case)) == sorted(expected)


def test_junit_tells_failures_errors_and_the_rest_apart() -> None:
    root = read_junit(every_verdict())
    tags = {
        case.attrib["name"].split()[0]: [child.tag for child in case]
        for case in root.findall("testsuite/testcase")
    }
    assert [tags[f"EV-{number:04}"] for number in range(1, 10)] == [
        [], ["failure"], ["error"], ["error"], ["failure"], ["failure"], ["skipped"], [], ["skipped"],
    ]  # fmt: skip
    assert tags["LE-SHOULD"] == ["skipped"]
    assert tags["SE-0001"] == ["error", "system-err"]


# JSON


@every_run
def test_the_json_report_fits_its_schema(of: Run) -> None:
    file = resources.files("delego_conformance") / "schemas" / "report.schema.json"
    schema = json.loads(file.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(render(of, "json")))


@every_run
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_can_be_made_of_the_json_report(of: Run, format: str) -> None:
    report = render(of, "json")
    again = from_json(report)
    if of is not RUNS["hostile"] or format == "json":  # there, escapes of lone surrogates are text by now
        assert render(again, format) == render(of, format)
    assert render(again, "json") == report


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "x.json: is not JSON: Expecting value"),
        ("[" * 100_000, "x.json: is not JSON: "),
        ("[]", "x.json: is no report of this kit: the report: "),
        ("{}", "x.json: is no report of this kit: the report: "),
        ('{"schema": "\\ud800\\u001b"}', "x.json: is no report of this kit: "),
        ('{"n": NaN, "i": ' + "9" * 9000 + "}", "x.json: is not JSON: "),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(text: str, problem: str) -> None:
    with pytest.raises(ReportError) as caught:
        from_json(text, source="x.json")
    assert str(caught.value).startswith(problem)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("where", ["results", "roles", "implementation", "kit", "run", "notes", "schema"])
def test_a_report_with_a_damaged_part_is_refused(where: str) -> None:
    document = json.loads(render(every_verdict(), "json"))
    document[where] = [7]
    with pytest.raises(ReportError, match="is no report of this kit"):
        from_json(json.dumps(document))


# HTML


class Reader(HTMLParser):
    """Tags, ids, links and the contents of style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.code: dict[str, list[str]] = {"script": [], "style": []}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute of {tag} stands twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br", "input", "rect"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.code:
            self.code[self._open[-1]].append(data)


PAGES = {
    **{name: render(of, "html") for name, of in RUNS.items()},
    "matrix": render_matrix(list(RUNS.values())),
}
every_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())


@every_page
def test_only_the_style_and_the_script_that_came_with_the_page_may_run(page: str) -> None:
    reader = Reader(page)
    policy = next(
        attrs["content"] for tag, attrs in reader.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == directives["base-uri"] == directives["form-action"] == "'none'"
    for kind in ("script", "style"):
        assert len([tag for tag, _ in reader.tags if tag == kind]) == len(reader.code[kind]) <= 1
        sources = [
            f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
            for code in reader.code[kind]
        ]
        assert directives[f"{kind}-src"] == (sources[0] if sources else "'none'")


@every_page
def test_a_page_loads_nothing_and_has_no_markup_from_elsewhere(page: str) -> None:
    reader = Reader(page)
    assert not {tag for tag, _ in reader.tags} & {"img", "link", "iframe", "object", "embed", "base"}
    for tag, attrs in reader.tags:
        assert not {"style", "src", "srcset", "action"} & attrs.keys()
        assert not [name for name in attrs if name.startswith("on")]
        assert str(attrs.get("href", "#")).startswith(("#", "https://example.com/")), tag


@every_page
def test_ids_are_unique_and_every_link_on_the_page_leads_somewhere(page: str) -> None:
    tags = Reader(page).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [attrs["href"] for tag, attrs in tags if tag == "a" and (attrs["href"] or "").startswith("#")]
    assert [target for target in targets if target is None or target[1:] not in ids] == []


def test_the_page_has_each_vector_and_the_request_reply_and_expectation_of_each_failure() -> None:
    tags = Reader(PAGES["every verdict"]).tags
    ones = {attrs["id"]: (tag, attrs) for tag, attrs in tags if "one" in str(attrs.get("class")).split()}
    assert set(ones) == {found.vector.id for found in every_verdict().results}
    assert ones["EV-0001"][0] == "div"
    assert ones["EV-0002"][0] == "details"
    assert ones["EV-0002"][1]["data-verdict"] == "fail"
    assert [attrs.get("aria-label") for tag, attrs in tags if tag == "pre"][:3] == [
        "request",
        "reply",
        "expected",
    ]


def test_a_policy_of_several_lines_is_shown_line_by_line() -> None:
    assert ">version: 1\nrules: []\n</pre>" in PAGES["every verdict"]


def test_only_a_web_address_becomes_a_link() -> None:
    implementation = good_run().implementation
    for url in ("javascript:alert(1)", 'https://x" onclick="y', "https://a b", "data:text/html,x"):
        one = type(implementation)("n", "1", "l", url, ("0.3",), ("authorizer",), (), ("x",))
        links = [attrs for tag, attrs in Reader(render(run(implementation=one), "html")).tags if tag == "a"]
        assert all((attrs["href"] or "").startswith("#") or attrs["href"] == url for attrs in links)
        assert not any("onclick" in attrs or "javascript" in (attrs["href"] or "") for attrs in links)


# Matrix


def test_the_matrix_shows_each_vector_that_somebody_does_not_pass() -> None:
    page = render_matrix([good_run(), every_verdict()])
    assert "<strong>EV-0002</strong>" in page
    assert "EV-0001" not in page
    assert "cannot be compared" not in page
    assert page.count('<td class="bad">fail</td>') == 5


def test_the_matrix_warns_of_runs_that_cannot_be_compared() -> None:
    assert "cannot be compared" in render_matrix([good_run(), RUNS["strict wire"]])
    assert "None." in render_matrix([good_run(), good_run()])


# Badge


@pytest.mark.parametrize(
    ("of", "message", "color"),
    [
        ("good", "authorizer", "brightgreen"),
        ("every verdict", "not conformant", "red"),
        ("nothing claimed", "no role claimed", "lightgrey"),
    ],
)
def test_the_badge_says_what_holds(of: str, message: str, color: str) -> None:
    assert json.loads(render(RUNS[of], "badge")) == {
        "schemaVersion": 1,
        "label": "delego conformance",
        "message": message,
        "color": color,
    }


def test_the_badge_names_roles_that_hold_and_those_that_do_not_and_the_profile() -> None:
    roles = (*good_run().roles, type(good_run().roles[0])("broker", False, 1, 2))
    badge = json.loads(render(run(roles=roles, profile="wire", strict=True), "badge"))
    assert badge["message"] == "authorizer; not broker"
    assert badge["color"] == "yellow"
    assert badge["label"] == "delego conformance (wire, strict)"


def test_of_many_failures_the_text_shows_those_in_full_that_say_most() -> None:
    many = [result(vector(f"VA-{number:04}", flags=()), "vacuous") for number in range(30)]
    many += [result(vector(f"UN-{number:04}", flags=()), "unsupported") for number in range(30)]
    many += [result(vector(f"FA-{number:04}", flags=()), "fail") for number in range(21)]
    many += [result(vector("LE-0001", level="SHOULD"), "fail")]
    report = render(run(*many), "text")
    assert report.count("\n  because   ") == 20
    assert "\nfail        FA-0019  MUST\n" in report
    assert "\n62 more; 'delego-conformance explain ID' says all about one\n" in report
    assert "\n  fail        FA-0020  What FA-0020 is about.\n" in report
    assert "\n  fail        LE-0001  SHOULD What LE-0001 is about.\n" in report
    assert "\n  vacuous     VA-0029  What VA-0029 is about.\n" in report
    assert "\n  unsupported fingerprint: 30 vectors, UN-0000 is one\n" in report
    assert "what the flags stand for" not in report


def test_the_text_leaves_out_sections_of_which_nothing_is_claimed_and_base64() -> None:
    step = Step("chain_verify", {"jsonl_b64": "QUJD" * 500}, dict(DEFAULT_CTX), {"ok": {}})
    report = render(
        run(
            result(vector("CH-0001", section="8.1", steps=(step,)), "fail"),
            result(vector("TK-0001", section="9.1"), "not claimed"),
        ),
        "text",
    )
    assert "§8.1" in report
    assert "§9.1" not in report
    assert f"{'QUJD' * 15}…" in report
    assert "QUJD" * 16 not in report
