"""Mutants of what a broker checks (§9.1): each check switched off, or moved to where it does not hold.

    python tests/mutants_broker.py NAME           the tests under that mutant, as pytest tells it
    python tests/mutants_broker.py --part 1/4     the status of the tests for a quarter of them, a line each

Unlike those of the core, these are killed by tests: what they break has a clock, a disk and other processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from mutants_import import forget, freeze, put_in_place
from mutants_model import Mutant, of
from support import ROOT

_verifier = of("delego_broker.verifier", "broker/test_verifier.py")
_tokens = of("delego_spec.tokens", "broker/test_verifier.py")
_jws = of("delego_spec.jws", "broker/test_verifier.py")
_binding = of("delego_spec.gateway", "broker/test_verifier.py")
_memory = of("delego_broker.replay", "broker/test_verifier.py", "broker/test_replay_stores.py")
_sqlite = of("delego_broker.sqlite_replay", "broker/test_sqlite_replay.py", "broker/test_replay_stores.py")
_redis = of("delego_broker.redis_replay", "broker/test_replay_stores.py")
_keys = of("delego_broker.keysets", "broker/test_keysets.py")
_fetching = of("delego_broker.fetching", "broker/test_keysets.py")
_revoked = of("delego_broker.revocation", "broker/test_revocation.py")
_jwks = of("delego_spec.jwks", "spec/test_jwks.py")

BROKER: Final[tuple[Mutant, ...]] = (
    # step 1
    _jws("signature", "    if not _signed(token, key):\n", "    if False:\n"),
    _jws("algorithm", 'if header.get("alg") != ALGORITHM:', "if False:"),
    _jws("type", 'if header.get("typ") != TYPE:', "if False:"),
    _jws("header members", "        if name not in _HEADER:\n", "        if False:\n"),
    _jws("size", "if len(token) > MAX_BYTES:\n        return", "if False:\n        return"),
    _jws("duplicates", "    if len(members) != len(pairs):\n", "    if False:\n"),
    _jws("own keys", "key = keys.get(kid)", "key = keys.get(kid) or next(iter(keys.values()))"),
    # step 2
    _tokens("expiry", "if now >= claims.exp + leeway:", "if False:"),
    _tokens("expiry by a second", "if now >= claims.exp + leeway:", "if now > claims.exp + leeway:"),
    _tokens("not yet valid", "if isinstance(start, int) and start > now + leeway:", "if False:"),
    _tokens("lifetime", "if 1 <= lifetime <= MAX_LIFETIME:", "if True:"),
    _tokens("audience", "if claims.aud != audience:", "if False:"),
    _tokens("issuer", "if issuer is not None and claims.iss != issuer:", "if False:"),
    _verifier("leeway left out", "            leeway=self._leeway,\n", ""),
    _verifier("issuer left out", "            issuer=self._issuer,\n", ""),
    _verifier("no refusal of the token", "if isinstance(claims, TokenRefusal):", "if False:"),
    # revocation
    _verifier("revocation", "self._revocations.is_revoked(claims.jti) is not False", "False"),
    _revoked("an unreadable list", "            raise self._unreadable(why(error)) from None\n        if len", "            return []\n        if len"),
    _revoked("the old list stays", "            if looks != self._seen:", "            if self._seen is None:"),
    _revoked("a cut line", 'if data and not data.endswith(b"\\n"):', "if False:"),
    # step 5
    _verifier("binding", "        if unbound is not None:\n", "        if False:\n"),
    _tokens("fingerprint", "    if fingerprint == claims.fpr:\n", "    if True:\n"),
    _verifier("rebuilt url", "if isinstance(rebuilt, Refused):", "if False:"),
    _verifier("kind of request", "if type(request) is not Outgoing:", "if False:"),
    _binding("fragment", "if action.fragment is not None:", "if False:"),
    # steps 3 and 4
    _verifier("store not asked", "found: object = self._store.consume(", 'found: object = "fresh" or self._store.consume('),
    _verifier("any answer", 'if found == "fresh":', 'if found != "jti" and found != "cns":'),
    _verifier("kept until exp", "keep_until=consume_until(claims, MAX_LEEWAY)", "keep_until=claims.exp"),
    _verifier("kept by its own leeway", "keep_until=consume_until(claims, MAX_LEEWAY)", "keep_until=consume_until(claims, self._leeway)"),
    _verifier("jti is no refusal", 'if found == "jti":\n            return Refusal("already_consumed"', 'if found == "jti":\n            return claims\n            return Refusal("already_consumed"'),
    _verifier("cns is no refusal", 'if found == "cns":\n            return Refusal("already_consumed"', 'if found == "cns":\n            return claims\n            return Refusal("already_consumed"'),
    _verifier("burnt before the binding", "        unbound = _binding_problem(claims, request)\n", "        self._store.consume(claims.jti, claims.cns, keep_until=claims.exp, now=now)\n        unbound = _binding_problem(claims, request)\n"),
    # errors
    _verifier("an error is a permit", 'return Refusal("unavailable", f"the check itself failed: {type(error).__name__}")', "return verify_token(token, keys=self._keys, audience=self._audience, now=self._now())"),
    _verifier("an error leaves", "except Exception as error:", "except ZeroDivisionError as error:"),
    _verifier("an error is quoted", "{type(error).__name__}\")", "{error}\")"),
    _verifier("any clock", "if type(now) is not int or now < 0:", "if False:"),
    # stores
    _memory("jti not looked for", "if jti in self._jtis:", "if False:"),
    _memory("cns not looked for", "if cns in self._cnss:", "if False:"),
    _memory("forgotten at once", "self._oldest[0][0] <= now", "self._oldest[0][0] - 60 <= now"),
    _memory("the clock may go back", "if keep_until <= self._forgotten_to:", "if False:"),
    _sqlite("cns not unique", "cns TEXT NOT NULL UNIQUE", "cns TEXT NOT NULL"),
    _sqlite("jti not unique", "jti TEXT NOT NULL UNIQUE, ", "jti TEXT NOT NULL, "),
    _sqlite("the clock may go back", " WHERE ?1 > (SELECT until FROM forgotten)", " WHERE ?1 > 0 * (SELECT until FROM forgotten)"),
    _sqlite("what is forgotten is not noted", "UPDATE forgotten SET until = max(until, ?)", "UPDATE forgotten SET until = 0 * ?"),
    _sqlite("purged a second early", "used WHERE keep_until <= ? LIMIT", "used WHERE keep_until - 1 <= ? LIMIT"),
    _sqlite("purged in passing without looking", "if row[1] <= now]", "]"),
    _sqlite("a file that has gone", "        if found is None:\n", "        if False:\n"),
    _sqlite("a file that was replaced", "            if found == self._identity:\n", "            if True:\n"),
    _sqlite("replaced while closed", "if self._identity is not None and found != self._identity:", "if False:"),
    _sqlite("an emptied file", "    if not create:  # it was", "    if False:  # it was"),
    _sqlite("another database", "if connection.execute(\"SELECT 1 FROM sqlite_schema LIMIT 1\").fetchone() is not None:", "if False:"),
    _sqlite("always made", "                if not create:\n", "                if False:\n"),
    _redis("jti not looked for", "if redis.call('EXISTS', KEYS[1]) == 1 then return 'jti' end\n", ""),
    _redis("cns not looked for", "if redis.call('EXISTS', KEYS[2]) == 1 then return 'cns' end\n", ""),
    _redis("eviction", 'if policy is not None and policy != "noeviction":', "if False:"),
    _redis("no margin", "max(keep_until - now, 0) + MARGIN", "max(keep_until - now, 0)"),
    _redis("silence is fresh", "raise ReplayStoreError(f\"Redis did not say whether the token was used: {why(error)}\") from None", 'return "fresh"'),
    # keys
    _keys("trusted for ever", "if current is not None and now - current[1] < self._trust else None", "if current is not None else None"),
    _keys("a bad file counts for ever", "if now - self._bad_since >= FILE_GRACE:", "if False:"),
    _keys("unknown kids fetch each time", "elif _is_missing(kid, table) and now - self._asked >= UNKNOWN_KID:", "elif _is_missing(kid, table):"),
    _keys("unknown kids fetch nothing", "elif _is_missing(kid, table) and now - self._asked >= UNKNOWN_KID:", "elif False:"),
    _keys("never refreshed", "        if current is None:\n            return False\n", "        return False\n"),
    _keys("any kid fetches", "and _KEY_ID.fullmatch(kid) is not None", ""),
    _keys("keys under any name", "if kid != key.key_id:", "if False:", "broker/test_verifier.py"),
    _fetching("plain http", 'if parts.scheme == "http" and host in _LOOPBACK:', 'if parts.scheme == "http":'),
    _fetching("any status", "if answer.status != http.client.OK:", "if False:"),
    _fetching("any size", "if len(body) > MAX_BYTES else body", "if False else body"),
    _fetching("no end", "    worker.join(timeout)\n", "    worker.join(30)\n"),
    _jwks("private keys", "        if members.has(name):\n", "        if False:\n"),
    _jwks("any kid", "    if kid != key.key_id:\n", "    if False:\n"),
    _jwks("a kid twice", "        if key.key_id in keys:\n", "        if False:\n"),
    _jwks("other curves", "        if found != wanted:\n", "        if False:\n"),
    _jwks("loose bits", "if _base64url(raw) != x:", "if not raw:"),
)  # fmt: skip

MUTANTS: Final[dict[str, Mutant]] = {f"{m.module.split('.')[1]}: {m.name}": m for m in BROKER}


def run_tests(files: Sequence[str], *options: str) -> int:
    """The exit status of pytest."""
    paths = [str(ROOT / "tests" / file) for file in files]
    return int(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options, *paths]))


def prepare() -> None:
    """Lets pytest import, before the children are forked, all that the tests need. What is ours is not kept."""
    if run_tests(sorted({suite for mutant in MUTANTS.values() for suite in mutant.suites}), "--collect-only"):
        raise RuntimeError("the tests cannot be collected")
    here = str(ROOT / "tests")
    forget(
        *[
            name
            for name, module in sys.modules.items()
            if str(getattr(module, "__file__", "")).startswith(here)
        ]
    )


def failed_tests(mutant: Mutant) -> int:
    """The exit status of pytest under this mutant: 1 where a test went red. Once in a process."""
    put_in_place(mutant)
    return run_tests(mutant.suites, "-x", "-k", "not sixteen")  # many processes import the sound modules


def report(name: str) -> str:
    """``name<TAB>status``, found out in a child process."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = failed_tests(MUTANTS[name])
        finally:
            os._exit(status)
    return f"{name}\t{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}"


def main(arguments: list[str]) -> int:
    """Tries one mutant, with what pytest says, or a part of them, a line each."""
    if arguments[0] != "--part":
        return failed_tests(MUTANTS[arguments[0]])
    part, parts = map(int, arguments[1].split("/"))
    told = os.fdopen(os.dup(1), "w")
    with Path(os.devnull).open("w") as sink:  # what pytest says
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    prepare()
    freeze()
    for name in list(MUTANTS)[part - 1 :: parts]:
        print(report(name), file=told, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
