"""Write levels.csv: 40 simulated children of the PRWCC B-ALL population with measured levels.

It holds no real patient. The true model is langenhorst2019, with variability between patients,
between occasions and of the assay; fludarabine phosphate 30 mg/m2 on four days; levels after the
first dose and, in most children, after the fourth; limit of quantification 0.01 mg/L. Each run
writes the same bytes: ``python examples/make_levels.py > examples/levels.csv``.
"""

from __future__ import annotations

import sys

import numpy as np

from fludapk.answers.prediction import predict
from fludapk.patients.course import Course
from fludapk.patients.patient import Patient
from fludapk.patients.population import virtual_patients
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.exposure import course_concentrations, with_residual_error
from fludapk.published.models import load_model

LLOQ_MG_L = 0.01
AFTER_FIRST_H = (1.0, 2.0, 7.0)
BEFORE_SECOND_H = 0.5
AFTER_FOURTH_H = (1.0, 2.0, 7.0, 24.0, 48.0)


def main() -> None:
    """Print the records."""
    model, plan = load_model(), Regimen.from_text(dose="30 mg/m2", days="4")
    drawn = virtual_patients("prwcc_ball", n=40, seed=2022)
    rng = np.random.default_rng(2022)
    out = ["ID,TIME,AMT,RATE,EVID,MDV,DV,BLQ,LLOQ,AGE,SEXF,WT,HT,SCR_MG_DL"]
    for i in range(40):
        age, weight, height, scr = (
            round(float(drawn[name][i]), digits)
            for name, digits in (("AGE", 2), ("WT", 1), ("HT", 0), ("SCR", 2))
        )
        sex = "female" if drawn["SEX"][i] == 1 else "male"
        patient = Patient(age_years=age, weight_kg=weight, height_cm=height, scr_mg_dl=scr, sex=sex)
        starts = 24.0 * np.arange(4) + np.append(0.0, rng.integers(-4, 5, 3) / 4)
        doses = np.round(plan.course(patient).doses_mg, 0)
        course = Course(
            times_h=tuple(starts), infusion_h=(0.5,) * 4, doses_mg=tuple(doses.tolist())
        )
        prediction = predict(model, patient, plan, course)
        normals = rng.standard_normal((1, model.program.n_eta + 4 * model.program.n_kappa))
        effects = RandomEffects.from_normals(model.program, normals, 4)
        has_late_levels = rng.random() < 0.75
        after_fourth = starts[3] + np.array(AFTER_FOURTH_H) if has_late_levels else ()
        at = np.array([*AFTER_FIRST_H, starts[1] - BEFORE_SECOND_H, *after_fourth])
        at = np.round(at + rng.normal(0.0, 0.05, at.size), 2)
        conc, _ = course_concentrations(
            model.program, prediction.tv, effects, *prediction.arrays, at
        )
        levels = with_residual_error(model.program, conc, rng.standard_normal(conc.shape))[0]
        covariates = f"{age:g},{int(sex == 'female')},{weight:g},{height:g},{scr:g}"
        records = [
            (t, f"{t:g},{dose:g},{2 * dose:g},1,1,.,0,{LLOQ_MG_L}")
            for t, dose in zip(starts, doses, strict=True)
        ]
        records += [
            (t, f"{t:g},0,0,0,0,{'.' if c < LLOQ_MG_L else f'{c:.4f}'},{int(c < LLOQ_MG_L)},"
             f"{LLOQ_MG_L}")
            for t, c in zip(at, levels, strict=True)
        ]  # fmt: skip
        out += [f"{i + 1},{text},{covariates}" for _, text in sorted(records)]
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
