"""Path patterns: a star is any text, everything else is itself."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delego_spec.globs import Glob


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/accounts/**", "/accounts/me", True),
        ("/accounts/**", "/accounts/", True),
        ("/accounts/**", "/accounts", False),
        ("/accounts/*", "/accounts/a/b/c", True),
        ("/a/*/c", "/a/b/b/c", True),
        ("/a/*/c", "/a/c", False),
        ("/orders", "/orders", True),
        ("/orders", "/Orders", False),
        ("/orders", "/orders/", False),
        ("*", "", True),
        ("**", "/x\ny", True),
        ("/ab*ba", "/aba", False),
        ("*aab", "/aaab", True),
        ("/a*b*c", "/abcbc", True),
        ("/a*b*c", "/axxc", False),
        ("/a*bc*c", "/abc", False),
        ("*ab*ab*", "/ab/ba", False),
        ("/a?c", "/abc", False),
        ("/a?c", "/a?c", True),
        ("/[ab]c", "/ac", False),
        ("/a\\*", "/a*", False),
        ("/a+(b)$", "/a+(b)$", True),
        ("/é*", "/éa", True),
    ],
)
def test_patterns_fit_the_whole_path(pattern: str, path: str, fits: bool) -> None:
    assert Glob(pattern).matches(path) is fits


@given(st.lists(st.sampled_from(["a", "b", "/", "*", "**"])).map("".join), st.text("ab/", max_size=16))
def test_stars_agree_with_fnmatch(pattern: str, path: str) -> None:
    assert Glob(pattern).matches(path) == fnmatch.fnmatchcase(path, pattern)


@given(st.lists(st.text("ab/"), min_size=1), st.data())
def test_whatever_replaces_the_stars_fits(pieces: list[str], data: st.DataObject) -> None:
    filled = pieces[0] + "".join(data.draw(st.text("ab/")) + piece for piece in pieces[1:])
    assert Glob("*".join(pieces)).matches(filled)


@pytest.mark.parametrize("star", ["*", "**"])
def test_many_stars_do_not_backtrack(star: str) -> None:
    # A pattern turned into a regular expression takes longer than the test's time-out for these.
    for end in ("b", f"{star}b{star}", f"b{star}a"):
        assert not Glob(f"{star}a" * 8 + end).matches("a" * 60)
        assert not Glob(f"{star}a" * 2000 + end).matches("a" * 20_000)


def test_equal_patterns_are_equal_values() -> None:
    assert Glob("/a/*") == Glob("/a/*")
    assert len({Glob("/a/*"), Glob("/a/*"), Glob("/a/**")}) == 2
