"""What foreign servers work on: a repository, a folder, a site on loopback."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

PAGES: Final = {
    "/robots.txt": ("text/plain", b"User-agent: *\nDisallow: /private\n"),
    "/page": ("text/html", b"<html><body><h1>A heading</h1><p>Some words.</p></body></html>"),
    "/private": ("text/plain", b"for people"),
}


def repository(folder: Path) -> None:
    """A new repository with one commit, and a change of its file ``a.txt``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "a")
    git(folder, "config", "user.email", "a@example.com")
    (folder / "a.txt").write_text("one\n", encoding="utf-8")
    git(folder, "add", "a.txt")
    git(folder, "commit", "-q", "-m", "the first")
    (folder / "a.txt").write_text("two\n", encoding="utf-8")


def git(folder: Path, *words: str) -> str:
    """What git says in a repository; its commits are always of the same time."""
    when = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "1767225600 +0000")
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | when).stdout


def files(folder: Path) -> None:
    """A new folder with a note and a picture; a secret lies beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "note.txt").write_text("first\nsecond\n", encoding="utf-8")
    (folder / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder.parent / "outside.txt").write_text("secret", encoding="utf-8")


@dataclass
class Site:
    """``asked``: the paths that were asked for."""

    origin: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def site() -> Iterator[Site]:
    """A server on loopback with a page that robots may read and one that they may not."""
    found = Site("")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            kind, body = PAGES.get(self.path, ("text/plain", b"not here"))
            self.send_response(200 if self.path in PAGES else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing is said."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.origin = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
