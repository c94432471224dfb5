"""Two accounts on one machine, the owner of a home and an agent with a shell: for tests that run as root.

No account is made: free user ids are taken. Interpreter, package and folders of a test run are often readable
by one account alone, so that a copy that everybody may read is put beside the two.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
PATIENCE: Final = 120.0  # seconds; a limit for hangs, not a wait
OWNER: Final = 61_801
AGENT: Final = 61_802
PACKAGES: Final = ("spec", "ledger", "authorizer", "broker", "agent", "cli")
PASSPHRASE: Final = "correct horse battery staple"
POLICY: Final = """
version: 1
default: deny
rules:
  - { name: reads, decision: allow, match: { method: CALL, path: /echo } }
  - { name: asked, decision: needs_approval, match: { method: CALL, path: /slow } }
"""
_EXTRAS: Final = {"delego-spec": ("broker", "mcp")}
_HEAVY: Final = frozenset(
    {"test", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "site-packages", "dist-packages"}
)


def why_not() -> str | None:
    """Why this machine cannot run them; None where it can."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return "only root can act as two other accounts"
    if shutil.which("setpriv") is None:
        return "setpriv (util-linux) is missing"
    done = subprocess.run(["setpriv", f"--reuid={AGENT}", "--clear-groups", "true"], capture_output=True)
    if done.returncode != 0:
        return "this root may not act as another account"
    return None if _open_folder() else "no temporary folder lets other accounts through"


def _open_folder() -> Path | None:
    for folder in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - a folder of its own
        found = folder.resolve()
        if found.is_dir() and all(one.stat().st_mode & 0o001 for one in (found, *found.parents)):
            return found
    return None


class Machine:
    """Folders of the two accounts below one that both may pass, and the command for both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.delego = folder / "bin" / "delego"
        self.python = folder / "bin" / "python"
        self.owners = self._folder("owner", OWNER)
        self.agents = self._folder("agent", AGENT)
        self.home = self.owners / ".delego"
        self.key = self.owners / ".config" / "delego" / "alice.pem"
        self.passphrase = self.owners / "passphrase"
        _copy_python(folder / "python")
        (folder / "bin").mkdir()
        python = folder / "python" / "bin" / "python3"
        script = folder / "bin" / "delego-script"  # as an installer writes it
        script.write_text("import sys\nfrom delego_cli.main import main\nsys.exit(main())\n")
        library = f"LD_LIBRARY_PATH={folder / 'python' / 'lib'} PYTHONDONTWRITEBYTECODE=1"
        for file, words in ((self.delego, f"{python} {script}"), (self.python, str(python))):
            file.write_text(f'#!/bin/sh\n{library} exec {words} "$@"\n')
            file.chmod(0o755)
        shutil.copy(HERE / "mcp_evil.py", folder / "server.py")
        (folder / "policy.yaml").write_text(POLICY)

    def _folder(self, name: str, uid: int) -> Path:
        path = self.folder / name
        path.mkdir()
        os.chown(path, uid, uid)
        path.chmod(0o755)
        return path

    def words(self, uid: int, *words: str | Path, env: Mapping[str, str] | None = None) -> list[str]:
        """A command line as another account. The agent is in the owner's group, which shall not help it."""
        folder = self.owners if uid == OWNER else self.agents
        given = {
            "HOME": str(folder),
            "PATH": f"{self.delego.parent}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            **(env or {}),
        }
        groups = "--clear-groups" if uid == OWNER else f"--groups={OWNER}"
        return [
            *("setpriv", f"--reuid={uid}", f"--regid={uid}", groups, "--inh-caps=-all", "env", "-i"),
            *(f"{name}={value}" for name, value in given.items()),
            *map(str, words),
        ]

    def run(
        self, uid: int, *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, without a terminal. ``cwd``: the account's own folder."""
        return subprocess.run(
            self.words(uid, *words, env=env),
            cwd=cwd or (self.owners if uid == OWNER else self.agents),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )

    def good(self, uid: int, *words: str | Path, **more: Any) -> str:
        """``run``, which has to succeed; what it wrote to stdout."""
        done = self.run(uid, *words, **more)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def write(self, uid: int, path: Path, text: str, mode: int = 0o600) -> Path:
        """A file of that account's."""
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.chown(path, uid, uid)
        path.chmod(mode)
        return path

    def settle(self) -> None:
        """The owner's home: signed approvals, the approver's key under a passphrase, readable as far as the
        program takes it."""
        self.write(OWNER, self.passphrase, f"{PASSPHRASE}\n")
        self.good(OWNER, self.delego, "init", "--approver", "alice", "--sign", "--policy", self.policy)
        self.good(OWNER, self.delego, "keys", "new-approver", "alice", "--passphrase-file", self.passphrase)
        self.good(OWNER, self.delego, "keys", "trust", "alice", self.key.with_suffix(".pub"), "--yes")
        self.home.chmod(0o755)  # a careless operator: what protects are the modes of what lies inside

    @property
    def policy(self) -> Path:
        return self.folder / "policy.yaml"

    def approve(self, approval_id: str) -> subprocess.CompletedProcess[str]:
        """What the person does, with the passphrase."""
        return self.run(
            OWNER,
            *(self.delego, "approve", approval_id, "--as", "alice", "--yes"),
            *("--passphrase-file", self.passphrase),
        )

    def gateway(self, *options: str) -> list[str]:
        """The gateway as the owner, in the agent's folder: the agent has its pipes and nothing else."""
        server = (self.python, self.folder / "server.py", self.owners / "effects")
        return self.words(
            OWNER,
            *("sh", "-c", 'cd "$0" && exec "$@"', self.agents),
            *(self.delego, "--home", self.home, "mcp-gateway", "--server", "evil", *options, "--", *server),
        )

    def effects(self) -> list[str]:
        file = self.owners / "effects"
        return file.read_text().splitlines() if file.exists() else []

    def pending(self) -> list[str]:
        """The ids of what waits, as the owner sees it."""
        listed = json.loads(self.good(OWNER, self.delego, "--json", "pending"))
        return [one["approval_id"] for one in listed["pending"]]

    def waiting(self, known: set[str]) -> str:
        """The id of the one that waits beside those that are known, as soon as there is one."""
        until = time.monotonic() + PATIENCE
        while not (found := set(self.pending()) - known):
            assert time.monotonic() < until, "nothing waits"
        (approval_id,) = found
        return approval_id

    def state(self) -> dict[str, tuple[int, int, bytes]]:
        """Mode, owner and bytes of all that is in the owner's home, but for SQLite's shared memory and
        an empty log."""
        found = {}
        for path in sorted(self.home.rglob("*")):
            if not path.name.endswith("-shm"):
                status = path.lstat()
                data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
                if data or not path.name.endswith("-wal"):
                    found[str(path.relative_to(self.home))] = (status.st_mode, status.st_uid, data)
        return found


@contextmanager
def machine() -> Iterator[Machine]:
    """Two accounts, and the owner's home; all of it is removed at the end."""
    below = _open_folder()
    assert below is not None
    folder = Path(tempfile.mkdtemp(prefix="delego-two-", dir=below))
    try:
        folder.chmod(0o755)
        with _umask(0o022):
            made = Machine(folder)
            made.settle()
        yield made
    finally:
        shutil.rmtree(folder)


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _copy_python(folder: Path) -> None:
    """An interpreter with what the command needs, linked where that is possible."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = folder / "lib" / version
    (folder / "bin").mkdir(parents=True)
    _link(os.path.realpath(sys.executable), folder / "bin" / "python3")

    def heavy(_: str, names: list[str]) -> set[str]:
        return {name for name in names if name in _HEAVY or name.startswith("config-")}

    shutil.copytree(sysconfig.get_path("stdlib"), library, copy_function=_link, ignore=heavy)
    for shared in Path(sysconfig.get_config_var("LIBDIR") or "/nowhere").glob("libpython3*.so.*"):
        _link(shared, folder / "lib" / shared.name)
    packages = library / "site-packages"
    for room in PACKAGES:
        found = importlib.util.find_spec(f"delego_{room}")
        assert found is not None
        assert found.origin is not None
        shutil.copytree(Path(found.origin).parent, packages / f"delego_{room}", copy_function=_link)
    compileall.compile_dir(packages, quiet=2)
    for name in _needed("delego-spec", {}):
        for file in importlib.metadata.files(name) or ():
            if file.parts[0] not in ("..", "bin") and file.suffix != ".pth":
                with contextlib.suppress(FileNotFoundError):
                    _link(file.locate(), packages / file)


def _needed(name: str, seen: dict[str, None]) -> list[str]:
    """The distributions that ``name`` needs, and theirs, as far as they are here."""
    for text in importlib.metadata.requires(name) or ():
        wanted = re.match(r"[\w.-]+", text)
        extra = re.search(r"extra == ['\"](\w+)", text)
        if wanted is None or wanted[0].lower() in seen or (extra and extra[1] not in _EXTRAS.get(name, ())):
            continue
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # for another platform
            importlib.metadata.version(wanted[0])
            seen[wanted[0].lower()] = None
            _needed(wanted[0], seen)
    return [*seen]


def _link(source: Any, target: Any) -> None:
    """A hard link to a file that everybody may read; else a copy."""
    target = Path(target)
    if target.exists():  # named twice; a copy would be written into what it is linked to
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if not Path(source).stat().st_mode & 0o004:
        shutil.copyfile(source, target)
        return
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copy(source, target)
