"""The skeleton that strangers begin with: it runs as it is, without anything of ours."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from delego_conformance.schemas import load_schema, problems
from delego_conformance.vectors import DEFAULT_CTX


def talk(tmp_path: Path, *requests: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    template = resources.files("delego_conformance") / "templates" / "adapter.py"
    path = tmp_path / "adapter.py"
    path.write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
    lines = [
        json.dumps({"v": 1, "id": f"A-{number}", "op": op, "args": args, "ctx": dict(DEFAULT_CTX)})
        for number, (op, args) in enumerate(requests)
    ]
    command = [sys.executable, "-I", "-S", str(path)]  # -S: no installed package can be found
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_it_answers_in_the_shapes_of_the_protocol_and_ends_with_bye(tmp_path: Path) -> None:
    hello, text, refused, intent, error, unsupported, bye = talk(
        tmp_path,
        ("hello", {"protocol": [1], "kit": "0"}),
        ("canonicalize", {"json": '{"b":1,"a":"é"}'}),
        ("canonicalize", {"json": "{"}),
        ("intent_hash", {"instruction": " place a small order\n"}),
        ("intent_hash", {}),
        ("decide", {}),
        ("bye", {}),
        ("bye", {}),
    )
    for reply in (hello, text, refused, intent, error, unsupported, bye):
        assert problems(load_schema("reply"), reply) == []
    assert problems(load_schema("hello"), hello["ok"]) == []
    assert text["ok"] == {"canonical": '{"a":"é","b":1}'}
    assert refused["refused"]["code"] == "not_json"
    assert intent["ok"]["intent_hash"].startswith("76f8eef1b97e1213")
    assert "error" in error
    assert unsupported["unsupported"] == {"feature": "decide"}
    assert bye == {"id": "A-6", "ok": {}}


def test_it_is_short_and_imports_the_standard_library_alone() -> None:
    text = (resources.files("delego_conformance") / "templates" / "adapter.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 70
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
