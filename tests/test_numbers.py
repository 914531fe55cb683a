"""Numbers of this version, to the last digits: a kernel or a model that moves them must say so.

The table holds patients, and what each model gives for them. After a change that is meant to move
numbers, write it anew with ``python tests/test_numbers.py`` and say what moved in CHANGELOG.md,
under "Model numbers".
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fludapk.answers.prediction import predict
from fludapk.errors import InputError
from fludapk.patients.patient import Patient
from fludapk.patients.population import Patients, draw, populations
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import course_concentrations
from fludapk.published.models import load_model, load_models

GOLDEN: Final = Path(__file__).with_name("golden") / "numbers.csv"
FIRST_LINE: Final = (
    "# Made by fludapk itself (python tests/test_numbers.py): patients drawn from prwcc_ball and "
    "lbcl_adults, typical values, and courses with drawn random effects"
)
REGIMENS: Final = ("tisa_cel_ball", "axi_cel", "hct_160")
GIVEN: Final = ("age_years", "sex", "weight_kg", "height_cm", "scr_mg_dl")
FOUND: Final = (
    "cl_l_h", "v1_l", "v3_l", "renal_fraction", "half_life_h", "auc_0_inf", "cmax_mg_l",
    "drawn_auc_0_inf", "drawn_cmax_mg_l", "drawn_trough_mg_l", "drawn_conc_30_h_mg_l",
)  # fmt: skip
EFFECTS: Final = 0.1 * np.array([[7, -12, 3, 15, -8, 2, -5, 11, -14, 6] * 4], dtype=np.float64)
"""Standard normals of the drawn course."""


def numbers(patient: Patient, model: str, regimen: str) -> list[float]:
    """What a model gives for a patient, in the order of `FOUND`."""
    chosen, plan = load_model(model), Regimen.named(regimen)
    found = predict(chosen, patient, plan, plan.course(patient))
    program, n = chosen.program, plan.days
    effects = RandomEffects.from_normals(program, EFFECTS, n)
    drawn = found.exposure(effects)
    conc, _ = course_concentrations(
        program, found.tv, effects, *found.arrays, np.array([0.25, 12.0, 30.0])
    )
    return [
        *(float(found.tv[0, slot]) for slot in (0, 1, 5)), found.renal_fraction,
        found.half_life_h, found.auc_0_inf, float(found.typical.cmax[0]),
        float(drawn.auc_0_inf[0]), float(drawn.cmax[0]), float(drawn.trough[0, -1]),
        float(conc[0, 2]),
    ]  # fmt: skip


def categories(model: str) -> dict[str, str]:
    """What a model needs beside the covariates."""
    needs = {
        "varela2025": {"product": "axi_cel"},
        "mohanan2017": {"diagnosis": "aplastic_anaemia", "genotype": "GG"},
    }
    known = load_model(model)
    return {k: v if v in known.categories(k) else known.categories(k)[0]
            for k, v in needs.get(model, {}).items()}  # fmt: skip


def patient_of(row: dict[str, str], model: str) -> Patient:
    numbers_of = {name: float(row[name]) for name in GIVEN if name != "sex"}
    return Patient(sex=row["sex"], **numbers_of, **categories(model))  # type: ignore[arg-type]


def rows() -> list[dict[str, str]]:
    with GOLDEN.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@pytest.mark.parametrize("model", [model.id for model in load_models()])
def test_the_numbers_of_a_model_have_not_moved(model: str) -> None:
    table = [row for row in rows() if row["model"] == model]
    assert len(table) >= 100
    found = np.array([numbers(patient_of(row, model), model, row["regimen"]) for row in table])
    expected = np.array([[float(row[name]) for name in FOUND] for row in table])
    for k, name in enumerate(FOUND):
        assert_allclose(found[:, k], expected[:, k], rtol=1e-12, err_msg=name)


def test_every_model_of_this_version_is_guarded() -> None:
    assert {row["model"] for row in rows()} == {model.id for model in load_models()}


def drawn_patients() -> Iterator[dict[str, str]]:
    for name, seed in (("prwcc_ball", 11), ("lbcl_adults", 12)):
        entry = populations()[name]
        known = Patients(draw(entry, np.random.default_rng(seed), 40), {}).columns
        for k in range(40):
            yield {
                "age_years": f"{known['AGE'][k]:.4g}",
                "sex": "female" if known["SEX"][k] else "male",
                "weight_kg": f"{known['WT'][k]:.4g}",
                "height_cm": f"{known['HT'][k]:.4g}",
                "scr_mg_dl": f"{known['SCR'][k]:.3g}",
            }


def write() -> None:
    """Write the table anew."""
    people = list(drawn_patients())
    with GOLDEN.open("w", encoding="utf-8", newline="") as file:
        file.write(FIRST_LINE + "\n")
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["model", "regimen", *GIVEN, *FOUND])
        for model in load_models():
            for k, row in enumerate(people):
                for regimen in (REGIMENS[k % 3], REGIMENS[(k + 1) % 3]):
                    try:
                        found = numbers(patient_of(row, model.id), model.id, regimen)
                    except InputError:
                        continue
                    given = [row[name] for name in GIVEN]
                    table.writerow([model.id, regimen, *given, *map(repr, found)])


if __name__ == "__main__":
    write()
