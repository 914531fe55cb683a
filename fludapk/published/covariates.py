"""Covariates of a model, computed from the data of patients, and its studied range."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8, Bools
from fludapk.errors import Fault, InputError
from fludapk.language import any_of, marked, tr
from fludapk.published.formulas import FORMULAS, capped_by_knots
from fludapk.published.formulas.body_size import TERM_WEEKS
from fludapk.published.model_faults import COLUMN_OF, sources_of
from fludapk.published.model_files import Covariate, Rule
from fludapk.published.models import Model, load_model
from fludapk.published.tables import CATEGORICAL, COURSE_COVARIATES, SEX, SEXES
from fludapk.units import shown_unit

Columns = Mapping[str, F8]
"""(n,) arrays of AGE, SEX (1 female, 0 male), WT, HT, BSA, SCR, eGFR, CrCl, in the units of
`PATIENT_COVARIATES`, and of category numbers; NaN where unknown."""


# ------------------------------------------------------------------ covariates of patients


ORIGINS: Final = (marked("given"), marked("from CrCl"), marked("from eGFR"), marked("cap"))
"""Origins of a renal function that are no formula."""


@dataclass(frozen=True)
class Step:
    """A line of the calculation, for a second person to repeat."""

    name: str
    value: float
    unit: str
    by: str
    """A published formula, or one of `ORIGINS`, or empty."""
    how: str
    """Arithmetic with its numbers."""


def _arguments(needs: Sequence[str], columns: Columns) -> dict[str, F8 | npt.NDArray[np.bool_]]:
    """Return columns under the names of the arguments that a formula needs."""
    named = {name: columns[COLUMN_OF[name]] for name in needs}
    return {name: column == 1.0 if name == "female" else column for name, column in named.items()}


def evaluate(formula: str, columns: Columns) -> F8:
    """Evaluate a published formula on columns.

    Parameters
    ----------
    formula : str
        A key of `FORMULAS`.
    columns : mapping of str to (n,) arrays
        See `Columns`.

    Returns
    -------
    (n,) array
        In the unit of the formula; NaN where an input is unknown.
    """
    entry = FORMULAS[formula]
    value = np.asarray(entry.function(**_arguments(entry.needs, columns)), dtype=np.float64)
    if "female" in entry.needs:
        value = np.where(np.isnan(columns["SEX"]), np.nan, value)
    return value


def arithmetic(formula: str, columns: Columns, row: int = 0) -> str:
    """Write out the arithmetic of a published formula for a row on which it is defined."""
    entry = FORMULAS[formula]
    own = {name: columns[COLUMN_OF[name]].item(row) for name in entry.needs}
    if "female" in own:
        own["female"] = own["female"] == 1.0
    return entry.arithmetic(**own)


class _Line(NamedTuple):
    """A step of many patients, worded for one of them when somebody asks."""

    name: str
    value: F8
    unit: str
    by: str
    how: Callable[[int], str]
    """Arithmetic of a row."""
    holds: Bools | None = None
    """Rows that have this step; all of them if None."""


@dataclass(frozen=True, eq=False)
class Covariates:
    """Covariates of a model for n patients, as (n,) arrays."""

    values: dict[str, F8]
    """Every covariate of the model; NaN where an input is unknown."""
    uncapped: dict[str, F8]
    """eGFR or CrCl before the cap of the model."""
    origin: dict[str, npt.NDArray[np.object_]]
    """Origin of eGFR or CrCl: a formula, "given", "from" the other one, or None."""
    lines: list[_Line]

    def steps(self, row: int = 0) -> list[Step]:
        """Word the calculation of the values of a patient."""
        return [
            Step(name, own := value.item(row), unit, by, how(row) if math.isfinite(own) else "")
            for name, value, unit, by, how, holds in self.lines
            if holds is None or holds[row]
        ]


def covariate_columns(
    model: Model, columns: Columns, egfr_formula: str | None = None
) -> Covariates:
    """Compute every covariate of a model from the data of patients.

    Parameters
    ----------
    model : Model
    columns : mapping of str to (n,) arrays
        See `Columns`.
    egfr_formula : str, optional
        Formula to use instead of the model's own rules.
    """
    available = dict(columns)
    result = Covariates({}, {}, {}, [])
    add = result.lines.append
    for name, covariate in _in_order(model):
        unit = covariate.unit or ""
        if covariate.rules:
            rules = [Rule(formula=egfr_formula)] if egfr_formula else covariate.rules
            uncapped = _renal(name, unit, rules, columns, result)
            available[name] = result.uncapped[name] = uncapped
            if covariate.cap is not None:
                at = available[covariate.cap.by]
                value = np.asarray(
                    capped_by_knots(value=uncapped, at=at, knots=covariate.cap.knots)
                )
                available[name] = value
                add(_Line(name, value, unit, "cap", partial(_highest, at), value < uncapped))
        elif covariate.derived is not None:
            sources = _sources(model, covariate, available)
            value = available[name] = evaluate(covariate.derived, sources)
            add(_Line(name, value, unit, "", partial(arithmetic, covariate.derived, sources)))
        elif name in ("GA", "PMA"):
            born = columns.get("GA", np.full(columns["AGE"].shape, np.nan))
            available["GA"] = np.where(np.isnan(born), TERM_WEEKS, born)
            if name == "PMA":
                how = partial(arithmetic, "postmenstrual_age", available)
                value = available[name] = evaluate("postmenstrual_age", available)
                add(_Line(name, value, unit, "", how))
        elif name == SEX:
            woman = covariate.levels.index(SEXES[0])
            number = np.abs(1.0 - woman - columns[SEX])  # NaN stays
            available[name] = number
        elif name in COURSE_COVARIATES:
            continue
        elif covariate.levels and name not in columns:
            available[name] = np.full(columns["AGE"].shape, np.nan)
        result.values[name] = available[name]
    return result


def _highest(at: F8, row: int) -> str:
    return tr("the model's highest value at {age:.3g} y", age=at[row])


def _no_arithmetic(_: int) -> str:
    return ""


@lru_cache(maxsize=64)
def _in_order(model: Model) -> list[tuple[str, Covariate]]:
    """All covariates, derived ones after those they are made from: TOML tables have no order."""
    covariates = model.file.covariates
    left = {name: sources_of(table.model_dump()) for name, table in covariates.items()}
    ordered: list[str] = []
    while left:
        ready = [name for name, sources in left.items() if not sources & (left.keys() - {name})]
        ordered += ready
        left = {name: sources for name, sources in left.items() if name not in ready}
    return [(name, covariates[name]) for name in ordered]


def _sources(model: Model, covariate: Covariate, available: Columns) -> dict[str, F8]:
    """Return what a derived covariate is made from, under the names of its formula."""
    sources = dict(available)
    if SEX in model.file.covariates:  # a formula wants 1 for women, the model the number of a level
        woman = model.file.covariates[SEX].levels.index(SEXES[0])
        sources[SEX] = np.abs(1.0 - woman - available[SEX])
    sources |= {key: available[name] for key, name in covariate.of.items()}
    if covariate.fat is not None:
        fat = covariate.fat
        value = model.file.theta[fat].value if isinstance(fat, str) else fat
        sources["fat"] = np.full(available["AGE"].shape, value)
    return sources


def _renal(name: str, unit: str, rules: Sequence[Rule], columns: Columns, result: Covariates) -> F8:
    """Return eGFR or CrCl: as given, else from the other one, else from creatinine by the rules.

    Add its origin and lines to the result.
    """
    other = "CrCl" if name == "eGFR" else "eGFR"
    bridge = "index_gfr" if name == "eGFR" else "deindex_gfr"
    age, sex = columns["AGE"], columns["SEX"]
    out, add = np.full(age.shape, np.nan), result.lines.append
    origin = np.full(age.shape, None, dtype=object)
    remaining = np.isnan(columns[name]) & np.isnan(columns[other])
    for rule in rules:
        fits = remaining & ((rule.age_from is None) | (age >= (rule.age_from or 0.0)))
        if rule.sex is not None:
            remaining = remaining & ~(fits & np.isnan(sex))  # the rule cannot be chosen
            fits &= sex == float(rule.sex == "female")
        remaining = remaining & ~fits
        if not fits.any():
            continue
        formula = FORMULAS[rule.formula]
        value, how = evaluate(formula.name, columns), partial(arithmetic, formula.name, columns)
        add(_Line(formula.quantity, value, formula.unit, formula.name, how, fits))
        if formula.quantity != name:
            bridged = {**columns, formula.quantity: value}
            value = evaluate(bridge, bridged)
            add(_Line(name, value, unit, "", partial(arithmetic, bridge, bridged), fits))
        out = np.where(fits, value, out)
        origin[fits] = rule.formula
    is_given, is_converted = np.isfinite(columns[name]), np.isfinite(columns[other])
    converted = evaluate(bridge, columns) if is_converted.any() else out
    add(_Line(name, columns[name], unit, "given", _no_arithmetic, is_given))
    is_bridged, how = is_converted & ~is_given, partial(arithmetic, bridge, columns)
    add(_Line(name, converted, unit, f"from {other}", how, is_bridged))
    origin[is_converted], origin[is_given] = f"from {other}", "given"
    result.origin[name] = origin
    return np.where(is_given, columns[name], np.where(is_converted, converted, out))


def covariate_rows(model: Model, values: Mapping[str, F8], n: int = 1) -> F8:
    """Return the rows of covariates that `Program.typical_values` takes.

    Parameters
    ----------
    model : Model
    values : mapping of str to (n,) arrays
        Covariates of the model.
    n : int, optional
        Number of rows of a model without covariates.

    Returns
    -------
    (n, c) array
    """
    columns = [values[name] for name in model.program.covariates]
    return np.ascontiguousarray(np.column_stack(columns)) if columns else np.zeros((n, 0))


# ------------------------------------------------------------------ the studied range of a model

_FIELDS: Final = {"AGE": "age_years", "WT": "weight_kg", "HT": "height_cm"}
"""Covariate that is typed directly -> its keyword."""


@dataclass(frozen=True)
class Outside:
    """A covariate of a patient outside the studied range of a model."""

    covariate: str
    value: float
    unit: str
    low: float
    high: float

    def __str__(self) -> str:
        return tr(
            "{covariate} {value:.3g} {unit} (studied {low:g}-{high:g})",
            covariate=self.covariate,
            value=self.value,
            unit=shown_unit(self.unit),
            low=self.low,
            high=self.high,
        )


def studied_range(model: Model, values: Mapping[str, F8]) -> tuple[Bools, Bools]:
    """Find the rows inside the possible limits of a model, and those outside its studied range.

    Parameters
    ----------
    model : Model
    values : mapping of str to (n,) arrays
        Covariates of the model.

    Returns
    -------
    possible, outside : (n,) array of bool
    """
    n = max((value.size for value in values.values()), default=1)
    possible, outside = np.ones(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for name, (low, high), (lowest, highest) in _bounds(model):
        value = values[name]
        possible &= ~((value < lowest) | (value > highest))
        outside |= (value < low) | (value > high)
    return possible, outside


def outside_studied_range(model: Model, values: Mapping[str, F8], row: int = 0) -> list[Outside]:
    """Return the covariates of one row that are outside the studied range.

    Parameters
    ----------
    model : Model
    values : mapping of str to (n,) arrays
        Covariates of the model.
    row : int, optional
        Index of the row, from 0.

    Raises
    ------
    InputError
        If a covariate is outside the possible limits; all such are listed.
    """
    outside, faults = [], []
    for name, (low, high), (lowest, highest) in _bounds(model):
        value, unit = float(values[name][row]), model.file.covariates[name].unit or ""
        if value < lowest or value > highest:
            message = tr(
                "= {value:.4g} {unit} is outside {low:g}-{high:g}, the limits of {of}",
                value=value,
                unit=shown_unit(unit),
                low=lowest,
                high=highest,
                of=model.id,
            )
            do = tr("check the value, or choose another {model}")
            field = _FIELDS.get(name, "")
            faults.append(Fault(field, message if field else f"{name} {message}", do=do))
        elif not low <= value <= high:
            outside.append(Outside(name, value, unit, low, high))
    if faults:
        raise InputError(*faults)
    return outside


def _bounds(model: Model) -> Iterator[tuple[str, tuple[float, float], tuple[float, float]]]:
    """Yield name, studied range and possible limits of every covariate that has them."""
    for name, covariate in model.file.covariates.items():
        if covariate.range is not None and covariate.limits is not None:
            (low, high), (lowest, highest) = covariate.range, covariate.limits
            yield name, (low, high), (lowest, highest)


def missing_covariates(
    model: Model, values: Mapping[str, F8], columns: Columns, row: int = 0
) -> list[Fault]:
    """Return a fault that names everything the model still needs of a patient, or no fault.

    Parameters
    ----------
    model : Model
    values : mapping of str to (n,) arrays
        Covariates of the model; NaN is missing.
    columns : mapping of str to (n,) arrays
        See `Columns`.
    row : int, optional
        Index of the row, from 0.

    Returns
    -------
    list of Fault
        One fault, or none.
    """
    needs: dict[str, tuple[str, ...]] = {}
    for name in values:
        if not np.isnan(values[name][row]):
            continue
        if name == SEX:
            needs["{sex}"] = ("sex",)
        elif name in CATEGORICAL:
            needs[f"{{{name}}} ({any_of(model.categories(name))})"] = (name,)
        elif model.categories(name):
            named = f"{{categories}} {name} ({any_of(model.categories(name))})"
            needs[named] = ("categories",)
        elif name in ("eGFR", "CrCl"):
            if not any(np.isfinite(columns[key][row]) for key in ("SCR", "eGFR", "CrCl")):
                needs[tr(_A_RENAL_FUNCTION)] = ("scr_mg_dl", "egfr_ml_min_1_73m2", "crcl_ml_min")
            elif np.isnan(columns["SEX"][row]):
                why = tr("{sex} (the {name} formula at this age needs it)", name=name)
                needs[why] = ("sex",)
    fields = [field for named in needs.values() for field in named]
    if needs:
        fault = _needs(model, "; ".join(needs))
        return [replace(fault, field=fields[0], also=tuple(fields[1:]), whole=True)]
    return _undefined(model, values, columns, row)


def _undefined(model: Model, values: Mapping[str, F8], columns: Columns, row: int) -> list[Fault]:
    """Return the faults of derived covariates whose formula is not defined for a patient."""
    faults = []
    for name, covariate in model.file.covariates.items():
        if covariate.derived is None or not np.isnan(values[name][row]):
            continue
        formula = FORMULAS[covariate.derived]
        if "female" in formula.needs and np.isnan(columns["SEX"][row]):
            found = tr("{id} needs {sex} ({name} by {formula})",
                       id=model.id, name=name, formula=covariate.derived)  # fmt: skip
            return [Fault("sex", found, whole=True)]
        first, last = formula.ages
        found = tr(
            "{id} needs {name}, but {formula} is not defined for this patient (published for "
            "{first:g} to {last:g} y)",
            id=model.id,
            name=name,
            formula=covariate.derived,
            first=first,
            last=last,
        )
        faults.append(Fault("", found, do=tr("choose another {model}"), whole=True))
    return faults


_A_RENAL_FUNCTION: Final = marked(
    'a renal function: {scr_mg_dl} "0.3 mg/dL", {egfr_ml_min_1_73m2} or {crcl_ml_min}'
)


def studied_rows(
    model: Model, columns: Columns, values: Mapping[str, F8] | None = None
) -> tuple[F8, Bools]:
    """Compute the covariate rows of many patients, and check the studied range.

    Parameters
    ----------
    model : Model
    columns : mapping of str to (n,) arrays
        See `Columns`; categories by the numbers of the model.
    values : mapping of str to (n,) arrays, optional
        Covariates of the model; by its own rules if absent.

    Returns
    -------
    rows : (n, c) array
        Rows for `Program.typical_values`.
    outside : (n,) array of bool
        True for patients outside the studied range.

    Raises
    ------
    InputError
        If the data of a patient do not suffice, or a value is outside the possible limits.
    """
    values = covariate_columns(model, columns).values if values is None else values
    for name, value in values.items():
        unknown = np.flatnonzero(np.isnan(value))
        if unknown.size:
            faults = missing_covariates(model, values, columns, int(unknown[0]))
            raise InputError(*(faults or [_needs(model, name)]))
    possible, outside = studied_range(model, values)
    if not possible.all():
        outside_studied_range(model, values, int(np.flatnonzero(~possible)[0]))  # raises
    return covariate_rows(model, values, len(columns["WT"])), outside


def _needs(model: Model, inputs: str) -> Fault:
    return Fault("", tr("{id} needs {inputs}", id=model.id, inputs=inputs))


def renal_function(measure: str, columns: Columns) -> F8:
    """Compute the renal function of patients, for dosing rules.

    Parameters
    ----------
    measure : {'CrCl', 'eGFR'}
    columns : mapping of str to (n,) arrays
        See `Columns`.

    Returns
    -------
    (n,) array
        CrCl (mL/min) or eGFR (mL/min/1.73 m2), NaN where unknown: as given; else from the other
        one; else from creatinine, CrCl by Cockcroft and Gault, eGFR by the rule of the default
        model before its cap (bedside Schwartz in children, Cockcroft-Gault per 1.73 m2 in adults).
    """
    if measure == "CrCl":
        given, other = columns["CrCl"], evaluate("deindex_gfr", columns)
        formula = evaluate("cockcroft_gault", columns)
    else:
        given, other = columns["eGFR"], evaluate("index_gfr", columns)
        formula = covariate_columns(load_model(), columns).uncapped["eGFR"]
    return np.where(np.isfinite(given), given, np.where(np.isfinite(other), other, formula))
