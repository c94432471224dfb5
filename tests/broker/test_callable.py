"""A function as a broker: called once, and whatever it returns becomes a result that can be written down."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_broker import CallableBroker, Executed, GatewayRequest, NotSent, Refused, Released
from delego_spec.gateway import check_outcome
from houses import order, read

REQUEST = GatewayRequest.of(order())


class Shapeless:
    def __repr__(self) -> str:
        raise RuntimeError("no shape")


def executed(value: object) -> Any:
    outcome = CallableBroker(lambda _: value).execute(REQUEST)
    assert isinstance(outcome, Executed)
    assert check_outcome(outcome) == outcome
    assert (outcome.status, outcome.error) == (None, None)
    return outcome.result


def test_the_function_gets_the_request_and_is_called_once() -> None:
    seen: list[GatewayRequest] = []
    CallableBroker(seen.append).execute(REQUEST)
    assert seen == [REQUEST]


@pytest.mark.parametrize("value", [None, True, 0, 2.5, "text", [], {"a": [1, {"b": None}]}])
def test_a_json_value_is_the_result(value: object) -> None:
    assert executed(value) == value


def test_what_json_spells_otherwise_is_normalised() -> None:
    assert executed((1, 2.0)) == [1, 2]
    result = executed(2400.0)
    assert type(result) is int


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({1, 2}, "{1, 2}"),
        (b"\xff", "b'\\xff'"),
        (float("nan"), "nan"),
        (2**60, str(2**60)),
        ({1: 2}, "{1: 2}"),
        ("\ud800", "'\\ud800'"),
        (Shapeless(), "<Shapeless>"),
        (b"x" * 3_000, "b'" + "x" * 498),
    ],
)
def test_what_is_not_json_is_described_and_cut(value: object, shown: str) -> None:
    assert executed(value) == shown


def test_a_value_that_holds_itself_is_described() -> None:
    value: list[object] = []
    value.append(value)
    assert executed(value) == "[[...]]"


@pytest.mark.parametrize(
    "outcome", [Executed(201, {"id": 1}, None), Refused("unsupported", "no"), Released()]
)
def test_an_outcome_is_handed_on_as_it_is(outcome: Any) -> None:
    assert CallableBroker(lambda _: outcome).execute(REQUEST) is outcome


@pytest.mark.parametrize("error", [NotSent("no route"), OSError("reset"), KeyboardInterrupt()])
def test_what_the_function_raises_passes_through(error: BaseException) -> None:
    def function(_: GatewayRequest) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        CallableBroker(function).execute(REQUEST)
    assert caught.value is error


async def nobody_awaits_it(_: GatewayRequest) -> None:
    raise AssertionError("this never runs")


@pytest.mark.parametrize("function", [nobody_awaits_it, functools.partial(nobody_awaits_it), None, 7])
def test_what_does_no_work_when_it_is_called_is_refused_at_once(function: Any) -> None:
    with pytest.raises(TypeError, match="a plain function of a GatewayRequest is wanted"):
        CallableBroker(function)


def test_a_coroutine_in_disguise_is_no_result() -> None:
    with pytest.raises(TypeError, match="returned a coroutine; it must have done its work then"):
        CallableBroker(lambda request: nobody_awaits_it(request)).execute(REQUEST)


def test_a_future_in_disguise_is_no_result() -> None:
    loop = asyncio.new_event_loop()
    try:
        future = loop.create_future()
        with pytest.raises(TypeError, match="returned a Future"):
            CallableBroker(lambda _: future).execute(REQUEST)
    finally:
        loop.close()


def test_a_generator_is_described_for_its_function_may_have_sent_already() -> None:
    def stream() -> Iterator[int]:
        yield 1

    assert executed(stream()).startswith("<generator object")


class Callee:
    def __call__(self, request: GatewayRequest) -> object:
        return request.method


@pytest.mark.parametrize("function", [Callee(), functools.partial(lambda extra, request: extra, "POST")])
def test_any_callable_will_do(function: Callable[[GatewayRequest], object]) -> None:
    assert CallableBroker(function).execute(REQUEST) == Executed(result="POST")


ANYTHING = st.recursive(
    st.none() | st.floats() | st.integers() | st.text() | st.binary(),
    lambda deep: st.lists(deep) | st.dictionaries(st.text(), deep),
)


@given(ANYTHING)
def test_any_value_becomes_an_outcome_that_can_be_sent(value: object) -> None:
    outcome = CallableBroker(lambda _: value).execute(GatewayRequest.of(read()))
    assert check_outcome(outcome) == outcome
