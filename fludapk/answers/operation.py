"""The operation of an installation: formulas, kernels and known answers, compared here and now."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from fludapk.answers.case import answer_to, in_short
from fludapk.answers.installation import interpreter, released
from fludapk.answers.qualification_records import Checked
from fludapk.answers.verify import Verified, verify
from fludapk.arrays import F8
from fludapk.errors import FludapkError
from fludapk.patients.case_file import Scalar
from fludapk.patients.fields import request_name
from fludapk.pk.effects import RandomEffects, standard_normal_points
from fludapk.pk.estimates import Levels, map_estimates
from fludapk.pk.exposure import course_concentrations, course_exposure
from fludapk.published.formulas import FORMULAS
from fludapk.published.models import Model, load_models

RELATIVE: Final = 1e-6
"""Largest relative difference of a known answer from that of the release: what another processor or
another version of numpy may do, and far less than a digit of a model that is typed wrong."""
PROBABILITY: Final = 3e-4
"""Largest difference of a probability: two of 8192 simulated courses on the other side."""
ENGINE: Final = 1e-9
INTERPRETED: Final = 1e-7
"""Largest relative difference between compiled and plain kernels, whose searches may end apart."""


def formula_checks() -> list[Checked]:
    """Compute the printed example of every formula, rounded as it is printed."""
    rows = []
    for vector in released()["formulas"]:
        formula = FORMULAS.get(vector["formula"])
        computed = None
        if formula is not None:
            with np.errstate(all="ignore"):  # what is no number does not agree
                value = float(formula.function(**vector["arguments"]))
            computed = f"{value:.{vector['decimals']}f}"
        asked = ", ".join(f"{name} {value}" for name, value in vector["arguments"].items())
        source = vector["doi"] if formula is None else formula.doi
        rows.append(
            _text("formulas", vector["formula"], asked, vector["printed"], computed, source)
        )
    return rows


def _text(
    section: Any, name: str, quantity: str, expected: Scalar, computed: Scalar, source: str
) -> Checked:
    """Compare what is no number."""
    return Checked(
        section=section,
        name=name,
        quantity=quantity,
        expected=expected,
        computed=computed,
        allowed=None,
        ok=expected == computed,
        source=source,
    )


def published_checks(folders: Sequence[Path] | None) -> list[Checked]:
    """Re-compute what papers print, and compare the kernels with an ODE solver."""
    return [_of_verified(row) for row in verify((), folders)]


def _of_verified(row: Verified) -> Checked:
    return Checked(
        section="published",
        name=row.model,
        quantity=f"{row.what}, {row.unit}",
        expected=float(row.printed),
        computed=row.computed,
        allowed=row.allowed,
        ok=row.ok,
        source=row.source,
    )


# ------------------------------------------------------------------ other engines


def engine_checks(models: Sequence[Model]) -> list[Checked]:
    """Compare concentrations and areas with those that mrgsolve and rxode2 computed."""
    program = next(model.program for model in models if model.program.compartments == 3)
    rows = []
    for course in released()["engines"]:
        tv = np.array([course["parameters"]])
        columns = [np.array(column) for column in zip(*course["infusions"], strict=True)]
        starts, lengths, amounts = columns
        none = np.zeros((1, program.n_eta + len(starts) * program.n_kappa))
        effects = RandomEffects.from_normals(program, none, len(starts))
        times = np.array(course["times_h"])
        conc, auc = course_concentrations(
            program, tv, effects, starts, lengths, amounts[None, :], times
        )
        for quantity, computed in (("conc_mrgsolve", conc), ("conc_rxode2", conc),
                                   ("auc_rxode2", auc)):  # fmt: skip
            if course[quantity]:
                worst = _worst(np.array(course[quantity]), computed[0])
                what = f"{quantity.replace('_', ' of ')}: worst relative difference"
                rows.append(_number("engines", course["id"], what, 0.0, worst, ENGINE,
                                    released()["engines_by"]))  # fmt: skip
    return rows


def _worst(expected: F8, computed: F8) -> float:
    """Find the worst relative difference; infinite if something is no number."""
    worst = float(np.max(np.abs(computed / expected - 1.0)))
    return worst if math.isfinite(worst) else math.inf


def _number(
    section: Any,
    name: str,
    quantity: str,
    expected: float,
    computed: float | None,
    allowed: float,
    source: str,
) -> Checked:
    """Compare two numbers; a number that is not finite is recorded as none."""
    is_number = computed is not None and math.isfinite(computed)
    return Checked(
        section=section,
        name=name,
        quantity=quantity,
        expected=expected,
        computed=computed if is_number else None,
        allowed=allowed,
        ok=is_number and abs((computed or 0.0) - expected) <= allowed,
        source=source,
    )


# ------------------------------------------------------------------ compiled and plain


def kernel_checks(folders: Sequence[Path] | None) -> list[Checked]:
    """Compare what compiled kernels compute with what the same lines do as plain Python."""
    compiled = kernel_numbers(folders)
    plain = _interpreted(folders)
    if isinstance(plain, str):
        return [_text("kernels", "plain Python", "run", "an answer", plain, "this machine")]
    return [
        _number(
            "kernels", name, "value", plain.get(name, math.nan), value,
            INTERPRETED * max(abs(plain.get(name, 0.0)), 1e-3), "plain Python, this machine",
        )
        for name, value in compiled.items()
    ]  # fmt: skip


def kernel_numbers(folders: Sequence[Path] | None = None) -> dict[str, float]:
    """Compute areas, peaks, concentrations and an estimate by each model.

    Parameters
    ----------
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Returns
    -------
    dict of str to float
        Name -> number.
    """
    numbers: dict[str, float] = {}
    for model in load_models(folders):
        program, n = model.program, len(_STARTS)
        tv = _TV.copy()
        for q in range(2 * program.compartments, 6, 2):
            tv[0, q], tv[0, q + 1] = 0.0, 1.0
        normals = standard_normal_points(4, program.n_eta + n * program.n_kappa)
        effects = RandomEffects.from_normals(program, normals, n)
        many = np.repeat(tv, len(normals), axis=0)
        amounts = np.repeat(_AMOUNTS, len(normals), axis=0)
        exposure = course_exposure(program, many, effects, _STARTS, _LENGTHS, amounts)
        conc, _ = course_concentrations(
            program, many, effects, _STARTS, _LENGTHS, amounts, _SAMPLES
        )
        levels = Levels(times_h=_SAMPLES, conc_mg_l=conc[:1])
        estimate = map_estimates(program, tv, _STARTS, _LENGTHS, _AMOUNTS, levels)
        for name, value in (
            ("sum of AUC0-inf", exposure.auc_0_inf.sum()),
            ("largest AUC0-inf", np.max(exposure.auc_0_inf)),
            ("sum of peaks", exposure.cmax.sum()),
            ("sum of concentrations", conc.sum()),
            ("last concentration", conc[-1, -1]),
            ("estimate of eta 1 from levels", estimate.effects.eta[0, 0]),
            ("log-likelihood of levels", estimate.log_marginal_likelihood[0]),
        ):
            numbers[f"{model.id}: {name}"] = float(value)
    return numbers


_TV: Final = np.array([[6.0, 39.0, 8.6, 20.0, 3.8, 50.0]])
_STARTS: Final = np.array([0.0, 23.0, 49.5])
_LENGTHS: Final = np.array([0.5, 1.0, 2.0])
_AMOUNTS: Final = np.array([[40.0, 25.0, 31.0]])
_SAMPLES: Final = np.array([1.0, 2.5, 7.0, 24.0, 52.0])
_PROGRAM: Final = (
    "import json, sys; from pathlib import Path;"
    "from fludapk.answers.operation import kernel_numbers;"
    "print(json.dumps(kernel_numbers([Path(p) for p in sys.argv[1:]] or None)))"
)
_MOST_SECONDS: Final = 100


def _interpreted(folders: Sequence[Path] | None) -> dict[str, float] | str:
    """Compute the same in a process without compilation; a text says why that failed."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [interpreter(), "-c", _PROGRAM, *map(str, folders or ())],
            capture_output=True,
            text=True,
            timeout=_MOST_SECONDS,
            env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path},
            check=False,
        )
        numbers: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return f"no answer within {_MOST_SECONDS} s"
    except (OSError, ValueError, IndexError) as error:
        return f"could not be run: {error}"
    return numbers


# ------------------------------------------------------------------ known answers


def known_answer_checks(folders: Sequence[Path] | None) -> list[Checked]:
    """Ask the questions of the release again, and compare every answer."""
    rows = []
    for case in released()["known_answers"]:
        computed = short_answer(case["question"], case["typed"], folders)
        rows += _compared_answer(case["name"], case["answer"], computed)
    return rows


def short_answer(
    question: Any, typed: Mapping[str, Any], folders: Sequence[Path] | None = None
) -> dict[str, Scalar]:
    """Answer a question in short; a refusal is an answer too, by the names of its fields.

    Examples
    --------
    >>> slip = {"age": 60, "weight": 18.2, "height": 110, "scr": "0.3 mg/dL"}
    >>> short_answer("check", {**slip, "regimen": "tisa_cel_ball"})
    {'refused': 'age'}
    """
    try:
        return in_short(answer_to(question, typed, folders))
    except FludapkError as error:
        fields = {request_name(name) for fault in error.faults for name in fault.fields}
        return {"refused": ", ".join(sorted(fields)) or re.sub(r"\s.*", "", str(error))}


def _compared_answer(
    name: str, expected: Mapping[str, Scalar], computed: Mapping[str, Scalar]
) -> list[Checked]:
    """Compare an answer in short with the one of the release."""
    return [
        _compared(name, quantity, expected.get(quantity), computed.get(quantity))
        for quantity in dict.fromkeys((*expected, *computed))
        if quantity != "model_sha256"  # among the files
    ]


def _compared(name: str, quantity: str, expected: Scalar, computed: Scalar) -> Checked:
    source = "this release"
    if is_number(expected) and (computed is None or is_number(computed)):
        assert isinstance(expected, int | float)
        number = None if computed is None else float(computed)
        most = tolerance(quantity, float(expected))
        return _number("known_answers", name, quantity, float(expected), number, most, source)
    return _text("known_answers", name, quantity, expected, computed, source)


def is_number(value: object) -> bool:
    """Tell if a value of an answer is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def tolerance(quantity: str, value: float) -> float:
    """Return the largest absolute difference that is no change: of the machine, not of the model.

    Examples
    --------
    >>> tolerance("auc_0_inf", 1.0), tolerance("p_below", 0.5)
    (1e-06, 0.0003)
    """
    return PROBABILITY if quantity.startswith("p_") else RELATIVE * abs(value)
