"""Find, load and compile published models; turn covariates into typical parameters."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fludapk import formulas
from fludapk.arrays import F8
from fludapk.errors import FileError, InputError, nearest
from fludapk.formulas import FORMULAS
from fludapk.pk.program import CATEGORY, EFFECTS, KINDS, ON_PARAMETER, ON_TERM, SLOTS, Program
from fludapk.schema import CATEGORICAL, Category, Effect, ModelFile, RandomEffect, Rule, read_toml

DEFAULT_MODEL: Final = "langenhorst2019"
_MICRO_SLOTS = ("CL", "V1", "k12", "k21", "k13", "k31")
Columns = Mapping[str, F8]
"""AGE, SEX (1 female, 0 male), WT, HT, BSA, SCR, eGFR, CrCl and level numbers of the categories,
one array each, NaN where unknown."""


def compile_program(file: ModelFile) -> Program:
    """Compile a checked model file to arrays."""
    names = list(file.theta)
    theta = [file.theta[name].value for name in names]
    index = {name: i for i, name in enumerate(names)}

    def number(value: float | str) -> int:
        """Index of a theta, or of a constant appended to theta."""
        if isinstance(value, str):
            return index[value]
        theta.append(float(value))
        return len(theta) - 1

    covariates: list[str] = []
    terms: list[tuple[int, int, int]] = []
    effects: list[tuple[int, int, int, int, int, int]] = []
    levels: list[int] = []

    def add(owner: int, target: int, effect: Effect) -> None:
        if effect.covariate not in covariates:
            covariates.append(effect.covariate)
        column = covariates.index(effect.covariate)
        if isinstance(effect, Category):
            first = len(levels)
            levels.extend(
                number(effect.factors[level]) for level in file.covariates[effect.covariate].levels
            )
            effects.append((owner, target, CATEGORY, column, first, 0))
        else:
            _, a, b = EFFECTS[effect.kind]
            numbers = number(getattr(effect, a)), number(getattr(effect, b))
            effects.append((owner, target, KINDS.index(effect.kind), column, *numbers))

    is_micro = "k12" in file.parameters
    slots = _MICRO_SLOTS if is_micro else SLOTS
    for name, parameter in file.parameters.items():
        slot = slots.index(name)
        for term in parameter.terms:
            where = -1 if term.theta is None else index[term.theta]
            terms.append((slot, where, int(term.name == "renal")))
            for effect in term.effects:
                add(ON_TERM, len(terms) - 1, effect)
        for effect in parameter.effects:
            add(ON_PARAMETER, slot, effect)

    error = (file.ruv.proportional, file.ruv.additive, file.ruv.log)
    pairs = {frozenset(row.between): row.value for row in file.iiv_correlations}
    pairs_iov = {frozenset(row.between): row.value for row in file.iov_correlations}
    return Program(
        theta=np.array(theta, dtype=np.float64),
        terms=np.array(terms, dtype=np.int64).reshape(-1, 3),
        effects=np.array(effects, dtype=np.int64).reshape(-1, 6),
        levels=np.array(levels, dtype=np.int64),
        is_micro=int(is_micro),
        covariates=tuple(covariates),
        load_eta=_loadings(file.iiv, slots, file.compartments),
        root_omega=_root(file.iiv, pairs, f"{file.id}: iiv_correlations"),
        load_kappa=_loadings(file.iov, slots, file.compartments),
        root_omega_iov=_root(file.iov, pairs_iov, f"{file.id}: iov_correlations"),
        error=np.array([0.0 if part is None else part.value for part in error]),
        compartments=file.compartments,
    )


def _loadings(effects: Sequence[RandomEffect], slots: Sequence[str], compartments: int) -> F8:
    """Loadings on log CL, V1, Q2, V2, Q3, V3, of models in micro-constants too."""
    load = np.zeros((6, len(effects)))
    for column, effect in enumerate(effects):
        for name, loading in effect.on.items():
            load[slots.index(name), column] = loading
    if slots is _MICRO_SLOTS:
        for q in range(2, 2 * compartments, 2):  # Q2 = k12 V1, V2 = k12 V1 / k21
            flow = load[q] + load[1]
            load[q], load[q + 1] = flow, flow - load[q + 1]
    for q in range(2 * compartments, 6, 2):  # absent: moves with the rest, so nothing special
        load[q], load[q + 1] = load[0], load[1]
    return np.ascontiguousarray(load)


def _root(effects: Sequence[RandomEffect], pairs: Mapping[frozenset[str], float], where: str) -> F8:
    n = len(effects)
    omega = np.diag([effect.variance for effect in effects]).reshape(n, n)
    for i in range(n):
        for j in range(i):
            r = pairs.get(frozenset((effects[i].name, effects[j].name)), 0.0)
            omega[i, j] = omega[j, i] = r * np.sqrt(omega[i, i] * omega[j, j])
    try:
        return np.ascontiguousarray(np.linalg.cholesky(omega)) if n else np.zeros((0, 0))
    except np.linalg.LinAlgError:
        raise FileError(f"{where}: the correlations are not possible together") from None


# ------------------------------------------------------------------ models and where they are


@dataclass(frozen=True, eq=False)
class Model:
    """A published model: its file, where it came from, and its compiled form."""

    file: ModelFile
    path: Path
    sha256: str

    @property
    def id(self) -> str:
        """Its name."""
        return self.file.id

    @cached_property
    def program(self) -> Program:
        """Its compiled form."""
        return compile_program(self.file)

    @property
    def renal_covariate(self) -> str | None:
        """'eGFR' or 'CrCl', whichever the model needs, if any."""
        return next((name for name in ("eGFR", "CrCl") if name in self.file.covariates), None)

    def levels(self, category: str) -> list[str]:
        """Level names of a category of this model; empty if it has none."""
        covariate = self.file.covariates.get(category)
        return [] if covariate is None else covariate.levels


def model_folders(extra: str | Path | None = None) -> list[Path]:
    """Folders searched for models, first wins: the given one, FLUDAPK_MODELS, the shipped one."""
    asked = [Path(folder) for folder in (extra, os.environ.get("FLUDAPK_MODELS")) if folder]
    for folder in asked:
        if not folder.is_dir():
            raise FileError(f"{folder}: no such folder of models")
    return [*asked, _shipped()]


@lru_cache(maxsize=1)
def _shipped() -> Path:
    here = Path(__file__).resolve().parent
    installed = here / "models"
    return installed if installed.is_dir() else here.parent / "models"


def model_paths(folders: Sequence[Path] | None = None) -> dict[str, Path]:
    """Model name -> file, the default model first, then by name."""
    found: dict[str, Path] = {}
    for folder in folders or model_folders():
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])))


def load_model(name: str = DEFAULT_MODEL, folders: Sequence[Path] | None = None) -> Model:
    """Load a model by name.

    Parameters
    ----------
    name : str
    folders : sequence of Path, optional
        See `model_folders`.

    Raises
    ------
    InputError
        If there is no such model.
    FileError
        If its file has faults; all are listed.

    Examples
    --------
    >>> load_model("varela2025").file.population.n
    56
    """
    paths = model_paths(folders)
    if name not in paths:
        raise InputError(f"unknown model {name!r}: {nearest(name, list(paths))}")
    return _load(paths[name], paths[name].stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _load(path: Path, _modified: int) -> Model:
    file = read_toml(path, ModelFile)
    if file.id != path.stem:
        raise FileError(f"{path}: id: {file.id!r} must be the name of the file, {path.stem!r}")
    return Model(file, path, hashlib.sha256(path.read_bytes()).hexdigest())


def load_models(folders: Sequence[Path] | None = None) -> list[Model]:
    """All models, the default first.

    Raises
    ------
    FileError
        With the faults of every bad file.
    """
    models: list[Model] = []
    faults: list[str] = []
    for path in model_paths(folders).values():
        try:
            models.append(_load(path, path.stat().st_mtime_ns))
        except FileError as error:
            faults.extend(error.faults)
    if faults:
        raise FileError(*faults)
    return models


# ------------------------------------------------------------------ covariates of patients


@dataclass(frozen=True)
class Step:
    """One line of the calculation, for a second person to re-do."""

    name: str
    value: float
    unit: str
    by: str
    """A formula of `fludapk.formulas`, "given", "from CrCl", "from eGFR", "cap", or empty."""
    how: str
    """The arithmetic with its numbers."""


def _arguments(columns: Columns) -> dict[str, F8 | npt.NDArray[np.bool_]]:
    return {
        "age_years": columns["AGE"],
        "weight_kg": columns["WT"],
        "height_cm": columns["HT"],
        "bsa_m2": columns["BSA"],
        "scr_mg_dl": columns["SCR"],
        "female": columns["SEX"] == 1.0,
        "egfr_ml_min_1_73m2": columns["eGFR"],
        "gfr_ml_min": columns["CrCl"],
    }


def evaluate(formula: str, columns: Columns) -> tuple[F8, str]:
    """A formula of `fludapk.formulas` on columns; NaN where an input is; and its arithmetic.

    The arithmetic is that of a single row, and empty for more.
    """
    entry = FORMULAS[formula]
    given = {need: value for need, value in _arguments(columns).items() if need in entry.needs}
    value = np.asarray(entry.function(**given), dtype=np.float64)
    if "female" in entry.needs:
        value = np.where(np.isnan(columns["SEX"]), np.nan, value)
    if value.size != 1 or not np.isfinite(value[0]):
        return value, ""
    return value, entry.explain(**{need: column[0].item() for need, column in given.items()})


@dataclass(frozen=True, eq=False)
class Covariates:
    """What a model needs of n patients; the arrays have a row per patient."""

    values: dict[str, F8]
    """NaN where something needed is unknown."""
    uncapped: dict[str, F8]
    """eGFR or CrCl before the cap of the model."""
    origin: dict[str, npt.NDArray[np.object_]]
    """Of eGFR or CrCl: a formula, "given", "from" the other one, or None."""
    steps: list[Step]
    """How the values of the first patient were made."""


def covariate_columns(
    model: Model, columns: Columns, egfr_formula: str | None = None
) -> Covariates:
    """Every covariate a model names, from what is known of the patients.

    Parameters
    ----------
    model : Model
    columns : mapping of str to (n,) arrays
        See `Columns`.
    egfr_formula : str, optional
        Instead of the model's own rules.
    """
    known = dict(columns)
    found = Covariates({}, {}, {}, [])
    # A table has no order: what is derived comes after what it is derived from.
    named = sorted(model.file.covariates.items(), key=lambda item: item[1].derived is not None)
    for name, covariate in named:
        unit = covariate.unit or ""
        if covariate.rules:
            rules = [Rule(formula=egfr_formula)] if egfr_formula else covariate.rules
            free = _renal(name, unit, rules, columns, found)
            known[name] = found.uncapped[name] = free
            if covariate.cap is not None:
                at = known[covariate.cap.by]
                known[name] = np.asarray(
                    formulas.capped_by_knots(value=free, at=at, knots=covariate.cap.knots)
                )
                if known[name][0] < free[0]:
                    why = f"the model's highest value at {at[0]:.3g} y"
                    found.steps.append(Step(name, float(known[name][0]), unit, "cap", why))
        elif covariate.derived is not None:
            known[name], how = evaluate(covariate.derived, known)
            found.steps.append(Step(name, float(known[name][0]), unit, "", how))
        found.values[name] = known[name]
    return found


def _renal(name: str, unit: str, rules: Sequence[Rule], columns: Columns, found: Covariates) -> F8:
    """EGFR or CrCl: as given, else from the other one, else from creatinine by the rules."""
    other = "CrCl" if name == "eGFR" else "eGFR"
    bridge = "index_gfr" if name == "eGFR" else "deindex_gfr"
    age, sex = columns["AGE"], columns["SEX"]
    out = np.full(age.shape, np.nan)
    origin = np.full(age.shape, None, dtype=object)
    remaining = np.isnan(columns[name]) & np.isnan(columns[other])
    for rule in rules:
        fits = remaining & ((rule.age_from is None) | (age >= (rule.age_from or 0.0)))
        if rule.sex is not None:
            remaining = remaining & ~(fits & np.isnan(sex))  # cannot be decided
            fits &= sex == float(rule.sex == "female")
        remaining = remaining & ~fits
        if not fits.any():
            continue
        value, how = evaluate(rule.formula, columns)
        quantity, value_unit = FORMULAS[rule.formula].quantity, FORMULAS[rule.formula].unit
        if fits[0]:
            found.steps.append(Step(quantity, float(value[0]), value_unit, rule.formula, how))
        if quantity != name:
            value, how = evaluate(bridge, {**columns, quantity: value})
            if fits[0]:
                found.steps.append(Step(name, float(value[0]), unit, "", how))
        out = np.where(fits, value, out)
        origin[fits] = rule.formula
    is_given, is_converted = np.isfinite(columns[name]), np.isfinite(columns[other])
    converted, how = evaluate(bridge, columns)
    if is_given[0]:
        found.steps.append(Step(name, float(columns[name][0]), unit, "given", ""))
    elif is_converted[0]:
        found.steps.append(Step(name, float(converted[0]), unit, f"from {other}", how))
    origin[is_converted], origin[is_given] = f"from {other}", "given"
    found.origin[name] = origin
    return np.where(is_given, columns[name], np.where(is_converted, converted, out))


def covariate_rows(model: Model, values: Mapping[str, F8], n: int = 1) -> F8:
    """(n, c) rows for `Program.typical_values`, in the order of `Program.covariates`.

    `n` is for models without covariates.
    """
    columns = [values[name] for name in model.program.covariates]
    return np.ascontiguousarray(np.column_stack(columns)) if columns else np.zeros((n, 0))


@dataclass(frozen=True)
class Outside:
    """A covariate of a patient outside what a model was built from."""

    covariate: str
    value: float
    unit: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.covariate} {self.value:.3g} {self.unit} (studied {self.low:g}-{self.high:g})"


def outside_studied_range(model: Model, values: Mapping[str, F8], row: int = 0) -> list[Outside]:
    """Covariates of one row outside the studied range.

    Raises
    ------
    InputError
        If one is outside the possible limits; all such are listed.
    """
    outside, faults = [], []
    for name, covariate in model.file.covariates.items():
        if covariate.range is None or covariate.limits is None:
            continue
        value, unit = float(values[name][row]), covariate.unit or ""
        low, high = covariate.limits
        if value < low or value > high:
            faults.append(
                f"{name} = {value:.4g} {unit} is outside {low:g}-{high:g}, the limits of "
                f"{model.id}: check the value, or choose another model"
            )
        elif not covariate.range[0] <= value <= covariate.range[1]:
            outside.append(Outside(name, value, unit, *covariate.range))
    if faults:
        raise InputError(*faults)
    return outside


def missing_covariates(
    model: Model, values: Mapping[str, F8], columns: Columns, row: int = 0
) -> list[str]:
    """What must still be said about a patient before the model can be used."""
    lacking = []
    for name in values:
        if not np.isnan(values[name][row]):
            continue
        if name in CATEGORICAL:
            lacking.append(f"--{name} ({' or '.join(model.levels(name))})")
        elif name in ("eGFR", "CrCl"):
            has_input = any(np.isfinite(columns[key][row]) for key in ("SCR", "eGFR", "CrCl"))
            if not has_input:
                lacking.append('a renal function: --scr "0.3 mg/dL", --egfr or --crcl')
            elif np.isnan(columns["SEX"][row]):
                lacking.append(f"--sex (the {name} formula at this age needs it)")
    return lacking


def equation(model: Model, parameter: str, values: Mapping[str, F8] | None = None) -> str:
    """Write out a typical parameter, in names or with the numbers of the first row.

    Parameters
    ----------
    model : Model
    parameter : str
        As the paper estimated it: CL, V1, k12 ...
    values : mapping of str to (n,) arrays, optional
        Covariates; if absent, names stand for thetas and covariates.

    Examples
    --------
    >>> model = load_model("varela2025")
    >>> equation(model, "V1")
    'V1 × (WT/70)^allometry_volume'
    >>> values = {"WT": np.array([70.0]), "CrCl": np.array([48.0]), "product": np.array([0.0])}
    >>> equation(model, "CL", values)
    '(4.4 + 1.7 × (48/96)) × (70/70)^0.75'
    """
    file = model.file

    def number(value: float | str) -> str:
        if isinstance(value, str):
            return value if values is None else f"{file.theta[value].value:g}"
        return f"{value:g}"

    def written(effect: Effect) -> str:
        name = effect.covariate
        x = name if values is None else f"{values[name][0]:.4g}"
        if effect.kind == "category":
            if values is None:
                rows = (f"{number(f)} if {level}" for level, f in effect.factors.items())
                return f"({', '.join(rows)})"
            return number(effect.factors[model.levels(name)[int(values[name][0])]])
        if effect.kind == "power":
            base = x if effect.ref == 1.0 else f"({x}/{number(effect.ref)})"
            return base if effect.exponent == 1.0 else f"{base}^{number(effect.exponent)}"
        if effect.kind == "sigmoid":
            power = f"{x}^{number(effect.hill)}"
            return f"{power}/({number(effect.x50)}^{number(effect.hill)} + {power})"
        change = f"{number(effect.slope)} × ({x} − {number(effect.ref)})"
        return f"(1 + {change})" if effect.kind == "linear" else f"exp({change})"

    terms = []
    for term in file.parameters[parameter].terms:
        head = [] if term.theta is None else [number(term.theta)]
        terms.append(" × ".join(head + [written(effect) for effect in term.effects]))
    total = f"({' + '.join(terms)})" if len(terms) > 1 else terms[0]
    return " × ".join([total, *(written(e) for e in file.parameters[parameter].effects)])
