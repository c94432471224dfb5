"""A badge for a README, as the endpoint JSON that shields.io draws."""

from __future__ import annotations

import json

from delego_conformance.results import Run


def render(run: Run) -> str:
    """The badge; green only if all that is claimed holds."""
    return json.dumps({"schemaVersion": 1, "label": _label(run), **_message(run)}, indent=1) + "\n"


def _label(run: Run) -> str:
    extras = [*(["wire"] if run.profile == "wire" else []), *(["strict"] if run.strict else [])]
    return "delego conformance" + (f" ({', '.join(extras)})" if extras else "")


def _message(run: Run) -> dict[str, str]:
    if not run.roles:
        return {"message": "no role claimed", "color": "lightgrey"}
    if run.partial:
        return {"message": "judged in part", "color": "lightgrey"}
    if run.conformant:
        return {"message": ", ".join(role.role for role in run.roles), "color": "brightgreen"}
    good = [role.role for role in run.roles if role.conformant]
    if good:
        others = [role.role for role in run.roles if not role.conformant]
        return {"message": f"{', '.join(good)}; not {', '.join(others)}", "color": "yellow"}
    return {"message": "not conformant", "color": "red"}
