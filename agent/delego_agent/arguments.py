"""A call's arguments as params of an action, and as the private copies that the function will get.

Both come from one copy that is taken before anything is decided: what a caller does to a list afterwards
reaches neither the decision nor the function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from delego_agent.errors import GatedError
from delego_spec.canonical import MAX_DEPTH, normalise
from delego_spec.errors import CanonicalError
from delego_spec.types import JSONObject

_PLAIN: Final = (bool, int, float, str)
_WANTED: Final = (
    "pass None, bool, int, float, str, or lists, tuples and dicts of these (str(path), not the path)"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """The arguments of one call."""

    params: JSONObject  # by the parameters' names, canonical
    receiver: tuple[Any, ...]  # a method's object, which is no argument
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def call(self, function: Callable[..., Any]) -> Any:
        """Call with copies of the copies: what one call does to them never reaches another one.

        Not with the params: there a float without a fraction is an integer, and a tuple is a list.
        """
        args = [_copy(value, "", 0) for value in self.args]
        kwargs = {name: _copy(value, "", 0) for name, value in self.kwargs.items()}
        return function(*self.receiver, *args, **kwargs)


class Arguments:
    """How the arguments of one function become params.

    Each parameter is one param of its name, defaults filled in; ``*args`` is one list, ``**kwargs`` one
    object, under the names that the function gives them. A method's ``self`` or ``cls`` is left out.
    """

    def __init__(self, operation: str, function: Callable[..., Any]) -> None:
        """Raises GatedError for a function whose arguments cannot be told, or with a default that no
        decision can be bound to."""
        self._operation = operation
        try:
            self.signature = inspect.signature(function)
        except (TypeError, ValueError):
            raise GatedError(
                f"{operation}: the parameters of {function!r:.80} are not to be seen; wrap it"
            ) from None
        self._receiver = _receiver(function, self.signature)
        for name, parameter in self.signature.parameters.items():
            if parameter.default is not parameter.empty:
                try:
                    self._copy_of(name, parameter.default)
                except GatedError as error:
                    raise GatedError(
                        f"{error} (this is the default; give it one that can be decided)"
                    ) from None

    def take(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Taken:
        """Raises TypeError for arguments that do not fit the function, as calling it would; GatedError for
        values that have no canonical form."""
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        params: JSONObject = {}
        for name, value in bound.arguments.items():
            if name != self._receiver:
                bound.arguments[name], params[name] = self._copy_of(name, value)
        first = int(self._receiver is not None)
        return Taken(params, bound.args[:first], bound.args[first:], bound.kwargs)

    def _copy_of(self, name: str, value: object) -> tuple[Any, Any]:
        where = f"{self._operation}: argument {name!r}"
        copy = _copy(value, where, 0)
        try:
            return copy, normalise(copy, name=where, depth=2)
        except CanonicalError as error:
            raise GatedError(str(error)) from None


def _receiver(function: Callable[..., Any], signature: inspect.Signature) -> str | None:
    """The name of a method's first parameter: it is the object, not an argument."""
    scope = getattr(function, "__qualname__", "").rpartition(".")[0]
    first = next(iter(signature.parameters), None)
    in_class = bool(scope) and not scope.endswith("<locals>") and not inspect.ismethod(function)
    return first if in_class and first in ("self", "cls") else None


def _copy(value: Any, where: str, depth: int) -> Any:
    """A copy that nobody else holds. Subclasses are refused: they may answer differently each time."""
    kind = type(value)
    if value is None or kind in _PLAIN:
        return value
    if depth >= MAX_DEPTH:
        raise GatedError(f"{where} is nested deeper than {MAX_DEPTH} levels")
    if kind is dict:  # copied in one step first: another thread may change it
        return {key: _copy(item, where, depth + 1) for key, item in value.copy().items()}
    if kind is list or kind is tuple:
        return kind([_copy(item, where, depth + 1) for item in tuple(value)])
    raise GatedError(f"{where} holds a {kind.__name__}, which cannot be decided; {_WANTED}")
