"""Mutants of what is signed and verified: receipts, chains, anchors, Ed25519, tokens, callbacks, messages."""

from __future__ import annotations

from typing import Final

from mutants_model import Mutant, of

_seal = of("delego_spec.receipts", "receipt", "chain")
_chain = of("delego_spec.chain", "chain", "anchor")
_time = of("delego_spec.timestamps", "chain")
_key = of("delego_spec.ed25519", "ed25519", "chain")
_token = of("delego_spec.tokens", "token", "mint")
_jws = of("delego_spec.jws", "token", "mint")
_yes = of("delego_spec.callbacks", "callback")
_message = of("delego_spec.gateway", "message")

EVIDENCE: Final[tuple[Mutant, ...]] = (
    _seal(
        "the hash itself is signed",
        "return signer.sign(entry_hash.encode()).hex()",
        "return signer.sign(bytes.fromhex(entry_hash)).hex()",
    ),
    _chain("content not compared", "if hashlib.sha256(payload).hexdigest() != entry_hash:", "if False:"),
    _chain("links not compared", "    if prev_hash != expected_hash:\n", "    if False:\n"),
    _chain("places not compared", "    if seq != expected_seq:\n", "    if False:\n"),
    _chain("signatures not checked", "if not _signature_holds(entry_hash, signature, key):", "if False:"),
    _chain(
        "signatures in upper case",
        "if _SIGNATURE.fullmatch(signature) is None:\n        return False",
        "signature = signature.lower()",
    ),
    _chain(
        "unknown members pass",
        "    if unknown:\n        found.behind_link",
        "    if False:\n        found.behind_link",
    ),
    _chain("any context", 'if type(members.get("context", {})) is not dict:', "if False:"),
    _chain(
        "missing members pass",
        "    if missing:\n        problems.append",
        "    if missing and False:\n        problems.append",
    ),
    _chain("hashes of any form", "            if not is_digest(getattr(fields, name))".strip(), "if False"),
    _chain("times of any form", "if not is_ts(fields.ts):", "if False:"),
    _chain("negative places", "if fields.seq < 0:", "if False:"),
    _chain("types not checked", "        return [_structure(place, str(error))]", "        return []"),
    _chain(
        "heads not compared",
        "if self._expected_head is not None and self._head != self._expected_head:",
        "if False:",
    ),
    _chain("anchors not compared", "            if found != anchor.entry_hash:", "            if False:"),
    _chain(
        "an anchor is a head",
        "            if found != anchor.entry_hash:",
        "            if self._head != anchor:",
    ),
    _chain(
        "a head is an anchor's place",
        "if self._expected_head is not None and self._head != self._expected_head:",
        "if self._expected_head is not None and (self._head is None or self._head.seq < self._expected_head.seq):",
    ),
    _chain("always anchored", '"anchored" if placed else "cannot_be_ruled_out"', '"anchored"'),
    _chain("never anchored", '"anchored" if placed else "cannot_be_ruled_out"', '"cannot_be_ruled_out"'),
    _chain(
        "places start anywhere",
        "self._next_seq + report.first_index, self._prev_hash",
        "seq, self._prev_hash",
    ),
    _chain("chains start anywhere", "self._prev_hash: str = GENESIS", 'self._prev_hash: str = "0" * 64'),
    _time("Z is no offset", "(?:Z|\\+00:00)", "(?:\\+00:00)"),
    _time("other zones", "(?:Z|\\+00:00)", "(?:Z|[+-][0-9]{2}:[0-9]{2})"),
    _time("six digits at most", "(?:\\.[0-9]{1,9})?", "(?:\\.[0-9]{1,6})?"),
    _time("a fraction is wanted", "(?:\\.[0-9]{1,9})?", "\\.[0-9]{1,9}"),
    _key("any point", "if not bindings.crypto_core_ed25519_is_valid_point(raw):", "if False:"),
    _key("keys in upper case", "if type(text) is not str or _HEX_KEY.fullmatch(text) is None:", "if False:"),
    _key(
        "every signature is good",
        "    except CryptoError:\n        return False\n    return True",
        "    except CryptoError:\n        return True\n    return True",
    ),
    _token("not bound", "if fingerprint == claims.fpr:", "if True:"),
    _token("expired a second later", "if now >= claims.exp + leeway:", "if now > claims.exp + leeway:"),
    _token("never expired", "if now >= claims.exp + leeway:", "if False:"),
    _token("no leeway", "if now >= claims.exp + leeway:", "if now >= claims.exp:"),
    _token("from the future", "if isinstance(start, int) and start > now + leeway:", "if False:"),
    _token("no leeway ahead", "start > now + leeway:", "start > now:"),
    _token("nbf not read", '("iat", claims.iat), ("nbf", nbf)', '("iat", claims.iat),'),
    _token("nbf of any form", 'if "nbf" in members:', "if False:"),
    _token("any audience", "if claims.aud != audience:", "if False:"),
    _token("any issuer", "if issuer is not None and claims.iss != issuer:", "if False:"),
    _token("any lifetime", "if 1 <= lifetime <= MAX_LIFETIME:", "if True:"),
    _token("a second too long", "MAX_LIFETIME: Final = 300", "MAX_LIFETIME: Final = 301"),
    _token("exp may be iat", "if 1 <= lifetime <= MAX_LIFETIME:", "if 0 <= lifetime <= MAX_LIFETIME:"),
    _token("empty claims", "if type(value) is not str or not value:", "if type(value) is not str:"),
    _token(
        "floats are times",
        "if type(value) is not int or value < 0:",
        "if type(value) not in (int, float) or value < 0:",
    ),
    _token(
        "true is a time",
        "if type(value) is not int or value < 0:",
        "if not isinstance(value, int) or value < 0:",
    ),
    _token(
        "hashes in upper case",
        "    if not is_digest(value):\n",
        "    if not is_digest(str(value).lower()):\n",
    ),
    _token("any policy", "    if type(version) is not int or version < 1:\n", "    if False:\n"),
    _token(
        "more in a policy", 'value.keys() != {"version", "rule"}', 'not {"version", "rule"} <= value.keys()'
    ),
    _jws("any header member", "        if name not in _HEADER:\n", "        if False:\n"),
    _jws("any type", 'if header.get("typ") != TYPE:', "if False:"),
    _jws("any algorithm", 'if header.get("alg") != ALGORITHM:', "if False:"),
    _jws(
        "algorithms without case",
        'if header.get("alg") != ALGORITHM:',
        'if str(header.get("alg")).lower() != ALGORITHM.lower():',
    ),
    _jws(
        "the only key",
        "key = keys.get(kid)",
        "key = keys.get(kid) or (next(iter(keys.values())) if len(keys) == 1 else None)",
    ),
    _jws("signatures not checked in tokens", "    if not _signed(token, key):\n", "    if False:\n"),
    _jws("members twice in tokens", "    if len(members) != len(pairs):\n", "    if False:\n"),
    _jws(
        "padding",
        'return data if base64.urlsafe_b64encode(data).rstrip(b"=").decode() == segment else None',
        "return data",
    ),
    _jws(
        "blanks around",
        "segments = _COMPACT.fullmatch(token)",
        "segments = _COMPACT.fullmatch(token.strip())",
    ),
    _jws("any size", "if len(token) > MAX_BYTES:\n        return", "if False:\n        return"),
    _jws("claims of any size", "        normalise(value, name=what)\n", ""),
    _yes("about another approval", "if callback.approval_id != approval_id:", "if False:"),
    _yes("to another notification", "if callback.nonce != nonce:", "if False:"),
    _yes("late by a second", "if now >= not_after * SECOND:", "if now > not_after * SECOND:"),
    _yes("never late", "if now >= not_after * SECOND:", "if False:"),
    _yes("never stale", "if at < now - skew * SECOND:", "if False:"),
    _yes("never ahead", "if at > now + skew * SECOND:", "if False:"),
    _yes(
        "decisions not signed",
        "if not key.verify(evidence.signed_bytes(), bytes.fromhex(callback.signature)):",
        "if False:",
    ),
    _yes(
        "notes not signed",
        '            "decision_note": self.callback.decision_note,\n            "action_fingerprint": self.action_fingerprint,',
        '            "action_fingerprint": self.action_fingerprint,',
    ),
    _yes(
        "what was shown is not signed",
        '            "display_hash": self.display_hash,\n        }',
        "        }",
    ),
    _yes("another version is signed", "delego-approval-decision-v1", "delego-approval-decision-v2"),
    _message(
        "any code",
        '    else:\n        members.refuse("code"',
        '    else:\n        known = REFUSAL_CODES[0]\n    if False:\n        members.refuse("code"',
    ),
)
