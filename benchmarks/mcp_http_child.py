"""A small MCP server over streamable HTTP, made with the official library. Prints its port."""

from __future__ import annotations

import socket

import uvicorn
from mcp.server import MCPServer

server = MCPServer("bank", log_level="ERROR")


@server.tool()
def transfer(amount: int, currency: str, destination: str) -> str:
    """Send an amount to an account of the owner."""
    return f"{amount} {currency} to {destination}"


def main() -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(128)
    print(bound.getsockname()[1], flush=True)
    config = uvicorn.Config(server.streamable_http_app(), log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
