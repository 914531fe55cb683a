"""Kernels beside numpy, LSODA and C in the same run; ``make bench`` runs them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmarks import baseline
from fludapk.arrays import F8
from fludapk.pk.kernels import courses as kernels
from fludapk.published.models import load_model

START: Final[F8] = 24.0 * np.arange(4.0)
DURATION: Final[F8] = np.full(4, 0.5)
HOURS: Final[F8] = np.arange(97.0)
UNEVEN: Final[F8] = np.sort(np.random.default_rng(7).uniform(0.0, 96.0, 97))
NONE: Final[F8] = np.zeros((6, 0))
PROGRAM: Final = load_model("langenhorst2019").program


@dataclass(frozen=True)
class Cohort:
    """Subjects of langenhorst2019, each with parameters of its own."""

    tv: F8
    eta: F8
    kappa: F8
    amount: F8

    @classmethod
    def drawn(cls, n: int) -> Cohort:
        rng = np.random.default_rng(1)
        usual = np.array([5.1, 10.0, 2.6, 5.0, 1.2, 12.5])
        return cls(
            usual * np.exp(0.2 * rng.standard_normal((n, 6))),
            rng.standard_normal((n, 2)) * [0.227, 0.455],
            rng.standard_normal((n, 4, 2)) * [0.12, 0.303],
            np.full((n, 4), 17.5),
        )

    def part(self, rows: slice) -> Cohort:
        return Cohort(self.tv[rows], self.eta[rows], self.kappa[rows], self.amount[rows])


SUBJECTS: Final = 100_000
COHORT: Final = Cohort.drawn(SUBJECTS)
VARIABILITY: Final = ("none", "IIV", "IIV and IOV")


def run_kernel(cohort: Cohort, variability: str) -> Any:
    n = len(cohort.tv)
    eta, load_eta = cohort.eta, PROGRAM.load_eta
    kappa, load_kappa = cohort.kappa, PROGRAM.load_kappa
    if variability == "none":
        eta, load_eta = np.zeros((n, 0)), NONE
    if variability != "IIV and IOV":
        kappa, load_kappa = np.zeros((1, 4, 0)), NONE
    return kernels.exposure(
        cohort.tv, load_eta, eta, load_kappa, kappa, START, DURATION, cohort.amount
    )


def run_numpy(cohort: Cohort, variability: str) -> Any:
    eta = np.zeros_like(cohort.eta) if variability == "none" else cohort.eta
    kappa = cohort.kappa if variability == "IIV and IOV" else None
    return baseline.exposure(cohort.tv, eta, kappa, START, DURATION, cohort.amount)


def run_c(cohort: Cohort, variability: str) -> Any:
    twin, at = baseline.c_twin(), baseline.address
    n = len(cohort.tv)
    out = np.empty(n), np.empty((n, 4)), np.empty(n), np.empty((n, 4))
    eta = None if variability == "none" else cohort.eta
    kappa = cohort.kappa if variability == "IIV and IOV" else None
    twin.exposure(
        n, 4, at(cohort.tv), at(eta), at(kappa), at(START), at(DURATION), at(cohort.amount),
        *map(at, out),
    )  # fmt: skip
    return out


def in_threads(run: Callable[[Cohort, str], Any], cohort: Cohort, variability: str) -> None:
    half = len(cohort.tv) // 2
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(
                run, [cohort.part(slice(half)), cohort.part(slice(half, None))], [variability] * 2
            )
        )


WAYS: Final[dict[str, tuple[Callable[[Cohort, str], Any], int]]] = {
    "kernel": (run_kernel, SUBJECTS),
    "kernel, 2 threads": (lambda c, v: in_threads(run_kernel, c, v), SUBJECTS),
    "C": (run_c, SUBJECTS),
    "C, 2 threads": (lambda c, v: in_threads(run_c, c, v), SUBJECTS),
    "numpy": (run_numpy, 20_000),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variability", VARIABILITY)
def test_exposure_of_4_doses(benchmark: Any, variability: str, way: str) -> None:
    run, subjects = WAYS[way]
    cohort = COHORT.part(slice(subjects))
    benchmark.group = f"exposure of 4 doses, variability: {variability}"
    benchmark.extra_info.update(way=way, items=subjects)
    benchmark(run, cohort, variability)


@pytest.mark.parametrize("variability", VARIABILITY)
def test_every_way_gives_the_same_exposure(variability: str) -> None:
    cohort = COHORT.part(slice(200))
    expected = run_numpy(cohort, variability)
    for run in (run_kernel, run_c):
        for result, by_numpy in zip(run(cohort, variability), expected, strict=False):
            assert_allclose(result, by_numpy, rtol=1e-9, atol=1e-15)


def test_lsoda(benchmark: Any) -> None:
    cohort = COHORT.part(slice(3))
    benchmark.group = "exposure of 4 doses, variability: IIV and IOV"
    benchmark.extra_info.update(way="LSODA", items=3)

    def run() -> list[float]:
        p = cohort.tv * np.exp(cohort.eta)[:, [0, 1, 0, 1, 0, 1]]
        rows = zip(p, cohort.kappa, cohort.amount, strict=True)
        return [baseline.lsoda(values, k, START, DURATION, a) for values, k, a in rows]

    aucs = benchmark(run)
    assert_allclose(aucs, run_kernel(cohort, "IIV and IOV")[0], rtol=1e-5)


def test_numbalsoda(benchmark: Any) -> None:
    auc = baseline.compiled_lsoda()
    if auc is None:
        pytest.skip("numbalsoda is not installed")
    cohort = COHORT.part(slice(20))
    benchmark.group = "exposure of 4 doses, variability: IIV and IOV"
    benchmark.extra_info.update(way="numbalsoda", items=20)
    p = cohort.tv * np.exp(cohort.eta)[:, [0, 1, 0, 1, 0, 1]]

    def run() -> list[float]:
        rows = zip(p, cohort.kappa, cohort.amount, strict=True)
        return [auc(values, k, START, DURATION, a) for values, k, a in rows]

    aucs = benchmark(run)
    assert_allclose(aucs, run_kernel(cohort, "IIV and IOV")[0], rtol=1e-5)


# ------------------------------------------------------------------ linear in patients and doses


def in_blocks(n: int) -> None:
    """Run patients in blocks of at most 100 000: as many as a run holds at once."""
    for first in range(0, n, SUBJECTS):
        run_kernel(COHORT.part(slice(min(n - first, SUBJECTS))), "IIV and IOV")


@pytest.mark.parametrize("n", [1_000, 10_000, 100_000, 1_000_000, 10_000_000])
def test_cost_is_linear_in_patients(benchmark: Any, n: int) -> None:
    benchmark.group = "exposure of many, per patient"
    benchmark.extra_info.update(way=f"{n} patients", items=n)
    if n > 1_000_000 and float(benchmark._max_time) < 1:
        pytest.skip("only in full")
    benchmark(in_blocks, n)


@pytest.mark.parametrize("doses", [1, 2, 4, 8])
def test_cost_is_linear_in_doses(benchmark: Any, doses: int) -> None:
    n = 20_000
    benchmark.group = "exposure of many doses, per dose"
    benchmark.extra_info.update(way="1 dose" if doses == 1 else f"{doses} doses", items=n * doses)
    cohort, kappa = COHORT.part(slice(n)), np.tile(COHORT.kappa[:n], (1, 2, 1))[:, :doses].copy()
    benchmark(
        kernels.exposure, cohort.tv, PROGRAM.load_eta, cohort.eta, PROGRAM.load_kappa, kappa,
        24.0 * np.arange(doses), np.full(doses, 0.5), np.full((n, doses), 17.5),
    )  # fmt: skip


# ------------------------------------------------------------------ with the draws


def with_draws(subjects: int, way: str) -> None:
    """Draw and compute exposure, in blocks of 4096 as a study does; numpy all at once, its best."""
    rng = np.random.default_rng(3)
    block = 4096 if way == "kernel" else subjects
    for first in range(0, subjects, block):
        cohort = COHORT.part(slice(first, min(first + block, subjects)))
        n = len(cohort.tv)
        drawn = Cohort(
            cohort.tv, rng.standard_normal((n, 2)) * [0.227, 0.455],
            rng.standard_normal((n, 4, 2)) * [0.12, 0.303], cohort.amount,
        )  # fmt: skip
        (run_kernel if way == "kernel" else run_numpy)(drawn, "IIV and IOV")


def draws_in_threads(subjects: int, way: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(with_draws, [subjects // 2] * 2, [way] * 2))


@pytest.mark.parametrize(
    ("way", "subjects"), [("kernel", SUBJECTS), ("kernel, 2 threads", SUBJECTS), ("numpy", 20_000)]
)
def test_exposure_with_the_draws(benchmark: Any, way: str, subjects: int) -> None:
    benchmark.group = "exposure of 4 doses with the random draws"
    benchmark.extra_info.update(way=way, items=subjects)
    run = draws_in_threads if "threads" in way else with_draws
    benchmark(run, subjects, way.split(",")[0])


# ------------------------------------------------------------------ concentrations

COURSES: Final = 10_000
GRIDS: Final = {"97 hourly times": HOURS, "97 uneven times": UNEVEN}


def conc_kernel(cohort: Cohort, times: F8, out: F8) -> F8:
    no_eta, no_kappa = np.zeros((1, 0)), np.zeros((1, 4, 0))
    kernels.course(
        cohort.tv, NONE, no_eta, NONE, no_kappa, START, DURATION, cohort.amount,
        times, out, np.empty((0, 0)),
    )  # fmt: skip
    return out


def conc_c(cohort: Cohort, times: F8, out: F8) -> F8:
    twin, at = baseline.c_twin(), baseline.address
    spacing = 1.0 if times is HOURS else 0.0
    twin.course(
        len(cohort.tv), 4, times.size, at(cohort.tv), at(START), at(DURATION), at(cohort.amount),
        at(times), spacing, at(out),
    )  # fmt: skip
    return out


def conc_numpy(cohort: Cohort, times: F8, out: F8) -> F8:
    return baseline.concentrations(cohort.tv, START, DURATION, cohort.amount, times)


def only_write(cohort: Cohort, times: F8, out: F8) -> F8:
    out.fill(1.0)
    return out


@pytest.mark.parametrize(
    ("way", "run", "courses"),
    [
        ("kernel", conc_kernel, COURSES),
        ("C", conc_c, COURSES),
        ("numpy", conc_numpy, 2000),
        ("writing the output", only_write, COURSES),
    ],
    ids=["kernel", "C", "numpy", "write"],
)
@pytest.mark.parametrize("grid", GRIDS)
def test_concentrations(
    benchmark: Any, grid: str, way: str, run: Callable[[Cohort, F8, F8], F8], courses: int
) -> None:
    cohort, times = COHORT.part(slice(courses)), GRIDS[grid]
    benchmark.group = f"concentrations at {grid}"
    benchmark.extra_info.update(way=way, items=courses)
    benchmark(run, cohort, times, np.empty((courses, times.size)))


@pytest.mark.parametrize("grid", GRIDS)
def test_every_way_gives_the_same_concentrations(grid: str) -> None:
    cohort, times = COHORT.part(slice(100)), GRIDS[grid]
    expected = conc_numpy(cohort, times, np.empty(0))
    for run in (conc_kernel, conc_c):
        conc = run(cohort, times, np.empty((100, times.size)))
        assert_allclose(conc, expected, rtol=1e-9, atol=1e-15)


# ------------------------------------------------------------------ typical values


@pytest.mark.parametrize("way", ["fludapk", "numpy"])
def test_typical_values(benchmark: Any, way: str) -> None:
    n = 1_000_000
    rng = np.random.default_rng(5)
    rows = np.column_stack([rng.uniform(5, 15, n), rng.uniform(5, 90, n)])
    benchmark.group = "typical values"
    benchmark.extra_info.update(way=way, items=n)

    def by_hand() -> F8:
        gfr, weight = rows.T
        size = weight / 70
        flow = size**0.75
        return np.column_stack(
            [(3.24 + 0.782 * gfr) * flow, 39 * size, 8.6 * flow, 20 * size, 3.8 * flow, 50 * size]
        )

    tv = benchmark(by_hand if way == "numpy" else lambda: PROGRAM.typical_values(rows)[0])
    assert_allclose(np.asarray(tv)[:100], by_hand()[:100], rtol=1e-12)
