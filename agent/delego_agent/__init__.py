"""What an agent's program meets: a client, gated functions, hooks, an MCP server and an MCP gateway."""
