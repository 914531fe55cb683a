"""Levels that do not fit together stop the answer; those of simulated patients never do."""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pytest

from fludapk.answers.fit import fit
from fludapk.answers.prediction import predict
from fludapk.answers.update import result_of, update
from fludapk.answers.update_records import UpdateResult
from fludapk.arrays import F8
from fludapk.errors import ConvergenceError, InputError
from fludapk.pages.update import update_page
from fludapk.pages.update_sheet import update_html
from fludapk.patients.level import Level
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.pk.estimates import Levels, map_estimates
from fludapk.pk.exposure import course_concentrations
from fludapk.pk.surprise import MISFIT_EFFECT, MISFIT_LEVEL, MISFIT_PROBABILITY, chi_square_tail
from fludapk.published.models import load_model

GIRL: Final = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
MAN: Final = Patient(age_years=60, sex="male", weight_kg=80, height_cm=178, scr_mg_dl=1.0)
BALL, AXI = Regimen.named("tisa_cel_ball"), Regimen.named("axi_cel")
DAY_ONE: Final = ("1h 0.85mg/L", "2h 0.52mg/L", "7h 0.15mg/L", "23.5h 0.03mg/L")
PEAK_AT_7_H: Final = ("1h 0.85mg/L", "7h 0.9mg/L", "23.5h 0.03mg/L")
MISFITS: Final = {
    "a second peak without a dose": PEAK_AT_7_H,
    "swapped samples": ("1h 0.03mg/L", "2h 0.52mg/L", "7h 0.15mg/L", "23.5h 0.85mg/L"),
    "umol/L typed as mg/L": ("1h 0.85mg/L", "2h 0.52mg/L", "7h 0.526mg/L", "23.5h 0.03mg/L"),
    "a decimal place": ("1h 0.85mg/L", "2h 0.052mg/L", "7h 0.15mg/L"),
    "drawn from the infusion line": ("1h 9mg/L", "7h 0.15mg/L"),
    "the only level, far off": ("3h 3.5mg/L",),
    "the clock of the next day": ("2h 0.52mg/L", "47h 0.7mg/L"),
}


def stopped(result: UpdateResult) -> bool:
    return "levels_do_not_fit" in [x.code for x in result.remarks if x.severity == "stop"]


# --- What a stop means ----------------------------------------------------------------------------


@pytest.mark.parametrize("texts", MISFITS.values(), ids=list(MISFITS))
def test_levels_that_do_not_fit_get_no_dose_no_flag_and_no_chance(texts: Sequence[str]) -> None:
    result = update(GIRL, BALL, texts, window=(13.8, 20.0))
    assert stopped(result)
    assert (result.remaining, result.flag, result.targets) == (None, None, [])
    assert result.would_give is not None
    head = result.headline
    assert (head.target, head.p_below, head.p_within, head.p_above) == (None,) * 4
    assert head.standing == "stop"
    assert head.sentence.endswith("no chance is given")
    assert result.remarks[0].message == head.stops[0]
    assert "Check time, unit, sampling line" in head.stops[0]


def test_the_stop_says_how_far_the_clearance_is_off_and_which_level() -> None:
    (reason,) = update(GIRL, BALL, PEAK_AT_7_H).headline.stops
    assert "clearance would be 78 % below typical" in reason
    assert "level 3 (23.5 h, 0.03 mg/L) is 13.8 residual SD below the fit" in reason
    late = update(GIRL, BALL, ["1h 0.85mg/L", "300h 0.9mg/L"], confirm="level")
    assert "clearance would be 96 % below typical" in late.headline.stops[0]


def test_the_page_begins_with_the_stop_and_calls_the_dose_no_proposal() -> None:
    result = update(GIRL, BALL, PEAK_AT_7_H, window=(13.8, 20.0))
    for page in (update_page(result, 1000), update_html(result, whole=False)):
        order = [
            page.index(part)
            for part in (
                "STOP",
                "no chance is given",
                "Not to be used: taken as they are",
                "No dose is proposed",
                "Not proposed: what the model would give",
                "Remaining 3 of 4 doses: 0 mg",
            )
        ]
        assert order == sorted(order)
        assert page.count("Remaining 3 of 4 doses") == 1
        assert "13.8 or more" not in page
    assert "levels do not fit" in repr(result)


def test_other_stops_leave_no_dose_either_but_a_chance() -> None:
    ill = Patient(age_years=61, sex="male", weight_kg=82, height_cm=176, scr_mg_dl=450 / 88.42)
    result = update(ill, AXI, ["2h 1.0mg/L", "7h 0.5mg/L"], window=(18.0, 20.0))
    assert [x.code for x in result.remarks if x.severity == "stop"] == ["label_renal"]
    assert result.remaining is None
    assert result.would_give is not None
    assert result.flag is not None
    assert result.headline.target == "scordo2023"


# --- Without each level ---------------------------------------------------------------------------


def test_the_estimate_without_each_level_is_that_of_the_others() -> None:
    result = update(GIRL, BALL, PEAK_AT_7_H)
    assert [(row.level, row.fits) for row in result.without] == [(1, False), (2, True), (3, False)]
    others = update(GIRL, BALL, [PEAK_AT_7_H[0], PEAK_AT_7_H[2]])
    assert result.without[1].auc_0_inf == pytest.approx(others.posterior.auc_0_inf, rel=1e-12)
    text = "without level 2 (7 h, 0.9 mg/L)"
    assert text in update_page(result)
    assert text in update_html(result)


def test_levels_that_fit_are_not_left_out_in_turn() -> None:
    assert update(GIRL, BALL, DAY_ONE).without == []
    odd = update(GIRL, BALL, ["2h 0.9mg/L", "20h 0.12mg/L"])
    assert odd.surprises
    assert not stopped(odd)
    assert [row.level for row in odd.without] == [1, 2]
    assert update(GIRL, BALL, ["3h 3.5mg/L"]).without == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_level_is_left_out_by_its_place_as_typed(order: tuple[int, ...]) -> None:
    texts = [PEAK_AT_7_H[k] for k in order]
    place = order.index(1) + 1
    result = update(GIRL, BALL, texts, exclude_level=[place], auc=16.0)
    others = update(GIRL, BALL, [text for text in texts if "7h" not in text], auc=16.0)
    assert result.posterior.auc_0_inf == others.posterior.auc_0_inf
    assert result.remaining == others.remaining
    (remark,) = [x for x in result.remarks if x.code == "level_excluded"]
    assert remark.message.startswith(f"level {place} (7 h, 0.9 mg/L) was left out")
    assert result.headline.notes[-1].startswith(f"Level {place} (7 h")
    assert result.provenance.excluded_levels == [place]
    assert result.provenance.input_sha256 != others.provenance.input_sha256
    (row,) = [row for row in result.levels if row.excluded]
    assert (row.level, row.residual_sd) == (place, None)
    assert "left out" in update_page(result)


def test_a_dose_before_a_level_that_is_left_out_was_given() -> None:
    texts = [*DAY_ONE, "26h 9mg/L"]
    left_out = update(GIRL, BALL, texts, exclude_level=[5], auc=16.0).remaining
    assert left_out is not None
    assert left_out.infusions == 2


@pytest.mark.parametrize("places", [[0], [5], ["x"], [-1], [1.5], [1, 2, 3, 4]])
def test_only_a_level_that_is_there_can_be_left_out_and_not_all(places: list[Any]) -> None:
    with pytest.raises(InputError) as caught:
        update(GIRL, BALL, DAY_ONE, exclude_level=places)
    assert {fault.field for fault in caught.value.faults} == {"exclude_level"}


# --- Times that must be confirmed -----------------------------------------------------------------


@pytest.mark.parametrize("text", ["300h 0.15mg/L", "480h <0.01mg/L", "-1h 0.5mg/L", "0h <0.01mg/L"])
def test_a_level_before_the_course_or_long_after_it_is_asked_about(text: str) -> None:
    texts = ["2h 0.52mg/L", text]
    with pytest.raises(InputError) as caught:
        update(GIRL, BALL, texts)
    (fault,) = caught.value.faults
    assert (fault.confirm, fault.inside) == ("level", ("levels", 2))
    assert fault.meant == f"{text.split('h')[0]} h"
    result = update(GIRL, BALL, texts, confirm="level")
    assert "level_confirmed" in [x.code for x in result.remarks]
    assert stopped(result) == ("<" not in text)


@pytest.mark.parametrize("text", ["73h 0.9mg/L", "96h 0.02mg/L", "120h 0.004mg/L"])
def test_a_level_while_drug_is_left_is_not_asked_about(text: str) -> None:
    assert update(GIRL, BALL, ["2h 0.52mg/L", text]).fits


def test_drug_before_the_first_dose_alone_is_nothing_to_estimate_from() -> None:
    with pytest.raises(InputError, match="every level is from before the first dose"):
        update(GIRL, BALL, ["-1h 0.5mg/L"], confirm="level")


# --- Doses given ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["0h 60mg"], "80.5 mg/m2 in a day, at most 50"),
        (["0h 30mg", "12h 30mg"], "80.5 mg/m2 in a day, at most 50"),
        ([f"{24 * k}h 37mg" for k in range(6)], "297.7 mg/m2 in the course, at most 250"),
    ],
)
def test_doses_given_above_a_ceiling_are_computed_and_no_more_is_proposed(
    given: list[str], words: str
) -> None:
    plan = Regimen.from_text(dose="30 mg/m2", days="8")
    result = update(GIRL, plan, ["2h 0.6mg/L"], given=given, auc=30.0)
    assert [x.code for x in result.remarks if x.severity == "stop"] == ["given_above_ceiling"]
    assert words in result.headline.stops[0]
    assert (result.remaining, result.would_give) == (None, None)
    assert result.flag is not None
    json.loads(result.to_json())
    assert "No dose is proposed" in update_page(result)


def test_doses_given_below_the_ceilings_leave_as_much_as_they_leave() -> None:
    plan = Regimen.from_text(dose="48 mg/m2", days="5")
    result = update(GIRL, plan, ["2h 0.9mg/L"], given=["0h 37mg", "24h 37.2mg"], auc=90.0)
    assert result.headline.stops == []
    assert result.remaining is not None
    assert result.remaining.total_course_mg_m2 <= 250.0


# --- It never fires on patients of the model ------------------------------------------------------


class Design(NamedTuple):
    """Levels of a simulated patient."""

    model: str
    patient: Patient
    plan: Regimen
    hours: tuple[float, ...]


DESIGNS: Final = {
    "child, a day": Design("langenhorst2019", GIRL, BALL, (1.0, 2.0, 7.0, 23.5)),
    "child, two levels": Design("langenhorst2019", GIRL, BALL, (2.0, 7.0)),
    "adult, two days": Design("langenhorst2019", MAN, AXI, (1.0, 7.0, 23.5, 25.0, 31.0, 47.5)),
    "adult by varela2025": Design("varela2025", MAN, AXI, (1.0, 2.0, 7.0, 23.5)),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_levels_of_simulated_patients_fit(name: str) -> None:
    """2000 patients each; the limits of `Surprise.fits`, of all at once."""
    model = load_model(DESIGNS[name].model)
    plan, patient = DESIGNS[name].plan, DESIGNS[name].patient
    typical = predict(model, patient, plan, plan.course(patient))
    conc = simulated(DESIGNS[name], 2000)
    hours = np.broadcast_to(DESIGNS[name].hours, conc.shape)
    found = map_estimates(
        model.program, typical.tv, *typical.arrays, Levels(times_h=hours, conc_mg_l=conc)
    )
    assert found.converged.all()
    proportional, additive, log_sd, _ = model.program.error
    fitted = found.predicted_mg_l
    residual = np.log(conc / fitted) / log_sd if log_sd else (
        (conc - fitted) / np.hypot(proportional * fitted, additive)
    )  # fmt: skip
    eta = found.effects.eta / np.sqrt((model.program.root_omega**2).sum(axis=1))
    distance = (found.normals**2).sum(axis=1) + (residual**2).sum(axis=1)
    tail = np.array([chi_square_tail(x, conc.shape[1]) for x in distance])
    assert np.abs(residual).max() < MISFIT_LEVEL
    assert np.abs(eta).max() < MISFIT_EFFECT
    assert tail.min() > MISFIT_PROBABILITY
    assert np.mean(tail < 0.05) < 0.1  # about chi square: the limit means what it says


def simulated(design: Design, n: int, seed: int = 11) -> F8:
    """Levels of n patients of a model, with residual error."""
    model, rng = load_model(design.model), np.random.default_rng(seed)
    doses = design.plan.days
    typical = predict(model, design.patient, design.plan, design.plan.course(design.patient))
    normals = rng.standard_normal((n, model.program.n_eta + doses * model.program.n_kappa))
    effects = RandomEffects.from_normals(model.program, normals, doses)
    conc, _ = course_concentrations(
        model.program, typical.tv, effects, *typical.arrays, np.array(design.hours)
    )
    proportional, additive, log_sd, _ = model.program.error
    noise = rng.standard_normal(conc.shape)
    if log_sd:
        return np.asarray(conc * np.exp(log_sd * noise))
    return np.asarray(conc + np.hypot(proportional * conc, additive) * noise)


def test_of_levels_times_five_most_are_stopped() -> None:
    """One of two levels, as from an infusion line."""
    design = DESIGNS["child, two levels"]
    fired = 0
    for first, second in simulated(design, 20):
        levels = [Level(time_h=2.0, conc_mg_l=5 * first), Level(time_h=7.0, conc_mg_l=second)]
        try:
            fired += not fit(GIRL, BALL, levels).fits
        except (ConvergenceError, InputError):
            fired += 1
    assert fired >= 18


def test_many_small_deviations_together_are_no_misfit() -> None:
    """A ward whose assay and times scatter by more than the residual error of the model."""
    model = load_model()
    typical = predict(model, GIRL, BALL, BALL.course(GIRL))
    hours = np.array([1.0, 2.0, 4.0, 7.0, 10.0, 16.0, 23.5])
    conc = typical.typical_mg_l(hours) * np.exp(0.12 * np.array([1, -1, 1, -1, 1, -1, 1]))
    result = result_of(
        fit(GIRL, BALL, [Level(time_h=t, conc_mg_l=c) for t, c in zip(hours, conc, strict=True)])
    )
    assert result.surprises == []
    assert not stopped(result)
