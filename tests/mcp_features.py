"""An MCP server for tests, made with the official library: what servers ask, log, announce and take back.

python mcp_features.py EFFECTS        each effect is one line added to the file EFFECTS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Audio, Context, Elicit, ElicitationResult, ListRoots, Resolve, Sample
from mcp.types import (
    Completion,
    CreateMessageResult,
    ListRootsResult,
    PromptReference,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel

EFFECTS = Path(sys.argv[1])
HANDSHAKE = "2025-11-25"

server = MCPServer("features", instructions="Use it for tests.")


class Size(BaseModel):
    size: int


def effect(what: str) -> None:
    with EFFECTS.open("a", encoding="utf-8") as file:
        file.write(f"{what}\n")


def _sample() -> Sample:
    question = SamplingMessage(role="user", content=TextContent(type="text", text="what now?"))
    return Sample([question], max_tokens=10, system_prompt="Be brief.", temperature=0.5)


def _roots() -> ListRoots:
    return ListRoots()


def _size() -> Elicit[Size]:
    return Elicit("What size?", Size)


@server.tool()
def models(answer: Annotated[CreateMessageResult, Resolve(_sample)]) -> str:
    """Ask the client's model."""
    return f"{answer.model}: {answer.content}"


@server.tool()
def folders(found: Annotated[ListRootsResult, Resolve(_roots)]) -> str:
    """Ask for the client's folders."""
    return " ".join(str(root.uri) for root in found.roots)


@server.tool()
def order(what: str, size: Annotated[ElicitationResult[Size], Resolve(_size)]) -> str:
    """Order something in the size that the person says."""
    effect(f"order {what} {size.action}")
    return f"{what}: {size}"


@server.tool()
async def says(words: str, ctx: Context) -> str:
    """Log something at three levels, with structure."""
    await ctx.log("debug", words)
    await ctx.log("warning", {"words": words, "n": 1.5}, logger_name="features")
    await ctx.log("error", [words, None])
    return "said"


@server.tool()
def hears() -> Audio:
    """A sound."""
    return Audio(data=b"RIFF", format="wav")


@server.tool()
async def touch(uri: str, ctx: Context) -> str:
    """Announce that a resource has changed."""
    if ctx.protocol_version <= HANDSHAKE:
        await ctx.session.send_resource_updated(uri)
    else:
        await ctx.notify_resource_updated(uri)
    return "touched"


@server.tool()
async def grow(name: str, ctx: Context) -> str:
    """Add a tool, and say so."""

    def grown(n: int = 0) -> str:
        effect(f"{name} {n}")
        return f"{name} {n}"

    server.add_tool(grown, name=name, description=f"Grown as {name}.")
    if ctx.protocol_version <= HANDSHAKE:
        await ctx.session.send_tool_list_changed()
    else:
        await ctx.notify_tools_changed()
    return "grown"


@server.tool()
async def waits(ctx: Context) -> str:
    """Wait until it is cancelled; its progress says that it has begun."""
    effect("begun")
    await ctx.report_progress(1, 2, "begun")
    try:
        await anyio.sleep(60)
    except anyio.get_cancelled_exc_class():
        effect("cancelled")
        raise
    return "waited"


@server.resource("note://{name}")
def note(name: str) -> str:
    """A note."""
    return f"note {name}"


@server.prompt()
def greet(name: str, tone: str = "warm") -> str:
    """Greet somebody."""
    return f"a {tone} hello to {name}"


@server.completion()
async def complete(ref: Any, argument: Any, context: Any) -> Completion:
    """Names that begin like what was written; more of them where the tone is known."""
    names = ["Ada", "Alan"] if isinstance(ref, PromptReference) else ["todo"]
    names += ["Alonzo"] if context is not None and context.arguments else []
    return Completion(values=[one for one in names if one.startswith(argument.value)], has_more=False)


if __name__ == "__main__":
    server.run("stdio")
