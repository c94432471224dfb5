"""The ``delego`` command and its verbs. Nothing that takes long to import is imported before it is needed."""

from __future__ import annotations

import click

from delego_cli.verbs import SETTINGS, Entry, LazyGroup, home_option, json_option

SECTIONS = (
    (
        "To begin",
        (
            Entry("demo", "Show the whole loop in a temporary home, each step checked."),
            Entry("init", "Make a home: policy, configuration, keys and an empty ledger."),
        ),
    ),
    (
        "For agents",
        (
            Entry("propose", "Have actions decided; what is allowed is released."),
            Entry("resolve", "Release an action that a person has approved, once."),
            Entry("hook", "Decide the tool calls of coding agents; install that as their hook."),
            Entry("mcp", "Serve an agent over MCP: it asks, and decides nothing."),
            Entry("mcp-gateway", "Stand in front of an MCP server.", module="mcp_gateway"),
        ),
    ),
    (
        "For the people who decide",
        (
            Entry("pending", "Show what waits for a decision."),
            Entry("approve", "Say yes to one action, after seeing all of it."),
            Entry("deny", "Say no to one action.", module="approve", attribute="deny"),
        ),
    ),
    (
        "For auditors",
        (
            Entry("log", "Show receipts."),
            Entry("verify", "Check the whole chain of receipts, and its head."),
            Entry("head", "Show the newest receipt's anchor."),
            Entry("export", "Write the receipts as JSON Lines that others can verify."),
            Entry("verifier", "Write a page that verifies an export in a browser, offline."),
        ),
    ),
    (
        "For operators",
        (
            Entry("policy", "Show, check and explain the policy."),
            Entry("keys", "Show keys; make and enrol approvers' keys; rotate the token key."),
            Entry("token", "Take tokens back before they expire."),
            Entry("broker", "Run the gateway: the process that holds the credentials."),
            Entry("tools", "Trust what MCP tools say about themselves."),
            Entry("recover", "Settle what a crash left in flight as 'outcome unknown'."),
            Entry("doctor", "Look at a home for everything that may be wrong with it."),
            Entry("completion", "Print a shell's completion script."),
        ),
    ),
)


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"delego {version('delego-spec')}")
        ctx.exit()


main = LazyGroup(
    "delego",
    help="Is this exact action what the human asked for? Decides what agents propose; keeps signed evidence.",
    subcommand_metavar="VERB [ARGS]...",
    epilog="Exit status: 0 yes; 1 it could not run; 2 wrong usage; 3 it ran, and the answer is no.",
    context_settings=SETTINGS,
    params=[
        home_option(),
        json_option(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        ),
    ],
)
main.sections = SECTIONS
