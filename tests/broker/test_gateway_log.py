"""The gateway's log: in order, and nobody's request waits for whoever reads it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from delego_broker.gateway.eventlog import EventLog
from gateways import AUDIENCE, BrokerProcess, Upstream, keys_folder, request_for


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    service = Upstream()
    yield service
    service.close()


class Reader:
    """Takes events while it may."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.may = threading.Event()
        self.began = threading.Event()

    def __call__(self, event: Any) -> None:
        self.began.set()
        assert self.may.wait(60)
        self.seen.append(event)
        if event.get("n") == 1:
            raise OSError("the reader has gone")

    def numbers(self) -> list[Any]:
        return [event.get("n", (event["event"], event.get("lines"))) for event in self.seen]


def test_events_come_in_order_with_their_time_and_a_reader_that_fails_ends_nothing() -> None:
    reader = Reader()
    reader.may.set()
    log = EventLog(reader)
    for number in range(100):
        log({"event": "request", "n": number})
    log.close()
    assert reader.numbers() == [*range(100)]
    assert all(event["ts"].endswith("+00:00") for event in reader.seen)


def test_a_reader_that_stalls_loses_lines_and_is_told_how_many() -> None:
    reader = Reader()
    log = EventLog(reader, lines=3)
    log({"event": "request", "n": 0})
    assert reader.began.wait(60)
    for number in range(1, 10):  # three of them wait
        log({"event": "request", "n": number})
    reader.may.set()
    while len(reader.seen) < 4:
        threading.Event().wait(0.01)
    log({"event": "request", "n": 10})
    log.close()
    assert reader.numbers() == [0, 1, 2, 3, ("dropped", 6), 10]


def test_a_stalled_reader_of_stdout_stops_no_request_and_not_the_end(
    upstream: Upstream, tmp_path: Path
) -> None:
    keys_folder(tmp_path)
    text = f"""\
audience: {AUDIENCE}
listen: {{address: "127.0.0.1:0"}}
keys: {{files: [token.pub]}}
store: {{sqlite: used.db}}
routes: [{{name: svc, host: "{upstream.authority}", methods: [GET], plain_http: true,
           allow_networks: [127.0.0.0/8]}}]
"""
    process = Piped(tmp_path, text)
    try:
        process.fill()
        for _ in range(3):
            request = request_for("GET", f"http://{upstream.authority}/echo")
            status, answer = process.post(request.to_json())
            assert (status, answer["executed"]) == (200, True)
    finally:
        assert process.stop() == 0


class Piped(BrokerProcess):
    """Its stdout is a pipe of which only the first line is read."""

    def start(self) -> None:
        reading, self.writing = os.pipe()
        self.process = subprocess.Popen(
            self.arguments,
            stdout=self.writing,
            stderr=subprocess.DEVNULL,
            env=self.environment,
            cwd=self.folder,
        )
        self.reading = os.fdopen(reading, "rb")
        self.address = json.loads(self.reading.readline())["address"]

    def fill(self) -> None:
        """Not one byte more fits into the pipe."""
        os.set_blocking(self.writing, False)
        for size in (65536, 1):
            try:
                while True:
                    os.write(self.writing, b"\n" * size)
            except BlockingIOError:
                pass
        os.set_blocking(self.writing, True)

    def stop(self) -> int:
        try:
            return super().stop()
        finally:
            self.reading.close()
            os.close(self.writing)
