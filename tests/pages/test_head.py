"""The head of every page of a patient."""

from fludapk.answers.check import check
from fludapk.answers.compare import compare
from fludapk.answers.dose import find_dose
from fludapk.answers.goal import Goal
from fludapk.answers.update import update
from fludapk.pages.chart import chart_lines
from fludapk.pages.check import brief_page
from fludapk.pages.compare import brief_page as brief_compare
from fludapk.pages.dose import brief_dose_page
from fludapk.pages.update import brief_update
from fludapk.patients.level import Level
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen


def test_every_page_names_a_creatinine_that_changes_during_the_course() -> None:
    man = Patient(
        age_years=61, sex="male", weight_kg=82, height_cm=176, scr_mg_dl=0.8,
        renal_changes=[(48.0, 2.6)],
    )  # fmt: skip
    course = Regimen.named("axi_cel")
    checked = check(man, course)
    dosed = find_dose(man, course, Goal.chosen(auc=15))
    compared = compare(man, ["axi_cel", "axi_cel auc 19"])
    updated = update(man, course, [Level(time_h=2.0, conc_mg_l=0.5)])
    pages = [
        *(brief_page(checked, 80), brief_dose_page(dosed, 80)),
        *(brief_compare(compared, 80), brief_update(updated, 80)),
        *(answer.to_html() for answer in (checked, dosed, compared, updated)),
        *(chart_lines(answer)[0] for answer in (checked, dosed, compared, updated)),
    ]
    for page in pages:
        assert "creatinine 2.6 mg/dL from 48 h" in " ".join(page.split())
