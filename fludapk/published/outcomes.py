"""Published associations of exposure with an outcome."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from fludapk.published.outcome_files import OutcomeEntry, OutcomeFile
from fludapk.published.tables import DATA, read_toml


@lru_cache(maxsize=1)
def outcomes() -> Mapping[str, OutcomeEntry]:
    """Return the published outcomes by id.

    Examples
    --------
    >>> outcomes()["fabrizio2022_relapse"].hazard_ratios[0].value
    2.45
    """
    entries = read_toml(DATA / "outcomes.toml", OutcomeFile).outcomes
    return {entry.id: entry for entry in entries}
