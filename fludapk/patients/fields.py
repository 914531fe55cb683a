"""Every input that a person may type, once: names, dimension, unit, help and choices.

The options of the command line, the fields of requests and forms, the columns of lists and the
names in faults are made from `FIELDS`. Its keys are the keywords in Python, with their unit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fludapk.language import marked, tr
from fludapk.units import UNITS


@dataclass(frozen=True, kw_only=True)
class Field:
    """One typed input.

    Parameters
    ----------
    key : str
        Keyword in Python.
    name : str
        Name in requests and, with dashes, of the option.
    label : str
        Name on a page, in English.
    help : str
        One line.
    dimension : str, optional
        A key of `fludapk.units.UNITS`, if it is a quantity.
    unit : str, optional
        Unit of a number without one; without it a unit is mandatory.
    metavar : str, optional
        Placeholder of the value in the help of the option.
    columns : mapping of str to str, optional
        Further columns of lists -> unit of their numbers.
    flag : str, optional
        Option of the command line, if it is not called like the name.
    part : bool, optional
        True for a part of an item of a list; then faults call it by its label.
    several : bool, optional
        True if it may be given several times.
    """

    key: str
    name: str
    label: str
    help: str
    dimension: str | None = None
    unit: str | None = None
    metavar: str = "NAME"
    columns: Mapping[str, str] = field(default_factory=dict)
    flag: str = ""
    part: bool = False
    several: bool = False

    @property
    def option(self) -> str:
        """Option of the command line."""
        return self.flag or f"--{self.name.replace('_', '-')}"

    @property
    def list_columns(self) -> dict[str, str]:
        """Columns of lists -> unit of their numbers; without one each cell has its own."""
        own = {self.name: ""}
        for unit in UNITS[self.dimension] if self.dimension else ():
            own[f"{self.name}_{slug(unit)}"] = unit
        return own | dict(self.columns)


def slug(unit: str) -> str:
    """Spell a unit as in a name.

    Examples
    --------
    >>> slug("mL/min/1.73 m2"), slug("umol/L")
    ('ml_min_1_73m2', 'umol_l')
    """
    return re.sub(r"[^a-z0-9]+", "_", unit.lower().replace(" ", "")).strip("_")


_PATIENT: Final = (
    Field(key="age_years", name="age", label=marked("age"), metavar="AGE", dimension="age",
          unit="years", help='Age: years, or "8 mo". Required.'),
    Field(key="sex", name="sex", label=marked("sex"), metavar="SEX",
          help="female or male, where a formula needs it."),
    Field(key="weight_kg", name="weight", label=marked("weight"), metavar="WEIGHT",
          dimension="weight", unit="kg", help='Actual weight: kg, or "40 lb". Required.'),
    Field(key="height_cm", name="height", label=marked("height"), metavar="HEIGHT",
          dimension="height", unit="cm", help='Height: cm, or "1.10 m", "43 in". Required.'),
    Field(key="scr_mg_dl", name="scr", label=marked("creatinine"), metavar="SCR",
          dimension="creatinine",
          help='Creatinine, with unit: "0.3 mg/dL", "26.5 umol/L". If it changes during the '
          'course, with hours from the first dose, "0.8 mg/dL; 48h 1.2 mg/dL", or clock times.'),
    Field(key="egfr_ml_min_1_73m2", name="egfr", label=marked("eGFR"), metavar="EGFR",
          dimension="eGFR",
          unit="mL/min/1.73 m2", help="eGFR instead of a creatinine, mL/min/1.73 m2."),
    Field(key="crcl_ml_min", name="crcl", label=marked("creatinine clearance"), metavar="CRCL",
          dimension="CrCl", unit="mL/min",
          help="Creatinine clearance instead of a creatinine, mL/min."),
    Field(key="gestational_age_weeks", name="gestational_age", label=marked("gestational age"),
          metavar="WEEKS", dimension="gestation", unit="weeks",
          help="Gestational age at birth, weeks, for models with maturation; else 40."),
    Field(key="bsa_formula", name="bsa_formula", label=marked("BSA formula"),
          help="BSA formula: mosteller, du_bois, haycock or gehan_george."),
    Field(key="egfr_formula", name="egfr_formula", label=marked("eGFR formula"),
          help="Formula of eGFR instead of that of the model."),
    Field(key="diagnosis", name="diagnosis", label=marked("diagnosis"),
          help="Diagnosis, for models and targets, e.g. b_all."),
    Field(key="product", name="product", label=marked("product"),
          help="Product, for models and targets, e.g. axi_cel."),
    Field(key="genotype", name="genotype", label=marked("genotype"),
          help="NT5E rs2295890: GG or carrier (mohanan2017)."),
    Field(key="categories", name="category", label=marked("category"), metavar="NAME=LEVEL",
          help='Categories of a model of your own: "transplant=autologous; sedation=yes".'),
    Field(key="confirm", name="confirm", label=marked("confirm"), metavar="FIELD", several=True,
          help="Confirm a value that is refused as unusual: age, weight, height, scr, egfr, crcl; "
          "of an update also level, the times of levels."),
)  # fmt: skip
_COURSE: Final = (
    Field(key="regimen", name="regimen", label=marked("course"),
          help="Published course, see `fludapk regimens list`."),
    Field(key="dose", name="dose", label=marked("dose"), metavar="DOSE", dimension="dose",
          help='Fludarabine phosphate per infusion: "30 mg/m2", "1 mg/kg", "45 mg".',
          columns={"dose_mg_per_infusion": "mg"}),
    Field(key="days", name="days", label=marked("number of infusions"), metavar="N",
          help="Number of infusions; required without a published course."),
    Field(key="interval_h", name="interval", label=marked("interval"), metavar="H",
          dimension="time",
          unit="h", help="Hours between the starts of infusions; as published, else 24."),
    Field(key="infusion_h", name="infusion_time", label=marked("infusion time"), metavar="H",
          dimension="time", unit="h", help="Hours that an infusion takes; as published, else 0.5."),
    Field(key="cells_at_h", name="cells_at", label=marked("cell infusion"), metavar="H",
          dimension="time",
          unit="h", help='Cell infusion: hours from the first dose, or "2026-01-19 10:00".'),
    Field(key="bsa_cap_m2", name="bsa_cap", label=marked("cap of body surface area"), metavar="M2",
          dimension="area", unit="m2",
          help="Compute doses in mg/m2 from at most this body surface area, m2; else no cap."),
    Field(key="first_dose", name="first_dose", label=marked("first dose"), metavar="WHEN",
          help='Date and time of the first dose, for clock times: "2026-01-14 08:30".'),
    Field(key="time_zone", name="time_zone", label=marked("time zone"), metavar="ZONE",
          help='Time zone, "Europe/Berlin", in which clock times count real hours.'),
)  # fmt: skip
_GOAL: Final = (
    Field(key="target", name="target", label=marked("target"), metavar="ID",
          help="A target of `fludapk targets list`."),
    Field(key="auc", name="auc", label=marked("AUC"), metavar="AUC",
          help="Instead of a target: AUC0-inf of the course, mg·h/L."),
    Field(key="window", name="window", label=marked("window"), metavar="LOW HIGH",
          help="Instead of a target: window on AUC0-inf, mg·h/L: low, high."),
    Field(key="probability", name="probability", label=marked("probability"), metavar="P",
          help="Required probability of being in the target or window; 0.8 without an upper "
          "bound."),
)  # fmt: skip
_LEVELS: Final = (
    Field(key="levels", name="levels", label=marked("level"), flag="--level",
          help='Measured levels, "2.0h 0.62mg/L", "24h <10ng/mL" or, after a dated first dose, '
               '"2026-01-14 10:30 0.62mg/L". At least one.'),
    Field(key="given", name="given", label=marked("doses given"),
          help='Doses as given, from the first, if not as planned: "24.5h 22mg 45min", or '
               '"2026-01-15 09:00 22mg".'),
    Field(key="exclude_level", name="exclude_level", label=marked("levels left out"), metavar="N",
          several=True, help="Leave level N out, counted from 1 as given; the answer names it."),
    Field(key="draws", name="draws", label=marked("draws of the posterior"), metavar="N",
          help="Give N equally likely draws of this patient: AUC, parameters, random effects."),
    Field(key="time_h", name="time", label=marked("time"), dimension="time", unit="h", part=True,
          help='Hours from the start of the first infusion, "90 min", or "2026-01-14 10:30".'),
    Field(key="conc_mg_l", name="conc", label=marked("concentration"), dimension="concentration",
          part=True, help='With its unit: "0.62 mg/L", "620 ng/mL". None is assumed.'),
    Field(key="lloq_mg_l", name="lloq", label=marked("limit of quantification"), metavar="CONC",
          dimension="concentration",
          help='Limit of quantification where the file has none: "10 ng/mL".'),
)  # fmt: skip
_OTHERS: Final = (
    Field(key="plans", name="plans", label=marked("plan"), flag="--plan", metavar="PLAN",
          several=True,
          help='A plan, two to four of them: "axi_cel", "axi_cel 24 mg/m2", "30 mg/m2 x 3", '
               '"axi_cel auc 19", "axi_cel window 18 20", "axi_cel target scordo2023", '
               '"axi_cel chance 0.8", "axi_cel rule us_iv".'),
    Field(key="round_to_mg", name="round_to", label=marked("rounding"), metavar="MG",
          dimension="mass", unit="mg", help="Round each dose to a multiple of this many mg."),
    Field(key="model", name="model", label=marked("model"),
          help='Published model, see `fludapk models list`; or "averaged", over those that apply, '
               'or "averaged: langenhorst2019=0.7, varela2025=0.3".'),
    Field(key="strict", name="strict", label=marked("studied range only"),
          help="Refuse a patient outside the studied range (exit code 5)."),
    Field(key="weights_kg", name="weights", label=marked("weights"), metavar="FROM TO STEP",
          help="Weights of the rows, kg: from, to, step."),
    Field(key="renal", name="renal", label=marked("kidney function"), metavar="FROM TO STEP",
          help="Kidney function of the columns, in the unit of the model: from, to, step."),
    Field(key="target_auc", name="target_auc", label=marked("target AUC"), metavar="AUC",
          help="Show the dose for this AUC0-inf, mg·h/L."),
    Field(key="names", name="map", label=marked("column names we did not recognise"),
          metavar="COLUMN=NAME",
          help="Meaning of a column, e.g. KREA=scr_umol_l; COLUMN=- leaves it unread."),
    Field(key="values", name="values", label=marked("codes in columns"), several=True,
          metavar="COLUMN:CODE=VALUE,...",
          help="Meaning of the codes of a column, e.g. SEX:1=male,2=female."),
    Field(key="encoding", name="encoding", label=marked("encoding"), metavar="NAME",
          help="Encoding of a list that is not UTF-8: cp1252, cp932, utf-16-le, ..."),
    Field(key="sheet", name="sheet", label=marked("sheet"), metavar="NAME",
          help="Sheet of a workbook (.xlsx) that has several."),
    Field(key="amount", name="amt", label=marked("AMT column"), metavar="SUBSTANCE",
          help="Substance of AMT in NONMEM-style records: mg of phosphate or f_ara_a."),
    Field(key="case", name="case", label=marked("case file"), metavar="FILE",
          help="Open a case file instead of typing, compute it again, and say what has changed."),
    Field(key="cases", name="cases", label=marked("cases of the hospital"), metavar="FILE",
          several=True,
          help="List of cases with expected values and tolerances, or a case file (.json)."),
    Field(key="against", name="against", label=marked("earlier record"), metavar="FILE",
          help="Earlier qualification.json: say what has changed since."),
    Field(key="dv_unit", name="dv", label=marked("unit of DV"), metavar="UNIT",
          help="Unit of DV: mg/L, ng/mL, ug/L or umol/L."),
    Field(key="simulations", name="simulations", label=marked("simulations"), metavar="N",
          help="Simulated sets of each patient's levels, for NPDE and the visual check."),
    Field(key="population", name="population", label=marked("population"),
          help="Virtual population, see docs/scenarios.md."),
    Field(key="patients", name="patients", label=marked("number of patients"), metavar="N",
          help="Number of simulated patients."),
    Field(key="seed", name="seed", label=marked("seed"), metavar="N",
          help="Seed of the random numbers; the same seed gives the same study."),
)  # fmt: skip

FIELDS: Final[Mapping[str, Field]] = {
    entry.key: entry for entry in (*_PATIENT, *_COURSE, *_GOAL, *_LEVELS, *_OTHERS)
}
"""Keyword in Python -> input."""

PATIENT: Final = tuple(entry.key for entry in _PATIENT)
COURSE: Final = tuple(entry.key for entry in _COURSE)
COMMON: Final = tuple(key for key in COURSE if key not in ("regimen", "dose", "days"))
"""Fields that hold for every plan of a comparison: interval, infusion time, cells, cap."""
GOAL: Final = tuple(entry.key for entry in _GOAL)
RENAL: Final = ("scr_mg_dl", "egfr_ml_min_1_73m2", "crcl_ml_min")
"""Renal functions, of which a patient has at most one."""
REQUIRED: Final = ("age_years", "weight_kg", "height_cm")
QUANTITIES: Final = tuple(entry.key for entry in _PATIENT if entry.dimension)
"""Typed numbers of a patient: what may be confirmed."""


def keyword(name: str) -> str:
    """Return the keyword in Python for a name in requests.

    Examples
    --------
    >>> keyword("infusion_time")
    'infusion_h'
    """
    return _KEYWORDS[name]


_KEYWORDS: Final = {entry.name: entry.key for entry in FIELDS.values()}


def option(key: str) -> str:
    """Return the option of the command line, for faults.

    Examples
    --------
    >>> option("infusion_h"), option("simulations")
    ('--infusion-time', '--simulations')
    """
    if key not in FIELDS:
        return f"--{key.replace('_', '-')}"
    return FIELDS[key].label if FIELDS[key].part else FIELDS[key].option


def request_name(key: str) -> str:
    """Return the name in a request, for faults.

    Examples
    --------
    >>> request_name("scr_mg_dl")
    'scr'
    """
    if key not in FIELDS:
        return key
    return FIELDS[key].label if FIELDS[key].part else FIELDS[key].name


def label(key: str) -> str:
    """Return the name on a page, for faults.

    Examples
    --------
    >>> label("scr_mg_dl")
    'creatinine'
    """
    return tr(FIELDS[key].label) if key in FIELDS else key.replace("_", " ")
