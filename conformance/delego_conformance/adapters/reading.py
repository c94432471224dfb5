"""How the adapters for our own packages read an action."""

from __future__ import annotations

from delego_conformance.adapters.base import JSONObject
from delego_spec import Action, parse_json


def read_action(members: JSONObject) -> Action:
    """An action as requests carry it. Raises ActionError, and CanonicalError for its params."""
    members = dict(members)
    if "params_json" in members:
        members["params"] = parse_json(members.pop("params_json"), name="params")
    return Action.from_mapping(members)
