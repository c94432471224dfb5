"""A broker that sends nothing: the caller executes what is released."""

from __future__ import annotations

from delego_spec.gateway import GatewayRequest, Released


class NullBroker:
    """Answers ``Released`` to everything. For tests, and for callers that need a ``Broker`` to hand over.

    An authorizer without any broker does the same in one durable commit instead of two.
    """

    def execute(self, request: GatewayRequest) -> Released:  # noqa: ARG002 - the protocol's signature
        return Released()
