"""Loading a policy (§5, §5.1): what is refused, each beside the nearest text that is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from delego_conformance.generate.build import Suite, ok, refused
from delego_conformance.generate.policies import STORY, entry, policy, rule
from delego_conformance.vectors import Basis

SUITE: Final = Suite("policy", "PL", "Loading a policy", section="5.1")

NO_VECTOR: Final[dict[str, str]] = {
    "§2-1": "What an authorizer holds in its memory is not seen from outside.",
    "§2-2": "What an authorizer asks on the way to a decision is not seen from outside.",
    "§2-3": "Who controls a channel is a matter of how a system is deployed.",
}
OPEN_ERRATA: Final[dict[int, str]] = {}


def good(slug: str, comment: str, text: str, *, clauses: str = "5.1-1", **more: Any) -> None:
    """A policy that loads. Its control is a refusal that is easily got right: many others have this one."""
    SUITE.add(
        slug, comment, "policy_load", {"policy_text": text}, ok(), clauses=clauses, control="key-misspelt",
        **more,
    )  # fmt: skip


def bad(
    slug: str,
    comment: str,
    text: str,
    *,
    twin: str,
    flag: str,
    clauses: str = "5.1-1",
    says: Sequence[str] = (),
    basis: Basis = "spec",
    **more: Any,
) -> None:
    """A policy that is refused; ``twin`` is the slug of the nearest one that loads."""
    SUITE.add(
        slug, comment, "policy_load", {"policy_text": text}, refused(says=says), clauses=clauses,
        control=twin, flags=[flag], basis=basis, **more,
    )  # fmt: skip


def constrained(text: str) -> str:
    """A policy of one rule with these constraints."""
    return policy(rule(constraints=text))


# The whole file.
ONLY_DEFAULT: Final = "default: deny\n"
good("minimal", "A default is all that a policy needs.", ONLY_DEFAULT)
good("default-allow", "The default may be allow.", "default: allow\n")
good(
    "default-approval", "The default may be needs_approval.", "default: needs_approval\n",
)  # fmt: skip
good("story", "The policy of the examples in SPEC.md.", STORY, section="5")
good(
    "empty-lists", "No rules and nothing forbidden is a policy.", "default: deny\nforbidden: []\nrules: []\n",
)  # fmt: skip
good("version-1", "Version 1 is known.", "version: 1\ndefault: deny\n", clauses="1-6")
good("comments", "Comments are not part of the values.", "# what an agent may do\ndefault: deny # the rest\n", clauses="5.1-4")  # fmt: skip
bad("story-misspelt", "One misspelt key in a whole policy: the limit would be gone.",
    STORY.replace("rate_limit:", "rate_limits:"), twin="story", flag="UnknownKey",
    says=["unknown constraint"], clauses="5.1-1 5.1-3")  # fmt: skip

TOP: Final = (
    ("no-default", "Without a default, what happens to the rest is a guess.", "version: 1\nrules: []\n",
     "MissingDefault", ("default",)),
    ("default-word", "An unknown word.", "default: maybe\n", "UnknownWord", ("default",)),
    ("default-case", "The words are compared as they stand.", "default: Deny\n", "UnknownWord", ("default",)),
    ("default-null", "null is not a default.", "default: null\n", "NullValue", ("default",)),
    ("default-empty", "A key without a value is null.", "default:\n", "NullValue", ("default",)),
    ("default-boolean", "false is not deny.", "default: false\n", "WrongType", ("default",)),
    ("default-list", "A list of one word is not the word.", "default: [deny]\n", "WrongType", ("default",)),
    ("key-misspelt", "rule in place of rules: the rules would be gone.", "default: deny\nrule: []\n",
     "UnknownKey", ()),
    ("key-in-other-case", "Keys are compared as they stand.", "default: deny\nForbidden: []\n",
     "UnknownKey", ()),
    ("version-text", "A version is a number.", 'version: "1"\ndefault: deny\n', "WrongType", ()),
    ("version-null", "null is not a version.", "version: null\ndefault: deny\n", "NullValue", ()),
    ("version-true", "true is not 1.", "version: true\ndefault: deny\n", "WrongType", ()),
    ("rules-null", "null where a list belongs.", "default: deny\nrules: null\n", "NullValue", ()),
    ("rules-mapping", "A mapping where a list belongs.", "default: allow\nrules: {}\n", "WrongType", ()),
    ("forbidden-null", "null where a list belongs: nothing would be forbidden.",
     "default: allow\nforbidden:\n", "NullValue", ()),
    ("forbidden-mapping", "A mapping where a list belongs: nothing would be forbidden.",
     "default: allow\nforbidden: { name: a, match: { method: POST } }\n", "WrongType", ()),
    ("list", "A list is not a policy.", "- default: deny\n", "WrongType", ()),
    ("text", "A text is not a policy.", "default\n", "WrongType", ()),
    ("empty", "An empty file is not a policy.", "", "MissingDefault", ()),
    ("comment-only", "A file of comments is not a policy.", "# default: deny\n", "MissingDefault", ()),
)  # fmt: skip
for slug, comment, text, flag, says in TOP:
    bad(slug, comment, text, twin="minimal", flag=flag, says=says, clauses="5.1-1 5.1-3" if says else "5.1-1")
for slug, number in (("version-2", 2), ("version-0", 0)):
    bad(slug, "A version of the format that nobody knows yet.", f"version: {number}\ndefault: deny\n",
        twin="version-1", flag="UnknownVersion", clauses="1-6", basis="proposed")  # fmt: skip

# Keys that stand twice: the last one would win, without a word.
ONCE: Final = policy(rule(), forbidden=entry(), default="allow")
good("forbidden-once", "One list of forbidden entries.", ONCE, errata=19)
TWICE: Final = (
    ("forbidden-twice", "The second, empty list would drop all that is forbidden.", ONCE + "forbidden: []\n"),
    ("default-twice", "The last default would win.", "default: deny\n" + ONCE),
    ("default-twice-quoted", "A key in quotes is the same key.", '"default": deny\n' + ONCE),
    ("matcher-twice", "The last host would win.",
     policy(rule("{ host: a.example.com, host: b.example.com }"))),
    ("limit-twice", "The last max would win.", constrained("{ rate_limit: { max: 1, max: 1000 } }")),
    ("constraint-twice", "The last amount would win.",
     constrained("{ amount: { field: n, max: 1 }, amount: { field: n } }")),
    ("json-twice", "In JSON text, too.",
     '{"default": "allow", "forbidden": [{"name": "a", "match": {"method": "POST"}}], "forbidden": []}'),
)  # fmt: skip
for slug, comment, text in TWICE:
    bad(slug, comment, text, twin="forbidden-once", flag="DuplicateKey", errata=19)
good("json", "JSON text is a policy, too.",
     '{"default": "deny", "rules": [{"name": "a", "decision": "allow", "match": {"method": "GET"}}]}', clauses="5.1-9", level="MAY")  # fmt: skip

# Entries.
good("rule", "A rule with all that it needs.", policy(rule()))
good("described", "A description is allowed.", policy(rule(more="description: for people")))  # fmt: skip
good("forbidden", "An entry with all that it needs.", policy(forbidden=entry()))  # fmt: skip
good("needs-approval", "The other decision of a rule.", policy(rule(decision="needs_approval")), clauses="5.1-1 5.1-3")  # fmt: skip
ENTRIES: Final = (
    ("rule-without-name", "A rule has a name.",
     "default: deny\nrules: [{ decision: allow, match: { method: GET } }]\n", "MissingKey", ()),
    ("rule-without-match", "A rule has a match; without one it would be a second default.",
     "default: deny\nrules: [{ name: a, decision: allow }]\n", "MissingKey", ()),
    ("rule-without-decision", "A rule has a decision.",
     "default: deny\nrules: [{ name: a, match: { method: GET } }]\n", "MissingKey", ("decision",)),
    ("decision-deny", "What is denied stands under forbidden.", policy(rule(decision="deny")), "UnknownWord",
     ("decision",)),
    ("decision-word", "An unknown word.", policy(rule(decision="allowed")), "UnknownWord", ("decision",)),
    ("decision-null", "null is not a decision.", policy(rule(decision="null")), "NullValue", ("decision",)),
    ("decision-case", "The words are compared as they stand.", policy(rule(decision="ALLOW")), "UnknownWord",
     ("decision",)),
    ("name-null", "null is not a name.", policy(rule(name="null")), "NullValue", ()),
    ("name-number", "A number is not a name.", policy(rule(name="7")), "WrongType", ()),
    ("description-null", "null is not a description.", policy(rule(more="description:")), "NullValue", ()),
    ("description-number", "A number is not a description.", policy(rule(more="description: 7")), "WrongType",
     ()),
    ("constraint-misspelt", "constraint in place of constraints: no limit would hold.",
     policy(rule(more="constraint: { rate_limit: { max: 1 } }")), "UnknownKey", ()),
    ("forbidden-with-constraints", "A forbidden entry has no constraints: they would never be looked at.",
     policy(forbidden=entry(more="constraints: { amount: { field: n, max: 5 } }")), "UnknownKey", ()),
    ("forbidden-with-decision", "A forbidden entry has no decision.",
     policy(forbidden=entry(more="decision: allow")), "UnknownKey", ()),
    ("forbidden-without-match", "An entry without match would forbid nothing.",
     "default: allow\nforbidden: [{ name: a }]\n", "MissingKey", ()),
    ("rule-text", "A text is not a rule.", "default: deny\nrules: [read]\n", "WrongType", ()),
    ("rule-null", "null is not a rule.", "default: deny\nrules:\n  -\n", "NullValue", ()),
)  # fmt: skip
for slug, comment, text, flag, says in ENTRIES:
    bad(slug, comment, text, twin="forbidden" if slug.startswith("forbidden") else "rule", flag=flag,
        says=says, clauses="5.1-1 5.1-3" if says else "5.1-1")  # fmt: skip

# Names.
good("two-names", "Two rules of two names.", policy(rule(name="a"), rule("{ method: GET }", name="b")), clauses="5.1-8", errata=30)  # fmt: skip
good("names-by-case", "Names that differ in case are two names.",
     policy(rule(name="a"), rule("{ method: GET }", name="A")),
     clauses="5.1-8")  # fmt: skip
good("long-name", "A name of 200 characters.", policy(rule(name="n" * 200)),
     clauses="5.1-12")  # fmt: skip
bad("longer-name", "A name of 201 characters does not fit into every receipt.", policy(rule(name="n" * 201)),
    twin="long-name", flag="LongName", clauses="5.1-12", basis="proposed")  # fmt: skip
NAMES: Final = (
    ("same-name", "Two rules of one name would share a rate limit.",
     policy(rule(), rule("{ method: GET }"))),
    ("same-name-forbidden", "Two forbidden entries of one name.",
     policy(forbidden=entry() + entry("{ method: PUT }"))),
    ("same-name-across", "A rule and a forbidden entry of one name: which one decided?",
     policy(rule(), forbidden=entry(name="a"))),
)  # fmt: skip
for slug, comment, text in NAMES:
    bad(slug, comment, text, twin="two-names", flag="DuplicateName", clauses="5.1-1 5.1-8", basis="proposed",
        errata=30)  # fmt: skip

# Matches.
MATCHES: Final = (
    ("matcher-unknown", "{ hosts: api.example.com }", "UnknownKey", ("unknown match",)),
    ("matcher-unknown-beside", "{ method: GET, url: /x }", "UnknownKey", ("unknown match",)),
    ("match-null", "null", "NullValue", ()),
    ("match-list", "[GET]", "WrongType", ()),
    ("match-text", "GET", "WrongType", ()),
    ("host-null", "{ host: null }", "NullValue", ()),
    ("host-null-beside", "{ method: GET, host: null }", "NullValue", ()),
    ("host-list", "{ host: [api.example.com] }", "WrongType", ()),
    ("path-null", "{ method: GET, path: ~ }", "NullValue", ()),
    ("path-number", "{ path: 7 }", "WrongType", ()),
    ("contains-null", "{ path_contains: null, method: GET }", "NullValue", ()),
    ("contains-list", "{ path_contains: [/x] }", "WrongType", ()),
    ("method-null", "{ method: null, path: /x }", "NullValue", ()),
    ("method-number", "{ method: 5 }", "WrongType", ()),
    ("method-null-in-list", "{ method: [GET, null] }", "NullValue", ()),
    ("method-number-in-list", "{ method: [GET, 5] }", "WrongType", ()),
    ("method-true", "{ method: true }", "WrongType", ()),
)
good("match-all", "All four matchers.",
     policy(rule("{ method: [GET, PUT], host: api.example.com, path: /a/**, path_contains: /b }"),
            forbidden=entry("{ method: [GET, PUT], host: api.example.com, path: /a/*, path_contains: /c }")), clauses="5.1-1 5.1-3")  # fmt: skip
for slug, match, flag, says in MATCHES:
    clauses = "5.1-1 5.1-3" if says else "5.1-1"
    errata = () if says else (20,)
    bad(slug, f"A rule's match is {match}.", policy(rule(match)), twin="match-all", flag=flag, says=says,
        clauses=clauses, errata=errata)  # fmt: skip
for slug in ("matcher-unknown", "match-null", "host-null-beside", "method-number-in-list"):
    match, flag, says = next(row[1:] for row in MATCHES if row[0] == slug)
    bad(f"forbidden-{slug}", f"A forbidden entry's match is {match}: it would forbid nothing, or all.",
        policy(forbidden=entry(match)), twin="match-all", flag=flag, says=says,
        clauses="5.1-1 5.1-3" if says else "5.1-1", errata=() if says else 20)  # fmt: skip
EMPTY: Final = (
    ("match-empty", "{}"),
    ("method-empty", '{ method: "" }'),
    ("method-empty-list", "{ method: [] }"),
    ("method-empty-in-list", '{ method: [GET, ""] }'),
    ("host-empty", '{ host: "" }'),
    ("path-empty", '{ path: "" }'),
    ("contains-empty", '{ path_contains: "" }'),
)
for slug, match in EMPTY:
    where = "5-5 5.1-1" if slug == "match-empty" else "5.1-1"
    bad(slug, f"A rule's match is {match}.", policy(rule(match)), twin="match-all", flag="EmptyMatch",
        clauses=where, basis="proposed", errata=21)  # fmt: skip
    bad(f"forbidden-{slug}", f"A forbidden entry's match is {match}.", policy(forbidden=entry(match)),
        twin="match-all", flag="EmptyMatch", clauses=where, basis="proposed", errata=21)  # fmt: skip

# Spellings in a match that would be read in more than one way, or fit nothing.
SPELLED: Final = (
    ("glob-star", "{ path: '/a/*/c**' }", "5.1-6"),
    ("glob-star-first", "{ path: '*/c' }", "5.1-6"),
    ("host-port", "{ host: 'api.example.com:8443' }", "5.1-7 5.1-10"),
    ("host-ipv6", "{ host: '[2001:db8::1]' }", "5.1-7"),
    ("path-escaped", "{ path: /donn%C3%A9es }", "5.1-10"),
    ("contains-star", "{ path_contains: '/a*b' }", "5-4 5.1-10"),
)  # fmt: skip
for slug, match, clauses in SPELLED:
    good(slug, f"The match {match} may stand.", policy(rule(match)), clauses=clauses)
GLOBS: Final = (
    ("glob-question", "'/a?c'", "glob-star"), ("glob-class", "'/[ab]c'", "glob-star"),
    ("glob-class-end", "'/a]'", "glob-star"), ("glob-backslash", "'/a\\*'", "glob-star"),
    ("glob-fragment", "'/a#b'", "glob-star"), ("glob-bare", "'orders'", "glob-star-first"),
)  # fmt: skip
for slug, text, twin in GLOBS:
    bad(slug, f"A pattern {text}: programs differ on what it fits.", policy(rule(f"{{ path: {text} }}")),
        twin=twin, flag="GlobDialect", clauses="5.1-6", basis="proposed", errata=22)  # fmt: skip
VAIN: Final = (
    ("host-wildcard", "{ host: '*.example.com' }", "host-port", "5.1-7"),
    ("host-scheme", "{ host: 'https://api.example.com' }", "host-port", "5.1-7"),
    ("host-path", "{ host: 'api.example.com/x' }", "host-port", "5.1-7"),
    ("host-non-ascii", "{ host: b\u00fccher.example }", "host-port", "5.1-7"),
    ("host-default-port", "{ host: 'api.example.com:443' }", "host-port", "5.1-10"),
    ("host-http-port", "{ host: 'api.example.com:80' }", "host-port", "5.1-10"),
    ("host-trailing-dot", "{ host: api.example.com. }", "host-port", "5.1-10"),
    ("path-unescaped", "{ path: /donn\u00e9es }", "path-escaped", "5.1-10"),
    ("path-blank", "{ path: '/a b' }", "path-escaped", "5.1-10"),
    ("path-lower-escape", "{ path: /donn%c3%a9es }", "path-escaped", "5.1-10"),
    ("path-needless-escape", "{ path: '/%61dmin' }", "path-escaped", "5.1-10"),
    ("contains-unescaped", "{ path_contains: /donn\u00e9es }", "contains-star", "5.1-10"),
    ("contains-lower-escape", "{ path_contains: '%c3%a9' }", "contains-star", "5.1-10"),
)  # fmt: skip
for slug, match, twin, clauses in VAIN:
    bad(slug, f"An entry that forbids {match} would forbid nothing.",
        policy(forbidden=entry(match), default="allow"), twin=twin, flag="VainMatcher", clauses=clauses,
        basis="proposed", errata=23 if "path" in match else 24)  # fmt: skip

# Constraints: each stands under the name of the twin that loads.
CONSTRAINTS: Final = {
    "amount": ("{ amount: { field: n, max: 5000, currency: USD } }", (
        ("amount-null", "{ amount: null }", "NullConstraint"),
        ("amount-list", "{ amount: [] }", "WrongType"),
        ("amount-number", "{ amount: 5000 }", "WrongType"),
        ("amount-without-field", "{ amount: { max: 5000 } }", "MissingKey"),
        ("amount-unknown-key", "{ amount: { field: n, maximum: 5000 } }", "UnknownKey"),
        ("amount-max-null", "{ amount: { field: n, max: null } }", "NullConstraint"),
        ("amount-max-text", '{ amount: { field: n, max: "5000" } }', "WrongType"),
        ("amount-max-true", "{ amount: { field: n, max: true } }", "WrongType"),
        ("amount-max-list", "{ amount: { field: n, max: [5000] } }", "WrongType"),
        ("amount-field-null", "{ amount: { field: null, max: 5000 } }", "NullValue"),
        ("amount-field-number", "{ amount: { field: 7, max: 5000 } }", "WrongType"),
        ("currency-null", "{ amount: { field: n, currency: null } }", "NullConstraint"),
        ("currency-number", "{ amount: { field: n, currency: 840 } }", "WrongType"),
    )),
    "allow-list": ("{ allow_list: { field: to, in: [internal] } }", (
        ("allow-list-null", "{ allow_list: null }", "NullConstraint"),
        ("allow-list-bare", "{ allow_list: [internal] }", "WrongType"),
        ("allow-list-without-in", "{ allow_list: { field: to } }", "MissingKey"),
        ("allow-list-without-field", "{ allow_list: { in: [internal] } }", "MissingKey"),
        ("allow-list-text", "{ allow_list: { field: to, in: internal } }", "SubstringMatch"),
        ("allow-list-in-null", "{ allow_list: { field: to, in: null } }", "NullConstraint"),
        ("allow-list-mapping", "{ allow_list: { field: to, in: { internal: true } } }", "WrongType"),
        ("allow-list-unknown-key", "{ allow_list: { field: to, in: [a], not_in: [b] } }", "UnknownKey"),
    )),
    "rate-limit": ("{ rate_limit: { max: 50, per: day } }", (
        ("rate-limit-null", "{ rate_limit: null }", "NullConstraint"),
        ("rate-limit-number", "{ rate_limit: 50 }", "WrongType"),
        ("rate-limit-without-max", "{ rate_limit: { per: day } }", "MissingKey"),
        ("rate-limit-max-null", "{ rate_limit: { max: null } }", "NullConstraint"),
        ("rate-limit-max-text", '{ rate_limit: { max: "50" } }', "WrongType"),
        ("rate-limit-max-half", "{ rate_limit: { max: 1.5 } }", "WrongType"),
        ("rate-limit-max-true", "{ rate_limit: { max: true } }", "WrongType"),
        ("rate-limit-per-word", "{ rate_limit: { max: 50, per: week } }", "UnknownWord"),
        ("rate-limit-per-null", "{ rate_limit: { max: 50, per: null } }", "NullConstraint"),
        ("rate-limit-per-case", "{ rate_limit: { max: 50, per: Day } }", "UnknownWord"),
        ("rate-limit-unknown-key", "{ rate_limit: { max: 50, window: day } }", "UnknownKey"),
    )),
}  # fmt: skip
for twin, (accepted, refusals) in CONSTRAINTS.items():
    good(twin, f"The constraints {accepted}.", constrained(accepted), errata=20)
    for slug, text, flag in refusals:
        bad(slug, f"The constraints {text}: skipped, they would let everything pass.", constrained(text),
            twin=twin, flag=flag, errata=20)  # fmt: skip
bad("constraints-null", "null where constraints belong.", constrained("null"), twin="amount",
    flag="NullConstraint", errata=20)  # fmt: skip
bad("constraints-list", "A list where constraints belong.", constrained("[{ amount: { field: n } }]"),
    twin="amount", flag="WrongType", errata=20)  # fmt: skip
bad("constraint-unknown", "A misspelt constraint is not one that holds.",
    constrained("{ amuont: { field: n, max: 5000 } }"), twin="amount", flag="UnknownKey",
    says=["unknown constraint"], clauses="5.1-1 5.1-3")  # fmt: skip
bad("two-problems", "A refusal lists every problem.",
    policy(rule("{ hosts: x }"), rule(name="b", constraints="{ rate: { max: 1 } }")), twin="story",
    flag="UnknownKey", says=["unknown match", "unknown constraint"], clauses="5.1-2", level="SHOULD",
    basis="proposed")  # fmt: skip

# YAML.
good("plain-number", "A limit in plain digits.", constrained("{ amount: { field: n, max: 1000.5 } }"), clauses="5.1-4 5.1-13", errata=19)  # fmt: skip
good("number-in-quotes", "In quotes, every spelling is text.",
     constrained("{ allow_list: { field: n, in: ['0x1F', '1e3', '.inf', '012'] } }"), clauses="5.1-13", errata=19)  # fmt: skip
NUMBERS: Final = (
    ("number-octal", "012", "ten in YAML 1.1, twelve in 1.2", "5.1-4 5.1-13"),
    ("number-zeros", "05000", "2560 in YAML 1.1", "5.1-4 5.1-13"),
    ("number-sexagesimal", "1:30", "90 in YAML 1.1, a text in 1.2", "5.1-4"),
    ("number-underscore", "1_000", "1000 in YAML 1.1, a text in 1.2", "5.1-4"),
    ("number-exponent", "1e3", "a text in YAML 1.1, 1000 in 1.2", "5.1-13"),
    ("number-hexadecimal", "0x1F", "no JSON number", "5.1-13"),
    ("number-octal-12", "0o17", "a text in YAML 1.1, 15 in 1.2", "5.1-13"),
    ("number-plus", "+5", "no JSON number", "5.1-13"),
    ("number-bare-point", ".5", "no JSON number", "5.1-13"),
    ("number-last-point", "5.", "no JSON number", "5.1-13"),
    ("number-infinite", ".inf", "a limit that never holds back", "5.1-4 5.1-13"),
    ("number-none", ".nan", "a limit that nothing compares with", "5.1-4 5.1-13"),
)  # fmt: skip
for slug, text, meaning, clauses in NUMBERS:
    bad(slug, f"A max of {text}: {meaning}.", constrained(f"{{ amount: {{ field: n, max: {text} }} }}"),
        twin="plain-number", flag="YamlVersion", clauses=clauses, basis="proposed", errata=19)  # fmt: skip
bad("number-in-list", "A number that programs read differently, among the values that pass.",
    constrained("{ allow_list: { field: n, in: [012] } }"), twin="number-in-quotes", flag="YamlVersion",
    clauses="5.1-4 5.1-13", basis="proposed", errata=19)  # fmt: skip
bad("number-digits", "More digits than a double keeps: the limit that is read is another one.",
    constrained("{ amount: { field: n, max: 0.30000000000000001 } }"), twin="plain-number",
    flag="YamlVersion", clauses="5.1-15", basis="proposed", errata=26)  # fmt: skip
good("text-key", "A key in quotes is text.",
     constrained('{ allow_list: { field: n, in: [{ "1": a }] } }'),
     clauses="5.1-14")  # fmt: skip
bad("number-key", "JSON has no keys but text.", constrained("{ allow_list: { field: n, in: [{ 1: a }] } }"),
    twin="text-key", flag="YamlFeature", clauses="5.1-14", basis="proposed")  # fmt: skip
bad("null-key", "A null for a key.", "default: deny\n~: x\n", twin="minimal", flag="YamlFeature",
    clauses="5.1-1 5.1-14", basis="proposed")  # fmt: skip
PLAIN: Final = "default: deny\nrules:\n" + rule(constraints="{ amount: { field: n, max: 5 } }")
good("no-yaml-features", "A policy that uses no feature of YAML but its values.", PLAIN,
     clauses="5.1-5", errata=19)  # fmt: skip
good("document-start", "One document may be opened by three dashes.", f"---\n{PLAIN}", clauses="5.1-5", errata=19)  # fmt: skip
LIMITS: Final = "{ field: n, max: 5 }"
FEATURES: Final = (
    ("anchor", "An anchor, even unused.", PLAIN.replace(LIMITS, f"&cap {LIMITS}")),
    ("anchor-and-alias", "What an alias stands for is read far away from it.",
     PLAIN.replace(LIMITS, f"&cap {LIMITS}")
     + rule("{ method: GET }", name="b", constraints="{ amount: *cap }")),
    ("merge-key", "A merge key, which YAML 1.2 does not know: its limit would be gone, or not.",
     PLAIN.replace(LIMITS, "{ <<: { max: 5 }, field: n }")),
    ("tag", "A tag turns text into something else.", PLAIN.replace("max: 5", 'max: !!int "5"')),
    ("own-tag", "A tag of one program.", PLAIN.replace("default: deny", "default: !env deny")),
    ("directive", "A directive.", f"%YAML 1.2\n---\n{PLAIN}"),
    ("directive-1.1", "A directive for another YAML.", f"%YAML 1.1\n---\n{PLAIN}"),
    ("two-documents", "Of two documents, which one counts?", f"{PLAIN}---\ndefault: allow\n"),
    ("two-documents-empty", "A second document that is empty.", f"{PLAIN}---\n"),
)  # fmt: skip
for slug, comment, text in FEATURES:
    bad(slug, comment, text, twin="document-start" if "doc" in slug else "no-yaml-features",
        flag="YamlFeature", clauses="5.1-5", basis="proposed", errata=19)  # fmt: skip
bad("not-yaml", "A bracket that is never closed.", "default: deny\nrules: [\n", twin="minimal",
    flag="WrongType", clauses="5.1-4", basis="spec")  # fmt: skip

# Characters that reorder what a person reads.
good("reordering-escaped", "Escaped, such a character reorders nothing in the file.",
     policy(rule(more='description: "right to left: \\u202e"')),
     clauses="5.1-11")  # fmt: skip
good("joiner", "A joiner inside an emoji reorders nothing.",
     policy(rule(more='description: "\U0001f469\u200d\U0001f4bb"')),
     clauses="5.1-11")  # fmt: skip
good("line-ends-escaped", "Escaped, they end no line.",
     policy(rule(more='description: "one \\u0085 two \\u2028 three \\u2029"')), clauses="5.1-16")  # fmt: skip
for character in "\u0085\u2028\u2029":
    bad(f"line-end-{ord(character):04x}", f"U+{ord(character):04X} in a comment ends its line in YAML 1.1 alone.",
        policy(rule(more=f"# a {character}wolla")), twin="line-ends-escaped", flag="YamlVersion",
        clauses="5.1-16", basis="proposed", errata=19)  # fmt: skip
REORDERING: Final = (("override", "\u202e"), ("isolate", "\u2066"), ("mark", "\u200f"), ("arabic", "\u061c"))
for slug, character in REORDERING:
    bad(f"reordering-{slug}", f"U+{ord(character):04X} in a comment: a person would read another policy.",
        policy(rule(more=f"# {character}wolla")), twin="reordering-escaped", flag="HiddenText",
        clauses="5.1-11", basis="proposed")  # fmt: skip
good("host-of-a-tool", "A host may be the name of a tool.", policy(rule("{ host: files }")), clauses="5.1-10")  # fmt: skip
VALUES: Final = "{ allow_list: { field: to, in: [%s] } }"
for slug, comment, value in (
    ("radix", "A hexadecimal number where any value may stand.", "0x1F"),
    ("octal", "An octal number where any value may stand.", "0o17"),
    ("exponent", "An exponent where any value may stand.", "1e3"),
    ("infinity", "Infinity where any value may stand.", ".inf"),
):
    good(f"value-{slug}-quoted", "In quotes it is text.", constrained(VALUES % f'"{value}"'),
         clauses="5.1-13")  # fmt: skip
    bad(f"value-{slug}", comment, constrained(VALUES % value), twin=f"value-{slug}-quoted", flag="YamlVersion",
        clauses="5.1-13", basis="proposed")  # fmt: skip
bad("value-merge-key", "A merge key where any value may stand.", constrained(VALUES % "{ <<: { a: 1 } }"),
    twin="value-radix-quoted", flag="YamlFeature", clauses="5.1-5", basis="proposed", errata=19)  # fmt: skip
bad("directive-tag", "A directive about tags.", f"%TAG ! tag:example.com,2026:\n---\n{PLAIN}",
    twin="value-radix-quoted", flag="YamlFeature", clauses="5.1-5", basis="proposed", errata=19)  # fmt: skip
bad("quoted-line-end-2028", "U+2028 inside quotes, where YAML 1.1 would fold it into a blank.",
    policy(rule(more='description: "one\u2028two"')), twin="line-ends-escaped", flag="YamlVersion",
    clauses="5.1-16", basis="proposed", errata=19)  # fmt: skip
