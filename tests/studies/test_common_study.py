"""The common study: plans as typed, the strategies they become, and the file that runs again."""

import tomllib
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fludapk.errors import InputError
from fludapk.studies.common_study import common_study, toml_of
from fludapk.studies.simulate import read_scenario, simulate

POPULATION: Final = "prwcc_ball"


def strategy(text: str) -> dict[str, Any]:
    """The strategy that a plan becomes, without its name."""
    row = common_study(POPULATION, [text, "tisa_cel_ball 1 mg x 1"])["strategies"][0]
    assert isinstance(row, dict)
    return {key: value for key, value in row.items() if key != "id"}


OWN_TIMES: Final = {"interval_h": 24.0, "infusion_h": 0.5}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("tisa_cel_ball", {"kind": "fixed", "regimen": "tisa_cel_ball"}),
        ("30 mg/m2 x 3", {"kind": "fixed", "dose": "30 mg/m2", "days": 3, **OWN_TIMES}),
        ("tisa_cel_ball 24 mg/m2", {"kind": "fixed", "dose": "24 mg/m2", "days": 4, **OWN_TIMES}),
        ("tisa_cel_ball x 5", {"kind": "fixed", "dose": "30 mg/m2", "days": 5, **OWN_TIMES}),
        ("tisa_cel_ball auc 17", {"kind": "target", "regimen": "tisa_cel_ball", "auc": 17.0}),
        ("tisa_cel_ball 24 mg/m2 auc 17", {"kind": "target", "regimen": "tisa_cel_ball",
                                           "auc": 17.0}),
        ("x 4 window 13.8 20", {"kind": "target", "days": 4, "window": [13.8, 20.0], **OWN_TIMES}),
        ("axi_cel target scordo2023", {"kind": "target", "regimen": "axi_cel",
                                       "window": [18.0, 20.0]}),
        ("tisa_cel_ball target fabrizio2022 chance 0.9",
         {"kind": "target", "regimen": "tisa_cel_ball", "at_least": 13.8, "probability": 0.9}),
        ("tisa_cel_ball target fabrizio2022",
         {"kind": "target", "regimen": "tisa_cel_ball", "at_least": 13.8, "probability": 0.8}),
        ("axi_cel rule us_iv", {"kind": "renal", "regimen": "axi_cel", "rule": "us_iv"}),
        ("tisa_cel_ball auc 17 levels 1h, 2 h 7 24", {
            "kind": "adaptive", "first": "covariates", "regimen": "tisa_cel_ball", "auc": 17.0,
            "levels_h": [1.0, 2.0, 7.0, 24.0]}),
    ],
)  # fmt: skip
def test_a_plan_becomes_the_strategy_it_says(text: str, wanted: dict[str, Any]) -> None:
    assert strategy(text) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tisa_cel_ball chance 0.8", "plan 1 .* says no target for its chance"),
        ("tisa_cel_ball levels 1 2", "has levels without an aim"),
        ("tisa_cel_ball auc 17 levels", "has no hours of its levels"),
        ("tisa_cel_ball auc 17 levels 1 2 kg", "plan 1 .*levels 1 2 kg"),
        ("tisa_cel_ball auc 17 levels 2 1", "not between the first two doses"),
        ("tisa_cel_ball auc 17 levels 1 30", "up to the second at 24 h"),
        ("tisa_cel_ball window 13.8 20 chance 0.8", "a chance of a window with two ends"),
        ("tisa_cel_ball target fabrizio2022 chance 0.3", "a chance below one half"),
        ("tisa_cel_bal", "did you mean 'tisa_cel_ball'"),
        ("axi_cel", "plan 2 'axi_cel': is plan 1 again"),
    ],
)
def test_a_plan_that_no_study_can_follow_is_refused_by_its_number(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        common_study(POPULATION, [text, "axi_cel"])
    (fault,) = refused.value.faults
    assert fault.inside == ("plans", 2 if "again" in why else 1)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(InputError) as refused:
        common_study("nobody", ["axi_cel"], window=(20, 10), patients=0, seed=-1)
    fields = [fault.field for fault in refused.value.faults]
    assert fields == ["population", "window", "patients", "seed", "plans"]


PLANS: Final = [
    "tisa_cel_ball",
    "tisa_cel_ball auc 17",
    "tisa_cel_ball rule us_iv",
    "tisa_cel_ball auc 17 levels 1 7",
]


def test_the_file_of_a_study_is_the_study() -> None:
    study = common_study(
        POPULATION, PLANS, window=(13.8, 18.5), patients=500, seed=7, round_to_mg=5.0
    )
    assert tomllib.loads(toml_of(study, "a comment")) == study
    scenario = read_scenario(study).scenario
    assert [row.kind for row in scenario.strategies] == ["fixed", "target", "renal", "adaptive"]
    assert (scenario.window.low, scenario.window.high) == (13.8, 18.5)
    assert {row.round_to_mg for row in scenario.strategies} == {5.0}


def test_what_a_population_lacks_can_be_said() -> None:
    study = common_study(
        "lbcl_adults", ["axi_cel", "axi_cel auc 19"], model="mohanan2017", patients=500,
        diagnosis="aplastic_anaemia", genotype="GG",
    )  # fmt: skip
    assert tomllib.loads(toml_of(study)) == study
    assert read_scenario(study).scenario.genotype == "GG"


def test_a_dose_by_levels_hits_the_window_more_often_than_one_by_covariates() -> None:
    plans = ["tisa_cel_ball auc 17", "tisa_cel_ball auc 17 levels 1 2 7 24"]
    rows = simulate(common_study(POPULATION, plans, patients=500)).rows()
    by_covariates, by_levels = (float(row["p_in_window"]) for row in rows)
    assert by_levels > by_covariates + 0.2


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])).filter(str.isprintable)
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.booleans()
        | st.lists(st.integers(0, 9)),
        max_size=4,
    )
)
def test_any_value_comes_back_from_a_scenario_file(table: dict[str, Any]) -> None:
    for scenario in (table, {"one": table}, {"rows": [table, table]}):
        assert tomllib.loads(toml_of(scenario)) == scenario
