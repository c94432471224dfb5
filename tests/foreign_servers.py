"""MCP servers that nobody here wrote. They want other packages than this project, so they live elsewhere.

python tests/foreign_servers.py DIR      installs them into DIR, which DELEGO_FOREIGN_SERVERS then names

Where packages come from is the business of pip and npm. What cannot be installed is said in a line each, and
the tests that want it are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

VARIABLE: Final = "DELEGO_FOREIGN_SERVERS"
LIMIT: Final = 55.0  # seconds for all of them

# One virtual environment for each row. The second speaks the protocol as it was before 2026.
PYTHON: Final = {
    "python": ("mcp-server-time==2026.10.19", "mcp-server-git==2026.10.19", "mcp-server-fetch==2026.10.24"),
    "python-1": ("mcp-server-sqlite==2025.4.25", "mcp==1.30.0"),
}
NODE: Final = (
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
)
FOLDERS: Final = ("python/bin", "python-1/bin", "node/node_modules/.bin")


def command(name: str) -> str:
    """A server's program: in the folder that the variable names, else on PATH; skips where it is not."""
    import pytest

    given = os.environ.get(VARIABLE)
    folders = [str(Path(given, folder).absolute()) for folder in FOLDERS] if given else []
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"no {name}: python tests/foreign_servers.py DIR installs it, {VARIABLE}=DIR finds it")
    if Path(found).resolve().suffix == ".js" and shutil.which("node") is None:
        pytest.skip(f"{name} needs node")
    return found


def node_module(name: str) -> Path:
    """A folder of what the servers from npm have brought along; skips where it is not."""
    folder = Path(command("mcp-server-everything")).resolve().parent
    found = next((one / name for one in folder.parents if (one / name).is_dir()), None)
    if found is None:
        import pytest

        pytest.skip(f"{name} is not beside mcp-server-everything")
    return found


def fetch_server() -> tuple[str, ...]:
    """``mcp-server-fetch`` for loopback. Where it finds node it would install a package at its first page."""
    return ("env", "PATH=/nowhere", command("mcp-server-fetch"), "--allow-private-ips")


@contextmanager
def everything_over_http(folder: Path) -> Iterator[str]:
    """The URL of ``mcp-server-everything``; by itself it would listen on all addresses, at a fixed port."""
    from mcp_http import Process

    script, node = Path(command("mcp-server-everything")).resolve(), shutil.which("node")
    if script.suffix != ".js" or node is None:
        import pytest

        pytest.skip("mcp-server-everything is no script of node here")
    (folder / "loopback.cjs").write_text(_LOOPBACK, encoding="utf-8")
    process = Process((node, "--require", str(folder / "loopback.cjs"), str(script), "streamableHttp"))
    try:
        assert process.first.strip().isdigit(), process.log
        yield f"http://127.0.0.1:{int(process.first)}/mcp"
    finally:
        process.kill()
        process.stop()


_LOOPBACK: Final = """
const { Server } = require("node:net");
const listen = Server.prototype.listen;
console.log = () => {};
Server.prototype.listen = function (port, ...rest) {
  this.once("listening", () => process.stdout.write(`${this.address().port}\\n`));
  return listen.call(this, 0, "127.0.0.1", ...rest);
};
"""


def install(folder: Path) -> list[str]:
    """Install all of them at the same time; a line for each that could not be, and nothing else of those."""
    until = time.monotonic() + LIMIT
    steps: dict[str, list[list[str]]] = {}
    for name, packages in PYTHON.items():
        # Without a pip of its own and bytecode that is not needed it takes a third of the time.
        venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / name)]
        pip = [sys.executable, "-m", "pip", "--python", str(folder / name / "bin" / "python"), "install"]
        flags = ["--quiet", "--no-compile", "--retries", "1", "--timeout", "10"]
        steps[name] = [venv, [*pip, *flags, *packages]]
    npm = shutil.which("npm") or "npm"
    flags = ["--prefix", str(folder / "node"), "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
    steps["node"] = [[npm, "install", *flags, *NODE]]
    for name in steps:
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(steps)) as pool:
        found = dict(zip(steps, pool.map(lambda name: _run(steps[name], until), steps), strict=True))
    for name, problem in found.items():
        if problem is not None:
            shutil.rmtree(folder / name, ignore_errors=True)  # half of a server would not be skipped
    return [f"{name}: {problem}" for name, problem in found.items() if problem is not None]


def _run(commands: list[list[str]], until: float) -> str | None:
    for words in commands:
        try:
            limit = max(1.0, until - time.monotonic())
            done = subprocess.run(words, capture_output=True, text=True, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            return f"not done after {LIMIT:g} s"
        except OSError as error:
            return f"{words[0]}: {error.strerror}"
        if done.returncode:
            return (done.stderr.strip() or "failed").splitlines()[-1]
    return None


if __name__ == "__main__":
    problems = install(Path(sys.argv[1]))
    for problem in problems:
        print(f"not installed, and skipped: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)
