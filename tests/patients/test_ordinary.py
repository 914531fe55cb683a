"""Ordinary values: what is told at a glance is what the rules would say."""

import itertools
from typing import Final

import numpy as np
import pytest

from fludapk.patients.ordinary import bounds_at, is_ordinary, is_ordinary_size
from fludapk.patients.plausible import LIMITS, Values, to_be_confirmed, unusual_for_age
from fludapk.units import Quantity

AGES: Final = np.concatenate(
    [np.geomspace(*LIMITS["age"], 150), np.arange(0, 241, 0.5) / 12 + 1e-3, [20.0, 20.01]]
)
UNITS: Final = {"age_years": "years", "weight_kg": "kg", "height_cm": "cm", "scr_mg_dl": "mg/dL"}


def typed(*numbers: float) -> dict[str, Quantity]:
    pairs = zip(UNITS.items(), numbers, strict=True)
    return {key: Quantity(x, unit, x, bare=True) for (key, unit), x in pairs}


@pytest.mark.parametrize("sex", ["female", "male", None])
def test_no_rule_asks_or_warns_about_ordinary_values(sex: str | None) -> None:
    ordinary = 0
    for age in AGES.tolist():
        at = bounds_at(age, sex)
        corners = itertools.product(at[:2], at[2:4], at[4:])
        for weight, height, scr in (*corners, np.reshape(at, (3, 2)).mean(axis=1).tolist()):
            values = typed(age, weight, height, scr)
            if is_ordinary(values, sex):
                ordinary += 1
                assert to_be_confirmed(Values(typed=values, sex=sex)) == ([], ())
            assert is_ordinary_size(age, sex, weight_kg=weight, height_cm=height)
            for dimension, value in (("weight", weight), ("height", height)):
                assert unusual_for_age(dimension, value, age_years=age, sex=sex) is None
    assert ordinary > 4 * len(AGES)


def test_values_beyond_the_bounds_go_through_the_rules() -> None:
    girl = typed(5.0, 18.2, 110.0, 0.3)
    assert is_ordinary(girl, "female")
    for key, value in (("weight_kg", 40.0), ("height_cm", 43.0), ("scr_mg_dl", 26.5)):
        slip = girl | {key: Quantity(value, UNITS[key], value, bare=True)}
        assert not is_ordinary(slip, "female")
        assert to_be_confirmed(Values(typed=slip, sex="female"))[0]


def test_a_low_renal_function_is_not_ordinary() -> None:
    girl = {key: x for key, x in typed(5.0, 18.2, 110.0, 0.3).items() if key != "scr_mg_dl"}
    for value, expected in ((9.9, False), (10.0, True)):
        quantity = Quantity(value, "mL/min", value, bare=True)
        assert is_ordinary(girl | {"crcl_ml_min": quantity}, None) is expected
