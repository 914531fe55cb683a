"""Models written for other engines: NONMEM, mrgsolve, rxode2, nlmixr2, pharmpy.

Every engine gets the same statements, with its own operators: typical parameters from thetas and
covariates, individual ones from random effects, concentrations in mg/L from amounts of F-ara-A.
Covariates, also those that a model computes by a formula, are columns of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from fludapk.published.engines import mrgsolve, nlmixr2, nonmem, pharmpy, rxode2
from fludapk.published.engines.statements import Statements

ENGINES: Final[Mapping[str, tuple[str, Callable[[Statements], str]]]] = {
    "nonmem": ("mod", nonmem.code),
    "mrgsolve": ("cpp", mrgsolve.code),
    "rxode2": ("rxode2.R", rxode2.code),
    "nlmixr2": ("nlmixr2.R", nlmixr2.code),
    "pharmpy": ("py", pharmpy.code),
}
"""Engine -> ending of its files, and what writes a model for it."""
