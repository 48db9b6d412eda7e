"""A browser that opens a page, for the tests that look at pages as readers do."""

import os
import shutil

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser():
    """Chromium; tests that need it are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install '.[browser]'")
    if not CHROMIUM:
        pytest.skip("needs a Chromium on the PATH, or at $CHROMIUM")
    with playwright.sync_playwright() as driver:
        # Root has no sandbox, as in containers.
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        with driver.chromium.launch(executable_path=CHROMIUM, args=arguments) as started:
            yield started


@pytest.fixture
def opened(browser, address):
    """Open the page: a view of it, and all that the browser complains of or asks for meanwhile."""
    contexts = []

    def opened(width=1280, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": 800}, **options))
        view, said = contexts[-1].new_page(), []
        view.set_default_timeout(5000)
        view.on("console", lambda message: said.append(message.text))
        view.on("pageerror", lambda error: said.append(str(error)))
        view.on("dialog", lambda dialog: said.append(dialog.message))
        view.on("request", lambda request: said.append(request.url))
        view.goto(address)
        return view, said

    yield opened
    for context in contexts:
        context.close()
