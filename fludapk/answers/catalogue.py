"""Catalogues of published models, regimens, targets and outcomes: mappings that are also tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from fludapk.answers.record import Record, Row, document
from fludapk.published import outcomes as outcome_file
from fludapk.published import regimens as regimen_file
from fludapk.published import targets as target_file
from fludapk.published.course_files import RegimenEntry, TargetEntry
from fludapk.published.models import Model, load_models
from fludapk.published.outcome_files import OutcomeEntry

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Catalogue(Record, Mapping[str, _Entry], Generic[_Entry]):
    """Published entries by id.

    Parameters
    ----------
    kind : {'models', 'outcomes', 'regimens', 'targets'}
    entries : mapping of str to entry
    describe : callable
        From an entry to its row.

    Examples
    --------
    >>> targets()["fabrizio2022"].low, regimens()
    (13.8, <14 regimens>)
    """

    kind: str
    entries: Mapping[str, _Entry]
    describe: Callable[[_Entry], Row]

    def __getitem__(self, name: str) -> _Entry:
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def rows(self) -> list[Row]:
        """Return a row for each entry."""
        return [self.describe(entry) for entry in self.entries.values()]

    def to_dict(self) -> dict[str, Any]:
        """Return the row of each entry by its id."""
        return dict(zip(self.entries, self.rows(), strict=True))

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return one JSON document: a list, as the command line prints it."""
        return document(self.rows(), indent=indent)

    def brief(self) -> str:
        """Return the number of entries."""
        return f"{len(self)} {self.kind}"


def models(folders: Sequence[Path] | None = None) -> Catalogue[Model]:
    """List the published models; see `fludapk.published.models.model_folders`."""
    entries = {model.id: model for model in load_models(folders, any_drug=True)}
    return Catalogue(kind="models", entries=entries, describe=_model_row)


def regimens() -> Catalogue[RegimenEntry]:
    """List the published courses of fludarabine."""
    entries = regimen_file.regimens()
    return Catalogue(kind="regimens", entries=entries, describe=_dumped)


def targets() -> Catalogue[TargetEntry]:
    """List the published targets of exposure."""
    return Catalogue(kind="targets", entries=target_file.targets(), describe=_dumped)


def outcomes() -> Catalogue[OutcomeEntry]:
    """List the published associations of exposure with an outcome."""
    return Catalogue(kind="outcomes", entries=outcome_file.outcomes(), describe=_dumped)


def _model_row(model: Model) -> Row:
    return {
        "id": model.id,
        "title": ": ".join(filter(None, [model.not_shipped, model.file.title])),
        "who": model.file.population.who,
        "compartments": model.file.compartments,
        "doi": model.file.citation.doi,
        "sha256": model.sha256,
    }


def _dumped(entry: RegimenEntry | TargetEntry | OutcomeEntry) -> Row:
    return entry.model_dump()
