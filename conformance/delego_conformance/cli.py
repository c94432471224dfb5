"""The command ``delego-conformance``: its verbs, but for ``run``."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path, PurePath
from typing import Final, NoReturn

import click
from click.shell_completion import CompletionItem, get_completion_class

from delego_conformance.cli_report import matrix_command, report_command
from delego_conformance.cli_run import command as run_command
from delego_conformance.explain import WIDTH, explain, explanation, load_clauses
from delego_conformance.filters import Filter, filters
from delego_conformance.guard import NAME, guarded
from delego_conformance.replies import ROLES
from delego_conformance.reports.words import printable
from delego_conformance.runner import kit_version
from delego_conformance.vectors import Vector, load_notes, load_vectors

SHELLS: Final = ("bash", "zsh", "fish")
TEMPLATES: Final = {"python": "adapter.py", "javascript": "adapter.mjs"}
_COMPLETE: Final = "_DELEGO_CONFORMANCE_COMPLETE"  # click's own name for it


def _examples(*words: str) -> str:
    lines = "".join(f"  {NAME} {one}\n" for one in words)
    return f"\b\nExamples:\n{lines}"


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"{NAME} {kit_version()}")
        ctx.exit()


@click.group(
    NAME,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="VERB [ARGS]...",
    epilog="Exit status: 0 conformant, or done; 1 it could not run; 2 wrong usage; 3 not conformant.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def group() -> None:
    """Does an implementation, in any language, speak the delego protocol?"""


group.add_command(run_command)
group.add_command(report_command)
group.add_command(matrix_command)


@group.command("list", epilog=_examples("list --suite 'chain*'", "list --section 8.1 --json"))
@filters
@click.option(
    "--role", "roles", multiple=True, type=click.Choice(ROLES), help="Of this role: what it is asked."
)
@click.option("--json", "as_json", is_flag=True, help="An object on each line.")
def list_vectors(
    suites: tuple[str, ...],
    sections: tuple[str, ...],
    ids: tuple[str, ...],
    roles: tuple[str, ...],
    as_json: bool,
) -> None:
    """List vectors: id, level, basis, section, name."""
    vectors = [one for one in load_vectors() if not roles or set(roles) & set(one.roles)]
    chosen = Filter(suites, sections, ids).checked(vectors)
    for vector in filter(chosen, vectors):
        if as_json:
            click.echo(json.dumps({**vector.facts(), "op": vector.op}))
        else:
            section = f"§{vector.section}"
            click.echo(f"{vector.id}  {vector.level:<6}  {vector.basis:<9}  {section:<5}  {vector.name}")


def _find_vector(ctx: click.Context, param: click.Parameter, given: str) -> Vector:
    """The vector with this id, in upper or lower case."""
    for vector in load_vectors():
        if vector.id.upper() == given.upper():
            return vector
    raise click.BadParameter(f"there is no vector {given!r:.80}; '{NAME} list' shows all", ctx, param)


def _complete_id(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    start = incomplete.upper()
    return [
        CompletionItem(vector.id, help=vector.name)
        for vector in load_vectors()
        if vector.id.startswith(start)
    ]


@group.command(
    "explain",
    short_help="Show what a vector asks, expects and stands for.",
    epilog=_examples("explain FP-0001", "explain CL-0025 --json"),
)
@click.argument("vector", metavar="ID", callback=_find_vector, shell_complete=_complete_id)
@click.option("--json", "as_json", is_flag=True, help="One object, with everything uncut.")
def explain_vector(vector: Vector, as_json: bool) -> None:
    """Show what a vector asks, expects and stands for, and the bytes on the way."""
    clauses, notes = load_clauses(), load_notes()
    if as_json:
        click.echo(json.dumps(explanation(vector, clauses, notes)))
        return
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    width = min(WIDTH, shutil.get_terminal_size().columns) if is_terminal else WIDTH
    click.echo(explain(vector, clauses, notes, width=max(width, 40)), nl=False)


@group.command(
    "template",
    short_help="Print an adapter to begin with.",
    epilog=_examples("template python -o adapter.py", "template javascript -o adapter.mjs"),
)
@click.argument("language", type=click.Choice(list(TEMPLATES)))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it there; not over a file."
)
def template(language: str, output: Path | None) -> None:
    """Print an adapter to begin with, of one file and without dependencies."""
    file = resources.files("delego_conformance") / "templates" / TEMPLATES[language]
    text = file.read_text(encoding="utf-8")
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8", newline="\n") as target:
            target.write(text)
    except FileExistsError:
        raise click.ClickException(f"{str(output)!r:.200} exists; give another name") from None
    output.chmod(output.stat().st_mode | 0o111)
    click.echo(f"written: {printable(str(output))}", err=True)


@group.command(
    "schema",
    short_help="Print a JSON Schema of the wire or the files.",
    epilog=_examples("schema", "schema request"),
)
@click.argument("name", required=False)
def schema(name: str | None) -> None:
    """Print a JSON Schema of the wire or the files; without NAME, list them."""
    folder = resources.files("delego_conformance") / "schemas"
    suffix = ".schema.json"
    names = sorted(one.name.removesuffix(suffix) for one in folder.iterdir() if one.name.endswith(suffix))
    if name is None:
        click.echo("\n".join(names))
    elif name in names:
        click.echo((folder / f"{name}{suffix}").read_text(encoding="utf-8"), nl=False)
    else:
        raise click.UsageError(f"there is no schema {name!r:.80}; there are {', '.join(names)}")


@group.command("completion", short_help="Print a shell's completion script.")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
def completion(shell: str | None) -> None:
    """Print the completion script of a shell; without SHELL, of the one that $SHELL names."""
    name = shell or PurePath(os.environ.get("SHELL", "")).name
    kind = get_completion_class(name) if name in SHELLS else None
    if kind is None:
        shells = ", ".join(SHELLS)
        raise click.ClickException(f"there is no completion for the shell {name!r:.80}; give one of {shells}")
    click.echo(kind(group, {}, NAME, _COMPLETE).source())


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its status."""
    # Given to click, or it would expand globs on Windows.
    words = list(sys.argv[1:] if args is None else args)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what this terminal cannot write is escaped, not an error
            stream.reconfigure(errors="backslashreplace")
    sys.exit(guarded(lambda: group.main(words, NAME, _COMPLETE, standalone_mode=False)))
