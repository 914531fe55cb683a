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
KINDS: Final = (*EFFECTS, "category", "steps", "saturating", "factor")
CATEGORY, STEPS, SATURATING, FACTOR = range(len(EFFECTS), len(KINDS))
ON_PARAMETER, ON_TERM = range(2)
TIME, DOSE, NO_COVARIATE = -1, -2, -3
"""Columns of effects of a dose: its time since the first, h, and its number; or of none."""
FIRST: Final = {TIME: np.zeros(1), DOSE: np.ones(1)}
"""Values of these at the first dose."""
ADDITIVE, LOGIT = range(2)


def _or_number(draws: F8) -> F8 | float:
    """Return draws of an estimate, or the number if all are the same: one power, not thousands."""
    first = float(draws[0])
    return first if first == draws[-1] and (draws == first).all() else draws


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
    if tv.size and np.min(tv) > 0.0 and np.max(tv) < np.inf:  # as a rule; NaN is neither
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
    """(t, 4) Parameter (0 to 5), theta index (-1 for a factor of 1), 1 if the term is renal, eta of
    the term (-1 if it has none)."""
    effects: I8
    """(e, 6) 0 on a parameter or 1 on a term, index of that, kind, covariate, theta indices of the
    two arguments. The covariate may be `TIME`, `DOSE` or `NO_COVARIATE`. Arguments of a category,
    of steps and of `saturating` are the index of its first `category_thetas` and the number of
    steps, or 0; of a factor its theta index, and 0."""
    category_thetas: I8
    """Theta index of each category of each categorical effect; of steps those of the values at
    which they are, then those of the factors; of `saturating` those of max, x50 and hill."""
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
    """(4,) Proportional, additive (mg/L) and log-scale residual SD; 0 where there is none. The last
    is 1 if the first two add as SDs, and 0 if as variances."""
    compartments: int
    litres: float
    """Factor from the volumes of the paper to L, and from its clearances to L/h."""
    curves: F8
    """(c, 6) Etas that do not shift a logarithm: parameter (0 to 5), eta, `ADDITIVE` or `LOGIT`,
    loading, and the bounds of a logit."""

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

    @cached_property
    def moving(self) -> tuple[int, ...]:
        """Terms with an eta of their own, or that change from dose to dose."""
        of_course = {
            target
            for owner, target, _, column, *_ in self.effects.tolist()
            if owner == ON_TERM and column in FIRST
        }
        terms = enumerate(self.terms.tolist())
        return tuple(t for t, (*_, eta) in terms if eta >= 0 or t in of_course)

    @property
    def is_curved(self) -> bool:
        """True if an eta shifts something else than the logarithm of a parameter."""
        return bool(len(self.curves)) or bool((self.terms[:, 3] >= 0).any())

    @cached_property
    def only_shifts(self) -> bool:
        """True if subjects and occasions differ by shifts of logarithms alone, as kernels take."""
        return not (self.changes or self.is_curved)

    @cached_property
    def changes(self) -> bool:
        """True if a typical parameter changes from dose to dose."""
        return bool(np.isin(self.effects[:, 3], list(FIRST)).any())

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
        tv : (n, 6 + moving) array, or (patients, n, 6 + moving)
            L/h and L, at the first dose; then the share of each `moving` term in the sum of its
            terms, without effects of time and dose.
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
        tv = np.empty((*shape, len(parameters)))
        for slot, parameter in enumerate(parameters):
            tv[..., slot] = parameter
        valid = usable(tv[..., :6]) & ~np.isnan(rows).any(axis=-1)  # NaN to the power of 0 is 1
        if not valid.all():
            bad = int(np.argwhere(~valid)[0][0])
            named = zip(self.covariates, rows[bad].ravel(), strict=True)
            values = ", ".join(f"{name} = {value:g}" for name, value in named)
            raise InputError(f"row {bad + 1}: no valid parameters from {values or 'no covariate'}")
        return tv, np.broadcast_to(renal, shape)

    def _typical_values(self, columns: F8, own: F8 | None) -> tuple[list[F8], F8]:
        """Compute the six parameters, and the renal fraction, from covariates in columns."""
        theta: list[Any] = self.theta.tolist() if own is None else list(map(_or_number, own))
        computed: dict[tuple[float, ...], F8] = {}
        factors: dict[tuple[int, int], list[F8]] = {}
        first: dict[tuple[int, int], list[F8]] = {}
        for owner, target, kind, column, a, b in self.effects.tolist():
            if column in FIRST:
                factor = self.effect(kind, FIRST[column], a, b, theta)
                first.setdefault((owner, target), []).append(factor)
                continue
            x = columns[column] if column >= 0 else columns
            if kind == CATEGORY:
                number = self.category_thetas[a + np.nan_to_num(x).astype(np.int64)]
                factor = self.theta[number] if own is None else own[number, np.arange(own.shape[1])]
            elif kind >= STEPS:
                factor = self.effect(kind, x, a, b, theta)
            else:  # computed once for all parameters: a power of weight is often on every flow
                is_fixed = isinstance(theta[a], float) and isinstance(theta[b], float)
                arguments = (theta[a], theta[b]) if is_fixed else (a, b)
                key = (is_fixed, kind, column, *arguments)
                if key not in computed:
                    computed[key] = EFFECTS[KINDS[kind]][0](x, theta[a], theta[b])
                factor = computed[key]
            factors.setdefault((owner, target), []).append(factor)
        tv, renal, moving = [np.zeros(1)] * 6, np.zeros(1), {}
        for t, (slot, index, is_renal, _) in enumerate(self.terms.tolist()):
            value = 1.0 if index < 0 else theta[index]
            term = math.prod(factors.get((ON_TERM, t), ()), start=value)
            if t in self.moving:
                moving[t] = slot, term
                term = math.prod(first.get((ON_TERM, t), ()), start=term)
            tv[slot] = tv[slot] + term
            if is_renal:
                renal = renal + term
        renal = renal / tv[0]
        shares = [term / tv[slot] for slot, term in moving.values()]
        for slot in range(6):
            own_factors = [
                *factors.get((ON_PARAMETER, slot), ()),
                *first.get((ON_PARAMETER, slot), ()),
            ]
            tv[slot] = math.prod(own_factors, start=tv[slot])
            if self.litres != 1.0 and (slot < 2 or not self.is_micro):
                tv[slot] = tv[slot] * self.litres
        for q in range(2, 2 * self.compartments, 2) if self.is_micro else ():
            tv[q] = tv[q] * tv[1]
            tv[q + 1] = tv[q] / tv[q + 1]
        for q in range(2 * self.compartments, 6, 2):
            tv[q + 1] = np.ones(1)  # an absent compartment has no flow and stays empty
        return [*tv, *shares], renal

    def effect(self, kind: int, x: F8, a: int, b: int, theta: Any) -> F8:
        """Evaluate an effect that is no category.

        Parameters
        ----------
        kind : int
        x : array
            The covariate.
        a, b : int
            As in `effects`.
        theta : sequence of float or arrays that broadcast with x
        """
        if kind == FACTOR:
            return np.asarray(theta[a], dtype=np.float64)
        if kind < CATEGORY:
            return EFFECTS[KINDS[kind]][0](x, theta[a], theta[b])
        if kind == SATURATING:
            most, half, hill = (theta[k] for k in self.category_thetas[a : a + 3])
            return np.asarray(np.exp(most * EFFECTS["sigmoid"][0](x, half, hill)))
        at, factors = np.split(self.category_thetas[a : a + 2 * b + 1], [b])
        value = np.zeros(np.shape(x)) + theta[factors[0]]
        for edge, factor in zip(at, factors[1:], strict=True):
            value = np.where(x >= theta[edge], theta[factor], value)
        return np.asarray(value)

    def over_course(self, owner: int, target: int, of_dose: Mapping[int, F8], theta: Any) -> Any:
        """Multiply the effects of time and dose on a parameter or a term.

        Parameters
        ----------
        owner, target : int
            As in `effects`.
        of_dose : mapping of int to arrays
            `TIME` and `DOSE` -> their values.
        theta : sequence of float or arrays that broadcast with these
        """
        mine = (
            self.effect(kind, of_dose[column], a, b, theta)
            for its, of, kind, column, a, b in self.effects.tolist()
            if (its, of) == (owner, target) and column in of_dose
        )
        return math.prod(mine, start=1.0)
