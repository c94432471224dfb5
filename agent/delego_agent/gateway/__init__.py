"""``delego mcp-gateway``: stands in front of MCP servers and lets through what was decided.

A guarded message relay, not a rebuilt server: messages are read strictly, written anew and sent on with all
their fields. What has an effect or reads data is an action first, and is forwarded once, after its decision.
"""
