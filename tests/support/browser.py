"""A page in headless Chromium, as a reader has it, with a record of what it says and asks for."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Tab:
    """An open page; ``said`` are its console messages and errors, ``asked`` the addresses it requested."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@contextmanager
def browser() -> Iterator[Any]:
    """Yield an installed Chromium; skip where there is none, unless ``ALBENCH_BROWSER_TEST=required`` (as in CI)."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None and os.environ.get("ALBENCH_BROWSER_TEST") != "required":
        pytest.skip("needs chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def opened(
    started: Any, file: Path, width: int = 1440, height: int = 900, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Tab]:
    """Yield a file, open in a window of its own."""
    context = started.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    tab = Tab(context.new_page())
    tab.page.on("console", lambda message: tab.said.append(f"{message.type}: {message.text}"))
    tab.page.on("pageerror", lambda error: tab.said.append(f"error: {error}"))
    tab.page.on("request", lambda request: tab.asked.append(request.url))
    tab.page.goto(file.as_uri())
    yield tab
    context.close()
