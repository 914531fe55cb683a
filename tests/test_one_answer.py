"""Every door gives the same answer: 500 patients at random, checked, tabulated, printed, dosed."""

import json
import math
from functools import cache
from html import unescape
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pytest

import fludapk
from fludapk.answers.check_records import CheckResult
from fludapk.answers.headline import percent
from fludapk.answers.prediction import LOG2_POINTS
from fludapk.pages.words import auc_of, side, stop_lines, typeset

N: Final = 500
COURSES: Final = (
    ("tisa_cel_ball", 0.6, 25), ("axi_cel", 18, 85), ("brexu_cel_mcl", 30, 85),
    ("tisa_cel_lbcl", 18, 85), ("liso_cel", 18, 85), ("ide_cel", 35, 80), ("cilta_cel", 40, 80),
    ("hct_160", 1, 70),
)  # fmt: skip


class Row(NamedTuple):
    """A patient as a list has it."""

    age_years: float
    sex: str
    weight_kg: float
    height_cm: float
    scr_mg_dl: float
    regimen: str
    confirm: str


@cache
def rows() -> tuple[Row, ...]:
    """Patients from infants to the very old, some of them obese, with kidneys from good to none."""
    rng = np.random.default_rng(20261126)
    patients = []
    for _ in range(N):
        regimen, youngest, oldest = COURSES[rng.integers(len(COURSES))]
        age = round(float(rng.uniform(youngest, oldest)), 2)
        height = 172.0 if age > 16 else 60 + 7 * min(age, 2) * 2 + 5.6 * max(age - 2, 0)
        height *= rng.normal(1, 0.04)
        index = rng.lognormal(math.log(26 if age > 16 else 16), 0.2 if age > 16 else 0.1)
        normal = 0.95 if age > 16 else 0.25 + 0.04 * age
        patients.append(
            Row(
                age_years=age,
                sex=("female", "male")[rng.integers(2)],
                weight_kg=round(float(index * (height / 100) ** 2), 1),
                height_cm=round(float(height), 1),
                scr_mg_dl=round(float(normal * rng.lognormal(0.05, 0.5)), 2),
                regimen=regimen,
                confirm="weight; height; scr",
            )
        )
    return tuple(patients)


@cache
def checks() -> tuple[CheckResult, ...]:
    """The same patients, checked one by one."""
    return tuple(
        fludapk.check(
            fludapk.Patient(
                age_years=row.age_years, sex=row.sex, weight_kg=row.weight_kg,
                height_cm=row.height_cm, scr_mg_dl=row.scr_mg_dl,
                confirmed=("weight", "height", "scr"),
            ),
            fludapk.Regimen.named(row.regimen),
        )
        for row in rows()
    )  # fmt: skip


def test_all_kinds_of_answers_are_among_them() -> None:
    standings = [check.headline.standing for check in checks()]
    assert {name: standings.count(name) >= 10 for name in set(standings)} == dict.fromkeys(
        ("stop", "below", "above", "within", "no_target"), True
    )


def test_the_headline_is_made_of_the_numbers_of_the_result() -> None:
    for check in checks():
        headline = check.headline
        assert headline.stops == [r.message for r in check.remarks if r.severity == "stop"]
        assert headline.auc_0_inf == check.exposure.auc_0_inf
        if headline.target is None:
            assert not any(target.applies for target in check.targets)
            continue
        leading = next(target for target in check.targets if target.applies)
        assert leading.id == headline.target
        if headline.model == check.model:
            narrow = (leading.p_below, leading.p_within, leading.p_above)
            wide = (
                leading.p_below_uncertain, leading.p_within_uncertain, leading.p_above_uncertain,
            )  # fmt: skip
            assert (headline.p_below, headline.p_within, headline.p_above) in (narrow, wide)
            said = (headline.p_below, headline.p_above)
            assert (leading.chances.below, leading.chances.above) == said
        shares = (headline.p_below, headline.p_above)
        assert all(percent(p) in headline.sentence for p in shares if p)


def test_json_and_page_say_what_the_headline_says() -> None:
    for check in checks():
        answer = json.loads(check.to_json())["headline"]
        page = " ".join(check.to_text().split())
        lines = [*stop_lines(check.headline), check.headline.sentence]
        assert answer["sentence"] == check.headline.sentence
        assert answer["stops"] == check.headline.stops
        places = [page.index(" ".join(typeset(line).split())) for line in lines]
        assert places == sorted(places)
        assert places[0] < page.index("AUC0-inf") < page.index("Per dose")


def test_the_sheet_says_what_the_headline_says() -> None:
    for check in checks()[::5]:
        sheet = unescape(check.to_html())
        assert f'class="chance">{check.headline.sentence}<' in sheet
        assert sheet.count('<p class="stop">') == len(check.headline.stops)


def test_a_list_says_what_the_headline_says() -> None:
    table = fludapk.check_table(pd.DataFrame(rows()), log2_points=LOG2_POINTS)
    assert table["error"].isna().all()
    for check, (_, row) in zip(checks(), table.iterrows(), strict=True):
        headline = check.headline
        assert row["headline"] == headline.sentence
        assert (row["stop"] or "") == "; ".join(headline.stops)
        for name in ("p_below", "p_within", "p_above", "auc_0_inf"):
            expected = getattr(headline, name)
            assert pd.isna(row[name]) if expected is None else row[name] == pytest.approx(expected)


def test_no_dose_is_proposed_under_stop_and_one_is_without() -> None:
    for row, check in zip(rows()[::4], checks()[::4], strict=True):
        patient, plan = check.made_from.case.patient, fludapk.Regimen.named(row.regimen)
        goal = {"target": check.headline.target} if check.headline.target else {"auc": 15.0}
        result = fludapk.find_dose(patient, plan, **goal)
        assert (result.answer is None) == bool(check.headline.stops)
        if result.answer is None:
            assert "Per dose" not in result.to_text(is_brief=True)
        else:
            assert result.proposed is not None
            assert result.headline == result.proposed.headline
            course = plan.in_mg(result.answer.dose_mg).course(patient)
            assert course.ceiling_faults(patient.bsa_m2) == []


def test_a_number_is_never_printed_on_the_other_side_of_a_threshold() -> None:
    for check in checks():
        if check.headline.target is None:
            continue
        auc, where = printed(check)
        low, high = check.headline.low, check.headline.high
        if where.startswith("below"):
            assert auc < float(where.split()[1])
        elif where.startswith("above"):
            assert auc > float(where.split()[1])
        elif low is not None:
            assert low <= auc <= (high or math.inf)


def printed(check: CheckResult) -> tuple[float, str]:
    """AUC and side as the page prints them."""
    return float(auc_of(check.headline)), side(check.headline)
