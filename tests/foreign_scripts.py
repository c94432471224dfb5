"""What a client does with each foreign server: as much as the server offers, wrong calls too.

The official client runs them, directly and through a gateway; what it received is compared.
"""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import anyio

from mcp_script import client

Script: TypeAlias = Callable[[Any, list[Any]], Awaitable[None]]
PATIENCE: Final = 100.0  # seconds; a limit for hangs, not a wait

_CHANGES: Final = (  # what is another text in each run
    (re.compile(r"\d{1,2}:\d\d:\d\d [AP]M"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d:\d\d|Z)?"), "<time>"),
    (re.compile(r"^\w+[- ]level[- ]message"), "<one of many messages>"),
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"0x[0-9a-f]+"), "0x"),
    (re.compile(r"^listen-\d+$"), "listen"),  # numbered by the process, not by the client
)


async def run(command: Sequence[str] | str, era: str, script: Script, **more: Any) -> list[Any]:
    """Each message that the client received, without what differs from run to run."""
    seen: list[Any] = []
    with anyio.fail_after(PATIENCE):
        async with client(command, era, seen, cache=None, **more) as one:
            await script(one, seen)
    return [settled(message) for message in seen]


def settled(value: Any) -> Any:
    """``value`` without times, and with blobs as what they say."""
    if isinstance(value, dict):
        told = {name: settled(one) for name, one in value.items() if name != "requestState"}
        if isinstance(value.get("blob"), str):
            told["blob"] = settled(base64.b64decode(value["blob"]).decode("latin-1"))
        if value.get("method") == "notifications/message" and "params" in told:
            told["params"].pop("level", None)
        return told
    if isinstance(value, list):
        return [settled(one) for one in value]
    if isinstance(value, str):
        for pattern, text in _CHANGES:
            value = pattern.sub(text, value)
    return value


async def until(seen: list[Any], method: str, count: int = 1, about: str = "") -> None:
    """Wait for messages of a method, with ``about`` in them."""
    with anyio.fail_after(PATIENCE):
        while sum(one.get("method") == method and about in str(one) for one in seen) < count:
            await anyio.sleep(0.01)


async def wrong(attempt: Awaitable[Any]) -> None:
    """A request that may be refused; the answer is among the messages."""
    from mcp import MCPError

    with contextlib.suppress(MCPError):
        await attempt


async def elicited(context: Any, params: Any) -> Any:
    """The person's side of an elicitation."""
    from mcp.types import ElicitResult

    if not hasattr(params, "requested_schema"):
        return ElicitResult(action="accept")
    return ElicitResult(action="accept", content={"name": "Ada", "check": True, "integer": 7})


async def sampled(context: Any, params: Any) -> Any:
    """The model's side of a sampling request."""
    from mcp.types import CreateMessageResult, TextContent

    text = TextContent(type="text", text=f"an answer to {params.messages[0].content.text}")
    return CreateMessageResult(role="assistant", content=text, model="none", stop_reason="endTurn")


async def roots(context: Any) -> Any:
    """The client's folders."""
    from mcp.types import ListRootsResult, Root

    return ListRootsResult(roots=[Root(uri="file:///srv/one", name="one")])


async def progressed(done: float, total: float | None, text: str | None) -> None:
    """Progress is wanted, and seen as a message."""


# --- the servers ----------------------------------------------------------------------------------------


async def time(one: Any, seen: list[Any]) -> None:
    await one.list_tools()
    arguments = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
    await one.call_tool("convert_time", arguments)
    await one.call_tool("get_current_time", {"timezone": "Europe/Berlin"})
    await one.call_tool("get_current_time", {"timezone": "Nowhere"})
    await wrong(one.call_tool("convert_time", {**arguments, "time": "x"}))
    await wrong(one.call_tool("convert_time", {}))
    await wrong(one.list_prompts())
    await wrong(one.list_resources())


def git(folder: Path) -> Script:
    """In a new repository with one file that is changed."""

    async def script(one: Any, seen: list[Any]) -> None:
        await one.list_tools()
        where = {"repo_path": str(folder)}
        await one.call_tool("git_status", where)
        await one.call_tool("git_diff_unstaged", where)
        await one.call_tool("git_add", {**where, "files": ["a.txt"]})
        await one.call_tool("git_diff_staged", where)
        await one.call_tool("git_commit", {**where, "message": "äöü, the second"})
        await one.call_tool("git_log", {**where, "max_count": 5})
        await one.call_tool("git_show", {**where, "revision": "HEAD"})
        await one.call_tool("git_create_branch", {**where, "branch_name": "other"})
        await one.call_tool("git_branch", {**where, "branch_type": "local"})
        await wrong(one.call_tool("git_checkout", {**where, "branch_name": "absent"}))
        await wrong(one.call_tool("git_status", {"repo_path": str(folder.parent)}))
        await wrong(one.call_tool("git_status", {}))

    return script


def fetch(origin: str) -> Script:
    """Pages of a server on loopback."""

    async def script(one: Any, seen: list[Any]) -> None:
        await one.list_tools()
        await one.list_prompts()
        await one.call_tool("fetch", {"url": f"{origin}/page"})
        await one.call_tool("fetch", {"url": f"{origin}/page", "raw": True, "max_length": 40})
        await one.call_tool("fetch", {"url": f"{origin}/absent"})
        await one.call_tool("fetch", {"url": f"{origin}/private"})
        await one.get_prompt("fetch", {"url": f"{origin}/private"})
        await wrong(one.call_tool("fetch", {"url": "no address"}))
        await wrong(one.call_tool("fetch", {"url": f"{origin}/page", "max_length": -1}))
        await wrong(one.get_prompt("fetch", {}))

    return script


async def sqlite(one: Any, seen: list[Any]) -> None:
    await one.list_tools()
    await one.list_resources()
    await one.list_prompts()
    await one.call_tool("create_table", {"query": "CREATE TABLE t (a INTEGER, b TEXT)"})
    await one.call_tool("write_query", {"query": "INSERT INTO t VALUES (1, 'é'), (2, NULL)"})
    await one.call_tool("read_query", {"query": "SELECT * FROM t"})
    await one.call_tool("list_tables", {})
    await one.call_tool("describe_table", {"table_name": "t"})
    await wrong(one.call_tool("read_query", {"query": "DELETE FROM t"}))
    await wrong(one.call_tool("write_query", {}))
    await one.call_tool("append_insight", {"insight": "two rows"})
    await until(seen, "notifications/resources/updated")
    await one.read_resource("memo://insights")
    await wrong(one.read_resource("memo://other"))
    await one.get_prompt("mcp-demo", {"topic": "rows"})


def filesystem(folder: Path) -> Script:
    """In a folder with a note and a picture."""

    async def script(one: Any, seen: list[Any]) -> None:
        await one.list_tools()
        note = {"path": str(folder / "note.txt")}
        await one.call_tool("list_allowed_directories", {})
        await one.call_tool("read_text_file", note)
        await one.call_tool("read_text_file", {**note, "head": 1})
        await one.call_tool("read_multiple_files", {"paths": [note["path"], str(folder / "absent")]})
        await one.call_tool("read_media_file", {"path": str(folder / "dot.png")})
        await one.call_tool("write_file", {"path": str(folder / "new.txt"), "content": "nëw\n" * 3})
        edit = {"oldText": "nëw\n", "newText": "old\n"}
        await one.call_tool("edit_file", {"path": str(folder / "new.txt"), "edits": [edit], "dryRun": True})
        await one.call_tool("directory_tree", {"path": str(folder)})
        await one.call_tool("search_files", {"path": str(folder), "pattern": "**/*.txt"})
        await wrong(one.call_tool("read_text_file", {"path": str(folder.parent / "outside.txt")}))
        await wrong(one.call_tool("read_text_file", {"path": str(folder / ".." / "outside.txt")}))
        await wrong(one.call_tool("write_file", {"path": 7}))

    return script


async def everything(one: Any, seen: list[Any]) -> None:
    from mcp.types import PromptReference, ResourceTemplateReference

    await until(seen, "notifications/message", about="Roots updated")  # it asks 350 ms after the beginning
    for listing in (one.list_tools, one.list_prompts, one.list_resources, one.list_resource_templates):
        await listing()
    for name, arguments in _EVERYTHING:
        await wrong(one.call_tool(name, arguments, progress_callback=progressed))
    await one.set_logging_level("debug")
    await one.call_tool("toggle-simulated-logging", {})
    await until(seen, "notifications/message", about="message")
    await one.call_tool("toggle-simulated-logging", {})
    text = "demo://resource/dynamic/text/7"
    await one.read_resource(text)
    await one.read_resource("demo://resource/dynamic/blob/7")
    await wrong(one.read_resource("demo://resource/dynamic/text/x"))
    await wrong(one.read_resource("demo://absent"))
    await one.subscribe_resource(text)
    await until(seen, "notifications/message", about="Received Subscribe")
    await one.call_tool("toggle-subscriber-updates", {})
    await until(seen, "notifications/resources/updated", about=text)
    await one.call_tool("toggle-subscriber-updates", {})
    await one.unsubscribe_resource(text)
    await until(seen, "notifications/message", about="Received Unsubscribe")
    await one.get_prompt("simple-prompt")
    await one.get_prompt("args-prompt", {"city": "Zürich", "state": "ZH"})
    await one.get_prompt("resource-prompt", {"resourceType": "Blob", "resourceId": "3"})
    await wrong(one.get_prompt("args-prompt", {}))
    await wrong(one.get_prompt("absent", {}))
    prompt = PromptReference(type="ref/prompt", name="completable-prompt")
    await one.complete(prompt, {"name": "department", "value": "S"})
    await one.complete(prompt, {"name": "name", "value": ""}, {"department": "Sales"})
    template = ResourceTemplateReference(type="ref/resource", uri="demo://resource/dynamic/text/{resourceId}")
    await one.complete(template, {"name": "resourceId", "value": "12"})
    await one.send_roots_list_changed()
    await until(seen, "notifications/message", 2, about="Roots updated")


_EVERYTHING: Final[tuple[tuple[str, Any], ...]] = (
    ("echo", {"message": "hällo"}),
    ("echo", {}),
    ("get-sum", {"a": 1.5, "b": 2}),
    ("get-annotated-message", {"messageType": "error", "includeImage": True}),
    ("get-tiny-image", {}),
    ("get-resource-links", {"count": 3}),
    ("get-resource-reference", {"resourceType": "Text", "resourceId": 2}),
    ("get-structured-content", {"location": "New York"}),
    ("gzip-file-as-resource", {"name": "a.gz", "data": "data:text/plain,abc", "outputType": "resource"}),
    ("trigger-long-running-operation", {"duration": 0.2, "steps": 4}),
    ("trigger-sampling-request", {"prompt": "say it", "maxTokens": 9}),
    ("trigger-elicitation-request", {}),
    ("trigger-url-elicitation", {"url": "https://example.com/", "elicitationId": "one"}),
    ("trigger-url-elicitation", {"url": "https://example.com/", "elicitationId": "one", "errorPath": True}),
    ("get-roots-list", {}),
    ("simulate-research-query", {"topic": "x"}),
)
