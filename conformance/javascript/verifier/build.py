"""Puts the page together: ``python conformance/javascript/verifier/build.py [-o FILE] [--check]``.

Modules are joined in the order in which they need each other. That is all that bundling takes here, because
they import and export by name only and no two of them use one name at their top level, which is checked.
The policy of the page names the hashes of its script and style: nothing else runs, and nothing is fetched.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
import tomllib
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
PROTOCOL: Final = "0.3"  # what SPEC.md specifies, and src/ implements
PAGE: Final = HERE.parents[2] / "cli" / "delego_cli" / "verifier.html"

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "(\./[^"]+|\.\./[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|class|const|let)\b)", re.MULTILINE)
_STATEMENT: Final = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)
_NAME: Final = re.compile(r"^(?:async )?(?:function\*?|class|const|let)\s+(\w+)", re.MULTILINE)
_LIST: Final = re.compile(r"^(?:const|let)\s+[\[{]", re.MULTILINE)


class BuildError(Exception):
    """A module cannot be joined with the others."""


def bundle(entry: Path) -> str:
    """This module and all that it imports, as one script in a scope of its own."""
    order: list[Path] = []
    _visit(entry.resolve(), order, ())
    names: dict[str, str] = {}
    parts = []
    for path in order:
        text = _EXPORT.sub("", _IMPORT.sub("", path.read_text(encoding="utf-8")))
        if left := _STATEMENT.search(text):
            raise BuildError(f"{path.name}: not a form that can be joined: {left[0]}")
        if _LIST.search(text):
            raise BuildError(f"{path.name}: takes apart a value at its top level; give it a name")
        for name in _NAME.findall(text):
            if name in names:
                raise BuildError(f"{path.name}: {name!r} is taken by {names[name]}")
            names[name] = path.name
        parts.append(f"// --- {path.name}\n{text.strip()}\n")
    script = '(() => {\n"use strict";\n' + "\n".join(parts) + "})();"
    if "</script" in script.lower() or "<!--" in script:
        raise BuildError(f"{entry.name}: holds text that would end the script element")
    return script


def page() -> str:
    """The whole page, in one file."""
    style = (HERE / "page.css").read_text(encoding="utf-8").strip()
    script = bundle(HERE / "page.mjs")
    policy = (
        "default-src 'none'; "
        f"script-src '{_hash(script)}'; style-src '{_hash(style)}'; worker-src blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    project = tomllib.loads((HERE.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = {
        "policy": policy,
        "style": style,
        "worker": bundle(HERE / "worker.mjs"),
        "script": script,
        "version": project["version"],
        "protocol": PROTOCOL,
    }
    template = (HERE / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], template)


def _visit(path: Path, order: list[Path], above: tuple[Path, ...]) -> None:
    if path in above:
        raise BuildError(f"{path.name}: imports itself by way of others")
    if path in order:
        return
    for wanted in _IMPORT.findall(path.read_text(encoding="utf-8")):
        _visit((path.parent / wanted).resolve(), order, (*above, path))
    order.append(path)


def _hash(text: str) -> str:
    # The hash is over what stands between the tags, newlines included.
    digest = hashlib.sha256(f"\n{text}\n".encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def main(arguments: list[str]) -> int:
    """Writes the page, or says whether the one that is there is it."""
    parser = argparse.ArgumentParser(description="Put the verifier page together.")
    parser.add_argument("-o", "--output", type=Path, default=PAGE)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is another one")
    options = parser.parse_args(arguments)
    try:
        text = page()
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.check:
        same = options.output.is_file() and options.output.read_text(encoding="utf-8") == text
        print(f"{options.output.name} is {'what' if same else 'not what'} its sources give")
        return 0 if same else 3
    options.output.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
