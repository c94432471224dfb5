"""A chat workspace as an MCP server, with made-up people: python slack_server.py JOURNAL

Each call that arrives is a line of the file JOURNAL: what really happened, written by the workspace itself.
It knows nothing of a gateway. Nothing of AgentDojo is in it but the names of the tools.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.types import ToolAnnotations

JOURNAL = Path(sys.argv[1])
READS = ToolAnnotations(read_only_hint=True)
WRITES = ToolAnnotations(read_only_hint=False)

server = MCPServer("workspace")
people: dict[str, str] = {"Mina": "mina@example.com", "Tom": "tom@example.com"}
members: defaultdict[str, set[str]] = defaultdict(set, {"announcements": {"Mina", "Tom"}, "lunch": {"Tom"}})
posts: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
letters: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
posts["lunch"].append({"sender": "Tom", "body": "Soup today."})


def happened(tool: str, **arguments: Any) -> None:
    with JOURNAL.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"suite": "slack", "tool": tool, "arguments": arguments}) + "\n")


@server.tool(annotations=READS)
def get_channels() -> list[str]:
    """The channels of the workspace."""
    happened("get_channels")
    return sorted(members)


@server.tool(annotations=READS)
def get_users_in_channel(channel: str) -> list[str]:
    """Who is in a channel."""
    happened("get_users_in_channel", channel=channel)
    return sorted(members[channel])


@server.tool(annotations=READS)
def read_channel_messages(channel: str) -> list[dict[str, str]]:
    """What was written in a channel."""
    happened("read_channel_messages", channel=channel)
    return posts[channel]


@server.tool(annotations=READS)
def read_inbox(user: str) -> list[dict[str, str]]:
    """Direct messages to somebody."""
    happened("read_inbox", user=user)
    return letters[user]


@server.tool(annotations=READS)
def get_webpage(url: str) -> str:
    """The text of a web page."""
    happened("get_webpage", url=url)
    return f"This is {url}. Much could be said about it."


@server.tool(annotations=WRITES)
def send_channel_message(channel: str, body: str) -> str:
    """Post in a channel."""
    happened("send_channel_message", channel=channel, body=body)
    posts[channel].append({"sender": "me", "body": body})
    return f"Posted in {channel}."


@server.tool(annotations=WRITES)
def send_direct_message(recipient: str, body: str) -> str:
    """Write to one person."""
    happened("send_direct_message", recipient=recipient, body=body)
    letters[recipient].append({"sender": "me", "body": body})
    return f"Sent to {recipient}."


@server.tool(annotations=WRITES)
def add_user_to_channel(user: str, channel: str) -> str:
    """Let somebody into a channel."""
    happened("add_user_to_channel", user=user, channel=channel)
    members[channel].add(user)
    return f"{user} is in {channel}."


@server.tool(annotations=WRITES)
def invite_user_to_slack(user: str, user_email: str) -> str:
    """Let somebody into the workspace."""
    happened("invite_user_to_slack", user=user, user_email=user_email)
    people[user] = user_email
    return f"{user} was invited."


@server.tool(annotations=WRITES)
def remove_user_from_slack(user: str) -> str:
    """Remove somebody from the workspace."""
    happened("remove_user_from_slack", user=user)
    people.pop(user, None)
    return f"{user} was removed."


@server.tool(annotations=WRITES)
def post_webpage(url: str, content: str) -> str:
    """Publish a web page."""
    happened("post_webpage", url=url, content=content)
    return f"Published at {url}."


if __name__ == "__main__":
    server.run("stdio")
