"""Body surface area, and weights that leave fat out."""

import numpy as np
from numpy.typing import ArrayLike

from fludapk.published.formulas.registry import ADULT, Flag, Result, as_float, by_sex, published

# --- Body surface area ----------------------------------------------------------------------------


@published(
    quantity="BSA",
    unit="m2",
    doi="10.1056/NEJM198710223171717",
    shown="√({height_cm:g} cm * {weight_kg:g} kg / 3600)",
)
def mosteller(*, height_cm: ArrayLike, weight_kg: ArrayLike) -> Result:
    """Estimate body surface area by Mosteller (1987), sqrt(H W / 3600).

    Parameters
    ----------
    height_cm : array_like
        Height or length, cm.
    weight_kg : array_like
        Body weight, kg.

    Returns
    -------
    np.float64 or ndarray
        Body surface area, m2. Used at any age.

    Notes
    -----
    A rounding of the Gehan and George formula that fits a pocket calculator; the letter states no
    ages.

    References
    ----------
    Mosteller RD. Simplified calculation of body-surface area. N Engl J Med 1987;317:1098.
    doi:10.1056/NEJM198710223171717

    Examples
    --------
    >>> f"{mosteller(height_cm=170, weight_kg=70):.4f}"
    '1.8181'
    """
    return np.sqrt(as_float(height_cm) * as_float(weight_kg) / 3600)


@published(
    quantity="BSA",
    unit="m2",
    ages=ADULT,
    doi="10.1001/archinte.1916.00080130010002",
    shown="0.007184 * {weight_kg:g}^0.425 * {height_cm:g}^0.725",
)
def du_bois(*, height_cm: ArrayLike, weight_kg: ArrayLike) -> Result:
    """Estimate body surface area by Du Bois and Du Bois (1916), 0.007184 W^0.425 H^0.725.

    Parameters
    ----------
    height_cm : array_like
        Height or length, cm.
    weight_kg : array_like
        Body weight, kg.

    Returns
    -------
    np.float64 or ndarray
        Body surface area, m2. Listed here for adults from 18 years.

    Notes
    -----
    Fitted to nine people. The paper states no age limit; adults only is our cautious reading, as
    the formula falls below the other three in infants.

    References
    ----------
    Du Bois D, Du Bois EF. A formula to estimate the approximate surface area if height and weight
    be known. Arch Intern Med 1916;17:863-871. doi:10.1001/archinte.1916.00080130010002

    Examples
    --------
    >>> f"{du_bois(height_cm=170, weight_kg=70):.4f}"
    '1.8097'
    """
    return 0.007184 * as_float(weight_kg) ** 0.425 * as_float(height_cm) ** 0.725


@published(
    quantity="BSA",
    unit="m2",
    doi="10.1016/S0022-3476(78)80601-5",
    shown="0.024265 * {weight_kg:g}^0.5378 * {height_cm:g}^0.3964",
)
def haycock(*, height_cm: ArrayLike, weight_kg: ArrayLike) -> Result:
    """Estimate body surface area by Haycock (1978), 0.024265 W^0.5378 H^0.3964.

    Parameters
    ----------
    height_cm : array_like
        Height or length, cm.
    weight_kg : array_like
        Body weight, kg.

    Returns
    -------
    np.float64 or ndarray
        Body surface area, m2. Published for infants, children and adults.

    Notes
    -----
    Fitted to 81 people whose surface was measured geometrically.

    References
    ----------
    Haycock GB, Schwartz GJ, Wisotsky DH. Geometric method for measuring body surface area: a
    height-weight formula validated in infants, children, and adults. J Pediatr 1978;93:62-66.
    doi:10.1016/S0022-3476(78)80601-5

    Examples
    --------
    >>> f"{haycock(height_cm=75, weight_kg=9.5):.4f}"
    '0.4509'
    """
    return 0.024265 * as_float(weight_kg) ** 0.5378 * as_float(height_cm) ** 0.3964


@published(
    quantity="BSA",
    unit="m2",
    doi="PMID 5527019",
    shown="0.0235 * {weight_kg:g}^0.51456 * {height_cm:g}^0.42246",
)
def gehan_george(*, height_cm: ArrayLike, weight_kg: ArrayLike) -> Result:
    """Estimate body surface area by Gehan and George (1970), 0.0235 W^0.51456 H^0.42246.

    Parameters
    ----------
    height_cm : array_like
        Height or length, cm.
    weight_kg : array_like
        Body weight, kg.

    Returns
    -------
    np.float64 or ndarray
        Body surface area, m2. Published for children and adults.

    Notes
    -----
    Fitted to 401 direct measurements.

    References
    ----------
    Gehan EA, George SL. Estimation of human body surface area from height and weight. Cancer
    Chemother Rep 1970;54:225-235. PMID 5527019 (no DOI).

    Examples
    --------
    >>> f"{gehan_george(height_cm=110, weight_kg=18):.4f}"
    '0.7575'
    """
    return 0.0235 * as_float(weight_kg) ** 0.51456 * as_float(height_cm) ** 0.42246


# --- Ideal and adjusted weight --------------------------------------------------------------------

_CM_PER_INCH = 2.54
_DEVINE_KG = (45.5, 50.0)  # women, men of 60 inches
_DEVINE_KG_PER_INCH = 2.3
_DEVINE_INCHES = 60.0
_PART_OF_EXCESS = 0.4


def _devine_shown(*, height_cm: float, female: bool) -> str:
    return f"{by_sex(female, *_DEVINE_KG):g} + 2.3 * ({height_cm:g} cm / 2.54 - 60)"


@published(
    quantity="weight",
    unit="kg",
    ages=ADULT,
    doi="10.1177/106002807400801104",
    shown=_devine_shown,
)
def devine(*, height_cm: ArrayLike, female: Flag) -> Result:
    """Ideal body weight by Devine (1974): 2.3 kg for every inch above 5 feet.

    45.5 kg (women) or 50 kg (men) + 2.3 (H / 2.54 - 60).

    Parameters
    ----------
    height_cm : array_like
        Height, cm.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        Ideal weight, kg. For adults; NaN below 60 inches (152.4 cm), of which the paper says
        nothing.

    Notes
    -----
    Given without data, for doses of gentamicin. Pai and Paloucek (Ann Pharmacother 2000;34:1066)
    tell where it came from.

    References
    ----------
    Devine BJ. Gentamicin therapy. Drug Intell Clin Pharm 1974;8:650-655.
    doi:10.1177/106002807400801104

    Examples
    --------
    >>> f"{devine(height_cm=177.8, female=False):.1f}"
    '73.0'
    """
    inches = as_float(height_cm) / _CM_PER_INCH - _DEVINE_INCHES
    ideal = by_sex(female, *_DEVINE_KG) + _DEVINE_KG_PER_INCH * inches
    return np.where(inches >= 0, ideal, np.nan)[()]


def _adjusted_shown(*, weight_kg: float, height_cm: float, female: bool) -> str:
    ideal = f"{devine(height_cm=height_cm, female=female):.10g}"
    return f"{ideal} kg + 0.4 * ({weight_kg:g} kg - {ideal} kg)"


@published(
    quantity="weight",
    unit="kg",
    ages=ADULT,
    doi="10.1002/j.1875-9114.2012.01098.x",
    shown=_adjusted_shown,
)
def adjusted_weight(*, weight_kg: ArrayLike, height_cm: ArrayLike, female: Flag) -> Result:
    """Adjusted body weight: ideal + 0.4 (actual - ideal), with the ideal weight of `devine`.

    Parameters
    ----------
    weight_kg : array_like
        Actual body weight, kg.
    height_cm : array_like
        Height, cm.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        Adjusted weight, kg. For adults; NaN where `devine` is.

    Notes
    -----
    The factor comes from doses of aminoglycosides in morbid obesity (Bauer 1983). Winter (2012)
    found Cockcroft-Gault with it least biased in overweight and obese patients.

    References
    ----------
    Winter MA, Guhr KN, Berg GM. Impact of various body weights and serum creatinine concentrations
    on the bias and accuracy of the Cockcroft-Gault equation. Pharmacotherapy 2012;32:604-612.
    doi:10.1002/j.1875-9114.2012.01098.x
    Bauer LA, Edwards WAD, Dellinger EP, Simonowitz DA. Influence of weight on aminoglycoside
    pharmacokinetics in normal weight and morbidly obese patients. Eur J Clin Pharmacol
    1983;24:643-647. doi:10.1007/BF00542215

    Examples
    --------
    >>> f"{adjusted_weight(weight_kg=125, height_cm=177.8, female=False):.1f}"
    '93.8'
    """
    ideal = devine(height_cm=height_cm, female=female)
    return ideal + _PART_OF_EXCESS * (as_float(weight_kg) - ideal)
