"""Estimated GFR of children, from height and creatinine."""

import numpy as np
from numpy.typing import ArrayLike

from fludapk.published.formulas.registry import (
    EGFR,
    Array,
    Flag,
    Result,
    as_float,
    by_sex,
    published,
)

# --- eGFR from creatinine and height --------------------------------------------------------------


@published(
    quantity="eGFR",
    unit=EGFR,
    ages=(1.0, 16.0),
    doi="10.1681/ASN.2008030287",
    shown="0.413 * {height_cm:g} cm / {scr_mg_dl:g} mg/dL",
)
def schwartz_bedside(*, scr_mg_dl: ArrayLike, height_cm: ArrayLike) -> Result:
    """Estimate GFR by the bedside Schwartz equation (2009), 0.413 H / S.

    Parameters
    ----------
    scr_mg_dl : array_like
        Serum creatinine, mg/dL (enzymatic).
    height_cm : array_like
        Height, cm.

    Returns
    -------
    np.float64 or ndarray
        eGFR, mL/min/1.73 m2. Published for 1 to 16 years.

    Notes
    -----
    Derived in children with chronic kidney disease. A child with leukaemia and little muscle has a
    low creatinine, and values far above 140 then say more about muscle than about kidneys.

    References
    ----------
    Schwartz GJ, Munoz A, Schneider MF, et al. New equations to estimate GFR in children with CKD.
    J Am Soc Nephrol 2009;20:629-637. doi:10.1681/ASN.2008030287

    Examples
    --------
    >>> f"{schwartz_bedside(scr_mg_dl=0.3, height_cm=110):.1f}"
    '151.4'
    """
    return 0.413 * as_float(height_cm) / as_float(scr_mg_dl)


def _schwartz_k(age_years: ArrayLike, female: Flag) -> Array:
    age = as_float(age_years)
    bands = [age < 1, age < 13, age <= 18]
    k: Array = np.select(bands, [0.45, 0.55, by_sex(female, 0.55, 0.70)], np.nan)[()]
    return k


@published(
    quantity="eGFR",
    unit=EGFR,
    ages=(0.0, 18.0),
    doi="10.2215/CJN.01640309",
    shown=lambda age_years, female, **_: (
        f"{_schwartz_k(age_years, female):g} * {{height_cm:g}} cm / {{scr_mg_dl:g}} mg/dL"
    ),
)
def schwartz_original(
    *, scr_mg_dl: ArrayLike, height_cm: ArrayLike, age_years: ArrayLike, female: Flag
) -> Result:
    """Estimate GFR by the original Schwartz equation (1976-1985), k H / S.

    Here k = 0.45 below 1 year (born at term), 0.55 in children and adolescent girls, 0.70 in boys
    from 13 years.

    Parameters
    ----------
    scr_mg_dl : array_like
        Serum creatinine, mg/dL (Jaffe method of the time).
    height_cm : array_like
        Height or length, cm.
    age_years : array_like
        Age, years.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        eGFR, mL/min/1.73 m2. Published up to 18 years; NaN above.

    Notes
    -----
    Today's enzymatic assays read lower than the Jaffe assay k was fitted to, so this equation
    overestimates with them; the bedside equation replaced it. The preterm k is left out.

    References
    ----------
    Schwartz GJ, Work DF. Measurement and estimation of GFR in children and adolescents. Clin J Am
    Soc Nephrol 2009;4:1832-1843. doi:10.2215/CJN.01640309 (review). The originals are Pediatrics
    1976;58:259-263 and J Pediatr 1984;104:849-854 and 1985;106:522-526.

    Examples
    --------
    >>> f"{schwartz_original(scr_mg_dl=0.7, height_cm=160, age_years=14, female=False):.1f}"
    '160.0'
    """
    return _schwartz_k(age_years, female) * as_float(height_cm) / as_float(scr_mg_dl)


_CKID_CHILD, _CKID_TEEN, _CKID_ADULT = (36.1, 39.0), (1.023, 1.045), (41.4, 50.8)  # female, male


def _ckid_u25_shown(*, scr_mg_dl: float, height_cm: float, age_years: float, female: bool) -> str:
    slope = 1.008 if age_years < 12 else by_sex(female, *_CKID_TEEN)
    k = (
        f"{by_sex(female, *_CKID_CHILD):g} * {slope:g}^({age_years:g} - 12)"
        if age_years < 18
        else f"{by_sex(female, *_CKID_ADULT):g}"
    )
    return f"{k} * {height_cm / 100:g} / {scr_mg_dl:g} mg/dL"


@published(
    quantity="eGFR",
    unit=EGFR,
    ages=(1.0, 25.0),
    doi="10.1016/j.kint.2020.10.047",
    shown=_ckid_u25_shown,
)
def ckid_u25(
    *, scr_mg_dl: ArrayLike, height_cm: ArrayLike, age_years: ArrayLike, female: Flag
) -> Result:
    """Estimate GFR by the CKiD under-25 equation (2021), k(age, sex) H[m] / S.

    Parameters
    ----------
    scr_mg_dl : array_like
        Serum creatinine, mg/dL (enzymatic).
    height_cm : array_like
        Height, cm.
    age_years : array_like
        Age, years.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        eGFR, mL/min/1.73 m2. Published for 1 to 25 years; NaN outside.

    Notes
    -----
    k is continuous at 12 years. At 18 years the printed constants, rounded to three digits, leave
    a step of 0.02 % (male) and 0.05 % (female).

    References
    ----------
    Pierce CB, Munoz A, Ng DK, et al. Age- and sex-dependent clinical equations to estimate
    glomerular filtration rates in children and young adults with chronic kidney disease. Kidney
    Int 2021;99:948-956. doi:10.1016/j.kint.2020.10.047

    Examples
    --------
    >>> f"{ckid_u25(scr_mg_dl=0.3, height_cm=110, age_years=5, female=True):.1f}"
    '125.2'
    """
    age = as_float(age_years)
    child = by_sex(female, *_CKID_CHILD)
    teen = by_sex(female, *_CKID_TEEN)
    bands = [age < 1, age < 12, age < 18, age <= 25]
    values = [
        as_float(np.nan),
        child * 1.008 ** (age - 12),
        child * teen ** (age - 12),
        by_sex(female, *_CKID_ADULT),
    ]
    k: Array = np.select(bands, values, np.nan)[()]
    return k * (as_float(height_cm) / 100) / as_float(scr_mg_dl)
