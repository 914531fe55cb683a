"""Sobol indices: what the AUC, and the chance of missing a limit, come from.

They are taken over independent scores behind a patient (age, sex, weight given both, height given
all three, creatinine, random effects), so that shares of the variance add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from fludapk.answers.record import Record, Row
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.language import marked
from fludapk.patients.population import SCORES, Drawn, at_scores
from fludapk.pk.exposure import course_exposure
from fludapk.published.models import Model
from fludapk.studies.counts import FIXED_POINT, Counts
from fludapk.studies.described import described, scr_range_mg_dl, with_constants
from fludapk.studies.dosing import DosingStrategy
from fludapk.studies.study import Study

_EDGE: Final = 2.0**-54


@dataclass(frozen=True, kw_only=True)
class Driver:
    """Shares of the variance that one cause has.

    Parameters
    ----------
    name : str
    first_log_auc, total_log_auc : float
        Of ln AUC: alone, and with all its interactions.
    first_below, total_below : float
        The same of being below the limit (1 or 0).
    """

    name: str
    first_log_auc: float
    total_log_auc: float
    first_below: float
    total_below: float


@dataclass(frozen=True, kw_only=True, repr=False)
class DriversResult(Record):
    """Causes of the AUC under a strategy, by Sobol indices.

    Parameters
    ----------
    model, strategy : str
    limit : float
        mg·h/L.
    points : int
        Base points; every cause adds as many courses.
    variance : float
        Variance of ln AUC.
    below : float
        Fraction of patients below the limit.
    drivers : list of Driver
        Single causes.
    groups : list of Driver
        All covariates, all effects between patients, those between occasions.
    variances : mapping of str to float or None
        Strategy -> variance of ln AUC, from the counts of the study.
    """

    schema: Literal["fludapk.drivers/1"] = "fludapk.drivers/1"
    model: str
    strategy: str
    limit: float
    points: int
    variance: float
    below: float
    drivers: list[Driver]
    groups: list[Driver]
    variances: dict[str, float | None]

    def rows(self) -> list[Row]:
        """Return a row for each cause and group of causes."""
        return [
            {"model": self.model, "strategy": self.strategy, "kind": kind, **vars(driver)}
            for kind, some in (("cause", self.drivers), ("group", self.groups))
            for driver in some
        ]

    def brief(self) -> str:
        """Return the strategy and the largest cause in a line."""
        largest = max(self.drivers, key=lambda driver: driver.total_log_auc)
        return f"{self.strategy}: most of ln AUC comes from {largest.name}"


def sobol_indices(base: F8, other: F8, mixed: F8) -> tuple[float, float]:
    """Compute the first and the total index of a cause.

    Parameters
    ----------
    base, other : (n,)
        Values at two independent samples.
    mixed : (n,)
        Values at the first sample with the cause taken from the second.

    References
    ----------
    Saltelli A et al. Comput Phys Commun 2010;181:259-270. doi:10.1016/j.cpc.2009.09.018; total
    index by Jansen MJW, Comput Phys Commun 1999;117:35-43.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> a, b = rng.random((2, 100_000, 2))
    >>> mixed = np.column_stack([b[:, 0], a[:, 1]])
    >>> values = [x[:, 0] + 2 * x[:, 1] for x in (a, b, mixed)]
    >>> [round(index, 1) for index in sobol_indices(*values)]
    [0.2, 0.2]
    """
    both = np.concatenate([base, other])
    mean, variance = float(both.mean()), float(both.var())
    if variance == 0:
        return 0.0, 0.0
    first = float(np.mean((other - mean) * (mixed - base))) / variance
    total = float(np.mean((base - mixed) ** 2)) / (2 * variance)
    return first, total


@dataclass(frozen=True, eq=False)
class _Causes:
    """Columns of uniform numbers and what they are."""

    names: list[str]
    columns: list[list[int]]
    groups: dict[str, list[int]]
    effects: list[int]
    residual: list[int]
    chances: list[int]
    gfr: list[int]
    dimensions: int


def drivers_of(study: Study, truth: Model, counts: Sequence[Counts]) -> DriversResult:
    """Compute Sobol indices of the AUC under the strategy that a scenario asks for.

    Parameters
    ----------
    study : Study
        With a table `drivers`.
    truth : Model
    counts : sequence of Counts
        Of the strategies of the study, for their variances.

    Raises
    ------
    InputError
        If the patients come from a file.
    """
    from scipy.stats import qmc

    table = study.scenario.drivers
    if table is None:
        raise InputError("the scenario has no [drivers]")
    strategy = study.dosing[truth.id, table.strategy]
    causes = _causes(study, truth, strategy)
    n = 2**table.log2_points
    sobol = qmc.Sobol(
        2 * causes.dimensions, scramble=True, rng=np.random.default_rng(study.scenario.seed)
    )
    points = np.clip(sobol.random_base2(table.log2_points), _EDGE, 1 - 2.0**-53)
    a, b = points[:, : causes.dimensions], points[:, causes.dimensions :]

    def values(u: F8) -> tuple[F8, F8]:
        auc = _auc(study, truth, strategy, causes, u)
        return np.log(auc), (auc < table.limit).astype(np.float64)

    base, other = values(a), values(b)

    def driver(name: str, columns: list[int]) -> Driver:
        mixed = a.copy()
        mixed[:, columns] = b[:, columns]
        at = values(mixed)
        of_log, of_below = (sobol_indices(base[k], other[k], at[k]) for k in (0, 1))
        return Driver(
            name=name, first_log_auc=of_log[0], total_log_auc=of_log[1],
            first_below=of_below[0], total_below=of_below[1],
        )  # fmt: skip

    both = np.concatenate([base[0], other[0]])
    return DriversResult(
        model=truth.id,
        strategy=table.strategy,
        limit=table.limit,
        points=n,
        variance=float(both.var()),
        below=float(np.concatenate([base[1], other[1]]).mean()),
        drivers=[driver(x, c) for x, c in zip(causes.names, causes.columns, strict=True)],
        groups=[driver(x, c) for x, c in causes.groups.items()],
        variances={one.strategy: _log_variance(one) for one in counts if one.truth == truth.id},
    )


def _log_variance(counts: Counts) -> float | None:
    """Return the variance of ln AUC of a strategy in all patients; None if nobody gets a dose."""
    n = int(counts.counts[0, 1])
    if not n:
        return None
    mean, square = (total / FIXED_POINT / n for total in counts.moments[0])
    return max(0.0, square - mean**2)


def _causes(study: Study, truth: Model, strategy: DosingStrategy) -> _Causes:
    """Number the independent scores behind the AUC of a patient."""
    entry, variability = described(study.scenario), study.scenario.variability
    program, days = truth.program, strategy.schedule.days
    names: list[str] = []
    columns: list[list[int]] = []
    place = len(SCORES)
    fixed = set() if entry.size == "spread" else {"weight", "height"}
    if entry.weight_kg is not None:
        fixed.discard("weight")
    if entry.creatinine is None:
        fixed.add("creatinine")
    for k, name in enumerate(SCORES):
        shares = getattr(entry, name, None) if name in ("product", "diagnosis", "genotype") else {}
        is_drawn = shares == {} or (shares is not None and len(shares) > 1)
        if is_drawn and name not in fixed:
            names.append(name)
            columns.append([k])
    covariates = [place for some in columns for place in some]
    effects = list(range(place, place + program.n_eta + days * program.n_kappa))
    place += len(effects)
    etas, kappas = effects[: program.n_eta], effects[program.n_eta :]
    if variability.iiv:
        for effect, column in zip(truth.file.iiv, etas, strict=False):
            names.append(f"between patients: {', '.join(effect.on)}")
            columns.append([column])
    if variability.iov and kappas:
        names.append(marked("between occasions"))
        columns.append(kappas)
    residual = list(range(place, place + strategy.n_samples))
    place += len(residual)
    chances = list(range(place, place + (days if getattr(strategy, "missed", 0.0) else 0)))
    place += len(chances)
    gfr = [place] if variability.gfr_error_cv else []
    place += len(gfr)
    for name, some in (
        (marked("error of levels"), residual),
        (marked("missed results"), chances),
        (marked("error of renal function"), gfr),
    ):
        if some:
            names.append(name)
            columns.append(some)
    groups = {marked("all covariates"): covariates}
    if variability.iiv:
        groups[marked("all between patients")] = etas
    return _Causes(names, columns, groups, effects, residual, chances, gfr, place)


def _gfr_factor(study: Study, scr_mg_dl: F8, u: F8) -> F8:
    """Return factors on renal function that leave the creatinine observed inside its limits."""
    from scipy.special import ndtr, ndtri

    sd = math.sqrt(math.log1p(study.scenario.variability.gfr_error_cv**2))
    least, most = scr_range_mg_dl(study.scenario)
    with np.errstate(divide="ignore"):
        low, high = (np.asarray(ndtr(np.log(scr_mg_dl / end) / sd)) for end in (most, least))
    low, high = np.where(np.isnan(low), 0.0, low), np.where(np.isnan(high), 1.0, high)
    return np.asarray(np.exp(sd * ndtri(low + u * (high - low))))


def _auc(study: Study, truth: Model, strategy: DosingStrategy, causes: _Causes, u: F8) -> F8:
    """Return the AUC of the patients at uniform numbers, mg h/L."""
    from scipy.special import ndtri

    entry, n = described(study.scenario), len(u)
    columns = at_scores(entry, {name: u[:, k] for k, name in enumerate(SCORES)})
    patients = with_constants(study.scenario, entry, Drawn(columns, {}), n)
    observed = patients
    if causes.gfr:
        seen = dict(patients.columns)
        factor = _gfr_factor(study, seen["SCR"], u[:, causes.gfr[0]])
        seen["SCR"] = seen["SCR"] / factor
        seen["eGFR"], seen["CrCl"] = seen["eGFR"] * factor, seen["CrCl"] * factor
        observed = replace(patients, columns=seen)
    normals, residual = (
        np.asarray(ndtri(u[:, columns_of_u])) for columns_of_u in (causes.effects, causes.residual)
    )
    block = study.block_of(
        truth,
        strategy,
        patients,
        observed=observed,
        normals=normals,
        residual=residual,
        chances=u[:, causes.chances],
    )
    doses = strategy.doses(block)
    times, lengths, _ = strategy.schedule.course_of(1.0).arrays(1.0)
    if not doses.given.all():
        raise InputError(
            "drivers: some patients are given no dose under this strategy: their AUC has no "
            "logarithm"
        )
    amounts = doses.mg * truth.file.dose_factor
    return course_exposure(
        truth.program, block.tv, block.effects, times, lengths, amounts
    ).auc_0_inf
