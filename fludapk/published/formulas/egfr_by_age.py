"""Estimated GFR from age, sex and creatinine."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fludapk.published.formulas.registry import (
    ADULT,
    EGFR,
    UMOL_L_PER_MG_DL,
    Array,
    Flag,
    Result,
    as_float,
    by_sex,
    published,
)


def _bent_exponent(ratio: Array, below: ArrayLike, above: ArrayLike) -> Array:
    """Return the exponent in force in min(ratio, 1)^below * max(ratio, 1)^above."""
    result: Array = np.where(ratio < 1, below, above)[()]
    return result


def _after_40(per_year: float, age: Array) -> Result:
    return per_year ** np.maximum(age - 40, 0.0)


def _after_40_shown(per_year: float, age: float) -> str:
    return f" * {per_year:g}^({age:g} - 40)" if age > 40 else ""


class _CkdEpi(NamedTuple):
    """Constants by which the CKD-EPI creatinine equations differ; pairs are (female, male)."""

    scale: float
    below: tuple[float, float]
    above: float
    per_year: float
    if_female: float

    def _terms(self, scr: Array, female: Flag) -> tuple[Array, Array]:
        knee = by_sex(female, 0.7, 0.9)
        return knee, _bent_exponent(scr / knee, by_sex(female, *self.below), self.above)

    def egfr(self, scr_mg_dl: ArrayLike, age_years: ArrayLike, female: Flag) -> Result:
        scr = as_float(scr_mg_dl)
        knee, exponent = self._terms(scr, female)
        sex = by_sex(female, self.if_female, 1.0)
        return self.scale * (scr / knee) ** exponent * self.per_year ** as_float(age_years) * sex

    def shown(self, *, scr_mg_dl: float, age_years: float, female: bool) -> str:
        knee, exponent = self._terms(as_float(scr_mg_dl), female)
        return (
            f"{self.scale:g} * ({scr_mg_dl:g}/{knee:g})^{exponent:g}"
            f" * {self.per_year:g}^{age_years:g}"
        ) + (f" * {self.if_female:g}" if female else "")


# --- eGFR from creatinine, age and sex ------------------------------------------------------------

_CKD_EPI_2009 = _CkdEpi(141.0, (-0.329, -0.411), -1.209, 0.993, 1.018)
_CKD_EPI_2021 = _CkdEpi(142.0, (-0.241, -0.302), -1.200, 0.9938, 1.012)


@published(
    quantity="eGFR",
    unit=EGFR,
    ages=ADULT,
    doi="10.1056/NEJMoa2102953",
    shown=_CKD_EPI_2021.shown,
)
def ckd_epi_2021(*, scr_mg_dl: ArrayLike, age_years: ArrayLike, female: Flag) -> Result:
    """Estimate GFR by CKD-EPI (2021), without race.

    142 min(S/k, 1)^a max(S/k, 1)^-1.200 0.9938^age (1.012 if female), with k = 0.7, a = -0.241 in
    women and k = 0.9, a = -0.302 in men.

    Parameters
    ----------
    scr_mg_dl : array_like
        Serum creatinine, mg/dL (IDMS-traceable).
    age_years : array_like
        Age, years.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        eGFR, mL/min/1.73 m2. Published for adults from 18 years.

    Notes
    -----
    Below 18 years it still computes, and overestimates more the younger the child.

    References
    ----------
    Inker LA, Eneanya ND, Coresh J, et al. New creatinine- and cystatin C-based equations to
    estimate GFR without race. N Engl J Med 2021;385:1737-1749. doi:10.1056/NEJMoa2102953

    Examples
    --------
    >>> f"{ckd_epi_2021(scr_mg_dl=1.5, age_years=60, female=False):.2f}"
    '52.97'
    """
    return _CKD_EPI_2021.egfr(scr_mg_dl, age_years, female)


@published(
    quantity="eGFR",
    unit=EGFR,
    ages=ADULT,
    doi="10.7326/0003-4819-150-9-200905050-00006",
    shown=_CKD_EPI_2009.shown,
)
def ckd_epi_2009(*, scr_mg_dl: ArrayLike, age_years: ArrayLike, female: Flag) -> Result:
    """Estimate GFR by CKD-EPI (2009).

    141 min(S/k, 1)^a max(S/k, 1)^-1.209 0.993^age (1.018 if female), with k = 0.7, a = -0.329 in
    women and k = 0.9, a = -0.411 in men.

    Parameters
    ----------
    scr_mg_dl : array_like
        Serum creatinine, mg/dL (IDMS-traceable).
    age_years : array_like
        Age, years.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        eGFR, mL/min/1.73 m2. Published for adults from 18 years.

    Notes
    -----
    The printed equation has a further factor for race, which is not applied here.

    References
    ----------
    Levey AS, Stevens LA, Schmid CH, et al. A new equation to estimate glomerular filtration rate.
    Ann Intern Med 2009;150:604-612. doi:10.7326/0003-4819-150-9-200905050-00006

    Examples
    --------
    >>> f"{ckd_epi_2009(scr_mg_dl=0.7, age_years=50, female=True):.2f}"
    '101.03'
    """
    return _CKD_EPI_2009.egfr(scr_mg_dl, age_years, female)


@published(
    quantity="eGFR",
    unit=EGFR,
    ages=(18.0, 70.0),
    doi="10.7326/0003-4819-145-4-200608150-00004",
    shown=lambda female, **_: (
        "175 * {scr_mg_dl:g}^-1.154 * {age_years:g}^-0.203" + (" * 0.742" if female else "")
    ),
)
def mdrd(*, scr_mg_dl: ArrayLike, age_years: ArrayLike, female: Flag) -> Result:
    """Estimate GFR by the four-variable MDRD equation (2006).

    175 S^-1.154 age^-0.203 (0.742 if female).

    Parameters
    ----------
    scr_mg_dl : array_like
        Serum creatinine, mg/dL (IDMS-traceable).
    age_years : array_like
        Age, years.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        eGFR, mL/min/1.73 m2. The MDRD study enrolled adults of 18 to 70 years.

    Notes
    -----
    175 belongs to standardised creatinine (it was 186 before). Derived in kidney disease, it reads
    low above 60 mL/min/1.73 m2. The factor for race is not applied here.

    References
    ----------
    Levey AS, Coresh J, Greene T, et al. Using standardized serum creatinine values in the
    Modification of Diet in Renal Disease study equation for estimating glomerular filtration rate.
    Ann Intern Med 2006;145:247-254. doi:10.7326/0003-4819-145-4-200608150-00004

    Examples
    --------
    >>> f"{mdrd(scr_mg_dl=1.5, age_years=60, female=False):.2f}"
    '47.74'
    """
    sex = by_sex(female, 0.742, 1.0)
    return 175 * as_float(scr_mg_dl) ** -1.154 * as_float(age_years) ** -0.203 * sex


_FAS_YEARS = np.arange(1.0, 21.0)
_FAS_Q_CHILD = [0.26, 0.29, 0.31, 0.34, 0.38, 0.41, 0.44, 0.46, 0.49, 0.51, 0.53, 0.57, 0.59, 0.61]
_FAS_Q_FEMALE = np.array([*_FAS_Q_CHILD, 0.64, 0.67, 0.69, 0.69, 0.70, 0.70])
_FAS_Q_MALE = np.array([*_FAS_Q_CHILD, 0.72, 0.78, 0.82, 0.85, 0.88, 0.90])


def _fas_q_shown(*, age_years: float, female: bool) -> str:
    year = int(age_years)
    part = age_years - year
    here, after = (fas_q(age_years=y, female=female) for y in (year, year + 1))
    between = f" + {part:g} * ({after:g} - {here:g})" if part and here != after else ""
    return f"{here:g}{between}"


@published(
    quantity="SCR",
    unit="mg/dL",
    ages=(1.0, 120.0),
    doi="10.1093/ndt/gfv454",
    shown=_fas_q_shown,
)
def fas_q(*, age_years: ArrayLike, female: Flag) -> Result:
    """Return the median creatinine of healthy people, the Q of the FAS equation (2016).

    Parameters
    ----------
    age_years : array_like
        Age, years.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        Reference creatinine, mg/dL. Tabulated for 1 to 20 years, 0.70 (female) and 0.90 (male)
        above; NaN below 1 year.

    Notes
    -----
    The paper tabulates whole years. Interpolating linearly between them is our choice, because a
    child does not change on a birthday.

    References
    ----------
    Pottel H, Hoste L, Dubourg L, et al. An estimated glomerular filtration rate equation for the
    full age spectrum. Nephrol Dial Transplant 2016;31:798-806. doi:10.1093/ndt/gfv454

    Examples
    --------
    >>> f"{fas_q(age_years=5.5, female=True):.3f}"
    '0.395'
    """
    age = as_float(age_years)
    girl, boy = (np.interp(age, _FAS_YEARS, q, left=np.nan) for q in (_FAS_Q_FEMALE, _FAS_Q_MALE))
    return by_sex(female, girl, boy)


@published(
    quantity="eGFR",
    unit=EGFR,
    ages=(2.0, 120.0),
    doi="10.1093/ndt/gfv454",
    shown=lambda age_years, female, **_: (
        f"107.3 / ({{scr_mg_dl:g}}/{fas_q(age_years=age_years, female=female):g})"
        + _after_40_shown(0.988, age_years)
    ),
)
def fas(*, scr_mg_dl: ArrayLike, age_years: ArrayLike, female: Flag) -> Result:
    """Estimate GFR by the full age spectrum equation (2016).

    107.3 / (S/Q), times 0.988^(age - 40) after 40 years, with Q from `fas_q`.

    Parameters
    ----------
    scr_mg_dl : array_like
        Serum creatinine, mg/dL (IDMS-traceable).
    age_years : array_like
        Age, years.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        eGFR, mL/min/1.73 m2. Published from 2 years, with no upper age; NaN below 1 year, where Q
        is not tabulated.

    References
    ----------
    Pottel H, Hoste L, Dubourg L, et al. An estimated glomerular filtration rate equation for the
    full age spectrum. Nephrol Dial Transplant 2016;31:798-806. doi:10.1093/ndt/gfv454

    Examples
    --------
    >>> f"{fas(scr_mg_dl=0.38, age_years=5, female=True):.1f}"
    '107.3'
    """
    age = as_float(age_years)
    q = fas_q(age_years=age, female=female)
    return 107.3 / (as_float(scr_mg_dl) / q) * _after_40(0.988, age)


# ln Q = c0 + c1 age - c_ln ln(age) - c2 age^2 + c3 age^3, Q in umol/L; pairs are (female, male)
_EKFC_Q = ((3.080, 3.200), (0.177, 0.259), (0.223, 0.543), (0.00596, 0.00763), (6.86e-5, 7.90e-5))
_EKFC_Q_ADULT = (0.70, 0.90)


def _ekfc_q_shown(*, age_years: float, female: bool) -> str:
    if age_years > 25:
        return f"{by_sex(female, *_EKFC_Q_ADULT):g}"
    c0, c1, c_ln, c2, c3 = (by_sex(female, *pair) for pair in _EKFC_Q)
    return (
        f"exp({c0:g} + {c1:g} * {age_years:g} - {c_ln:g} * ln({age_years:g})"
        f" - {c2:g} * {age_years:g}^2 + {c3:.7f} * {age_years:g}^3) / {UMOL_L_PER_MG_DL:g}"
    )


@published(
    quantity="SCR",
    unit="mg/dL",
    ages=(2.0, 90.0),
    doi="10.7326/M20-4366",
    shown=_ekfc_q_shown,
)
def ekfc_q(*, age_years: ArrayLike, female: Flag) -> Result:
    """Return the median creatinine of healthy people, the Q of the EKFC equation (2021).

    Parameters
    ----------
    age_years : array_like
        Age, years.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        Reference creatinine, mg/dL. A curve from 2 to 25 years, 0.70 (female) and 0.90 (male)
        above; NaN below 2 years.

    Notes
    -----
    The curve is printed in umol/L and divided by 88.4 here. As printed it meets the adult value at
    25 years only roughly: Q steps down there, by 1.6 % in men and 0.9 % in women.

    References
    ----------
    Pottel H, Bjork J, Courbebaisse M, et al. Development and validation of a modified full age
    spectrum creatinine-based equation to estimate glomerular filtration rate. Ann Intern Med
    2021;174:183-191. doi:10.7326/M20-4366

    Examples
    --------
    >>> f"{ekfc_q(age_years=5, female=True):.3f}"
    '0.362'
    """
    age = as_float(age_years)
    c0, c1, c_ln, c2, c3 = (by_sex(female, *pair) for pair in _EKFC_Q)
    a = np.clip(age, 2, 25)  # avoids warnings of ln() where the curve is not used
    curve = np.exp(c0 + c1 * a - c_ln * np.log(a) - c2 * a**2 + c3 * a**3) / UMOL_L_PER_MG_DL
    bands = [age > 25, age >= 2]
    q: Array = np.select(bands, [by_sex(female, *_EKFC_Q_ADULT), curve], np.nan)[()]
    return q


def _ekfc_shown(*, scr_mg_dl: float, age_years: float, female: bool) -> str:
    q = ekfc_q(age_years=age_years, female=female)
    exponent = _bent_exponent(as_float(scr_mg_dl / q), -0.322, -1.132)
    return f"107.3 * ({scr_mg_dl:g}/{q:g})^{exponent:g}" + _after_40_shown(0.990, age_years)


@published(
    quantity="eGFR",
    unit=EGFR,
    ages=(2.0, 90.0),
    doi="10.7326/M20-4366",
    shown=_ekfc_shown,
)
def ekfc(*, scr_mg_dl: ArrayLike, age_years: ArrayLike, female: Flag) -> Result:
    """Estimate GFR by the European Kidney Function Consortium equation (2021).

    107.3 (S/Q)^-0.322 for S < Q, else 107.3 (S/Q)^-1.132, times 0.990^(age - 40) after 40 years,
    with Q from `ekfc_q`.

    Parameters
    ----------
    scr_mg_dl : array_like
        Serum creatinine, mg/dL (IDMS-traceable).
    age_years : array_like
        Age, years.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        eGFR, mL/min/1.73 m2. Published for 2 to 90 years; NaN below 2 years.

    Notes
    -----
    Continuous at S = Q and at 40 years; it inherits the small step of `ekfc_q` at 25 years.

    References
    ----------
    Pottel H, Bjork J, Courbebaisse M, et al. Development and validation of a modified full age
    spectrum creatinine-based equation to estimate glomerular filtration rate. Ann Intern Med
    2021;174:183-191. doi:10.7326/M20-4366

    Examples
    --------
    >>> f"{ekfc(scr_mg_dl=1.5, age_years=60, female=False):.2f}"
    '49.22'
    """
    age = as_float(age_years)
    ratio = as_float(as_float(scr_mg_dl) / ekfc_q(age_years=age, female=female))
    return 107.3 * ratio ** _bent_exponent(ratio, -0.322, -1.132) * _after_40(0.990, age)
