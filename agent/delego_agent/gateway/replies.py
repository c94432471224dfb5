"""What the gateway itself answers, in the form that the request's era wants, and in words to act on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from delego_agent.gateway.naming import fields_of
from delego_agent.gateway.wire import DENIED, PENDING, UNAVAILABLE, UNKNOWN, Message, RequestId, error_answer

Status: TypeAlias = Literal["denied", "pending", "outcome_unknown", "not_sent"]

ERA_MEMBER: Final = "io.modelcontextprotocol/protocolVersion"  # in _meta: a request of 2026-07-28 or later
DECISION: Final = "delego/decision"

_CODES: Final[dict[Status, int]] = {
    "denied": DENIED,
    "pending": PENDING,
    "outcome_unknown": UNKNOWN,
    "not_sent": UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call did not come back with its server's answer."""

    status: Status
    reasons: tuple[str, ...]
    approval_id: str | None = None
    rule: str | None = None
    advice: str = ""
    more: Message = field(default_factory=dict)

    @property
    def text(self) -> str:
        words = {
            "denied": "denied",
            "pending": "waiting for a person",
            "outcome_unknown": "outcome unknown: it may have happened; do not repeat it by yourself",
            "not_sent": "not sent",
        }[self.status]
        rule = f" by rule {self.rule!r}" if self.rule is not None and self.status == "denied" else ""
        lines = [f"{words}{rule}", *(f"- {reason}" for reason in self.reasons)]
        if self.approval_id is not None and self.status == "pending":
            lines.append(f"approval_id: {self.approval_id}")
        return "\n".join([*lines, *([self.advice] if self.advice else [])])

    @property
    def document(self) -> Message:
        """For programs."""
        return {
            "status": self.status,
            "reasons": [*self.reasons],
            "rule": self.rule,
            "approval_id": self.approval_id,
            **self.more,
        }

    def answer(self, request: Message, *, structured: bool = True) -> Message:
        """To ``tools/call`` a result that is an error, which agents read; to all else a JSON-RPC error.

        ``structured``: no schema says what the tool's structured content is; clients check it in errors too.
        """
        request_id: RequestId = request["id"]
        if request["method"] != "tools/call":
            return error_answer(request_id, _CODES[self.status], self.text, self.document)
        found = {DECISION: self.document}
        answer = tool_result(request, self.text, found if structured else None, is_error=True)
        answer["result"]["_meta"] = found
        return answer


def tool_result(request: Message, text: str, structured: Message | None, *, is_error: bool) -> Message:
    """A result of a tool as its era has it."""
    result: Message = {"content": [{"type": "text", "text": text}], "isError": is_error}
    if structured is not None:
        result["structuredContent"] = structured
    if is_modern(request):
        result["resultType"] = "complete"
    return {"jsonrpc": "2.0", "id": request["id"], "result": result}


def is_modern(request: Message) -> bool:
    """Whether a request is of the era without a handshake."""
    return ERA_MEMBER in fields_of(fields_of(request.get("params")).get("_meta"))
