"""``delego broker``: the gateway as a process, from its configuration to its graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from delego_broker.errors import KeySourceError, ListenError, MissingExtra, ReplayStoreError
from delego_broker.gateway.eventlog import EventLog, Events
from delego_broker.gateway.listening import bind, release, server_tls, shown_address
from delego_broker.gateway.secrets import read_secret
from delego_broker.gateway.settings import BrokerConfig
from delego_broker.keysets import JwksFile, JwksUrl, KeySource, StaticKeys
from delego_broker.replay import ReplayStore
from delego_broker.revocation import RevocationList
from delego_broker.sqlite_replay import SQLiteReplayStore
from delego_broker.verifier import TokenVerifier
from delego_ledger.errors import DelegoLedgerError
from delego_ledger.keyfiles import load_public_key

try:
    import uvicorn

    from delego_broker.gateway.app import build_app
    from delego_broker.gateway.protocol import MAX_HEAD, bounded_protocol
    from delego_broker.gateway.sending import Sender
    from delego_broker.gateway.service import Gateway
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in {"uvicorn", "starlette", "httpx2", "httpcore2", "anyio"}:
        raise
    raise MissingExtra("the gateway", str(error.name), "broker") from None

if TYPE_CHECKING:
    from delego_broker.redis_replay import RedisReplayStore

# They log requests with their URLs and headers at their own levels, whatever this process has set up.
_TALKATIVE: Final = ("uvicorn", "httpx2", "httpcore2")


def key_source(config: BrokerConfig) -> KeySource:
    """The authorizer's token keys. Raises KeySourceError where files cannot be read."""
    keys = config.keys
    if keys.jwks_file is not None:
        return JwksFile(keys.jwks_file)
    if keys.jwks_url is not None:
        return JwksUrl(keys.jwks_url)
    try:
        loaded = [load_public_key(path) for path in keys.files]
    except DelegoLedgerError as error:
        raise KeySourceError(str(error)) from None
    return StaticKeys({key.key_id: key for key in loaded})


def replay_store(config: BrokerConfig) -> SQLiteReplayStore | RedisReplayStore:
    """What remembers used tokens. Raises ReplayStoreError, SecretUnavailable or MissingExtra."""
    if config.redis is not None:
        from delego_broker.redis_replay import RedisReplayStore

        url = read_secret(config.redis)
        try:
            return RedisReplayStore.from_url(url)
        except ValueError:  # its words may quote a part of the password
            raise ReplayStoreError(f"{config.redis} holds no URL of a Redis: redis://host:6379/0") from None
    assert config.sqlite is not None  # noqa: S101 - the configuration has exactly one
    return SQLiteReplayStore.open(config.sqlite)


def make_verifier(config: BrokerConfig, keys: KeySource, store: ReplayStore) -> TokenVerifier:
    """§9.1 for this gateway."""
    return TokenVerifier(
        keys,
        config.audience,
        store,
        issuer=config.issuer,
        leeway=config.leeway,
        revocations=None if config.revocations is None else RevocationList(config.revocations),
    )


def serve(config: BrokerConfig, *, on_event: Events) -> None:
    """Listen and serve until SIGTERM or SIGINT; then finish what is in flight, and return.

    ``on_event`` gets ``{"event": "listening", "address"}``, one object for each request, and ``{"event":
    "stopped"}``; each with ``ts``, from a thread of its own. While it takes no more, requests go on, and it
    gets ``{"event": "dropped", "lines"}`` later. Raises DelegoBrokerError where it cannot begin.
    """
    for path in (*config.keys.files, config.keys.jwks_file, config.sqlite, config.revocations):
        if path is not None:
            _refuse_writable_by_all(path)
    keys = key_source(config)
    keys.table(None)  # a gateway without keys would refuse everything: say so now
    store = replay_store(config)
    try:
        verifier = make_verifier(config, keys, store)
        bound = bind(config.listen)
        try:
            with asyncio.Runner(loop_factory=lambda: _Loop(config.listen.receive_timeout)) as runner:
                runner.run(_serve(config, verifier, keys, bound, on_event))
        finally:
            bound.close()
            release(config.listen)
    finally:
        store.close()


async def _serve(
    config: BrokerConfig, verifier: TokenVerifier, keys: KeySource, bound: socket.socket, on_event: Events
) -> None:
    listen = config.listen
    # Names are looked up in these threads, one for each host at a time; and bearers are read.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(len(config.routes) + 32))

    log = EventLog(on_event)
    gateway = Gateway(config.routes, verifier, Sender(config.routes), log=log, threads=listen.max_connections)
    tls = None if listen.tls is None else server_tls(listen.tls)
    settings = uvicorn.Config(
        build_app(gateway, listen, keys, log=log),
        http=bounded_protocol(listen.receive_timeout, listen.max_connections),
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEAD,
        timeout_graceful_shutdown=listen.stop_timeout,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
    server = _Server(settings, gateway)
    with _quiet():
        log({"event": "listening", "address": shown_address(bound, listen)})
        try:
            await server.serve(sockets=[bound])
        finally:
            if ended := [*server.server_state.tasks]:  # those that the time-out cancelled
                await asyncio.wait(ended, timeout=5)
            await gateway.aclose()
            log({"event": "stopped"})
            log.close()


def _refuse_writable_by_all(path: Path) -> None:
    """Whoever can write them can add a key, take a revocation back, or make a used token good again."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # whoever opens it says it better, or makes it
    if mode & stat.S_IWOTH:
        raise ListenError(
            f"{str(path)!r:.300} can be written by everybody (mode {stat.S_IMODE(mode):04o}); make it 0644"
        )


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose servers do not wait a minute for a TLS handshake, as asyncio's do: until its end
    nobody has counted the connection, and whoever connects and is silent could take all file descriptors."""

    def __init__(self, handshake_timeout: float) -> None:
        super().__init__()
        self._handshake_timeout = handshake_timeout

    async def create_server(self, *arguments: Any, **more: Any) -> asyncio.Server:
        if more.get("ssl") is not None:
            more["ssl_handshake_timeout"] = self._handshake_timeout
        return await super().create_server(*arguments, **more)


class _Server(uvicorn.Server):
    """uvicorn's server, which after a signal returns instead of killing its process with it."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # a test's or an embedder's thread: they set should_exit
            return
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for one in signals:
            loop.add_signal_handler(one, self._stop)
        try:
            yield
        finally:
            for one in signals:
                loop.remove_signal_handler(one)

    def _stop(self) -> None:
        self._gateway.stopping = True
        self.should_exit = True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    before = [one.disabled for one in loggers]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.disabled = True
        one.setLevel(logging.CRITICAL)  # their children inherit it
    try:
        yield
    finally:
        for one, disabled, level in zip(loggers, before, levels, strict=True):
            one.disabled = disabled
            one.setLevel(level)
