"""Numbers of outcomes and trials in words."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

from fludapk.answers.record import Remark
from fludapk.language import marked, tr
from fludapk.studies.outcome_records import Estimate

MARKS: Final = {"stop": marked("STOP"), "caution": "!", "note": "-"}


def percent(value: float | None, digits: int = 0) -> str:
    """Return a fraction as a percentage.

    Examples
    --------
    >>> percent(0.3641), percent(0.0004), percent(None)
    ('36 %', '< 1 %', '-')
    """
    if value is None:
        return "-"
    if 0 < value < 0.5 * 10.0 ** -(digits + 2):
        return f"< {10.0**-digits:g} %"
    return f"{100 * value:.{digits}f} %"


def incidence_words(estimate: Estimate) -> str:
    """Return an incidence with its interval, %.

    Examples
    --------
    >>> incidence_words(Estimate(value=0.364, low=0.28, high=0.46))
    '36 % (28-46)'
    """
    if estimate.value is None:
        return tr("not defined")
    if estimate.low is None or estimate.high is None:
        return percent(estimate.value)
    return f"{percent(estimate.value)} ({100 * estimate.low:.0f}-{100 * estimate.high:.0f})"


def points_words(estimate: Estimate) -> str:
    """Return a difference of incidences with its interval, percentage points.

    Examples
    --------
    >>> points_words(Estimate(value=-0.068, low=-0.141, high=-0.014))
    '-6.8 points (-14.1 to -1.4)'
    """
    if estimate.value is None:
        return tr("not defined")
    points = _zero(100 * estimate.value)
    if estimate.low is None or estimate.high is None:
        return tr("{points:+.1f} points", points=points)
    return tr(
        "{points:+.1f} points ({low:+.1f} to {high:+.1f})",
        points=points,
        low=_zero(100 * estimate.low),
        high=_zero(100 * estimate.high),
    )


def _zero(value: float) -> float:
    """Return a number without a minus before what is rounded to zero."""
    return 0.0 if abs(value) < 0.05 else value


def patients_words(value: float | None) -> str:
    """Return a number of patients, rounded up; large ones to three digits.

    Examples
    --------
    >>> patients_words(726.8), patients_words(13356.1), patients_words(None)
    ('727', '13 400', 'no size is enough')
    """
    if value is None:
        return tr("no size is enough")
    whole = -int(-value // 1)
    if whole >= 10_000:
        digits = len(str(whole)) - 3
        whole = -(-whole // 10**digits) * 10**digits
    return f"{whole:,}".replace(",", " ")


def remark_lines(remarks: Sequence[Remark], width: int) -> list[str]:
    """Return remarks as lines, each with its mark.

    Parameters
    ----------
    remarks : sequence of Remark
    width : int
    """
    lines = []
    for remark in remarks:
        mark = tr(MARKS[remark.severity])
        lines += wrap(remark.message, width, initial_indent=f"{mark} ", subsequent_indent="  ")
    return lines


def with_end(rows: list[list[str]]) -> list[list[str]]:
    """Return rows with an empty last column, so that none is wrapped.

    Parameters
    ----------
    rows : list of lists of str
    """
    return [[*row, ""] for row in rows]
