"""Published formulas: body surface area, kidney function, growth. One formula per function.

Every argument is keyword-only and carries its unit in its name. A number gives an ``np.float64``,
arrays broadcast against each other. Formulas compute and do not judge: inputs are taken to be
physically possible, NaN comes back where a formula is not defined, and the ages for which it was
published stand in `FORMULAS`, for the caller to act on.

Two kinds of kidney function are kept apart, because they are different quantities: creatinine
clearance (CrCl, mL/min) and estimated glomerular filtration rate (eGFR, mL/min/1.73 m2).

Examples
--------
>>> formula = FORMULAS["schwartz_bedside"]
>>> formula.unit, formula.ages, formula.needs
('mL/min/1.73 m2', (1.0, 16.0), ('scr_mg_dl', 'height_cm'))
>>> f"{formula.function(scr_mg_dl=0.3, height_cm=110):.1f}"
'151.4'
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FORMULAS",
    "Formula",
    "capped_by_knots",
    "ckd_epi_2009",
    "ckd_epi_2021",
    "ckid_u25",
    "cockcroft_gault",
    "deindex_gfr",
    "du_bois",
    "egfr_l_h",
    "ekfc",
    "ekfc_q",
    "fas",
    "fas_q",
    "gehan_george",
    "gfr_l_h_per_70kg",
    "haycock",
    "index_gfr",
    "lms_value",
    "lms_zscore",
    "mdrd",
    "mosteller",
    "schwartz_bedside",
    "schwartz_original",
]

Array: TypeAlias = NDArray[np.float64]
Result: TypeAlias = np.float64 | Array
Flag: TypeAlias = bool | np.bool_ | NDArray[np.bool_] | list[bool]
_F = TypeVar("_F", bound=Callable[..., Result])

_EGFR = "mL/min/1.73 m2"
_ANY_AGE = (0.0, 120.0)
_ADULT = (18.0, 120.0)
_UMOL_L_PER_MG_DL = 88.4  # creatinine, 113.12 g/mol
_BSA_REFERENCE_M2 = 1.73
_WEIGHT_REFERENCE_KG = 70.0
_L_H_PER_ML_MIN = 0.06


# --- The registry ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Formula:
    """What a reader needs to know about a formula before trusting its number.

    Attributes
    ----------
    name : str
        Name of the function.
    function : callable
        The function itself.
    quantity : str
        "BSA", "eGFR", "CrCl", "GFR" (conversions) or "SCR" (reference creatinine).
    unit : str
        Unit of the returned value.
    ages : tuple of float
        First and last age in years for which the formula was published.
    needs : tuple of str
        Names of the arguments.
    doi : str
        DOI of the source; "PMID ..." for the one paper that has none.
    shown : str or callable
        Arithmetic as a `str.format` template over the arguments, or a function of the arguments
        that returns one.
    """

    name: str
    function: Callable[..., Result]
    quantity: str
    unit: str
    ages: tuple[float, float]
    needs: tuple[str, ...]
    doi: str
    shown: str | Callable[..., str]

    def explain(self, **arguments: float) -> str:
        """Write out the arithmetic that a second person would redo by hand.

        Parameters
        ----------
        **arguments : float
            The arguments of the formula, numbers only. They are printed to six digits.

        Returns
        -------
        str
            The arithmetic, or a sentence saying that the formula is not defined here.
        """
        if np.isnan(self.function(**arguments)):
            first, last = self.ages
            return f"undefined here: {self.name} was published for {first:g} to {last:g} years"
        template = self.shown if isinstance(self.shown, str) else self.shown(**arguments)
        return template.format(**arguments).translate(_TYPESET)


FORMULAS: dict[str, Formula] = {}
_TYPESET = str.maketrans({"*": "\N{MULTIPLICATION SIGN}", "-": "\N{MINUS SIGN}"})


def published(
    *,
    quantity: str,
    unit: str,
    doi: str,
    shown: str | Callable[..., str],
    ages: tuple[float, float] = _ANY_AGE,
) -> Callable[[_F], _F]:
    """Enter a function in `FORMULAS` and return it unchanged."""

    def register(function: _F) -> _F:
        name = function.__name__
        needs = tuple(inspect.signature(function).parameters)
        FORMULAS[name] = Formula(name, function, quantity, unit, ages, needs, doi, shown)
        return function

    return register


# --- Shapes shared by several formulas ------------------------------------------------------------


def _float(value: ArrayLike) -> Array:
    return np.asarray(value, dtype=np.float64)


def _by_sex(female: Flag, if_female: ArrayLike, if_male: ArrayLike) -> Array:
    flag = np.asarray(female)
    if flag.dtype != np.bool_:  # "male" and NaN are true to Python
        raise TypeError(f"female must be True or False, or an array of them, not {female!r}")
    result: Array = np.where(flag, if_female, if_male)[()]
    return result


def _bent_exponent(ratio: Array, below: ArrayLike, above: ArrayLike) -> Array:
    """Exponent of min(ratio, 1)^below * max(ratio, 1)^above: one of the two factors is always 1."""
    result: Array = np.where(ratio < 1, below, above)[()]
    return result


def _after_40(per_year: float, age: Array) -> Result:
    return per_year ** np.maximum(age - 40, 0.0)


def _after_40_shown(per_year: float, age: float) -> str:
    return f" * {per_year:g}^({age:g} - 40)" if age > 40 else ""


class _CkdEpi(NamedTuple):
    """The constants by which the CKD-EPI creatinine equations differ; pairs are (female, male)."""

    scale: float
    below: tuple[float, float]
    above: float
    per_year: float
    if_female: float

    def _terms(self, scr: Array, female: Flag) -> tuple[Array, Array]:
        knee = _by_sex(female, 0.7, 0.9)
        return knee, _bent_exponent(scr / knee, _by_sex(female, *self.below), self.above)

    def egfr(self, scr_mg_dl: ArrayLike, age_years: ArrayLike, female: Flag) -> Result:
        scr = _float(scr_mg_dl)
        knee, exponent = self._terms(scr, female)
        sex = _by_sex(female, self.if_female, 1.0)
        return self.scale * (scr / knee) ** exponent * self.per_year ** _float(age_years) * sex

    def shown(self, *, scr_mg_dl: float, age_years: float, female: bool) -> str:
        knee, exponent = self._terms(_float(scr_mg_dl), female)
        return (
            f"{self.scale:g} * ({scr_mg_dl:g}/{knee:g})^{exponent:g}"
            f" * {self.per_year:g}^{age_years:g}"
        ) + (f" * {self.if_female:g}" if female else "")


# --- Body surface area ----------------------------------------------------------------------------


@published(
    quantity="BSA",
    unit="m2",
    doi="10.1056/NEJM198710223171717",
    shown="√({height_cm:g} cm * {weight_kg:g} kg / 3600)",
)
def mosteller(*, height_cm: ArrayLike, weight_kg: ArrayLike) -> Result:
    """Body surface area by Mosteller (1987), sqrt(H W / 3600).

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
    return np.sqrt(_float(height_cm) * _float(weight_kg) / 3600)


@published(
    quantity="BSA",
    unit="m2",
    ages=_ADULT,
    doi="10.1001/archinte.1916.00080130010002",
    shown="0.007184 * {weight_kg:g}^0.425 * {height_cm:g}^0.725",
)
def du_bois(*, height_cm: ArrayLike, weight_kg: ArrayLike) -> Result:
    """Body surface area by Du Bois and Du Bois (1916), 0.007184 W^0.425 H^0.725.

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
    return 0.007184 * _float(weight_kg) ** 0.425 * _float(height_cm) ** 0.725


@published(
    quantity="BSA",
    unit="m2",
    doi="10.1016/S0022-3476(78)80601-5",
    shown="0.024265 * {weight_kg:g}^0.5378 * {height_cm:g}^0.3964",
)
def haycock(*, height_cm: ArrayLike, weight_kg: ArrayLike) -> Result:
    """Body surface area by Haycock (1978), 0.024265 W^0.5378 H^0.3964.

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
    return 0.024265 * _float(weight_kg) ** 0.5378 * _float(height_cm) ** 0.3964


@published(
    quantity="BSA",
    unit="m2",
    doi="PMID 5527019",
    shown="0.0235 * {weight_kg:g}^0.51456 * {height_cm:g}^0.42246",
)
def gehan_george(*, height_cm: ArrayLike, weight_kg: ArrayLike) -> Result:
    """Body surface area by Gehan and George (1970), 0.0235 W^0.51456 H^0.42246.

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
    return 0.0235 * _float(weight_kg) ** 0.51456 * _float(height_cm) ** 0.42246


# --- eGFR from creatinine and height --------------------------------------------------------------


@published(
    quantity="eGFR",
    unit=_EGFR,
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
    return 0.413 * _float(height_cm) / _float(scr_mg_dl)


def _schwartz_k(age_years: ArrayLike, female: Flag) -> Array:
    age = _float(age_years)
    bands = [age < 1, age < 13, age <= 18]
    k: Array = np.select(bands, [0.45, 0.55, _by_sex(female, 0.55, 0.70)], np.nan)[()]
    return k


@published(
    quantity="eGFR",
    unit=_EGFR,
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
    return _schwartz_k(age_years, female) * _float(height_cm) / _float(scr_mg_dl)


_CKID_CHILD, _CKID_TEEN, _CKID_ADULT = (36.1, 39.0), (1.023, 1.045), (41.4, 50.8)  # female, male


def _ckid_u25_shown(*, scr_mg_dl: float, height_cm: float, age_years: float, female: bool) -> str:
    slope = 1.008 if age_years < 12 else _by_sex(female, *_CKID_TEEN)
    k = (
        f"{_by_sex(female, *_CKID_CHILD):g} * {slope:g}^({age_years:g} - 12)"
        if age_years < 18
        else f"{_by_sex(female, *_CKID_ADULT):g}"
    )
    return f"{k} * {height_cm / 100:g} / {scr_mg_dl:g} mg/dL"


@published(
    quantity="eGFR",
    unit=_EGFR,
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
    age = _float(age_years)
    child = _by_sex(female, *_CKID_CHILD)
    teen = _by_sex(female, *_CKID_TEEN)
    bands = [age < 1, age < 12, age < 18, age <= 25]
    values = [
        _float(np.nan),
        child * 1.008 ** (age - 12),
        child * teen ** (age - 12),
        _by_sex(female, *_CKID_ADULT),
    ]
    k: Array = np.select(bands, values, np.nan)[()]
    return k * (_float(height_cm) / 100) / _float(scr_mg_dl)


# --- eGFR from creatinine, age and sex ------------------------------------------------------------

_CKD_EPI_2009 = _CkdEpi(141.0, (-0.329, -0.411), -1.209, 0.993, 1.018)
_CKD_EPI_2021 = _CkdEpi(142.0, (-0.241, -0.302), -1.200, 0.9938, 1.012)


@published(
    quantity="eGFR",
    unit=_EGFR,
    ages=_ADULT,
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
    unit=_EGFR,
    ages=_ADULT,
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
    unit=_EGFR,
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
    sex = _by_sex(female, 0.742, 1.0)
    return 175 * _float(scr_mg_dl) ** -1.154 * _float(age_years) ** -0.203 * sex


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
    """Median creatinine of healthy people of this age and sex, the Q of the FAS equation (2016).

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
    The paper tabulates whole years. Going linearly from one to the next is our choice: a child
    does not change overnight on a birthday.

    References
    ----------
    Pottel H, Hoste L, Dubourg L, et al. An estimated glomerular filtration rate equation for the
    full age spectrum. Nephrol Dial Transplant 2016;31:798-806. doi:10.1093/ndt/gfv454

    Examples
    --------
    >>> f"{fas_q(age_years=5.5, female=True):.3f}"
    '0.395'
    """
    age = _float(age_years)
    girl, boy = (np.interp(age, _FAS_YEARS, q, left=np.nan) for q in (_FAS_Q_FEMALE, _FAS_Q_MALE))
    return _by_sex(female, girl, boy)


@published(
    quantity="eGFR",
    unit=_EGFR,
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
    age = _float(age_years)
    q = fas_q(age_years=age, female=female)
    return 107.3 / (_float(scr_mg_dl) / q) * _after_40(0.988, age)


# ln Q = c0 + c1 age - c_ln ln(age) - c2 age^2 + c3 age^3, Q in umol/L; pairs are (female, male)
_EKFC_Q = ((3.080, 3.200), (0.177, 0.259), (0.223, 0.543), (0.00596, 0.00763), (6.86e-5, 7.90e-5))
_EKFC_Q_ADULT = (0.70, 0.90)


def _ekfc_q_shown(*, age_years: float, female: bool) -> str:
    if age_years > 25:
        return f"{_by_sex(female, *_EKFC_Q_ADULT):g}"
    c0, c1, c_ln, c2, c3 = (_by_sex(female, *pair) for pair in _EKFC_Q)
    return (
        f"exp({c0:g} + {c1:g} * {age_years:g} - {c_ln:g} * ln({age_years:g})"
        f" - {c2:g} * {age_years:g}^2 + {c3:.7f} * {age_years:g}^3) / {_UMOL_L_PER_MG_DL:g}"
    )


@published(
    quantity="SCR",
    unit="mg/dL",
    ages=(2.0, 90.0),
    doi="10.7326/M20-4366",
    shown=_ekfc_q_shown,
)
def ekfc_q(*, age_years: ArrayLike, female: Flag) -> Result:
    """Median creatinine of healthy people of this age and sex, the Q of the EKFC equation (2021).

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
    age = _float(age_years)
    c0, c1, c_ln, c2, c3 = (_by_sex(female, *pair) for pair in _EKFC_Q)
    a = np.clip(age, 2, 25)  # keeps ln() quiet where the curve is not used
    curve = np.exp(c0 + c1 * a - c_ln * np.log(a) - c2 * a**2 + c3 * a**3) / _UMOL_L_PER_MG_DL
    bands = [age > 25, age >= 2]
    q: Array = np.select(bands, [_by_sex(female, *_EKFC_Q_ADULT), curve], np.nan)[()]
    return q


def _ekfc_shown(*, scr_mg_dl: float, age_years: float, female: bool) -> str:
    q = ekfc_q(age_years=age_years, female=female)
    exponent = _bent_exponent(_float(scr_mg_dl / q), -0.322, -1.132)
    return f"107.3 * ({scr_mg_dl:g}/{q:g})^{exponent:g}" + _after_40_shown(0.990, age_years)


@published(
    quantity="eGFR",
    unit=_EGFR,
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
    age = _float(age_years)
    ratio = _float(_float(scr_mg_dl) / ekfc_q(age_years=age, female=female))
    return 107.3 * ratio ** _bent_exponent(ratio, -0.322, -1.132) * _after_40(0.990, age)


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
    """Creatinine clearance by Cockcroft and Gault (1976).

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
    sex = _by_sex(female, 0.85, 1.0)
    return (140 - _float(age_years)) * _float(weight_kg) / (72 * _float(scr_mg_dl)) * sex


# --- GFR from one unit to another -----------------------------------------------------------------


@published(
    quantity="GFR",
    unit="mL/min",
    doi="10.1111/j.1475-097X.2006.00718.x",
    shown="{egfr_ml_min_1_73m2:g} * {bsa_m2:g} m2 / 1.73 m2",
)
def deindex_gfr(*, egfr_ml_min_1_73m2: ArrayLike, bsa_m2: ArrayLike) -> Result:
    """GFR of this body from a GFR per 1.73 m2, eGFR BSA / 1.73.

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
    return _float(egfr_ml_min_1_73m2) * _float(bsa_m2) / _BSA_REFERENCE_M2


@published(
    quantity="GFR",
    unit=_EGFR,
    doi="10.1111/j.1475-097X.2006.00718.x",
    shown="{gfr_ml_min:g} mL/min * 1.73 m2 / {bsa_m2:g} m2",
)
def index_gfr(*, gfr_ml_min: ArrayLike, bsa_m2: ArrayLike) -> Result:
    """GFR per 1.73 m2 from the GFR of this body, GFR 1.73 / BSA.

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
    return _float(gfr_ml_min) * _BSA_REFERENCE_M2 / _float(bsa_m2)


@published(
    quantity="GFR",
    unit="L/h/70kg",
    doi="10.1007/s40262-018-0715-9",
    shown="{egfr_ml_min_1_73m2:g} * {bsa_m2:g} m2 / 1.73 m2 * 0.06 * 70 kg / {weight_kg:g} kg",
)
def gfr_l_h_per_70kg(
    *, egfr_ml_min_1_73m2: ArrayLike, bsa_m2: ArrayLike, weight_kg: ArrayLike
) -> Result:
    """Absolute GFR in L/h, scaled by weight to 70 kg: eGFR BSA / 1.73 * 0.06 * 70 / W.

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
    return gfr_ml_min * _L_H_PER_ML_MIN * _WEIGHT_REFERENCE_KG / _float(weight_kg)


@published(
    quantity="GFR",
    unit="L/h/1.73 m2",
    doi="10.1007/s40262-018-0715-9",
    shown="{egfr_ml_min_1_73m2:g} * 0.06",
)
def egfr_l_h(*, egfr_ml_min_1_73m2: ArrayLike) -> Result:
    """GFR in L/h, still per 1.73 m2: eGFR * 0.06.

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
    return _float(egfr_ml_min_1_73m2) * _L_H_PER_ML_MIN


# --- Growth and age caps --------------------------------------------------------------------------


def _over_itself(function: np.ufunc, x: Array) -> Array:
    """Return function(x) / x, continued by its limit 1 at x = 0."""
    zero = x == 0
    safe = np.where(zero, 1.0, x)
    result: Array = np.where(zero, 1.0, function(safe) / safe)[()]
    return result


def lms_value(*, z: ArrayLike, L: ArrayLike, M: ArrayLike, S: ArrayLike) -> Result:
    """Measurement at a z-score, by Cole's LMS method: M (1 + L S z)^(1/L), or M exp(S z) if L = 0.

    Parameters
    ----------
    z : array_like
        Standard normal score, dimensionless.
    L : array_like
        Box-Cox power, dimensionless.
    M : array_like
        Median, in the unit of the measurement.
    S : array_like
        Coefficient of variation, dimensionless.

    Returns
    -------
    np.float64 or ndarray
        The measurement, in the unit of M. NaN for a z so far out that 1 + L S z is negative. The
        ages are those of the table that L, M and S come from.

    Notes
    -----
    Written with y = L S z as M exp(S z log1p(y)/y). For small L the textbook form rounds 1 + y and
    then magnifies the loss by 1/L; this one stays exact and passes into L = 0 without a seam.

    References
    ----------
    Cole TJ, Green PJ. Smoothing reference centile curves: the LMS method and penalized likelihood.
    Stat Med 1992;11:1305-1319. doi:10.1002/sim.4780111005

    Examples
    --------
    >>> f"{lms_value(z=2, L=0, M=18, S=0.15):.2f}"
    '24.30'
    """
    z, L, S = _float(z), _float(L), _float(S)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _float(M) * np.exp(S * z * _over_itself(np.log1p, L * S * z))


def lms_zscore(*, value: ArrayLike, L: ArrayLike, M: ArrayLike, S: ArrayLike) -> Result:
    """Z-score of a measurement, by Cole's LMS method: ((X/M)^L - 1)/(L S), or ln(X/M)/S if L = 0.

    Parameters
    ----------
    value : array_like
        The measurement X, in the unit of M.
    L : array_like
        Box-Cox power, dimensionless.
    M : array_like
        Median, in the unit of the measurement.
    S : array_like
        Coefficient of variation, dimensionless.

    Returns
    -------
    np.float64 or ndarray
        Standard normal score, dimensionless. The ages are those of the table that L, M and S come
        from.

    Notes
    -----
    Written with y = L ln(X/M) as ln(X/M)/S expm1(y)/y. For small L, (X/M)^L - 1 would cancel.

    References
    ----------
    Cole TJ, Green PJ. Smoothing reference centile curves: the LMS method and penalized likelihood.
    Stat Med 1992;11:1305-1319. doi:10.1002/sim.4780111005

    Examples
    --------
    >>> f"{lms_zscore(value=24.3, L=0, M=18, S=0.15):.2f}"
    '2.00'
    """
    log_ratio = np.log(_float(value) / _float(M))
    return log_ratio / _float(S) * _over_itself(np.expm1, _float(L) * log_ratio)


def capped_by_knots(*, value: ArrayLike, at: ArrayLike, knots: ArrayLike) -> Result:
    """Value, or the cap at this point where that is smaller.

    Parameters
    ----------
    value : array_like
        What is to be capped, any unit.
    at : array_like
        Where to read the cap: the age in years, for a cap by age.
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
    table = _float(knots)
    if table.ndim != 2 or table.shape[1] != 2 or not np.all(np.diff(table[:, 0]) > 0):
        raise ValueError("knots must be rows (position, cap) with increasing positions")
    cap: Result = np.interp(_float(at), table[:, 0], table[:, 1])
    return np.minimum(_float(value), cap)
