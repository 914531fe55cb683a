"""A server of our own for tests in a browser, and the worked girl typed into its forms."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, Final

import pytest

GIRL: Final = {"#age": "5", "#weight": "18.2", "#height": "110", "#renal": "0.3"}
LEVELS: Final = {"#time_1": "1", "#conc_1": "1000", "#time_2": "2", "#conc_2": "600"}
READY: Final = "!document.querySelector('[aria-busy]') && document.querySelector('.sheet')"


@contextmanager
def running_server() -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own, which ends with the test whatever becomes of that."""
    words = [sys.executable, "-m", "fludapk", "serve", "--port", "0", "--no-browser"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """A server of our own."""
    with running_server() as started:
        yield started
        started.terminate()
        assert started.stderr is not None
        assert started.stderr.read() == ""


@pytest.fixture(scope="module")
def home(server: subprocess.Popen[str]) -> str:
    """Address of the server."""
    assert server.stderr is not None
    return next(line for line in server.stderr if "listening on" in line).split()[3].rstrip("/")


@pytest.fixture
def page(browser: Any, home: str) -> Iterator[Any]:
    """A page that may not complain, nor ask anybody but us, nor put a patient into an address."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield page
    assert context.cookies() == []
    context.close()
    assert complaints == []
    assert all(url.startswith((home, "data:")) for url in asked)
    assert not [url for url in asked if "?" in url or "18.2" in url]


def until(page: Any, expression: str) -> None:
    """Wait for something; playwright's own way would need a script the policy forbids."""
    error = import_module("playwright.sync_api").Error
    for _ in range(200):
        with suppress(error):  # a page that is just being left
            if page.evaluate(expression):
                return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {expression}")


def filled(page: Any, home: str, unit: str = "mg/dL", path: str = "/") -> None:
    page.goto(f"{home}{path}")
    for field, text in GIRL.items():
        page.fill(field, text)
    page.select_option("#sex", "female")
    if path != "/compare":
        page.select_option("#regimen", "tisa_cel_ball")
    page.select_option("#renal_unit", unit)
    if path == "/compare":
        page.fill("#plan_1", "tisa_cel_ball")
        page.fill("#plan_2", "tisa_cel_ball auc 19")
        page.click("button:text-is('Compare')")
    if path == "/dose":
        page.fill("#auc", "15")
    if path == "/levels":
        page.select_option("#conc_unit", "ng/mL")
        for field, text in LEVELS.items():
            page.fill(field, text)
    until(page, READY)
