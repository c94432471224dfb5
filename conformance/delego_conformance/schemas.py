"""The JSON Schemas (draft 2020-12) of what the kit reads and writes, from the folder of the same name."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import Final, Literal

import jsonschema_rs

from delego_conformance.vectors import JSONObject

NAMES: Final = ("request", "reply", "hello", "operations", "vectors", "notes", "report")


def load_schema(name: str) -> JSONObject:
    """One of ``NAMES``, as a fresh copy."""
    file = resources.files("delego_conformance") / "schemas" / f"{name}.schema.json"
    found: JSONObject = json.loads(file.read_text(encoding="utf-8"))
    return found


def operation_schema(op: str, part: Literal["args", "result"]) -> JSONObject:
    """The schema of an operation's arguments or result. Raises KeyError for an unknown operation."""
    definitions = load_schema("operations")["$defs"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": definitions,
        **definitions[f"{op}.{part}"],
    }


def problems(schema: JSONObject, document: object) -> list[str]:
    """What is wrong with a document, each with its place as in ``tests/0/id: …``; empty if nothing is."""
    return [
        f"{'/'.join(map(str, error.instance_path)) or 'document'}: {error.message}"
        for error in _validator(json.dumps(schema)).iter_errors(document)
    ]


@lru_cache(maxsize=64)
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(schema))
