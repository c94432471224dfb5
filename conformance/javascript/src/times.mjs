// Times as the protocol writes them: RFC 3339 in UTC (§8). Seconds and nanoseconds are kept apart, because
// no float holds both.

const RFC3339_UTC = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|\+00:00)$/;
const WRITTEN_TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\+00:00$/;

/** @typedef {{seconds: number, nanos: number}} Instant */

/**
 * Reads a time in UTC with up to nine digits of a second (§8.1-7); null for anything else.
 * @param {unknown} text
 * @returns {Instant | null}
 */
export function readTime(text) {
  const match = typeof text === "string" ? RFC3339_UTC.exec(text) : null;
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isReal = year >= 1970 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
    && hour < 24 && minute < 60 && second < 60;
  return isReal ? { seconds: date.getTime() / 1000, nanos: Number((match[7] ?? "").padEnd(9, "0")) } : null;
}

/**
 * Whether a time is written as the protocol writes it: with microseconds and `+00:00`.
 * @param {unknown} text
 * @returns {boolean}
 */
export function isWrittenTime(text) {
  return typeof text === "string" && WRITTEN_TIME.test(text) && readTime(text) !== null;
}

/**
 * @param {Instant} left
 * @param {Instant} right
 * @returns {number} left minus right, in seconds; only its sign and its comparison with whole seconds are exact
 */
export function secondsBetween(left, right) {
  return left.seconds - right.seconds + (left.nanos - right.nanos) / 1e9;
}
