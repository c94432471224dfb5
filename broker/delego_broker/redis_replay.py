"""A replay store in Redis, shared by brokers on several hosts. Needs the extra ``redis``.

Both names are set by one script, which Redis runs alone. They stand in one slot of a cluster (``{replay}``),
and expire by themselves.

What makes it forget, so that a token could be used once more within its lifetime (at most 300 s + leeway):

- a failover to a replica that has not heard of the last writes yet: replication is asynchronous;
- a restart without ``appendonly yes`` and ``appendfsync always``;
- an eviction: ``maxmemory-policy noeviction`` is required, and looked at; under pressure Redis then refuses
  to write, and so does the verifier.

Where a second use would cost more than a refused one, use one Redis without failover, or SQLite on one host.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any, Final

from delego_broker.errors import MissingExtra, ReplayStoreError, why
from delego_broker.replay import Consumed
from delego_spec.types import EpochSeconds

# Seconds for which names are kept beyond what is asked: times to live are counted from the caller's clock by
# Redis's, so that a host whose clock is ahead would have them forgotten too early for the others.
MARGIN: Final = 300

_ANSWERS: Final[tuple[Consumed, ...]] = ("fresh", "jti", "cns")
_SCRIPT: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 'jti' end
if redis.call('EXISTS', KEYS[2]) == 1 then return 'cns' end
redis.call('SET', KEYS[1], '', 'EX', ARGV[1])
redis.call('SET', KEYS[2], '', 'EX', ARGV[1])
return 'fresh'
"""


class RedisReplayStore:
    """Used tokens in Redis. Threads may share it, as they may share the client.

    ``client``: a ``redis.Redis``, with a ``socket_timeout``, or a verifier waits as long as Redis lets it. If
    it sends a command again after a lost answer, a fresh token may come out as used, never the reverse.
    ``prefix`` stands before all names.
    """

    def __init__(self, client: Any, *, prefix: str = "delego:") -> None:
        """Talks to nobody yet. Raises MissingExtra where the library is not installed, TypeError."""
        try:
            import redis
        except ImportError:
            raise MissingExtra("a replay store in Redis", "the redis library", "redis") from None
        if not isinstance(client, redis.Redis | redis.RedisCluster):
            raise TypeError(f"a redis.Redis is wanted, not {type(client).__name__}")
        self._client = client
        self._failures = (redis.RedisError, OSError)
        self._prefix = prefix
        self._script = client.register_script(_SCRIPT)
        self._mutex = threading.Lock()
        self._checked = False

    @classmethod
    def from_url(cls, url: str, *, prefix: str = "delego:", timeout: float = 5.0) -> RedisReplayStore:
        """A store at ``redis://``, ``rediss://`` (TLS) or ``unix://``; ``timeout``: seconds for each answer.

        Raises MissingExtra, ValueError for another URL.
        """
        try:
            import redis
        except ImportError:
            raise MissingExtra("a replay store in Redis", "the redis library", "redis") from None
        client = redis.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
        return cls(client, prefix=prefix)

    def consume(self, jti: str, cns: str, *, keep_until: EpochSeconds, now: EpochSeconds) -> Consumed:
        """As ``ReplayStore`` says, with the durability of this Redis. Raises ReplayStoreError."""
        lifetime = max(keep_until - now, 0) + MARGIN
        try:
            self._check()
            answer = self._script(keys=[self._key("jti", jti), self._key("cns", cns)], args=[lifetime])
        except self._failures as error:
            raise ReplayStoreError(f"Redis did not say whether the token was used: {why(error)}") from None
        word = answer.decode() if isinstance(answer, bytes) else answer
        for known in _ANSWERS:
            if word == known:
                return known
        raise ReplayStoreError(f"Redis answered {word!r:.60} to the question whether the token was used")

    def purge(self, now: EpochSeconds) -> int:  # noqa: ARG002 - the protocol's signature
        """Nothing to do: Redis forgets by itself."""
        return 0

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _check(self) -> None:
        """Once: no store that throws away what it was asked to keep."""
        if self._checked:
            return
        with self._mutex:
            memory = self._client.info("memory")
            policy = memory.get("maxmemory_policy") if isinstance(memory, dict) else None
            if policy is not None and policy != "noeviction":
                raise ReplayStoreError(
                    f"this Redis evicts keys (maxmemory-policy {policy!r:.60}), used tokens among them; set"
                    " it to noeviction"
                )
            self._checked = True

    def _key(self, what: str, name: str) -> str:
        # Hashed: any text becomes a short name, and what Redis logs or dumps holds no token's.
        return f"{self._prefix}{{replay}}:{what}:{hashlib.sha256(name.encode()).hexdigest()}"
