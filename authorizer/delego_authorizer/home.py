"""A home: the folder with policy, configuration, keys and ledger of one authorizer.

    policy.yaml   config.toml   ledger.db   keys/ledger.pem|pub   keys/token.pem|pub   approvers/NAME.pub

``keys/ledger.pub`` is written last when a home is made: where it stands and the ledger does not, evidence
was lost, and nothing starts a new chain in its place.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from delego_authorizer.authorizer import Authorizer, Randomness
from delego_authorizer.config import Config, load_config
from delego_authorizer.errors import ConfigError, HomeError
from delego_authorizer.values import check_principal
from delego_ledger.anchorfile import append_anchor, latest_anchor
from delego_ledger.clock import Clock, system_clock
from delego_ledger.errors import DelegoLedgerError, StorageError, os_reason
from delego_ledger.files import write_atomically
from delego_ledger.keyfiles import (
    generate_key,
    load_public_key,
    load_public_keys,
    load_signer,
    write_public_key,
)
from delego_ledger.ownership import foreign_hand
from delego_ledger.sqlite import SQLiteLedger
from delego_spec.anchors import Anchor
from delego_spec.ed25519 import PublicKey, SeedSigner, Signer
from delego_spec.errors import CanonicalError, PolicyError, Problem
from delego_spec.gateway import Broker
from delego_spec.policy import Policy, load_policy

MAX_DOCUMENT: Final = 4 * 1024 * 1024  # bytes; the loaders have smaller limits and say so better

_log = logging.getLogger("delego.home")


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of a home, and what can be opened there. Nothing is read until it is asked for."""

    path: Path

    @property
    def policy_path(self) -> Path:
        return self.path / "policy.yaml"

    @property
    def config_path(self) -> Path:
        return self.path / "config.toml"

    @property
    def ledger_path(self) -> Path:
        return self.path / "ledger.db"

    @property
    def keys_path(self) -> Path:
        return self.path / "keys"

    @property
    def approvers_path(self) -> Path:
        return self.path / "approvers"

    @property
    def exists(self) -> bool:
        """True for a complete home, even if its ledger has been lost since."""
        return _found(self.keys_path / "ledger.pub", Path.is_file)

    def require(self) -> Home:
        """This home. Raises HomeError where there is none."""
        if self.exists:
            return self
        if _found(self.ledger_path):  # an interrupted init, or a folder of keys that was lost
            wanted = "restore it from a copy, or, after an interrupted 'delego init', run that again"
            raise HomeError(self.path, f"is not whole: 'keys/ledger.pub' is missing; {wanted}")
        raise HomeError(self.path, "there is no home here; make one with 'delego init'")

    def check_own(self) -> None:
        """That no other account can change what decides here: this folder and all above it, policy,
        configuration, ledger and keys, and what symbolic links among them lead to. Raises HomeError.

        Stops a home that was planted where this account works, one moved away and replaced, and links from
        another account's policy to this one's keys.
        """
        try:
            approvers = sorted(self.approvers_path.iterdir()) if self.approvers_path.is_dir() else []
            keys = (self.keys_path / "ledger.pem", self.keys_path / "token.pem")
            inside = (self.policy_path, self.config_path, self.ledger_path, *keys, *approvers)
            for path in (self.path, self.keys_path, self.approvers_path, *inside):
                if (problem := foreign_hand(path)) is not None:
                    raise HomeError(self.path, f"is not used: {problem}")
        except OSError as error:
            raise HomeError(self.path, f"cannot be looked at: {os_reason(error)}") from None

    def policy(self) -> Policy:
        """Raises PolicyError, HomeError."""
        text, problem = _read(self.policy_path)
        if problem is not None:
            raise PolicyError(str(self.policy_path), [problem])
        return load_policy(text, source=str(self.policy_path))

    def config(self) -> Config:
        """Raises ConfigError, HomeError."""
        text, problem = _read(self.config_path)
        if problem is not None:
            raise ConfigError(str(self.config_path), [problem])
        return load_config(text, source=str(self.config_path))

    def anchor_path(self, config: Config) -> Path | None:
        """Where head anchors are kept; None where none are configured."""
        return None if config.anchor_file is None else self.path / config.anchor_file

    def public_key(self) -> PublicKey:
        """The ledger's public key, from its own file and not from the ledger. Raises HomeError."""
        self.require()
        return load_public_key(self.keys_path / "ledger.pub")

    def approver_keys(self) -> dict[str, PublicKey]:
        """Principal → public key of ``approvers/``; empty where there is no such folder."""
        return load_public_keys(self.approvers_path) if self.approvers_path.is_dir() else {}

    def ledger(self, signer: Signer | None = None, *, clock: Clock = system_clock) -> SQLiteLedger:
        """The ledger; without ``signer`` it can only be read. Raises HomeError where it was lost."""
        self.require()
        if not _found(self.ledger_path):
            raise HomeError(
                self.path,
                "its ledger 'ledger.db' is missing; restore it from a copy, nothing starts a new one",
            )
        return SQLiteLedger.open(self.ledger_path, signer=signer, clock=clock)

    def authorizer(
        self,
        broker: Broker | None = None,
        *,
        clock: Clock = system_clock,
        randomness: Randomness = secrets.token_bytes,
    ) -> Authorizer:
        """An authorizer wired from this home; what a crash left in flight is recovered first.

        ``broker`` has to be given where the configuration names a gateway: without it what is released would
        go to the caller, with the token for the gateway. ``delego_broker.GatewayBroker`` is one.

        Raises HomeError, PolicyError, ConfigError, KeyFileError, AnchorFileError, StorageError.
        """
        self.require()
        self.check_own()
        policy, config = self.policy(), self.config()
        if config.names_gateway and broker is None:
            raise HomeError(
                self.path, "its configuration names a gateway; open it with a GatewayBroker for it"
            )
        anchors = self.anchor_path(config)
        ledger = self.ledger(load_signer(self.keys_path / "ledger.pem"), clock=clock)
        try:
            authorizer = Authorizer(
                policy,
                config,
                ledger,
                broker=broker,
                token_signer=load_signer(self.keys_path / "token.pem") if config.audience else None,
                approver_keys=self.approver_keys(),
                clock=clock,
                randomness=randomness,
                on_receipt=None if anchors is None else _AnchorWriter(anchors, config.anchor_every, clock),
            )
        except (CanonicalError, ValueError) as error:  # too large to be hashed; one key for two roles
            raise HomeError(self.path, str(error)) from None
        recovered = authorizer.recover()
        if recovered:
            _log.warning(
                "%d executions that a crash left in flight are now recorded as 'outcome unknown';"
                " 'delego log' shows them",
                len(recovered),
            )
        return authorizer


def open_home(
    path: str | os.PathLike[str],
    broker: Broker | None = None,
    *,
    clock: Clock = system_clock,
    randomness: Randomness = secrets.token_bytes,
) -> Authorizer:
    """An authorizer for the home at ``path``. ``broker``: who executes; None: the caller does.

    Raises HomeError, PolicyError, ConfigError, KeyFileError, AnchorFileError, StorageError.
    """
    return _home(path).authorizer(broker, clock=clock, randomness=randomness)


def init_home(
    path: str | os.PathLike[str],
    *,
    approver: str,
    policy_text: str | None = None,
    config_text: str | None = None,
    clock: Clock = system_clock,
) -> Home:
    """Make a home, or finish one whose making was interrupted; nothing that exists is overwritten.

    ``approver``: the principal that may decide, written into the new configuration. Raises HomeError for a
    complete home, for a ledger without its key and for a folder that another account could change,
    PolicyError or ConfigError for texts that would be refused, PrincipalError, and DelegoLedgerError where
    something cannot be written.
    """
    home = _home(path)
    ledger_found, key_path = _found(home.ledger_path), home.keys_path / "ledger.pem"
    if home.exists:
        lost = "" if ledger_found else ", and its ledger is missing: restore it from a copy"
        raise HomeError(home.path, f"is a home already{lost}; nothing was changed")
    if ledger_found and not _found(key_path):
        lost = "has a ledger whose key 'keys/ledger.pem' is missing: restore it from a copy"
        raise HomeError(home.path, f"{lost}; nothing was changed")
    _check_place(home)
    check_principal(approver)
    policy = policy_text if policy_text is not None else template("policy.yaml")
    config = config_text if config_text is not None else template("config.toml")
    config = config.replace("{approver}", json.dumps(approver))
    load_policy(policy, source="policy")
    load_config(config, source="config")
    try:
        for folder in (home.path, home.keys_path, home.approvers_path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError("make", home.path, error, retry_safe=True) from None
    _write_new(home.policy_path, policy)
    _write_new(home.config_path, config)
    signer = _key(key_path)
    token_signer = _key(home.keys_path / "token.pem")
    if ledger_found:
        SQLiteLedger.open(home.ledger_path, signer=signer, clock=clock).close()
    else:
        SQLiteLedger.create(home.ledger_path, signer, clock=clock).close()
    _write_public(home.keys_path / "token.pub", token_signer.public_key)
    _write_public(home.keys_path / "ledger.pub", signer.public_key)  # last: from here on it is a home
    return home


def template(name: str) -> str:
    """The text of a file that ``init_home`` writes: ``policy.yaml`` or ``config.toml``."""
    return files("delego_authorizer").joinpath("templates", name).read_text(encoding="utf-8")


class _AnchorWriter:
    """Adds a head anchor each time the chain has grown enough. A failure is reported and stops nothing."""

    def __init__(self, path: Path, every: int, clock: Clock) -> None:
        self._path = path
        self._every = every
        self._clock = clock
        newest = latest_anchor(path) if _found(path) else None
        self._due = 0 if newest is None else newest.anchor.seq + every

    def __call__(self, head: Anchor) -> None:
        if head.seq < self._due:
            return
        # Claimed first, so that other threads go on. Two that claim at once do no harm: older anchors are
        # not added behind newer ones.
        due, self._due = self._due, head.seq + self._every
        try:
            append_anchor(self._path, head, self._clock())
        except DelegoLedgerError as error:
            self._due = due
            _log.warning("the head anchor could not be kept: %s", error)


def _home(path: str | os.PathLike[str]) -> Home:
    try:
        return Home(Path(path).expanduser())
    except RuntimeError as error:  # "~nobody"
        raise HomeError(Path(path), str(error).lower()) from None


def _found(path: Path, look: Callable[[Path], bool] = Path.exists) -> bool:
    """Raises HomeError where the system does not let us look: what cannot be seen is not absent."""
    try:
        return look(path)
    except OSError as error:
        raise HomeError(path, f"cannot be looked at: {os_reason(error)}") from None


def _read(path: Path) -> tuple[str, Problem | None]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DOCUMENT + 1)
        return data.decode(), None
    except UnicodeDecodeError as error:
        return "", Problem("", f"is not UTF-8 (byte {error.start})")
    except FileNotFoundError:
        return "", Problem("", "is missing; 'delego init' in an empty folder writes one to start from")
    except OSError as error:
        raise StorageError("read", path, error, retry_safe=True) from None


def _check_place(home: Home) -> None:
    """That a home made here would be used, before anything is written: see ``Home.check_own``."""
    try:
        problem = foreign_hand(home.path)
    except OSError:  # making it says what stands in the way
        return
    if problem is not None:
        raise HomeError(home.path, f"is not made: {problem}")


def _write_new(path: Path, text: str) -> None:
    if not _found(path):
        write_atomically(path, text.encode(), mode=0o600)


def _key(path: Path) -> SeedSigner:
    return load_signer(path) if _found(path) else generate_key(path)


def _write_public(path: Path, key: PublicKey) -> None:
    if not _found(path):
        write_public_key(path, key)
