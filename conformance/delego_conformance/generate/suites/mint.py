"""token_mint: tokens that others can verify, and claims for which there is no token (§9)."""

from __future__ import annotations

from typing import Any, Final

from delego_conformance.generate import forging
from delego_conformance.generate.build import Suite, refused
from delego_conformance.generate.token_cases import CLAIMS, NOW
from delego_conformance.vectors import Basis, JSONObject

SUITE: Final = Suite("mint", "TM", "Minting tokens", section="9")

REQUIRED: Final = ("iss", "aud", "iat", "exp", "jti", "cns", "fpr", "iht")


def minted(slug: str, comment: str, claims: JSONObject, seed: bytes = forging.TOKEN_SEED) -> None:
    kid = forging.key_id(seed)
    SUITE.add(
        slug,
        comment,
        "token_mint",
        {"claims": claims, "seed_hex": seed.hex(), "kid": kid},
        {
            "ok": {},
            "jws": {
                "header": {"alg": "EdDSA", "kid": kid, "typ": "JWT"},
                "claims": claims,
                "public_key_hex": forging.public_key(seed).hex(),
            },
        },
        clauses="9-1 9-4 9-5 9-7",
        basis="spec",
        control="lifetime-301",
    )


def fails(
    slug: str, comment: str, clauses: str, *, without: str = "", basis: Basis = "proposed", **change: Any
) -> None:
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if name != without}
    SUITE.add(
        slug,
        comment,
        "token_mint",
        {
            "claims": claims,
            "seed_hex": forging.TOKEN_SEED.hex(),
            "kid": forging.key_id(forging.TOKEN_SEED),
        },
        refused(),
        clauses=clauses,
        errata=50,
        basis=basis,
        control="all-claims",
        flags=("Lifetime",) if "lifetime" in slug else ("LooseTime",) if "exp" in slug else (),
    )


minted("all-claims", "A token with all claims.", CLAIMS)
minted("minimal", "The eight claims that have to be there.", {name: CLAIMS[name] for name in REQUIRED})
minted("rule-null", "The default decided.", {**CLAIMS, "pol": {"version": 1, "rule": None}})
minted("another-key", "Another key, and its name in the header.", CLAIMS, forging.ALICE_SEED)
minted("non-ascii", "A subject beyond ASCII.", {**CLAIMS, "sub": "ägent-日本"})
for seconds in (1, 60, 300):
    minted(f"lifetime-{seconds}", f"exp lies {seconds} seconds after iat.", {**CLAIMS, "exp": NOW + seconds})

fails("lifetime-301", "exp lies 301 seconds after iat.", "9-4", exp=NOW + 301, basis="spec")
fails("lifetime-0", "exp is iat.", "9-4", exp=NOW)
fails("lifetime-negative", "exp lies before iat.", "9-4", exp=NOW - 1)
for name in REQUIRED:
    fails(f"{name}-missing", f"No {name}.", "9-7 9-1", without=name, basis="spec")
fails("jti-empty", "jti is empty.", "9.1-11", jti="")
fails("cns-empty", "cns is empty.", "9.1-11", cns="")
fails("aud-empty", "aud is empty.", "9.1-11", aud="")
fails("aud-list", "Two audiences.", "9.1-11", aud=["broker.example", "other.example"])
fails("exp-a-fraction", "exp is no integer.", "9.1-11", exp=NOW + 45.5)
fails("exp-a-string", "exp is a string.", "9.1-11", exp=str(NOW + 45))
fails("fpr-upper-case", "fpr is in upper case.", "9.1-11", fpr=forging.FINGERPRINT.upper())
fails("iht-short", "iht has 63 digits.", "9.1-11", iht=forging.INTENT[1:])
fails("too-large", "The token would have more than 8 KiB.", "9.1-12", sub="a" * 8192)
