// Splitting a URL and the canonical query (§4-8 to §4-12, §4.2), and writing a query again (§2.2-4).

import { compareCodePoints, utf8 } from "./canonical.mjs";

const RFC3986_SPLIT = /^(?:([^:/?#]+):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#([^]*))?$/;
const QUERY_DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * @typedef {{scheme: string | null, authority: string | null, path: string,
 *   query: string | null, fragment: string | null}} UrlParts
 */

/**
 * Splits as RFC 3986, appendix B, does; nothing is stripped, decoded or resolved.
 * @param {string} url
 * @returns {UrlParts}
 */
export function splitUrl(url) {
  const [, scheme, authority, path, query, fragment] = RFC3986_SPLIT.exec(url);
  return {
    scheme: scheme ?? null,
    authority: authority ?? null,
    path,
    query: query ?? null,
    fragment: fragment ?? null,
  };
}

/**
 * The bytes of a text with its percent escapes resolved; a broken escape stays as it is.
 * @param {string} text
 * @returns {Uint8Array}
 */
export function percentDecode(text) {
  const bytes = utf8(text);
  const found = new Uint8Array(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    if (bytes[at] === 0x25 && at + 2 < bytes.length) {
      const digits = String.fromCharCode(bytes[at + 1], bytes[at + 2]);
      if (/^[0-9a-fA-F]{2}$/.test(digits)) {
        found[length++] = parseInt(digits, 16);
        at += 2;
        continue;
      }
    }
    found[length++] = bytes[at];
  }
  return found.subarray(0, length);
}

/**
 * One name or value of a query: `+` is a space, escapes are UTF-8, what is no UTF-8 becomes U+FFFD.
 * @param {string} text
 * @returns {string}
 */
export function decodeQueryPart(text) {
  return QUERY_DECODER.decode(percentDecode(text.replaceAll("+", " ")));
}

/**
 * The pairs of a query in the order they are written.
 * @param {string | null} query
 * @returns {[string, string][]}
 */
export function queryPairs(query) {
  if (query === null || query === "") return [];
  return query.split("&").map((segment) => {
    const equals = segment.indexOf("=");
    const name = equals < 0 ? segment : segment.slice(0, equals);
    const value = equals < 0 ? "" : segment.slice(equals + 1);
    return [decodeQueryPart(name), decodeQueryPart(value)];
  });
}

/**
 * The canonical query (§4.2): pairs sorted by name, then by value.
 * @param {string | null} query
 * @returns {[string, string][]}
 */
export function canonicalQuery(query) {
  return queryPairs(query).sort(
    (left, right) => compareCodePoints(left[0], right[0]) || compareCodePoints(left[1], right[1]),
  );
}

function formEncode(text) {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => "%" + character.charCodeAt(0).toString(16).toUpperCase(),
  );
}

/**
 * A canonical query as text: form-encoded, a space is `%20` (§2.2-4). Only letters, digits and `-._~`
 * stand for themselves.
 * @param {[string, string][]} pairs
 * @returns {string}
 */
export function queryText(pairs) {
  return pairs.map(([name, value]) => `${formEncode(name)}=${formEncode(value)}`).join("&");
}
