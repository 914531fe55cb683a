"""Templates of the sheets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fludapk.errors import InputError
from fludapk.language import LANGUAGES, SOURCE, language, ntr, reviewer, tr
from fludapk.pages.decimals import marked_html, marked_text
from fludapk.published.models import replacement_warning

if TYPE_CHECKING:
    import jinja2

TEMPLATES: Final = Path(__file__).parent / "templates"


def sheet(template: str, *, whole: bool = True, **context: Any) -> str:
    """Draw a self-contained page: the same bytes for the same input, and no names.

    The time of the calculation is a line to fill in, unless a door says it by `calculated_at`.

    Parameters
    ----------
    template : str
    whole : bool
        Whether it is a page of its own; otherwise it is the part that stands in one.
    **context
        Words and geometry for the template.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    context["replaced"] = _replaced(context.get("made", {}).get("hashes", ()))
    when = _CALCULATED.get()
    text = "" if when is None else when.isoformat(" ", "minutes")
    drawn = environment().get_template(template).render(whole=whole, calculated=text, **context)
    return marked_html(drawn)


@contextmanager
def calculated_at(when: datetime | None = None) -> Iterator[None]:
    """Print a time of the calculation on the sheets that are drawn within.

    Parameters
    ----------
    when : datetime, optional
        With a time zone; now if absent, or, for sheets that are the same again, the time in the
        environment variable ``SOURCE_DATE_EPOCH``.

    Examples
    --------
    >>> from datetime import UTC
    >>> with calculated_at(datetime(2026, 1, 14, 8, 30, tzinfo=UTC)):
    ...     print(_CALCULATED.get())
    2026-01-14 08:30:00+00:00
    """
    token = _CALCULATED.set(when or now())
    try:
        yield
    finally:
        _CALCULATED.reset(token)


_CALCULATED: Final[ContextVar[datetime | None]] = ContextVar("calculated", default=None)


def translated_by() -> str:
    """Say who reviewed the translation that a sheet is worded in, if anybody; empty in English.

    Examples
    --------
    >>> translated_by()
    ''
    """
    code = language()
    if code == SOURCE:
        return ""
    name, clinician = LANGUAGES[code], reviewer(code)
    if clinician:
        return tr("Translation into {language}: reviewed by {name}", language=name, name=clinician)
    return tr("Translation into {language}: not reviewed by a clinician", language=name)


def now() -> datetime:
    """Time of a calculation, or of ``SOURCE_DATE_EPOCH``."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isdecimal():
        return datetime.fromtimestamp(int(epoch), tz=UTC)
    return datetime.now().astimezone()


def _replaced(hashes: Iterable[tuple[str, str]]) -> list[str]:
    """Warn of models under the name of a shipped one, by their hashes at the foot of a sheet."""
    of_models = [(n.removeprefix("model "), sha) for n, sha in hashes if n.startswith("model ")]
    return [warning for name, sha in of_models if (warning := replacement_warning(name, sha))]


def embedded(part: str) -> str:
    """Give a part of a page the style of the sheets, for itself alone: for notebooks."""
    style = re.sub(r"(?m)^(\s*)(:root|html|body)(?= \{)", r"\1:scope", _style())
    return f'<div class="fludapk"><style>@scope {{\n{style}}}</style>\n{part}</div>'


@lru_cache(maxsize=1)
def _style() -> str:
    return (TEMPLATES / "style.html").read_text(encoding="utf-8")


@lru_cache(maxsize=4)
def environment(*folders: Path) -> jinja2.Environment:
    """Templates of the given folders and of the reports; everything is escaped.

    Raises
    ------
    InputError
        If jinja2 is not installed.
    """
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise InputError("reports need the extra: pip install 'fludapk[report]'") from error
    from fludapk.pages.glossary import TERMS
    from fludapk.pages.links import cited
    from fludapk.pages.remarks import in_sight
    from fludapk.pages.words import hash_name

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals |= {
        "TERMS": TERMS,
        "tr": tr,
        "ntr": ntr,
        "language": language,
        "hash_name": hash_name,
        "marked_text": marked_text,
        "translated_by": translated_by,
    }
    made.filters["in_sight"] = in_sight
    made.filters["cited"] = jinja2.pass_context(
        # A report stands for itself and leads nowhere.
        lambda context, text: text if context.get("whole") else cited(text)
    )
    return made
