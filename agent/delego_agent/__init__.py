"""What an agent's program meets: a client, gated functions, hooks, an MCP server and an MCP gateway.

from delego_agent import ApprovalRequired, Denied, gated, task

@gated("file.delete")
def delete(path: str) -> None: ...

with task("tidy up my downloads"):
    delete("downloads/old.zip")
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from delego_agent.client import AsyncClient, Client
    from delego_agent.errors import (
        ApprovalRequired,
        ClientClosed,
        DelegoAgentError,
        Denied,
        GatedError,
        HookError,
        NoTask,
        NotDecided,
        TaskError,
    )
    from delego_agent.gating import Gate, gated
    from delego_agent.human import approve_and_run
    from delego_agent.service import Held, LocalService, Service
    from delego_agent.tasks import task

__all__ = [
    "ApprovalRequired",
    "AsyncClient",
    "Client",
    "ClientClosed",
    "DelegoAgentError",
    "Denied",
    "Gate",
    "GatedError",
    "Held",
    "HookError",
    "LocalService",
    "NoTask",
    "NotDecided",
    "Service",
    "TaskError",
    "approve_and_run",
    "gated",
    "task",
]

# Imported when asked for: a hook runs at every tool call, and needs little of this. No module has the name of
# what is in it: importing the one would hide the other.
_MODULES = {
    "client": ("AsyncClient", "Client"),
    "errors": (
        "ApprovalRequired",
        "ClientClosed",
        "DelegoAgentError",
        "Denied",
        "GatedError",
        "HookError",
        "NoTask",
        "NotDecided",
        "TaskError",
    ),
    "gating": ("Gate", "gated"),
    "human": ("approve_and_run",),
    "service": ("Held", "LocalService", "Service"),
    "tasks": ("task",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"delego_agent.{_HOMES[name]}"), name)
