"""A real ``redis-server`` for tests: on loopback, without persistence, ended with the test session."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def redis_server(folder: Path, *settings: str) -> Iterator[str]:
    """Its URL. Skips the test, with the reason, where there is no such program. Nothing is kept on disk."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server on this machine")
    redis = pytest.importorskip("redis")
    for _ in range(5):  # between looking for a free port and using it, another may take it
        port = _free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (folder / "redis.log").open("wb") as log:
            server = subprocess.Popen(
                [*command, "--dir", str(folder), *settings], stdout=log, stderr=subprocess.STDOUT
            )
        try:
            if _answers(redis.Redis(port=port, socket_timeout=2), server):
                yield f"redis://127.0.0.1:{port}/0"
                return
        finally:
            server.kill()
            server.wait()
    pytest.fail(f"redis-server did not start: {(folder / 'redis.log').read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(client: object, server: subprocess.Popen[bytes]) -> bool:
    redis = pytest.importorskip("redis")
    end = time.monotonic() + 10
    with client as connection:  # type: ignore[attr-defined]  # redis has no types where it is not installed
        while server.poll() is None and time.monotonic() < end:
            try:
                return bool(connection.ping())
            except redis.RedisError:
                time.sleep(0.01)
    return False
