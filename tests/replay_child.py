"""A broker's process: for each token on stdin, one line on stdout, ``permit`` or the code of the refusal.

python replay_child.py sqlite PATH | redis URL
"""

from __future__ import annotations

import sys

from delego_broker import Outgoing, RedisReplayStore, Refusal, ReplayStore, SQLiteReplayStore, TokenVerifier
from forge import AUDIENCE, KEYS, NOW

ORDER = Outgoing(
    "POST", "https://api.example.com/orders", {"amount": 2400, "currency": "USD", "destination": "internal"}
)


def main(kind: str, place: str) -> None:
    store: ReplayStore
    store = SQLiteReplayStore.open(place) if kind == "sqlite" else RedisReplayStore.from_url(place)
    verifier = TokenVerifier(KEYS, AUDIENCE, store, clock=lambda: NOW)
    print("ready", flush=True)
    for line in sys.stdin:
        outcome = verifier.authorize(line.rstrip("\n"), ORDER)
        print(outcome.code if isinstance(outcome, Refusal) else "permit", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
