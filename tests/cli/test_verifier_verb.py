"""``delego verifier``: one page in one file, as its sources give it, that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
import stat
import sys
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from support import ROOT

SHIPPED: Final = resources.files("delego_cli").joinpath("verifier.html").read_bytes()
TEXT: Final = SHIPPED.decode()
DIGEST: Final = hashlib.sha256(SHIPPED).hexdigest()
BUILD: Final = ROOT / "conformance" / "javascript" / "verifier" / "build.py"


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """The program that puts the page together."""
    if not BUILD.is_file():
        pytest.skip("conformance/javascript/verifier is not in this tree")
    spec = importlib.util.spec_from_file_location("verifier_build", BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the verb ---------------------------------------------------------------------------------------------


def test_it_writes_the_page_and_says_its_hash(world: Any) -> None:
    done = world.run("verifier", "-o", "verifier.html")
    assert (done.exit_code, done.stdout) == (0, "")
    assert DIGEST in done.stderr
    assert (world.folder / "verifier.html").read_bytes() == SHIPPED


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_everybody_may_read_it(world: Any) -> None:
    world.run("verifier", "-o", "verifier.html")
    assert stat.S_IMODE((world.folder / "verifier.html").stat().st_mode) == 0o644


def test_machines_are_told_where_it_is(world: Any) -> None:
    found = world.json("verifier", "-o", "v.html")
    assert found == {"file": "v.html", "bytes": len(SHIPPED), "sha256": DIGEST}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_standard_output_gets_the_page_and_nothing_else(world: Any, options: list[str]) -> None:
    done = world.process("verifier", "-o", "-", *options, text=False)
    assert (done.returncode, done.stdout) == (0, SHIPPED)
    assert DIGEST in done.stderr.decode()


def test_a_name_that_is_taken_is_kept(world: Any) -> None:
    path = world.folder / "verifier.html"
    path.write_text("mine")
    done = world.run("verifier", "-o", "verifier.html")
    assert done.exit_code == 1
    assert "verifier.html" in done.stderr
    assert path.read_text() == "mine"
    assert list(world.folder.iterdir()) == [path]


def test_with_force_it_is_replaced(world: Any) -> None:
    path = world.folder / "verifier.html"
    path.write_text("mine")
    assert world.run("verifier", "-o", "verifier.html", "--force").exit_code == 0
    assert path.read_bytes() == SHIPPED


def test_a_folder_that_is_not_there_is_named(world: Any) -> None:
    done = world.run("verifier", "-o", "nowhere/verifier.html")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "nowhere" in done.stderr


def test_a_folder_that_cannot_be_written_is_named(world: Any) -> None:
    if sys.platform == "win32" or os.geteuid() == 0:
        target = "/proc/verifier.html"  # nobody can write there, root neither
        if not Path("/proc/self").exists():
            pytest.skip("root can write everywhere here")
    else:
        folder = world.folder / "closed"
        folder.mkdir(mode=0o500)
        target = str(folder / "verifier.html")
    done = world.run("verifier", "-o", target)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_a_file_has_to_be_named(world: Any) -> None:
    done = world.run("verifier")
    assert done.exit_code == 2
    assert "--output" in done.stderr


def test_it_needs_no_home(world: Any) -> None:
    world.run("verifier", "-o", "verifier.html")
    assert not world.home.exists()


# --- the page ---------------------------------------------------------------------------------------------


def test_the_page_is_what_its_sources_give(build: ModuleType) -> None:
    assert build.page() == TEXT, "run python conformance/javascript/verifier/build.py"


def test_the_page_says_its_version() -> None:
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version is not None
    assert f"delego {version[1]}, protocol 0.3" in TEXT


def test_there_is_nothing_in_it_to_fetch() -> None:
    assert re.findall(r"""(?:src|href|action|srcset|poster|data)\s*=\s*["']?(?!#)[\w/.]""", _markup()) == []
    assert re.findall(r"(?:https?|wss?|ftp)://", TEXT) == []
    assert re.findall(r"@import|url\(", TEXT.split("<style>")[1].split("</style>")[0]) == []


def test_the_policy_forbids_all_but_what_stands_in_the_page() -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', TEXT)
    assert policy is not None
    found = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    (style,) = re.findall(r"<style>(.*?)</style>", TEXT, re.S)
    (script,) = re.findall(r"<script>(.*?)</script>", TEXT, re.S)
    assert found == {
        "default-src": "'none'",
        "script-src": _hash(script),
        "style-src": _hash(style),
        "worker-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_policy_stands_before_all_that_it_governs() -> None:
    head = TEXT[: TEXT.index("Content-Security-Policy")]
    assert re.findall(r"<(\w+)", head) == ["html", "head", "meta", "meta"]


def test_no_element_has_a_handler_or_a_style_of_its_own() -> None:
    assert re.findall(r"\s(?:on\w+|style)\s*=", _markup()) == []


def _markup() -> str:
    without = re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", TEXT, flags=re.S)
    return re.sub(r"<style>.*?</style>", "", without, flags=re.S)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# --- putting it together ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ({"a.mjs": 'import x from "./b.mjs";\n'}, "not a form that can be joined"),
        ({"a.mjs": "export default 1;\n"}, "not a form that can be joined"),
        ({"a.mjs": "const [one] = [1];\n"}, "takes apart a value"),
        (
            {"a.mjs": 'import { b } from "./b.mjs";\nconst b = 1;\n', "b.mjs": "export const b = 1;\n"},
            "is taken by",
        ),
        ({"a.mjs": 'import { a } from "./a.mjs";\n'}, "imports itself"),
        ({"a.mjs": 'const x = "</script>";\n'}, "would end the script"),
    ],
)
def test_modules_that_cannot_be_joined_are_refused(
    build: ModuleType, tmp_path: Path, modules: dict[str, str], said: str
) -> None:
    for name, text in modules.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(build.BuildError, match=said):
        build.bundle(tmp_path / "a.mjs")


def test_the_check_tells_a_page_that_is_another_one(
    build: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "verifier.html"
    assert build.main(["-o", str(path), "--check"]) == 3
    assert build.main(["-o", str(path)]) == 0
    assert build.main(["-o", str(path), "--check"]) == 0
    path.write_text(TEXT + " ")
    assert build.main(["-o", str(path), "--check"]) == 3
    assert "is not what its sources give" in capsys.readouterr().out
