"""Vials shared on one day."""

import math
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.patients.vials import share_vials

DOSES = st.lists(st.integers(1, 400).map(lambda halves: halves / 2), min_size=1, max_size=12)


@given(DOSES)
def test_shared_vials_are_the_sum_of_the_doses_rounded_up(doses: list[float]) -> None:
    shared = share_vials([(f"P{k}", mg) for k, mg in enumerate(doses)])
    assert shared.vials == math.ceil(sum(doses) / 50)
    assert shared.vials_saved >= 0
    assert shared.left_mg < 50
    assert shared.mg_saved == pytest.approx(50 * shared.vials_saved)


@given(DOSES)
def test_everybody_gets_the_dose_and_no_vial_gives_more_than_it_holds(doses: list[float]) -> None:
    shared = share_vials([(f"P{k}", mg) for k, mg in enumerate(doses)])
    drawn: dict[int, float] = {}
    for dose in shared.doses:
        assert sum(mg for _, mg in dose.parts_mg) == pytest.approx(dose.dose_mg)
        for vial, mg in dose.parts_mg:
            drawn[vial] = drawn.get(vial, 0.0) + mg
    assert sorted(dose.dose_mg for dose in shared.doses) == sorted(doses)
    assert list(drawn) == list(range(1, shared.vials + 1))
    assert all(mg <= 50 + 1e-9 for mg in drawn.values())


def test_alone_nobody_saves() -> None:
    shared = share_vials([("A", 30.0)])
    assert (shared.vials, shared.vials_alone, shared.mg_saved) == (1, 1, 0.0)


def test_a_dose_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="of B: 0 mg cannot be drawn"):
        share_vials([("A", 30.0), ("B", 0.0)])


def test_a_list_of_a_day_says_who_draws_from_which_vial(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text(
        "ID,age_years,weight_kg,height_cm,sex,scr_mg_dl,regimen\n"
        "A,5,18.2,110,female,0.3,tisa_cel_ball\n"
        "B,14,50,160,male,0.6,tisa_cel_ball\n"
        "C,61,82,176,male,5.1,axi_cel\n"
    )
    result = CliRunner().invoke(main, ["batch", str(path), "--share-vials", "--round-to", "1"])
    text = result.stderr
    assert "Vials shared on one day: 2 of 50 mg instead of 2" in text
    assert text.index("  B  ") < text.index("  A  ")
    assert "1 row without a dose to draw (refused, or STOP) is left out." in text
    assert "for the pharmacy to decide" in text
