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


# --- Fat-free mass --------------------------------------------------------------------------------

_BY_BMI = 9270.0
_OF_WOMEN_AND_MEN = ((8780.0, 6680.0), (244.0, 216.0))
_MATURE = ((1.11, 0.88), (7.1, 13.4), (-1.1, -12.7))


def _adult_shown(*, weight_kg: float, height_cm: float, female: bool) -> str:
    base, slope = (by_sex(female, *pair) for pair in _OF_WOMEN_AND_MEN)
    return (
        f"9270 * {weight_kg:g} kg / ({base:g} + {slope:g} * {weight_kg:g} kg / "
        f"({height_cm:g} cm / 100)^2)"
    )


@published(
    quantity="weight",
    unit="kg",
    ages=ADULT,
    doi="10.2165/00003088-200544100-00004",
    shown=_adult_shown,
)
def janmahasatian(*, weight_kg: ArrayLike, height_cm: ArrayLike, female: Flag) -> Result:
    """Fat-free mass by Janmahasatian (2005), 9270 W / (8780 + 244 BMI) in women.

    9270 W / (6680 + 216 BMI) in men.

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
        Fat-free mass, kg. Published for adults.

    Notes
    -----
    The paper calls it lean body weight; Al-Sallami (2015) and others call the same equation
    fat-free mass.

    References
    ----------
    Janmahasatian S, Duffull SB, Ash S, Ward LC, Byrne NM, Green B. Quantification of lean
    bodyweight. Clin Pharmacokinet 2005;44:1051-1065. doi:10.2165/00003088-200544100-00004

    Examples
    --------
    >>> f"{janmahasatian(weight_kg=70, height_cm=176, female=False):.1f}"
    '56.1'
    """
    base, slope = (by_sex(female, *pair) for pair in _OF_WOMEN_AND_MEN)
    weight, height_m = as_float(weight_kg), as_float(height_cm) / 100
    return np.asarray(_BY_BMI * weight / (base + slope * weight / height_m**2))[()]


def _child_shown(*, age_years: float, weight_kg: float, height_cm: float, female: bool) -> str:
    most, half, power = (by_sex(female, *pair) for pair in _MATURE)
    adult = _adult_shown(weight_kg=weight_kg, height_cm=height_cm, female=female)
    return f"({most:g} + (1 - {most:g}) / (1 + ({age_years:g} / {half:g})^{power:g})) * {adult}"


@published(
    quantity="weight",
    unit="kg",
    ages=(3.0, 29.0),
    doi="10.1007/s40262-015-0277-z",
    shown=_child_shown,
)
def al_sallami(
    *, age_years: ArrayLike, weight_kg: ArrayLike, height_cm: ArrayLike, female: Flag
) -> Result:
    """Fat-free mass of children by Al-Sallami (2015): that of adults, with maturation.

    `janmahasatian` times 0.88 + 0.12 / (1 + (age / 13.4)^-12.7) in boys, and
    1.11 - 0.11 / (1 + (age / 7.1)^-1.1) in girls.

    Parameters
    ----------
    age_years : array_like
        Postnatal age, years.
    weight_kg : array_like
        Actual body weight, kg.
    height_cm : array_like
        Height or length, cm.
    female : bool or array of bool
        Sex.

    Returns
    -------
    np.float64 or ndarray
        Fat-free mass, kg. Made from children of 3 to 29 years; it tends to the equation of adults.

    Notes
    -----
    Models of younger children use it, too; their files say so.

    References
    ----------
    Al-Sallami HS, Goulding A, Grant A, Taylor R, Holford N, Duffull SB. Prediction of fat-free mass
    in children. Clin Pharmacokinet 2015;54:1169-1178. doi:10.1007/s40262-015-0277-z

    Examples
    --------
    >>> f"{al_sallami(age_years=5, weight_kg=18.2, height_cm=110, female=True):.1f}"
    '14.4'
    """
    most, half, power = (by_sex(female, *pair) for pair in _MATURE)
    with np.errstate(divide="ignore"):  # at birth
        mature = most + (1 - most) / (1 + (as_float(age_years) / half) ** power)
    adult = janmahasatian(weight_kg=weight_kg, height_cm=height_cm, female=female)
    return np.asarray(mature * adult)[()]


@published(
    quantity="weight",
    unit="kg",
    doi="10.2133/dmpk.24.25",
    shown="{ffm_kg:.6g} kg + {fat_fraction:g} * ({weight_kg:g} kg - {ffm_kg:.6g} kg)",
)
def normal_fat_mass(*, ffm_kg: ArrayLike, weight_kg: ArrayLike, fat_fraction: ArrayLike) -> Result:
    """Normal fat mass by Anderson and Holford (2009): FFM + Ffat (weight - FFM).

    Parameters
    ----------
    ffm_kg : array_like
        Fat-free mass, kg.
    weight_kg : array_like
        Actual body weight, kg.
    fat_fraction : array_like
        Ffat, the part of fat that counts as size: 0 is fat-free mass, 1 is weight. An estimate of
        the model that uses it.

    Returns
    -------
    np.float64 or ndarray
        Normal fat mass, kg. Used at any age.

    References
    ----------
    Anderson BJ, Holford NHG. Mechanistic basis of using body size and maturation to predict
    clearance in humans. Drug Metab Pharmacokinet 2009;24:25-36. doi:10.2133/dmpk.24.25

    Examples
    --------
    >>> f"{normal_fat_mass(ffm_kg=56.1, weight_kg=70, fat_fraction=0.5):.2f}"
    '63.05'
    """
    lean = as_float(ffm_kg)
    return np.asarray(lean + as_float(fat_fraction) * (as_float(weight_kg) - lean))[()]


# --- Age from conception --------------------------------------------------------------------------

WEEKS_PER_YEAR = 365.25 / 7
TERM_WEEKS = 40.0


@published(
    quantity="age",
    unit="weeks",
    doi="10.1542/peds.2004-1915",
    shown="{age_years:g} * 365.25 / 7 + {gestational_age_weeks:g}",
)
def postmenstrual_age(*, age_years: ArrayLike, gestational_age_weeks: ArrayLike) -> Result:
    """Postmenstrual age: gestational age at birth and postnatal age, weeks.

    Parameters
    ----------
    age_years : array_like
        Postnatal age, years of 365.25 days.
    gestational_age_weeks : array_like
        Gestational age at birth, weeks; a term birth has 40.

    Returns
    -------
    np.float64 or ndarray
        Postmenstrual age, weeks. Used at any age.

    References
    ----------
    American Academy of Pediatrics, Committee on Fetus and Newborn. Age terminology during the
    perinatal period. Pediatrics 2004;114:1362-1364. doi:10.1542/peds.2004-1915

    Examples
    --------
    >>> f"{postmenstrual_age(age_years=0.5, gestational_age_weeks=28):.1f}"
    '54.1'
    """
    weeks = as_float(age_years) * WEEKS_PER_YEAR + as_float(gestational_age_weeks)
    return np.asarray(weeks)[()]
