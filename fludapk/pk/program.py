"""A model as arrays, and its typical parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from fludapk.arrays import F8, I8, Bools
from fludapk.errors import InputError

SLOTS: Final = ("CL", "V1", "Q2", "V2", "Q3", "V3")
EFFECTS: Final[Mapping[str, tuple[Callable[[F8, float, float], F8], str, str]]] = {
    "power": (lambda x, ref, exponent: np.power(x / ref, exponent), "ref", "exponent"),
    "linear": (lambda x, ref, slope: 1.0 + slope * (x - ref), "ref", "slope"),
    "exponential": (lambda x, ref, slope: np.exp(slope * (x - ref)), "ref", "slope"),
    "sigmoid": (lambda x, x50, hill: x**hill / (x50**hill + x**hill), "x50", "hill"),
}
"""Each kind of effect of a number: its function, and the names of what it takes."""
KINDS: Final = (*EFFECTS, "category")
CATEGORY: Final = len(EFFECTS)
ON_PARAMETER, ON_TERM = range(2)


# ------------------------------------------------------------------ compilation to arrays


def usable(tv: F8) -> Bools:
    """Tell which subjects have finite and positive parameters; a flow to a tissue may be zero.

    Parameters
    ----------
    tv : (n, 6)
        In the order of `SLOTS`.
    """
    may_be_zero = [slot in ("Q2", "Q3") for slot in SLOTS]
    allowed = ((tv > 0.0) | ((tv == 0.0) & may_be_zero)) & (tv < np.inf)
    return np.asarray(allowed.all(axis=1))


@dataclass(frozen=True, eq=False)
class Program:
    """A model as arrays: the same types and ranks for every model."""

    theta: F8
    """Estimates, then constants."""
    terms: I8
    """(t, 3) parameter (0..5), theta index (-1: one), 1 if the term is renal."""
    effects: I8
    """(e, 6) on a parameter (0) or a term (1), index of that, kind, covariate, theta indices of
    what its function takes; of a category instead the first of its `levels`."""
    levels: I8
    """Theta index of each level of each categorical effect."""
    is_micro: int
    """1 if Q2, V2, Q3, V3 hold k12, k21, k13, k31."""
    covariates: tuple[str, ...]
    """Columns of the covariate rows, in order."""
    load_eta: F8
    """(6, n_eta) loadings on the logarithms of CL, V1, Q2, V2, Q3, V3."""
    root_omega: F8
    """(n_eta, n_eta) lower Cholesky factor of omega: eta = root_omega @ standard normals."""
    load_kappa: F8
    root_omega_iov: F8
    error: F8
    """(3,) Proportional, additive (mg/L) and log-scale residual SD; 0 where there is none."""
    compartments: int

    @property
    def n_eta(self) -> int:
        """How many etas."""
        return int(self.load_eta.shape[1])

    @property
    def n_kappa(self) -> int:
        """How many kappas an occasion has."""
        return int(self.load_kappa.shape[1])

    @property
    def has_renal_term(self) -> bool:
        """Whether clearance is split into renal and non-renal."""
        return bool(self.terms[:, 2].any())

    def typical_values(self, rows: F8) -> tuple[F8, F8]:
        """Typical CL, V1, Q2, V2, Q3, V3 and the renal fraction of CL.

        Parameters
        ----------
        rows : (n, len(covariates)) array

        Raises
        ------
        InputError
            Naming the first row whose parameters are not finite and positive.
        """
        rows = np.array(rows, dtype=np.float64, ndmin=2)
        with np.errstate(all="ignore"):
            parameters, renal = self._typical_values(rows.T)
        tv = np.empty((len(rows), 6))
        for slot, parameter in enumerate(parameters):
            tv[:, slot] = parameter
        valid = usable(tv) & ~np.isnan(rows).any(axis=1)  # NaN to the power of 0 is 1
        if not valid.all():
            bad = np.flatnonzero(~valid)[0]
            of = zip(self.covariates, rows[bad], strict=True)
            values = ", ".join(f"{name} = {value:g}" for name, value in of)
            raise InputError(f"row {bad + 1}: no valid parameters from {values or 'no covariate'}")
        return tv, np.full(len(rows), renal)

    def _typical_values(self, columns: F8) -> tuple[list[F8], F8]:
        """The six parameters, and the renal fraction, of covariates in columns."""
        theta = self.theta.tolist()
        found: dict[tuple[float, ...], F8] = {}
        factors: dict[tuple[int, int], list[F8]] = {}
        for owner, target, kind, column, a, b in self.effects.tolist():
            x = columns[column]
            if kind == CATEGORY:
                factor = self.theta[self.levels[a + np.nan_to_num(x).astype(np.int64)]]
            else:  # once, if on several parameters, as powers of weight are on flows
                key = (kind, column, theta[a], theta[b])
                if key not in found:
                    found[key] = EFFECTS[KINDS[kind]][0](x, theta[a], theta[b])
                factor = found[key]
            factors.setdefault((owner, target), []).append(factor)
        tv, renal = [np.zeros(1)] * 6, np.zeros(1)
        for t, (slot, which, is_renal) in enumerate(self.terms.tolist()):
            value = 1.0 if which < 0 else theta[which]
            term = math.prod(factors.get((ON_TERM, t), ()), start=value)
            tv[slot] = tv[slot] + term
            if is_renal:
                renal = renal + term
        renal = renal / tv[0]
        for slot in range(6):
            tv[slot] = math.prod(factors.get((ON_PARAMETER, slot), ()), start=tv[slot])
        for q in range(2, 2 * self.compartments, 2) if self.is_micro else ():
            tv[q] = tv[q] * tv[1]
            tv[q + 1] = tv[q] / tv[q + 1]
        for q in range(2 * self.compartments, 6, 2):
            tv[q + 1] = np.ones(1)  # absent: no flow, and never anything in it
        return tv, renal
