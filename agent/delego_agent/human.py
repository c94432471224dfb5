"""The person's side, for examples, tests and notebooks, where agent and person share one process.

An agent's program has no use for this module, and must not be handed it: whoever can call it can say yes.
It works on the exception that a gated function of this process has raised, so that it is of no use to a
program in another process. Where agents run for real, people decide with ``delego approve``, under an
account of their own or with signed approvals.
"""

from __future__ import annotations

from typing import Any

from delego_agent.errors import ApprovalRequired, Denied


def approve_and_run(held: ApprovalRequired, approver: str, *, note: str | None = None) -> Any:
    """Say yes as ``approver``, make the call, and return what it returns (for async functions: await it).

    Raises Denied where the yes does not count (another approver is wanted, or a signature),
    ApprovalRequired where more people have to agree, GatedError for an exception of another process.
    """
    call = held.held_call()
    said = call.authorizer.decide(held.approval_id, "approve", approver, note=note)
    if not said.accepted:
        raise Denied(held.operation, (f"the yes of {approver!r} does not count: {said.refusal}",))
    return call.again()
