"""How long a MAP estimate takes, against the same objective in numpy with scipy's L-BFGS-B.

Run ``python benchmarks/map_estimates.py [--patients N] [--sample N] [--json FILE]``. Patients of
langenhorst2019 without IOV, one dose, four levels: two etas each. The goal is a ratio of 300.
The kernel and the search of scipy start from zero; the objective in numpy is the textbook
three-compartment solution, and its gradient is by differences, as one would write it.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from fludapk import bayes, courses
from fludapk.bayes import Levels
from fludapk.model import load_model

F8 = npt.NDArray[np.float64]

TV = np.array([[9.4, 42.0, 9.1, 22.0, 4.0, 55.0]])
DOSE = 45.0
INFUSION = 0.5
HOURS = np.array([1.0, 2.5, 7.0, 24.0])
ERROR = 0.063
GOAL = 300.0
ROUNDS = 10
FAR = [(-8.0, 8.0)] * 2
"""Some line searches would end in an overflow."""


def objective(z: F8, sd: F8, conc: F8) -> float:
    """-2 log posterior at standard normals of eta, by macro-constants."""
    CL, V1, Q2, V2, Q3, V3 = TV[0] * np.exp(np.tile(z * sd, 3))
    k10, k12, k21, k13, k31 = CL / V1, Q2 / V1, Q2 / V2, Q3 / V1, Q3 / V3
    a2 = k10 + k12 + k13 + k21 + k31
    a1 = k10 * k21 + k10 * k31 + k21 * k31 + k13 * k21 + k12 * k31
    rate = np.sort(np.roots([1.0, -a2, a1, -k10 * k21 * k31]).real)
    others = np.array([[rate[1], rate[2]], [rate[0], rate[2]], [rate[0], rate[1]]])
    part = (k21 - rate) * (k31 - rate) / ((others[:, 0] - rate) * (others[:, 1] - rate)) / V1
    gain = DOSE / INFUSION * (1 - np.exp(-rate * INFUSION)) / rate
    f = np.exp(-np.outer(HOURS - INFUSION, rate)) @ (part * gain)
    sd_f = ERROR * f
    return float(z @ z + np.sum(((conc - f) / sd_f) ** 2 + 2 * np.log(sd_f)))


def main() -> None:
    """Measure, and print a small table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--sample", type=int, default=100, help="patients given to scipy")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    n = arguments.patients

    model = load_model()
    program = replace(model.program, load_kappa=np.zeros((6, 0)), root_omega_iov=np.zeros((0, 0)))
    doses = np.zeros(1), np.array([INFUSION]), np.array([[DOSE]])
    rng = np.random.default_rng(1)
    effects = courses.RandomEffects.from_normals(program, rng.standard_normal((n, 2)), 1)
    conc, _ = courses.concentrations(program, TV, effects, *doses, HOURS)
    levels = Levels(times_h=HOURS, conc_mg_l=conc * (1 + ERROR * rng.standard_normal(conc.shape)))

    def estimate() -> bayes.MapEstimate:
        return bayes.map_estimates(program, model.file.ruv, TV, *doses, levels)

    found = estimate()  # compiles
    sd = np.diag(program.root_omega)
    sample = range(min(arguments.sample, n))
    kernel_us, scipy_us, answers = [], [], []
    for patients in np.array_split(sample, ROUNDS):  # interleaved: a slow moment hits both
        begun = time.perf_counter()
        estimate()
        kernel_us.append((time.perf_counter() - begun) / n * 1e6)
        begun = time.perf_counter()
        answers += [
            minimize(objective, np.zeros(2), (sd, levels.conc_mg_l[i]), "L-BFGS-B", bounds=FAR)
            for i in patients
        ]
        scipy_us.append((time.perf_counter() - begun) / len(patients) * 1e6)

    above = [answers[i].fun - found.objective[i] for i in sample]
    record = {
        "patients": n,
        "kernel_us": statistics.median(kernel_us),
        "scipy_us": statistics.median(scipy_us),
        "ratio": statistics.median(a / b for a, b in zip(scipy_us, kernel_us, strict=True)),
        "kernel_evaluations": float(found.evaluations.mean()),
        "scipy_evaluations": statistics.mean(answer.nfev for answer in answers),
        "not_converged": int(np.sum(found.status != 0)),
        "scipy_above_kernel": int(np.sum(np.array(above) > 1e-6)),
        "kernel_above_scipy": int(np.sum(np.array(above) < -1e-6)),
    }
    print(f"kernel        {record['kernel_us']:9.1f} us per estimate")
    print(f"numpy, scipy  {record['scipy_us']:9.1f} us per estimate")
    print(f"ratio         {record['ratio']:9.0f} (goal {GOAL:g})")
    print(f"not converged {record['not_converged']:9d} of {n}")
    print(f"scipy stops above the kernel by more than 1e-6: {record['scipy_above_kernel']}")
    print(f"the kernel above scipy: {record['kernel_above_scipy']} of {len(sample)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
