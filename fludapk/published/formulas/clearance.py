"""Creatinine clearance, conversions of GFR, and caps."""

import numpy as np
from numpy.typing import ArrayLike

from fludapk.published.formulas.registry import EGFR, Flag, Result, as_float, by_sex, published

_BSA_REFERENCE_M2 = 1.73
_WEIGHT_REFERENCE_KG = 70.0
_L_H_PER_ML_MIN = 0.06


# --- Creatinine clearance -------------------------------------------------------------------------


@published(
    quantity="CrCl",
    unit="mL/min",
    ages=(18.0, 92.0),
    doi="10.1159/000180580",
    shown=lambda female, **_: (
        "(140 - {age_years:g}) * {weight_kg:g} kg / (72 * {scr_mg_dl:g} mg/dL)"
        + (" * 0.85" if female else "")
    ),
)
def cockcroft_gault(
    *, scr_mg_dl: ArrayLike, age_years: ArrayLike, weight_kg: ArrayLike, female: Flag
) -> Result:
    """Estimate creatinine clearance by Cockcroft and Gault (1976).

    (140 - age) W / (72 S), times 0.85 if female.

    Parameters
    ----------
    scr_mg_dl : array_like
        Serum creatinine, mg/dL.
    age_years : array_like
        Age, years.
    weight_kg : array_like
        Body weight, kg.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        Creatinine clearance, mL/min, of the whole body: not per 1.73 m2. Derived in patients of 18
        to 92 years.

    Notes
    -----
    It predates standardised creatinine. Almost all patients were men; 0.85 was not estimated from
    women of that study. Actual weight is expected; choosing another weight is up to the caller.

    References
    ----------
    Cockcroft DW, Gault MH. Prediction of creatinine clearance from serum creatinine. Nephron
    1976;16:31-41. doi:10.1159/000180580

    Examples
    --------
    >>> f"{cockcroft_gault(scr_mg_dl=0.9, age_years=63, weight_kg=80, female=False):.2f}"
    '95.06'
    """
    sex = by_sex(female, 0.85, 1.0)
    return (140 - as_float(age_years)) * as_float(weight_kg) / (72 * as_float(scr_mg_dl)) * sex


# --- GFR from one unit to another -----------------------------------------------------------------


@published(
    quantity="GFR",
    unit="mL/min",
    doi="10.1111/j.1475-097X.2006.00718.x",
    shown="{egfr_ml_min_1_73m2:g} * {bsa_m2:g} m2 / 1.73 m2",
)
def deindex_gfr(*, egfr_ml_min_1_73m2: ArrayLike, bsa_m2: ArrayLike) -> Result:
    """Convert GFR per 1.73 m2 to GFR of the whole body, eGFR BSA / 1.73.

    Parameters
    ----------
    egfr_ml_min_1_73m2 : array_like
        GFR per body surface area, mL/min/1.73 m2.
    bsa_m2 : array_like
        Body surface area, m2.

    Returns
    -------
    np.float64 or ndarray
        Absolute GFR, mL/min. Any age.

    Notes
    -----
    1.73 m2 is a convention, not the surface of today's average adult.

    References
    ----------
    Heaf JG. The origin of the 1.73-m2 body surface area normalization: problems and implications.
    Clin Physiol Funct Imaging 2007;27:135-137. doi:10.1111/j.1475-097X.2006.00718.x

    Examples
    --------
    >>> f"{deindex_gfr(egfr_ml_min_1_73m2=140, bsa_m2=0.5468):.2f}"
    '44.25'
    """
    return as_float(egfr_ml_min_1_73m2) * as_float(bsa_m2) / _BSA_REFERENCE_M2


@published(
    quantity="GFR",
    unit=EGFR,
    doi="10.1111/j.1475-097X.2006.00718.x",
    shown="{gfr_ml_min:g} mL/min * 1.73 m2 / {bsa_m2:g} m2",
)
def index_gfr(*, gfr_ml_min: ArrayLike, bsa_m2: ArrayLike) -> Result:
    """Convert GFR of the whole body to GFR per 1.73 m2, GFR 1.73 / BSA.

    Parameters
    ----------
    gfr_ml_min : array_like
        Absolute GFR, mL/min.
    bsa_m2 : array_like
        Body surface area, m2.

    Returns
    -------
    np.float64 or ndarray
        GFR per body surface area, mL/min/1.73 m2. Any age.

    Notes
    -----
    A creatinine clearance indexed this way is still a creatinine clearance.

    References
    ----------
    Heaf JG. The origin of the 1.73-m2 body surface area normalization: problems and implications.
    Clin Physiol Funct Imaging 2007;27:135-137. doi:10.1111/j.1475-097X.2006.00718.x

    Examples
    --------
    >>> f"{index_gfr(gfr_ml_min=95.06, bsa_m2=2.0):.2f}"
    '82.23'
    """
    return as_float(gfr_ml_min) * _BSA_REFERENCE_M2 / as_float(bsa_m2)


@published(
    quantity="GFR",
    unit="L/h/70kg",
    doi="10.1007/s40262-018-0715-9",
    shown="{egfr_ml_min_1_73m2:g} * {bsa_m2:g} m2 / 1.73 m2 * 0.06 * 70 kg / {weight_kg:g} kg",
)
def gfr_l_h_per_70kg(
    *, egfr_ml_min_1_73m2: ArrayLike, bsa_m2: ArrayLike, weight_kg: ArrayLike
) -> Result:
    """Convert GFR to absolute L/h, scaled by weight to 70 kg: eGFR BSA / 1.73 * 0.06 * 70 / W.

    Parameters
    ----------
    egfr_ml_min_1_73m2 : array_like
        GFR per body surface area, mL/min/1.73 m2.
    bsa_m2 : array_like
        Body surface area, m2.
    weight_kg : array_like
        Body weight, kg.

    Returns
    -------
    np.float64 or ndarray
        GFR in L/h per 70 kg. Any age.

    Notes
    -----
    One of two readings of how eGFR enters the clearance of the cited model, which reports GFR in
    L/h per kg; `egfr_l_h` is the other. They agree for an adult and part for a toddler, who has
    much surface for little weight.

    References
    ----------
    Langenhorst JB, Dorlo TPC, van Maarseveen EM, et al. Population pharmacokinetics of fludarabine
    in children and adults during conditioning prior to allogeneic hematopoietic cell
    transplantation. Clin Pharmacokinet 2019;58:627-637. doi:10.1007/s40262-018-0715-9

    Examples
    --------
    >>> f"{gfr_l_h_per_70kg(egfr_ml_min_1_73m2=140, bsa_m2=0.5468, weight_kg=12.4):.2f}"
    '14.99'
    """
    gfr_ml_min = deindex_gfr(egfr_ml_min_1_73m2=egfr_ml_min_1_73m2, bsa_m2=bsa_m2)
    return gfr_ml_min * _L_H_PER_ML_MIN * _WEIGHT_REFERENCE_KG / as_float(weight_kg)


@published(
    quantity="GFR",
    unit="L/h/1.73 m2",
    doi="10.1007/s40262-018-0715-9",
    shown="{egfr_ml_min_1_73m2:g} * 0.06",
)
def egfr_l_h(*, egfr_ml_min_1_73m2: ArrayLike) -> Result:
    """Convert GFR to L/h, still per 1.73 m2: eGFR * 0.06.

    Parameters
    ----------
    egfr_ml_min_1_73m2 : array_like
        GFR per body surface area, mL/min/1.73 m2.

    Returns
    -------
    np.float64 or ndarray
        GFR per body surface area, L/h/1.73 m2. Any age.

    Notes
    -----
    The other reading of the model cited under `gfr_l_h_per_70kg`.

    References
    ----------
    Langenhorst JB, Dorlo TPC, van Maarseveen EM, et al. Population pharmacokinetics of fludarabine
    in children and adults during conditioning prior to allogeneic hematopoietic cell
    transplantation. Clin Pharmacokinet 2019;58:627-637. doi:10.1007/s40262-018-0715-9

    Examples
    --------
    >>> f"{egfr_l_h(egfr_ml_min_1_73m2=140):.1f}"
    '8.4'
    """
    return as_float(egfr_ml_min_1_73m2) * _L_H_PER_ML_MIN


# --- Age caps -------------------------------------------------------------------------------------


def capped_by_knots(*, value: ArrayLike, at: ArrayLike, knots: ArrayLike) -> Result:
    """Return a value, or the cap at its position where that is smaller.

    Parameters
    ----------
    value : array_like
        Value to be capped, any unit.
    at : array_like
        Position at which to read the cap: the age in years, for a cap by age.
    knots : array_like, shape (k, 2)
        Rows (position, cap) with increasing positions. The cap runs straight between them and
        stays flat beyond both ends.

    Returns
    -------
    np.float64 or ndarray
        The smaller of the two, in the unit of `value`. The valid ages are those of the knots'
        source.

    References
    ----------
    The knots below: Langenhorst JB, Dorlo TPC, van Maarseveen EM, et al. Clin Pharmacokinet
    2019;58:627-637. doi:10.1007/s40262-018-0715-9

    Examples
    --------
    >>> egfr_by_age = [[0, 35], [1.5, 140], [30, 140], [100, 84]]
    >>> print(capped_by_knots(value=151.4, at=[0.5, 5, 60], knots=egfr_by_age))
    [ 70. 140. 116.]
    """
    table = as_float(knots)
    if table.ndim != 2 or table.shape[1] != 2 or not np.all(np.diff(table[:, 0]) > 0):
        raise ValueError("knots must be rows (position, cap) with increasing positions")
    cap: Result = np.interp(as_float(at), table[:, 0], table[:, 1])
    return np.minimum(as_float(value), cap)
