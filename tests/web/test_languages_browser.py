"""Languages in a browser: which is spoken, what stays when it changes, and who can read it."""

from importlib import import_module
from typing import Any, Final

import pytest
from browsing import browser, overflow
from serving import READY, filled, home, page, server, until

from fludapk.language import LANGUAGES, SOURCE
from fludapk.web.pages import TABS

pytestmark = pytest.mark.browser
__all__ = ["browser", "home", "page", "server"]  # fixtures

OTHERS: Final = tuple(code for code in LANGUAGES if code != SOURCE)


def test_the_patient_goes_along_into_another_language_and_back(page: Any, home: str) -> None:
    filled(page, home)
    page.click("nav.languages >> text=Nederlands")
    until(page, "document.documentElement.lang === 'nl'")
    until(page, READY)
    assert page.input_value("#weight") == "18.2"
    assert "13,8" in page.inner_text("#answer")
    page.click(".top nav a[href='/nl/dose']")
    until(page, "location.pathname === '/nl/dose' && document.querySelector('#weight').value")
    page.click("nav.languages >> text=English")
    until(page, "document.documentElement.lang === 'en'")
    assert page.input_value("#weight") == "18.2"


def test_the_browser_chooses_if_nobody_has(browser: Any, home: str) -> None:
    context = browser.new_context(locale="fr-CA")
    page = context.new_page()
    page.goto(f"{home}/levels")
    assert page.evaluate("document.documentElement.lang") == "fr"
    assert page.evaluate("location.pathname") == "/levels"
    assert context.cookies() == []
    context.close()


@pytest.mark.parametrize("code", OTHERS)
def test_axe_finds_nothing_and_nothing_runs_off_a_telephone(
    browser: Any, home: str, code: str
) -> None:
    """Every rule of axe-core on every tab, light and dark; a filled check and dose as well."""
    axe = import_module("axe_playwright_python.sync_playwright").Axe()
    for scheme in ("light", "dark"):
        context = browser.new_context(bypass_csp=True, color_scheme=scheme)
        page = context.new_page()
        for path in (*(tab.path for tab in TABS), "/about"):
            page.goto(f"{home}/{code}{path}")
            found = axe.run(page)
            assert found.violations_count == 0, (path, found.generate_report())
        filled(page, f"{home}/{code}")
        until(page, READY)
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
        page.set_viewport_size({"width": 390, "height": 844})
        for path in ("/", "/dose", "/levels", "/simulate"):
            page.click(f".top nav a[href='/{code}{path}']")
            until(
                page, f"location.pathname === '/{code}{path}' && document.readyState === 'complete'"
            )
            assert overflow(page) <= 0, path
        context.close()
