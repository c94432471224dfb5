"""Where decisions are signed, each approver needs a name that a key file can have."""

from __future__ import annotations

import pytest

from delego_authorizer import ConfigError, load_config
from delego_ledger.keyfiles import names_key_file


def config(names: str, signed: str) -> str:
    return f"version = 1\n[approvals]\napprovers = [{names}]\nsigned = {signed}\n"


@pytest.mark.parametrize("name", ["Alice", "a:b"])
def test_an_approver_who_could_never_sign_is_found_at_load(name: str) -> None:
    with pytest.raises(ConfigError, match=f"approvals.approvers: '{name}' can have no key file"):
        load_config(config(f'"bob", "{name}"', "true"))
    assert load_config(config(f'"{name}"', "false")).approvers == (name,)


def test_names_of_key_files_are_lower_case() -> None:
    assert names_key_file("alice@example.com")
    assert not names_key_file("alice\n")
    assert not names_key_file("")
