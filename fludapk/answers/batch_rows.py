"""Names of results beside the columns of a list, told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def clear_names(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Names of the results that no column of the list has.

    Examples
    --------
    >>> clear_names(["flag", "model"], ["ID", "model"])
    ['flag', 'result_model']
    """
    used, clear = set(taken), []
    for name in names:
        while name in used:
            name = f"result_{name}"
        used.add(name)
        clear.append(name)
    return clear


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names told apart, for JSON.

    Examples
    --------
    >>> distinct_names(["note", "", "note", ""])
    ['note', '', 'note (2)', ' (2)']
    """
    taken, distinct = set(names), []
    times: Counter[str] = Counter()
    for name in names:
        times[name] += 1
        again = name
        while times[name] > 1 and again in taken:
            again = f"{name} ({times[name]})"
            times[name] += again in taken
        taken.add(again)
        distinct.append(again)
    return distinct
