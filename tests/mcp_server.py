"""An MCP server for tests, made with the official library: one of everything that passes through a gateway.

python mcp_server.py EFFECTS      each effect is one line added to the file EFFECTS
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Elicit, Image, Resolve
from pydantic import BaseModel

EFFECTS = Path(sys.argv[1]) if len(sys.argv) > 1 else None

server = MCPServer("everything", instructions="Use it for tests.")


class Sum(BaseModel):
    total: int


class Answer(BaseModel):
    yes: bool


def effect(what: str) -> None:
    if EFFECTS is not None:
        with EFFECTS.open("a", encoding="utf-8") as file:
            file.write(f"{what}\n")


@server.tool()
def add(a: int, b: int) -> Sum:
    """Add two numbers."""
    effect(f"add {a} {b}")
    return Sum(total=a + b)


@server.tool()
def pay(to: str, amount: int) -> str:
    """Pay somebody."""
    effect(f"pay {to} {amount}")
    return f"paid {amount} to {to}"


@server.tool()
def fails() -> str:
    """Fail."""
    raise ValueError("it was to fail")


@server.tool()
def picture() -> Image:
    """A picture."""
    return Image(data=b"\x89PNG\r\n\x1a\n", format="png")


@server.tool()
async def steps(ctx: Context) -> str:
    """Report progress."""
    for step in range(3):
        await ctx.report_progress(step, 3, f"step {step}")
    return "done"


def _ask() -> Elicit[Answer]:
    return Elicit("Sure?", Answer)


@server.tool()
def asks(answer: Annotated[Answer, Resolve(_ask)]) -> str:
    """Ask the person."""
    return f"answered {answer.yes}"


@server.resource("test://static")
def static() -> str:
    """Some text."""
    return "static text"


@server.resource("test://items/{item}")
def items(item: str) -> str:
    """An item."""
    return f"item {item}"


@server.prompt()
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


if __name__ == "__main__":
    server.run("stdio")
