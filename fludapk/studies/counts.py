"""Counts of outcomes and histograms of a study, as integers that merge in any order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fludapk.arrays import F8, I8, Bools
from fludapk.errors import InputError
from fludapk.patients.population import Patients
from fludapk.published.targets import HIGH, LOW, MET
from fludapk.studies.grid import CELLS, COARSE, COARSE_CELLS, cells

FIXED_POINT: Final = 2.0**32
"""Scale at which logarithms are rounded to integers, so that sums do not depend on order."""

COUNTED: Final = (
    "n", "given", "held_at_ceiling", "outside_studied_range", "undecided", "redrawn_size",
    "redrawn_scr", "below_13_8", "below_14", "in_window", "above_20",
)  # fmt: skip
OUTCOMES: Final = COUNTED[7:]
"""Outcomes of patients who were given a dose; their fractions are probabilities."""
HISTOGRAMS: Final = ("auc", "dose_mg", "total_mg_m2")
QUANTITIES: Final = {
    "cmax_mg_l": 1000.0,
    "trough_mg_l": 1000.0,
    "conc_at_cells_mg_l": 1000.0,
    "half_life_h": 1.0,
}
"""Further quantities with histograms, and what brings their values onto the grid: ng/mL and h."""

PROFILES: Final = {
    "age_years": np.array([*np.arange(0.0, 20.0), *np.arange(20.0, 101.0, 5.0)]),
    "weight_kg": np.array([*np.arange(0.0, 40.0, 2.0), *np.arange(40.0, 161.0, 5.0)]),
    "egfr_ml_min_1_73m2": np.arange(0.0, 301.0, 10.0),
}
"""Edges of the bands of each covariate along which outcomes are counted, for figures."""


@dataclass(eq=False)
class Counts:
    """Outcomes of one strategy under one truth, counted as integers."""

    truth: str
    strategy: str
    strata: list[str]
    counts: I8
    """(strata, COUNTED) patients, summed over outer draws."""
    histograms: I8
    """(HISTOGRAMS, strata, cells) patients."""
    moments: list[list[int]]
    """Sum and sum of squares of log AUC in each stratum, times 2^32."""
    outer: I8
    """(outer draws, strata, 1 + OUTCOMES) patients: given a dose, then outcomes."""
    profiles: dict[str, I8]
    """(bands, 1 + OUTCOMES) patients along each of `PROFILES`: given a dose, then outcomes."""
    edges: list[float]
    """AUCs that divide the groups of `groups`, mg h/L; an edge belongs to the group above it."""
    groups: I8
    """(draws, strata, groups, groups) patients by their predicted, then by their true AUC; one
    draw without outer draws."""
    auc_by_age: I8
    """(bands of age, coarse cells) patients, for quantiles of the AUC along age."""
    age_by_prediction: I8
    """(groups, coarse cells) patients by predicted AUC, for quantiles of their age in years."""
    quantities: I8
    """(QUANTITIES, strata, cells) patients; none of a quantity that a course does not have."""
    correlated: I8
    """(2, outer draws, 1 + OUTCOMES) patients of the first block: given a dose, then outcomes, with
    independent numbers of the model and with correlated ones; zero where that is not asked."""

    @classmethod
    def nothing(
        cls,
        truth: str,
        strategy: str,
        strata: Sequence[str],
        outer: int,
        edges: Sequence[float] = (),
    ) -> Counts:
        """Return the counts before the first patient: all zero.

        Parameters
        ----------
        truth, strategy : str
            Ids of the model that simulates and of the strategy.
        strata : sequence of str
            Names of the strata.
        outer : int
            Number of draws of uncertain parameters; 0 without them.
        edges : sequence of float
            AUCs that divide groups of exposure, mg h/L.
        """
        n, groups = len(strata), len(edges) + 1
        return cls(
            truth,
            strategy,
            list(strata),
            np.zeros((n, len(COUNTED)), np.int64),
            np.zeros((len(HISTOGRAMS), n, CELLS + 2), np.int64),
            [[0, 0] for _ in range(n)],
            np.zeros((outer, n, 1 + len(OUTCOMES)), np.int64),
            {k: np.zeros((len(v) - 1, 1 + len(OUTCOMES)), np.int64) for k, v in PROFILES.items()},
            list(edges),
            np.zeros((max(outer, 1), n, groups, groups), np.int64),
            np.zeros((len(PROFILES["age_years"]) - 1, COARSE_CELLS), np.int64),
            np.zeros((groups, COARSE_CELLS), np.int64),
            np.zeros((len(QUANTITIES), n, CELLS + 2), np.int64),
            np.zeros((2, outer, 1 + len(OUTCOMES)), np.int64),
        )

    def add(self, block: SimulatedBlock, window: tuple[float, float]) -> None:
        """Count a block of patients.

        Parameters
        ----------
        block : SimulatedBlock
        window : (float, float)
            Lower and upper end of the window on the cumulative AUC, mg h/L.
        """
        for number, draw in enumerate(block.draws):
            given = draw.given
            if not (np.isfinite(draw.auc) & (draw.auc > 0.0))[given].all():
                raise InputError(f"{self.strategy}, {self.truth}: an AUC came out as no number")
            outcome = np.column_stack([given, _outcomes(draw.auc, window) & given[:, None]])
            facts = np.column_stack(
                [
                    np.ones_like(given),
                    given,
                    draw.held,
                    block.outside,
                    draw.undecided,
                    *block.redrawn,
                    outcome[:, 1:],
                ]
            ).astype(np.int64)
            logs = np.log(np.where(given, draw.auc, 1.0))
            binned = [cells(values) for values in (draw.auc, draw.dose_mg, draw.total_mg_m2)]
            for members in block.groups:
                inside = members >= 0
                np.add.at(self.counts, members[inside], facts[inside])
                if len(self.outer):
                    part = self.outer[number]
                    np.add.at(part, members[inside], outcome[inside].astype(np.int64))
                self._add_given(members, inside & given, binned, logs)
                self._add_groups(number, members, inside & given, draw)
                self._add_quantities(members, inside & given, draw)
            self._add_profiles(block.along, given, outcome)
            self._add_ages(block.along["age_years"], draw)
        for number, pair in enumerate(zip(block.draws, block.correlated, strict=False)):
            for part, draw in zip(self.correlated[:, number], pair, strict=True):
                has = np.column_stack([draw.given, _outcomes(draw.auc, window)])
                part += (has & draw.given[:, None]).sum(axis=0)

    def _add_quantities(self, members: I8, dosed: Bools, draw: SimulatedDraw) -> None:
        """Count those given a dose by each quantity that the course has."""
        for table, (name, scale) in zip(self.quantities, QUANTITIES.items(), strict=True):
            values = getattr(draw, name)
            if values is not None:
                np.add.at(table, (members[dosed], cells(scale * values[dosed])), 1)

    def _add_given(self, members: I8, dosed: Bools, binned: Sequence[I8], logs: F8) -> None:
        """Count those given a dose in the strata of one grouping."""
        for histogram, places in zip(self.histograms, binned, strict=True):
            np.add.at(histogram, (members[dosed], places[dosed]), 1)
        whole = np.rint(logs * FIXED_POINT).astype(np.int64)
        squares = np.rint(logs * logs * FIXED_POINT).astype(np.int64)
        for stratum in np.unique(members[dosed]):
            is_member = dosed & (members == stratum)
            self.moments[stratum][0] += int(whole[is_member].sum())
            self.moments[stratum][1] += int(squares[is_member].sum())

    def _add_groups(self, number: int, members: I8, dosed: Bools, draw: SimulatedDraw) -> None:
        """Count those given a dose by predicted and true AUC, in the strata of one grouping."""
        predicted, true = (
            np.digitize(auc[dosed], self.edges) for auc in (draw.predicted, draw.auc)
        )
        np.add.at(self.groups[number], (members[dosed], predicted, true), 1)

    def _add_ages(self, age_years: F8, draw: SimulatedDraw) -> None:
        """Count AUCs in their bands of age, and ages by the group of the predicted AUC."""
        band = np.digitize(age_years, PROFILES["age_years"]) - 1
        dosed = draw.given & (band >= 0) & (band < len(self.auc_by_age))
        np.add.at(self.auc_by_age, (band[dosed], cells(draw.auc)[dosed] // COARSE), 1)
        aged = draw.given & np.isfinite(age_years)
        group = np.digitize(draw.predicted[aged], self.edges)
        np.add.at(self.age_by_prediction, (group, cells(age_years[aged]) // COARSE), 1)

    def _add_profiles(self, along: Mapping[str, F8], given: Bools, outcome: Bools) -> None:
        """Count those given a dose, and their outcomes, along each of `PROFILES`."""
        for name, values in along.items():
            band = np.digitize(values, PROFILES[name]) - 1
            table = self.profiles[name]
            dosed = given & (band >= 0) & (band < len(table))
            np.add.at(table, band[dosed], outcome[dosed].astype(np.int64))

    def plus(self, other: Counts) -> Counts:
        """Return the sum of two counts of the same truth, strategy and strata."""
        return Counts(
            self.truth,
            self.strategy,
            self.strata,
            self.counts + other.counts,
            self.histograms + other.histograms,
            [
                [a + b for a, b in zip(*rows, strict=True)]
                for rows in zip(self.moments, other.moments, strict=True)
            ],
            self.outer + other.outer,
            {name: table + other.profiles[name] for name, table in self.profiles.items()},
            self.edges,
            self.groups + other.groups,
            self.auc_by_age + other.auc_by_age,
            self.age_by_prediction + other.age_by_prediction,
            self.quantities + other.quantities,
            self.correlated + other.correlated,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts for JSON, histograms by the cells that are not empty."""
        return {
            "truth": self.truth,
            "strategy": self.strategy,
            "strata": self.strata,
            "counts": self.counts.tolist(),
            "histograms": [_sparse(part) for part in self.histograms],
            "moments": self.moments,
            "outer": self.outer.tolist(),
            "profiles": {name: table.tolist() for name, table in self.profiles.items()},
            "edges": self.edges,
            "groups": self.groups.tolist(),
            "auc_by_age": _sparse(self.auc_by_age),
            "age_by_prediction": _sparse(self.age_by_prediction),
            "quantities": [_sparse(part) for part in self.quantities],
            "correlated": self.correlated.tolist(),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Counts:
        """Read counts written by `to_dict`."""
        names = raw["truth"], raw["strategy"], raw["strata"]
        edges = [float(edge) for edge in raw["edges"]]
        counts = cls.nothing(*names, len(raw["outer"]), edges)
        _fill(counts.counts, raw["counts"])
        if len(raw["outer"]):
            _fill(counts.outer, raw["outer"])
            _fill(counts.correlated, raw["correlated"])
        for part, rows in zip(counts.histograms, raw["histograms"], strict=True):
            _fill_sparse(part, rows)
        counts.moments = [[int(a), int(b)] for a, b in raw["moments"]]
        for name, table in counts.profiles.items():
            _fill(table, raw["profiles"][name])
        _fill(counts.groups, raw["groups"])
        _fill_sparse(counts.auc_by_age, raw["auc_by_age"])
        _fill_sparse(counts.age_by_prediction, raw["age_by_prediction"])
        for part, rows in zip(counts.quantities, raw["quantities"], strict=True):
            _fill_sparse(part, rows)
        return counts

    def shares(self, edges: Sequence[float], stratum: int = 0, *, predicted: bool = False) -> F8:
        """Return the fractions of patients in groups of exposure, of those given a dose.

        Parameters
        ----------
        edges : sequence of float
            AUCs that divide the groups, mg h/L; each must be one of `edges`.
        stratum : int
            Number of the stratum.
        predicted : bool
            True: by the AUC that covariates predict.

        Returns
        -------
        (draws, groups)
            NaN if nobody was given a dose.
        """
        counts = self.groups[:, stratum].sum(axis=1 if not predicted else 2)
        merged = self.merged(counts, edges)
        total = merged.sum(axis=1, keepdims=True)
        return np.asarray(merged / np.where(total > 0, total, np.nan))

    def merged(self, counts: I8, edges: Sequence[float]) -> I8:
        """Return counts of the groups between some of the edges.

        Parameters
        ----------
        counts : (..., groups)
        edges : sequence of float
        """
        starts = [0, *(self.edges.index(edge) + 1 for edge in edges)]
        return np.asarray(np.add.reduceat(counts, starts, axis=-1))

    def faults(self, patients: int) -> list[str]:
        """Return what cannot be true of the counts of a number of patients.

        Parameters
        ----------
        patients : int
            Patients that were simulated, once for each outer draw.
        """
        number = dict(zip(COUNTED, self.counts.T, strict=True))
        draws = max(len(self.outer), 1)
        given = number["given"]
        checks = {
            f"{int(number['n'][0])} patients for {patients * draws}": number["n"][0]
            == patients * draws,
            "a number below zero": min(
                int(np.min(part, initial=0))
                for part in (
                    self.counts,
                    self.histograms,
                    self.outer,
                    *self.profiles.values(),
                    self.groups,
                    self.auc_by_age,
                    self.age_by_prediction,
                    self.quantities,
                    self.correlated,
                )
            )
            >= 0,
            "a stratum with more patients than there are": (number["n"] <= number["n"][0]).all(),
            "more given a dose than patients": (given + number["undecided"] <= number["n"]).all(),
            "more outcomes than given a dose": all((number[x] <= given).all() for x in OUTCOMES),
            "fewer below 14 than below 13.8": (number["below_13_8"] <= number["below_14"]).all(),
            "histograms of others than were given a dose": (
                self.histograms.sum(axis=2) == given
            ).all(),
            "quantities of others than were given a dose": all(
                (total == given).all() or not total.any() for total in self.quantities.sum(axis=2)
            ),
            "draws that do not add up": not len(self.outer)
            or (
                self.outer.sum(axis=0) == np.column_stack([given, *(number[x] for x in OUTCOMES)])
            ).all(),
            "moments of others than were given a dose": len(self.moments) == len(self.strata),
            "profiles of more than were given a dose": all(
                table[:, 0].sum() <= given[0] for table in self.profiles.values()
            ),
            "limits that do not rise": self.edges == sorted(set(self.edges)),
            "groups that differ from what is below 13.8 or 14": self._fit_thresholds(number),
            "groups of others than were given a dose": (
                self.groups.sum(axis=(0, 2, 3)) == given
            ).all(),
            "groups of a draw that do not add up": not len(self.outer)
            or (self.groups.sum(axis=(2, 3)) == self.outer[:, :, 0]).all(),
            "ages of more than were given a dose": max(
                self.auc_by_age.sum(), self.age_by_prediction.sum()
            )
            <= given[0],
        }
        return [fault for fault, is_fine in checks.items() if not is_fine]

    def _fit_thresholds(self, number: Mapping[str, I8]) -> bool:
        """Tell if as many are below the thresholds by their groups as by their outcomes."""
        by_true_auc = self.groups.sum(axis=(0, 2))
        return all(
            (self.merged(by_true_auc, [limit])[:, 0] == number[outcome]).all()
            for limit, outcome in ((LOW, "below_13_8"), (MET, "below_14"))
            if limit in self.edges
        )


def _fill(array: I8, rows: Sequence[Any]) -> None:
    """Copy whole numbers of exactly the shape of an array."""
    values = np.array(rows)
    if values.shape != array.shape or not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"not whole numbers of the shape {array.shape}")
    array[:] = values


def _sparse(table: I8) -> list[list[list[int]]]:
    """Return rows by the cells that are not empty."""
    return [[[int(c), int(row[c])] for c in np.flatnonzero(row)] for row in table]


def _fill_sparse(table: I8, rows: Sequence[Sequence[tuple[int, int]]]) -> None:
    """Fill a table from what `_sparse` returned."""
    for row, pairs in zip(table, rows, strict=True):
        for cell, n in pairs:
            row[range(len(row))[cell]] = n


@dataclass(frozen=True, eq=False)
class SimulatedDraw:
    """Doses and exposure of a block of n patients, by one draw of the true numbers of the model."""

    auc: F8
    """(n,) AUC0-inf of the course, mg h/L."""
    predicted: F8
    """(n,) AUC0-inf of the same doses as covariates predict it by the printed model, mg h/L."""
    cl_l_h: F8
    """(n,) True clearance without that of occasions, L/h."""
    doses_mg: F8
    """(n, doses) mg of fludarabine phosphate."""
    total_mg_m2: F8
    """(n,) Sum of the doses, mg/m2."""
    given: Bools
    """(n,) False where no dose was given."""
    held: Bools
    """(n,) True where a ceiling lowered a dose."""
    undecided: Bools
    """(n,) True where no dose was given because the strategy did not know what it doses by."""
    half_life_h: F8 | None = None
    """(n,) True terminal half-life without that of occasions, h."""
    cmax_mg_l: F8 | None = None
    """(n,) Highest concentration of the course, mg/L."""
    trough_mg_l: F8 | None = None
    """(n,) Concentration just before the last dose, mg/L; None with one dose."""
    conc_at_cells_mg_l: F8 | None = None
    """(n,) Concentration when the cells are given, mg/L; None if nobody knows when."""

    @property
    def dose_mg(self) -> F8:
        """Mean of the doses of each patient, (n,), mg of fludarabine phosphate."""
        return np.asarray(self.doses_mg.mean(axis=1))


@dataclass(frozen=True, eq=False)
class SimulatedBlock:
    """Simulated doses and exposure of a block of n patients."""

    patients: Patients
    draws: list[SimulatedDraw]
    """One per outer draw; one if there are none."""
    outside: Bools
    """(n,) True outside the studied range of the true model."""
    groups: list[I8]
    """(n,) Stratum of each patient in each grouping, -1 for none."""
    along: dict[str, F8]
    """(n,) Each covariate of `PROFILES`."""
    redrawn: list[Bools]
    """(n,) True where a value was drawn again, see `fludapk.patients.population.REDRAWN`."""
    correlated: Sequence[SimulatedDraw] = ()
    """One per outer draw with correlated numbers of the model; empty where that is not asked."""


def _outcomes(auc: F8, window: tuple[float, float]) -> Bools:
    """Return (n, OUTCOMES): which outcomes each AUC has."""
    inside = (auc >= window[0]) & (auc <= window[1])
    return np.column_stack([auc < LOW, auc < MET, inside, auc > HIGH])
