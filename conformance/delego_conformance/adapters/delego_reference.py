"""An adapter for the public reference package, ``delego`` 0.3.4 (docs/conformance-reference.md).

It runs in an environment where that package is installed and ours is not, so this is one file that needs
nothing but the standard library, ``delego`` and ``cryptography`` (which ``delego`` requires, and whose
keys its functions take)::

    /path/to/venv/bin/python .../delego_reference.py [--command]
    python -m delego_conformance.adapters.delego_reference --path

The package is asked through its public names. What it raises on purpose (PolicyError, TokenError,
BrokerRefusal) is a refusal, anything else that it raises is an error. What it has no notion of is left out
of an answer, or ``unsupported``: an adapter that fills in would be judged in its place.

With ``--command``, chains are verified by ``delego verify``, which says more than ``AuditLog.verify``.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import importlib
import io
import json
import multiprocessing
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

JSONObject = dict[str, Any]
Operation = Callable[["Reference", JSONObject], JSONObject]

ANY_POLICY = "version: 1\ndefault: deny\nrules: []\n"
CLAIMS = ("iss", "aud", "iat", "exp", "jti", "cns", "fpr", "iht", "apr", "sub", "pol")
WRITTEN = (
    "phase",
    "outcome",
    "rule",
    "reasons",
    "intent_hash",
    "action_fingerprint",
    "action_summary",
    "approval_id",
)
RACE_SECONDS = 4.0  # after which no further round of a race begins
PKCS8_ED25519 = bytes.fromhex("302e020100300506032b657004220420")  # RFC 8410: what stands before a seed
SPKI_ED25519 = bytes.fromhex("302a300506032b6570032100")  # and before a public key

TOKEN_CODES = (  # what a TokenError says, and the code of §9.1 for it
    ("expected three", "malformed"),
    ("Invalid base64", "malformed"),
    ("Incorrect padding", "malformed"),
    ("token header", "header"),
    ("unparseable token claims", "claims"),
    ("claims must be", "claims"),
    ("alg must be", "alg"),
    ("no configured key", "kid"),
    ("bad token signature", "signature"),
    ("missing required claim", "claims"),
    ("must be integers", "claims"),
    ("TTL", "lifetime"),
    ("has expired", "expired"),
    ("before its issued-at", "not_yet_valid"),
    ("token aud ", "audience"),
    ("already seen", "already_consumed"),
    ("already consumed", "already_consumed"),
    ("fingerprint does not match", "binding"),
)

PROBLEMS = (  # what AuditLog.verify says, and the code of §8.1 for it
    (re.compile(r"seq (.*): content hash mismatch"), "seq", "content"),
    (re.compile(r"seq (.*): broken chain link"), "seq", "linkage"),
    (re.compile(r"seq (.*): bad signature"), "seq", "signature"),
    (re.compile(r"seq (.*): missing field\(s\)"), "seq", "structure"),
    (re.compile(r"line (\d+): (?:missing field\(s\)|unparseable receipt)"), "line", "structure"),
    (re.compile(r"head mismatch: expected seq (\d+) "), "seq", "head"),
)


class Refused(Exception):  # noqa: N818  # it is an answer, no fault
    """The package says no, or the JSON text is none."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Unsupported(Exception):  # noqa: N818  # it is an answer, no fault
    """The package does not have this."""


class Reference:
    """The package, and the storage that it works on."""

    def __init__(self, folder: Path, *, command: bool) -> None:
        self.delego = importlib.import_module("delego")
        self.audit: Any = importlib.import_module("delego.audit")
        self.brokers = importlib.import_module("delego.brokers")
        self.util = importlib.import_module("delego.util")
        self.folder = folder
        self.command = command
        self.paths = self.home(folder / "stateless", ANY_POLICY)
        self.now = ""  # of the request
        self.session: Session | None = None

    def home(self, folder: Path, policy_text: str) -> Any:
        """A home of the package with keys of its own."""
        folder.mkdir()
        paths = self.delego.Paths.resolve(folder)
        self.delego.ensure_keys(paths.private_key, paths.public_key)
        paths.policy.write_bytes(policy_text.encode("utf-8"))
        return paths

    def policy(self, text: str) -> Any:
        self.paths.policy.write_bytes(text.encode("utf-8"))
        with deliberate(self.delego.PolicyError, "policy"):
            return self.delego.Policy.load(self.paths.policy)

    def action(self, action: JSONObject) -> Any:
        params = from_text(action["params_json"]) if "params_json" in action else {}
        return self.delego.ProposedAction(
            action.get("instruction", ""), action["method"], action["url"], params
        )

    def ledger(self) -> Any:
        """An empty ledger."""
        self.paths.audit_log.unlink(missing_ok=True)
        return self.audit.AuditLog(self.paths.audit_log, self.paths.private_key, self.paths.public_key)

    @contextlib.contextmanager
    def clock(self, text: str) -> Iterator[None]:
        """Let the ledger take its time from here; the package has no argument for that."""
        seconds = datetime.datetime.fromisoformat(text).timestamp()
        stamp, clock = self.audit.now_iso, time.time
        self.audit.now_iso = lambda: text  # of what it writes
        time.time = lambda: seconds  # where a rate limit's window ends
        try:
            yield
        finally:
            self.audit.now_iso, time.time = stamp, clock


@contextlib.contextmanager
def deliberate(kind: type[Exception], code: str) -> Iterator[None]:
    """Exceptions of this kind are how the package refuses."""
    try:
        yield
    except kind as error:
        raise Refused(code, str(error)) from error


def from_text(text: str) -> Any:
    """As the package's daemon reads JSON: NaN and members that stand twice pass, malformed text does not."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Refused("json", str(error)) from error


def pem(kind: str, der: bytes) -> str:
    body = base64.b64encode(der).decode("ascii")
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"


def private_pem(seed_hex: str) -> str:
    return pem("PRIVATE KEY", PKCS8_ED25519 + bytes.fromhex(seed_hex))


def public_pem(key_hex: str) -> str:
    """Also of what is no key, so that it is the package which finds that out."""
    return pem("PUBLIC KEY", SPKI_ED25519 + bytes.fromhex(key_hex))


def raw_public(text: str) -> str:
    """The key of a PEM file, in hexadecimal."""
    der = base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-")))
    return der[len(SPKI_ED25519) :].hex()


# --- hashing -------------------------------------------------------------------------------------


def canonicalize(reference: Reference, args: JSONObject) -> JSONObject:
    return {"canonical": reference.util.canonical_json(from_text(args["json"]))}


def intent_hash(reference: Reference, args: JSONObject) -> JSONObject:
    action = reference.delego.ProposedAction(args["instruction"], "GET", "https://api.example.com/")
    return {"intent_hash": action.intent_hash}


def fingerprint(reference: Reference, args: JSONObject) -> JSONObject:
    return {"action_fingerprint": reference.action(args).fingerprint}


# --- policies and approvals ----------------------------------------------------------------------


def policy_load(reference: Reference, args: JSONObject) -> JSONObject:
    reference.policy(args["policy_text"])
    return {}


def decide(reference: Reference, args: JSONObject) -> JSONObject:
    policy = reference.policy(args["policy_text"])
    action = reference.action(args["action"])
    _ = action.intent_hash, action.fingerprint  # a proposal is hashed, too
    ledger = None
    if "allows" in args:
        ledger = reference.ledger()
        now = datetime.datetime.fromisoformat(reference.now)
        for allow in args["allows"]:
            age = datetime.timedelta(microseconds=round(allow["age_seconds"] * 1_000_000))
            with reference.clock((now - age).isoformat(timespec="microseconds")):
                append_allow(ledger, allow["rule"], action)
    with reference.clock(reference.now):
        outcome, rule, reasons = policy.evaluate(action, ledger)
    return {"outcome": outcome, "rule": rule, "reasons": reasons}


def append_allow(ledger: Any, rule: str, action: Any) -> None:
    ledger.append(
        phase="execution",
        outcome="allow",
        rule=rule,
        reasons=[f"matched rule {rule!r}"],
        intent_hash=action.intent_hash,
        action_fingerprint=action.fingerprint,
        action_summary=action.summary(),
        approval_id=None,
    )


def resolve(reference: Reference, args: JSONObject) -> JSONObject:
    reference.paths.approvals.unlink(missing_ok=True)
    reference.paths.policy.write_text(ANY_POLICY)
    if args["approval"] is not None:
        # A file of JSON Lines of which the last one of an id counts, as the package documents it.
        record = {"created_at": reference.now, "decided_at": None, **args["approval"]}
        reference.paths.approvals.write_text(json.dumps(record) + "\n", encoding="utf-8")
    firewall = reference.delego.build_firewall(reference.paths)
    reference.ledger()
    with deliberate(reference.delego.BrokerRefusal, "fragment_present"):
        decision = firewall.resolve(args["approval_id"], reference.action(args["action"]))
    after = firewall.approvals.get(args["approval_id"])
    return {
        "outcome": decision.outcome,
        "reasons": decision.reasons,
        "status_after": None if after is None else after["status"],
    }


# --- receipts ------------------------------------------------------------------------------------


def receipt_build(reference: Reference, args: JSONObject) -> JSONObject:
    """The package numbers and links receipts itself, so it gets a ledger that ends before this one."""
    payload = args["payload"]
    seq, previous = payload.get("seq"), payload.get("prev_hash")
    if set(payload) != {*WRITTEN, "seq", "ts", "prev_hash"} or type(seq) is not int:
        raise Unsupported("receipts with other members than its own")
    private = reference.folder / "receipt.pem"
    private.write_text(private_pem(args["seed_hex"]))
    reference.ledger()
    if seq != 0:
        reference.paths.audit_log.write_text(json.dumps({"seq": seq - 1, "entry_hash": previous}) + "\n")
    ledger = reference.audit.AuditLog(reference.paths.audit_log, private, reference.paths.public_key)
    with reference.clock(payload["ts"]):
        entry = ledger.append(**{name: payload[name] for name in WRITTEN})
    if entry["seq"] != seq or entry["prev_hash"] != previous:
        raise Unsupported("receipts in other places than the next one")
    return {"entry_hash": entry["entry_hash"], "signature": entry["signature"]}


def chain_verify(reference: Reference, args: JSONObject) -> JSONObject:
    home = reference.folder / "verified"
    shutil.rmtree(home, ignore_errors=True)
    paths = reference.home(home, ANY_POLICY)
    paths.public_key.write_text(public_pem(args["public_key_hex"]))
    data = base64.b64decode(args["jsonl_b64"])
    if data:  # a ledger of nothing is one that is not there
        paths.audit_log.write_bytes(data)
    # Its command shows how the package takes an anchor: the chain has to end there.
    heads = [args[name] for name in ("expected_head", "anchor") if name in args] or [None]
    verify = verify_by_command if reference.command else verify_by_library
    answers = [verify(reference, paths, head) for head in heads]
    problems = answers[0]["problems"] + [
        one for answer in answers[1:] for one in answer["problems"] if one not in answers[0]["problems"]
    ]
    return {**answers[-1], "valid": all(answer["valid"] for answer in answers), "problems": problems}


def verify_by_library(reference: Reference, paths: Any, head: str | None) -> JSONObject:
    """What ``AuditLog.verify`` returns; of completeness it says nothing."""
    expected = None
    if head is not None:
        seq, _, entry_hash = head.partition(":")
        if (
            re.fullmatch(r"\s*[+-]?[0-9]+\s*", seq) is None
        ):  # the command refuses it; the library takes numbers
            raise Refused("head", f"no place: {seq[:20]!r}")
        expected = (int(seq), entry_hash)
    ledger = reference.audit.AuditLog(paths.audit_log, paths.private_key, paths.public_key)
    valid, problems = ledger.verify(expected)
    return {"valid": valid, "problems": [problem(text) for text in problems]}


def verify_by_command(_reference: Reference, paths: Any, head: str | None) -> JSONObject:
    """What ``delego verify`` prints."""
    arguments = ["--home", str(paths.home), "verify"]
    if head is not None:
        arguments += ["--expected-head", head]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            importlib.import_module("delego.cli").cli.main(arguments, prog_name="delego")
        except SystemExit as ended:
            if ended.code not in (None, 0, 1):
                raise Refused("command", f"exit code {ended.code}") from None
    text = printed.getvalue()
    answer: JSONObject = {
        "valid": "Audit chain OK" in text,
        "problems": [problem(line[4:]) for line in text.splitlines() if line.startswith("  - ")],
    }
    if "truncation of the most recent receipts cannot be ruled out" in text:
        answer["completeness"] = "cannot_be_ruled_out"
    elif "Head anchor matches" in text:
        answer["completeness"] = "anchored"
    return answer


def problem(text: str) -> JSONObject:
    """The place and the code of a problem; its own words where there is no code for them."""
    for pattern, member, code in PROBLEMS:
        found = pattern.match(text)
        if found:
            place = found[1]
            return {member: int(place) if re.fullmatch("[0-9]+", place) else place, "code": code}
    return {"code": text}


# --- tokens and brokers --------------------------------------------------------------------------


def token_mint(reference: Reference, args: JSONObject) -> JSONObject:
    """Names of keys are local, so the name that is asked for is given to the package's issuer."""
    claims = args["claims"]
    if set(claims) - set(CLAIMS):
        raise Unsupported("other claims than those of §9")
    if not all(claims.get(name) for name in ("iss", "aud", "fpr", "iht", "jti", "cns")):
        raise Unsupported("tokens without these claims: some are required arguments, others are made up")
    if not all(type(claims.get(name)) is int for name in ("iat", "exp")):
        raise Unsupported("times that are not integers")
    kid = args["kid"]
    issuer_type = type("Issuer", (reference.delego.TokenIssuer,), {"kid": property(lambda _: kid)})
    load = importlib.import_module("cryptography.hazmat.primitives.serialization").load_pem_private_key
    key = load(private_pem(args["seed_hex"]).encode("ascii"), None)
    pol = claims.get("pol") or {}
    with deliberate(reference.delego.TokenError, "token_invalid"):
        token = issuer_type(claims["iss"], key, ttl_seconds=claims["exp"] - claims["iat"]).mint(
            action_fingerprint=claims["fpr"],
            intent_hash=claims["iht"],
            audience=claims["aud"],
            approval_id=claims.get("apr"),
            subject=claims.get("sub"),
            policy_version=pol.get("version"),
            rule=pol.get("rule"),
            _iat=claims["iat"],
            _jti=claims["jti"],
            _cns=claims["cns"],
        )
    return {"token": token}


def token_verify(reference: Reference, args: JSONObject) -> JSONObject:
    load = importlib.import_module("cryptography.hazmat.primitives.serialization").load_pem_public_key
    keys = {kid: load(public_pem(key_hex).encode("ascii")) for kid, key_hex in args["keys"].items()}
    try:
        claims = reference.delego.verify_token(
            args["token"],
            key_resolver=keys.get,
            audience=args["audience"],
            now=int(datetime.datetime.fromisoformat(reference.now).timestamp()),
            leeway=args["leeway"],
            seen_jti=set(args["seen_jti"]),
            consumed_cns=set(args["consumed_cns"]),
        )
        if "action" in args:
            reference.delego.require_fingerprint(claims, reference.action(args["action"]))
    except reference.delego.TokenError as error:
        raise Refused(token_code(str(error)), str(error)) from error
    return {"claims": {name: claims[name] for name in CLAIMS if name in claims}}


def token_code(message: str) -> str:
    """The package gives a sentence; the code of §9.1 that says the same."""
    for words, code in TOKEN_CODES:
        if words in message:
            return code
    return "token_invalid"


def broker_plan(reference: Reference, args: JSONObject) -> JSONObject:
    """Its brokers request ``fingerprinted_url``, and refuse what the one that sends nothing refuses."""
    action = reference.action(args["action"])
    with deliberate(reference.delego.BrokerRefusal, "fragment_present"):
        sent = reference.brokers.NullBroker().execute(action)
    if "action_fingerprint" in args:
        with deliberate(reference.delego.TokenError, "reconstruction_failed"):
            reference.delego.require_fingerprint({"fpr": args["action_fingerprint"]}, action)
    return {
        "method": sent["detail"]["would_send"].split(" ")[0],
        "host": action.host,
        "path": action.path,
        "query": urlsplit(action.fingerprinted_url).query,
        "body_json": reference.util.canonical_json(action.params) if action.params else None,
    }


# --- sessions ------------------------------------------------------------------------------------


class Session:
    """One home of the package and the firewall over it. Its time is the real one."""

    def __init__(self, reference: Reference, home: Path, policy_text: str) -> None:
        self.reference = reference
        self.paths = reference.home(home, policy_text)
        with deliberate(reference.delego.PolicyError, "policy"):
            self.firewall = firewall_over(home)

    def asked(self) -> int:
        return asked(self.paths.home)


def firewall_over(home: Path) -> Any:
    """A firewall as the package builds it, with a broker that counts."""
    delego = importlib.import_module("delego")
    null_broker: Any = importlib.import_module("delego.brokers").NullBroker

    def execute(self: Any, action: Any, token: str | None = None) -> JSONObject:
        null_broker.execute(self, action, token)  # which refuses what the package's brokers refuse
        descriptor = os.open(home / "asked", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, b".")
        os.close(descriptor)
        return {"status": 200}

    broker = type("CountingBroker", (null_broker,), {"execute": execute})()
    return delego.build_firewall(delego.Paths.resolve(home), broker)


def asked(home: Path) -> int:
    """How often the brokers of this home were asked, in all threads and processes."""
    file = home / "asked"
    return file.stat().st_size if file.exists() else 0


def current(reference: Reference) -> Session:
    if reference.session is None:
        raise Refused("no_session", "no session is open")
    return reference.session


def session_open(reference: Reference, args: JSONObject) -> JSONObject:
    if args.get("config"):
        raise Unsupported("session.config")
    session_close(reference, {})
    reference.session = Session(
        reference, Path(tempfile.mkdtemp(dir=reference.folder)) / "home", args["policy_text"]
    )
    return {}


def session_close(reference: Reference, _args: JSONObject) -> JSONObject:
    if reference.session is not None:
        shutil.rmtree(reference.session.paths.home.parent, ignore_errors=True)
    reference.session = None
    return {}


def session_propose(reference: Reference, args: JSONObject) -> JSONObject:
    session = current(reference)
    before = session.asked()
    with deliberate(reference.delego.BrokerRefusal, "fragment_present"):
        decision = session.firewall.propose(reference.action(args["action"]))
    return {
        "outcome": decision.outcome,
        "rule": decision.rule,
        "reasons": decision.reasons,
        "approval_id": decision.approval_id,
        "executed": session.asked() > before,
    }


def session_decide(reference: Reference, args: JSONObject) -> JSONObject:
    store = current(reference).firewall.approvals
    before = store.get(args["approval_id"])
    after = store.decide(args["approval_id"], args["decision"] == "approve", args["approver"])
    status = None if after is None else after["status"]
    return {"accepted": after is not None and after != before, "status": status}


def session_resolve(reference: Reference, args: JSONObject) -> JSONObject:
    session = current(reference)
    before = session.asked()
    with deliberate(reference.delego.BrokerRefusal, "fragment_present"):
        decision = session.firewall.resolve(args["approval_id"], reference.action(args["action"]))
    return {"outcome": decision.outcome, "reasons": decision.reasons, "executed": session.asked() > before}


def session_race(reference: Reference, args: JSONObject) -> JSONObject:
    """Threads on the session's storage; then, while all went well, rounds on copies of how that was before.

    One round proves little, so the answer is the worst of the rounds. Threads stand for a service around
    the library, processes for its command and its servers side by side.
    """
    session = current(reference)
    action = reference.action(args["action"])
    deadline = time.monotonic() + RACE_SECONDS
    rounds = Path(tempfile.mkdtemp(dir=session.paths.home.parent))
    kept = rounds / "before"
    shutil.copytree(session.paths.home, kept)
    before = asked(kept)
    effects = (
        race(session.paths.home, args["approval_id"], action, args["parallel"], processes=False) - before
    )
    turn = 0
    while effects == 1 and time.monotonic() < deadline:
        turn += 1
        home = rounds / f"round-{turn}"
        shutil.copytree(kept, home)
        found = race(home, args["approval_id"], action, args["parallel"], processes=turn % 2 == 1) - before
        effects = max(effects, found)
    return {"effects": effects}


def race(home: Path, approval_id: str, action: Any, parallel: int, *, processes: bool) -> int:
    """How often the brokers of this home were asked, after so many releases at once."""
    if processes:
        context: Any = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
        workers: list[Any] = []
        barrier: Any = context.Barrier(parallel)
        for _ in range(parallel):
            workers.append(context.Process(target=release, args=(home, approval_id, action, barrier)))
    else:
        barrier = threading.Barrier(parallel)
        workers = [
            threading.Thread(target=release, args=(home, approval_id, action, barrier))
            for _ in range(parallel)
        ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return asked(home)


def release(home: Path, approval_id: str, action: Any, barrier: Any) -> None:
    """One of those who ask."""
    firewall = firewall_over(home)
    barrier.wait(timeout=5)
    firewall.resolve(approval_id, action)


def session_restart(reference: Reference, args: JSONObject) -> JSONObject:
    """The package keeps everything in files, so nothing is left of a firewall that is dropped."""
    if args.get("config"):
        raise Unsupported("session.config")
    session = current(reference)
    if "policy_text" in args:
        session.paths.policy.write_bytes(args["policy_text"].encode("utf-8"))
    with deliberate(reference.delego.PolicyError, "policy"):
        session.firewall = firewall_over(session.paths.home)
    return {}


def session_export(reference: Reference, _args: JSONObject) -> JSONObject:
    paths = current(reference).paths
    data = paths.audit_log.read_bytes() if paths.audit_log.exists() else b""
    return {
        "jsonl_b64": base64.b64encode(data).decode("ascii"),
        "public_key_hex": raw_public(paths.public_key.read_text()),
    }


# --- the loop ------------------------------------------------------------------------------------

OPERATIONS: dict[str, Operation] = {
    "canonicalize": canonicalize,
    "intent_hash": intent_hash,
    "fingerprint": fingerprint,
    "policy_load": policy_load,
    "decide": decide,
    "resolve": resolve,
    "receipt_build": receipt_build,
    "chain_verify": chain_verify,
    "token_mint": token_mint,
    "token_verify": token_verify,
    "broker_plan": broker_plan,
    "session.open": session_open,
    "session.propose": session_propose,
    "session.decide": session_decide,
    "session.resolve": session_resolve,
    "session.race": session_race,
    "session.restart": session_restart,
    "session.export": session_export,
    "session.close": session_close,
}


def hello(reference: Reference) -> JSONObject:
    package = reference.delego
    return {
        "protocol": 1,
        "implementation": {
            "name": "delego (public reference)" + (", its command" if reference.command else ""),
            "version": package.__version__,
            "language": f"Python {platform.python_version()}",
            "url": "",
        },
        "spec": [package.__protocol_version__],
        "roles": ["authorizer", "broker", "auditor"],
        "features": ["session"],
    }


def answer(reference: Reference, request: JSONObject) -> JSONObject:
    """The reply to one request."""
    op = request["op"]
    reference.now = request["ctx"]["now"]
    reply: JSONObject = {"id": request["id"]}
    try:
        if op == "hello":
            return {**reply, "ok": hello(reference)}
        if op == "bye":
            return {**reply, "ok": {}}
        if op not in OPERATIONS:
            raise Unsupported(op)
        return {**reply, "ok": OPERATIONS[op](reference, request["args"])}
    except Refused as no:
        return {**reply, "refused": {"code": no.code, "message": str(no)}}
    except Unsupported as missing:
        return {**reply, "unsupported": {"feature": str(missing)}}
    except Exception as error:  # noqa: BLE001 - whatever else the package raises is its answer
        for frame in traceback.extract_tb(error.__traceback__):  # where it was, without a line of its code
            print(f"{frame.filename}:{frame.lineno} in {frame.name}", file=sys.stderr)
        return {**reply, "error": {"message": f"{type(error).__name__}: {error}"}}


def serve(reference: Reference, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer until ``bye``, or until nothing more comes."""
    for line in requests:
        request = json.loads(line)
        replies.write(json.dumps(answer(reference, request)).encode("ascii") + b"\n")
        replies.flush()
        if request["op"] == "bye":
            return


def main(arguments: list[str]) -> int:
    if arguments == ["--path"]:
        print(Path(__file__).resolve())
        return 0
    if arguments not in ([], ["--command"]):
        print("usage: delego_reference.py [--command | --path]", file=sys.stderr)
        return 2
    warnings.simplefilter("ignore")  # of policies whose default is not to deny
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints, prints beside the replies
    with tempfile.TemporaryDirectory(prefix="delego-reference-") as folder:
        serve(Reference(Path(folder), command=bool(arguments)), sys.stdin.buffer, replies)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
