"""Is the process that ran an execution still there?"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from delego_authorizer import owner as module
from delego_authorizer.owner import is_abandoned, this_process
from delego_ledger.contract import Execution, Owner
from delego_spec.types import Digest, Micros

NOBODY = 2**22 + 1  # above the greatest pid of any Linux
DEADLINE = Micros(1_000)

linux_only = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def execution_of(owner: Owner) -> Execution:
    digest = Digest("0" * 64)
    return Execution("exe", None, (), digest, digest, "GET x/", None, owner, Micros(0), DEADLINE)


def is_gone(owner: Owner) -> bool:
    return is_abandoned(execution_of(owner), Micros(DEADLINE - 1))


def host(*, name: str | None = None, boot: str | None = None, namespace: str | None = None) -> str:
    parts = this_process().host.split("/")
    given = (name, boot, namespace)
    return "/".join(part if new is None else new for part, new in zip(parts, given, strict=True))


def test_this_process_lives_and_is_known_by_host_pid_and_start() -> None:
    me = this_process()
    assert me.pid == os.getpid()
    assert len(me.host.split("/")) == 3
    assert not is_gone(me)


def test_a_deadline_that_has_passed_abandons_even_a_live_process() -> None:
    digest = Digest("0" * 64)
    execution = Execution(
        "exe", None, (), digest, digest, "GET x/", None, this_process(), Micros(0), DEADLINE
    )
    assert is_abandoned(execution, DEADLINE)


def test_a_process_that_ended_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    assert is_gone(replace(this_process(), pid=child.pid, started="1"))
    assert is_gone(replace(this_process(), pid=NOBODY))
    assert is_gone(replace(this_process(), pid=2**70))


@linux_only
def test_a_later_process_with_the_same_pid_is_another_one() -> None:
    me = this_process()
    assert me.started.isdigit()
    assert is_gone(replace(me, started=str(int(me.started) - 1)))
    assert not is_gone(replace(me, started=""))  # where the start is not known, nobody is declared dead


@linux_only
def test_a_zombie_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
        started = module._status(child.pid)[1]
        assert is_gone(replace(this_process(), pid=child.pid, started=started))
    finally:
        child.wait()


@linux_only
def test_of_a_process_that_is_not_there_nothing_is_known() -> None:
    assert module._status(NOBODY) == ("", "")


@linux_only
def test_a_program_may_have_any_name(tmp_path: Path) -> None:
    odd = tmp_path / "a) Z 1 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as child:
        try:
            state, started = module._status(child.pid)
            assert state != "Z"
            assert started.isdigit()
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("where", "gone"),
    [
        (host(name="elsewhere", boot="other"), False),  # another host: not to be seen from here
        (host(boot="another-boot"), True),  # this host was started again
        (host(namespace="1"), False),  # another container on this host
        ("nonsense", False),
        ("a/b/c/d", False),
        ("", False),
    ],
)
def test_a_process_elsewhere_is_gone_only_where_that_is_sure(where: str, gone: bool) -> None:
    assert is_gone(Owner(where, NOBODY, "1")) is gone


@linux_only
def test_a_host_that_was_renamed_is_known_by_its_boot() -> None:
    assert is_gone(Owner(host(name="renamed"), NOBODY, "1"))
    assert not is_gone(replace(this_process(), host=host(name="renamed")))


def test_where_the_system_tells_nothing_only_the_name_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_host", lambda: "here//")
    monkeypatch.setattr(module, "_read", lambda _: "")
    assert not is_gone(Owner("there//", NOBODY, ""))
    assert is_gone(Owner("here//", NOBODY, ""))
    assert not is_gone(Owner("here//", os.getpid(), ""))


def test_a_process_of_another_account_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(module.os, "kill", forbidden)
    assert not is_gone(this_process())


def test_without_namespaces_the_host_is_named_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Path) -> os.stat_result:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "stat", missing)
    module._host.cache_clear()
    try:
        assert module._host().endswith("/")
    finally:
        monkeypatch.undo()
        module._host.cache_clear()
