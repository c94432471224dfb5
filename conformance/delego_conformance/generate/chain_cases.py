"""Chains of three receipts with one thing wrong, and how a suite states what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite, b64, ok
from delego_conformance.generate.forging import line, lines
from delego_conformance.vectors import Basis, JSONObject

KEY: Final = forging.public_key(forging.LEDGER_SEED).hex()
OTHER: Final = "ab" * 32  # a hash of something else
ALLOWED: Final[JSONObject] = {
    "phase": "execution",
    "outcome": "allow",
    "rule": "place-order",
    "reasons": ["human approved by 'alice'", "executed via broker (status 201)"],
    "approval_id": "apr_098812a3c6ffc7d236a2c11e",
}
SOUND: Final = forging.chain({}, ALLOWED, {})  # seq 0, 1, 2
LONGER: Final = forging.chain({}, ALLOWED, {}, {"reasons": ["d"]}, {"reasons": ["e"]})
LINE: Final = line(SOUND[1])

# Clauses that are about the end of a chain.
_COMPLETENESS: Final = frozenset({"8.1-11", "8.3-6"})


class Cases:
    """States vectors of ``chain_verify`` in one suite."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite

    def __call__(
        self,
        slug: str,
        comment: str,
        jsonl: bytes | list[JSONObject],
        problems: Sequence[str] | None,
        clauses: str,
        *,
        errata: int | Sequence[int] = (),
        key: str = KEY,
        basis: Basis = "proposed",
        flags: Sequence[str] = (),
        control: str = "",
        section: str | None = None,
    ) -> None:
        """``problems`` as in ``"1 content"`` and ``"line 1 structure"``; None: some, which is left open."""
        expected: dict[str, Any] = {"valid": problems is not None and not problems}
        if problems is not None:
            expected["problems"] = [problem(one) for one in problems]
        if _COMPLETENESS & set(
            clauses.split()
        ):  # elsewhere, whoever says nothing of it may be right all the same
            expected["completeness"] = "cannot_be_ruled_out"
        self._suite.add(
            slug,
            comment,
            "chain_verify",
            {"jsonl_b64": b64(jsonl if isinstance(jsonl, bytes) else lines(jsonl)), "public_key_hex": key},
            ok(**expected),
            clauses=clauses,
            errata=errata,
            basis=basis,
            flags=flags,
            control=control or ("chain/rule-edited" if expected["valid"] else "chain/sound"),
            section=section,
        )


def problem(text: str) -> JSONObject:
    """``"line 1 structure"`` as replies have it."""
    *line_or_not, place, code = text.split()
    return {"line" if line_or_not else "seq": int(place), "code": code}


def edited(place: int, **change: Any) -> list[JSONObject]:
    """The sound chain with members of one receipt changed, and nothing signed anew."""
    return [{**one, **change} if seq == place else one for seq, one in enumerate(SOUND)]


def spelled(place: int, text: bytes) -> bytes:
    """The sound chain with another line at one place."""
    return b"".join((text if seq == place else line(one)) + b"\n" for seq, one in enumerate(SOUND))


def members(**change: Any) -> list[JSONObject]:
    """A chain whose second receipt says this, hashed, signed and linked like the others."""
    return forging.chain({}, {**ALLOWED, **change}, {})
