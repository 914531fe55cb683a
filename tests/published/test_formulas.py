"""Formulas: statements about physiology, and comparison with a slow twin in plain `math`."""

import doctest
import inspect
import itertools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fludapk.published import formulas
from fludapk.published.formulas import (
    FORMULAS,
    body_size,
    clearance,
    egfr_by_age,
    egfr_by_height,
    growth,
)

Values = dict[str, Any]
Grid = dict[str, NDArray[Any]]

GIRL_5Y: Values = {"age_years": 5.0, "female": True, "weight_kg": 18.2, "height_cm": 110.0}
LANGENHORST_CAP: list[list[float]] = [[0.0, 35], [1.5, 140], [30, 140], [100, 84]]
BSA = ["mosteller", "du_bois", "haycock", "gehan_george"]
FROM_CREATININE = [f.name for f in FORMULAS.values() if "scr_mg_dl" in f.needs]


def call(name: str, values: Mapping[str, Any]) -> Any:
    """Call a formula with the values that it needs."""
    formula = FORMULAS[name]
    return formula.function(**{key: values[key] for key in formula.needs})


# --- The twin: the equations of the papers, for one person at a time ------------------------------


def bent(ratio: float, below: float, above: float) -> float:
    return math.pow(min(ratio, 1), below) * math.pow(max(ratio, 1), above)


def ckd_epi(
    s: float,
    age: float,
    female: bool,
    scale: float,
    alpha: tuple[float, float],
    beta: float,
    yearly: float,
    woman: float,
) -> float:
    k, a = (0.7, alpha[0]) if female else (0.9, alpha[1])
    return scale * bent(s / k, a, beta) * math.pow(yearly, age) * (woman if female else 1)


def twin_schwartz_original(
    scr_mg_dl: float, height_cm: float, age_years: float, female: bool
) -> float:
    if age_years > 18:
        return math.nan
    k = 0.45 if age_years < 1 else 0.70 if age_years >= 13 and not female else 0.55
    return k * height_cm / scr_mg_dl


def twin_ckid_u25(scr_mg_dl: float, height_cm: float, age_years: float, female: bool) -> float:
    years = age_years - 12
    if not 1 <= age_years <= 25:
        return math.nan
    if female:
        k = 36.1 * 1.008**years if years < 0 else 36.1 * 1.023**years if years < 6 else 41.4
    else:
        k = 39.0 * 1.008**years if years < 0 else 39.0 * 1.045**years if years < 6 else 50.8
    return k * height_cm / 100 / scr_mg_dl


def twin_fas_q(age_years: float, female: bool) -> float:
    table = [0.26, 0.29, 0.31, 0.34, 0.38, 0.41, 0.44, 0.46, 0.49, 0.51]
    table += [0.53, 0.57, 0.59, 0.61, 0.72, 0.78, 0.82, 0.85, 0.88, 0.90]
    if female:
        table[14:] = [0.64, 0.67, 0.69, 0.69, 0.70, 0.70]
    if age_years < 1:
        return math.nan
    if age_years >= 20:
        return table[-1]
    year = math.floor(age_years)
    part = age_years - year
    return table[year - 1] * (1 - part) + table[year] * part


def twin_ekfc_q(age_years: float, female: bool) -> float:
    a = age_years
    if a < 2:
        return math.nan
    if a > 25:
        return 0.70 if female else 0.90
    if female:
        log_q = 3.080 + 0.177 * a - 0.223 * math.log(a) - 0.00596 * a**2 + 0.0000686 * a**3
    else:
        log_q = 3.200 + 0.259 * a - 0.543 * math.log(a) - 0.00763 * a**2 + 0.0000790 * a**3
    return math.exp(log_q) / 88.4


def twin_devine(height_cm: float, female: bool) -> float:
    if height_cm < 152.4:
        return math.nan
    return (45.5 if female else 50) + 2.3 * (height_cm / 2.54 - 60)


def twin_adjusted_weight(weight_kg: float, height_cm: float, female: bool) -> float:
    return 0.6 * twin_devine(height_cm, female) + 0.4 * weight_kg


def twin_fas(scr_mg_dl: float, age_years: float, female: bool) -> float:
    old = 0.988 ** (age_years - 40) if age_years > 40 else 1
    return 107.3 * twin_fas_q(age_years, female) / scr_mg_dl * old


def twin_ekfc(scr_mg_dl: float, age_years: float, female: bool) -> float:
    old = 0.990 ** (age_years - 40) if age_years > 40 else 1
    return 107.3 * bent(scr_mg_dl / twin_ekfc_q(age_years, female), -0.322, -1.132) * old


def twin_janmahasatian(weight_kg: float, height_cm: float, female: bool) -> float:
    bmi = weight_kg / (height_cm / 100) ** 2
    return 9270 * weight_kg / (8780 + 244 * bmi if female else 6680 + 216 * bmi)


def twin_al_sallami(age_years: float, weight_kg: float, height_cm: float, female: bool) -> float:
    a, b, c = (1.11, 7.1, 1.1) if female else (0.88, 13.4, 12.7)
    mature = a + (1 - a) / (1 + (b / age_years) ** c)
    return float(mature) * twin_janmahasatian(weight_kg, height_cm, female)


TWINS: dict[str, Callable[..., float]] = {
    "mosteller": lambda height_cm, weight_kg: math.sqrt(height_cm * weight_kg / 3600),
    "du_bois": lambda height_cm, weight_kg: 0.007184 * weight_kg**0.425 * height_cm**0.725,
    "haycock": lambda height_cm, weight_kg: 0.024265 * weight_kg**0.5378 * height_cm**0.3964,
    "gehan_george": lambda height_cm, weight_kg: 0.0235 * weight_kg**0.51456 * height_cm**0.42246,
    "devine": twin_devine,
    "adjusted_weight": twin_adjusted_weight,
    "janmahasatian": twin_janmahasatian,
    "al_sallami": twin_al_sallami,
    "normal_fat_mass": lambda ffm_kg, weight_kg, fat_fraction: (
        ffm_kg * (1 - fat_fraction) + weight_kg * fat_fraction
    ),
    "postmenstrual_age": lambda age_years, gestational_age_weeks: (
        age_years * 365.25 / 7 + gestational_age_weeks
    ),
    "schwartz_bedside": lambda scr_mg_dl, height_cm: 0.413 * height_cm / scr_mg_dl,
    "schwartz_original": twin_schwartz_original,
    "ckid_u25": twin_ckid_u25,
    "ckd_epi_2021": lambda scr_mg_dl, age_years, female: ckd_epi(
        scr_mg_dl, age_years, female, 142, (-0.241, -0.302), -1.200, 0.9938, 1.012
    ),
    "ckd_epi_2009": lambda scr_mg_dl, age_years, female: ckd_epi(
        scr_mg_dl, age_years, female, 141, (-0.329, -0.411), -1.209, 0.993, 1.018
    ),
    "mdrd": lambda scr_mg_dl, age_years, female: (
        175 / (scr_mg_dl**1.154 * age_years**0.203) * (0.742 if female else 1)
    ),
    "fas_q": twin_fas_q,
    "fas": twin_fas,
    "ekfc_q": twin_ekfc_q,
    "ekfc": twin_ekfc,
    "cockcroft_gault": lambda scr_mg_dl, age_years, weight_kg, female: (
        (140 - age_years) * weight_kg / 72 / scr_mg_dl * (0.85 if female else 1)
    ),
    "deindex_gfr": lambda egfr_ml_min_1_73m2, bsa_m2: egfr_ml_min_1_73m2 * bsa_m2 / 1.73,
    "index_gfr": lambda gfr_ml_min, bsa_m2: gfr_ml_min / bsa_m2 * 1.73,
    "gfr_l_h_per_70kg": lambda egfr_ml_min_1_73m2, bsa_m2, weight_kg: (
        egfr_ml_min_1_73m2 * (bsa_m2 / 1.73) * (60 / 1000) / (weight_kg / 70)
    ),
    "egfr_l_h": lambda egfr_ml_min_1_73m2: egfr_ml_min_1_73m2 * 60 / 1000,
}

GRID: dict[str, list[Any]] = {
    "height_cm": [48.0, 86.8, 110.0, 152.5, 193.0],
    "weight_kg": [3.1, 12.4, 18.2, 70.0, 131.0],
    "scr_mg_dl": [0.12, 0.3, 0.7, 0.9, 1.5, 6.0],
    "age_years": [
        *(0.25, 0.999, 1.0, 1.5, 2.0, 4.75, 12.0, 12.5, 13.0, 14.3, 15.0, 17.999, 18.0, 18.001),
        *(19.4, 20.0, 24.9, 25.0, 25.01, 39.0, 40.0, 41.5, 66.0, 92.0),
    ],
    "female": [False, True],
    "egfr_ml_min_1_73m2": [12.0, 66.6, 140.0],
    "gfr_ml_min": [9.0, 44.25, 180.0],
    "ffm_kg": [2.7, 15.4, 56.1],
    "fat_fraction": [0.0, 0.47, 1.0],
    "gestational_age_weeks": [23.5, 32.0, 40.0],
    "bsa_m2": [0.2, 0.5468, 1.73, 2.4],
}


@pytest.fixture(params=sorted(FORMULAS))
def name(request: pytest.FixtureRequest) -> str:
    """Each published formula in turn."""
    return str(request.param)


@pytest.fixture
def grid(name: str) -> Grid:
    """All combinations of the formula's arguments: one flat array per argument."""
    needs = FORMULAS[name].needs
    columns = zip(*itertools.product(*(GRID[need] for need in needs)), strict=True)
    return {need: np.array(column) for need, column in zip(needs, columns, strict=True)}


def rows(grid: Grid) -> list[Values]:
    """One dict of plain numbers per row of the grid."""
    columns = (values.tolist() for values in grid.values())
    return [dict(zip(grid, row, strict=True)) for row in zip(*columns, strict=True)]


def test_every_formula_has_a_twin() -> None:
    assert set(TWINS) == set(FORMULAS)


def test_agrees_with_its_twin(name: str, grid: Grid) -> None:
    twin = [TWINS[name](**row) for row in rows(grid)]
    np.testing.assert_allclose(FORMULAS[name].function(**grid), twin, rtol=1e-13, equal_nan=True)


# --- Numbers that others have printed -------------------------------------------------------------


@pytest.mark.parametrize(
    ("height_cm", "weight_kg", "printed"),
    [
        (170, 70, ["1.8181", "1.8097", "1.8257", "1.8313"]),
        (110, 18, ["0.7416", "0.7411", "0.7401", "0.7575"]),
        (75, 9.5, ["0.4449", "0.4279", "0.4509", "0.4638"]),
    ],
)
def test_body_surface_area(height_cm: float, weight_kg: float, printed: list[str]) -> None:
    body = {"height_cm": height_cm, "weight_kg": weight_kg}
    assert [f"{call(name, body):.4f}" for name in BSA] == printed


@pytest.mark.parametrize(
    ("person", "printed"),
    [
        (
            {"age_years": 60, "scr_mg_dl": 1.5, "female": False},
            ["52.97", "49.88", "47.74", "49.22"],
        ),
        (
            {"age_years": 50, "scr_mg_dl": 0.7, "female": True},
            ["105.30", "101.03", "88.57", "97.04"],
        ),
    ],
)
def test_adult_egfr(person: Values, printed: list[str]) -> None:
    names = ["ckd_epi_2021", "ckd_epi_2009", "mdrd", "ekfc"]
    assert [f"{call(name, person):.2f}" for name in names] == printed


def test_creatinine_clearance_of_a_man_of_63() -> None:
    man = {"age_years": 63, "weight_kg": 80, "scr_mg_dl": 0.9}
    assert f"{formulas.cockcroft_gault(**man, female=False):.2f}" == "95.06"


def test_a_girl_of_5_years() -> None:
    girl = GIRL_5Y | {"scr_mg_dl": 0.3}
    assert f"{call('schwartz_bedside', girl):.1f}" == "151.4"
    assert f"{call('mosteller', girl):.4f}" == "0.7457"


@pytest.mark.parametrize(
    ("age_years", "cap"), [(0, 35), (0.5, 70), (1.5, 140), (30, 140), (60, 116), (70, 108)]
)
def test_no_egfr_exceeds_the_cap_of_its_age(age_years: float, cap: float) -> None:
    capped = formulas.capped_by_knots(value=999, at=age_years, knots=LANGENHORST_CAP)
    assert capped == pytest.approx(cap, rel=1e-14)


# --- Physiology -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FROM_CREATININE)
@given(
    low=st.floats(0.05, 20),
    factor=st.floats(1 + 1e-6, 50),
    age_years=st.floats(2, 18),
    female=st.booleans(),
)
def test_more_creatinine_means_less_filtration(
    name: str, low: float, factor: float, age_years: float, female: bool
) -> None:
    person = GIRL_5Y | {"age_years": age_years, "female": female}
    assert call(name, person | {"scr_mg_dl": low}) > call(
        name, person | {"scr_mg_dl": low * factor}
    )


@pytest.mark.parametrize("name", ["ckd_epi_2021", "ckd_epi_2009", "mdrd", "cockcroft_gault"])
@given(age_years=st.floats(18, 90), years=st.floats(0.01, 30), female=st.booleans())
def test_filtration_declines_in_adult_life(
    name: str, age_years: float, years: float, female: bool
) -> None:
    person = GIRL_5Y | {"scr_mg_dl": 1.0, "female": female, "age_years": age_years}
    assert call(name, person) > call(name, person | {"age_years": age_years + years})


@pytest.mark.parametrize("name", BSA)
@given(st.floats(40, 210), st.floats(2, 200), st.floats(1.001, 2))
def test_a_larger_body_has_more_surface(
    name: str, height_cm: float, weight_kg: float, factor: float
) -> None:
    small = call(name, {"height_cm": height_cm, "weight_kg": weight_kg})
    assert call(name, {"height_cm": height_cm * factor, "weight_kg": weight_kg}) > small
    assert call(name, {"height_cm": height_cm, "weight_kg": weight_kg * factor}) > small


@pytest.mark.parametrize("name", ["fas", "ekfc"])
@pytest.mark.parametrize("female", [True, False])
@pytest.mark.parametrize("age_years", [2, 5, 11.3, 16.5, 25, 40])
def test_median_creatinine_means_a_gfr_of_107_up_to_40_years(
    name: str, age_years: float, female: bool
) -> None:
    q = call(f"{name}_q", {"age_years": age_years, "female": female})
    gfr = call(name, {"scr_mg_dl": q, "age_years": age_years, "female": female})
    assert gfr == pytest.approx(107.3, rel=1e-14)


@pytest.mark.parametrize("female", [True, False])
@pytest.mark.parametrize(
    ("name", "hinge", "step"),
    [
        ("ckid_u25", 12, 0),
        ("ckid_u25", 18, 6e-4),  # three-digit constants in the paper
        ("fas", 40, 0),
        ("fas", 20, 0),
        ("ekfc", 40, 0),
        ("ekfc", 25, 0.02),  # the printed curve misses the adult Q a little
        ("schwartz_original", 5, 0),
    ],
)
def test_a_birthday_changes_nothing_or_what_the_paper_leaves(
    name: str, hinge: float, step: float, female: bool
) -> None:
    eve, day = (
        call(name, GIRL_5Y | {"scr_mg_dl": 0.6, "age_years": age, "female": female})
        for age in (hinge - 1e-9, hinge + 1e-9)
    )
    jump = abs(eve / day - 1)
    assert step / 10 <= jump <= step + 1e-8


@pytest.mark.parametrize("female", [True, False])
@pytest.mark.parametrize("name", ["ekfc", "ckd_epi_2021", "ckd_epi_2009"])
def test_continuous_where_the_creatinine_exponent_bends(name: str, female: bool) -> None:
    q = formulas.ekfc_q(age_years=30, female=female)  # also the knee of CKD-EPI
    below, above = (
        call(name, {"scr_mg_dl": q * side, "age_years": 30, "female": female})
        for side in (1 - 1e-12, 1 + 1e-12)
    )
    assert below == pytest.approx(above, rel=1e-11)


def test_a_boy_of_13_jumps_in_the_original_schwartz_equation_and_a_girl_does_not() -> None:
    def at(age_years: float, female: bool) -> Any:
        return formulas.schwartz_original(
            scr_mg_dl=0.6, height_cm=150, age_years=age_years, female=female
        )

    assert at(13, False) / at(12.99, False) == pytest.approx(0.70 / 0.55)
    assert at(13, True) == at(12.99, True)
    assert at(1, True) / at(0.99, True) == pytest.approx(0.55 / 0.45)


@pytest.mark.parametrize(
    ("name", "undefined", "defined"),
    [
        ("fas", [0, 0.99], [1, 20, 95]),
        ("fas_q", [0, 0.99], [1, 20, 95]),
        ("ekfc", [0, 1.99], [2, 25, 95]),
        ("ekfc_q", [0, 1.99], [2, 25, 95]),
        ("ckid_u25", [0.99, 25.01, 60], [1, 12, 18, 25]),
        ("schwartz_original", [18.01, 60], [0, 1, 13, 18]),
        ("schwartz_bedside", [], [0, 20]),
        ("ckd_epi_2021", [], [2, 90]),
        ("cockcroft_gault", [], [2, 90]),
    ],
)
def test_nan_where_not_defined_and_a_number_where_merely_not_validated(
    name: str, undefined: list[float], defined: list[float]
) -> None:
    for age_years in [*undefined, math.nan]:
        if "age_years" in FORMULAS[name].needs:
            assert np.isnan(call(name, GIRL_5Y | {"scr_mg_dl": 0.5, "age_years": age_years}))
    for age_years in defined:
        assert call(name, GIRL_5Y | {"scr_mg_dl": 0.5, "age_years": age_years}) > 0


def test_missing_input_gives_missing_output(name: str) -> None:
    row = {need: GRID[need][-1] for need in FORMULAS[name].needs}
    row = row | {"age_years": 10.0} if "age_years" in row else row
    for need in set(row) - {"female"}:
        assert np.isnan(FORMULAS[name].function(**row | {need: math.nan})), need


# --- Conversions ----------------------------------------------------------------------------------


@given(st.floats(1, 300), st.floats(0.15, 3))
def test_indexing_undoes_deindexing(egfr: float, bsa_m2: float) -> None:
    absolute = formulas.deindex_gfr(egfr_ml_min_1_73m2=egfr, bsa_m2=bsa_m2)
    assert formulas.index_gfr(gfr_ml_min=absolute, bsa_m2=bsa_m2) == pytest.approx(egfr, rel=1e-14)


def test_a_standard_body_of_70_kg_needs_no_scaling() -> None:
    scaled = formulas.gfr_l_h_per_70kg(egfr_ml_min_1_73m2=100, bsa_m2=1.73, weight_kg=70)
    assert scaled == pytest.approx(formulas.egfr_l_h(egfr_ml_min_1_73m2=100))


def test_a_toddler_filters_more_per_kg_than_an_adult() -> None:
    bsa = formulas.mosteller(height_cm=86.8, weight_kg=12.4)
    scaled = formulas.gfr_l_h_per_70kg(egfr_ml_min_1_73m2=140, bsa_m2=bsa, weight_kg=12.4)
    assert scaled > 1.7 * formulas.egfr_l_h(egfr_ml_min_1_73m2=140)


# --- Growth ---------------------------------------------------------------------------------------

POWERS = st.one_of(st.just(0.0), st.floats(-3, 3), st.floats(-1e-9, 1e-9))


@given(st.floats(-3, 3), POWERS, st.floats(1, 200), st.floats(0.02, 0.1))
def test_the_z_score_of_a_value_at_z_is_z(z: float, L: float, M: float, S: float) -> None:
    value = formulas.lms_value(z=z, L=L, M=M, S=S)
    assert formulas.lms_zscore(value=value, L=L, M=M, S=S) == pytest.approx(z, abs=1e-12)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(1, 200), st.floats(0.02, 0.1))
def test_lms_is_the_textbook_formula(z: float, L: float, M: float, S: float) -> None:
    assume(abs(L) > 1e-2)  # below, the textbook form loses digits
    value = M * (1 + L * S * z) ** (1 / L)
    assert formulas.lms_value(z=z, L=L, M=M, S=S) == pytest.approx(value, rel=1e-12)
    textbook = ((value / M) ** L - 1) / (L * S)
    assert formulas.lms_zscore(value=value, L=L, M=M, S=S) == pytest.approx(textbook, abs=1e-11)


@pytest.mark.parametrize("L", [0.0, 5e-324, 1e-300, -1e-17, 1e-15])
def test_lms_passes_into_the_log_normal_without_a_seam(L: float) -> None:
    assert formulas.lms_value(z=2, L=L, M=18, S=0.15) == pytest.approx(
        18 * math.exp(0.3), rel=1e-14
    )
    assert formulas.lms_zscore(value=20, L=L, M=18, S=0.15) == pytest.approx(
        math.log(20 / 18) / 0.15, rel=1e-14
    )


def test_lms_keeps_its_digits_where_the_textbook_form_loses_them() -> None:
    z, L, M, S = 2.0, 1e-9, 18.0, 0.15
    exact = M * math.exp(S * z - L * (S * z) ** 2 / 2)  # next term: 1e-20
    assert formulas.lms_value(z=z, L=L, M=M, S=S) == pytest.approx(exact, rel=1e-14)
    assert abs(M * (1 + L * S * z) ** (1 / L) / exact - 1) > 1e-10


def test_the_median_has_z_zero() -> None:
    assert formulas.lms_value(z=0, L=[-1.5, 0, 2], M=18, S=0.1).tolist() == [18, 18, 18]
    assert formulas.lms_zscore(value=18, L=[-1.5, 0, 2], M=18, S=0.1).tolist() == [0, 0, 0]


@given(st.floats(-1.5, 1.5), st.floats(1, 200), st.floats(0.02, 0.15))
def test_the_modified_z_score_is_linear_from_the_median_through_z_2(
    L: float, M: float, S: float
) -> None:
    for two in (-2.0, 2.0):
        edge = float(formulas.lms_value(z=two, L=L, M=M, S=S))
        values = [M + part * (edge - M) for part in (0.5, 1.0, 4.0)]
        scores = formulas.modified_zscore(value=values, L=L, M=M, S=S)
        assert scores == pytest.approx([two / 2, two, 4 * two], rel=1e-9)


def test_the_modified_z_score_tells_an_extreme_weight_that_the_z_score_hardly_does() -> None:
    boy = {"L": -1.4, "M": 18.0, "S": 0.14}  # of about 5 y
    scores = [formulas.modified_zscore(value=kg, **boy) for kg in (40, 80)]
    plain = [formulas.lms_zscore(value=kg, **boy) for kg in (40, 80)]
    assert scores[1] > 2.5 * scores[0]
    assert plain[1] < 1.5 * plain[0]


def test_a_z_score_beyond_the_distribution_has_no_value() -> None:
    assert np.isnan(formulas.lms_value(z=-20, L=1, M=18, S=0.1))


# --- Caps by knots --------------------------------------------------------------------------------


def test_a_value_below_its_cap_is_left_alone() -> None:
    assert formulas.capped_by_knots(value=90, at=5, knots=LANGENHORST_CAP) == 90


def test_the_cap_is_flat_beyond_both_ends() -> None:
    caps = formulas.capped_by_knots(value=999, at=[-1, 120], knots=LANGENHORST_CAP)
    assert caps.tolist() == [35, 84]


@pytest.mark.parametrize("knots", [[0, 35], [[0, 35, 1]], [[1.5, 140], [0, 35]], [[0, 1], [0, 2]]])
def test_knots_that_are_no_function_are_refused(knots: Any) -> None:
    with pytest.raises(ValueError, match="increasing"):
        formulas.capped_by_knots(value=1, at=1, knots=knots)


# --- Calling conventions --------------------------------------------------------------------------


def test_an_array_is_many_numbers(name: str, grid: Grid) -> None:
    function = FORMULAS[name].function
    one_by_one = [function(**row) for row in rows(grid)]
    np.testing.assert_allclose(function(**grid), one_by_one, rtol=1e-15, equal_nan=True)


def test_numbers_give_a_number(name: str) -> None:
    row = {need: GRID[need][-2] for need in FORMULAS[name].needs}
    result = FORMULAS[name].function(**row)
    assert type(result) is np.float64
    round_numbers = {"height_cm": 160}
    integers = {
        need: value if need == "female" else round_numbers.get(need, 10)
        for need, value in row.items()
    }
    assert FORMULAS[name].function(**integers) == FORMULAS[name].function(
        **{need: value if need == "female" else float(value) for need, value in integers.items()}
    )


def test_arguments_broadcast(name: str) -> None:
    needs = FORMULAS[name].needs
    row = {need: GRID[need][1] for need in needs}
    for need in needs:
        column = np.array(GRID[need])[:, None]
        others = {key: np.array([value] * 7) for key, value in row.items() if key != need}
        result = FORMULAS[name].function(**others, **{need: column})
        assert result.shape == (len(column), 7 if others else 1), need


def test_lists_are_arrays() -> None:
    gfr = formulas.ckd_epi_2021(scr_mg_dl=[1, 1], age_years=50, female=[True, False])
    woman, man = np.asarray(gfr)
    assert woman < man


def test_positional_arguments_are_refused(name: str) -> None:
    values = [GRID[need][0] for need in FORMULAS[name].needs]
    with pytest.raises(TypeError, match="positional"):
        FORMULAS[name].function(*values)


@pytest.mark.parametrize("female", ["male", 1, math.nan, None, ["female"]])
def test_sex_is_a_truth_value_and_nothing_that_resembles_one(female: Any) -> None:
    with pytest.raises(TypeError, match="female must be"):
        formulas.mdrd(scr_mg_dl=1, age_years=50, female=female)


# --- The registry ---------------------------------------------------------------------------------


def test_a_formula_says_what_it_is(name: str) -> None:
    formula = FORMULAS[name]
    assert formula.name == formula.function.__name__ == name
    assert formula.function is getattr(formulas, name)
    assert re.fullmatch(r"10\.\d{4,}/\S+|PMID \d+", formula.doi)
    assert formula.ages[0] < formula.ages[1]
    units = {
        "BSA": {"m2"},
        "eGFR": {"mL/min/1.73 m2"},
        "CrCl": {"mL/min"},
        "GFR": {"mL/min", "mL/min/1.73 m2", "L/h/70kg", "L/h/1.73 m2"},
        "SCR": {"mg/dL"},
        "weight": {"kg"},
        "age": {"weeks"},
    }
    assert formula.unit in units[formula.quantity]


GROWTH = {"lms_value", "lms_zscore", "modified_zscore"}


@pytest.mark.parametrize("name", sorted({*FORMULAS, *GROWTH, "capped_by_knots"}))
def test_a_docstring_is_complete(name: str) -> None:
    doc = inspect.cleandoc(getattr(formulas, name).__doc__)
    headings = ["Parameters", "Returns", "References", "Examples"]
    assert [h for h in headings if f"\n{h}\n---" in doc] == headings
    assert re.search(r"\b(ages?|adults|years)\b", doc)
    assert ">>> " in doc
    if name in FORMULAS:
        assert FORMULAS[name].doi in doc
        assert all(f"\n{need} : " in doc for need in FORMULAS[name].needs)


def test_what_is_public_is_registered_or_about_growth() -> None:
    other = {"FORMULAS", "Formula", "capped_by_knots"}
    assert set(formulas.__all__) == set(FORMULAS) | GROWTH | other


def test_examples_in_docstrings_run() -> None:
    files = (body_size, egfr_by_height, egfr_by_age, clearance, growth)
    results = [doctest.testmod(file) for file in files]
    assert sum(result.attempted for result in results) > len(FORMULAS)
    assert all(result.failed == 0 for result in results)


ON_PAPER = {
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{MINUS SIGN}": "-",
    "^": "**",
    "√(": "sqrt(",
    "ln(": "log(",
}


def by_hand(text: str) -> float:
    """Evaluate printed arithmetic as a second person would: drop the units, then calculate."""
    text = re.sub(r" (mL/min|mg/dL|cm|kg|m2)(?=[ )]|$)", "", text)
    for sign, python in ON_PAPER.items():
        text = text.replace(sign, python)
    assert re.fullmatch(r"(?:sqrt|exp|log|[\d.+*/() -])+", text), text
    return float(eval(text, {"sqrt": math.sqrt, "exp": math.exp, "log": math.log}))


def test_the_explained_arithmetic_gives_the_value(name: str, grid: Grid) -> None:
    formula = FORMULAS[name]
    for row in rows(grid):
        value, text = formula.function(**row), formula.explain(**row)
        if np.isnan(value):
            assert text.startswith("undefined here")
        else:
            assert by_hand(text) == pytest.approx(value, rel=2e-5), text


def test_an_explanation_reads_like_a_calculation_on_paper() -> None:
    def explain(name: str, **values: Any) -> str:
        text = FORMULAS[name].explain(**values)
        return text.replace("\N{MULTIPLICATION SIGN}", "*").replace("\N{MINUS SIGN}", "-")

    man = {"scr_mg_dl": 0.8, "age_years": 19, "female": False}
    assert explain("ckd_epi_2021", **man) == "142 * (0.8/0.9)^-0.302 * 0.9938^19"
    assert explain("mosteller", height_cm=110, weight_kg=18.2) == "√(110 cm * 18.2 kg / 3600)"
    assert (
        explain("cockcroft_gault", scr_mg_dl=0.7, age_years=50, weight_kg=60, female=True)
        == "(140 - 50) * 60 kg / (72 * 0.7 mg/dL) * 0.85"
    )
    assert explain("fas_q", age_years=5.5, female=True) == "0.38 + 0.5 * (0.41 - 0.38)"
