"""Make sobol.csv: the scrambled Sobol points behind the probabilities of a check.

Run ``python tools/make_sobol.py > fludapk/pk/sobol.csv``. Importing scipy.stats takes longer than a
whole check may, so the generators of the points are kept as data: the first point and, for each
bit, the number whose exclusive-or doubles the point set (see `fludapk.pk.effects.sobol_points`).
"""

import numpy as np
from scipy.stats import qmc

DIMENSIONS, BITS, LOG2_POINTS, SEED = 64, 30, 14, 20222022

HEADER = (
    f"# Scrambled Sobol generators by scipy.stats.qmc.Sobol({DIMENSIONS}, seed {SEED}); "
    f"{BITS}-bit integers; one row per dimension: first point, then one number per doubling."
)


def generators() -> np.ndarray:
    """Return the generators of the points, (dimensions, 1 + doublings) integers."""
    sampler = qmc.Sobol(DIMENSIONS, scramble=True, bits=BITS, rng=np.random.default_rng(SEED))
    points = (sampler.random(2**LOG2_POINTS) * 2**BITS).astype(np.int64)
    # In Gray-code order point 2^j differs from point 2^j - 1 by the j-th direction number.
    doublings = [points[2**j] ^ points[2**j - 1] for j in range(LOG2_POINTS)]
    return np.column_stack([points[0], *doublings])


if __name__ == "__main__":
    print(HEADER)
    for row in generators():
        print(",".join(map(str, row)))
