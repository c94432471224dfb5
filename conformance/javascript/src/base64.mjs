// base64 (RFC 4648), read strictly: what is read would be written the same way again.

const BASE64_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function binaryText(bytes) {
  let text = "";
  for (let from = 0; from < bytes.length; from += 0x8000) text += String.fromCharCode(...bytes.subarray(from, from + 0x8000));
  return text;
}

/**
 * Standard base64 with padding (§4), as `jsonl_b64` has it; null for anything else.
 * @param {unknown} text
 * @returns {Uint8Array | null}
 */
export function bytesFromBase64(text) {
  if (typeof text !== "string" || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const last = padding === 0 ? 0 : BASE64_DIGITS.indexOf(text[text.length - 1 - padding]);
  return (padding === 2 && last & 15) || (padding === 1 && last & 3) ? null : bytes;
}

/**
 * base64url without padding (§5, JWS); null for anything else, loose bits included (§9.1-10).
 * @param {string} text
 * @returns {Uint8Array | null}
 */
export function bytesFromBase64Url(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  return bytesFromBase64(text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4));
}

/**
 * @param {Uint8Array} bytes
 * @returns {string} base64url without padding
 */
export function base64UrlFromBytes(bytes) {
  return btoa(binaryText(bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
