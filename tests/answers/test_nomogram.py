"""The nomogram: every cell is what a check of that patient says, and the figure shows it."""

import csv
import io
import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray

from fludapk._version import __version__
from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.nomogram import nomogram
from fludapk.answers.nomogram_grid import ADULT_WEIGHTS_KG, CHILD_WEIGHTS_KG, RENAL
from fludapk.answers.nomogram_records import Nomogram
from fludapk.errors import InputError
from fludapk.pages.nomogram import cell, nomogram_page
from fludapk.pages.nomogram_figure import nomogram_png, nomogram_svg
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.patients.typed_patient import SEXES
from fludapk.published.growth import growth_lms
from fludapk.published.models import load_model

TISA: Final = Regimen.named("tisa_cel_ball")
AXI: Final = Regimen.named("axi_cel")
ADULT: Final[dict[str, Any]] = {"age_years": 60.0, "height_cm": 175.0}

PLANS: Final = {
    "mg/kg": Regimen(dose=0.6, unit="mg/kg", days=4, interval_h=12.0, infusion_h=1.0),
    "mg": Regimen(dose=45.0, unit="mg", days=4),
}
MAPS: Final[dict[str, Callable[[], Nomogram]]] = {
    "girls": lambda: nomogram(TISA, sex="female"),
    "girls and boys": lambda: nomogram(TISA),
    "adult": lambda: nomogram(AXI, **ADULT),
    "adult man, CrCl": lambda: nomogram(AXI, model="varela2025", sex="male", **ADULT),
    "mg/kg": lambda: nomogram(PLANS["mg/kg"]),
    "mg": lambda: nomogram(PLANS["mg"]),
    "dose": lambda: nomogram(TISA, target_auc=15.0),
    "high dose": lambda: nomogram(TISA, target_auc=30.0),
    "dose, adult": lambda: nomogram(AXI, target_auc=19.0, **ADULT),
    "dose, CrCl": lambda: nomogram(AXI, target_auc=19.0, model="varela2025", **ADULT),
}


@lru_cache
def drawn_up(name: str) -> Nomogram:
    return MAPS[name]()


def plan(name: str, dose_mg: float | None = None) -> Regimen:
    """The course of a map; of a map of doses with the dose that was read off."""
    course = PLANS.get(name, TISA if drawn_up(name).regimen == "tisa_cel_ball" else AXI)
    return course if dose_mg is None else replace(course, dose=dose_mg, unit="mg")


def patient(chart: Nomogram, i: int, j: int) -> Patient:
    renal: dict[str, Any] = {chart.renal_field: chart.renal[j]}
    return Patient(
        age_years=chart.ages_years[i],
        weight_kg=chart.weights_kg[i],
        height_cm=chart.heights_cm[i],
        sex=SEXES[chart.sex] if chart.sex else None,
        **renal,
    )


def checked(name: str, i: int, j: int, dose_mg: float | None = None) -> CheckResult:
    chart = drawn_up(name)
    return check(patient(chart, i, j), plan(name, dose_mg), model=chart.model)


def grid(chart: Nomogram) -> NDArray[np.float64]:
    """Values, NaN where there is none."""
    return np.array(chart.values, dtype=np.float64)


def corners_and_middle(chart: Nomogram) -> list[tuple[int, int]]:
    n, m = len(chart.weights_kg), len(chart.renal)
    return [(0, 0), (n // 2, m // 2), (n - 1, 0), (0, m - 1), (n - 1, m - 1), (n // 3, 2 * m // 3)]


# --- Every cell is what a check says --------------------------------------------------------------


@pytest.mark.parametrize("name", MAPS)
def test_a_cell_is_what_the_check_of_that_patient_says(name: str) -> None:
    chart = drawn_up(name)
    seen = 0
    for i, j in corners_and_middle(chart):
        value = chart.values[i][j]
        if chart.quantity == "dose_mg" and value is None:
            continue  # ceilings: see below
        if value is None:
            with pytest.raises(InputError, match="refused"):
                checked(name, i, j)
            continue
        seen += 1
        if chart.quantity == "dose_mg":
            result = checked(name, i, j, dose_mg=value)
            assert result.exposure.auc_0_inf == pytest.approx(chart.target_auc, rel=1e-12)
        else:
            result = checked(name, i, j)
            assert value == pytest.approx(result.exposure.auc_0_inf, rel=1e-12)
            assert chart.doses_mg is not None
            assert chart.doses_mg[i] == pytest.approx(result.regimen.doses_mg[0], rel=1e-12)
        assert chart.bsa_m2[i] == pytest.approx(result.patient.bsa_m2, rel=1e-12)
        said = "outside_studied_range" in [remark.code for remark in result.remarks]
        assert chart.outside_studied[i][j] == said
    assert seen >= 3


@pytest.mark.parametrize("name", MAPS)
def test_auc_falls_and_the_dose_rises_with_renal_function(name: str) -> None:
    chart = drawn_up(name)
    upwards = 1.0 if chart.quantity == "dose_mg" else -1.0
    change = upwards * np.diff(grid(chart), axis=1)
    rounding = 1e-12 * np.nanmax(grid(chart))
    caps = np.array(chart.renal_caps or [math.inf] * len(chart.weights_kg))
    from_below = np.array(chart.renal)[:-1] < caps[:, None]
    counts = np.isfinite(change) & from_below
    assert np.all(change[counts] > 0)
    flat = np.isfinite(change) & ~from_below
    assert np.all(np.abs(change[flat]) <= rounding)


def test_renal_function_above_the_cap_counts_as_the_cap() -> None:
    chart = nomogram(TISA, weights_kg=[8.0, 20.0], renal=[139.0, 140.0, 150.0, 300.0])
    assert chart.renal_caps is not None
    assert chart.renal_caps[0] == pytest.approx(35 + 70 * chart.ages_years[0], rel=1e-12)
    assert chart.renal_caps[1] == 140.0
    assert len(set(chart.values[0])) == 1
    assert len(set(chart.values[1])) == 2
    assert any("counts as that" in note and "under 1 y" in note for note in chart.notes)
    assert drawn_up("adult man, CrCl").renal_caps is None


def test_the_interval_and_the_targets_are_those_of_the_middle_patient() -> None:
    chart = drawn_up("adult")
    i, j = len(chart.weights_kg) // 2, len(chart.renal) // 2
    result = checked("adult", i, j)
    auc, (low, high) = result.exposure.auc_0_inf, result.exposure.auc_0_inf_pi90
    assert chart.interval_90 == pytest.approx((low / auc, high / auc), rel=1e-12)
    assert chart.applicable_targets == ("scordo2023",)
    assert drawn_up("girls").applicable_targets == ("fabrizio2022", "dekker2022")
    assert chart.middle == "85 kg, 60 y, 175 cm, eGFR 90 mL/min/1.73 m2"


def test_the_other_models_are_compared_wherever_they_apply() -> None:
    chart = nomogram(TISA, sex="female", weights_kg=[12.0], renal=[130.0])
    aucs = {row.model: row.auc_0_inf for row in check(patient(chart, 0, 0), TISA).sensitivity}
    ratio = (aucs["langenhorst2019_indexed"] or 0.0) / (aucs["langenhorst2019"] or 1.0)
    said = "langenhorst2019_indexed (another reading of langenhorst2019) is"
    assert any(note.startswith(f"{said} {100 * (ratio - 1):.0f} % above") for note in chart.notes)
    assert any(note.startswith("The default is the reading") for note in chart.notes)
    assert not any("varela2025" in note for note in chart.notes)
    dose = nomogram(TISA, sex="female", weights_kg=[12.0], renal=[130.0], target_auc=15)
    less = f"{said} {100 * (1 - 1 / ratio):.0f} % below"
    assert any(note.startswith(less) for note in dose.notes)
    assert any(note.startswith("varela2025") for note in drawn_up("adult").notes)


# --- The target of the patients -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["girls", "adult", "adult man, CrCl", "dose", "dose, adult", "mg"])
def test_a_cell_has_the_chances_and_the_stop_of_the_check_of_that_patient(name: str) -> None:
    chart = drawn_up(name)
    assert chart.p_miss is not None
    assert chart.p_below is not None
    assert chart.p_above is not None
    seen = 0
    for i, j in corners_and_middle(chart):
        value = chart.values[i][j]
        if value is None:
            assert chart.p_miss[i][j] is chart.p_below[i][j] is None
            continue
        seen += 1
        head = checked(name, i, j, value if chart.quantity == "dose_mg" else None).headline
        assert chart.targets_of_weights[i] == head.target
        assert chart.p_miss[i][j] == head.p_miss
        assert (chart.p_below[i][j], chart.p_above[i][j]) == (head.p_below, head.p_above)
        assert chart.stopped[i][j] == bool(head.stops)
    assert seen >= 3


def test_adults_are_judged_by_their_own_target_and_not_by_that_of_children() -> None:
    adults, children = drawn_up("adult"), drawn_up("girls")
    assert adults.target == "scordo2023"
    assert set(adults.targets_of_weights) == {"scordo2023"}
    assert set(children.targets_of_weights) == {"fabrizio2022"}
    marks = {
        cell(adults, i, j).marks
        for i in range(len(adults.weights_kg))
        for j, auc in enumerate(adults.values[i])
        if auc is not None and 14 < auc < 18 and not adults.outside_studied[i][j]
    }
    assert marks == {"b"}


def test_where_no_target_fits_it_is_said_and_no_mark_is_made() -> None:
    chart = nomogram(Regimen.named("tisa_cel_lbcl"), weights_kg=[70, 90], renal=[60, 90], **ADULT)
    assert (chart.target, set(chart.targets_of_weights)) == (None, {None})
    assert {cell(chart, i, j).marks for i in (0, 1) for j in (0, 1)} == {""}
    assert {cell(chart, i, j).chance for i in (0, 1) for j in (0, 1)} == {""}
    assert "No published target fits this patient" in str(chart)


def test_a_target_of_adults_leads_from_their_age_on() -> None:
    chart = nomogram(AXI, sex="male", weights_kg=[60.0, 69.0], renal=[90.0, 120.0])
    young, adult = chart.ages_years
    assert young < 18 < adult
    assert chart.targets_of_weights == (None, "scordo2023")
    assert "at some weights, none at others" in " ".join(str(chart).split())


def test_no_dose_is_on_the_map_where_a_label_says_not_to_give_it() -> None:
    doses, areas = drawn_up("dose, adult"), drawn_up("adult")
    assert any(map(any, doses.stopped))
    for chart in (doses, areas):
        for i, row in enumerate(chart.stopped):
            for j, is_stopped in enumerate(row):
                if is_stopped:
                    assert (chart.values[i][j] is None) == (chart is doses)
                    assert "STOP" in " ".join(cell(chart, i, j))
    girls = drawn_up("girls")
    for age, row in zip(girls.ages_years, girls.stopped, strict=True):
        assert any(row) == (age >= 18)
    assert any("US label: do not give" in note for note in doses.notes)


def test_doses_that_a_label_forbids_everywhere_are_refused() -> None:
    with pytest.raises(InputError, match="no dose: labels say not to give it"):
        nomogram(AXI, target_auc=19.0, renal=[15.0, 18.0], weights_kg=[60.0], **ADULT)


def test_a_fine_or_a_large_map_has_no_chances_but_its_stops() -> None:
    fine = nomogram(AXI, weights_kg=[60.0, 80.0], renal=[20.0, 60.0], fine=True, **ADULT)
    assert (fine.p_miss, fine.p_below, fine.p_above) == (None, None, None)
    assert any(map(any, fine.stopped))
    weights = [40.0 + 0.5 * k for k in range(101)]
    large = nomogram(AXI, weights_kg=weights, **ADULT)
    assert large.p_miss is None
    assert "no chances: the map has more than 1000 cells" in large.notes


def test_a_fine_map_compares_models_where_the_coarse_one_does() -> None:
    fine = nomogram(TISA, fine=True)
    said = [note for note in fine.notes if note.startswith("langenhorst2019_indexed")]
    assert said == [n for n in drawn_up("girls and boys").notes if n.startswith(said[0][:23])]


@pytest.mark.parametrize("name", ["girls", "adult", "dose, adult", "adult man, CrCl"])
def test_the_page_of_a_terminal_fits_and_holds_every_weight(name: str) -> None:
    chart = drawn_up(name)
    for width in (80, 100):
        lines = nomogram_page(chart, width).splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) < 70
        heads = [line.split()[0] for line in lines if re.match(r" +[\d.]+  ", line)]
        assert heads == [f"{weight:g}" for weight in chart.weights_kg]


def test_a_number_is_never_printed_on_the_other_side_of_its_target() -> None:
    chart = drawn_up("adult")
    for i in range(len(chart.weights_kg)):
        for j, auc in enumerate(chart.values[i]):
            shown = float(cell(chart, i, j).value)
            assert auc is not None
            assert (shown < 18) == (auc < 18)
            assert (shown > 20) == (auc > 20)


# --- Who is on the map ----------------------------------------------------------------------------


@pytest.mark.parametrize(("sex", "who"), [("female", "girls"), ("male", "boys")])
def test_children_have_the_median_weight_and_height_of_their_age(sex: str, who: str) -> None:
    chart = nomogram(TISA, sex=sex)
    assert chart.who == f"children of median growth (CDC 2000), {who}"
    for weight, age, height in zip(
        chart.weights_kg, chart.ages_years, chart.heights_cm, strict=True
    ):
        assert growth_lms("weight", sex, age)[1] == pytest.approx(weight, rel=1e-12)
        assert growth_lms("height", sex, age)[1] == pytest.approx(height, rel=1e-12)
    assert np.all(np.diff(chart.ages_years) > 0)


def test_without_a_sex_the_median_is_the_mean_of_both() -> None:
    chart = drawn_up("girls and boys")
    for weight, age, height in zip(
        chart.weights_kg, chart.ages_years, chart.heights_cm, strict=True
    ):
        both = [
            [growth_lms(measure, sex, age)[1] for sex in ("female", "male")]
            for measure in ("weight", "height")
        ]
        assert np.mean(both, axis=1) == pytest.approx([weight, height], rel=1e-12)


def test_the_axes_have_defaults() -> None:
    assert drawn_up("girls and boys").weights_kg == CHILD_WEIGHTS_KG
    assert (CHILD_WEIGHTS_KG[0], CHILD_WEIGHTS_KG[-1]) == (5.0, 60.0)
    assert drawn_up("girls").weights_kg == CHILD_WEIGHTS_KG[:-1]  # the median never is 60 kg
    assert drawn_up("adult").weights_kg == ADULT_WEIGHTS_KG
    assert (ADULT_WEIGHTS_KG[0], ADULT_WEIGHTS_KG[-1]) == (40.0, 130.0)
    for name in ("girls", "adult man, CrCl"):
        assert drawn_up(name).renal == RENAL
    assert (RENAL[0], RENAL[-1]) == (20.0, 160.0)
    adult = drawn_up("adult man, CrCl")
    assert (adult.who, adult.renal_covariate, adult.renal_unit) == (
        "male, 60 y, 175 cm",
        "CrCl",
        "mL/min",
    )
    assert set(adult.ages_years) == {60.0}
    assert set(adult.heights_cm) == {175.0}


def test_a_fine_map_has_the_same_values_and_more_between() -> None:
    coarse, fine = drawn_up("girls and boys"), nomogram(TISA, fine=True)
    assert len(fine.weights_kg) == 5 * 22 + 1
    assert fine.weights_kg[::5] == coarse.weights_kg
    assert fine.renal[::5] == coarse.renal
    np.testing.assert_allclose(grid(fine)[::5, ::5], grid(coarse), rtol=1e-13)
    widest = nomogram(TISA, weights_kg=np.linspace(5, 60, 101).tolist(), renal=[60], fine=True)
    assert (len(widest.weights_kg), len(widest.renal)) == (101, 1)


def test_a_course_for_others_is_said() -> None:
    assert "axi_cel is a course for adults with LBCL or FL" in nomogram(AXI).notes
    assert not any("is a course for" in note for note in drawn_up("girls").notes)
    assert any("no published target" in note for note in drawn_up("mg").notes)


# --- What is forbidden, what is outside -----------------------------------------------------------


def test_cells_above_the_daily_ceiling_are_empty() -> None:
    chart = drawn_up("mg")
    for i, (bsa, row) in enumerate(zip(chart.bsa_m2, chart.values, strict=True)):
        assert all((value is None) == (45.0 / bsa > 50.0) for value in row)
        if i in (0, len(chart.bsa_m2) - 1):
            assert (row[0] is None) == (i == 0)
    assert any("above 50 mg/m2 a day or 250 mg/m2" in note for note in chart.notes)
    assert any("neurotoxicity" in note for note in chart.notes)
    assert not any("neurotoxicity" in note for note in drawn_up("girls").notes)


def test_doses_above_a_ceiling_are_not_given_for_a_target() -> None:
    chart = nomogram(TISA, target_auc=24.0, renal=[30, 60, 90, 120, 140])
    doses = grid(chart)
    assert np.isnan(doses).any()
    daily = doses / np.array(chart.bsa_m2)[:, None]
    assert np.nanmax(daily) <= 50.0
    assert not np.isnan(doses[:, 0]).any()
    week = replace(TISA, days=7)  # 250 mg/m2 are reached first
    doses = grid(nomogram(week, target_auc=40.0))
    assert np.isnan(doses).any()
    assert 7 * np.nanmax(doses / np.array(drawn_up("girls and boys").bsa_m2)[:, None]) <= 250.0


def test_a_dose_at_the_ceiling_is_allowed() -> None:
    edge = nomogram(Regimen(dose=50.0, unit="mg/m2", days=5), renal=[60])
    assert all(value is not None for row in edge.values for value in row)


@pytest.mark.parametrize(
    "regimen",
    [
        Regimen(dose=50.1, unit="mg/m2", days=4),
        Regimen(dose=40.0, unit="mg/m2", days=7),
        Regimen(dose=30.0, unit="mg/m2", days=4, interval_h=12.0),
    ],
)
def test_a_map_of_forbidden_doses_only_is_refused(regimen: Regimen) -> None:
    with pytest.raises(InputError, match="above 50 mg/m2 a day or 250 mg/m2 in the course"):
        nomogram(regimen)


def test_cells_outside_the_limits_of_the_model_are_empty() -> None:
    chart = nomogram(AXI, weights_kg=[1.5, 60.0], renal=[60.0, 90.0], **ADULT)
    assert chart.values[0] == (None, None)
    assert None not in chart.values[1]
    assert chart.outside_studied == ((True, True), (False, False))
    with pytest.raises(InputError, match="limits of langenhorst2019"):
        nomogram(AXI, age_years=105.0, height_cm=170.0)


def test_cells_outside_the_studied_range_are_marked() -> None:
    chart = drawn_up("adult man, CrCl")
    outside = np.array(chart.outside_studied)
    weights, renal = np.array(chart.weights_kg), np.array(chart.renal)
    expected = ((weights < 52) | (weights > 101))[:, None] | (renal < 39)
    np.testing.assert_array_equal(outside, expected)
    assert any("varela2025 was built from adults 23-82 y" in note for note in chart.notes)


# --- What is refused ------------------------------------------------------------------------------


def faults(regimen: Regimen = TISA, **arguments: Any) -> list[str]:
    with pytest.raises(InputError) as refused:
        nomogram(regimen, **arguments)
    return list(refused.value.sentences())


def test_all_faults_are_listed_at_once() -> None:
    found = faults(
        weights_kg=[0.5, 20.0, 10.0],
        renal=[math.nan, 60.0, 500.0],
        age_years=-1.0,
        sex="girl",
        target_auc=math.inf,
    )
    said = "\n".join(found)
    for part in (
        "weights_kg = 0.5 kg is not from 1 to 300 kg",
        "weights_kg must ascend",
        "renal = nan, 500 mL/min/1.73 m2 is not from 1 to 300",
        "age_years = -1 is outside",
        "age_years and height_cm go together",
        "sex = 'girl'",
        "target_auc = inf must be a finite number above zero",
    ):
        assert part in said
    assert len(found) == 7


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"weights_kg": []}, "weights_kg has 0 values on the axis; from 1 to 200"),
        ({"weights_kg": np.linspace(5, 60, 201).tolist()}, "weights_kg has 201 values"),
        ({"renal": np.linspace(20, 160, 201).tolist()}, "renal has 201 values"),
        ({"renal": [60.0, 60.0]}, "renal must ascend"),
        ({"weights_kg": [20.0, 66.0]}, "66 kg is not a median weight between birth and 20 y"),
        ({"weights_kg": [2.5, 20.0]}, "2.5 kg is not a median weight between birth and 20 y"),
        ({"weights_kg": [60.0], "sex": "female"}, "(3.40 to 58.22 kg)"),
        ({"height_cm": 120.0}, "age_years and height_cm go together"),
        ({"age_years": 30.0}, "age_years and height_cm go together"),
        ({"age_years": 5.0, "height_cm": 110.0}, "needs its own weights"),
        ({"target_auc": 0.0}, "target_auc = 0.0"),
        ({"model": "mohanan2017", "diagnosis": "fanconi_anaemia"}, "no renal covariate"),
        ({"model": "nobody2020"}, "unknown model"),
        ({"product": "tisa_sel"}, "did you mean 'tisa_cel'"),
        ({"product": "axi_cel"}, "tisa_cel_ball is a course for 'tisa_cel'"),
    ],
)
def test_one_fault_is_one_message(arguments: dict[str, Any], part: str) -> None:
    (only,) = faults(**arguments)
    assert part in only


def test_what_the_model_needs_must_be_said() -> None:
    custom = Regimen(dose=30.0, unit="mg/m2", days=3)
    (only,) = faults(custom, model="varela2025", **ADULT)
    assert only == "varela2025 needs product (axi_cel or tisa_cel)"
    (only,) = faults(custom, model="varela2025", product="axicel", **ADULT)
    assert "did you mean 'axi_cel'" in only
    chart = nomogram(custom, model="varela2025", product="axi_cel", **ADULT)
    assert chart.values == drawn_up("adult man, CrCl").values


def test_a_child_of_a_given_age_needs_weights_only() -> None:
    chart = nomogram(TISA, age_years=5.0, height_cm=110.0, weights_kg=[18.2], renal=[140.0])
    assert chart.who == "5 y, 110 cm"
    girl = Patient(age_years=5, weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
    assert chart.values[0][0] == pytest.approx(check(girl, TISA).exposure.auc_0_inf, rel=1e-12)


# --- JSON and CSV ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["girls", "mg", "adult man, CrCl", "high dose"])
def test_json_holds_the_map(name: str) -> None:
    chart = drawn_up(name)
    document = json.loads(chart.to_json())
    assert document["schema"] == "fludapk.nomogram/1"
    assert tuple(tuple(row) for row in document["values"]) == chart.values
    assert tuple(tuple(row) for row in document["outside_studied"]) == chart.outside_studied
    for key in ("weights_kg", "ages_years", "heights_cm", "renal", "notes", "interval_90"):
        assert tuple(document[key]) == getattr(chart, key)
    for key in ("quantity", "unit", "target_auc", "renal_covariate", "renal_unit", "dose_text"):
        assert document[key] == getattr(chart, key)
    assert document["model_sha256"] == load_model(chart.model).sha256
    assert document["version"] == __version__


@pytest.mark.parametrize("name", ["girls", "mg", "adult man, CrCl", "high dose"])
def test_csv_holds_the_map(name: str) -> None:
    chart = drawn_up(name)
    rows = list(csv.DictReader(io.StringIO(chart.to_csv())))
    renal = "crcl_ml_min" if "CrCl" in name else "egfr_ml_min_1_73m2"
    assert list(rows[0]) == [
        *("weight_kg", "age_years", "height_cm", renal),
        *("bsa_m2", "dose_mg", "auc_0_inf", "outside_studied_range"),
        *("stop", "target", "p_below", "p_above", "p_miss"),
    ]
    n, m = len(chart.weights_kg), len(chart.renal)
    assert len(rows) == n * m
    for number, row in enumerate(rows):
        i, j = divmod(number, m)
        assert float(row["weight_kg"]) == chart.weights_kg[i]
        assert float(row["age_years"]) == chart.ages_years[i]
        assert float(row["height_cm"]) == chart.heights_cm[i]
        assert float(row["bsa_m2"]) == chart.bsa_m2[i]
        assert float(row[renal]) == chart.renal[j]
        assert row["outside_studied_range"] == str(chart.outside_studied[i][j]).lower()
        value = chart.values[i][j]
        if value is None:
            assert (row["dose_mg"], row["auc_0_inf"]) == ("", "")
        elif chart.doses_mg is None:
            assert (float(row["dose_mg"]), float(row["auc_0_inf"])) == (value, chart.target_auc)
        else:
            assert (float(row["dose_mg"]), float(row["auc_0_inf"])) == (chart.doses_mg[i], value)


# --- The figure -----------------------------------------------------------------------------------


@lru_cache
def svg(name: str) -> str:
    return nomogram_svg(drawn_up(name))


def texts(name: str) -> list[str]:
    """Every text of a figure, which also must be well-formed XML."""
    root = ElementTree.fromstring(svg(name))
    return ["".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("}text")]


def test_the_figure_has_its_contours_with_units() -> None:
    written = texts("girls and boys")
    for label in ("13.8 mg·h/L", "14 mg·h/L", "18 mg·h/L", "20 mg·h/L"):
        assert written.count(label) == 1
    for label in (
        "Weight (kg)",
        "eGFR (mL/min/1.73 m²)",
        "Age whose median weight this is (years)",
    ):
        assert label in written
    assert "CrCl (mL/min)" in texts("adult man, CrCl")
    assert not any(label.startswith("Age whose") for label in texts("adult man, CrCl"))


def test_the_figure_says_what_it_is_and_is_not() -> None:
    chart, page = drawn_up("girls and boys"), " ".join(texts("girls and boys"))
    for part in (
        "Typical AUC0-inf of F-ara-A (mg·h/L): tisagenlecleucel, B-ALL",
        "30 mg/m² fludarabine phosphate × 4, every 24 h, 0.5-h infusions",
        "children of median growth (CDC 2000), girls and boys",
        f"langenhorst2019, sha256 {chart.model_sha256[:12]}",
        f"fludapk {__version__}",
        "regimen tisa_cel_ball",
        "not a medical device",
        "scordo2023*",
        "the AUC of 90 % of patients is between 32 % below and 48 % above",
        "langenhorst2019_indexed (another reading",
    ):
        assert part in page
    assert "fabrizio2022*" not in page


def test_the_contours_of_the_target_that_leads_are_the_heavy_ones() -> None:
    def heavy(name: str) -> set[str]:
        drawn = ElementTree.fromstring(svg(name)).iter()
        bold = [node for node in drawn if "font-weight: 700" in node.get("style", "")]
        said = {"".join(node.itertext()).strip() for node in bold}
        return {text for text in said if re.fullmatch(r"[\d.]+ mg·h/L", text)}

    assert heavy("girls and boys") == {"13.8 mg·h/L"}
    assert heavy("adult") == {"18 mg·h/L", "20 mg·h/L"}
    assert "STOP: a label says not to give it" in texts("adult")
    assert "STOP: a label says not to give it" not in texts("girls and boys")


def test_the_figure_of_doses_has_round_doses() -> None:
    written = texts("dose")
    assert "Fludarabine phosphate per infusion (mg) for a typical AUC0-inf of 15 mg·h/L" in written
    for label in ("10 mg", "20 mg", "30 mg", "40 mg"):
        assert written.count(label) == 1
    assert not any("fabrizio2022" in label for label in written)


def test_hatching_and_blanks_have_a_key() -> None:
    assert "outside the patients of langenhorst2019" in texts("girls and boys")
    assert "<pattern" in svg("girls and boys")
    assert "blank: no value, see below" in texts("mg")
    assert "blank: no value, see below" not in texts("girls and boys")


@pytest.mark.parametrize("name", ["girls and boys", "dose"])
def test_the_figure_is_grey_and_its_letters_are_large(name: str) -> None:
    colours = set(re.findall(r"#([0-9a-f]{6})", svg(name)))
    assert len(colours) > 5
    assert all(colour[:2] == colour[2:4] == colour[4:] for colour in colours)
    sizes = [float(size) for size in re.findall(r"font(?:-size)?:[^;\"]*?([0-9.]+)px", svg(name))]
    assert len(sizes) > 20
    assert min(sizes) >= 9.0
    assert 'viewBox="0 0 841.68 595.44"' in svg(name)  # A4, points


def test_the_figure_is_the_same_every_time_whatever_the_users_style() -> None:
    with matplotlib.rc_context({"font.size": 30.0, "svg.fonttype": "path", "axes.grid": False}):
        again = nomogram_svg(drawn_up("girls and boys"))
        assert matplotlib.rcParams["font.size"] == 30.0
    assert again == svg("girls and boys")
    assert "<dc:date>" not in again


def test_a_png_is_the_same_every_time() -> None:
    small = nomogram(TISA, weights_kg=[10.0, 20.0], renal=[60.0, 120.0])
    once = nomogram_png(small)
    assert once.startswith(b"\x89PNG\r\n\x1a\n")
    assert nomogram_png(small) == once


def test_a_single_row_is_no_map() -> None:
    with pytest.raises(InputError, match="two weights and two renal functions"):
        nomogram_svg(nomogram(TISA, weights_kg=[20.0]))


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'fludapk\[report\]'"):
        nomogram_svg(drawn_up("girls"))
