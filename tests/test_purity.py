"""The pure core stays pure, and no room imports what the distribution does not declare."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from imports import imports, impurities
from support import ROOT
from tree import PACKAGES, python_files, source_only

pytestmark = source_only

CORE = python_files("delego_spec")


def test_the_core_has_modules_to_check() -> None:
    assert len(CORE) > 5


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.name)
def test_a_core_module_reaches_nothing_outside_its_arguments(path: Path) -> None:
    assert impurities(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import os", "imports os"),
        ("import os.path as p", "imports os.path"),
        ("from time import time", "imports time"),
        ("import json, random", "imports random"),
        ("from secrets import token_hex", "imports secrets"),
        ("import socket", "imports socket"),
        ("from pathlib import Path", "imports pathlib"),
        ("import sqlite3", "imports sqlite3"),
        ("import subprocess", "imports subprocess"),
        ("def f():\n    import threading", "imports threading"),
        ("if TYPE_CHECKING:\n    import httpx", "imports httpx"),
        ("import importlib", "imports importlib"),
        ("from importlib import import_module", "imports importlib.import_module"),
        ("import urllib.request", "imports urllib.request"),
        ("from urllib import request", "imports urllib.request"),
        ("import delego_ledger", "imports delego_ledger"),
        ("from datetime import datetime\nx = datetime.now(UTC)", "calls .now(), which reads the clock"),
        ("text = open('x').read()", "calls open()"),
        ("key = SigningKey.generate()", "calls .generate(), which draws a random key"),
        ("from nacl import utils\nx = utils.random(32)", "calls .random(), which draws random bytes"),
        ("def f():\n    global CACHE\n    CACHE = 1", "changes the global CACHE"),
    ],
)
def test_a_planted_impurity_is_found(source: str, reason: str) -> None:
    found = impurities(source)
    assert len(found) == 1
    assert found[0].endswith(reason)


def test_the_packaged_schema_may_be_read() -> None:
    source = "from importlib.resources import files\nTEXT = files('delego_spec').joinpath('x').read_text()"
    assert impurities(source) == []


# What these rooms offer with an extra, they import when it is asked for (see the test below).
EXTRAS = {"delego_agent": ("mcp",), "delego_broker": ("broker", "keyring", "redis")}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_imports_only_the_standard_library_the_rooms_and_the_base_dependencies(package: str) -> None:
    allowed = set(sys.stdlib_module_names) | set(PACKAGES) | _modules_of(_declared())
    allowed |= _modules_of(_of_extras(*EXTRAS.get(package, ())))
    undeclared = [
        f"{path.name}:{item.line}: {item.module}"
        for path in python_files(package)
        for item in imports(path.read_text(encoding="utf-8"))
        if item.module.split(".")[0] not in allowed
    ]
    assert undeclared == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_is_imported_without_any_extra(package: str) -> None:
    extras = sorted(_modules_of(_of_extras("broker", "keyring", "mcp", "redis")) - _modules_of(_declared()))
    assert extras
    script = f"import sys, {package}; print(*(name for name in {extras!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def _declared() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def _of_extras(*extras: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [text for extra in extras for text in project["optional-dependencies"][extra]]


def _modules_of(requirements: list[str]) -> set[str]:
    names = {canonicalize_name(Requirement(text).name) for text in requirements}
    return {
        module
        for module, distributions in packages_distributions().items()
        if any(canonicalize_name(name) in names for name in distributions)
    }
