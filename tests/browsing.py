"""A browser for tests: a page that may not complain, and what it prints.

Needs ``pip install playwright pypdf`` and a Chromium (``FLUDAPK_CHROMIUM``, or
``/usr/bin/chromium``).
"""

import os
import unicodedata
from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest

CHROMIUM: Final = os.environ.get("FLUDAPK_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
)
WIDTHS: Final = (794, 390)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = import_module("playwright.sync_api")
    assert Path(CHROMIUM).exists(), f"no Chromium at {CHROMIUM}: install it or set FLUDAPK_CHROMIUM"
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that may not complain nor ask the network for anything."""
    context = browser.new_context(viewport={"width": WIDTHS[0], "height": 1123})
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert complaints == []
    assert {url.partition(":")[0] for url in asked} == {"file"}


def printed(page: Any) -> tuple[int, str]:
    """How many sheets, and their text without blanks."""
    reader = import_module("pypdf").PdfReader(
        BytesIO(page.pdf(format="A4", prefer_css_page_size=True))
    )
    width, height = (float(side) / 72 * 25.4 for side in reader.pages[0].mediabox[2:])
    assert (width, height) == pytest.approx((210.0, 297.0), abs=0.5)
    return len(reader.pages), squeezed("".join(sheet.extract_text() for sheet in reader.pages))


def squeezed(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split())


def overflow(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))
