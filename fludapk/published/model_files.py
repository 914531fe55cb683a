"""Grammar of a model file: every class is one of its tables.

Names that refer to another table (a theta, a covariate, a parameter) are checked where they stand,
so a fault carries its path.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

import numpy as np
from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from fludapk.arrays import F8
from fludapk.published.effect_files import CovariateName, Effect, Number, ThetaName
from fludapk.published.formulas import FORMULAS
from fludapk.published.matrices import IivMatrix, IovMatrix, with_variances
from fludapk.published.model_faults import faults_between_tables
from fludapk.published.tables import (
    FLUDARABINE,
    Identifier,
    Positive,
    Table,
    Text,
    defined,
    must_rise,
)
from fludapk.units import MOLAR_MASS_F_ARA_A, MOLAR_MASS_PHOSPHATE

PARAMETERS: Final = ("CL", "V1", "Q2", "V2", "Q3", "V3", "k12", "k21", "k13", "k31")


ParameterName = Annotated[str, defined("parameter")]
IivName = Annotated[str, defined("iiv")]
IovName = Annotated[str, defined("iov")]


def _formula(*quantities: str) -> AfterValidator:
    """Check that a name is that of a formula for one of the quantities."""

    def check(name: str) -> str:
        names = [key for key, formula in FORMULAS.items() if formula.quantity in quantities]
        if name not in names:
            raise ValueError(f"{name!r} is not one of: {', '.join(names)}")
        return name

    return AfterValidator(check)


# ------------------------------------------------------------------ a model file


class Citation(Table):
    """Publication of a model."""

    authors: Text
    title: Text
    journal: Text
    year: Annotated[int, Field(ge=1960, le=2100)]
    volume: str = ""
    pages: str = ""
    doi: Annotated[str, StringConstraints(pattern=r"^10\.\d{4,}/\S+$")]

    @property
    def name(self) -> str:
        """First author and year, as people cite it: Varela 2025."""
        family = self.authors.split(",")[0].split()[0]
        return f"{family.split('-')[0]} {self.year}"

    @property
    def short(self) -> str:
        """Citation in one line: first author, journal, year, DOI."""
        first = self.authors.split(",")[0]
        place = f"{self.volume}:{self.pages}" if self.volume and self.pages else ""
        return f"{first} et al., {self.journal} {self.year};{place} doi {self.doi}"


class Dose(Table):
    """Conversion of a prescribed dose to the dose of the model."""

    prescribed: Text
    modelled: Text
    factor: Positive
    basis: Literal["stated", "inferred", "unknown"]
    evidence: Text
    source: Text

    @field_validator("factor")
    @classmethod
    def _one_or_the_mass_ratio(cls, factor: float, info: ValidationInfo) -> float:
        if info.data.get("prescribed") != FLUDARABINE:
            return factor
        ratio = MOLAR_MASS_F_ARA_A / MOLAR_MASS_PHOSPHATE
        if abs(factor - 1.0) > 1e-9 and abs(factor / ratio - 1.0) > 0.005:
            raise ValueError(f"{factor} is neither 1 nor the ratio of the molar masses {ratio:.4f}")
        return factor


class Units(Table):
    """Units of amounts and concentrations of a paper that has others than mg and mg/L."""

    amount: Literal["mg", "g", "ug", "umol", "nmol"] = "mg"
    concentration: Literal["mg/L", "ug/mL", "ug/L", "ng/mL", "umol/L", "nmol/L"] = "mg/L"
    molar_mass: Positive = MOLAR_MASS_F_ARA_A
    source: Text

    @property
    def amount_mg(self) -> float:
        """An amount of 1, mg."""
        return self._per(self.amount, {"mg": 1.0, "g": 1e3, "ug": 1e-3})

    @property
    def concentration_mg_l(self) -> float:
        """A concentration of 1, mg/L."""
        name = self.concentration
        mass = {"mg/L": 1.0, "ug/mL": 1.0, "ug/L": 1e-3, "ng/mL": 1e-3}
        return self._per(name.removesuffix("/L") if "mol" in name else name, mass)

    def _per(self, name: str, mass: Mapping[str, float]) -> float:
        moles = {"umol": self.molar_mass / 1e3, "nmol": self.molar_mass / 1e6}
        return {**mass, **moles}[name]

    @property
    def litres(self) -> float:
        """A volume of 1, L."""
        ratio = self.amount_mg / self.concentration_mg_l
        return 1.0 if abs(ratio - 1.0) < 1e-9 else ratio


class Binding(Table):
    """Binding of the drug to proteins of plasma."""

    modelled: Literal["unbound", "total"]
    fu: Number
    source: Text


class Population(Table):
    """Patients from whom the model was built."""

    n: Annotated[int, Field(gt=0)]
    who: Text
    description: Text
    regimen: Text
    diseases: list[Identifier] = []
    source: Text


class Rule(Table):
    """Formula of a renal covariate for the patients it fits; the first fitting rule is used."""

    formula: Annotated[str, _formula("eGFR", "CrCl")]
    sex: Literal["female", "male"] | None = None
    age_from: float | None = None


class Cap(Table):
    """Highest value of a covariate: straight lines between knots, flat beyond them."""

    by: Literal["AGE"]
    knots: Annotated[
        list[Annotated[list[float], Field(min_length=2, max_length=2)]], Field(min_length=2)
    ]
    source: Text

    @field_validator("knots")
    @classmethod
    def _ordered(cls, knots: list[list[float]]) -> list[list[float]]:
        must_rise("the first column", [knot[0] for knot in knots])
        return knots


class Covariate(Table):
    """A covariate: measured, computed from a formula, derived, or a category."""

    unit: Text | None = None
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    limits: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    rules: list[Rule] = []
    cap: Cap | None = None
    derived: Annotated[str, _formula("GFR", "weight", "BSA", "CrCl", "eGFR")] | None = None
    of: dict[Literal["AGE", "WT", "HT", "BSA", "SCR", "eGFR", "CrCl", "FFM"], CovariateName] = {}
    fat: Number | None = None
    levels: list[Text] = []
    source: Text

    @field_validator("range", "limits")
    @classmethod
    def _low_below_high(cls, pair: list[float] | None) -> list[float] | None:
        if pair is not None:
            must_rise("the pair", pair)
        return pair


class Theta(Table):
    """An estimate or constant of a paper."""

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


class Term(Table):
    """Term of a parameter: theta (1 if absent) times effects, times exp(eta) of its own."""

    name: Literal["renal", "non-renal"] | None = None
    theta: ThetaName | None = None
    eta: IivName | None = None
    effects: list[Effect] = []


class Parameter(Table):
    """Parameter: (term + term + ...) times effects, then times exp(random effects)."""

    unit: Text
    terms: Annotated[list[Term], Field(min_length=1)]
    effects: list[Effect] = []


class RandomEffect(Table):
    """An eta or kappa, and the parameters it shifts: their logarithm, logit or value."""

    name: Annotated[str, StringConstraints(pattern=r"^(eta|kappa)_[A-Za-z0-9]+$")]
    value: Positive
    scale: Literal["cv_exact", "cv_approx", "variance", "sd"]
    on: dict[ParameterName, float] = {}
    kind: Literal["exponential", "additive", "logit"] = "exponential"
    bounds: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    rse_percent: Positive | None = None
    ci95: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    shrinkage_percent: Annotated[float, Field(ge=0, lt=100)] | None = None
    source: Text

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind != "exponential" and self.scale.startswith("cv"):
            raise ValueError(f"scale: an {self.kind} effect has an sd or a variance")
        if (self.bounds is not None) != (self.kind == "logit"):
            raise ValueError("bounds: a logit effect has them, others have none")
        if self.bounds is not None:
            must_rise("bounds", self.bounds)
        return self

    @property
    def variance(self) -> float:
        """Omega squared: the variance of the logarithm, of the logit or of the value."""
        return {
            "cv_exact": math.log1p(self.value**2),
            "cv_approx": self.value**2,
            "variance": self.value,
            "sd": self.value**2,
        }[self.scale]

    def variances(self, values: F8) -> F8:
        """Return omega squared if the printed value were each of some others, (n,)."""
        if self.scale == "variance":
            return values
        return np.log1p(values**2) if self.scale == "cv_exact" else values**2


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
    """Residual unexplained variability; additive in mg/L, log: SD of the natural logarithm.

    Proportional and additive together add as variances, or as standard deviations.
    """

    proportional: ResidualError | None = None
    additive: ResidualError | None = None
    log: ResidualError | None = None
    combined: Literal["variances", "sds"] = "variances"

    @model_validator(mode="after")
    def _one_scale(self) -> Self:
        linear = self.proportional is not None or self.additive is not None
        if linear == (self.log is not None):
            raise ValueError("give either log, or proportional and/or additive")
        if self.combined == "sds" and None in (self.proportional, self.additive):
            raise ValueError('combined = "sds" needs proportional and additive')
        return self


class Reproduces(Table):
    """A published result that the file must reproduce."""

    what: Text
    quantity: Literal["CL", "V1", "Q2", "V2", "Q3", "V3", "half_life", "auc_0_inf"]
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
        of_population = (self.population, self.regimen, self.statistic)
        if self.quantity == "auc_0_inf":
            if (
                None in (*of_population, self.tolerance, self.tolerance_reason)
                or self.at is not None
            ):
                raise ValueError(
                    "auc_0_inf needs population, regimen, statistic, tolerance, tolerance_reason "
                    "and no `at`"
                )
        elif self.at is None or any(value is not None for value in of_population):
            raise ValueError(f"{self.quantity} needs `at`; its tolerance is the printed digits")
        if (self.tolerance is None) != (self.tolerance_reason is None):
            raise ValueError("tolerance and tolerance_reason come together")
        return self


class Departure(Table):
    """A point on which file and print disagree, or print is silent."""

    topic: Text
    print: Text
    file: Text
    reason: Text
    open_question: bool
    shown: Text | None = None
    shown_below_age: Positive | None = None


class ModelFile(Table):
    """A published model."""

    format: Literal["fludapk.model/1"]
    id: Identifier
    title: Text
    compartments: Literal[1, 2, 3]
    reading_of: Identifier | None = None
    citation: Citation
    dose: Dose
    units: Units | None = None
    binding: Binding | None = None
    population: Population
    covariates: dict[str, Covariate]
    theta: Annotated[dict[str, Theta], Field(min_length=1)]
    parameters: dict[Literal[PARAMETERS], Parameter]  # type: ignore[valid-type]
    iiv: Annotated[list[RandomEffect], Field(min_length=1)]
    iiv_correlations: list[IivCorrelation] = []
    iiv_matrices: list[IivMatrix] = []
    iov: list[RandomEffect] = []
    iov_correlations: list[IovCorrelation] = []
    iov_matrices: list[IovMatrix] = []
    ruv: Ruv
    reproduces: Annotated[list[Reproduces], Field(min_length=1)]
    departures: list[Departure] = []

    @model_validator(mode="before")
    @classmethod
    def _variances_from_matrices(cls, raw: Any) -> Any:
        return with_variances(raw) if isinstance(raw, dict) else raw

    @property
    def fu(self) -> float | None:
        """Fraction unbound; None if nothing is said of it."""
        if self.binding is None:
            return None
        fu = self.binding.fu
        return self.theta[fu].value if isinstance(fu, str) else fu

    @property
    def dose_factor(self) -> float:
        """Amount in the model of 1 mg prescribed, mg.

        That of a model of unbound drug is larger by 1 / fu: its concentrations are then total.
        """
        is_unbound = self.binding is not None and self.binding.modelled == "unbound"
        return self.dose.factor / (self.fu or 1.0) if is_unbound else self.dose.factor

    @classmethod
    def cross_faults(cls, raw: Mapping[str, Any]) -> list[str]:
        """Return the faults between tables of a model file, each with its key path."""
        return faults_between_tables(raw)
