"""Results of a list: names told apart from its columns, and several values in one cell."""

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


def joined(values: Sequence[str | float] | None) -> str | None:
    """Put names, or numbers, into one cell.

    Examples
    --------
    >>> joined([22.4, 22.4]), joined(["weight", "scr"]), joined(None)
    ('22.4 22.4', 'weight; scr', None)
    """
    if not values:
        return None if values is None else ""
    if isinstance(values[0], str):
        return "; ".join(map(str, values))
    if values.count(values[0]) == len(values):  # equal doses
        return " ".join([f"{values[0]:.12g}"] * len(values))
    return " ".join([f"{value:.12g}" for value in values])
