"""The verifier page in a real Chromium, driven as an auditor would: files, fields, keys, what is shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from chains import KEY

PAGE: Final = Path(str(resources.files("delego_cli") / "verifier.html"))
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
PATIENCE: Final = 60_000  # milliseconds; a limit for hangs, not a wait


def chromium() -> str:
    """The path of a Chromium: DELEGO_CHROMIUM, else on PATH. Skips, with the reason, where there is none."""
    given = os.environ.get("DELEGO_CHROMIUM")
    found = given or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no Chromium: none of {', '.join(NAMES)} on PATH, and DELEGO_CHROMIUM is not set")
    return found


@contextmanager
def browsing() -> Iterator[Browser]:
    """One browser, closed with the block."""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Auditor:
    """Somebody in front of the page. ``asked``: what the browser wanted to fetch; ``errors``: failures."""

    page: Page
    folder: Path
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def file(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def take(self, *files: Path) -> None:
        """Choose files, and wait until they were looked at."""
        self.page.evaluate("document.querySelector('#hint').textContent = 'waiting'")
        self.page.set_input_files("#files", [str(file) for file in files])
        expect(self.page.locator("#hint")).not_to_have_text("waiting")

    def verify(self, ledger: bytes, *, key: str = KEY.hex, head: str = "", grown: bool = False) -> str:
        """Verify these bytes; the title of the verdict."""
        self.take(self.file("ledger.jsonl", ledger))
        self.page.fill("#key", key)
        self.page.fill("#head", head)
        self.page.check(f"input[value={'anchor' if grown else 'head'}]")
        return self.press()

    def press(self) -> str:
        """Press Verify; the title of the verdict, once it is there."""
        self.page.click("#verify")
        verdict = self.page.locator("#verdict")
        expect(verdict).to_be_visible(timeout=PATIENCE)
        return self.page.inner_text("#verdict h2")

    def refused(self) -> str:
        """Press Verify; what the page says instead of a verdict."""
        self.page.click("#verify")
        expect(self.page.locator("#hint")).to_have_class("bad", timeout=PATIENCE)
        expect(self.page.locator("#verdict")).to_be_hidden()
        return self.hint

    @property
    def hint(self) -> str:
        return self.page.inner_text("#hint")

    @property
    def verdict(self) -> str:
        """All of the verdict's text."""
        return self.page.inner_text("#verdict")

    @property
    def colour(self) -> str | None:
        return self.page.get_attribute("#verdict", "class")

    @property
    def faults(self) -> list[tuple[str, str]]:
        """Where and code of each fault listed."""
        rows = self.page.locator("#faults tr").all()[1:]
        cells = [row.locator("td").all_inner_texts() for row in rows]
        return [(one[0], one[1]) for one in cells]


@contextmanager
def window(browser: Browser, **options: object) -> Iterator[Page]:
    """A window of the browser; opening one takes longer than most tests, so that they share it."""
    context = browser.new_context(**options)  # type: ignore[arg-type]  # options of playwright, as they are
    try:
        yield context.new_page()
    finally:
        context.close()


@contextmanager
def auditing(page: Page, folder: Path) -> Iterator[Auditor]:
    """The page, opened anew from disk. Fails where it asked for anything but itself, or failed."""
    auditor = Auditor(page, folder)
    listeners: dict[str, Callable[..., None]] = {
        "request": lambda request: auditor.asked.append(request.url),
        "pageerror": lambda error: auditor.errors.append(str(error)),
        "console": lambda message: auditor.errors.append(message.text),
    }
    page.goto(PAGE.as_uri())
    for event, listener in listeners.items():
        page.on(event, listener)  # type: ignore[call-overload]  # one overload for each event
    try:
        yield auditor
    finally:
        for event, listener in listeners.items():
            page.remove_listener(event, listener)
    assert [url for url in auditor.asked if not url.startswith("blob:null/")] == []
    assert auditor.errors == []
