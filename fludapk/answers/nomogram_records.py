"""The record of a nomogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fludapk.answers.record import DISCLAIMER, Record, Row
from fludapk.patients.csv_list import document

Grid = tuple[tuple[float | None, ...], ...]
"""[weights][renal], None where there is no value."""
_RENAL_FIELDS: Final = {"eGFR": "egfr_ml_min_1_73m2", "CrCl": "crcl_ml_min"}


@dataclass(frozen=True, kw_only=True, repr=False)
class Nomogram(Record):
    """Result of `nomogram`; mg are mg of fludarabine phosphate per infusion, AUC in mg h/L."""

    schema: Literal["fludapk.nomogram/1"] = "fludapk.nomogram/1"
    model: str
    model_sha256: str
    model_citation: str
    version: str
    regimen: str
    regimen_title: str
    dose_text: str
    quantity: Literal["auc_0_inf", "dose_mg"]
    unit: str
    target_auc: float | None
    who: str
    median_growth: bool
    """True if age and height follow the weight (CDC 2000 medians)."""
    sex: str | None
    product: str | None
    diagnosis: str | None
    genotype: str | None
    renal_covariate: str
    renal_unit: str
    weights_kg: tuple[float, ...]
    ages_years: tuple[float, ...]
    heights_cm: tuple[float, ...]
    bsa_m2: tuple[float, ...]
    """Body surface area at each weight, by mosteller."""
    renal: tuple[float, ...]
    renal_caps: tuple[float, ...] | None
    """Highest renal function that counts at each weight. None if the model has no cap."""
    doses_mg: tuple[float, ...] | None
    """Dose at each weight; None if the dose is what is looked for."""
    values: Grid
    """[weights][renal]; None where a limit of the model or a ceiling of the dose forbids."""
    outside_studied: tuple[tuple[bool, ...], ...]
    """[weights][renal]; whether a covariate is outside the studied range of the model."""
    target: str | None
    """Id of the target that leads for the middle patient."""
    targets_of_weights: tuple[str | None, ...]
    """Target that leads at the age of each weight."""
    stopped: tuple[tuple[bool, ...], ...]
    """[weights][renal]; whether a label says not to give it. A dose is None there."""
    stop_example: str | None
    """Words of the labels at one of these cells."""
    p_miss: Grid | None
    """[weights][renal]; chance of missing the leading target, as `check` gives it. None where there
    is no target or no window of it; None in all if it was not asked for, see `nomogram`."""
    p_below: Grid | None
    p_above: Grid | None
    middle: str
    """The patient of `interval_90`."""
    interval_90: tuple[float, float]
    """5 % and 95 % quantiles of the AUC over IIV and IOV, as multiples of the typical AUC."""
    applicable_targets: tuple[str, ...]
    """Published for such patients, judged by the middle patient."""
    notes: tuple[str, ...]
    disclaimer: str = DISCLAIMER

    @property
    def renal_field(self) -> str:
        """Name of the renal function with its unit, as in a table."""
        return _RENAL_FIELDS[self.renal_covariate]

    def brief(self) -> str:
        """Return what is tabulated in a line."""
        what = (
            "AUC0-inf" if self.quantity == "auc_0_inf" else f"dose for {self.target_auc:g} mg·h/L"
        )
        cells = f"{len(self.weights_kg)} × {len(self.renal)}"
        return f"nomogram by {self.model}: {what} over weight and {self.renal_covariate}, {cells}"

    def rows(self) -> list[Row]:
        """Return a row for each cell; dose and AUC are None where forbidden."""
        rows: list[Row] = []
        for i, weight in enumerate(self.weights_kg):
            for j, renal in enumerate(self.renal):
                value = self.values[i][j]
                dose, auc = (
                    (value, self.target_auc) if self.doses_mg is None else (self.doses_mg[i], value)
                )
                rows.append(
                    {
                        "weight_kg": weight,
                        "age_years": self.ages_years[i],
                        "height_cm": self.heights_cm[i],
                        self.renal_field: renal,
                        "bsa_m2": self.bsa_m2[i],
                        "dose_mg": None if value is None else dose,
                        "auc_0_inf": None if value is None else auc,
                        "outside_studied_range": self.outside_studied[i][j],
                        "stop": self.stopped[i][j],
                        "target": self.targets_of_weights[i],
                        **{
                            name: None if grid is None else grid[i][j]
                            for name, grid in (
                                ("p_below", self.p_below),
                                ("p_above", self.p_above),
                                ("p_miss", self.p_miss),
                            )
                        },
                    }
                )
        return rows

    def to_csv(self) -> str:
        """Return the rows as CSV, units in the header."""
        return document(self.rows())
