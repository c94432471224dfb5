"""``[HOST:]PORT`` on the command line."""

from __future__ import annotations

from typing import Final

import click

MAX_PORT: Final = 65_535


class Address(click.ParamType[tuple[str, int]]):
    """``[HOST:]PORT``. Whether the host is loopback is looked at where it is listened on."""

    name = "address"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        host, _, port = str(value).rpartition(":")
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= MAX_PORT):
            self.fail(f"{value!r:.80} is no address; write PORT, 127.0.0.1:PORT or [::1]:PORT", param, ctx)
        return host or "127.0.0.1", int(port)
