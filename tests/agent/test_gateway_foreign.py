"""Servers that nobody here wrote, directly and through a gateway that allows everything: no difference.

Each session costs seconds: the first server is tried in both eras, the others in one. ``auto`` is the newer
era with git's server, and a probe that fails and a handshake with the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import foreign_places as places
import foreign_scripts as scripts
from delego_authorizer import init_home
from foreign_servers import command, fetch_server
from mcp_script import ALLOW_ALL, gateway

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:.* as of 2026-07-28")  # not where it is spoken


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return init_home(tmp_path / "home", approver="alice", policy_text=ALLOW_ALL).path


def compare(
    home: Path,
    server: Sequence[str],
    era: str,
    script: scripts.Script,
    prepare: Callable[[], object] | None = None,
) -> list[Any]:
    """The messages, which are the same directly and through the gateway. ``prepare``: before each of them."""
    callbacks = {
        "elicitation_callback": scripts.elicited,
        "sampling_callback": scripts.sampled,
        "list_roots_callback": scripts.roots,
    }
    options = ("--instruction", "try everything", "--no-begin-task")

    async def both() -> tuple[list[Any], list[Any]]:
        one = scripts.run(server, era, script, **callbacks)
        other = scripts.run(gateway(home, server, *options), era, script, **callbacks)
        if prepare is None:  # nothing that they share
            direct, through = await asyncio.gather(one, other)
            return direct, through
        prepare()
        direct = await one
        prepare()
        return direct, await other

    direct, through = asyncio.run(both())
    assert through == direct
    return direct


@pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
def test_time(home: Path, era: str) -> None:
    assert len(compare(home, (command("mcp-server-time"), "--local-timezone", "UTC"), era, scripts.time)) > 6


def test_git(home: Path, tmp_path: Path) -> None:
    when = [f"{variable}=1767323045 +0000" for variable in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE")]
    server = ("env", *when, command("mcp-server-git"), "--repository", str(tmp_path / "repository"))
    folder = tmp_path / "repository"
    messages = compare(home, server, "auto", scripts.git(folder), lambda: places.repository(folder))
    assert "the second" in str(messages)


def test_fetch(home: Path) -> None:
    server = fetch_server()
    with places.site() as site:
        messages = compare(home, server, "legacy", scripts.fetch(site.origin))
    assert "A heading" in str(messages)


def test_sqlite(home: Path, tmp_path: Path) -> None:
    database = tmp_path / "t.db"
    server = (command("mcp-server-sqlite"), "--db-path", str(database))
    messages = compare(home, server, "auto", scripts.sqlite, lambda: database.unlink(missing_ok=True))
    assert "two rows" in str(messages)


def test_filesystem(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    server = (command("mcp-server-filesystem"), str(folder))
    messages = compare(home, server, "auto", scripts.filesystem(folder), lambda: places.files(folder))
    assert "secret" not in str(messages)


def test_everything(home: Path) -> None:
    messages = compare(home, (command("mcp-server-everything"),), "auto", scripts.everything)
    assert len(messages) > 40
