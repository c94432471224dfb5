"""Mutants of what is hashed: canonical JSON, action, query, hazards, the rebuilt URL."""

from __future__ import annotations

from typing import Final

from mutants_model import Mutant, of

_json = of("delego_spec.canonical", "canonical", "fingerprint")
_action = of("delego_spec.action", "fingerprint", "query", "instruction")
_query = of("delego_spec.action", "query")
_trim = of("delego_spec.action", "instruction")
_hazard = of("delego_spec.hazards", "hazards")
_host = of("delego_spec.hosts", "hazards")
_url = of("delego_spec.gateway", "broker")

_HOST: Final = '"host", (authority or "").lower())'
_PATH: Final = '"path", path or "/")'
_METHOD: Final = "self.method.upper() if self.method.isascii() else self.method)"
_STRIP: Final = "text = instruction.strip(_WHITE_SPACE)"
_PAIR: Final = 'name, _, value = segment.partition("=")'
_SPLIT: Final = 'for segment in raw.split("&"):'
_UNQUOTE: Final = 'return unquote_plus(text) if "%" in text or "+" in text else text'
_DISPUTED: Final = "if text and (text[0] in _DISPUTED or text[-1] in _DISPUTED):"

HASHING: Final[tuple[Mutant, ...]] = (
    _json(
        "whole floats stay floats",
        "    if number.is_integer():\n        return _checked_integer(int(number))\n",
        "",
    ),
    _json("last duplicate wins", "if len(members) != len(pairs):", "if False:"),
    _json("NaN is zero", 'raise _MemberError(f"contains {name}, which is not JSON")', "return 0"),
    _json("any integer", "if -MAX_INTEGER <= number <= MAX_INTEGER:", "if True:"),
    _json("one integer more", "MAX_INTEGER: Final = 2**53 - 1", "MAX_INTEGER: Final = 2**53"),
    _json("smaller fractions", "MIN_FRACTION: Final = 1e-4", "MIN_FRACTION: Final = 1e-5"),
    _json("fractions end early", "abs(number) < MIN_FRACTION", "abs(number) <= MIN_FRACTION"),
    _json("disputed key orders", "if not ascii_keys and sorted(result)", "if ascii_keys and sorted(result)"),
    _json("one level deeper", "MAX_DEPTH: Final = 64", "MAX_DEPTH: Final = 65"),
    _json("one level less", "MAX_DEPTH: Final = 64", "MAX_DEPTH: Final = 63"),
    _json("keys as they come", 'order="deterministic"', "order=None"),
    _json(
        "nulls dropped",
        "            result[key] = _normalise(item, depth)",
        "            if item is not None:\n                result[key] = _normalise(item, depth)",
    ),
    _json(
        "booleans are numbers",
        "    if value is None or kind is bool:\n        return value",
        "    if kind is bool:\n        return int(value)\n    if value is None:\n        return value",
    ),
    _json("mark of byte order ignored", "data.decode(),", 'data.decode("utf-8-sig"),'),
    _json(
        "text normalised",
        "return value if value.isascii() else _checked_text(value)",
        'return value if value.isascii() else __import__("unicodedata").normalize("NFC", value)',
    ),
    _action("method as written", _METHOD, "self.method)"),
    _action("method upper-cased in Unicode", _METHOD, "self.method.upper())"),
    _action("host as written", _HOST, '"host", authority or "")'),
    _action("host without port", _HOST, '"host", (authority or "").lower().split(":")[0])'),
    _action("host without default port", _HOST, '"host", (authority or "").lower().removesuffix(":443"))'),
    _action("host without user", _HOST, '"host", (authority or "").lower().rpartition("@")[2])'),
    _action("host without last dot", _HOST, '"host", (authority or "").lower().rstrip("."))'),
    _action("empty path stays", _PATH, '"path", path)'),
    _action("path decoded", _PATH, '"path", __import__("urllib.parse").parse.unquote(path or "/"))'),
    _action("dot segments removed", _PATH, '"path", __import__("posixpath").normpath(path or "/"))'),
    _action("path in lower case", _PATH, '"path", (path or "/").lower())'),
    _action("slashes merged", _PATH, '"path", (path or "/").replace("//", "/"))'),
    _action("last slash dropped", _PATH, '"path", (path or "/").rstrip("/") or "/")'),
    _action("path parameters dropped", _PATH, '"path", (path or "/").partition(";")[0])'),
    _action("query not bound", '            "query": query,\n', ""),
    _action(
        "scheme bound",
        '            "query": query,\n',
        '            "query": query,\n            "scheme": self.scheme,\n',
    ),
    _action("params not bound", '            "params": self.params,\n', '            "params": {},\n'),
    _trim("not trimmed", _STRIP, "text = instruction"),
    _trim("trimmed as Python does", _STRIP, "text = instruction.strip()"),
    _trim("ASCII trimmed", _STRIP, 'text = instruction.strip(" \\t\\n\\r")'),
    _trim("trimmed in front", _STRIP, "text = instruction.lstrip(_WHITE_SPACE)"),
    _trim("in lower case", _STRIP, "text = instruction.strip(_WHITE_SPACE).lower()"),
    _trim("blanks collapsed", _STRIP, 'text = " ".join(instruction.split())'),
    _trim("disputed ends accepted", _DISPUTED, "if False:"),
    _trim("disputed begin accepted", _DISPUTED, "if text and text[-1] in _DISPUTED:"),
    _query("empty segments dropped", _SPLIT, 'for segment in filter(None, raw.split("&")):'),
    _query("decoded before the split", _SPLIT, 'for segment in unquote_plus(raw).split("&"):'),
    _query("split on semicolons", _SPLIT, 'for segment in re.split("[&;]", raw):'),
    _query(
        "split on the last =",
        _PAIR,
        'name, _, value = segment.rpartition("=") if "=" in segment else (segment, "", "")',
    ),
    _query(
        "names without value dropped",
        _PAIR,
        'name, sign, value = segment.partition("=")\n        if segment and not sign:\n            continue',
    ),
    _query("decoded twice", _UNQUOTE, "return unquote_plus(unquote_plus(text))"),
    _query("latin-1", _UNQUOTE, 'return unquote_plus(text, encoding="latin-1")'),
    _query("plus stays", _UNQUOTE, 'return __import__("urllib.parse").parse.unquote(text)'),
    _query("not decoded", _UNQUOTE, "return text"),
    _query("pairs as they come", "    pairs.sort()\n", ""),
    _query("pairs sorted by name", "pairs.sort()", "pairs.sort(key=lambda pair: pair[0])"),
    _query(
        "pairs sorted without case", "pairs.sort()", "pairs.sort(key=lambda pair: (pair[0].lower(), pair[1]))"
    ),
    _query(
        "pairs sorted by UTF-16",
        "pairs.sort()",
        'pairs.sort(key=lambda pair: [text.encode("utf-16-be") for text in pair])',
    ),
    _query("duplicates merged", "return tuple(pairs)", "return tuple(dict.fromkeys(pairs))"),
    _hazard(
        "dot segments pass",
        'if any(_DOTS.fullmatch(segment.partition(";")[0]) for segment in segments):',
        "if False:",
    ),
    _hazard(
        "dots with parameters pass",
        'segment.partition(";")[0]) for segment in segments',
        "segment) for segment in segments",
    ),
    _hazard("empty segments pass", 'if "" in segments[1:-1]:', "if False:"),
    _hazard(
        "escapes in lower case pass", "if any(escape != escape.upper() for escape in escapes):", "if False:"
    ),
    _hazard("needless escapes pass", "if _LITERAL.fullmatch(chr(int(escape[1:], 16))):", "if False:"),
    _hazard(
        "escaped slashes pass",
        'if escape.upper() in ("%2F", "%5C", "%25"):',
        'if escape.upper() in ("%5C", "%25"):',
    ),
    _hazard("escaped percents pass", 'in ("%2F", "%5C", "%25"):', 'in ("%2F", "%5C"):'),
    _hazard(
        "invalid UTF-8 passes",
        "        except UnicodeDecodeError:  # all invalid bytes decode to U+FFFD, and share one fingerprint\n            invalid = True",
        "        except UnicodeDecodeError:\n            invalid = False",
    ),
    _hazard("escaped controls pass", "control = control or _CONTROL.search(decoded) is not None", "pass"),
    _hazard("broken escapes pass", "if _BROKEN_ESCAPE.search(text):", "if False:"),
    _hazard("fragments pass", "if fragment is not None:  # never sent", "if False:  # never sent"),
    _hazard("any method", "if _METHOD.fullmatch(method) is None:\n        yield", "if False:\n        yield"),
    _hazard("empty instructions pass", 'if trim(instruction) == "":', "if False:"),
    _hazard("long instructions pass", "if size > MAX_INSTRUCTION:", "if False:"),
    _hazard("control characters pass", "if control is not None:", "if False:"),
    _hazard("reordered text passes", "if bidi is not None:", "if False:"),
    _hazard("order of repeats passes", 'if value < values.get(name, ""):', "if False:"),
    _hazard(
        "http anywhere", "if authority not in plain_http_hosts and not is_loopback(authority):", "if False:"
    ),
    _hazard("https for plain hosts", "        if authority in plain_http_hosts:\n", "        if False:\n"),
    _hazard(
        "any scheme",
        '    elif scheme not in _TOOL_SCHEMES:\n        yield Hazard("scheme"',
        '    elif False:\n        yield Hazard("scheme"',
    ),
    _hazard(
        "tools without operation",
        'if scheme in _TOOL_SCHEMES and (path == "" or path[-1] == "/"):',
        "if False:",
    ),
    _hazard("long urls pass", "if len(url) > MAX_URL:", "if False:"),
    _host("escapes in hosts pass", 'if "%" in found:  #', "if False:  #"),
    _host("foreign letters pass", "if any(not char.isascii() for char in found):", "if False:"),
    _host("last dots pass", 'yield "host ends with a dot; leave it out"', "pass"),
    _host("empty labels pass", 'if "" in labels:', "if False:"),
    _host("numbers as hosts pass", "if _QUAD.fullmatch(host) is None:", "if False:"),
    _host(
        "names without dot pass", 'if len(labels) == 1 and labels[0] not in ("", "localhost"):', "if False:"
    ),
    _host("hidden IPv4 passes", "if int(address) >> 32 in (0, 0xFFFF) and int(address) > 1:", "if False:"),
    _host("any IPv6 spelling", "elif address.compressed != text:", "elif False:"),
    _host("default ports pass", "elif port == default_port:", "elif False:"),
    _host("any port", "if _PORT.fullmatch(port) is None or int(port) > MAX_PORT:", "if False:"),
    _host(
        "tool names with dots",
        "_LABEL.fullmatch(authority) is None\n        or _NUMBER",
        "False\n        or _NUMBER",
    ),
    _host("tool names in upper case", "or authority != authority.lower()", "or False"),
    _url("fragments sent", "if action.fragment is not None:", "if action.fragment:"),
    _url(
        "dot segments sent",
        'if any(_DOT_SEGMENT.fullmatch(segment) for segment in action.path.split("/")):',
        "if False:",
    ),
    _url("user information sent", "if _HOST.fullmatch(action.host) is None:", "if False:"),
)
