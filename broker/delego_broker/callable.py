"""A broker in the agent's own process: it wraps the function that holds the credential."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from delego_spec.canonical import normalise
from delego_spec.errors import CanonicalError
from delego_spec.gateway import BrokerOutcome, Executed, GatewayRequest, Refused, Released

_SHOWN = 500  # characters of a result that is not JSON


class CallableBroker:
    """Executes a released action by calling ``function(request)`` once.

    What the function returns becomes the result; a value that is not JSON is reported as its ``repr``, cut.
    It may also return ``Executed`` or ``Refused`` itself. If it raises ``NotSent``, nothing was sent; any
    other exception means that the outcome is unknown, because the request may have left before it.

    The process that runs the function also runs the agent: use this where that process is trusted with the
    credential, and a separate broker where it is not.
    """

    def __init__(self, function: Callable[[GatewayRequest], object]) -> None:
        """Raises TypeError for a coroutine function: calling one does nothing yet."""
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise TypeError(f"a plain function of a GatewayRequest is wanted, not {function!r:.80}")
        self._function = function

    def execute(self, request: GatewayRequest) -> BrokerOutcome:
        value = self._function(request)
        if inspect.isawaitable(value):  # nobody awaits it, so that nobody knows what it has done
            if inspect.iscoroutine(value):
                value.close()
            raise TypeError(
                f"the function returned a {type(value).__name__}; it must have done its work then"
            )
        if isinstance(value, Executed | Refused | Released):
            return value
        try:
            return Executed(result=normalise(value))
        except CanonicalError:
            return Executed(result=_described(value))


def _described(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the action was executed, whatever its result's repr does
        text = f"<{type(value).__name__}>"
    return text.encode(errors="replace").decode()[:_SHOWN]
