"""``@gated``: a body runs inside of a decision or not at all, with the arguments that were decided."""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agents import decide, executions, make_home, person, receipts
from delego_agent import (
    ApprovalRequired,
    Denied,
    Gate,
    GatedError,
    approve_and_run,
    gated,
    task,
)
from delego_agent.gating import DEFAULT
from delego_authorizer import HomeError, PrincipalError, Unsettled
from delego_ledger.errors import StorageError
from delego_spec.gateway import NotSent

WORDS = "tidy up"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "home")


@pytest.fixture
def gate(home: Path) -> Iterator[Gate]:
    gate = Gate(home)
    yield gate
    gate.close()


def set_timeout(home: Path, seconds: float) -> None:
    (home / "config.toml").write_text(
        f"version = 1\n[broker]\ntimeout_seconds = {seconds}\n", encoding="utf-8"
    )


# --- decided, then run ----------------------------------------------------------------------------------


def test_an_allowed_function_runs_in_the_callers_thread_and_returns_its_value(home: Path, gate: Gate) -> None:
    value = object()

    @gated("read", gate=gate)
    def read(path: str) -> tuple[object, int, str]:
        return value, threading.get_ident(), path

    with task(WORDS):
        assert read("a") == (value, threading.get_ident(), "a")
    assert executions(home) == ["executed via broker"]


def test_the_receipt_of_a_release_comes_before_the_body(home: Path, gate: Gate) -> None:
    seen: list[Any] = []

    @gated("read", gate=gate)
    def read() -> None:
        seen.extend(receipts(home))

    with task(WORDS):
        read()
    assert [(phase, outcome) for phase, outcome, _ in seen] == [("decision", "allow")]


def test_a_denied_function_does_not_run(gate: Gate) -> None:
    ran: list[str] = []
    forbidden = gated("disk.format", gate=gate)(ran.append)
    unknown = gated("unknown", gate=gate)(ran.append)
    with task(WORDS):
        with pytest.raises(Denied) as caught:
            forbidden("a")
        assert (caught.value.reasons, caught.value.rule) == (("forbidden: Nobody formats disks",), "never")
        with pytest.raises(Denied, match="unknown was denied: no rule matched; default = deny"):
            unknown("a")
    assert ran == []


def test_a_constraint_sees_the_arguments_by_their_names(gate: Gate) -> None:
    @gated("pay", gate=gate)
    def pay(to: str, amount: int = 500) -> None:
        raise AssertionError

    with task(WORDS):
        with pytest.raises(Denied, match="amount: 500"):
            pay("bob")
        with pytest.raises(ApprovalRequired):
            pay("bob", amount=5)


def test_a_held_function_runs_once_when_it_is_called_again_after_the_yes(home: Path, gate: Gate) -> None:
    ran: list[str] = []
    delete = gated("file.delete", gate=gate)(lambda path: ran.append(path))
    with task(WORDS):
        with pytest.raises(ApprovalRequired) as caught:
            delete("a")
        approval = caught.value.approval_id
        with pytest.raises(ApprovalRequired) as caught:
            delete("a")
        assert caught.value.approval_id == approval
        decide(home, approval)
        with pytest.raises(ApprovalRequired):
            delete("b")
        with task("something else"), pytest.raises(ApprovalRequired):
            delete("a")
        assert ran == []
        delete(path="a")
        assert ran == ["a"]
        with pytest.raises(ApprovalRequired) as caught:
            delete("a")
        assert caught.value.approval_id != approval
    assert ran == ["a"]


def test_after_a_no_the_same_call_is_denied(home: Path, gate: Gate) -> None:
    delete = gated("file.delete", gate=gate)(lambda path: None)
    with task(WORDS):
        with pytest.raises(ApprovalRequired) as caught:
            delete("a")
        decide(home, caught.value.approval_id, "deny")
        with pytest.raises(Denied, match="human denied this action"):
            delete("a")


def test_a_rate_limit_counts_calls_that_are_running(gate: Gate) -> None:
    @gated("few", gate=gate)
    def few(left: int) -> int:
        return few(left - 1) + 1 if left else 0

    with task(WORDS), pytest.raises(Denied, match="rate_limit"):
        few(2)


def test_the_url_is_made_of_the_gates_name_and_the_operation(home: Path) -> None:
    gate = Gate(home, name="files", principal="bot")
    delete = gated("file.delete", gate=gate)(lambda path: None)
    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        delete("a")
    with person(home) as authorizer:
        action = authorizer.ledger.parked_action(caught.value.approval_id)
        approval = authorizer.ledger.approval(caught.value.approval_id)
    assert action is not None
    assert (action.method, action.url, action.params) == ("CALL", "tool://files/file.delete", {"path": "a"})
    assert approval is not None
    assert approval.proposer == "bot"
    gate.close()


# --- arguments ------------------------------------------------------------------------------------------


class Shelf:
    """Methods of every kind."""

    gate: Gate

    def __init__(self, ran: list[Any]) -> None:
        self.ran = ran


def params_of(gate: Gate, home: Path, function: Any, *args: Any, **kwargs: Any) -> Any:
    """The params that a call of ``function`` is decided by."""
    held = gated("file.delete", gate=gate)(function)
    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        held(*args, **kwargs)
    with person(home) as authorizer:
        action = authorizer.ledger.parked_action(caught.value.approval_id)
    assert action is not None
    return action.params


def test_every_kind_of_parameter_is_a_param_of_its_name(gate: Gate, home: Path) -> None:
    def function(a: int, /, b: int, c: int = 3, *rest: int, d: int, e: int = 5, **more: int) -> None: ...

    everything = {"a": 1, "b": 2, "c": 9, "rest": [8, 7], "d": 4, "e": 5, "more": {"a": 6, "self": 1}}
    assert params_of(gate, home, function, 1, 2, 9, 8, 7, d=4, a=6, self=1) == everything
    few = {"a": 1, "b": 2, "c": 3, "rest": [], "d": 4, "e": 5, "more": {}}
    assert params_of(gate, home, function, 1, d=4, b=2) == few


def test_a_function_of_no_class_may_call_a_parameter_self(gate: Gate, home: Path) -> None:
    def function(self: str) -> None: ...

    assert params_of(gate, home, function, "a") == {"self": "a"}


def test_methods_leave_out_their_object(gate: Gate, home: Path) -> None:
    class Cabinet:
        def __init__(self) -> None:
            self.ran: list[Any] = []

        @gated("read", gate=gate)
        def read(self, path: str) -> Any:
            self.ran.append(path)
            return self

        @classmethod
        @gated("read", gate=gate)
        def of(cls, path: str) -> Any:
            return cls, path

        @staticmethod
        @gated("read", gate=gate)
        def plain(path: str) -> str:
            return path

    cabinet = Cabinet()
    with task(WORDS):
        assert cabinet.read("a") is cabinet
        assert Cabinet.read(cabinet, path="b") is cabinet
        assert Cabinet.of("c") == (Cabinet, "c")
        assert Cabinet.plain("d") == "d"
    assert cabinet.ran == ["a", "b"]
    with person(home) as authorizer:
        actions = [line for line in map(bytes, authorizer.ledger.lines()) if b'\\"path\\":\\"a\\"' in line]
        assert actions
        assert not any(b"self" in line for line in actions)
    assert params_of(gate, home, cabinet.ran.append, "x") == {"object": "x"}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Path("a"), r"delete: argument 'path' holds a PosixPath, which cannot be decided; .*str\(path\)"),
        (b"a", "holds a bytes"),
        ({1, 2}, "holds a set"),
        ([1, (2, {"a": object()})], "holds a object"),
        ({1: 2}, "has the key 1, which is a int"),
        (2**60, "beyond 2\\^53-1"),
        (float("nan"), "is not a finite number"),
        ("\ud800", "lone surrogate"),
        (True.__class__, "holds a type"),
        (type("Sly", (str,), {})("a"), "holds a Sly"),
        ("x" * 300_000, "canonical text has 300"),
    ],
)
def test_what_cannot_be_decided_is_a_clear_error(gate: Gate, home: Path, value: Any, says: str) -> None:
    delete = gated("file.delete", gate=gate)(lambda path: None)
    with task(WORDS), pytest.raises(GatedError, match=says):
        delete(value)
    assert not (home / "ledger.db-wal").exists() or receipts(home) == []


def test_a_value_nested_too_deeply_or_in_itself_is_a_clear_error(gate: Gate) -> None:
    delete = gated("file.delete", gate=gate)(lambda path: None)
    circle: list[Any] = []
    circle.append(circle)
    with task(WORDS), pytest.raises(GatedError, match="nested deeper than 64 levels"):
        delete(circle)
    deep: Any = "a"
    for _ in range(63):
        deep = [deep]
    with task(WORDS), pytest.raises(GatedError, match="nested deeper than 64 levels"):
        delete(deep)


def test_arguments_that_do_not_fit_are_the_type_error_of_any_call(gate: Gate, home: Path) -> None:
    delete = gated("file.delete", gate=gate)(lambda path: None)
    with task(WORDS):
        for args, kwargs in (((), {}), (("a", "b"), {}), ((), {"paht": "a"})):
            with pytest.raises(TypeError) as caught:
                delete(*args, **kwargs)
            assert not isinstance(caught.value, GatedError)


def test_a_change_behind_the_decision_reaches_neither_body_nor_decision(home: Path, gate: Gate) -> None:
    names, got = ["a"], []

    @gated("read", gate=gate)
    def read(paths: list[str], more: tuple[float, ...]) -> None:
        names.append("evil")  # as another thread would, after the decision
        got.append((list(paths), more))
        paths.append("mine")

    with task(WORDS):
        read(names, (1.0, 2.5))
        assert got == [(["a"], (1.0, 2.5))]
        assert type(got[0][1][0]) is float
        assert names == ["a", "evil"]


def test_what_a_body_does_to_its_arguments_reaches_no_later_call(home: Path, gate: Gate) -> None:
    got = []

    @gated("file.delete", gate=gate)
    def delete(paths: list[str], default: list[str] = []) -> None:  # noqa: B006 - what careless code has
        got.append((list(paths), list(default)))
        paths.append("evil")
        default.append("evil")

    with task(WORDS), pytest.raises(ApprovalRequired) as caught:
        delete(["a"])
    approve_and_run(caught.value, "alice")
    with pytest.raises(ApprovalRequired) as second:
        caught.value.held_call().again()
    approve_and_run(second.value, "alice")
    assert got == [(["a"], [])] * 2


def test_the_signature_is_the_functions_and_no_way_around_is_left_lying(gate: Gate) -> None:
    @gated("read", gate=gate)
    def read(path: str, *, deep: bool = False) -> int:
        """Read it."""
        return 1

    assert str(inspect.signature(read)) == "(path: 'str', *, deep: 'bool' = False) -> 'int'"
    assert (read.__name__, read.__doc__) == ("read", "Read it.")
    assert not hasattr(read, "__wrapped__")


# --- what can be gated ----------------------------------------------------------------------------------


async def _stream() -> AsyncIterator[int]:
    yield 1


def _unseen() -> None: ...


_unseen.__signature__ = "nothing"  # type: ignore[attr-defined]  # as for parts of C that tell nothing


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (_stream, "an async generator cannot be gated"),
        (Shelf, "a function can be gated, not a type"),
        (functools.partial(print, "a"), "not a partial"),
        (classmethod(lambda cls: None), "put @gated below @classmethod"),
        (staticmethod(lambda: None), "put @gated below @staticmethod"),
        (property(lambda self: None), "put @gated below @property"),
        (lambda path=Path("a"): None, "argument 'path' holds a PosixPath.*this is the default"),
        (_unseen, "the parameters of .* are not to be seen"),
    ],
)
def test_what_cannot_be_gated_is_refused_at_once(gate: Gate, thing: Any, says: str) -> None:
    with pytest.raises(GatedError, match=says):
        gated("read", gate=gate)(thing)


@pytest.mark.parametrize(
    "name",
    ["", "/a", "a/", "a//b", "..", "a/../b", ".a", "a b", "ä", "a%2Fb", "a?b", "a\n", "x" * 201, 7, None],
)
def test_an_operation_has_a_name_that_passes_the_hazards(gate: Gate, name: Any) -> None:
    with pytest.raises(GatedError, match="no name of an operation"):
        gate.gated(name)


@pytest.mark.parametrize("name", ["", "A", "a.b", "localhost", "a b", "ä", "a/b", "1", "\ud800"])
def test_a_gate_has_a_name_that_passes_the_hazards(home: Path, name: str) -> None:
    with pytest.raises(GatedError, match="is no name of a gate"):
        Gate(home, name=name)


def test_a_gate_needs_a_principal_and_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PrincipalError):
        Gate(tmp_path, principal="no spaces")
    monkeypatch.setenv("DELEGO_HOME", str(tmp_path / "nowhere"))
    with task(WORDS), pytest.raises(HomeError):
        gated("read")(lambda: None)()
    DEFAULT.close()


def test_the_default_gate_takes_the_home_of_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELEGO_HOME", str(home))
    with task(WORDS):
        assert gated("read")(lambda: 7)() == 7
    DEFAULT.close()
    assert executions(home) == ["executed via broker"]


def test_a_builtin_can_be_gated(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with task(WORDS):
        assert gated("read", gate=gate)(os.listdir)(str(tmp_path / "home" / "approvers")) == []


@pytest.mark.parametrize("kind", ["coroutine", "generator", "async_generator"])
def test_work_that_would_be_done_outside_the_decision_is_refused(home: Path, gate: Gate, kind: str) -> None:
    async def later() -> None:
        raise AssertionError

    made = {"coroutine": later, "async_generator": _stream, "generator": lambda: (one for one in "ab")}
    read = gated("read", gate=gate)(lambda: made[kind]())
    with task(WORDS), pytest.raises(GatedError, match=f"returned a {kind}"):
        read()
    assert executions(home)[0].startswith("outcome unknown")


# --- exceptions -----------------------------------------------------------------------------------------


class BadError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (ValueError("half done"), "outcome unknown: ValueError: half done"),
        (KeyboardInterrupt(), "outcome unknown: KeyboardInterrupt:"),
        (SystemExit(3), "outcome unknown: SystemExit: 3"),
        (BadError(), "outcome unknown: BadError: (it cannot say)"),
    ],
)
def test_an_exception_is_the_callers_and_its_outcome_unknown(
    home: Path, gate: Gate, error: BaseException, recorded: str
) -> None:
    @gated("read", gate=gate)
    def read() -> None:
        raise error

    with task(WORDS), pytest.raises(type(error)) as caught:
        read()
    assert caught.value is error
    assert [one.strip() for one in executions(home)] == [recorded]


def test_not_sent_says_that_nothing_was_done(home: Path, gate: Gate) -> None:
    @gated("read", gate=gate)
    def read() -> None:
        raise NotSent("no connection")

    with task(WORDS), pytest.raises(NotSent):
        read()
    assert receipts(home)[-1][:2] == ("execution", "deny")
    assert "not_sent: no connection" in receipts(home)[-1][2]


def test_a_call_that_takes_too_long_is_recorded_as_unknown_and_returns_its_value(home: Path) -> None:
    set_timeout(home, 1)
    gate, reported = Gate(home), threading.Event()

    @gated("read", gate=gate)
    def read() -> int:
        while not any("did not answer within" in reasons for _, _, reasons in receipts(home)):
            reported.wait(0.05)
        return 7

    with task(WORDS):
        assert read() == 7
    assert executions(home) == ["outcome unknown: the broker did not answer within 1 s"]
    gate.close()


def test_a_result_that_cannot_be_recorded_is_an_error(home: Path, gate: Gate) -> None:
    ledger: Any = gate.opened().ledger
    submit = ledger.submit

    def failing(steps: Any) -> Any:
        raise StorageError("write", home, "no space left on device", retry_safe=True)

    @gated("read", gate=gate)
    def read(fail: bool) -> None:
        ledger.submit = failing
        if fail:
            raise ValueError("mine")

    with task(WORDS), pytest.raises(Unsettled, match="no space left"):
        read(False)
    ledger.submit = submit
    with task(WORDS), pytest.raises(ValueError, match="mine") as caught:
        read(True)
    ledger.submit = submit
    assert "could not be recorded (no space left on device)" in caught.value.__notes__[0]


def test_a_gated_function_may_call_another_one(home: Path, gate: Gate) -> None:
    inner = gated("read/inner", gate=gate)(lambda: 1)
    outer = gated("read/outer", gate=gate)(lambda: inner() + 1)
    with task(WORDS):
        assert outer() == 2
    assert executions(home) == ["executed via broker"] * 2


def test_a_denied_inner_call_is_the_outer_ones_exception(home: Path, gate: Gate) -> None:
    inner = gated("disk.format", gate=gate)(lambda: 1)
    outer = gated("read", gate=gate)(lambda: inner())
    with task(WORDS), pytest.raises(Denied, match=r"disk\.format"):
        outer()
