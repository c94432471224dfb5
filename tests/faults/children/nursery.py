"""Keeps everything imported and forks a worker for each order: a new process in milliseconds.

Usage: nursery.py CONTROL_FD. An order is one message on the control socket, a JSON object with the worker's
name and arguments, and two file descriptors: its standard input and output. The answer is its pid. The order
``{"reap": PID}`` is answered with the exit status.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fault_workers


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 65536, 2)
        if not message:
            return
        order = json.loads(message)
        if "reap" in order:
            _, status = os.waitpid(order["reap"], 0)
            control.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if not pid:
            _work(control, descriptors, order)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(json.dumps(pid).encode())


def _work(control: socket.socket, descriptors: list[int], order: dict[str, object]) -> None:
    code = 70
    try:
        control.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
            os.close(descriptor)
        fault_workers.run(str(order["worker"]), order["arguments"])
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
