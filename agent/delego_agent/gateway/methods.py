"""The methods of MCP, by what becomes of them: passed as they are, known notices, a vendor's, or none."""

from __future__ import annotations

import re
from typing import Final

PASSED: Final = frozenset(
    {
        "initialize",
        "server/discover",
        "ping",
        "resources/list",
        "resources/templates/list",
        "resources/unsubscribe",
        "prompts/list",
        "logging/setLevel",
    }
)
FROM_SERVER: Final = frozenset({"ping", "roots/list", "sampling/createMessage", "elicitation/create"})
NOTICES: Final = frozenset(
    {
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
        "notifications/roots/list_changed",
    }
)
_SPACES: Final = frozenset(  # names that belong to MCP and JSON-RPC: what is not known of them is refused
    re.findall(
        r"\w+",
        "initialize server ping resources prompts tools logging subscriptions completion sampling elicitation"
        " roots tasks notifications rpc",
    )
)


def is_vendors(method: str) -> bool:
    """Whether a vendor made it up (``acme/rebuild``)."""
    space, slash, _ = method.partition("/")
    return bool(slash and space) and space not in _SPACES
