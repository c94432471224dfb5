"""Mutants that all vectors once let live, found by an attack on the kit: each has a vector of its own by now."""

from __future__ import annotations

from typing import Final

from mutants_model import Mutant, of

_chain = of("delego_spec.chain", "chain-export", "chain", "chain-forms")
_receipts = of("delego_spec.receipts", "receipt")
_timestamps = of("delego_spec.timestamps", "chain-forms", "callback")
_tokens = of("delego_spec.tokens", "token-claims")
_callbacks = of("delego_spec.callbacks", "callback")
_gateway = of("delego_spec.gateway", "broker", "message")
_approvals = of("delego_spec.approvals", "session")
_constraints = of("delego_spec.constraints", "reasons", "decide")
_globs = of("delego_spec.globs", "decide")
_spellings = of("delego_spec.spellings", "policy")
_yaml_reader = of("delego_spec.yaml_reader", "policy")
_action = of("delego_spec.action", "release")
_hazards = of("delego_spec.hazards", "hazards")
_hosts = of("delego_spec.hosts", "hazards")
_steps = of("delego_authorizer.steps", "session")
_deciding = of("delego_authorizer.deciding", "session")

PROBES: Final[tuple[Mutant, ...]] = (
    _chain(
        "exported content not compared",
        "[hashlib.sha256(payload).hexdigest() for payload in map(payload_of, lines, found)] == hashes",
        "True",
    ),
    _chain(
        "exported links not compared", "and [one.prev_hash for one in found[1:]] == hashes[:-1]", "and True"
    ),
    _chain(
        "exported places not compared",
        "and [one.seq for one in found] == list(range(first.seq, first.seq + len(found)))",
        "and True",
    ),
    _chain("exported places below zero", "        and first.seq >= 0\n", ""),
    _chain("exported places beyond 2^53", "        and last.seq <= MAX_INTEGER\n", ""),
    _chain(
        "exported payloads of any size",
        "        and max(map(len, lines)) <= MAX_PAYLOAD_BYTES  # longer ones are rare, and left to the long way\n",
        "",
    ),
    _chain(
        "exported digits in upper case",
        "        and raw.hex() == digits  # bytes.fromhex reads upper case and blanks as well\n",
        "",
    ),
    _chain(
        "exported digits moved",
        "        and {(len(one.intent_hash), len(one.action_fingerprint), len(one.signature)) for one in found}\n        == {(64, 64, 128)}\n",
        "",
    ),
    _chain("exported times of any form", "        and are_ts([one.ts for one in found])\n", ""),
    _chain(
        "exported context with disputed keys",
        "        and all(one.context is UNSET or has_plain_keys(one.context) for one in found)\n",
        "",
    ),
    _chain(
        "exported signatures not checked",
        "    if not key.verify_all([one.encode() for one in hashes], signatures):\n        return None\n",
        "",
    ),
    _chain(
        "lots of unreadable lines forgotten",
        "            self._next_seq += report.count\n            return",
        "            return",
    ),
    _chain(
        "unreadable lines at the end of a lot forgotten",
        "report.last.seq + 1 + report.trailing",
        "report.last.seq + 1",
    ),
    _chain("twenty problems are enough", "MAX_PROBLEMS: Final = 1000", "MAX_PROBLEMS: Final = 20"),
    _chain(
        "forms not looked at behind a bad signature",
        "    found.behind_link.extend(_payload_problems(payload, place))\n",
        "    if not found.behind_link: found.behind_link.extend(_payload_problems(payload, place))\n",
    ),
    _receipts("receipts before the first", "if not 0 <= seq <= MAX_INTEGER:", "if not seq <= MAX_INTEGER:"),
    _timestamps("t in lower case", "[0-9]{2}T(?:", "[0-9]{2}[Tt ](?:"),
    _timestamps(
        "signed before 1970", "    if moment < _EPOCH:\n        raise", "    if False:\n        raise"
    ),
    _timestamps("a comma for the point", "(?:\\.[0-9]{1,9})?", "(?:[.,][0-9]{1,9})?"),
    _tokens(
        "apr may be null",
        'apr=_text(members, "apr") if "apr" in members else None',
        'apr=_text(members, "apr") if members.get("apr") is not None else None',
    ),
    _tokens(
        "pol may be null",
        'pol=_policy(members["pol"]) if "pol" in members else None',
        'pol=_policy(members["pol"]) if members.get("pol") is not None else None',
    ),
    _callbacks(
        "a nonce with more behind it",
        "    if callback.nonce != nonce:",
        "    if not callback.nonce.startswith(nonce):",
    ),
    _gateway(
        "slashes in names stay",
        "quote(name, safe='')}={quote(value, safe='')}",
        "quote(name, safe='/')}={quote(value, safe='')}",
    ),
    _gateway("methods of 33 letters", "[A-Z][A-Z-]{0,31}", "[A-Z][A-Z-]{0,32}"),
    _gateway(
        "requests without a scheme", "    if _SCHEME.fullmatch(action.scheme) is None:\n", "    if False:\n"
    ),
    _gateway(
        "refusals must say something",
        'message=members.text("message", empty=True)',
        'message=members.text("message")',
    ),
    _gateway(
        "empty errors",
        'error=members.optional_text("error")',
        'error=members.optional_text("error", empty=True)',
    ),
    _gateway(
        "empty methods",
        '        method=action.text("method"),',
        '        method=action.text("method", empty=True),',
    ),
    _gateway("empty urls", '        url=action.text("url"),', '        url=action.text("url", empty=True),'),
    _gateway(
        "empty tokens",
        'authorization_token=members.optional_text("authorization_token"),',
        'authorization_token=members.optional_text("authorization_token", empty=True),',
    ),
    _approvals(
        "when the window was over is forgotten",
        "        return self.release_by if self.approved_by and self.release_by is not None else self.expires_at",
        "        return self.expires_at",
        "SE-0073",
        "session",
    ),
    _approvals(
        "names with a capital vote twice",
        "    if approver in approval.approved_by:",
        "    if approver.lower() in approval.approved_by:",
        "SE-0074",
        "session",
    ),
    _constraints(
        "NaN with capitals is text",
        're.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII)',
        're.compile(r"[-+]?(?:nan|inf|infinity)", re.ASCII)',
    ),
    _constraints(
        "a dotless i in inf",
        're.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE | re.ASCII)',
        're.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)',
    ),
    _constraints("infinity is text", 'r"[-+]?(?:nan|inf|infinity)"', 'r"[-+]?(?:nan|inf)"'),
    _constraints(
        "doubles in all their digits",
        "    if isinstance(value, float):  # canonical: finite, and its shortest form has no exponent\n        return Decimal(repr(value))",
        "    if isinstance(value, float):\n        return Decimal(value)",
    ),
    _globs("pieces of a pattern overlap", "            position += len(piece)\n", ""),
    _spellings(
        "hosts of tools refused", "    if next(tool_problems(text), None) is None:\n        return\n", ""
    ),
    _yaml_reader("merge keys among values", '    if text == "<<":\n', "    if False:\n"),
    _yaml_reader("hexadecimal numbers are text", "    if _RADIX.fullmatch(text):\n", "    if False:\n"),
    _yaml_reader("exponents are text", "    if _EXPONENT.fullmatch(text):\n", "    if False:\n"),
    _yaml_reader("infinity in YAML is text", "    if _NOT_FINITE.fullmatch(text):\n", "    if False:\n"),
    _yaml_reader(
        "directives about tags",
        "        elif event.tags or event.version is not None:",
        "        elif event.version is not None:",
    ),
    _yaml_reader("line ends of YAML 1.1 inside quotes", "\\u2010-\\u2027\\u202f", "\\u2010-\\u2029\\u202f"),
    _action(
        "schemes with case",
        'put(self, "scheme", (scheme or "").lower())',
        'put(self, "scheme", scheme or "")',
    ),
    _hazards(
        "a byte more of instruction",
        "MAX_INSTRUCTION: Final = 16 * 1024",
        "MAX_INSTRUCTION: Final = 16 * 1024 + 1",
    ),
    _hazards(
        "the third value falls", "        values[name] = value\n", "        values.setdefault(name, value)\n"
    ),
    _hosts(
        "hexadecimal at the end of a host", 're.compile(r"[0-9]+|0[Xx][0-9A-Fa-f]*")', 're.compile(r"[0-9]+")'
    ),
    _hosts(
        "IPv4 in ::/96",
        "int(address) >> 32 in (0, 0xFFFF) and int(address) > 1",
        "int(address) >> 32 == 0xFFFF",
    ),
    _hosts("no address is loopback", "|\\[::1\\])", "|\\[::1?\\])"),
    _steps(
        "parked without the digest",
        "(*reasons, rules.digest_reason), approval_id),\n        context",
        "reasons, approval_id),\n        context",
        "SE-0077",
        "session",
    ),
    _steps(
        "instructions parked trimmed",
        "        instruction=action.instruction,\n        summary",
        "        instruction=action.instruction.strip(),\n        summary",
        "SE-0075",
        "session",
    ),
    _steps(
        "released without the digest",
        '    written = (f"authorized by {why}; execution follows", rules.digest_reason)',
        '    written = (f"authorized by {why}; execution follows",)',
        "SE-0077",
        "session",
    ),
    _steps("all constraints again on release", "if isinstance(limit, RateLimit)]", "]", "SE-0076", "session"),
    _deciding(
        "how many said yes is left out",
        '            *(partial if after.status == "pending" else ()),\n',
        "",
        "SE-0077",
        "session",
    ),
    _deciding(
        "a yes without the digest",
        "            *evidence,\n            rules.digest_reason,\n",
        "            *evidence,\n",
        "SE-0077",
        "session",
    ),
)
