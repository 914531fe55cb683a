"""What a model, regimen, target or population file may say, checked with all faults at once.

Every class here is one table of a TOML file; unknown keys are faults. Names that refer to another
table (a theta, a covariate, a parameter) are checked where they stand, so a fault carries its path.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StringConstraints,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fludapk.errors import FileError
from fludapk.formulas import FORMULAS
from fludapk.units import MOLAR_MASS_F_ARA_A, MOLAR_MASS_PHOSPHATE

PARAMETERS: Final = ("CL", "V1", "Q2", "V2", "Q3", "V3", "k12", "k21", "k13", "k31")
ESTIMATED: Final = {
    1: (("CL", "V1"),),
    2: (("CL", "V1", "Q2", "V2"), ("CL", "V1", "k12", "k21")),
    3: (("CL", "V1", "Q2", "V2", "Q3", "V3"), ("CL", "V1", "k12", "k21", "k13", "k31")),
}
"""Compartments -> the sets of parameters a paper may have estimated."""

PATIENT_COVARIATES: Final = {
    "AGE": "years",
    "WT": "kg",
    "HT": "cm",
    "BSA": "m2",
    "SCR": "mg/dL",
    "eGFR": "mL/min/1.73 m2",
    "CrCl": "mL/min",
}
"""Covariates every patient has, and the unit a model file must give them."""
CATEGORICAL: Final = ("product", "diagnosis", "genotype")

DATA: Final = Path(__file__).resolve().parent / "data"
"""Data files that ship inside the package."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Positive = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """A table of a file: no unknown keys, no coercion, no NaN, no change after loading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,
    )

    @classmethod
    def cross_faults(cls, raw: Mapping[str, Any]) -> list[str]:
        """Faults between tables, looked for even where a table has faults of its own."""
        return []


def _known(what: str) -> AfterValidator:
    """Check that a name is one of the names that the file itself defines (see `_names`)."""

    def check(name: str, info: ValidationInfo) -> str:
        names: Sequence[str] = (info.context or {}).get(what, [name])
        if name not in names:
            raise ValueError(
                f"{name!r} is not a {what} of this file ({', '.join(names) or 'none'})"
            )
        return name

    return AfterValidator(check)


ThetaName = Annotated[str, _known("theta")]
CovariateName = Annotated[str, _known("covariate")]
ParameterName = Annotated[str, _known("parameter")]
IivName = Annotated[str, _known("iiv")]
IovName = Annotated[str, _known("iov")]


def _number_or_theta(value: object, info: ValidationInfo) -> float | str:
    if isinstance(value, str):
        names: Sequence[str] = (info.context or {}).get("theta", [value])
        if value in names:
            return value
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError(f"{value!r} is neither a number nor a theta of this file")


Number = Annotated[float | str, PlainValidator(_number_or_theta)]
"""A number in place, or the name of a theta."""


def _formula(*quantities: str) -> AfterValidator:
    def check(name: str) -> str:
        known = [f for f, formula in FORMULAS.items() if formula.quantity in quantities]
        if name not in known:
            raise ValueError(f"{name!r} is not one of: {', '.join(known)}")
        return name

    return AfterValidator(check)


# ------------------------------------------------------------------ a model file


class Citation(Table):
    """Where it was published."""

    authors: Text
    title: Text
    journal: Text
    year: Annotated[int, Field(ge=1960, le=2100)]
    volume: str = ""
    pages: str = ""
    doi: Annotated[str, StringConstraints(pattern=r"^10\.\d{4,}/\S+$")]

    @property
    def short(self) -> str:
        """One line: first author, journal, year, DOI."""
        first = self.authors.split(",")[0]
        place = f"{self.volume}:{self.pages}" if self.volume and self.pages else ""
        return f"{first} et al., {self.journal} {self.year};{place} doi {self.doi}"


class Dose(Table):
    """What a milligram of a prescription is in the model."""

    prescribed: Literal["fludarabine phosphate"]
    modelled: Literal["F-ara-A"]
    factor: Positive
    basis: Literal["stated", "inferred", "unknown"]
    evidence: Text
    source: Text

    @field_validator("factor")
    @classmethod
    def _one_or_the_mass_ratio(cls, factor: float) -> float:
        ratio = MOLAR_MASS_F_ARA_A / MOLAR_MASS_PHOSPHATE
        if abs(factor - 1.0) > 1e-9 and abs(factor / ratio - 1.0) > 0.005:
            raise ValueError(f"{factor} is neither 1 nor the ratio of the molar masses {ratio:.4f}")
        return factor


class Population(Table):
    """Whom the model was built from."""

    n: Annotated[int, Field(gt=0)]
    who: Text
    description: Text
    regimen: Text
    diseases: list[Identifier] = []
    source: Text


class Rule(Table):
    """The formula of a renal covariate for whom it fits; the first rule that fits is used."""

    formula: Annotated[str, _formula("eGFR", "CrCl")]
    sex: Literal["female", "male"] | None = None
    age_from: float | None = None


def _rising(name: str, values: Sequence[float]) -> None:
    if any(b <= a for a, b in pairwise(values)):
        raise ValueError(f"{name} must rise: {list(values)}")


class Cap(Table):
    """The highest value of a covariate, straight lines between knots, flat beyond them."""

    by: Literal["AGE"]
    knots: Annotated[
        list[Annotated[list[float], Field(min_length=2, max_length=2)]], Field(min_length=2)
    ]
    source: Text

    @field_validator("knots")
    @classmethod
    def _ordered(cls, knots: list[list[float]]) -> list[list[float]]:
        _rising("the first column", [knot[0] for knot in knots])
        return knots


class Covariate(Table):
    """A covariate: measured, computed from a formula, derived, or a category."""

    unit: Text | None = None
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    limits: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    rules: list[Rule] = []
    cap: Cap | None = None
    derived: Annotated[str, _formula("GFR")] | None = None
    levels: list[Text] = []
    source: Text

    @field_validator("range", "limits")
    @classmethod
    def _low_below_high(cls, pair: list[float] | None) -> list[float] | None:
        if pair is not None:
            _rising("the pair", pair)
        return pair


class Theta(Table):
    """One number of a paper."""

    value: float
    unit: Text
    rse_percent: Positive | None = None
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    fixed: bool = False
    source: Text

    @field_validator("ci95")
    @classmethod
    def _holds_the_value(cls, ci95: list[float] | None, info: ValidationInfo) -> list[float] | None:
        value = info.data.get("value")
        if ci95 is not None and value is not None and not ci95[0] <= value <= ci95[1]:
            raise ValueError(f"the value {value} is outside {ci95}")
        return ci95

    @field_validator("fixed")
    @classmethod
    def _fixed_is_not_estimated(cls, fixed: bool, info: ValidationInfo) -> bool:
        if fixed and (info.data.get("ci95") or info.data.get("rse_percent")):
            raise ValueError("a fixed value has no rse_percent and no ci95")
        return fixed


class Power(Table):
    """(x / ref) ^ exponent."""

    kind: Literal["power"]
    covariate: CovariateName
    ref: Number
    exponent: Number


class Linear(Table):
    """1 + slope (x - ref)."""

    kind: Literal["linear"]
    covariate: CovariateName
    ref: Number
    slope: Number


class Exponential(Table):
    """exp(slope (x - ref))."""

    kind: Literal["exponential"]
    covariate: CovariateName
    ref: Number
    slope: Number


class Sigmoid(Table):
    """x^hill / (x50^hill + x^hill)."""

    kind: Literal["sigmoid"]
    covariate: CovariateName
    x50: Number
    hill: Number


class Category(Table):
    """A factor for each level."""

    kind: Literal["category"]
    covariate: CovariateName
    factors: dict[str, Number]

    @model_validator(mode="after")
    def _all_levels(self, info: ValidationInfo) -> Self:
        levels = (info.context or {}).get("levels", {}).get(self.covariate)
        if levels is not None and set(levels) != set(self.factors):
            raise ValueError(f"factors must name each level once: {', '.join(levels) or 'none'}")
        return self


Effect = Annotated[Power | Linear | Exponential | Sigmoid | Category, Field(discriminator="kind")]


class Term(Table):
    """theta (one if absent) times effects."""

    name: Literal["renal", "non-renal"] | None = None
    theta: ThetaName | None = None
    effects: list[Effect] = []


class Parameter(Table):
    """(term + term + ...) times effects, then times exp(random effects)."""

    unit: Text
    terms: Annotated[list[Term], Field(min_length=1)]
    effects: list[Effect] = []


class RandomEffect(Table):
    """One eta or kappa and the parameters whose logarithm it moves."""

    name: Annotated[str, StringConstraints(pattern=r"^(eta|kappa)_[A-Za-z0-9]+$")]
    value: Positive
    scale: Literal["cv_exact", "cv_approx", "variance", "sd"]
    on: Annotated[dict[ParameterName, float], Field(min_length=1)]
    rse_percent: Positive | None = None
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    shrinkage_percent: Annotated[float, Field(ge=0, lt=100)] | None = None
    source: Text

    @property
    def variance(self) -> float:
        """Omega squared: the variance of the logarithm."""
        return {
            "cv_exact": math.log1p(self.value**2),
            "cv_approx": self.value**2,
            "variance": self.value,
            "sd": self.value**2,
        }[self.scale]


class _Correlation(Table):
    value: Annotated[float, Field(gt=-1, lt=1)]
    source: Text


class IivCorrelation(_Correlation):
    """Correlation of two etas."""

    between: Annotated[list[IivName], Field(min_length=2, max_length=2)]


class IovCorrelation(_Correlation):
    """Correlation of two kappas of one occasion."""

    between: Annotated[list[IovName], Field(min_length=2, max_length=2)]


class ResidualError(Table):
    """A residual standard deviation."""

    value: Positive
    rse_percent: Positive | None = None
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    shrinkage_percent: Annotated[float, Field(ge=0, lt=100)] | None = None
    source: Text


class Ruv(Table):
    """Residual unexplained variability; additive in mg/L, log: SD of the natural logarithm."""

    proportional: ResidualError | None = None
    additive: ResidualError | None = None
    log: ResidualError | None = None

    @model_validator(mode="after")
    def _one_scale(self) -> Self:
        linear = self.proportional is not None or self.additive is not None
        if linear == (self.log is not None):
            raise ValueError("give either log, or proportional and/or additive")
        return self


class Reproduces(Table):
    """A published number that the file must give back."""

    what: Text
    quantity: Literal["CL", "V1", "Q2", "V2", "Q3", "V3", "auc_0_inf"]
    at: dict[CovariateName, float | str] | None = None
    population: Identifier | None = None
    regimen: Identifier | None = None
    statistic: Literal["median"] | None = None
    printed: Annotated[str, StringConstraints(pattern=r"^-?\d+(\.\d+)?$")]
    unit: Text
    tolerance: Annotated[float, Field(gt=0, lt=0.2)] | None = None
    tolerance_reason: Text | None = None
    source: Text

    @model_validator(mode="after")
    def _typical_or_population(self) -> Self:
        of_population = (self.population, self.regimen, self.statistic, self.tolerance)
        if self.quantity == "auc_0_inf":
            if None in of_population or self.tolerance_reason is None or self.at is not None:
                raise ValueError(
                    "auc_0_inf needs population, regimen, statistic, tolerance, tolerance_reason "
                    "and no `at`"
                )
        elif self.at is None or any(value is not None for value in of_population):
            raise ValueError(f"{self.quantity} needs `at`; its tolerance is the printed digits")
        return self


class Departure(Table):
    """Where file and print disagree, or print is silent."""

    topic: Text
    print: Text
    file: Text
    reason: Text
    open_question: bool
    shown: Text | None = None
    shown_below_age: Positive | None = None


class ModelFile(Table):
    """One published model."""

    format: Literal["fludapk.model/1"]
    id: Identifier
    title: Text
    compartments: Literal[1, 2, 3]
    reading_of: Identifier | None = None
    citation: Citation
    dose: Dose
    population: Population
    covariates: dict[str, Covariate]
    theta: Annotated[dict[str, Theta], Field(min_length=1)]
    parameters: dict[Literal[PARAMETERS], Parameter]  # type: ignore[valid-type]
    iiv: Annotated[list[RandomEffect], Field(min_length=1)]
    iiv_correlations: list[IivCorrelation] = []
    iov: list[RandomEffect] = []
    iov_correlations: list[IovCorrelation] = []
    ruv: Ruv
    reproduces: Annotated[list[Reproduces], Field(min_length=1)]
    departures: list[Departure] = []

    @classmethod
    def cross_faults(cls, raw: Mapping[str, Any]) -> list[str]:
        """Faults between tables of a model file, each with its key path."""
        covariates, parameters = _tables(raw, "covariates"), _tables(raw, "parameters")
        faults = []
        for name, table in covariates.items():
            faults += [f"covariates.{name}{fault}" for fault in _covariate_faults(name, table)]
        choices = ESTIMATED.get(raw.get("compartments", 0), ())
        if choices and set(parameters) not in [set(choice) for choice in choices]:
            wanted = " or ".join(", ".join(choice) for choice in choices)
            faults.append(f"parameters: {raw['compartments']} compartments need exactly {wanted}")
        for name, table in parameters.items():
            unit = "1/h" if name.startswith("k") else "L" if name.startswith("V") else "L/h"
            if table.get("unit") not in (unit, None):
                faults.append(f"parameters.{name}.unit: is {unit!r}, not {table['unit']!r}")
            places = [(f"parameters.{name}", table)]
            terms = _rows(table, "terms")
            if name != "CL" and any("name" in term for term in terms):
                faults.append(f"parameters.{name}.terms: only terms of CL are renal or non-renal")
            places += [(f"parameters.{name}.terms[{i}]", term) for i, term in enumerate(terms)]
            for path, owner in places:
                for i, effect in enumerate(_rows(owner, "effects")):
                    covariate = effect.get("covariate")
                    is_category = covariate in CATEGORICAL
                    if covariate in covariates and is_category != (
                        effect.get("kind") == "category"
                    ):
                        what = "a category" if is_category else "a number"
                        faults.append(f"{path}.effects[{i}]: {covariate} is {what}")
        for effects, pairs in (("iiv", "iiv_correlations"), ("iov", "iov_correlations")):
            names = [row.get("name") for row in _rows(raw, effects)]
            prefix = "eta_" if effects == "iiv" else "kappa_"
            strange = [n for n in names if isinstance(n, str) and not n.startswith(prefix)]
            faults += [f"{effects}: {name!r} must begin with {prefix!r}" for name in strange]
            twice = sorted({str(name) for name in names if names.count(name) > 1})
            faults += [f"{effects}: {name!r} is there twice" for name in twice]
            seen: list[set[Any]] = []
            for i, row in enumerate(_rows(raw, pairs)):
                between = row.get("between")
                pair = set(between) if isinstance(between, list) else set()
                if len(pair) == 1:
                    faults.append(f"{pairs}[{i}].between: an effect correlated with itself")
                if pair in seen:
                    faults.append(f"{pairs}[{i}].between: this pair is there already")
                seen.append(pair)
        for i, row in enumerate(_rows(raw, "reproduces")):
            at = row.get("at")
            for name, value in at.items() if isinstance(at, dict) else ():
                levels = covariates.get(name, {}).get("levels")
                fits = value in levels if isinstance(levels, list) else not isinstance(value, str)
                if name in covariates and not fits:
                    faults.append(f"reproduces[{i}].at.{name}: {value!r} is not a value of {name}")
        return faults


def _tables(raw: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """Tables of a table, whatever else is there by mistake."""
    value = raw.get(key)
    items = value.items() if isinstance(value, dict) else ()
    return {name: table for name, table in items if isinstance(table, dict)}


def _rows(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = raw.get(key)
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _covariate_faults(name: str, table: Mapping[str, Any]) -> list[str]:
    """What is wrong with a covariate of this name."""
    unit, levels, derived = table.get("unit"), table.get("levels"), table.get("derived")
    if name in CATEGORICAL:
        faults = [] if levels else [".levels: a category needs its levels"]
        if isinstance(levels, list) and len(set(map(str, levels))) < len(levels):
            faults.append(".levels: a level is there twice")
        extra = [k for k in ("unit", "range", "limits", "rules", "cap", "derived") if k in table]
        return faults + [f".{key}: a category has none" for key in extra]
    faults = [] if not levels else [f".levels: only {', '.join(CATEGORICAL)} have levels"]
    rules = _rows(table, "rules")
    if "cap" in table and not rules:
        faults.append(".cap: only a covariate with rules is capped")
    if derived is not None:
        if rules:
            faults.append(".rules: a derived covariate has none")
        if name in PATIENT_COVARIATES:
            faults.append(f".derived: {name} is known of a patient, name it otherwise")
        formula = FORMULAS.get(derived) if isinstance(derived, str) else None
        if formula is not None and unit != formula.unit:
            faults.append(f".unit: is {formula.unit!r} for {derived}, not {unit!r}")
        return faults
    if name not in PATIENT_COVARIATES:
        known = ", ".join((*PATIENT_COVARIATES, *CATEGORICAL))
        return [*faults, f": neither one of {known}, nor `derived`"]
    if unit != PATIENT_COVARIATES[name]:
        faults.append(f".unit: is {PATIENT_COVARIATES[name]!r}, not {unit!r}")
    for key, meaning in (("range", "studied"), ("limits", "possible")):
        if key not in table:
            faults.append(f".{key}: the {meaning} values are required")
    studied, possible = table.get("range"), table.get("limits")
    try:
        if studied and possible and not possible[0] <= studied[0] <= studied[1] <= possible[1]:
            faults.append(f".range: {studied} is not inside the limits {possible}")
    except (TypeError, LookupError, KeyError):
        pass  # not two pairs of numbers: said by the table itself
    if bool(rules) != (name in ("eGFR", "CrCl")):
        faults.append(".rules: eGFR and CrCl need rules, others have none")
    if rules and ("sex" in rules[-1] or "age_from" in rules[-1]):
        faults.append(".rules: the last rule must fit everybody")
    return faults


def _names(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Names that the file defines, taken tolerantly so that every reference can be checked."""
    covariates = _tables(raw, "covariates")
    return {
        "theta": list(_tables(raw, "theta")),
        "covariate": list(covariates),
        "parameter": list(_tables(raw, "parameters")),
        "iiv": [str(row.get("name")) for row in _rows(raw, "iiv")],
        "iov": [str(row.get("name")) for row in _rows(raw, "iov")],
        "levels": {name: table.get("levels") or [] for name, table in covariates.items()},
    }


# ------------------------------------------------------------------ regimens, targets, populations


class RegimenEntry(Table):
    """A published course of fludarabine."""

    id: Identifier
    title: Text
    product: Identifier | None = None
    disease: Identifier | None = None
    who: Text
    ages: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """From, and below, in years."""
    dose: Positive
    unit: Literal["mg/m2", "mg/kg", "mg"]
    days: Annotated[int, Field(ge=1, le=14)]
    interval_h: Positive
    infusion_h: Positive
    cyclophosphamide: str = ""
    cells: str = ""
    cells_at_h: Positive | None = None
    unsettled: str = ""
    source: Text


class TargetEntry(Table):
    """A published window on the cumulative AUC and the context it is bound to."""

    id: Identifier
    title: Text
    low: Positive | None = None
    high: Positive | None = None
    optimum: Positive | None = None
    """Where a paper gives a best value but no window that we know of."""
    disease: Identifier | None = None
    product: Identifier | None = None
    ages: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    auc_by: Text
    context: Text
    finding: Text
    citation: Text
    doi: Annotated[str, StringConstraints(pattern=r"^10\.\d{4,}/\S+$")] | None = None

    @model_validator(mode="after")
    def _a_window(self) -> Self:
        if (self.low is None and self.high is None) == (self.optimum is None):
            raise ValueError("give low, high or both; or optimum alone")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        return self


class LabelStep(Table):
    """One row of a renal rule: from a renal function upwards, this factor on the dose."""

    at_least: Annotated[float, Field(ge=0)]
    factor: Annotated[float, Field(ge=0, le=1)] | None = None
    refuse: bool = False
    """The rule says not to give it."""
    advice: Text


class LabelRule(Table):
    """A renal dosing rule of a label or a centre."""

    id: Identifier
    title: Text
    measure: Literal["CrCl", "eGFR"]
    adults_only: bool
    steps: Annotated[list[LabelStep], Field(min_length=1)]
    source: Text

    @field_validator("steps")
    @classmethod
    def _falling(cls, steps: list[LabelStep]) -> list[LabelStep]:
        _rising("at_least, from the last row up,", [step.at_least for step in reversed(steps)])
        return steps


class Creatinine(Table):
    """Log-normal serum creatinine around the FAS reference for age and sex."""

    ratio: Positive
    cv: Positive
    source: Text


class LogNormal(Table):
    """Log-normal with a median, and a coefficient of variation or both quartiles."""

    median: Positive
    cv: Positive | None = None
    q25: Positive | None = None
    q75: Positive | None = None

    @model_validator(mode="after")
    def _one_spread(self) -> Self:
        given = [x for x in (self.q25, self.q75) if x is not None]
        if (len(given), self.cv is None) not in ((0, False), (2, True)):
            raise ValueError("give cv, or both q25 and q75")
        if self.q25 is not None and self.q75 is not None:
            _rising("q25, median, q75", [self.q25, self.median, self.q75])
        return self


def _low_below_high(pair: list[float]) -> list[float]:
    _rising("the pair", pair)
    return pair


Range = Annotated[
    list[Positive], Field(min_length=2, max_length=2), AfterValidator(_low_below_high)
]
"""Lowest and highest, both above zero."""
Years = Annotated[float, Field(ge=0, le=120)]


class _AgeBetween(Table):
    low: Years
    high: Years

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        return self


class UniformAge(_AgeBetween):
    """Every age from low to high as likely, years."""

    kind: Literal["uniform"]


class BetaAge(_AgeBetween):
    """low + (high - low) times a beta variable with shapes a and b, years."""

    kind: Literal["beta"]
    a: Positive
    b: Positive


def _whole(rows: list[list[float]]) -> list[list[float]]:
    fractions, years = ([row[column] for row in rows] for column in (0, 1))
    faults = []
    for name, values in (("cumulative fractions", fractions), ("years", years)):
        try:
            _rising(name, values)
        except ValueError as error:
            faults.append(str(error))
    if (fractions[0], fractions[-1]) != (0.0, 1.0):
        faults.append(f"cumulative fractions go from 0 to 1, not {fractions[0]} to {fractions[-1]}")
    if faults:
        raise ValueError("; ".join(faults))
    return rows


def _age_form(age: object) -> str | None:
    if isinstance(age, list):
        return "quantiles"
    kind = age.get("kind") if isinstance(age, dict) else getattr(age, "kind", None)
    return kind if kind in ("uniform", "beta") else None


Age = Annotated[
    Annotated[
        list[Annotated[list[Years], Field(min_length=2, max_length=2)]],
        Field(min_length=2),
        AfterValidator(_whole),
        Tag("quantiles"),
    ]
    | Annotated[UniformAge, Tag("uniform")]
    | Annotated[BetaAge, Tag("beta")],
    Discriminator(
        _age_form,
        custom_error_type="age_form",
        custom_error_message="rows of [cumulative fraction, years], or a table whose kind is "
        "'uniform' (low, high) or 'beta' (low, high, a, b)",
    ),
]
"""Rows of [cumulative fraction, years] with straight lines between, or uniform, or beta."""


def _alone(shares: object) -> object:
    if isinstance(shares, str):
        return {shares: 1.0}
    if not isinstance(shares, dict):
        raise ValueError(f"write a level, or a table of level = fraction, not {shares!r}")
    return shares


def _all_of_them(shares: dict[str, float]) -> dict[str, float]:
    total = math.fsum(shares.values())
    if abs(total - 1.0) > 1e-6:
        raise ValueError(f"the fractions add up to {total:g}, not to 1")
    return shares


Shares = Annotated[
    dict[Text, Annotated[float, Field(gt=0, le=1)]],
    Field(min_length=1),
    BeforeValidator(_alone),
    AfterValidator(_all_of_them),
]
"""The level of everybody, or level -> fraction of the patients."""


class PopulationEntry(Table):
    """A virtual population; `fludapk.population.draw` says how patients are drawn from it."""

    id: Identifier
    title: Text
    age: Age
    female: Annotated[float, Field(ge=0, le=1)]
    weight_kg: LogNormal | None = None
    """If absent, by age and sex from the size reference."""
    weight_range_kg: Range
    height_range_cm: Range | None = None
    weight_height_correlation: Annotated[float, Field(gt=-1, lt=1)]
    """Of the normal scores of one patient."""
    adults: Literal["nhanes2023", "cdc2000"] = "nhanes2023"
    """Size reference above 20 y: NHANES 2021-2023, or the CDC 2000 values at 20 y."""
    creatinine: Creatinine
    scr_range_mg_dl: Range | None = None
    product: Shares | None = None
    diagnosis: Shares | None = None
    genotype: Shares | None = None
    source: Text

    def levels(self, category: str) -> list[str]:
        """Level names of a category; empty if the population does not say."""
        return list(getattr(self, category) or ())


class RegimenFile(Table):
    """`data/regimens.toml`."""

    regimens: Annotated[list[RegimenEntry], Field(min_length=1)]
    label_rules: list[LabelRule] = []


class PopulationFile(Table):
    """`data/populations.toml`."""

    populations: Annotated[list[PopulationEntry], Field(min_length=1)]


class TargetFile(Table):
    """`data/targets.toml`."""

    targets: Annotated[list[TargetEntry], Field(min_length=1)]


# ------------------------------------------------------------------ a study


class CohortFile(Table):
    """Patients of a list in a file, beside the scenario."""

    file: Text
    sample: Literal["as_is", "resample"]


class ReadyMade(Table):
    """A population of `data/populations.toml`."""

    use: Identifier


class Custom(Table):
    """A population of the scenario."""

    custom: PopulationEntry


def _population_form(population: object) -> str | None:
    keys = population if isinstance(population, dict) else vars(population)
    return next((f"[{key}]" for key in ("use", "file", "custom") if key in keys), None)


PopulationChoice = Annotated[
    Annotated[ReadyMade, Tag("[use]")]
    | Annotated[CohortFile, Tag("[file]")]
    | Annotated[Custom, Tag("[custom]")],
    Discriminator(
        _population_form,
        custom_error_type="population_form",
        custom_error_message="one of: use = NAME, file = CSV with sample, or a table custom",
    ),
]


class Variability(Table):
    """What differs between simulated patients beyond their covariates."""

    iiv: bool = True
    iov: bool = True
    parameter_uncertainty: Annotated[int, Field(ge=0, le=10_000)] = 0
    """How many draws of thetas and omegas; 0: the printed values."""
    gfr_error_cv: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Of the renal function that dosing sees around the true one."""


class Window(Table):
    """A window on the cumulative AUC, mg h/L."""

    low: Positive = 13.8
    high: Positive = 20.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


class _Strategy(Table):
    """What every strategy says: its course, and what can be drawn up."""

    id: Identifier
    regimen: Identifier | None = None
    dose: Text | None = None
    days: Annotated[int, Field(ge=1, le=14)] | None = None
    interval_h: Positive | None = None
    infusion_h: Positive | None = None
    round_to_mg: Positive | None = None
    vials: bool = False
    """Whole 50-mg vials, to the nearest, at least one."""

    needs_dose: ClassVar[bool] = True

    @model_validator(mode="after")
    def _one_course(self) -> Self:
        if self.vials and self.round_to_mg is not None:
            raise ValueError("give round_to_mg or vials, not both")
        if self.regimen is not None and not (self.dose is None and self.days is None):
            raise ValueError("a regimen has its own dose and days: leave them out")
        if self.regimen is None and self.days is None:
            raise ValueError("give regimen, or days" + (" and dose" if self.needs_dose else ""))
        if self.needs_dose and self.regimen is None and self.dose is None:
            raise ValueError('give dose, for example "30 mg/m2", with days; or regimen')
        if not self.needs_dose and self.dose is not None:
            raise ValueError("has no dose of its own: leave dose out")
        return self


class FixedStrategy(_Strategy):
    """The same mg/m2, mg/kg or mg for everybody."""

    kind: Literal["fixed"]


class TargetStrategy(_Strategy):
    """The dose that gives the typical patient of these covariates an AUC."""

    kind: Literal["target"]
    auc: Positive
    model: Identifier | None = None

    needs_dose: ClassVar[bool] = False


class RenalStep(Table):
    """From a renal function upwards, this factor on the dose; 0: no dose is given."""

    at_least: Annotated[float, Field(ge=0)]
    factor: Annotated[float, Field(ge=0, le=1)]


class RenalStrategy(_Strategy):
    """A dose reduced by renal function: a label rule, or steps of one's own."""

    kind: Literal["renal"]
    rule: Identifier | None = None
    measure: Literal["CrCl", "eGFR"] | None = None
    steps: list[RenalStep] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        own = self.steps is not None and self.measure is not None
        if (self.rule is None) != own or (self.rule and (self.steps or self.measure)):
            raise ValueError("give rule, or steps with measure")
        if self.steps is not None:
            _rising("at_least, from the last row up,", [s.at_least for s in reversed(self.steps)])
            if self.steps[-1].at_least != 0:
                raise ValueError("the last of steps must have at_least = 0")
        return self


class DoseBand(Table):
    """A dose below a weight or age; the last band has no upper end."""

    below: Positive | None = None
    dose: Text


class BandedStrategy(_Strategy):
    """A dose by weight or age band."""

    kind: Literal["banded"]
    by: Literal["weight_kg", "age_years"]
    bands: Annotated[list[DoseBand], Field(min_length=1)]

    needs_dose: ClassVar[bool] = False

    @model_validator(mode="after")
    def _whole(self) -> Self:
        ends = [band.below for band in self.bands]
        if ends[-1] is not None or None in ends[:-1]:
            raise ValueError("every band but the last needs below, and the last has none")
        _rising("below", [end for end in ends if end is not None])
        return self


class AdaptiveStrategy(_Strategy):
    """Levels after the first dose, an estimate of the patient, and later doses to an AUC.

    The first dose is that of `regimen`, or with `first = "covariates"` the dose that gives
    the typical patient `auc`.
    """

    kind: Literal["adaptive"]
    auc: Positive
    levels_h: Annotated[list[Positive], Field(min_length=1, max_length=12)]
    model: Identifier | None = None
    first: Literal["dose", "covariates"] = "dose"

    needs_dose: ClassVar[bool] = False

    @model_validator(mode="after")
    def _levels(self) -> Self:
        _rising("levels_h", self.levels_h)
        if self.first == "dose" and self.regimen is None:
            raise ValueError('give regimen, or first = "covariates" with days')
        return self


Strategy = Annotated[
    FixedStrategy | TargetStrategy | RenalStrategy | BandedStrategy | AdaptiveStrategy,
    Field(discriminator="kind"),
]


class Stratum(Table):
    """Groups of patients: bands of a number, or the values of a text column."""

    by: Text
    edges: Annotated[list[float], Field(min_length=2)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.edges is not None:
            _rising("edges", self.edges)
        return self


class Scenario(Table):
    """A Monte Carlo study of dosing strategies."""

    title: Text
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    patients: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """May be left out with a cohort that is taken as it is."""
    models: Annotated[list[Identifier], Field(min_length=1)]
    """Truths: each is simulated with the same patients and the same draws."""
    draws: Literal["pseudo", "sobol"] = "pseudo"
    product: Text | None = None
    diagnosis: Text | None = None
    genotype: Text | None = None
    population: PopulationChoice
    variability: Variability = Variability()
    window: Window = Window()
    strategies: Annotated[list[Strategy], Field(min_length=1)]
    strata: list[Stratum] = []

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for what, names in (
            ("models", self.models),
            ("strategies", [strategy.id for strategy in self.strategies]),
            ("strata", [stratum.by for stratum in self.strata]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: {', '.join(twice)} twice")
        if self.patients is None and getattr(self.population, "sample", None) != "as_is":
            raise ValueError("patients is missing: how many to draw")
        return self


# ------------------------------------------------------------------ reading

T = TypeVar("T", bound=Table)


def read_toml(path: Path, kind: type[T]) -> T:
    """Read and check a TOML file.

    Parameters
    ----------
    path : Path
    kind : subclass of Table

    Raises
    ------
    FileError
        With every fault of the file, each with its key path.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: is not TOML: {error}") from error
    return check_table(raw, kind, str(path))


def check_table(raw: Mapping[str, Any], kind: type[T], where: str) -> T:
    """Check a table that was read from `where`; see `read_toml`."""
    faults = kind.cross_faults(raw)
    try:
        table = kind.model_validate(dict(raw), context=_names(raw))
    except ValidationError as error:
        faults = [*_faults(error), *faults]
    if faults:
        raise FileError(*(f"{where}: {fault}" for fault in dict.fromkeys(faults)))
    return table


def _faults(error: ValidationError) -> list[str]:
    """One line per fault, with its key path."""
    faults = []
    for item in error.errors(include_url=False):
        path, before = "", None
        for part in item["loc"]:
            is_kind = path.startswith("strategies") and isinstance(before, int)
            if isinstance(part, int):
                path += f"[{part}]"
            elif part not in _NOT_A_KEY and not is_kind:
                path += f".{part}" if path else part
            before = part
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] not in ("value_error", "missing", "extra_forbidden"):
            message += f", not {item['input']!r}"
        faults.append(f"{path or 'file'}: {message}")
    return faults


_NOT_A_KEY = (
    *("[key]", "float", "str", "power", "linear", "exponential", "sigmoid", "category"),
    *("quantiles", "uniform", "beta", "[use]", "[file]", "[custom]"),
)
"""Parts of pydantic's locations that are not keys of the file."""
