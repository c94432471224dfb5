"""Mutants of deciding: policy, evaluation, constraints, approvals, the engine."""

from __future__ import annotations

from typing import Final

from mutants_model import Mutant, of

_load = of("delego_spec.policy", "policy")
_decide = of("delego_spec.evaluate", "decide", "reasons", "rates")
_match = of("delego_spec.matching", "decide")
_glob = of("delego_spec.globs", "decide")
_limits = of("delego_spec.constraints", "decide", "reasons", "rates")
_yes = of("delego_spec.approvals", "release")
_engine = of("delego_authorizer.steps", "session")
_votes = of("delego_spec.approvals", "session")

DECISIONS: Final[tuple[Mutant, ...]] = (
    _load("no schema", "problems = _schema().problems(document)", "problems = []"),
    _load("names may repeat", "problems += _repeated_names(document)", "pass"),
    _load(
        "vain matchers pass",
        "problems += [problem for problem in _vain_matchers(document) if problem.path not in known]",
        "pass",
    ),
    _decide("forbidden is not looked at", "if forbidden is not None:", "if False:"),
    _decide(
        "rules before forbidden",
        "if forbidden is not None:",
        "if forbidden is not None and policy.rule_index.first(method, host, path) is None:",
    ),
    _decide("failed constraints pass", "if not finding.holds:", "if False:"),
    _decide(
        "failed constraints fall through",
        '            return Verdict("deny", rule.name, (finding.reason,))',
        '            return Verdict("needs_approval", rule.name, (finding.reason,))',
    ),
    _decide("the default allows", "return Verdict(policy.default, None,", 'return Verdict("allow", None,'),
    _decide(
        "the last reason alone",
        "return Verdict(rule.decision, rule.name, tuple(reasons))",
        "return Verdict(rule.decision, rule.name, tuple(reasons[-1:]))",
    ),
    _decide(
        "forbidden has no name", 'return Verdict("deny", forbidden.name,', 'return Verdict("deny", None,'
    ),
    _match(
        "the last match",
        "if best is not None and candidate.order > best.order:\n                    break",
        "if best is not None and candidate.order < best.order:\n                    break",
    ),
    _match(
        "path not compared",
        "if self.path is not None and not self.path.matches(path):\n            return False",
        "if False:\n            return False",
    ),
    _match(
        "substrings not compared",
        "return self.path_contains is None or self.path_contains in path",
        "return True",
    ),
    _match(
        "substrings without case",
        "return self.path_contains is None or self.path_contains in path",
        "return self.path_contains is None or self.path_contains.lower() in path.lower()",
    ),
    _load("hosts with case", "host=None if host is None else host.lower(),", "host=host,", "decide"),
    _load("methods with case", "frozenset(name.upper() for name in methods)", "frozenset(methods)", "decide"),
    _glob(
        "stars end at slashes",
        "    def matches(self, text: str) -> bool:\n",
        '    def matches(self, text: str) -> bool:\n        if text.count("/") > self.pattern.count("/"):\n            return False\n',
    ),
    _glob("begin is enough", "or not text.endswith(tail)", ""),
    _glob("end is enough", "or not text.startswith(head)", ""),
    _glob(
        "without case",
        "    def matches(self, text: str) -> bool:\n",
        "    def matches(self, text: str) -> bool:\n        text = text.lower()\n",
    ),
    _limits("max excluded", "if amount > Decimal(repr(self.max)):", "if amount >= Decimal(repr(self.max)):"),
    _limits(
        "binary comparison",
        "if amount > Decimal(repr(self.max)):",
        "if float(amount) > float(self.max) + 1e-9:",
    ),
    _limits("no max", "if amount > Decimal(repr(self.max)):", "if False:"),
    _limits("negative amounts", "if amount < 0:", "if False:"),
    _limits(
        "absent amounts pass",
        "        if self.field not in facts.params:\n            return Finding(False,",
        "        if self.field not in facts.params:\n            return Finding(True,",
    ),
    _limits(
        "booleans are amounts",
        "    if isinstance(value, bool):\n        return None\n    if isinstance(value, int):",
        "    if isinstance(value, int):",
    ),
    _limits("signs in amounts", 'r"[0-9]+(?:\\.[0-9]+)?"', 'r"[+]?[0-9]+(?:\\.[0-9]+)?"'),
    _limits("exponents in amounts", 'r"[0-9]+(?:\\.[0-9]+)?"', 'r"[0-9]+(?:\\.[0-9]+)?(?:[eE][0-9]+)?"'),
    _limits("blanks in amounts", 'r"[0-9]+(?:\\.[0-9]+)?"', 'r" *[0-9]+(?:\\.[0-9]+)? *"'),
    _limits("digits of any script", 'r"[0-9]+(?:\\.[0-9]+)?"', 'r"\\d+(?:\\.\\d+)?"'),
    _limits("points at the end", 'r"[0-9]+(?:\\.[0-9]+)?"', 'r"[0-9]+(?:\\.[0-9]*)?"'),
    _limits(
        "strings are no amounts", "if isinstance(value, str) and _PLAIN_NUMBER.fullmatch(value):", "if False:"
    ),
    _limits("any currency", "if currency != self.currency:", "if False:"),
    _limits(
        "absent currency passes",
        "if currency != self.currency:",
        "if currency is not None and currency != self.currency:",
    ),
    _limits("absent is null", "holds = self.field in facts.params and any(", "holds = any("),
    _limits(
        "true is one",
        "if type(left) is not type(right):\n        return False",
        "if False:\n        return False",
    ),
    _limits(
        "lists by length",
        "return len(left) == len(right) and all(map(_same, left, right))",
        "return len(left) == len(right)",
    ),
    _limits(
        "parts of lists",
        "return len(left) == len(right) and all(map(_same, left, right))",
        "return all(map(_same, left, right))",
    ),
    _limits("keys unsorted in reasons", "for key in sorted(value)}", "for key in reversed(value)}"),
    _limits(
        "no ledger, no limit",
        'return Finding(False, "rate_limit: no audit log',
        'return Finding(True, "rate_limit: no audit log',
    ),
    _limits("one use more", "if used >= self.max:", "if used > self.max:"),
    _limits("the old edge counts", "count += moment > since", "count += moment >= since"),
    _limits("future receipts pass", "        if moment > now:\n", "        if False:\n"),
    _limits("an hour is a minute", '"hour": 3600 * SECOND', '"hour": 60 * SECOND'),
    _limits("a day is an hour", '"day": 86_400 * SECOND', '"day": 3600 * SECOND'),
    _load(
        "per minute by default",
        'entry["rate_limit"].get("per", "hour")',
        'entry["rate_limit"].get("per", "minute")',
        "rates",
    ),
    _yes(
        "another action",
        "if action.fingerprint != approval.action_fingerprint or approval.scheme not in (None, action.scheme):",
        "if approval.scheme not in (None, action.scheme):",
    ),
    _yes("another scheme", "or approval.scheme not in (None, action.scheme):", "or False:"),
    _yes("another instruction", "if action.intent_hash != approval.intent_hash:", "if False:"),
    _yes(
        "time does not pass",
        'return "expired" if limit is not None and now >= limit else self.status',
        "return self.status",
    ),
    _yes("one moment more", "now >= limit else self.status", "now > limit else self.status"),
    _yes(
        "consumed releases",
        'if status == "approved":\n        return Release("allow"',
        'if status in ("approved", "consumed"):\n        return Release("allow"',
    ),
    _yes(
        "denied releases",
        'if status == "approved":\n        return Release("allow"',
        'if status in ("approved", "denied"):\n        return Release("allow"',
    ),
    _yes(
        "pending releases",
        'if status == "approved":\n        return Release("allow"',
        'if status in ("approved", "pending"):\n        return Release("allow"',
    ),
    _yes("not consumed", 'approval.rule, "consumed")', 'approval.rule, "approved")'),
    _yes(
        "status first",
        "    status = approval.status_at(now)\n    # 1.",
        '    status = approval.status_at(now)\n    if status == "consumed":\n        return _refuse(ALREADY_USED, status)\n    # 1.',
    ),
    _yes(
        "unknown ids wait",
        'return Release("deny", (f"unknown approval id {approval_id!r}",), None, None)',
        'return Release("needs_approval", (f"unknown approval id {approval_id!r}",), None, None)',
    ),
    _votes(
        "one yes is enough",
        "done = len(approved_by) >= approval.required_approvers",
        "done = True",
        "SE-0054",
        "session",
    ),
    _votes(
        "one person votes twice", "if approver in approval.approved_by:", "if False:", "SE-0055", "session"
    ),
    _votes(
        "proposers approve",
        "if separate_duties and approver == approval.proposer:",
        "if False:",
        "SE-0060",
        "session",
    ),
    _votes(
        "decided again",
        '    if status != "pending":\n        text = expired',
        '    if status == "consumed":\n        text = expired',
    ),
    _engine(
        "release without compare-and-set",
        "not (approval is not None and transaction.consume(approval)):",
        "approval is None:",
    ),
    _engine(
        "no hazards on proposal",
        "        if hazards:\n            return _deny",
        "        if False:\n            return _deny",
    ),
    _engine(
        "hazards on release pass",
        "        if not refusal and hazards:\n",
        "        if False:\n",
        "SE-0034",
        "session",
    ),
    _engine(
        "forbidden on release passes",
        "    if forbidden is not None:\n",
        "    if False:\n",
        "SE-0047",
        "session",
    ),
    _engine(
        "no receipt before the broker",
        '    transaction.append(\n        _entry(action, "decision", "allow", None, written, approval_id), context=proposal.context\n    )\n',
        "",
    ),
    _engine("no policy digest", "(*reasons, rules.digest_reason) if phase", "reasons if phase"),
    _engine(
        "rate limits forgotten on release",
        "return tuple(finding.reason for finding in limits if not finding.holds)",
        "return ()",
        "SE-0051",
        "session",
    ),
)
