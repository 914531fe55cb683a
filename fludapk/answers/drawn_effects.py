"""Random effects of simulated patients on fixed points, the same for every patient by a model."""

from __future__ import annotations

from functools import lru_cache

from fludapk.arrays import F8
from fludapk.pk.effects import MOST_DIMENSIONS, RandomEffects, standard_normal_points
from fludapk.pk.program import Program
from fludapk.published.uncertainty import Uncertainty


@lru_cache(maxsize=16)
def uncertain_effects(
    program: Program, uncertainty: Uncertainty, doses: int, log2_points: int
) -> tuple[F8, RandomEffects] | None:
    """Draw numbers of a model, and random effects with the variability drawn, on fixed points.

    Parameters
    ----------
    program : Program
    uncertainty : Uncertainty
        Uncertainty of the printed numbers.
    doses : int
        Number of doses: occasions of kappa.
    log2_points : int
        2 to this power draws, n.

    Returns
    -------
    theta : (thetas, n)
    effects : RandomEffects
        The effects of `simulated_effects`, times the SD drawn over the printed one.
    """
    certain, uncertain = program.n_eta + doses * program.n_kappa, uncertainty.dimensions
    if not uncertain or certain + uncertain > MOST_DIMENSIONS:
        return None
    z = standard_normal_points(log2_points, certain + uncertain)
    theta, scale = uncertainty.draw(z[:, certain:])
    effects = RandomEffects.from_normals(program, z[:, :certain], doses)
    return theta, uncertainty.varied(effects, scale)


@lru_cache(maxsize=16)
def simulated_effects(program: Program, doses: int, log2_points: int) -> RandomEffects:
    """Draw random effects of a course on the fixed Sobol points."""
    z = standard_normal_points(log2_points, program.n_eta + doses * program.n_kappa)
    return RandomEffects.from_normals(program, z, doses)
