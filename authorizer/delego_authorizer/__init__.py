"""The policy decision point: decides, releases once, and records.

from delego_authorizer import open_home
from delego_spec import Action

authorizer = open_home("~/.delego")
decision = authorizer.propose(Action("read my account", "GET", "https://api.example.com/accounts/me", {}))
"""

from delego_authorizer.authorizer import Authorizer
from delego_authorizer.config import Config, config_schema, load_config
from delego_authorizer.errors import (
    ActionTooLarge,
    ApprovalUnknown,
    ConfigError,
    DelegoAuthorizerError,
    HomeError,
    NoteError,
    PrincipalError,
    Unsettled,
)
from delego_authorizer.home import Home, init_home, open_home
from delego_authorizer.values import Ballot, Decision, HumanDecision

__all__ = [
    "ActionTooLarge",
    "ApprovalUnknown",
    "Authorizer",
    "Ballot",
    "Config",
    "ConfigError",
    "Decision",
    "DelegoAuthorizerError",
    "Home",
    "HomeError",
    "HumanDecision",
    "NoteError",
    "PrincipalError",
    "Unsettled",
    "config_schema",
    "init_home",
    "load_config",
    "open_home",
]
