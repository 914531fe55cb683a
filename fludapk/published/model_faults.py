"""Faults between the tables of a model file, each with its key path.

They are looked for in the raw tables, tolerantly, so that they can be reported together with the
faults inside the tables.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fludapk.published.formulas import FORMULAS
from fludapk.published.tables import CATEGORICAL, PATIENT_COVARIATES, rows_in, tables_in

ESTIMATED: Final = {
    1: (("CL", "V1"),),
    2: (("CL", "V1", "Q2", "V2"), ("CL", "V1", "k12", "k21")),
    3: (("CL", "V1", "Q2", "V2", "Q3", "V3"), ("CL", "V1", "k12", "k21", "k13", "k31")),
}
"""Number of compartments -> the sets of parameters a paper may have estimated."""


def faults_between_tables(raw: Mapping[str, Any]) -> list[str]:
    """Return every fault between tables of a model file, each with its key path.

    Parameters
    ----------
    raw : mapping
        The file as TOML gives it, not yet checked.
    """
    covariates = tables_in(raw, "covariates")
    faults = [
        f"covariates.{name}{fault}"
        for name, table in covariates.items()
        for fault in _covariate_faults(name, table)
    ]
    faults += _parameter_set_faults(raw)
    for name, table in tables_in(raw, "parameters").items():
        faults += _parameter_faults(name, table, covariates)
    for effects, pairs, prefix in (
        ("iiv", "iiv_correlations", "eta_"),
        ("iov", "iov_correlations", "kappa_"),
    ):
        faults += _effect_name_faults(raw, effects, prefix)
        faults += _correlation_faults(raw, pairs)
    return [*faults, *_reproduces_faults(raw, covariates)]


def _covariate_faults(name: str, table: Mapping[str, Any]) -> list[str]:
    """Return the faults of a covariate, each with its path inside the covariate."""
    if name in CATEGORICAL:
        return _category_faults(table)
    unit, derived, rules = table.get("unit"), table.get("derived"), rows_in(table, "rules")
    faults = (
        [] if not table.get("levels") else [f".levels: only {', '.join(CATEGORICAL)} have levels"]
    )
    if "cap" in table and not rules:
        faults.append(".cap: only a covariate with rules is capped")
    if derived is not None:
        return faults + _derived_faults(name, table)
    if name not in PATIENT_COVARIATES:
        names = ", ".join((*PATIENT_COVARIATES, *CATEGORICAL))
        return [*faults, f": neither one of {names}, nor `derived`"]
    if unit != PATIENT_COVARIATES[name]:
        faults.append(f".unit: is {PATIENT_COVARIATES[name]!r}, not {unit!r}")
    faults += _range_faults(table)
    if bool(rules) != (name in ("eGFR", "CrCl")):
        faults.append(".rules: eGFR and CrCl need rules, others have none")
    if rules and ("sex" in rules[-1] or "age_from" in rules[-1]):
        faults.append(".rules: the last rule must fit everybody")
    return faults


def _category_faults(table: Mapping[str, Any]) -> list[str]:
    categories = table.get("levels")
    faults = [] if categories else [".levels: a category needs its levels"]
    if isinstance(categories, list) and len(set(map(str, categories))) < len(categories):
        faults.append(".levels: a level is there twice")
    extra = [key for key in ("unit", "range", "limits", "rules", "cap", "derived") if key in table]
    return faults + [f".{key}: a category has none" for key in extra]


def _derived_faults(name: str, table: Mapping[str, Any]) -> list[str]:
    derived, faults = table["derived"], []
    if rows_in(table, "rules"):
        faults.append(".rules: a derived covariate has none")
    if name in PATIENT_COVARIATES:
        faults.append(f".derived: {name} is known of a patient, name it otherwise")
    formula = FORMULAS.get(derived) if isinstance(derived, str) else None
    if formula is not None and table.get("unit") != formula.unit:
        faults.append(f".unit: is {formula.unit!r} for {derived}, not {table.get('unit')!r}")
    return faults


def _range_faults(table: Mapping[str, Any]) -> list[str]:
    faults = [
        f".{key}: the {meaning} values are required"
        for key, meaning in (("range", "studied"), ("limits", "possible"))
        if key not in table
    ]
    studied, possible = table.get("range"), table.get("limits")
    try:
        if studied and possible and not possible[0] <= studied[0] <= studied[1] <= possible[1]:
            faults.append(f".range: {studied} is not inside the limits {possible}")
    except (TypeError, LookupError):
        pass  # not two pairs of numbers: a fault inside the table
    return faults


def _parameter_set_faults(raw: Mapping[str, Any]) -> list[str]:
    choices = ESTIMATED.get(raw.get("compartments", 0), ())
    if not choices or set(tables_in(raw, "parameters")) in [set(choice) for choice in choices]:
        return []
    expected = " or ".join(", ".join(choice) for choice in choices)
    return [f"parameters: {raw['compartments']} compartments need exactly {expected}"]


def _parameter_faults(
    name: str, table: Mapping[str, Any], covariates: Mapping[str, Any]
) -> Iterator[str]:
    path = f"parameters.{name}"
    unit = "1/h" if name.startswith("k") else "L" if name.startswith("V") else "L/h"
    if table.get("unit") not in (unit, None):
        yield f"{path}.unit: is {unit!r}, not {table['unit']!r}"
    terms = rows_in(table, "terms")
    if name != "CL" and any("name" in term for term in terms):
        yield f"{path}.terms: only terms of CL are renal or non-renal"
    yield from _effect_faults(path, table, covariates)
    for i, term in enumerate(terms):
        yield from _effect_faults(f"{path}.terms[{i}]", term, covariates)


def _effect_faults(
    path: str, owner: Mapping[str, Any], covariates: Mapping[str, Any]
) -> Iterator[str]:
    for i, effect in enumerate(rows_in(owner, "effects")):
        covariate = effect.get("covariate")
        is_category = covariate in CATEGORICAL
        if covariate in covariates and is_category != (effect.get("kind") == "category"):
            kind = "a category" if is_category else "a number"
            yield f"{path}.effects[{i}]: {covariate} is {kind}"


def _effect_name_faults(raw: Mapping[str, Any], effects: str, prefix: str) -> list[str]:
    names = [row.get("name") for row in rows_in(raw, effects)]
    misnamed = [name for name in names if isinstance(name, str) and not name.startswith(prefix)]
    duplicates = sorted({str(name) for name in names if names.count(name) > 1})
    return [
        *(f"{effects}: {name!r} must begin with {prefix!r}" for name in misnamed),
        *(f"{effects}: {name!r} is there twice" for name in duplicates),
    ]


def _correlation_faults(raw: Mapping[str, Any], pairs: str) -> Iterator[str]:
    earlier: list[set[Any]] = []
    for i, row in enumerate(rows_in(raw, pairs)):
        between = row.get("between")
        pair = set(between) if isinstance(between, list) else set()
        if len(pair) == 1:
            yield f"{pairs}[{i}].between: an effect correlated with itself"
        if pair in earlier:
            yield f"{pairs}[{i}].between: this pair is there already"
        earlier.append(pair)


def _reproduces_faults(raw: Mapping[str, Any], covariates: Mapping[str, Any]) -> Iterator[str]:
    for i, row in enumerate(rows_in(raw, "reproduces")):
        at = row.get("at")
        for name, value in at.items() if isinstance(at, dict) else ():
            categories = covariates.get(name, {}).get("levels")
            is_list = isinstance(categories, list)
            fits = value in categories if is_list else not isinstance(value, str)
            if name in covariates and not fits:
                yield f"reproduces[{i}].at.{name}: {value!r} is not a value of {name}"
