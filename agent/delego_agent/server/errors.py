"""What can go wrong before a server serves, and why a request cannot be answered with a decision."""

from __future__ import annotations

from typing import Literal, TypeAlias

from delego_agent.errors import DelegoAgentError

Gap: TypeAlias = Literal["no_home", "policy_refused", "configuration_refused", "home_unusable"]


class McpMissing(DelegoAgentError):  # noqa: N818 - reads as what happened
    """The library that the server is made with is not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(f"the MCP server needs {library}; run: pip install 'delego-spec[mcp]'")


class ServingError(DelegoAgentError):
    """The server cannot listen where it was told to."""


class NotSetUp(DelegoAgentError):  # noqa: N818 - reads as what happened
    """There is no home that can be used now. ``gap`` says which kind; the words are for the operator."""

    def __init__(self, gap: Gap, problem: str) -> None:
        self.gap = gap
        super().__init__(problem)


class InvalidArguments(DelegoAgentError):  # noqa: N818 - reads as what happened
    """A tool's arguments are not what its schema says; nothing was decided."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))
