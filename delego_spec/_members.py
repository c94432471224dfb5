"""Strict reading of one JSON object: known members only, exact types, an error that names the member."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from delego_spec.canonical import parse_json
from delego_spec.errors import CanonicalError
from delego_spec.types import JSON, Digest, JSONObject, is_digest


class Members:
    """One object while it is read; ``close`` then refuses every member that nobody asked for.

    ``fail`` makes the exception of the message family that is being read. An optional member that is
    ``null`` is refused: absent has one spelling.
    """

    __slots__ = ("_fail", "_left", "_where")

    def __init__(self, value: JSON, where: str, fail: Callable[[str], Exception]) -> None:
        self._where = where
        self._fail = fail
        if type(value) is not dict:
            self.refuse("", f"must be an object, not {_shown(value)}")
        self._left: JSONObject = dict(value)

    @classmethod
    def parse(cls, text: str | bytes, where: str, fail: Callable[[str], Exception]) -> Members:
        """Read JSON text under the rules of §3. A caller that passes neither text nor bytes: TypeError."""
        if not isinstance(text, str | bytes):
            raise TypeError(f"{where}: JSON text is str or bytes, not {type(text).__name__}")
        try:
            value = parse_json(text, name=where)
        except CanonicalError as error:
            raise fail(str(error)) from None
        return cls(value, where, fail)

    def refuse(self, name: str, problem: str) -> NoReturn:
        path = f"{self._where}.{name}" if name else self._where
        raise self._fail(f"{path}: {problem}")

    def has(self, name: str) -> bool:
        return name in self._left

    def any(self, name: str) -> JSON:
        """A required member of any type."""
        if name not in self._left:
            self.refuse(name, "is missing")
        return self._left.pop(name)

    def text(self, name: str, *, empty: bool = False) -> str:
        value = self.any(name)
        if type(value) is not str or not (value or empty):
            wanted = "a string" if empty else "a string that is not empty"
            self.refuse(name, f"must be {wanted}, not {_shown(value)}")
        return value

    def optional_text(self, name: str, *, empty: bool = False) -> str | None:
        return self.text(name, empty=empty) if self.has(name) else None

    def integer(self, name: str, *, least: int | None = None) -> int:
        value = self.any(name)
        if type(value) is not int or (least is not None and value < least):
            wanted = "an integer" if least is None else f"an integer of at least {least}"
            self.refuse(name, f"must be {wanted}, not {_shown(value)}")
        return value

    def boolean(self, name: str) -> bool:
        value = self.any(name)
        if type(value) is not bool:
            self.refuse(name, f"must be true or false, not {_shown(value)}")
        return value

    def digest(self, name: str) -> Digest:
        value = self.any(name)
        if not is_digest(value):
            self.refuse(name, f"must be 64 lower-case hexadecimal digits, not {_shown(value)}")
        return Digest(str(value))

    def object(self, name: str) -> Members:
        return Members(self.any(name), f"{self._where}.{name}", self._fail)

    def mapping(self, name: str) -> JSONObject:
        """A required object whose members are free."""
        value = self.any(name)
        if type(value) is not dict:
            self.refuse(name, f"must be an object, not {_shown(value)}")
        return value

    def close(self) -> None:
        for name in self._left:
            self.refuse("", f"has the unknown member {name!r:.80}")


def _shown(value: JSON) -> str:
    return f"{value!r:.60}"
