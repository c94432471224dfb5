"""Servers that nobody here wrote, under policies as somebody would write them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

import foreign_places as places
import foreign_scripts as scripts
from foreign_servers import command, fetch_server
from mcp_lines import make_home, person, reasons
from mcp_script import client, gateway

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:.* as of 2026-07-28")  # not where it is spoken


def decision(result: Any) -> Any:
    """What the gateway says about a call that it did not send."""
    assert result.is_error
    return result.meta["delego/decision"]


async def approve(home: Path, approval_id: str) -> None:
    words = ("--home", str(home), "approve", approval_id, "--as", "alice", "--yes")
    await anyio.run_process([sys.executable, "-m", "delego_cli", *words])


async def parked(home: Path) -> str:
    """The approval of the one call that waits, as soon as it does."""
    with anyio.fail_after(scripts.PATIENCE), person(home) as authorizer:
        while not (waiting := authorizer.pending()):
            await anyio.sleep(0.02)
    (one,) = waiting
    return str(one.id)


def through(home: Path, name: str, server: Sequence[str], script: Any, *options: str, **more: Any) -> Any:
    """What ``script(client, messages)`` returns behind a gateway, in the newest era that the server has."""

    async def run() -> Any:
        seen: list[Any] = []
        words = gateway(home, server, "--instruction", "do my work", *options, name=name)
        async with client(words, "auto", seen, cache=None, **more) as one:
            return await script(one, seen)

    return asyncio.run(asyncio.wait_for(run(), 2 * scripts.PATIENCE))


def test_git_shows_freely_commits_after_a_yes_and_never_resets(tmp_path: Path) -> None:
    folder, other = tmp_path / "repository", tmp_path / "other"
    server = (command("mcp-server-git"),)
    places.repository(folder)
    places.repository(other)
    here = f"constraints: {{ allow_list: {{ field: repo_path, in: ['{folder}'] }} }}"
    home = make_home(
        tmp_path,
        f"""
        version: 1
        default: deny
        forbidden:
          - {{ name: reset, description: Work is never thrown away, match: {{ path_contains: /git_reset }} }}
        rules:
          - {{ name: look, decision: allow, match: {{ host: git, path: /git_status }}, {here} }}
          - {{ name: add, decision: allow, match: {{ host: git, path: /git_add }}, {here} }}
          - {{ name: commit, decision: needs_approval, match: {{ host: git, path: /git_commit }}, {here} }}
        """,
    )
    where = {"repo_path": str(folder)}
    commit = {**where, "message": "the second"}

    async def script(one: Any, seen: list[Any]) -> Any:
        assert "a.txt" in (await one.call_tool("git_status", where)).content[0].text
        assert not (await one.call_tool("git_add", {**where, "files": ["a.txt"]})).is_error
        assert decision(await one.call_tool("git_status", {"repo_path": str(other)}))["rule"] == "look"
        reset = decision(await one.call_tool("git_reset", where))
        assert reset["reasons"] == ["forbidden: Work is never thrown away"]
        assert decision(await one.call_tool("git_log", where))["status"] == "denied"
        first = decision(await one.call_tool("git_commit", commit))
        assert first["status"] == "pending"
        await approve(home, first["approval_id"])
        swapped = decision(await one.call_tool("git_commit", {**commit, "message": "another"}))
        assert swapped["status"] == "pending"
        assert "committed" in (await one.call_tool("git_commit", commit)).content[0].text
        again = decision(await one.call_tool("git_commit", commit))
        assert (again["status"], again["approval_id"] == first["approval_id"]) == ("pending", False)

    through(home, "git", server, script, "--hold", "0")
    assert places.git(folder, "log", "--format=%s").splitlines() == ["the second", "the first"]
    approved = [one for one in reasons(home) if one.startswith("human approved by 'alice'")]
    assert len(approved) == 1
    assert "result sha256:" in approved[0]


def test_a_file_is_written_the_moment_a_person_says_yes_and_nothing_outside_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    server = (command("mcp-server-filesystem"), str(tmp_path))  # all of it: the policy keeps it in
    places.files(folder)
    note, new = str(folder / "note.txt"), folder / "new.txt"
    home = make_home(
        tmp_path,
        f"""
        version: 1
        default: deny
        rules:
          - {{ name: read, decision: allow, match: {{ host: files, path: "/read_*" }},
              constraints: {{ allow_list: {{ field: path, in: ['{note}'] }} }} }}
          - {{ name: write, decision: needs_approval, match: {{ host: files, path: /write_file }} }}
        """,
    )

    async def script(one: Any, seen: list[Any]) -> Any:
        assert (await one.call_tool("read_text_file", {"path": note})).content[0].text == "first\nsecond\n"
        outside = decision(await one.call_tool("read_text_file", {"path": str(tmp_path / "outside.txt")}))
        assert (outside["status"], outside["rule"]) == ("denied", "read")
        around = await one.call_tool("read_text_file", {"path": f"{folder}/../files/note.txt"})
        assert decision(around)["status"] == "denied"
        assert decision(await one.call_tool("read_multiple_files", {"paths": [note]}))["status"] == "denied"
        assert decision(await one.call_tool("list_directory", {"path": str(folder)}))["status"] == "denied"
        async with anyio.create_task_group() as group:

            async def write() -> None:
                arguments = {"path": str(new), "content": "written"}
                assert not (await one.call_tool("write_file", arguments)).is_error

            group.start_soon(write)
            approval_id = await parked(home)
            assert not new.exists()
            await approve(home, approval_id)
        assert "secret" not in json.dumps(seen)

    through(home, "files", server, script)
    assert new.read_text(encoding="utf-8") == "written"


def test_only_the_page_that_the_policy_names_is_fetched(tmp_path: Path) -> None:
    server = fetch_server()
    with places.site() as site:
        page = f"{site.origin}/page"
        home = make_home(
            tmp_path,
            f"""
            version: 1
            default: deny
            rules:
              - {{ name: page, decision: allow, match: {{ method: CALL, host: fetch, path: /fetch }},
                  constraints: {{ allow_list: {{ field: url, in: ['{page}'] }},
                                 rate_limit: {{ max: 2, per: hour }} }} }}
            """,
        )

        async def script(one: Any, seen: list[Any]) -> Any:
            from mcp import MCPError

            other = decision(await one.call_tool("fetch", {"url": f"{site.origin}/private"}))
            assert other["rule"] == "page"
            with pytest.raises(MCPError) as refused:
                await one.get_prompt("fetch", {"url": page})
            assert refused.value.error.code == -32050
            assert site.asked == []
            assert "A heading" in (await one.call_tool("fetch", {"url": page})).content[0].text
            await one.call_tool("fetch", {"url": page, "raw": True})
            over = decision(await one.call_tool("fetch", {"url": page}))
            assert "rate_limit: 2/2 per hour already used" in over["reasons"]

        through(home, "fetch", server, script)
        assert site.asked == ["/robots.txt", "/page"] * 2


def test_every_kind_of_request_to_one_server_is_decided_by_its_own_rule(tmp_path: Path) -> None:
    server = (command("mcp-server-everything"),)
    home = make_home(
        tmp_path,
        """
        version: 1
        default: deny
        rules:
          - { name: sum, decision: allow, match: { method: CALL, path: /get-sum },
              constraints: { amount: { field: a, max: 10 } } }
          - { name: model, decision: allow, match: { method: CALL, path: /trigger-sampling-request } }
          - { name: long, decision: needs_approval, match: { path: /trigger-long-running-operation } }
          - { name: text, decision: allow, match: { method: READ, path: "/resource/demo:/~/*/text/*" } }
          - { name: city, decision: allow, match: { method: GET, path: /prompt/args-prompt },
              constraints: { allow_list: { field: city, in: [Zürich] } } }
          - { name: hints, decision: allow, match: { method: COMPLETE, path: /prompt/completable-prompt } }
        """,
    )
    text, blob = "demo://resource/dynamic/text/7", "demo://resource/dynamic/blob/7"

    async def script(one: Any, seen: list[Any]) -> Any:
        from mcp.types import PromptReference, ResourceTemplateReference

        assert "11" in (await one.call_tool("get-sum", {"a": 10, "b": 1})).content[0].text
        assert decision(await one.call_tool("get-sum", {"a": 10.5, "b": 1}))["rule"] == "sum"
        assert decision(await one.call_tool("get-env", {}))["rule"] is None
        model = await one.call_tool("trigger-sampling-request", {"prompt": "say it"})
        assert "an answer to" in model.content[0].text
        assert "Resource 7" in (await one.read_resource(text)).contents[0].text
        assert "Zürich" in (await one.get_prompt("args-prompt", {"city": "Zürich"})).messages[0].content.text
        prompt = PromptReference(type="ref/prompt", name="completable-prompt")
        hints = await one.complete(prompt, {"name": "department", "value": "S"})
        assert hints.completion.values == ["Sales", "Support"]
        before = len(seen)
        await scripts.wrong(one.read_resource(blob))
        await scripts.wrong(one.subscribe_resource(text))
        await scripts.wrong(one.get_prompt("args-prompt", {"city": "Bern"}))
        template = ResourceTemplateReference(
            type="ref/resource", uri="demo://resource/dynamic/text/{resourceId}"
        )
        await scripts.wrong(one.complete(template, {"name": "resourceId", "value": "1"}))
        assert [message["error"]["code"] for message in seen[before:]] == [-32050] * 4
        await long(one)

    async def long(one: Any) -> None:
        steps: list[float] = []

        async def progress(done: float, total: float | None, what: str | None) -> None:
            steps.append(done)

        async with anyio.create_task_group() as group:

            async def call() -> None:
                arguments = {"duration": 0.2, "steps": 4}
                name = "trigger-long-running-operation"
                result = await one.call_tool(name, arguments, progress_callback=progress)
                assert "completed" in result.content[0].text

            group.start_soon(call)
            await approve(home, await parked(home))
        assert steps == sorted(steps)
        assert steps[0] == -1
        assert [step for step in steps if step > 0] == [1, 2, 3, 4]

    through(home, "everything", server, script, sampling_callback=scripts.sampled)
