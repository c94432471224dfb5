"""The gateway's settings, as values: what ``broker.yaml`` says, checked and with its defaults filled in.

No secret is here: a ``Source`` says where one is. Printing a configuration can therefore show all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal, TypeAlias

from delego_spec.globs import Glob

Network: TypeAlias = IPv4Network | IPv6Network
ParamsMode: TypeAlias = Literal["json", "form", "query"]
Place: TypeAlias = Literal["header", "bearer", "basic", "query"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a secret is. Exactly one of the first four is set."""

    env: str | None = None
    file: Path | None = None
    keyring: tuple[str, str] | None = None  # service, user
    command: tuple[str, ...] | None = None  # no shell
    timeout: float = 10.0  # seconds, for a command or a keyring
    environment: frozenset[str] = frozenset()  # names of variables that a command gets beside the usual ones

    def __str__(self) -> str:
        """For people: which place is meant, never what is in it."""
        if self.env is not None:
            return f"the environment variable {self.env!r:.80}"
        if self.file is not None:
            return f"the file {str(self.file)!r:.300}"
        if self.keyring is not None:
            service, user = self.keyring
            return f"the keyring entry {service!r:.80} of {user!r:.80}"
        return f"the command {(self.command or ('',))[0]!r:.80}"


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret of a route, and where it goes."""

    source: Source
    place: Place
    name: str = ""  # of the header or of the query parameter
    user: str = ""  # for basic
    prefix: str = ""  # for header


@dataclass(frozen=True, slots=True)
class Route:
    """Something that the gateway serves."""

    name: str
    host: str  # the whole authority, lower case
    path: Glob
    methods: frozenset[str]
    params: ParamsMode = "json"
    credentials: tuple[Credential, ...] = ()
    plain_http: bool = False  # loopback only
    allow_networks: tuple[Network, ...] = ()
    ca_file: Path | None = None
    connect_timeout: float = 5.0  # seconds
    read_timeout: float = 20.0  # seconds between two pieces
    total_timeout: float = 25.0  # seconds
    max_response: int = 128 * 1024  # bytes
    response_headers: frozenset[str] = frozenset()  # lower case
    idempotency_key: bool = False

    @property
    def scheme(self) -> str:
        return "http" if self.plain_http else "https"


@dataclass(frozen=True, slots=True)
class Tls:
    """The gateway's own certificate."""

    certificate: Path
    key: Path
    client_ca: Path | None = None  # whoever connects must show a certificate of this one


@dataclass(frozen=True, slots=True)
class Listen:
    """Where authorizers reach the gateway. Either ``socket`` or ``host`` and ``port``."""

    socket: Path | None = None
    socket_mode: int = 0o600
    host: str = ""  # an IP address
    port: int = 0  # 0: a free one
    tls: Tls | None = None
    bearer: Source | None = None
    publish_keys: bool = False
    max_connections: int = 200
    receive_timeout: float = 10.0  # seconds for a request to arrive, headers and body
    stop_timeout: int = 30  # seconds for requests in flight


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the authorizer's token keys are. Exactly one is set."""

    files: tuple[Path, ...] = ()
    jwks_file: Path | None = None
    jwks_url: str | None = None


@dataclass(frozen=True, slots=True)
class BrokerConfig:
    """A gateway's configuration."""

    audience: str
    listen: Listen
    keys: Keys
    routes: tuple[Route, ...]
    sqlite: Path | None = None  # the replay store: this, or redis
    redis: Source | None = None  # of the URL
    issuer: str | None = None
    leeway: int = 0  # seconds
    revocations: Path | None = None
