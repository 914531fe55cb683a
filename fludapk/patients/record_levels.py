"""Levels in the cells of records and of files of levels: concentration, limit, and marks."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from fludapk.errors import Fault, InputError
from fludapk.language import tr
from fludapk.patients.columns import few
from fludapk.patients.record_names import LOGARITHMS
from fludapk.patients.records import Records
from fludapk.units import CONC_COLUMNS, canonical_unit, parse_number, parse_quantity

_BELOW: Final = frozenset({"lloq", "loq", "blq", "bql", "bloq", "blloq", "below"})
_UNCLEAR: Final = frozenset({"nd", "n.d.", "n.d", "ns", "nr", "ne", "missing"})
_ABOVE: Final = frozenset({"aloq", "alq", "uloq", "above"})
_SAME: Final = 0.01
"""Relative difference of two limits that is rounding."""


class Sample(NamedTuple):
    """Concentration of a level and its limit of quantification, mg/L; NaN where there is none."""

    conc_mg_l: float
    """NaN below the limit."""
    lloq_mg_l: float

    @property
    def is_below(self) -> bool:
        """Tell a level below its limit."""
        return math.isnan(self.conc_mg_l)


@dataclass(frozen=True)
class Assay:
    """Conventions by which the levels of a file are written.

    Parameters
    ----------
    records : Records
    unit : str, optional
        Unit of levels and limits whose columns do not say theirs.
    lloq_mg_l : float, optional
        Limit of levels marked as below one that have none of their own, mg/L.
    can_give_lloq : bool
        Whether that limit can be typed where the file is read.
    """

    records: Records
    unit: str | None = None
    lloq_mg_l: float | None = None
    can_give_lloq: bool = True

    @classmethod
    def of(cls, records: Records, *, unit: str | None = None, lloq: str | None = None) -> Self:
        """Find out how levels are written.

        Parameters
        ----------
        records : Records
        unit : str, optional
            Unit as typed, for a column without one.
        lloq : str, optional
            Limit of quantification with its unit.

        Raises
        ------
        InputError
            If there is no column of levels, or its unit is unknown or given twice.
        """
        if not records.has("dv"):
            found = tr("levels are in one column, DV or one of {columns}; there are {header}",
                       columns=", ".join(CONC_COLUMNS),
                       header=few(records.layout.header))  # fmt: skip
            raise InputError(found + only_logarithms(records))
        name, own = records.called("dv"), records.unit("dv")
        if own and unit is not None:
            message = tr("{column} says its unit: leave out {dv_unit} {unit}",
                         column=name, unit=unit)  # fmt: skip
            raise InputError(Fault("dv_unit", message, whole=True))
        if not own and unit is None and not records.has("dv_unit"):
            message = tr("{column} has no unit: say {dv_unit} mg/L, ng/mL, ug/L or umol/L",
                         column=name)  # fmt: skip
            raise InputError(Fault("dv_unit", message, whole=True))
        limit = None if lloq is None else _mg_l(lloq, "lloq_mg_l", None)
        if unit is not None:
            _mg_l(f"1 {unit}", "dv_unit", None)
        return cls(records, own or unit, limit)

    def sample(self, cells: Sequence[str]) -> Sample | None:
        """Read a level; None where the cell of a level is empty and nothing marks it.

        Raises
        ------
        InputError
            If marks, limit and concentration do not fit together, or it is not a level.
        """
        unit = self._unit(cells)
        text, name = self.records.text(cells, "dv"), self.records.called("dv")
        below, typed_limit, conc = self._cell(text, name, unit)
        marked = self._marks(cells)
        limit = self._limit(cells, "lloq", unit)
        if below and marked is False:
            do = tr("clear the mark, or write the level")
            found = tr("= {typed!r}, but the mark says it was measured", typed=text)
            raise InputError(Fault(name, found, do=do))
        if typed_limit is not None:
            if not math.isnan(limit) and abs(typed_limit / limit - 1) > _SAME:
                found = tr("= {typed!r}, but its limit of quantification is {limit:g} mg/L",
                           typed=text, limit=limit)  # fmt: skip
                raise InputError(Fault(name, found, do=tr("leave the wrong one out")))
            limit = typed_limit
        if below or marked:
            limit = self._limit_of_below(cells, limit, conc)
            if conc is not None and conc > limit * (1 + _SAME):
                do = tr("clear the mark, or write the limit")
                found = tr("= {typed!r} is above its limit {limit:g} mg/L, but marked as below",
                           typed=text, limit=limit)  # fmt: skip
                raise InputError(Fault(name, found, do=do))
            return Sample(math.nan, limit)
        if conc is None:
            return None
        self._within(cells, conc, limit, unit)
        return Sample(conc, self.lloq_mg_l or math.nan if math.isnan(limit) else limit)

    # -------------------------------------------------------------- parts of a level

    def _unit(self, cells: Sequence[str]) -> str | None:
        """Unit of a level, from a column of units or from the file."""
        text = self.records.text(cells, "dv_unit")
        if not text:
            return self.unit
        unit = canonical_unit(text, "concentration")
        name = self.records.called("dv_unit")
        if unit is None:
            do = tr("write mg/L, ng/mL, ug/L or umol/L, or {leave_out}",
                    leave_out=self.records.left_out("dv_unit"))  # fmt: skip
            found = tr("= {typed!r} is not a unit of levels", typed=text)
            raise InputError(Fault(name, found, do=do))
        if self.unit is not None and unit != canonical_unit(self.unit, "concentration"):
            found = tr("= {typed!r}, but {column} is in {unit}",
                       typed=text, column=self.records.called("dv"), unit=self.unit)  # fmt: skip
            raise InputError(Fault(name, found, do=tr("leave the wrong one out")))
        return unit

    def _cell(
        self, text: str, name: str, unit: str | None
    ) -> tuple[bool, float | None, float | None]:
        """Return if a level is below a limit, the limit in its cell, and its concentration."""
        word = text.lower().replace(" ", "")
        if not word:
            return False, None, None
        if word in _UNCLEAR:
            do = tr("BLQ 1 marks a level below the limit, MDV 1 a record without level")
            found = tr("= {typed!r} is either not measured or below the limit", typed=text)
            raise InputError(Fault(name, found, do=do))
        if word[0] in ">≥" or word in _ABOVE:
            raise InputError(_above(name, text))
        rest = text.lstrip().lstrip("<≤=").strip()
        if word in _BELOW:
            return True, None, None
        if word[0] not in "<≤":
            return False, None, _mg_l(text, name, unit)
        if not rest or rest.lower().replace(" ", "") in _BELOW:
            return True, None, None
        limit = _mg_l(rest, name, unit)
        if limit <= 0:
            raise InputError(Fault(name, tr("= {typed!r}: a limit is above zero", typed=text)))
        return True, limit, None

    def _marks(self, cells: Sequence[str]) -> bool | None:
        """Read BLQ and CENS: below the limit, not below, or nothing said."""
        if re.fullmatch(r"-1(\.0*)?", self.records.text(cells, "cens")):
            raise InputError(_above(self.records.called("cens"), "-1"))
        marks = []
        for what in ("blq", "cens"):
            try:
                marks.append(self.records.flag(cells, what))
            except InputError:
                name, text = self.records.called(what), self.records.text(cells, what)
                found = tr(
                    "= {typed!r}: BLQ or CENS is 1 below the limit of quantification, 0 above",
                    typed=text,
                )
                raise InputError(Fault(name, found)) from None
        if True in marks:
            return True
        return False if False in marks else None

    def _limit(self, cells: Sequence[str], what: str, unit: str | None) -> float:
        """A limit of the row, mg/L; NaN without one."""
        text = self.records.text(cells, what)
        if not text:
            return math.nan
        own, name = self.records.unit(what) or unit, self.records.called(what)
        limit = _mg_l(text.lstrip("<> "), name, own)
        if limit <= 0:
            raise InputError(Fault(name, tr("= {typed}: a limit is above zero", typed=text)))
        return limit

    def _limit_of_below(self, cells: Sequence[str], limit: float, conc: float | None) -> float:
        """Limit of a level that is below it, mg/L."""
        if not math.isnan(limit):
            return limit
        if self.lloq_mg_l is not None:
            return self.lloq_mg_l
        if conc is not None and conc > 0 and self.records.has("cens"):
            return conc  # with CENS the level holds the limit, by convention
        if self.can_give_lloq:
            message = tr("below which limit? Add a column LLOQ, or give {lloq_mg_l}")
        else:
            message = tr("below which limit? Add a column LLOQ")
        raise InputError(Fault("lloq_mg_l", message, whole=True))

    def _within(self, cells: Sequence[str], conc: float, limit: float, unit: str | None) -> None:
        """Check a measured level against the limits of its row."""
        if 0 < conc < limit:
            found = tr("{conc:g} mg/L is below its limit of quantification {limit:g} mg/L",
                       conc=conc, limit=limit)  # fmt: skip
            do = tr("mark it with BLQ 1")
            raise InputError(Fault(self.records.called("dv"), found, do=do, whole=True))
        upper = self._limit(cells, "uloq", unit)
        if conc >= upper:
            raise InputError(_above(self.records.called("dv"), f"{conc:g} mg/L"))


def only_logarithms(records: Records) -> str:
    """Say that a file has the logarithms of levels; empty if it has none."""
    columns = [records.called(what) for what in LOGARITHMS if records.has(what)]
    if not columns:
        return ""
    hint = tr("{column} holds logarithms: write the levels themselves", column=columns[0])
    return f". {hint}"


def _above(name: str, text: str) -> Fault:
    do = tr("dilute and measure again, or take the record out: such levels are not read")
    found = tr("= {typed} is above the upper limit of quantification", typed=text)
    return Fault(name, found, do=do)


def _mg_l(text: str, name: str, unit: str | None) -> float:
    """Concentration in mg/L; `unit` is that of a number without one."""
    if unit is not None:
        number, rest = parse_number(text, name)
        if not rest:
            text = f"{number!r} {unit}"
    return parse_quantity(text, dimension="concentration", field=name, unit=None).value
