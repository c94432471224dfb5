"""The official client in TypeScript, which checks what it gets in its own way, in front of the gateway."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from foreign_servers import command, node_module
from mcp_http import http_gateway
from mcp_lines import PATIENCE, decide, make_home, reasons
from mcp_script import gateway

SCRIPT = """
import { Client } from "SDK/client/index.js";
import { StdioClientTransport } from "SDK/client/stdio.js";
import { StreamableHTTPClientTransport } from "SDK/client/streamableHttp.js";

const [command, ...args] = JSON.parse(process.argv[2]);
const client = new Client({ name: "t", version: "1" }, { capabilities: {} });
const url = args.length ? null : new URL(command);
const stdio = () => new StdioClientTransport({ command, args, stderr: "ignore" });
await client.connect(url ? new StreamableHTTPClientTransport(url) : stdio());
const say = (value) => console.log(JSON.stringify(value));
const failed = (error) => ({ code: error.code, data: error.data });
say((await client.listTools()).tools.map((tool) => tool.name));
say(await client.callTool({ name: "echo", arguments: { message: "hällo" } }));
say(await client.callTool({ name: "get-structured-content", arguments: { location: "New York" } }));
say(await client.callTool({ name: "delego_begin_task", arguments: { instruction: "tell me" } }));
say(await client.readResource({ uri: "demo://resource/dynamic/text/1" }).catch(failed));
const steps = [];
const options = { onprogress: (one) => { steps.push(one.progress); say(one); } };
const long = { name: "trigger-long-running-operation", arguments: { duration: 0.1, steps: 2 } };
say(await client.callTool(long, undefined, options));
say(steps);
await client.close();
"""
POLICY = """
version: 1
default: deny
rules:
  - { name: echo, decision: allow, match: { method: CALL, path: /echo } }
  - { name: long, decision: needs_approval, match: { method: CALL, path: /trigger-long-running-operation } }
"""


@pytest.mark.parametrize("front", ["stdio", "http"])
def test_the_client_in_typescript_takes_all_that_the_gateway_says_by_itself(
    tmp_path: Path, front: str
) -> None:
    server, sdk = command("mcp-server-everything"), node_module("@modelcontextprotocol/sdk/dist/esm")
    home = make_home(tmp_path, POLICY)
    (tmp_path / "client.mjs").write_text(SCRIPT.replace("SDK", sdk.as_uri()), encoding="utf-8")
    options = ("--instruction", "do my work", "--server", "everything")
    with ExitStack() as stack:
        if front == "http":
            words = [stack.enter_context(http_gateway(home, *options, "--", server))[0]]
        else:
            words = [*gateway(home, (server,), *options[:2])]
        client = ["node", str(tmp_path / "client.mjs"), json.dumps(words)]
        process = stack.enter_context(subprocess.Popen(client, stdout=subprocess.PIPE, cwd=tmp_path))
        stack.callback(process.kill)
        assert process.stdout is not None
        lines = map(json.loads, process.stdout)
        tools, echo, structured, begun, resource = (next(lines) for _ in range(5))
        assert "waiting for a person" in next(lines)["message"]
        decide(home)
        rest = list(lines)
        assert process.wait(PATIENCE) == 0
    assert {"echo", "delego_begin_task"} <= set(tools)
    assert echo["content"][0]["text"] == "Echo: hällo"
    assert structured["isError"] is True
    assert "structuredContent" not in structured  # the tool's schema promises another one
    assert structured["_meta"]["delego/decision"]["status"] == "denied"
    assert begun["structuredContent"] == {"accepted": True}
    assert (resource["code"], resource["data"]["status"]) == (-32050, "denied")
    assert "completed" in rest[-2]["content"][0]["text"]
    assert rest[-1] == [-1, 1, 2]
    assert any(one.startswith("human approved by 'alice'") for one in reasons(home))
