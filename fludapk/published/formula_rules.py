"""Rules of a model that choose the formula of renal function by age and sex."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fludapk.arrays import F8, Bools
from fludapk.published.formulas import FORMULAS
from fludapk.published.models import Model
from fludapk.published.tables import SEXES


def formula_switch(
    model: Model, *, age_years: float, sex: str, within_years: float
) -> tuple[float, str, str] | None:
    """Find the age near a patient's at which a model turns to another formula of renal function.

    Parameters
    ----------
    model : Model
    age_years : float
    sex : {'female', 'male'}
    within_years : float
        Nearer than this.

    Returns
    -------
    tuple of (float, str, str) or None
        The age, and the formulas below and from it on.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> formula_switch(load_model(), age_years=13.5, sex="male", within_years=1.0)
    (14.0, 'schwartz_bedside', 'cockcroft_gault')
    >>> formula_switch(load_model(), age_years=13.5, sex="female", within_years=1.0) is None
    True
    """
    near = (s for s in _formula_switches(model, sex) if abs(age_years - s[0]) <= within_years)
    return next(near, None)


def may_switch(model: Model, ages: F8, *, within_years: float) -> Bools:
    """Tell for which patients `formula_switch` may find an age; not for others, of either sex.

    Parameters
    ----------
    model : Model
    ages : (n,) array
        Years.
    within_years : float
        As in `formula_switch`.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> may_switch(load_model(), np.array([5.0, 13.5]), within_years=1.0).tolist()
    [False, True]
    """
    near = np.zeros(ages.shape, dtype=np.bool_)
    for age in {switch[0] for sex in SEXES for switch in _formula_switches(model, sex)}:
        near |= np.abs(ages - age) <= within_years
    return near


def needs_sex(model: Model, *, age_years: float) -> bool:
    """Tell if a model's kidney function from a creatinine needs the sex at an age.

    Examples
    --------
    >>> from fludapk.published.models import load_model
    >>> needs_sex(load_model(), age_years=61.0), needs_sex(load_model(), age_years=5.0)
    (True, False)
    """
    rules = model.file.covariates[model.renal_covariate].rules if model.renal_covariate else []
    fitting = (rule for rule in rules if rule.age_from is None or age_years >= rule.age_from)
    rule = next(fitting, None)
    return rule is not None and (rule.sex is not None or "female" in FORMULAS[rule.formula].needs)


@lru_cache(maxsize=64)
def _formula_switches(model: Model, sex: str) -> list[tuple[float, str, str]]:
    """All ages at which the formula changes."""
    rules = model.file.covariates[model.renal_covariate].rules if model.renal_covariate else []

    def formula(age: float) -> str | None:
        fitting = (
            rule.formula
            for rule in rules
            if rule.sex in (None, sex) and (rule.age_from is None or age >= rule.age_from)
        )
        return next(fitting, None)

    switches = []
    for edge in sorted({rule.age_from for rule in rules if rule.age_from}):
        below, above = formula(float(np.nextafter(edge, 0.0))), formula(edge)
        if below and above and below != above:
            switches.append((edge, below, above))
    return switches
