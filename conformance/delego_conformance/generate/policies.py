"""Policies as text, for the suites: plain block YAML with JSON or flow mappings at the leaves, which every
reader of YAML 1.2 takes. What YAML itself may not do is written out in ``suites/policy.py``.
"""

from __future__ import annotations

from typing import Final

# The policy of all examples in SPEC.md.
STORY: Final = """version: 1
default: deny

forbidden:
  - name: no-permission-changes
    description: Agents never change permissions or sharing
    match: { path_contains: /permissions }

rules:
  - name: read-accounts
    decision: allow
    match: { method: GET, host: api.example.com, path: /accounts/** }
    constraints:
      rate_limit: { max: 50, per: hour }

  - name: place-order
    description: Orders cost money, a person looks at each
    decision: needs_approval
    match: { method: POST, host: api.example.com, path: /orders }
    constraints:
      amount: { field: amount, max: 5000, currency: USD }
      allow_list: { field: destination, in: [internal] }
"""


def rule(
    match: str = "{ method: POST }",
    *,
    name: str = "a",
    decision: str = "allow",
    constraints: str | None = None,
    more: str | None = None,
) -> str:
    """One entry of ``rules``; ``more`` is a further line of it."""
    lines = [f"  - name: {name}", f"    decision: {decision}", f"    match: {match}"]
    if constraints is not None:
        lines.append(f"    constraints: {constraints}")
    if more is not None:
        lines.append(f"    {more}")
    return "\n".join(lines) + "\n"


def entry(match: str = "{ method: DELETE }", *, name: str = "never", more: str | None = None) -> str:
    """One entry of ``forbidden``; ``more`` is a further line of it."""
    return f"  - name: {name}\n    match: {match}\n" + (f"    {more}\n" if more else "")


def policy(*rules: str, forbidden: str = "", default: str = "deny") -> str:
    """A whole policy."""
    text = f"version: 1\ndefault: {default}\n"
    if forbidden:
        text += f"forbidden:\n{forbidden}"
    return text + (f"rules:\n{''.join(rules)}" if rules else "")
