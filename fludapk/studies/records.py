"""Records of a study: its provenance and its summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Self

from fludapk.answers.record import Record, Row, hash_of
from fludapk.errors import InputError
from fludapk.studies.scenario import Scenario

# ------------------------------------------------------------------ provenance


def check_scenario_hash(record: Mapping[str, Any], where: str) -> None:
    """Refuse the record of a run whose scenario was changed after the run.

    Parameters
    ----------
    record : mapping
        With ``scenario`` and ``scenario_sha256``.
    where : str
        Name of its file, for errors.

    Raises
    ------
    InputError
    """
    if hash_of(record.get("scenario")) != record.get("scenario_sha256"):
        raise InputError(
            f"{where}: its scenario is not the one that was run: the hash recorded with it is "
            "another; run the scenario itself, from its own file"
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class StudyProvenance(Record):
    """Provenance of a study, without times and paths, so that a replay gives the same bytes.

    Parameters
    ----------
    version : str
        Version of fludapk.
    scenario : Scenario
    scenario_sha256 : str
        Hash of the scenario.
    model_sha256 : mapping of str to str
        Model -> hash of its file.
    cohort_sha256 : str, optional
        Hash of the cohort file.
    seed : int
        Seed of all random streams.
    patients : int
        Number of patients.
    block : int
        Number of patients in a block, which has random streams of its own.
    quantile_relative_error : float
        Half the relative width of a cell of the grid that quantiles are read from.
    numpy : str
        Version of numpy.
    certain : mapping of str to list of str
        Model -> its numbers without a printed uncertainty, in studies of parameter uncertainty.
    correlated : mapping of str to list of str
        Model -> the two estimates that add up to clearance and are also drawn with a correlation.
    """

    schema: Literal["fludapk.study/1"] = "fludapk.study/1"
    version: str
    scenario: Scenario
    scenario_sha256: str
    model_sha256: Mapping[str, str]
    cohort_sha256: str | None
    seed: int
    patients: int
    block: int
    quantile_relative_error: float
    numpy: str
    certain: Mapping[str, list[str]]
    correlated: Mapping[str, list[str]]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as dictionaries, lists and scalars."""
        whole = {part.name: getattr(self, part.name) for part in fields(self)}
        return whole | {"scenario": self.scenario.model_dump(mode="json")}

    @classmethod
    def from_dict(cls, raw: object, where: str) -> Self:
        """Read a record written by `to_dict`.

        Parameters
        ----------
        raw : object
            Content of a JSON document.
        where : str
            Name of its file, for errors.

        Raises
        ------
        InputError
            If it is not the record of a run.
        """
        names = {part.name for part in fields(cls)}
        if not isinstance(raw, dict) or set(raw) != names:
            raise InputError(f"{where}: is not the record of a run")
        check_scenario_hash(raw, where)
        try:
            scenario = Scenario.model_validate(raw["scenario"])
        except ValueError as error:
            raise InputError(f"{where}: is not the record of a run: {error}") from error
        return cls(**{**raw, "scenario": scenario})

    def brief(self) -> str:
        """Return patients and seed in a line."""
        return f"study of {self.patients} patients, seed {self.seed}"


# ------------------------------------------------------------------ summary

QUANTILES: Final = {"q05": 0.05, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q95": 0.95}


@dataclass(frozen=True, kw_only=True)
class Quantiles:
    """Quantiles over patients who were given a dose; None if nobody was."""

    q05: float | None
    q25: float | None
    q50: float | None
    q75: float | None
    q95: float | None

    def columns(self, name: str) -> Row:
        """Return the quantiles by their columns, named `name` and the quantile."""
        return {f"{name}_{part}": getattr(self, part) for part in QUANTILES}


@dataclass(frozen=True, kw_only=True)
class Share:
    """Fraction of those who were given a dose, with its 95 % interval; None if nobody was."""

    value: float | None
    low: float | None
    high: float | None

    def columns(self, name: str) -> Row:
        """Return the fraction and its interval by their columns, named from `name`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True, kw_only=True)
class StratumSummary:
    """Summary of one strategy under one truth in one stratum.

    Parameters
    ----------
    model, strategy, stratum : str
        Ids of the truth and the strategy, name of the stratum.
    n : int
        Number of patients.
    auc : Quantiles
        AUC0-inf of the course, mg·h/L.
    auc_geometric_mean : float, optional
        mg·h/L.
    auc_cv_percent : float, optional
        Geometric coefficient of variation.
    p_below_13_8, p_below_14, p_in_window, p_above_20 : Share
        Patients with an AUC0-inf below 13.8 or 14, in the window, above 20 mg·h/L.
    limits : mapping of str to Share
        Patients below, between and from the limits of the scenario upwards, by column.
    interval : {'wilson', 'outer draws'}
        Method of the 95 % intervals.
    cmax_mg_l, trough_mg_l, conc_at_cells_mg_l, half_life_h : Quantiles
        Highest concentration, that just before the last dose and that when the cells are given,
        mg/L; terminal half-life, h, without the variability between occasions.
    dose_mg, total_mg_m2 : Quantiles
        mg of fludarabine phosphate per infusion; mg/m2 in the course.
    not_given, held_at_ceiling, outside_studied_range, undecided : int
        Number of patients without a dose, with a dose lowered to a ceiling, and outside the
        studied range of the model; `undecided` are those without a dose because the strategy did
        not know what it doses by. With outer draws: the mean over them.
    redrawn_size, redrawn_scr : int
        Number of virtual patients whose weight or height, or creatinine (true or as observed), was
        drawn again to be inside the limits of the population.
    """

    model: str
    strategy: str
    stratum: str
    n: int
    auc: Quantiles
    auc_geometric_mean: float | None
    auc_cv_percent: float | None
    p_below_13_8: Share
    p_below_14: Share
    p_in_window: Share
    p_above_20: Share
    limits: Mapping[str, Share]
    interval: Literal["wilson", "outer draws"]
    dose_mg: Quantiles
    total_mg_m2: Quantiles
    not_given: int
    held_at_ceiling: int
    outside_studied_range: int
    undecided: int
    redrawn_size: int
    redrawn_scr: int
    cmax_mg_l: Quantiles
    trough_mg_l: Quantiles
    conc_at_cells_mg_l: Quantiles
    half_life_h: Quantiles

    def row(self) -> Row:
        """Return the summary as a row of a table."""
        row: Row = {}
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, Quantiles | Share):
                row |= value.columns(part.name)
            elif part.name == "limits":
                for name, share in self.limits.items():
                    row |= share.columns(name)
            else:
                row[part.name] = value
        return row


@dataclass(frozen=True, kw_only=True)
class CorrelationRecord:
    """Interval of a probability, were two estimates of a model correlated that are taken as not.

    Parameters
    ----------
    model, strategy : str
    between : list of str
        The two estimates, which add up to clearance.
    correlation : float
        Assumed: no paper prints it.
    patients : int
        Number of patients that both intervals are from, the first of the study.
    p_below_13_8, p_below_13_8_correlated : Share
        Patients with an AUC0-inf below 13.8 mg·h/L, without and with the correlation.
    """

    model: str
    strategy: str
    between: list[str]
    correlation: float
    patients: int
    p_below_13_8: Share
    p_below_13_8_correlated: Share
