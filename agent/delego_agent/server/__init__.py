"""``delego mcp``: an MCP server with which an agent asks: propose, resolve, see its own, read the policy.

What decides (approvals, policy, configuration, keys, trust) has no tool, no resource and no argument here.
The parts that need the ``mcp`` library are imported by ``serving`` alone.
"""
