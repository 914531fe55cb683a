"""The register of published formulas, and what they share."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fludapk.language import tr

Array: TypeAlias = NDArray[np.float64]
Result: TypeAlias = np.float64 | Array
Flag: TypeAlias = bool | np.bool_ | NDArray[np.bool_] | list[bool]
AnyFormula = TypeVar("AnyFormula", bound=Callable[..., Result])

EGFR = "mL/min/1.73 m2"
ANY_AGE = (0.0, 120.0)
ADULT = (18.0, 120.0)
UMOL_L_PER_MG_DL = 88.4  # creatinine, 113.12 g/mol


# --- The registry ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Formula:
    """A published formula, with what a reader must know before trusting its result.

    Attributes
    ----------
    name : str
        Name of the function.
    function : callable
        The function itself.
    quantity : str
        "BSA", "weight" (ideal, adjusted), "eGFR", "CrCl", "GFR" (conversions) or "SCR" (reference
        creatinine).
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
            return tr("undefined here: {name} was published for {first:g} to {last:g} years",
                      name=self.name, first=first, last=last)  # fmt: skip
        return self.arithmetic(**arguments)

    def arithmetic(self, **arguments: float) -> str:
        """Write out the arithmetic where the formula is defined; arguments as in `explain`."""
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
    ages: tuple[float, float] = ANY_AGE,
) -> Callable[[AnyFormula], AnyFormula]:
    """Enter a function in `FORMULAS` and return it unchanged.

    Parameters
    ----------
    quantity, unit, doi, shown, ages
        As the attributes of `Formula`.
    """

    def register(function: AnyFormula) -> AnyFormula:
        name = function.__name__
        needs = tuple(inspect.signature(function).parameters)
        FORMULAS[name] = Formula(name, function, quantity, unit, ages, needs, doi, shown)
        return function

    return register


# --- Shapes shared by several formulas ------------------------------------------------------------


def as_float(value: ArrayLike) -> Array:
    """Return a number or a list as an array of float64."""
    return np.asarray(value, dtype=np.float64)


def by_sex(female: Flag, if_female: ArrayLike, if_male: ArrayLike) -> Array:
    """Choose between the constants of women and men, element by element."""
    flag = np.asarray(female)
    if flag.dtype != np.bool_:  # "male" and NaN are true to Python
        raise TypeError(f"female must be True or False, or an array of them, not {female!r}")
    result: Array = np.where(flag, if_female, if_male)[()]
    return result
