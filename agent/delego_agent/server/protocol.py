"""The desk as an MCP server of both eras: tools, three resources, and nothing else.

The library's low-level server hands on arguments as they were sent; its friendlier one converts them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import mcp_types as types
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

from delego_agent.server.desk import Desk
from delego_agent.server.inputs import INSTRUCTION_KEY
from delego_agent.server.results import Reply
from delego_agent.server.schemas import PENDING, POLICY, RESOLVE, TAIL, TOOLS

T = TypeVar("T")

THREADS: Final = 64  # calls that are worked on at the same time
POLL: Final = 0.2  # seconds between two looks at an approval that a call waits for
AT_ONCE: Final = 16  # calls that are looked after so often; where more wait, each is looked after less often
REPORT: Final = 5.0  # seconds between two progress messages while it waits
JSON_TYPE: Final = "application/json"
INSTRUCTIONS: Final = (
    "Actions with an effect are decided here before they happen: propose each with delego_propose_action,"
    " under the person's own words, and do what is released exactly as it was proposed, once. What is denied"
    " must not be done by other means; the result says what would be allowed instead. What needs approval"
    " waits for a person, who decides with their own tools: you cannot, and you do not run 'delego' commands"
    " for them."
)

_RESOURCES: Final[Mapping[str, tuple[str, str, str]]] = {
    "delego://policy": (POLICY, "policy", "The rules by which actions are decided."),
    "delego://pending": (PENDING, "pending", "Your own actions that wait for a person."),
    "delego://ledger": (TAIL, "ledger", "The newest receipts about your own actions, and the chain's head."),
}


class Front:
    """Answers requests, whatever transport they come by."""

    def __init__(self, desk: Desk, *, hold: float = 0.0) -> None:
        """``hold``: seconds that a call waits for a person before it comes back as needs_approval."""
        self._desk = desk
        self._hold = hold
        self._listed = [
            types.Tool.model_validate(tool.listed(standing_instruction=desk.instruction is not None))
            for tool in TOOLS.values()
        ]
        self._threads: anyio.CapacityLimiter | None = None
        self._leaving = anyio.Event()
        self._waiting = 0

    def leave(self) -> None:
        """Calls that wait for a person come back now: the server ends, and the approvals stay."""
        self._leaving.set()

    def server(self) -> Server[Any]:
        """A new server with these answers."""
        schemas = {tool.name: tool.input_schema for tool in self._listed}
        return Server(
            "delego",
            version=version("delego-spec"),
            title="delego",
            instructions=INSTRUCTIONS,
            get_tool_input_schema=schemas.get,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
        )

    async def _list_tools(
        self, _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=self._listed)

    async def _call_tool(
        self, ctx: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        if params.name not in TOOLS:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name!r:.80}")
        sent = ctx.params or {}
        meta = sent.get("_meta")
        words = meta.get(INSTRUCTION_KEY) if isinstance(meta, dict) else None
        arguments = sent.get("arguments")
        reply = await self._run(lambda: self._desk.call(params.name, arguments, words))
        if self._hold > 0 and reply.status == "needs_approval":
            self._waiting += 1
            try:
                reply = await self._held(ctx, arguments, words, reply)
            finally:
                self._waiting -= 1
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=reply.text)],
            structured_content=reply.document,
            is_error=reply.is_error,
        )

    async def _held(
        self, ctx: ServerRequestContext[Any], arguments: Any, words: object, reply: Reply
    ) -> Reply:
        """Wait for the person as long as the operator lets calls wait; then what was approved is released.

        A client that leaves meanwhile loses nothing: the approval stays, and the same call meets it again.
        """
        approval_id = str(reply.document["approval_id"])
        begun = anyio.current_time()
        reported = -REPORT
        while await self._run(lambda: self._desk.waits(approval_id)):
            waited = anyio.current_time() - begun
            if waited >= self._hold or self._leaving.is_set():
                return reply
            if waited - reported >= REPORT:
                reported = waited
                await ctx.session.report_progress(waited, None, f"waiting for a person: {approval_id}")
            with anyio.move_on_after(min(pause_among(self._waiting), self._hold - waited)):
                await self._leaving.wait()
        release = {**arguments, "approval_id": approval_id}
        return await self._run(lambda: self._desk.call(RESOLVE, release, words))

    async def _list_resources(
        self, _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        resources = [
            types.Resource(name=name, uri=uri, description=words, mime_type=JSON_TYPE)
            for uri, (_, name, words) in _RESOURCES.items()
        ]
        return types.ListResourcesResult(resources=resources)

    async def _list_templates(
        self, _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=[])

    async def _read_resource(
        self, _: ServerRequestContext[Any], params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        # Looked up as it was written: nothing is decoded, resolved or joined to a path.
        known = _RESOURCES.get(params.uri)
        if known is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no resource {params.uri!r:.80}")
        reply = await self._run(lambda: self._desk.call(known[0]))
        text = json.dumps(reply.document, ensure_ascii=False)
        contents = [types.TextResourceContents(uri=params.uri, mime_type=JSON_TYPE, text=text)]
        return types.ReadResourceResult(contents=[*contents])

    async def _run(self, work: Callable[[], T]) -> T:
        """In a thread. Who cancels waits until it is done: what was begun gets its receipt."""
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(THREADS)
        return await anyio.to_thread.run_sync(work, limiter=self._threads)


def pause_among(waiting: int) -> float:
    """Seconds between two looks of one of ``waiting`` calls: all of them together look at a bounded rate."""
    return POLL * max(1.0, waiting / AT_ONCE)
