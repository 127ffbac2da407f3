"""Debian's chromium for tests: found on PATH, without a network; missing in CI it is a failure."""

import os
import shutil
from contextlib import contextmanager

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        message = "no chromium on PATH: install it, as .ci/run does with apt-get"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return found


@contextmanager
def browser(profile):
    """A browser with a fresh profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        context = play.chromium.launch_persistent_context(
            str(profile), executable_path=chromium_path(), args=FLAGS, headless=True, accept_downloads=True
        )
        try:
            yield context
        finally:
            context.close()


@contextmanager
def opened_page(path, folder, query="", width=1100):
    """The page open in a browser; any request to the outside, error or blocked content fails the test."""
    complaints, outside = [], []
    with browser(folder / "profile") as context:
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda r: outside.append(r.url) if not r.url.startswith(("file:", "blob:", "data:")) else None
        )
        page.goto(path.as_uri() + query)
        yield page
    assert not complaints
    assert not outside
