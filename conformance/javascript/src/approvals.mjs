// Asking for the release of an approved action (§7).

import { findHazards } from "./hazards.mjs";
import { textRepr } from "./pyrepr.mjs";
import { readTime, secondsBetween } from "./times.mjs";

/**
 * @typedef {{id: string, status: string, action_fingerprint: string, intent_hash: string,
 *   rule: string | null, summary: string, instruction: string, approver: string | null,
 *   expires_at: string | null, scheme?: string}} Approval
 * @typedef {{outcome: string, reasons: string[], status_after: string | null}} Release
 */

/**
 * The status that counts now: from `expires_at` on, what is not final is expired (§7-9).
 * @param {Approval} approval
 * @param {string} now
 * @returns {string}
 */
export function effectiveStatus(approval, now) {
  if (approval.status !== "pending" && approval.status !== "approved") return approval.status;
  if (approval.expires_at === null || approval.expires_at === undefined) return approval.status;
  const [end, time] = [readTime(approval.expires_at), readTime(now)];
  // A time that cannot be read is over: what cannot be checked fails.
  return end === null || time === null || secondsBetween(time, end) >= 0 ? "expired" : approval.status;
}

/**
 * The guards of one release, in the order of §7-1.
 * @param {string} approvalId
 * @param {Approval | null} approval
 * @param {import("./action.mjs").Action} action
 * @param {string} now
 * @returns {Release}
 */
export function resolveApproval(approvalId, approval, action, now) {
  if (approval === null) {
    return { outcome: "deny", reasons: [`unknown approval id ${textRepr(approvalId)}`], status_after: null };
  }
  const status = effectiveStatus(approval, now);
  const deny = (...reasons) => ({ outcome: "deny", reasons, status_after: status });
  const isSameScheme = !approval.scheme || approval.scheme.toLowerCase() === (action.scheme ?? "").toLowerCase();
  if (approval.action_fingerprint !== action.fingerprint || !isSameScheme) {
    return deny(
      "approval/action mismatch: this approval was issued for a different action (possible confused-deputy / " +
        `substituted action); the approval was issued for: ${approval.summary}`,
    );
  }
  if (approval.intent_hash !== action.intentHash) {
    return deny(
      "approval/intent mismatch: this approval was issued for a different instruction; " +
        `the approval was issued for: ${textRepr(approval.instruction)}`,
    );
  }
  return releaseByStatus(approval, status, action, deny);
}

function releaseByStatus(approval, status, action, deny) {
  if (status === "denied") return deny("human denied this action");
  if (status === "expired") return deny(approval.expires_at ? `approval expired at ${approval.expires_at}` : "approval expired");
  if (status === "consumed") {
    return deny("approval already used: this single-use approval has already released its action");
  }
  if (status !== "pending" && status !== "approved") return deny(`approval has the unknown status '${status}'`);
  const hazards = findHazards(action);
  if (hazards.length > 0) return deny(...hazards.map(({ code, text }) => `hazard: ${code}: ${text}`));
  if (status === "pending") {
    return { outcome: "needs_approval", reasons: ["awaiting human approval"], status_after: "pending" };
  }
  return { outcome: "allow", reasons: [`human approved by ${textRepr(approval.approver ?? "")}`], status_after: "consumed" };
}
