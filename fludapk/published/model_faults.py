"""Faults between the tables of a model file, each with its key path.

They are looked for in the raw tables, tolerantly, so that they can be reported together with the
faults inside the tables.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fludapk.published.formulas import FORMULAS
from fludapk.published.tables import (
    CATEGORICAL,
    COURSE_COVARIATES,
    PATIENT_COVARIATES,
    SEX,
    SEXES,
    rows_in,
    tables_in,
)

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
        for fault in _covariate_faults(name, table, covariates)
    ]
    faults += _circle_faults(covariates)
    faults += _parameter_set_faults(raw)
    units = units_of_parameters(raw)
    for name, table in tables_in(raw, "parameters").items():
        faults += _parameter_faults(name, table, covariates, units)
    faults += _binding_faults(raw)
    for effects, pairs, prefix in (
        ("iiv", "iiv_correlations", "eta_"),
        ("iov", "iov_correlations", "kappa_"),
    ):
        faults += _effect_name_faults(raw, effects, prefix)
        faults += _correlation_faults(raw, pairs)
        faults += _matrix_faults(raw, effects)
        faults += _use_faults(raw, effects)
    return [*faults, *_reproduces_faults(raw, covariates)]


def _table(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def _list(raw: Mapping[str, Any], key: str) -> list[Any]:
    value = raw.get(key)
    return value if isinstance(value, list) else []


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    return value if isinstance(value, str) else None


def _is_category(name: str, table: Mapping[str, Any]) -> bool:
    """Tell a category: by its name, or by the levels of a name of its own."""
    is_number = name in PATIENT_COVARIATES or name in COURSE_COVARIATES or "derived" in table
    return name in (*CATEGORICAL, SEX) or (bool(table.get("levels")) and not is_number)


def _covariate_faults(
    name: str, table: Mapping[str, Any], covariates: Mapping[str, Any]
) -> list[str]:
    """Return the faults of a covariate, each with its path inside the covariate."""
    if _is_category(name, table):
        return _category_faults(name, table)
    unit, derived, rules = table.get("unit"), table.get("derived"), rows_in(table, "rules")
    faults = [f".levels: {name} is a number"] if table.get("levels") else []
    if derived is None:
        faults += [
            f".{key}: only a derived covariate has it" for key in ("of", "fat") if key in table
        ]
    if name in COURSE_COVARIATES and derived is None:
        if unit != COURSE_COVARIATES[name]:
            faults.append(f".unit: is {COURSE_COVARIATES[name]!r}, not {unit!r}")
        extra = [key for key in ("range", "limits", "rules", "cap") if key in table]
        return faults + [f".{key}: {name} has none, it is that of each dose" for key in extra]
    if "cap" in table and not rules:
        faults.append(".cap: only a covariate with rules is capped")
    if derived is not None:
        return faults + _derived_faults(name, table, covariates)
    if name not in PATIENT_COVARIATES:
        names = ", ".join((*PATIENT_COVARIATES, *COURSE_COVARIATES, SEX, *CATEGORICAL))
        return [*faults, f": neither one of {names}, nor `derived`, nor a category with `levels`"]
    if unit != PATIENT_COVARIATES[name]:
        faults.append(f".unit: is {PATIENT_COVARIATES[name]!r}, not {unit!r}")
    faults += _range_faults(table)
    if bool(rules) != (name in ("eGFR", "CrCl")):
        faults.append(".rules: eGFR and CrCl need rules, others have none")
    if rules and ("sex" in rules[-1] or "age_from" in rules[-1]):
        faults.append(".rules: the last rule must fit everybody")
    return faults


def _category_faults(name: str, table: Mapping[str, Any]) -> list[str]:
    categories = table.get("levels")
    if name == SEX and isinstance(categories, list) and sorted(map(str, categories)) != [*SEXES]:
        return [f".levels: of {SEX} are {' and '.join(SEXES)}"]
    faults = [] if categories else [".levels: a category needs its levels"]
    if isinstance(categories, list) and len(set(map(str, categories))) < len(categories):
        faults.append(".levels: a level is there twice")
    extra = [key for key in (*_OF_NUMBERS, "derived", "of", "fat") if key in table]
    return faults + [f".{key}: a category has none" for key in extra]


def _derived_faults(
    name: str, table: Mapping[str, Any], covariates: Mapping[str, Any]
) -> list[str]:
    derived, faults = table["derived"], []
    if rows_in(table, "rules"):
        faults.append(".rules: a derived covariate has none")
    if name in PATIENT_COVARIATES or name in COURSE_COVARIATES:
        faults.append(f".derived: {name} is known of a patient, name it otherwise")
    formula = FORMULAS.get(derived) if isinstance(derived, str) else None
    if formula is None:
        return faults
    if table.get("unit") != formula.unit:
        faults.append(f".unit: is {formula.unit!r} for {derived}, not {table.get('unit')!r}")
    if ("fat_fraction" in formula.needs) != ("fat" in table):
        faults.append(".fat: normal_fat_mass needs it, others have none")
    of = _table(table, "of")
    if "ffm_kg" in formula.needs and "FFM" not in (*of, *covariates):
        faults.append(f".of: {derived} needs a covariate FFM, or the name of one")
    return faults + [
        f".of.{key}: {value} is no number"
        for key, value in of.items()
        if isinstance(value, str)
        and (_is_category(value, covariates.get(value) or {}) or value in COURSE_COVARIATES)
    ]


def sources_of(table: Mapping[str, Any]) -> set[str]:
    """Return the covariates from which a derived one may be made, by its table."""
    of = _table(table, "of")
    formula = FORMULAS.get(str(table.get("derived")))
    needs = {COLUMN_OF[argument] for argument in formula.needs} if formula else set()
    return {str(of.get(key, key)) for key in needs}


COLUMN_OF: Final = {
    "age_years": "AGE",
    "weight_kg": "WT",
    "height_cm": "HT",
    "bsa_m2": "BSA",
    "scr_mg_dl": "SCR",
    "female": SEX,
    "egfr_ml_min_1_73m2": "eGFR",
    "gfr_ml_min": "CrCl",
    "ffm_kg": "FFM",
    "fat_fraction": "fat",
    "gestational_age_weeks": "GA",
}
"""Argument of a formula -> the covariate that it takes."""


def _circle_faults(covariates: Mapping[str, Any]) -> list[str]:
    """Return a fault if derived covariates are made from each other in a circle."""
    left = {name: sources_of(table) for name, table in covariates.items() if "derived" in table}
    while ready := [name for name, sources in left.items() if not sources & left.keys()]:
        for name in ready:
            del left[name]
    return [f"covariates: {', '.join(left)} are derived from each other"] if left else []


_OF_NUMBERS: Final = ("unit", "range", "limits", "rules", "cap")


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
    compartments = raw.get("compartments")
    choices = ESTIMATED.get(compartments, ()) if isinstance(compartments, int) else ()
    if not choices or set(tables_in(raw, "parameters")) in [set(choice) for choice in choices]:
        return []
    expected = " or ".join(", ".join(choice) for choice in choices)
    return [f"parameters: {compartments} compartments need exactly {expected}"]


def units_of_parameters(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return the unit of volumes ("V"), rates ("k") and flows ("") of a file."""
    table = _table(raw, "units")
    amount, conc = table.get("amount", "mg"), table.get("concentration", "mg/L")
    if conc == f"{amount}/L" or (amount, conc) in (("mg", "ug/mL"), ("ug", "ng/mL")):
        return {"V": "L", "k": "1/h", "": "L/h"}
    return {"V": f"{amount}/({conc})", "k": "1/h", "": f"{amount}/h/({conc})"}


def _parameter_faults(
    name: str, table: Mapping[str, Any], covariates: Mapping[str, Any], units: Mapping[str, str]
) -> Iterator[str]:
    path = f"parameters.{name}"
    unit = units.get(name[:1], units[""])
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
        covariate = str(effect.get("covariate"))
        is_category = _is_category(covariate, covariates.get(covariate) or {})
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
    earlier: list[set[str]] = []
    for i, row in enumerate(rows_in(raw, pairs)):
        pair = {str(name) for name in _list(row, "between")}
        if len(pair) == 1:
            yield f"{pairs}[{i}].between: an effect correlated with itself"
        if pair in earlier:
            yield f"{pairs}[{i}].between: this pair is there already"
        earlier.append(pair)


def _matrix_faults(raw: Mapping[str, Any], effects: str) -> Iterator[str]:
    """Find variances that are given twice, and effects in two matrices."""
    valued = {
        _text(row, "name") for row in rows_in(raw, effects) if {"value", "scale"} & row.keys()
    }
    earlier: list[str] = []
    for i, matrix in enumerate(rows_in(raw, f"{effects}_matrices")):
        order = [str(name) for name in _list(matrix, "order")]
        for name in order:
            if matrix.get("kind") == "covariance" and name in valued:
                yield f"{effects}_matrices[{i}]: {name} has its variance here: no value, no scale"
            if name in earlier:
                yield f"{effects}_matrices[{i}].order: {name} is in another matrix already"
        earlier += order
        for k, row in enumerate(rows_in(raw, f"{effects}_correlations")):
            between = row.get("between")
            if isinstance(between, list) and set(map(str, between)) <= set(order):
                yield f"{effects}_correlations[{k}].between: this pair is in a matrix"


def _use_faults(raw: Mapping[str, Any], effects: str) -> Iterator[str]:
    """Find effects that are on nothing, and kappas of another kind than exponential."""
    on_terms = {
        _text(term, "eta")
        for table in tables_in(raw, "parameters").values()
        for term in rows_in(table, "terms")
    }
    for i, row in enumerate(rows_in(raw, effects)):
        is_on_term = effects == "iiv" and _text(row, "name") in on_terms
        kind = row.get("kind", "exponential")
        if not row.get("on") and not is_on_term:
            yield f"{effects}[{i}].on: names no parameter" + (
                ", and no term has this eta" if effects == "iiv" else ""
            )
        if kind != "exponential" and (effects == "iov" or is_on_term):
            where = "of an occasion" if effects == "iov" else "on a term"
            yield f"{effects}[{i}].kind: an effect {where} is exponential"


def _binding_faults(raw: Mapping[str, Any]) -> list[str]:
    table = raw.get("binding")
    fu = table.get("fu") if isinstance(table, dict) else None
    if isinstance(fu, str):
        fu = tables_in(raw, "theta").get(fu, {}).get("value")
    if isinstance(fu, int | float) and not isinstance(fu, bool) and not 0 < fu <= 1:
        return [f"binding.fu: {fu} is not above 0 and at most 1"]
    return []


def _reproduces_faults(raw: Mapping[str, Any], covariates: Mapping[str, Any]) -> Iterator[str]:
    for i, row in enumerate(rows_in(raw, "reproduces")):
        at = row.get("at")
        for name, value in at.items() if isinstance(at, dict) else ():
            categories = covariates.get(name, {}).get("levels")
            is_list = isinstance(categories, list)
            fits = value in categories if is_list else not isinstance(value, str)
            if name in covariates and not fits:
                yield f"reproduces[{i}].at.{name}: {value!r} is not a value of {name}"
