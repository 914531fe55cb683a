"""Body surface area."""

import numpy as np
from numpy.typing import ArrayLike

from fludapk.published.formulas.registry import ADULT, Result, as_float, published

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
