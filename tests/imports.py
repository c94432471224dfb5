"""What a module imports and calls, read from its syntax tree, and the rule for the pure core.

The protocol has no clock, randomness, files, environment, network or processes. The rule lists what is
allowed, so that a module nobody thought of is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PURE_STDLIB: Final = frozenset(
    [
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "difflib",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "importlib.resources",
        "ipaddress",
        "itertools",
        "json",
        "keyword",
        "math",
        "numbers",
        "operator",
        "re",
        "reprlib",
        "string",
        "struct",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
        "urllib.parse",
    ]
)
CORE_LIBRARIES: Final = frozenset(
    ["cryptography", "nacl", "rfc8785", "jwt", "msgspec", "yaml", "jsonschema_rs", "delego_spec"]
)

# Calls that reach out of the process although their module is allowed.
_IMPURE_BUILTINS: Final = frozenset({"__import__", "breakpoint", "eval", "exec", "input", "open", "print"})
_IMPURE_METHODS: Final = {
    "fromtimestamp": "depends on the local time zone",
    "generate": "draws a random key",
    "generate_private_key": "draws a random key",
    "now": "reads the clock",
    "random": "draws random bytes",
    "read_bytes": "reads a file",
    "read_text": "reads a file",
    "today": "reads the clock",
    "utcnow": "reads the clock",
    "write_bytes": "writes a file",
    "write_text": "writes a file",
}


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module: its dotted name, and the line it stands on."""

    module: str
    line: int


def imports(source: str) -> Iterator[Import]:
    """Every module that ``source`` imports, wherever the statement stands; relative imports stay at home."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:  # relative: stays inside its own package
                continue
            module = node.module or ""
            # `from importlib import resources` is the module importlib.resources.
            if module in {"importlib", "urllib"}:
                yield from (Import(f"{module}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield Import(module, node.lineno)


def impurities(source: str) -> list[str]:
    """Why ``source`` may not stand in the pure core: one ``line N: …`` for each reason."""
    found: list[tuple[int, str]] = []
    for item in imports(source):
        if not _is_allowed(item.module):
            found.append((item.line, f"imports {item.module}"))
    reads_package_data = any(item.module == "importlib.resources" for item in imports(source))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (reason := _impure_call(node, reads_package_data)):
            found.append((node.lineno, reason))
        elif isinstance(node, ast.Global):
            found.append((node.lineno, f"changes the global {', '.join(node.names)}"))
    return [f"line {line}: {reason}" for line, reason in sorted(found)]


def _is_allowed(module: str) -> bool:
    parts = module.split(".")
    if parts[0] in {"importlib", "urllib"}:  # only the named submodule is pure
        return ".".join(parts[:2]) in PURE_STDLIB
    return parts[0] in PURE_STDLIB or parts[0] in CORE_LIBRARIES


def _impure_call(node: ast.Call, reads_package_data: bool) -> str | None:
    function = node.func
    if isinstance(function, ast.Name) and function.id in _IMPURE_BUILTINS:
        return f"calls {function.id}()"
    if isinstance(function, ast.Attribute) and function.attr in _IMPURE_METHODS:
        if reads_package_data and function.attr in {"read_text", "read_bytes"}:
            return None  # the schema inside the package
        return f"calls .{function.attr}(), which {_IMPURE_METHODS[function.attr]}"
    return None
