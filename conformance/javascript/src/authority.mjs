// The hazards of scheme and authority (§4-14, §4-15): the authority decides the scheme, and one host has
// one spelling.

const KNOWN_SCHEMES = ["https", "http", "mcp", "tool"];
const MAX_HOST_CHARACTERS = 253;
const NUMBER_LABEL = /^(?:[0-9]+|0[xX][0-9a-fA-F]*)$/;
const SCHEME_FORM = /^[A-Za-z][A-Za-z0-9+.-]*$/;
const DOTTED_QUAD = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;

/**
 * @param {string | null} scheme as written
 * @param {string | null} authority as written
 * @param {string[]} plainHttpHosts
 * @returns {{scheme: string[], authority: string[], isTool: boolean, isUrl: boolean}} without a scheme
 *   or without `//` it is no URL, and nothing more is said of its parts
 */
export function authorityHazards(scheme, authority, plainHttpHosts) {
  const name = (scheme ?? "").toLowerCase();
  const isTool = name === "mcp" || name === "tool";
  const host = (authority ?? "").toLowerCase();
  const found = { scheme: schemeHazards(scheme, name, host, plainHttpHosts), authority: [], isTool, isUrl: true };
  if (scheme === null || !SCHEME_FORM.test(scheme)) return { ...found, isUrl: false };
  if (authority === null) {
    const missing = "authority is missing, because '//' does not follow the scheme; write https://";
    return { ...found, authority: KNOWN_SCHEMES.includes(name) ? [missing] : [], isUrl: false };
  }
  if (isTool) {
    if (!isToolName(authority)) {
      found.authority.push(
        "authority is not the name of a tool or server; write one name of at most 63 lower-case letters, " +
          "digits, '-' and '_', without dot, port or user information, not a number and not localhost",
      );
    }
  } else {
    found.authority.push(...hostHazards(authority, name === "http" ? ["80"] : ["443"]));
  }
  return found;
}

function schemeHazards(scheme, name, host, plainHttpHosts) {
  if (scheme === null || !SCHEME_FORM.test(scheme)) {
    return ["scheme is missing or malformed; begin with https://, mcp:// or tool://"];
  }
  if (!KNOWN_SCHEMES.includes(name)) return [`scheme '${name}' is not allowed; write https, mcp or tool`];
  const isPlain = plainHttpHosts.some((each) => each.toLowerCase() === host);
  if (name === "http" && !isPlain && !isLoopback(host)) {
    return ["scheme http is for loopback hosts and hosts configured as plain http only; write https"];
  }
  if (name === "https" && isPlain) return ["scheme https is not for this host, which is configured as plain http; write http"];
  return [];
}

/**
 * @param {string} host lower-cased authority
 * @returns {boolean}
 */
export function isLoopback(host) {
  const { name, port } = splitPort(host);
  if (port !== null && !/^[0-9]*$/.test(port)) return false;
  return name === "localhost" || name === "[::1]" || (name.startsWith("127.") && DOTTED_QUAD.test(name));
}

/**
 * Whether an authority is the name of a tool or server (§4-15).
 * @param {string} authority
 * @returns {boolean}
 */
export function isToolName(authority) {
  return /^[a-z0-9_-]{1,63}$/.test(authority) && !NUMBER_LABEL.test(authority) && authority !== "localhost"
    && !authority.startsWith("-") && !authority.endsWith("-");
}

function splitPort(host) {
  const match = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(host);
  return match === null ? { name: host, port: null } : { name: match[1], port: match[2] ?? null };
}

/**
 * What is wrong with the authority of an http or https URL.
 * @param {string} authority as written; some letters beyond ASCII are ASCII in lower case
 * @param {string[]} defaultPorts
 * @returns {string[]}
 */
export function hostHazards(authority, defaultPorts) {
  const host = authority.toLowerCase();
  if (host === "") return ["authority is empty; write the host"];
  const found = [];
  if (host.includes("@")) found.push("authority has user information before '@'; write the host alone");
  if (host.includes("%")) found.push("authority has a percent escape; write the host literally");
  if (host.includes("\\")) found.push("authority has a backslash; write the host alone");
  if (/[^\u0000-\u007f]/.test(authority)) found.push("host has non-ASCII characters; write it in punycode (xn--)");
  if (found.length > 0) return found;
  const { name, port } = splitPort(host);
  return [...portHazards(port, defaultPorts), ...(name.startsWith("[") ? ipv6Hazards(name) : nameHazards(name))];
}

function portHazards(port, defaultPorts) {
  if (port === null) return [];
  if (!/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > 65535) {
    return ["port is not a number from 1 to 65535 without leading zeros; write it so, or leave it out"];
  }
  return defaultPorts.includes(port) ? [`port ${port} is the default of the scheme; leave it out`] : [];
}

function nameHazards(name) {
  if (name === "") return ["authority is empty; write the host"];
  if (name.endsWith(".")) return ["host ends with a dot; leave it out"];
  if (name.length > MAX_HOST_CHARACTERS) return [`host has more than ${MAX_HOST_CHARACTERS} characters`];
  const labels = name.split(".");
  if (labels.includes("")) return ["host has an empty label; write each name between the dots"];
  const problems = labels.map(labelProblem).filter((problem) => problem !== null);
  if (problems.length > 0) return [problems[0]];
  if (NUMBER_LABEL.test(labels.at(-1)) && !DOTTED_QUAD.test(name)) {
    return ["host is a number, but no IPv4 address in canonical form; write four decimal numbers"];
  }
  if (labels.length === 1 && name !== "localhost") {
    return ["host has no dot, which is the form of a tool name; write the full name of the host"];
  }
  return [];
}

function labelProblem(label) {
  if (!/^[a-z0-9_-]*$/.test(label)) return "host has a character other than letters, digits, '-', '_' and dots";
  if (label.length > 63) return "host has a label of more than 63 characters";
  if (label.startsWith("-") || label.endsWith("-")) return "host has a label with '-' at an end";
  if (label.slice(2, 4) === "--" && !label.startsWith("xn--")) return "host has '--' at the third place of a label";
  return null;
}

function ipv6Hazards(literal) {
  const text = literal.slice(1, -1);
  if (!literal.endsWith("]") || !/^[0-9a-f:.]+$/.test(text)) {
    return ["host is no IPv6 address; write one in canonical form, without a zone"];
  }
  if (text.includes(".")) return ["host is an IPv4 address inside an IPv6 address; write four decimal numbers"];
  const groups = ipv6Groups(text);
  if (groups === null) return ["host is no IPv6 address; write one in canonical form, without a zone"];
  const leading = groups.slice(0, 5).every((group) => group === 0);
  const isLow = groups[5] === 0 && (groups[6] !== 0 || groups[7] > 1); // ::/96, but not :: and ::1
  if (leading && (groups[5] === 0xffff || isLow)) {
    return ["host is an IPv4 address inside an IPv6 address; write four decimal numbers"];
  }
  const canonical = ipv6Text(groups);
  return canonical === text ? [] : [`host is no canonical IPv6 address; write [${canonical}]`];
}

function ipv6Groups(text) {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const read = (half) => (half === "" ? [] : half.split(":"));
  const [before, after] = [read(halves[0]), read(halves[1] ?? "")];
  const missing = 8 - before.length - after.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const all = [...before, ...Array(missing).fill("0"), ...after];
  return all.every((group) => /^[0-9a-f]{1,4}$/.test(group)) ? all.map((group) => parseInt(group, 16)) : null;
}

// RFC 5952: the first of the longest runs of two and more zeros becomes `::`.
function ipv6Text(groups) {
  let best = { from: -1, length: 1 };
  for (let from = 0; from < 8; from += 1) {
    let length = 0;
    while (from + length < 8 && groups[from + length] === 0) length += 1;
    if (length > best.length) best = { from, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.from < 0) return hex.join(":");
  return `${hex.slice(0, best.from).join(":")}::${hex.slice(best.from + best.length).join(":")}`;
}
