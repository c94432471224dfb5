"""The runner of the documents' examples: what it reads, and above all what it refuses."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from readme_blocks import Block, DocumentError, blocks, commands, run_document, shape

HASHES = ["a" * 64, "b" * 64]


def console(*lines: str) -> str:
    return "\n".join(["```console", *lines, "```"])


def python(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])


def fails(document: str, folder: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        run_document(document, folder)
    return str(caught.value)


def test_blocks_are_found_with_their_words_text_and_line() -> None:
    document = "# T\n\n```python\nx = 1\n```\ntext\n~~~console no-run\n$ ls\n~~~\n"
    assert list(blocks(document)) == [
        Block(("python",), "x = 1\n", 4),
        Block(("console", "no-run"), "$ ls\n", 8),
    ]


def test_a_longer_fence_may_hold_a_shorter_one() -> None:
    (block,) = blocks("````markdown\n```python\nboom()\n```\n````\n")
    assert block.text == "```python\nboom()\n```\n"
    assert not block.runs


def test_a_block_inside_a_list_loses_its_indentation() -> None:
    (block,) = blocks("- item\n\n  ```python\n  if True:\n      x = 1\n\n  ```\n")
    assert block.text == "if True:\n    x = 1\n\n"


def test_a_block_that_is_never_closed_is_refused() -> None:
    with pytest.raises(DocumentError, match="line 2: this block is never closed"):
        list(blocks("text\n```python\nx = 1\n"))


def test_commands_go_on_over_lines_with_a_second_prompt() -> None:
    (block,) = blocks(console("$ cat <<EOF", "> a", "> EOF", "a", "> b", "", "$ true"))
    first, second = commands(block)
    assert (first.text, first.expected) == ("cat <<EOF\na\nEOF", ("a", "> b"))
    assert (second.text, second.expected) == ("true", ())


def test_output_before_the_first_command_is_refused() -> None:
    (block,) = blocks(console("ls"))
    with pytest.raises(DocumentError, match="line 2: a console block begins with"):
        commands(block)


def test_true_output_passes_and_is_counted(tmp_path: Path) -> None:
    assert run_document(console("$ echo one; echo two", "one", "two") + "\n" + python("x = 1"), tmp_path) == 2


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("echo one", ["two"]),
        ("echo one", []),
        ("true", ["one"]),
        ("echo one; echo two", ["one"]),
        ("echo one", ["one", "two"]),
        ("echo one; echo two", ["...", "one"]),
        ("echo one >&2", []),
        ("no-such-command-anywhere", ["..."]),
        ("exit 1", []),
        ("exit 2", ["..."]),
        ("echo 2026-01-01T00:00:00Z", ["2026-01-01"]),
        (f"echo {HASHES[0]} {HASHES[1]}", [f"{HASHES[0]} {HASHES[0]}"]),
    ],
)
def test_a_mismatch_fails(tmp_path: Path, command: str, shown: list[str]) -> None:
    assert "line 2: " in fails(console(f"$ {command}", *shown), tmp_path)


def test_a_mismatch_says_what_was_shown_and_what_was_printed(tmp_path: Path) -> None:
    message = fails(console("$ echo one", "two"), tmp_path)
    assert message == "line 2: $ echo one\nthe document shows:\ntwo\nit printed:\none"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("printf 'a\\nb\\nc\\n'", ["a", "...", "c"]),
        ("printf 'a\\nc\\n'", ["a", "...", "c"]),
        ("printf 'a\\nb\\na\\nb\\n'", ["...", "b"]),
        ("seq 9", ["  ..."]),
        ("printf 'a  \\n\\n\\n'", ["a"]),
        ("echo at 2026-11-21T10:00:00.000001+00:00", ["at 2024-01-31T23:59:59.999999+00:00"]),
        ("echo took 12.5 ms", ["took 3 s"]),
        ("echo apr_7Fq1 by key 0123456789abcdef", ["apr_zzzz by key fedcba9876543210"]),
        ("echo eyJa.eyJb.c-_d", ["eyJx.eyJy.z"]),
        ("echo head 3 0123456789ab…", ["head 3 ba9876543210…"]),
    ],
)
def test_wildcards_and_what_differs_between_runs_pass(tmp_path: Path, command: str, shown: list[str]) -> None:
    run_document(console(f"$ {command}", *shown), tmp_path)


def test_an_exit_status_that_is_shown_passes(tmp_path: Path) -> None:
    run_document(console("$ (echo wrong; exit 1)", "wrong", "$ echo $?", "1"), tmp_path)


def test_the_status_of_a_plain_no_need_not_be_shown(tmp_path: Path) -> None:
    run_document(console("$ (exit 3)", "$ echo $?", "3", "$ (exit 3)"), tmp_path)


def test_folder_and_variables_last_from_command_to_command_and_block_to_block(tmp_path: Path) -> None:
    first = console("$ mkdir 'a b' && cd 'a b'", "$ WHO='x \"y'")
    run_document(first + "\n\n" + console('$ basename "$PWD"; echo "$WHO"', "a b", 'x "y'), tmp_path)


def test_a_documented_id_stands_for_the_printed_one_in_later_commands(tmp_path: Path) -> None:
    run_document(console("$ echo apr_real", "apr_shown", "$ echo apr_shown | wc -c", "9"), tmp_path)


def test_a_documented_hash_may_not_stand_for_two_things(tmp_path: Path) -> None:
    lines = [f"$ echo {HASHES[0]}", HASHES[0], f"$ echo {HASHES[1]}", HASHES[0]]
    assert "line 4" in fails(console(*lines), tmp_path)


def test_commands_read_no_terminal(tmp_path: Path) -> None:
    run_document(console("$ cat"), tmp_path)


def test_the_home_is_a_temporary_one_and_shown_as_the_user_s(tmp_path: Path) -> None:
    run_document(console('$ echo "$DELEGO_HOME"', "~/.delego"), tmp_path)


def test_commands_are_those_of_this_interpreter(tmp_path: Path) -> None:
    code = f"import sys; print(sys.prefix == {sys.prefix!r})"
    run_document(console(f'$ python -c "{code}"', "True"), tmp_path)


def test_python_blocks_share_a_namespace_a_folder_and_the_home(tmp_path: Path) -> None:
    first = python(
        "import os, pathlib", "pathlib.Path('f').write_text('hi')", "x = os.environ['DELEGO_HOME']"
    )
    second = python("assert x.endswith('.delego')")
    assert run_document("\n".join([first, console("$ cat f", "hi"), second]), tmp_path) == 3


def test_a_failing_python_block_fails_and_names_its_line(tmp_path: Path) -> None:
    assert fails("\n\n" + python("assert 1 == 2, 'no'"), tmp_path) == "block at line 4: AssertionError: no"


def test_a_python_block_that_does_not_parse_fails(tmp_path: Path) -> None:
    assert "SyntaxError" in fails(python("x ="), tmp_path)


def test_folder_and_environment_are_as_before_after_a_python_block(tmp_path: Path) -> None:
    before, folder = dict(os.environ), Path.cwd()
    fails(python("import os", "os.environ['PLANTED'] = '1'", "raise ValueError"), tmp_path)
    assert (dict(os.environ), Path.cwd()) == (before, folder)


@pytest.mark.parametrize("info", ["console no-run", "python no-run", "sh", "", "json"])
def test_other_blocks_are_left_alone(tmp_path: Path, info: str) -> None:
    assert run_document(f"```{info}\n$ exit 1\nnonsense(\n```\n", tmp_path) == 0


def test_shape_keeps_what_must_be_true() -> None:
    assert shape("allow · rule 'small orders' · 2400 USD") == "allow · rule 'small orders' · 2400 USD"
    assert shape("max 5 of apr_x1 in 30 s") == "max 5 of <approval> in <duration>"
