"""A server that nobody here wrote, over HTTP, directly and through a gateway that is reached over HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import foreign_scripts as scripts
from foreign_servers import everything_over_http
from mcp_http import http_gateway
from mcp_lines import make_home
from mcp_script import ALLOW_ALL

pytest.importorskip("mcp", reason="the extra 'mcp' is not installed")
pytestmark = pytest.mark.filterwarnings("ignore:.* as of 2026-07-28")  # not where it is spoken


def lanes(seen: list[Any]) -> tuple[list[Any], list[str]]:
    """Answers in their order, and all else: over HTTP those two may come on streams of their own."""
    answers = [message for message in seen if "method" not in message]
    return answers, sorted(json.dumps(message, sort_keys=True) for message in seen if "method" in message)


def test_everything_over_http_to_http_is_the_same(tmp_path: Path) -> None:
    home = make_home(tmp_path, ALLOW_ALL)
    more = {
        "elicitation_callback": scripts.elicited,
        "sampling_callback": scripts.sampled,
        "list_roots_callback": scripts.roots,
    }
    options = ("--instruction", "try everything", "--no-begin-task", "--server", "everything")
    with everything_over_http(tmp_path) as url, http_gateway(home, *options, "--url", url) as (front, _):

        async def both() -> list[list[Any]]:
            # One after the other: this server keeps its sessions' files in one place.
            return [await scripts.run(one, "auto", scripts.everything, **more) for one in (url, front)]

        direct, through = asyncio.run(both())
    assert lanes(through) == lanes(direct)
    assert len(direct) > 40
