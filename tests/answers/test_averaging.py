"""An average over models: a mixture of what each of them says, at every door, never the default."""

import csv
import io
import json
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from asking import ask
from click.testing import CliRunner

import fludapk
from fludapk.answers.check import check
from fludapk.answers.check_records import CheckResult
from fludapk.answers.compare import compare
from fludapk.answers.curve import concentrations, curve_of
from fludapk.answers.dose import find_dose
from fludapk.answers.fit import fit
from fludapk.answers.nomogram import nomogram
from fludapk.answers.update import update
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.patients.level import Level
from fludapk.patients.model_weights import averaged_by, read_weights
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.published.models import DEFAULT_MODEL, load_models

MAN: Final = Patient(age=61, sex="male", weight=82, height=176, scr="1.2 mg/dL")
GIRL: Final = Patient(age=5, sex="female", weight=18.2, height=110, scr="0.3 mg/dL")
AXI: Final = Regimen.named("axi_cel")
TYPED: Final = ["--age", "61", "--sex", "male", "--weight", "82", "--height", "176",
                "--scr", "1.2 mg/dL", "--regimen", "axi_cel"]  # fmt: skip
BOTH: Final = ("langenhorst2019", "varela2025")
LEVELS: Final = ("2h 0.6mg/L", "7h 0.3mg/L")


def singles() -> dict[str, CheckResult]:
    return {name: check(MAN, AXI, model=name) for name in BOTH}


@pytest.mark.parametrize(
    ("model", "weights"),
    [("averaged", (0.5, 0.5)), ("averaged: varela2025=3, langenhorst2019=1", (0.25, 0.75))],
)
def test_the_average_is_a_mixture_of_what_the_models_say(
    model: str, weights: tuple[float, float]
) -> None:
    result, alone = check(MAN, AXI, model=model), singles()
    own = dict(zip(BOTH, weights, strict=True))
    assert result.averaged is not None
    assert {m.model: m.weight for m in result.averaged} == pytest.approx(own)
    for part in ("auc_0_inf", "cmax_mg_l", "half_life_h", "conc_at_cells_mg_l"):
        expected = sum(w * getattr(alone[name].exposure, part) for name, w in own.items())
        assert getattr(result.exposure, part) == pytest.approx(expected, rel=1e-12)
    for k, target in enumerate(result.targets):
        for part in ("p_below", "p_above", "p_below_uncertain"):
            expected = sum(w * getattr(alone[n].targets[k], part) for n, w in own.items())
            assert getattr(target, part) == pytest.approx(expected, abs=1e-12)
    low, high = result.exposure.auc_0_inf_pi90
    lows, highs = zip(*(alone[n].exposure.auc_0_inf_pi90 for n in BOTH), strict=True)
    assert min(lows) < low < max(lows)
    assert min(highs) < high < max(highs)
    assert sum(result.exposure.auc_per_dose) == pytest.approx(result.exposure.auc_0_inf)
    assert result.trail[-1].value == pytest.approx(result.exposure.auc_0_inf)


def test_each_model_stands_beside_the_average() -> None:
    result, alone = check(MAN, AXI, model="averaged"), singles()
    for member in result.averaged or ():
        own = alone[member.model]
        assert member.auc_0_inf == own.exposure.auc_0_inf
        assert member.auc_0_inf_pi90 == own.exposure.auc_0_inf_pi90
        assert member.sha256 == own.provenance.model_sha256
    said = {remark.code for remark in result.remarks}
    for own in alone.values():
        assert {remark.code for remark in own.remarks} <= said
    assert "Scordo 2023 was found with langenhorst2019" in " ".join(result.headline.notes)


WITHOUT: Final = "langenhorst2019_indexed has no part in the average: another reading of"


def test_another_reading_of_an_averaged_paper_is_named_as_left_out() -> None:
    """In checks, doses and updates alike."""
    for answer in (
        check(MAN, AXI, model="averaged"),
        find_dose(MAN, AXI, target="dekker2022", model="averaged"),
        update(MAN, AXI, LEVELS, model="averaged"),
    ):
        (without,) = (r for r in answer.remarks if r.code == "averaged_without")
        assert without.severity == "note"
        assert without.message.startswith(WITHOUT)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("varela2025=1, langenhorst2019_indexed=1", WITHOUT),
        (
            "varela2025=1, mohanan2017=2",
            "mohanan2017 has no part in the average: it does not apply",
        ),
    ],
)
def test_a_weight_that_cannot_count_is_a_caution(weights: str, message: str) -> None:
    result = check(MAN, AXI, model=f"averaged: {weights}")
    (without,) = (r for r in result.remarks if r.code == "averaged_without")
    assert without.severity == "caution"
    assert without.message.startswith(message)
    (alone,) = (r for r in result.remarks if r.code == "averaged_alone")
    assert "only varela2025 has a weight and applies" in alone.message


def test_a_stop_of_every_model_is_told_once() -> None:
    """Both models know such kidneys, a label does not allow them."""
    refused = Patient(age=61, sex="male", weight=82, height=176, crcl=44)
    result = check(refused, Regimen.named("axi_cel"), model="averaged")
    said = [remark.message for remark in result.remarks]
    assert len(said) == len(set(said))
    alone = Patient(age=61, sex="male", weight=82, height=176, crcl=29)
    stopped = check(alone, AXI, model="averaged: langenhorst2019=1")
    assert stopped.headline.stops == check(alone, AXI).headline.stops


def test_it_is_never_the_default() -> None:
    assert check(MAN, AXI).averaged is None
    assert DEFAULT_MODEL in {model.id for model in load_models()}
    assert find_dose(MAN, AXI, target="scordo2023").dose.model != "averaged"


def test_where_one_model_applies_it_answers_alone_and_says_so() -> None:
    result, alone = check(GIRL, AXI, model="averaged"), check(GIRL, AXI)
    assert result.exposure.auc_0_inf == alone.exposure.auc_0_inf
    assert result.exposure.auc_0_inf_pi90 == pytest.approx(alone.exposure.auc_0_inf_pi90, rel=1e-3)
    assert result.trail == alone.trail
    assert [remark.code for remark in result.remarks].count("averaged_alone") == 1


def test_another_reading_of_a_paper_is_not_averaged() -> None:
    result = check(MAN, AXI, model="averaged")
    assert sorted(m.model for m in result.averaged or ()) == sorted(BOTH)


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("averaged: langenhorst2018=1", "did you mean 'langenhorst2019'"),
        ("averaged: varela2025=0", "no number above zero"),
        ("averaged: varela2025", "no number above zero"),
        ("averaged: varela2025=1, varela2025=2", "comes twice"),
        ("averaged: mohanan2017=1", "no model with a weight applies"),
        ("averaged: varela2025=nan", "no number above zero"),
    ],
)
def test_weights_that_mean_nothing_are_refused(model: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        check(MAN, AXI, model=model)


def test_all_faults_of_weights_are_told_at_once() -> None:
    with pytest.raises(InputError) as refused:
        read_weights("averaged: nobody=1, varela2025=-1", BOTH)
    assert len(refused.value.faults) == 2


def test_an_average_is_refused_where_one_model_is_needed() -> None:
    with pytest.raises(InputError, match="one model is needed"):
        nomogram(AXI, model="averaged")
    with pytest.raises(InputError, match="one model is needed"):
        concentrations(MAN, AXI, model="averaged")


def test_the_curve_of_an_average_has_its_area() -> None:
    result = check(MAN, AXI, model="averaged")
    drawn = curve_of(result)
    area = float(np.sum(np.diff(drawn.times_h) * (drawn.typical[1:] + drawn.typical[:-1]) / 2))
    assert area == pytest.approx(result.exposure.auc_0_inf, rel=0.05)
    assert (drawn.low <= drawn.typical).all()
    assert (drawn.typical <= drawn.high).all()


def test_a_dose_is_found_for_the_average() -> None:
    found = find_dose(MAN, AXI, window=(15, 20), model="averaged").dose
    again = check(MAN, AXI.in_mg(found.dose_mg), model="averaged")
    assert found.auc_0_inf == pytest.approx(again.exposure.auc_0_inf, rel=1e-12)
    assert found.auc_0_inf_pi90 == pytest.approx(again.exposure.auc_0_inf_pi90, rel=1e-12)
    alone = [find_dose(MAN, AXI, auc=17, model=name).dose.dose_mg for name in BOTH]
    both = find_dose(MAN, AXI, auc=17, model="averaged").dose.dose_mg
    assert min(alone) <= both <= max(alone)


def test_plans_are_compared_by_the_average() -> None:
    table = compare(MAN, ["axi_cel", "axi_cel 24 mg/m2"], model="averaged")
    for plan, dose in zip(table.plans, (30.0, 24.0), strict=True):
        own = check(MAN, Regimen.chosen(regimen="axi_cel", dose=(dose, "mg/m2")), model="averaged")
        assert plan.exposure == own.exposure
        assert plan.headline == own.headline


def test_levels_weigh_the_models_by_how_well_they_explain_them() -> None:
    result = update(MAN, AXI, LEVELS, model="averaged")
    levels = [Level.from_text(text) for text in LEVELS]
    fits = {name: fit(MAN, AXI, levels, model=name) for name in BOTH}
    evidence = {n: np.exp(f.posterior.log_marginal_likelihood) for n, f in fits.items()}
    members = {m.model: m for m in result.averaged or ()}
    for name in BOTH:
        assert members[name].weight == pytest.approx(evidence[name] / sum(evidence.values()))
        assert members[name].prior_weight == 0.5
    alone = {name: update(MAN, AXI, LEVELS, model=name) for name in BOTH}
    auc = sum(members[n].weight * alone[n].posterior.auc_0_inf for n in BOTH)
    assert result.posterior.auc_0_inf == pytest.approx(auc, rel=1e-12)
    for k, target in enumerate(result.targets):
        below = sum(members[n].weight * alone[n].targets[k].p_below for n in BOTH)
        assert target.p_below == pytest.approx(below, abs=1e-9)


def test_the_doses_that_are_left_are_for_the_average() -> None:
    goal = {"auc": 18.0, "round_to_mg": 1.0}
    left = update(MAN, AXI, LEVELS, model="averaged", **goal).remaining  # type: ignore[arg-type]
    alone = [update(MAN, AXI, LEVELS, model=n, **goal).remaining for n in BOTH]  # type: ignore[arg-type]
    assert left is not None
    doses = [one.dose_mg for one in alone if one is not None]
    assert min(doses) <= left.dose_mg <= max(doses)
    assert left.auc_0_inf == pytest.approx(18.0, rel=0.02)


def test_draws_of_an_average_are_refused() -> None:
    with pytest.raises(InputError, match="of one model"):
        update(MAN, AXI, LEVELS, model="averaged", draws=10)


# --- Doors ----------------------------------------------------------------------------------------


def test_every_door_gives_the_same_average(tmp_path: Path) -> None:
    expected = check(MAN, AXI, model="averaged").exposure.auc_0_inf
    shown = CliRunner().invoke(main, ["check", *TYPED, "--model", "averaged", "--json"])
    assert json.loads(shown.stdout)["exposure"]["auc_0_inf"] == expected
    listed = tmp_path / "list.csv"
    listed.write_text(
        "age,sex,weight,height,scr_mg_dl,regimen,model\n61,male,82,176,1.2,axi_cel,averaged\n"
    )
    done = CliRunner().invoke(main, ["batch", str(listed)])
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert float(row["auc_0_inf"]) == expected
    assert row["weights"] == "langenhorst2019=0.5; varela2025=0.5"
    body = {"age": 61, "sex": "male", "weight": 82, "height": 176, "scr": "1.2 mg/dL",
            "regimen": "axi_cel", "model": "averaged"}  # fmt: skip
    assert ask("POST", "/api/v1/check", json=body).json()["exposure"]["auc_0_inf"] == expected


@pytest.mark.parametrize("command", ["check", "update", "dose"])
def test_weights_come_from_an_evaluation(command: str, tmp_path: Path) -> None:
    file = tmp_path / "evaluation.json"
    weights = [{"model": "langenhorst2019", "weight_mean": 0.2},
               {"model": "varela2025", "weight_mean": 0.8}]  # fmt: skip
    file.write_text(json.dumps({"schema": "fludapk.evaluation/1", "models": weights}))
    more = {"check": [], "dose": ["--auc", "18"], "update": ["--level", "2h 0.6mg/L"]}[command]
    asked = [command, *TYPED, *more, "--model", "averaged", "--json"]
    once = CliRunner().invoke(main, [*asked, "--model-weights", str(file)])
    assert once.exit_code == 0, once.output
    table = json.loads(once.stdout)
    members = (table["proposed"] if command == "dose" else table)["averaged"]
    assert {m["model"]: m["prior_weight"] for m in members} == pytest.approx(
        {"langenhorst2019": 0.2, "varela2025": 0.8}
    )
    assert averaged_by(file) == "averaged: langenhorst2019=0.2, varela2025=0.8"
    wrong = CliRunner().invoke(main, ["check", *TYPED, "--model-weights", str(file)])
    assert wrong.exit_code == 3
    assert "are for an average" in wrong.output


def test_an_evaluation_of_ones_own_data_gives_weights() -> None:
    levels = Path(__file__).parents[2] / "examples" / "levels.csv"
    record = fludapk.evaluate(levels, dv_unit="mg/L", amount="phosphate", simulations=100)
    text = averaged_by(record.to_dict())
    weights = read_weights(text, [model.id for model in load_models()])
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("contents", ["{}", "[]", "nothing", '{"schema": "x", "models": []}'])
def test_what_is_no_evaluation_is_refused(contents: str, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(contents)
    with pytest.raises(InputError, match="is no evaluation of models"):
        averaged_by(file)
