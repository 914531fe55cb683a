"""A model as arrays, and its typical parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

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
"""Kind of effect of a continuous covariate -> its function, and the names of its two arguments."""
KINDS: Final = (*EFFECTS, "category")
CATEGORY: Final = len(EFFECTS)
ON_PARAMETER, ON_TERM = range(2)


# ------------------------------------------------------------------ compilation to arrays


def usable(tv: F8) -> Bools:
    """Tell which subjects have finite and positive parameters; a flow to a tissue may be zero.

    Parameters
    ----------
    tv : (..., 6) array
        CL, V1, Q2, V2, Q3, V3; L/h and L.

    Returns
    -------
    (...) array of bool
    """
    if (tv > 0.0).all() and (tv < np.inf).all():  # as a rule
        return np.ones(tv.shape[:-1], np.bool_)
    may_be_zero = [slot in ("Q2", "Q3") for slot in SLOTS]
    allowed = ((tv > 0.0) | ((tv == 0.0) & may_be_zero)) & (tv < np.inf)
    return np.asarray(allowed.all(axis=-1))


@dataclass(frozen=True, eq=False)
class Program:
    """A model as arrays: the same types and ranks for every model."""

    theta: F8
    """Estimates, then constants."""
    terms: I8
    """(t, 3) Parameter (0 to 5), theta index (-1 for a factor of 1), 1 if the term is renal."""
    effects: I8
    """(e, 6) 0 on a parameter or 1 on a term, index of that, kind, covariate, theta indices of the
    two arguments; of a category instead the index of its first `category_thetas`, and 0."""
    category_thetas: I8
    """Theta index of each category of each categorical effect."""
    is_micro: int
    """1 if Q2, V2, Q3, V3 hold k12, k21, k13, k31."""
    covariates: tuple[str, ...]
    """Columns of the covariate rows, in order."""
    load_eta: F8
    """(6, n_eta) Loadings on the logarithms of CL, V1, Q2, V2, Q3, V3."""
    root_omega: F8
    """(n_eta, n_eta) Lower Cholesky factor of omega: eta = root_omega @ standard normals."""
    load_kappa: F8
    """(6, n_kappa) Loadings of kappa."""
    root_omega_iov: F8
    """(n_kappa, n_kappa) Lower Cholesky factor for kappa."""
    error: F8
    """(3,) Proportional, additive (mg/L) and log-scale residual SD; 0 where there is none."""
    compartments: int

    @property
    def n_eta(self) -> int:
        """Number of etas."""
        return int(self.load_eta.shape[1])

    @property
    def n_kappa(self) -> int:
        """Number of kappas of an occasion."""
        return int(self.load_kappa.shape[1])

    @cached_property
    def has_renal_term(self) -> bool:
        """True if clearance is split into renal and non-renal."""
        return bool(self.terms[:, 2].any())

    def typical_values(self, rows: F8, theta: F8 | None = None) -> tuple[F8, F8]:
        """Compute typical CL, V1, Q2, V2, Q3, V3 and the renal fraction of CL.

        Parameters
        ----------
        rows : (n, c) array, or (patients, 1, c)
            Values of `covariates`; categories by their number.
        theta : (t, n) array, optional
            Estimates and constants of each row, or of n subjects that each patient stands for;
            those of the model if absent.

        Returns
        -------
        tv : (n, 6) array, or (patients, n, 6)
            L/h and L.
        renal : (n,) array, or (patients, n)

        Raises
        ------
        InputError
            If parameters are not finite and positive; the first such row is named.
        """
        rows = np.array(rows, dtype=np.float64, ndmin=2)
        columns = np.ascontiguousarray(np.moveaxis(rows, -1, 0))
        with np.errstate(all="ignore"):
            parameters, renal = self._typical_values(columns, theta)
        shape = rows.shape[:-1]
        shape = shape if theta is None else np.broadcast_shapes(shape, theta.shape[1:])
        tv = np.empty((*shape, 6))
        for slot, parameter in enumerate(parameters):
            tv[..., slot] = parameter
        valid = usable(tv) & ~np.isnan(rows).any(axis=-1)  # NaN to the power of 0 is 1
        if not valid.all():
            bad = int(np.argwhere(~valid)[0][0])
            named = zip(self.covariates, rows[bad].ravel(), strict=True)
            values = ", ".join(f"{name} = {value:g}" for name, value in named)
            raise InputError(f"row {bad + 1}: no valid parameters from {values or 'no covariate'}")
        return tv, np.broadcast_to(renal, shape).copy()

    def _typical_values(self, columns: F8, own: F8 | None) -> tuple[list[F8], F8]:
        """Compute the six parameters, and the renal fraction, from covariates in columns."""
        theta: list[Any] = self.theta.tolist() if own is None else list(own)
        computed: dict[tuple[float, ...], F8] = {}
        factors: dict[tuple[int, int], list[F8]] = {}
        for owner, target, kind, column, a, b in self.effects.tolist():
            x = columns[column]
            if kind == CATEGORY:
                number = self.category_thetas[a + np.nan_to_num(x).astype(np.int64)]
                factor = self.theta[number] if own is None else own[number, np.arange(own.shape[1])]
            else:  # computed once for all parameters: a power of weight is often on every flow
                key = (kind, column, self.theta[a], self.theta[b])
                key = key if own is None else (kind, column, a, b)
                if key not in computed:
                    computed[key] = EFFECTS[KINDS[kind]][0](x, theta[a], theta[b])
                factor = computed[key]
            factors.setdefault((owner, target), []).append(factor)
        tv, renal = [np.zeros(1)] * 6, np.zeros(1)
        for t, (slot, index, is_renal) in enumerate(self.terms.tolist()):
            value = 1.0 if index < 0 else theta[index]
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
            tv[q + 1] = np.ones(1)  # an absent compartment has no flow and stays empty
        return tv, renal
