"""Languages of what a person reads: English in the code, a gettext catalog for each other.

A text that is shown is written ``tr("… {auc:.1f} mg·h/L …", auc=auc)``; a constant is written
``marked("…")`` and translated where it is shown. JSON, tables and error codes are English.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, reduce
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from typing import Any, Final, TypeVar

LANGUAGES: Final = {
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "nl": "Nederlands",
}
"""Code (ISO 639-1) -> name in the language itself."""
SOURCE: Final = "en"
_Made = TypeVar("_Made")

_LANGUAGE: Final[ContextVar[str]] = ContextVar("language", default=SOURCE)


def language() -> str:
    """Return the code of the language that is spoken here."""
    return _LANGUAGE.get()


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Word everything that is made within in a language.

    Parameters
    ----------
    code : str
        A key of `LANGUAGES`.

    Raises
    ------
    ValueError
        If there is no such language.
    ModuleNotFoundError
        If Babel, of the extra ``report``, is not installed.

    Notes
    -----
    Faults are worded here, so that none of `fludapk.errors` can be raised.

    Examples
    --------
    >>> with speaking("en"):
    ...     language()
    'en'
    """
    if code not in LANGUAGES:
        raise ValueError(f"language = {code[:20]!r} is not one of {', '.join(LANGUAGES)}")
    catalog(code)  # so that it fails here if at all
    token = _LANGUAGE.set(code)
    try:
        yield
    finally:
        _LANGUAGE.reset(token)


def tr(message: str, /, **values: Any) -> str:
    """Word a message in the language spoken here.

    Parameters
    ----------
    message : str
        English, with values in braces; what is in braces without a value stays as it is.
    **values
        What stands in the braces.

    Examples
    --------
    >>> tr("AUC above {high:g} mg·h/L: give {dose}", high=20.0)
    'AUC above 20 mg·h/L: give {dose}'
    """
    code = _LANGUAGE.get()
    text = message if code == SOURCE or not message else catalog(code).gettext(message)
    return text.format_map(_Values(values)) if values else text


def ntr(singular: str, plural: str, n: int, /, **values: Any) -> str:
    """Word a message about a number of things, which is `n` in the braces.

    Examples
    --------
    >>> ntr("{n} dose", "{n} doses", 1), ntr("{n} dose", "{n} doses", 3)
    ('1 dose', '3 doses')
    """
    text = catalog(_LANGUAGE.get()).ngettext(singular, plural, n)
    return text.format_map(_Values(values, n=n))


def any_of(texts: Iterable[str]) -> str:
    """Join texts of which one is to be chosen.

    Examples
    --------
    >>> any_of(["CrCl", "eGFR", "creatinine"])
    'CrCl or eGFR or creatinine'
    """
    return reduce(lambda a, b: tr("{first} or {second}", first=a, second=b), texts)


def all_of(texts: Iterable[str]) -> str:
    """Join texts that belong together.

    Examples
    --------
    >>> all_of(["dose", "days"])
    'dose and days'
    """
    return reduce(lambda a, b: tr("{first} and {second}", first=a, second=b), texts)


def in_english(made: _Made, again: Callable[[], _Made]) -> _Made:
    """Return data whose words are English whatever language is spoken.

    Parameters
    ----------
    made
        Result with words of the language that is spoken.
    again : callable
        Makes it once more; called if that language is another.
    """
    if language() == SOURCE:
        return made
    with speaking(SOURCE):
        return again()


def marked(message: str, /) -> str:
    """Mark a constant for the catalogs; `tr` translates it where it is shown.

    Examples
    --------
    >>> marked("Signatures")
    'Signatures'
    """
    return message


class _Values(dict[str, Any]):
    """Values of a message; a field at a door that a fault names keeps its braces."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


@lru_cache(maxsize=len(LANGUAGES))
def catalog(code: str) -> NullTranslations:
    """Read the catalog of a language, ``catalogs/de.po``.

    Parameters
    ----------
    code : str
        A key of `LANGUAGES`.

    Raises
    ------
    ModuleNotFoundError
        If Babel, of the extra ``report``, is not installed.
    """
    if code == SOURCE:
        return NullTranslations()
    from importlib import resources

    try:
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po
    except ModuleNotFoundError as error:
        message = "languages need the extra: pip install 'fludapk[report]'"
        raise ModuleNotFoundError(message) from error
    compiled = BytesIO()
    text = resources.files("fludapk.catalogs").joinpath(f"{code}.po").read_bytes()
    write_mo(compiled, read_po(BytesIO(text), locale=code))
    compiled.seek(0)
    return GNUTranslations(compiled)


def reviewer(code: str) -> str:
    """Name the clinician who signed a catalog, ``X-Reviewed-By`` in it; empty if nobody has.

    Examples
    --------
    >>> reviewer("en")
    ''
    """
    return str(catalog(code).info().get("x-reviewed-by", "")).strip()
