"""Virtual patients drawn from printed summaries of a population."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fludapk.arrays import F8, Bools
from fludapk.errors import InputError, nearest
from fludapk.language import tr
from fludapk.published.covariates import (
    covariate_columns,
    covariate_rows,
    studied_rows,
)
from fludapk.published.formulas import fas_q, lms_value, lms_zscore, mosteller
from fludapk.published.growth import growth_reference
from fludapk.published.models import Model
from fludapk.published.population_files import (
    Age,
    BetaAge,
    LogNormal,
    PopulationEntry,
    PopulationFile,
    UniformAge,
)
from fludapk.published.tables import CATEGORICAL, DATA, read_toml

_Z_OF_QUARTILE = 0.6744897501960817

REDRAWN: Final = ("size", "scr")
"""Weight or height, and creatinine."""
_ROUNDS: Final = 2000
_MANY: Final = 4000
"""Redrawn so often, or so many at once, one patient in a hundred would have been inside."""


@dataclass(frozen=True, eq=False)
class Patients:
    """Many patients whose categories are named, so that any model can number them."""

    columns: dict[str, F8]
    """See `fludapk.published.covariates.Columns`; categories are numbers of `categories`."""
    categories: dict[str, list[str]]
    extra: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    """Other columns of a cohort file, for strata."""
    redrawn: dict[str, Bools] = field(default_factory=dict)
    """(n,) Patients with a value that was drawn again to be inside its limits, by `REDRAWN`."""
    egfr_formulas: npt.NDArray[np.object_] | None = None
    """(n,) Formula of renal function of each patient, None for that of the model."""

    @property
    def n(self) -> int:
        """Number of patients."""
        return len(self.columns["WT"])

    def of(self, model: Model) -> dict[str, F8]:
        """Columns with the category numbers of a model; NaN where it has no such category."""
        columns = dict(self.columns)
        for name in CATEGORICAL:
            numbers = {x: float(i) for i, x in enumerate(model.categories(name))}
            table = np.array([*(numbers.get(x, np.nan) for x in self.categories[name]), np.nan])
            own = columns[name]
            columns[name] = table[np.where(np.isnan(own), len(table) - 1, own).astype(np.int64)]
        return columns

    def rows_of(self, model: Model) -> tuple[F8, Bools]:
        """Covariate rows, and who is outside the studied range of a model."""
        columns = self.of(model)
        return studied_rows(model, columns, self._values(model, columns))

    def covariates(self, model: Model) -> F8:
        """Covariate rows of a model, NaN where one is not known."""
        return covariate_rows(model, self._values(model, self.of(model)), self.n)

    def _values(self, model: Model, columns: Mapping[str, F8]) -> dict[str, F8]:
        """Covariates of a model, each patient's renal function by the formula of the patient."""
        if self.egfr_formulas is None:
            return covariate_columns(model, columns).values
        values: dict[str, F8] = {}
        for formula in dict.fromkeys(self.egfr_formulas.tolist()):
            those = np.equal(self.egfr_formulas, formula).astype(np.bool_)
            for name, value in covariate_columns(model, columns, formula).values.items():
                values[name] = np.where(those, value, values.get(name, np.nan))
        return values

    def rows(self, which: npt.NDArray[np.int64]) -> Patients:
        """Select patients, in this order.

        Parameters
        ----------
        which : (k,) array of int
            Places of the patients.
        """
        return Patients(
            {name: column[which] for name, column in self.columns.items()},
            self.categories,
            {name: column[which] for name, column in self.extra.items()},
            {name: column[which] for name, column in self.redrawn.items()},
            None if self.egfr_formulas is None else self.egfr_formulas[which],
        )


@lru_cache(maxsize=1)
def populations() -> Mapping[str, PopulationEntry]:
    """Ready-made populations by name."""
    entries = read_toml(DATA / "populations.toml", PopulationFile).populations
    return {entry.id: entry for entry in entries}


def virtual_patients(name: str, *, n: int, seed: int, model: Model | None = None) -> dict[str, F8]:
    """Draw patients of a ready-made population.

    Parameters
    ----------
    name : str
        Of `populations`.
    n, seed : int
    model : Model, optional
        See `category_numbers`.

    Returns
    -------
    dict of str to (n,) arrays
        As `draw`, for `fludapk.published.covariates.covariate_columns`.

    Raises
    ------
    InputError
        If there is no such population; see also `category_numbers`.

    Examples
    --------
    >>> children = virtual_patients("langenhorst2019_children", n=2000, seed=1)
    >>> bool(abs(np.median(children["WT"]) / 29 - 1) < 0.1)
    True
    """
    if name not in populations():
        raise InputError(
            tr("unknown population {name!r}: {choices}",
               name=name, choices=nearest(name, list(populations())))
        )  # fmt: skip
    entry = populations()[name]
    return category_numbers(entry, draw(entry, np.random.default_rng(seed), n), model)


class Drawn(NamedTuple):
    """Patients of a population, and who had a value drawn again."""

    columns: dict[str, F8]
    redrawn: dict[str, Bools]
    """See `Patients.redrawn`."""


def draw(entry: PopulationEntry, rng: np.random.Generator, n: int) -> dict[str, F8]:
    """Draw patients; the columns of `draw_patients`."""
    return draw_patients(entry, rng, n).columns


def draw_patients(entry: PopulationEntry, rng: np.random.Generator, n: int) -> Drawn:
    """Draw patients.

    In this order: age, sex, weight given both, height given all three, creatinine, categories. A
    weight outside its range is redrawn for the same age and sex, then a height, then a creatinine,
    so limits never change ages and sexes.

    Parameters
    ----------
    entry : PopulationEntry
    rng : np.random.Generator
        Of its own for every block of patients, if blocks are not to depend on each other.
    n : int

    Returns
    -------
    columns : dict of str to (n,) arrays
        AGE (years), SEX (1 female), WT (kg), HT (cm), BSA (m2, Mosteller), SCR (mg/dL); eGFR and
        CrCl are NaN, so that models compute them, unless the entry has one; product, diagnosis and
        genotype are numbers of `entry.categories`, NaN where there are none: see
        `category_numbers`.
    redrawn : dict of str to (n,) arrays of bool

    Raises
    ------
    InputError
        Naming the limits that fewer than about 1 in 100 patients of some age can meet.

    References
    ----------
    Size to 20 y: CDC 2000 growth reference (``data/cdc2000_lms.csv``). Above: log-normal with the
    quartiles of NHANES 2021-2023 by sex at the middle of each age band (``nhanes2023_adults.csv``),
    L, M and S on straight lines between, also from 20 to 25 y, so that nobody jumps at 20 y. The
    5th and 95th percentile of weight that the same report prints come back within 15 %.
    Creatinine: `fludapk.published.formulas.egfr_by_age.fas_q`, below 1 y its value at 1 y.

    Examples
    --------
    >>> entry = populations()["lbcl_adults"]
    >>> patients = draw(entry, np.random.default_rng(1), 4096)
    >>> entry.categories("product"), np.unique(patients["product"])
    (['axi_cel', 'tisa_cel'], array([0., 1.]))
    """
    age = _ages(entry.age, rng, n)
    female = rng.random(n) < entry.female
    if entry.weight_kg is None:
        lms = _lms(entry, "weight", age, female)
    else:
        lms = _log_normal(entry.weight_kg.median, _sd(entry.weight_kg), n)
    spread = 0.0 if entry.size == "median" else 1.0
    z_weight, weight, again_weight = _inside(entry, "weight_range_kg", rng, age, lms, spread=spread)
    r = entry.weight_height_correlation
    _, height, again_height = _inside(
        entry,
        "height_range_cm",
        rng,
        age,
        _lms(entry, "height", age, female),
        centre=r * z_weight,
        spread=spread * float(np.sqrt(1 - r**2)),
    )
    scr, again_scr = np.full(n, np.nan), np.zeros(n, dtype=np.bool_)
    if entry.creatinine is not None:
        typical = entry.creatinine.ratio * fas_q(age_years=np.maximum(age, 1.0), female=female)
        scatter = _log_normal(typical, _sd_of_cv(entry.creatinine.cv), n)
        _, scr, again_scr = _inside(entry, "scr_range_mg_dl", rng, age, scatter)
    categories = {name: _categories(getattr(entry, name), rng, n) for name in CATEGORICAL}
    columns = _columns(entry, age, female, weight, height, scr) | categories
    return Drawn(columns, {"size": again_weight | again_height, "scr": again_scr})


def at_scores(entry: PopulationEntry, scores: Mapping[str, F8]) -> dict[str, F8]:
    """Return the patients at given scores: the population of `draw`, one number for each cause.

    Parameters
    ----------
    entry : PopulationEntry
    scores : mapping of str to (n,) arrays
        Uniform numbers from 0 to 1 of `SCORES`, independent of each other.

    Returns
    -------
    dict of str to (n,) arrays
        As `draw`; a value outside its limits is not redrawn, its distribution is cut there.

    Examples
    --------
    >>> middle = {name: np.array([0.5]) for name in SCORES}
    >>> patients = at_scores(populations()["prwcc_ball"], middle)
    >>> patients["AGE"], patients["WT"].round()
    (array([12.5]), array([43.]))
    """
    age = _age_at(entry.age, scores["age"])
    female = scores["sex"] < entry.female
    if entry.weight_kg is None:
        lms = _lms(entry, "weight", age, female)
    else:
        lms = _log_normal(entry.weight_kg.median, _sd(entry.weight_kg), len(age))
    spread = 0.0 if entry.size == "median" else 1.0
    none = np.zeros(len(age))
    z_weight, weight = _cut(entry.weight_range_kg, lms, scores["weight"], none, spread)
    r = entry.weight_height_correlation
    height_lms = _lms(entry, "height", age, female)
    rest = spread * float(np.sqrt(1 - r**2))
    _, height = _cut(entry.height_range_cm, height_lms, scores["height"], r * z_weight, rest)
    scr = np.full(len(age), np.nan)
    if entry.creatinine is not None:
        typical = entry.creatinine.ratio * fas_q(age_years=np.maximum(age, 1.0), female=female)
        scatter = _log_normal(typical, _sd_of_cv(entry.creatinine.cv), len(age))
        _, scr = _cut(entry.scr_range_mg_dl, scatter, scores["creatinine"], none, 1.0)
    categories = {name: _category_at(getattr(entry, name), scores[name]) for name in CATEGORICAL}
    return _columns(entry, age, female, weight, height, scr) | categories


def _columns(
    entry: PopulationEntry, age: F8, female: Bools, weight: F8, height: F8, scr: F8
) -> dict[str, F8]:
    """Return the columns of drawn patients, with what the entry fixes of the kidney."""
    return {
        "AGE": age,
        "SEX": female.astype(np.float64),
        "WT": weight,
        "HT": height,
        "BSA": np.asarray(mosteller(height_cm=height, weight_kg=weight)),
        "SCR": scr,
        "eGFR": _constant(entry.egfr_ml_min_1_73m2, len(age)),
        "CrCl": _constant(entry.crcl_ml_min, len(age)),
    }


SCORES: Final = ("age", "sex", "weight", "height", "creatinine", *CATEGORICAL)
"""Independent causes of the covariates of a drawn patient."""


def category_numbers(
    entry: PopulationEntry, patients: Mapping[str, F8], model: Model | None = None
) -> dict[str, F8]:
    """Turn the categories of drawn patients into the level numbers of a model.

    Parameters
    ----------
    entry : PopulationEntry
    patients : mapping of str to (n,) arrays
        What `draw` gave for it.
    model : Model, optional
        Without it, and where it or the population has no such category, all are NaN.

    Raises
    ------
    InputError
        If the model has the category but not a level of the population.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> entry = populations()["prwcc_ball"]
    >>> patients = draw(entry, np.random.default_rng(1), 2)
    >>> entry.categories("product"), load_model("varela2025").categories("product")
    (['tisa_cel'], ['axi_cel', 'tisa_cel'])
    >>> category_numbers(entry, patients, load_model("varela2025"))["product"]
    array([1., 1.])
    """
    columns = dict(patients)
    faults = []
    for name in CATEGORICAL:
        stated = entry.categories(name)
        of_model = [] if model is None else model.categories(name)
        if model is not None and of_model:
            faults += [
                f"population {entry.id}: {name} {category!r} is not one of {model.id}: "
                f"{', '.join(of_model)}"
                for category in stated
                if category not in of_model
            ]
        numbers = [float(of_model.index(x)) if x in of_model else np.nan for x in stated]
        if stated:
            columns[name] = np.array(numbers)[patients[name].astype(np.intp)]
    if faults:
        raise InputError(*faults)
    return columns


# ------------------------------------------------------------------ parts of a patient


def _constant(value: float | None, n: int) -> F8:
    """Return the same number for everybody; NaN if there is none."""
    return np.full(n, np.nan if value is None else value)


def _age_at(age: Age, u: F8) -> F8:
    """Return the quantiles of an age, years."""
    if isinstance(age, BetaAge):
        from scipy.special import betaincinv

        return age.low + (age.high - age.low) * np.asarray(betaincinv(age.a, age.b, u), np.float64)
    if isinstance(age, UniformAge):
        return age.low + (age.high - age.low) * u
    fractions, years = np.array(age).T
    return np.asarray(np.interp(u, fractions, years))


def _cut(
    limits: Sequence[float] | None, lms: F8, u: F8, centre: F8, spread: float
) -> tuple[F8, F8]:
    """Return normal scores and values at quantiles of what is inside the limits."""
    from scipy.special import ndtr, ndtri

    L, M, S = lms
    if spread == 0.0 or not np.any(S):
        return centre, np.asarray(lms_value(z=centre, L=L, M=M, S=S))
    low, high = np.zeros(len(u)), np.ones(len(u))
    if limits is not None:
        ends = (np.asarray(lms_zscore(value=end, L=L, M=M, S=S)) for end in limits)
        low, high = (np.asarray(ndtr((end - centre) / spread)) for end in ends)
    z = centre + spread * ndtri(np.clip(low + u * (high - low), 1e-15, 1 - 1e-15))
    return z, np.asarray(lms_value(z=z, L=L, M=M, S=S))


def _category_at(shares: Mapping[str, float] | None, u: F8) -> F8:
    if shares is None:
        return np.full(len(u), np.nan)
    edges = np.cumsum(list(shares.values()))[:-1]
    return np.searchsorted(edges, u, side="right").astype(np.float64)


def _ages(age: Age, rng: np.random.Generator, n: int) -> F8:
    if isinstance(age, BetaAge):
        return np.asarray(age.low + (age.high - age.low) * rng.beta(age.a, age.b, n))
    if isinstance(age, UniformAge):
        return age.low + (age.high - age.low) * rng.random(n)
    fractions, years = np.array(age).T
    return np.asarray(np.interp(rng.random(n), fractions, years))


def _inside(
    entry: PopulationEntry,
    limits: str,
    rng: np.random.Generator,
    age: F8,
    lms: F8,
    centre: F8 | None = None,
    spread: float = 1.0,
) -> tuple[F8, F8, Bools]:
    """Normal scores, their values, redrawn until inside the limits of this name, and for whom."""
    low, high = getattr(entry, limits) or (0.0, np.inf)
    n = age.size
    score, value = np.empty(n), np.full(n, np.nan)
    todo, again = np.arange(n), np.zeros(n, dtype=np.bool_)
    for _ in range(_ROUNDS):
        z = spread * rng.standard_normal(todo.size)
        score[todo] = z if centre is None else centre[todo] + z
        L, M, S = lms[:, todo]
        value[todo] = lms_value(z=score[todo], L=L, M=M, S=S)
        tried = todo.size
        todo = todo[~((value[todo] >= low) & (value[todo] <= high))]  # NaN is redrawn too
        again[todo] = True
        if not todo.size:
            return score, value, again
        if tried >= _MANY and todo.size > 0.99 * tried:
            break
    raise InputError(
        f"population {entry.id}: {limits} [{low:g}, {high:g}] keeps out nearly everybody of "
        f"{np.min(age[todo]):.3g}-{np.max(age[todo]):.3g} y: widen it, or change age"
    )


def _log_normal(median: float | F8, sd: float, n: int) -> F8:
    """(3, n) L, M, S of a log-normal."""
    lms = np.zeros((3, n))
    lms[1], lms[2] = median, sd
    return lms


def _sd(given: LogNormal) -> float:
    """Standard deviation of the logarithm."""
    if given.q25 is not None and given.q75 is not None:
        return float(np.log(given.q75 / given.q25)) / (2 * _Z_OF_QUARTILE)
    assert given.cv is not None  # one of the two is there: checked when it was read
    return _sd_of_cv(given.cv)


def _sd_of_cv(cv: float) -> float:
    return float(np.sqrt(np.log1p(cv**2)))


def _lms(entry: PopulationEntry, measure: str, age: F8, female: npt.NDArray[np.bool_]) -> F8:
    """(3, n) L, M, S for age and sex."""
    lms = np.empty((3, age.size))
    for sex, who in (("female", female), ("male", ~female)):
        table = _size_reference(entry.adults)[measure, sex]
        for column in (1, 2, 3):
            lms[column - 1, who] = np.interp(age[who], table[:, 0], table[:, column])
    return lms


@lru_cache(maxsize=2)
def _size_reference(adults: str) -> Mapping[tuple[str, str], F8]:
    """(measure, sex) -> rows of age in years, L, M, S from birth on; flat after the last."""
    if adults == "cdc2000":
        return growth_reference()
    rows: dict[tuple[str, str], list[list[float]]] = {}
    with (DATA / f"{adults}_adults.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            p25, p50, p75 = (float(row[key]) for key in ("p25", "p50", "p75"))
            sd = _sd(LogNormal(median=p50, q25=p25, q75=p75))
            key = row["measure"].split("_")[0], row["sex"]
            rows.setdefault(key, []).append([float(row["age_from"]) + 5, 0.0, p50, sd])
    return {key: np.vstack([table, rows[key]]) for key, table in growth_reference().items()}


def _categories(shares: Mapping[str, float] | None, rng: np.random.Generator, n: int) -> F8:
    if shares is None:
        return np.full(n, np.nan)
    edges = np.cumsum(list(shares.values()))[:-1]
    return np.searchsorted(edges, rng.random(n), side="right").astype(np.float64)
