"""Virtual patients: growth, adult size, creatinine, limits, and the cohorts that papers print."""

import csv
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from scipy import stats

from fludapk.errors import FileError, InputError
from fludapk.patients.population import (
    category_numbers,
    draw,
    draw_patients,
    populations,
    virtual_patients,
)
from fludapk.published.covariates import covariate_columns, studied_rows
from fludapk.published.formulas import cockcroft_gault
from fludapk.published.models import load_model
from fludapk.published.population_files import PopulationEntry, PopulationFile
from fludapk.published.tables import DATA, Table, check_table

F8 = NDArray[np.float64]

N = 20_000
DRAWN = ("AGE", "SEX", "WT", "HT", "BSA", "SCR")
WIDE = {"weight_range_kg": [0.1, 2000.0]}
PLAIN: dict[str, Any] = {
    "id": "somebody",
    "title": "somebody",
    "age": {"kind": "uniform", "low": 1.0, "high": 60.0},
    "female": 0.5,
    "weight_height_correlation": 0.65,
    "creatinine": {"ratio": 0.8, "cv": 0.25, "source": "made up"},
    "source": "made up",
    **WIDE,
}


class Study(Table):
    """A scenario with a population inside."""

    population: PopulationEntry


def people(**changes: Any) -> PopulationEntry:
    """A population; what is None is left out."""
    table = {key: value for key, value in {**PLAIN, **changes}.items() if value is not None}
    return check_table({"population": table}, Study, "study.toml").population


def drawn(n: int = N, seed: int = 7, **changes: Any) -> dict[str, F8]:
    """Patients of such a population."""
    return draw(people(**changes), np.random.default_rng(seed), n)


def aged(years: float) -> dict[str, Any]:
    """Everybody of one age."""
    return {"kind": "uniform", "low": years, "high": years + 1e-9}


def assert_below(values: F8, limit: float, fraction: float) -> None:
    """So many are below, within the error of the draw (5 standard errors)."""
    error = math.sqrt(fraction * (1 - fraction) / values.size)
    assert np.mean(values < limit) == pytest.approx(fraction, abs=5 * error)


def table_of(name: str) -> list[dict[str, str]]:
    """Rows of a data file."""
    with (DATA / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


LMS = {
    (row["measure"], row["sex"], float(row["age_months"])): [float(row[key]) for key in "LMS"]
    for row in table_of("cdc2000_lms.csv")
}
ADULTS = {
    (row["measure"], row["sex"], int(row["age_from"])): [
        float(row[key]) for key in ("p25", "p50", "p75")
    ]
    for row in table_of("nhanes2023_adults.csv")
}
COLUMN = {"weight_kg": "WT", "height_cm": "HT"}


def cole(z: float, L: float, M: float, S: float) -> float:
    """Measurement at a normal score, as Cole writes it."""
    return float(M * (1 + L * S * z) ** (1 / L))


def score(x: F8, L: float, M: float, S: float) -> F8:
    """Its inverse."""
    return np.asarray(((x / M) ** L - 1) / (L * S))


# --- Size -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("months", [3.5, 24.5, 60.5, 120.5, 180.5, 239.5])
@pytest.mark.parametrize("sex", ["female", "male"])
def test_children_have_the_quantiles_of_the_growth_reference(sex: str, months: float) -> None:
    patients = drawn(age=aged(months / 12), female=float(sex == "female"))
    for measure, column in COLUMN.items():
        for p in (0.03, 0.25, 0.5, 0.75, 0.97):
            limit = cole(stats.norm.ppf(p), *LMS[measure, sex, months])
            assert_below(patients[column], limit, p)


@pytest.mark.parametrize("r", [-0.5, 0.0, 0.65, 0.95])
@pytest.mark.parametrize("months", [24.5, 120.5])
def test_the_scores_of_weight_and_height_are_correlated(months: float, r: float) -> None:
    patients = drawn(age=aged(months / 12), female=1.0, weight_height_correlation=r)
    z = [score(patients[COLUMN[m]], *LMS[m, "female", months]) for m in COLUMN]
    assert np.corrcoef(z[0], z[1])[0, 1] == pytest.approx(r, abs=5 * (1 - r**2) / math.sqrt(N))
    assert_allclose(np.std(z, axis=1), 1, atol=5 / math.sqrt(2 * N))


@pytest.mark.parametrize("band", range(20, 90, 10))
@pytest.mark.parametrize("sex", ["female", "male"])
def test_adults_have_the_printed_quartiles_at_the_middle_of_their_band(sex: str, band: int) -> None:
    patients = drawn(age=aged(band + 5), female=float(sex == "female"))
    for measure, column in COLUMN.items():
        p25, p50, p75 = ADULTS[measure, sex, band]
        assert_below(patients[column], p50, 0.5)
        inside = patients[column][(patients[column] > p25) & (patients[column] < p75)]
        assert inside.size / N == pytest.approx(0.5, abs=0.03)  # log-normal: not both exactly


PRINTED_TAILS = {
    ("male", 20): (57.0, 128.3),
    ("male", 50): (61.0, 138.7),
    ("male", 70): (60.8, 121.3),
    ("female", 20): (47.6, 121.3),
    ("female", 50): (53.1, 121.4),
    ("female", 70): (49.8, 103.5),
}
"""5th and 95th percentile of weight, kg, Table 3 of the same report."""


@pytest.mark.parametrize(("sex", "band"), PRINTED_TAILS)
def test_the_tails_of_adult_weight_are_near_the_printed_ones(sex: str, band: int) -> None:
    patients = drawn(age=aged(band + 5), female=float(sex == "female"))
    assert_allclose(np.quantile(patients["WT"], [0.05, 0.95]), PRINTED_TAILS[sex, band], rtol=0.16)


POUNDS = {
    "male": [184.6, 192.0, 195.0, 193.5, 191.7, 190.9, 176.2],
    "female": [151.9, 165.3, 164.8, 173.0, 163.8, 158.0, 144.8],
}
INCHES = {
    "male": [69.3, 69.5, 69.4, 68.7, 68.9, 68.0, 66.9],
    "female": [64.3, 64.1, 63.8, 63.3, 63.1, 62.2, 61.8],
}
"""Medians by band, Tables 4 and 8 of the same report."""


@pytest.mark.parametrize("sex", ["female", "male"])
def test_the_table_of_adults_agrees_with_the_same_tables_in_pounds_and_inches(sex: str) -> None:
    bands = range(20, 90, 10)
    kg = [ADULTS["weight_kg", sex, band][1] for band in bands]
    cm = [ADULTS["height_cm", sex, band][1] for band in bands]
    assert_allclose(np.multiply(POUNDS[sex], 0.45359237), kg, atol=0.08)
    assert_allclose(np.multiply(INCHES[sex], 2.54), cm, atol=0.2)
    for row in ADULTS.values():
        assert row[0] < row[1] < row[2]


@pytest.mark.parametrize("sex", ["female", "male"])
@pytest.mark.parametrize("measure", COLUMN)
def test_nobody_jumps_at_20_years(measure: str, sex: str) -> None:
    def at(years: float) -> F8:
        who = drawn(age=aged(years), female=float(sex == "female"))
        return np.asarray(np.quantile(who[COLUMN[measure]], [0.05, 0.25, 0.5, 0.75, 0.95]))

    assert_allclose(at(20.01), at(19.99), rtol=2e-3)
    reference = [
        cole(float(stats.norm.ppf(p)), *LMS[measure, sex, 240])
        for p in (0.05, 0.25, 0.5, 0.75, 0.95)
    ]
    assert_allclose(at(20), reference, rtol=0.02)
    medians = np.array([at(years)[2] for years in (20, 21, 22, 23, 24, 25)])
    straight = np.linspace(reference[2], ADULTS[measure, sex, 20][1], 6)
    assert_allclose(medians, straight, rtol=0.01)


def test_adults_can_keep_the_size_of_the_growth_reference_at_20() -> None:
    patients = drawn(age=aged(50), female=1.0, adults="cdc2000")
    for measure, column in COLUMN.items():
        for p in (0.1, 0.5, 0.9):
            assert_below(patients[column], cole(stats.norm.ppf(p), *LMS[measure, "female", 240]), p)


@pytest.mark.parametrize(
    ("weight", "sd"),
    [
        ({"median": 70.0, "cv": 0.2}, math.sqrt(math.log(1.04))),
        (
            {"median": 70.0, "q25": 60.0, "q75": 80.0},
            math.log(80 / 60) / (2 * stats.norm.ppf(0.75)),
        ),
    ],
)
def test_a_weight_of_its_own_is_log_normal(weight: dict[str, float], sd: float) -> None:
    patients = drawn(weight_kg=weight)
    exact = stats.lognorm(sd, scale=70.0)
    assert stats.kstest(patients["WT"], exact.cdf).pvalue > 1e-5
    assert abs(np.corrcoef(patients["WT"], patients["AGE"])[0, 1]) < 5 / math.sqrt(N)


def test_body_surface_is_that_of_mosteller() -> None:
    patients = drawn()
    assert_allclose(patients["BSA"], np.sqrt(patients["HT"] * patients["WT"] / 3600), rtol=1e-14)


# --- Age, sex, creatinine -------------------------------------------------------------------------

QUANTILES = [[0.0, 1.0], [0.25, 5.0], [0.5, 12.5], [1.0, 26.0]]


@pytest.mark.parametrize(
    ("age", "cdf"),
    [
        (QUANTILES, lambda x: np.interp(x, [1.0, 5.0, 12.5, 26.0], [0.0, 0.25, 0.5, 1.0])),
        ({"kind": "uniform", "low": 2.0, "high": 9.0}, stats.uniform(2, 7).cdf),
        (
            {"kind": "beta", "low": 1.0, "high": 26.0, "a": 1.4, "b": 0.8},
            stats.beta(1.4, 0.8, 1, 25).cdf,
        ),
    ],
    ids=["quantiles", "uniform", "beta"],
)
def test_ages_follow_their_distribution(age: Any, cdf: Any) -> None:
    assert stats.kstest(drawn(age=age)["AGE"], cdf).pvalue > 1e-5


@pytest.mark.parametrize("female", [0.0, 0.38, 1.0])
def test_so_many_are_female(female: float) -> None:
    assert_below(-drawn(female=female)["SEX"], -0.5, female)


@pytest.mark.parametrize(
    ("years", "female", "q"),
    [(0.4, 1.0, 0.26), (5.0, 1.0, 0.38), (15.0, 1.0, 0.64), (15.0, 0.0, 0.72), (70.0, 0.0, 0.90)],
)
def test_creatinine_is_log_normal_around_the_reference(
    years: float, female: float, q: float
) -> None:
    creatinine = {"ratio": 0.85, "cv": 0.4, "source": "made up"}
    scr = drawn(age=aged(years), female=female, creatinine=creatinine)["SCR"]
    sd = math.sqrt(math.log(1.16))
    assert stats.kstest(scr, stats.lognorm(sd, scale=0.85 * q).cdf).pvalue > 1e-5
    assert np.std(scr) / np.mean(scr) == pytest.approx(0.4, rel=0.05)


# --- Limits ---------------------------------------------------------------------------------------


def test_values_stay_inside_their_limits_and_the_rest_is_as_it_was() -> None:
    limits = {"HT": (75.0, 178.0), "SCR": (0.2, 0.8)}
    free = drawn(age=QUANTILES)
    held = drawn(age=QUANTILES, height_range_cm=[*limits["HT"]], scr_range_mg_dl=[*limits["SCR"]])
    for column, (low, high) in limits.items():
        assert np.mean((free[column] < low) | (free[column] > high)) > 0.05
        assert low <= np.min(held[column]) < np.max(held[column]) <= high
    for column in ("AGE", "SEX", "WT"):
        assert_array_equal(held[column], free[column])
    light = drawn(age=QUANTILES, weight_range_kg=[8.0, 70.0])
    assert 8 <= np.min(light["WT"]) < np.max(light["WT"]) <= 70
    assert_array_equal(light["AGE"], free["AGE"])


def test_a_limited_weight_is_a_truncated_log_normal() -> None:
    weight = {"median": 84.0, "cv": 0.15}
    patients = drawn(weight_kg=weight, weight_range_kg=[70.0, 90.0])
    sd = math.sqrt(math.log1p(0.15**2))
    a, b = (math.log(edge / 84) / sd for edge in (70, 90))
    exact = stats.truncnorm(a, b, loc=math.log(84), scale=sd)
    assert stats.kstest(np.log(patients["WT"]), exact.cdf).pvalue > 1e-5


@pytest.mark.parametrize(
    ("limits", "pair"),
    [
        ("weight_range_kg", [500.0, 600.0]),
        ("height_range_cm", [1.0, 2.0]),
        ("scr_range_mg_dl", [90.0, 91.0]),
    ],
)
@pytest.mark.parametrize("n", [1, 4096])
def test_limits_that_nobody_meets_are_named(limits: str, pair: list[float], n: int) -> None:
    said = rf"population somebody: {limits} \[{pair[0]:g}, {pair[1]:g}\] keeps out nearly everybody"
    with pytest.raises(InputError, match=said):
        draw(people(**{limits: pair}), np.random.default_rng(1), n)


def test_limits_that_only_some_ages_cannot_meet_are_refused_with_those_ages() -> None:
    with pytest.raises(
        InputError, match=r"weight_range_kg \[60, 200\].* of 1\S*-[5-9]\S* y: widen"
    ):
        drawn(4096, age=QUANTILES, weight_range_kg=[60.0, 200.0])


def test_limits_that_one_in_fifty_meets_are_kept() -> None:
    weight = {"median": 70.0, "cv": 0.2}
    low = float(stats.lognorm(math.sqrt(math.log(1.04)), scale=70.0).ppf(0.98))
    for n in (1, 10, 8192):
        assert np.min(drawn(n, weight_kg=weight, weight_range_kg=[low, 500.0])["WT"]) >= low


# --- Seeds and blocks -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", populations())
def test_a_seed_gives_the_same_bytes_and_another_block_others(name: str) -> None:
    entry = populations()[name]
    seeds = np.random.SeedSequence(5).spawn(2)
    first, again, other = (draw(entry, np.random.default_rng(seeds[k]), 4096) for k in (0, 0, 1))
    for column in DRAWN:
        assert first[column].tobytes() == again[column].tobytes()
        assert (first[column] != other[column]).any()
    assert_array_equal(first["product"], again["product"])


def test_what_is_drawn_for_a_study_fits_a_model_and_may_be_nobody() -> None:
    assert {column.shape for column in drawn(0).values()} == {(0,)}
    assert {column.dtype for column in drawn(3).values()} == {np.dtype(np.float64)}
    values = covariate_columns(load_model("langenhorst2019"), drawn(3)).values
    assert np.isfinite(values["eGFR"]).all()


def test_the_populations_of_the_verification_are_what_they_were() -> None:
    child = virtual_patients("langenhorst2019_children", n=3, seed=2019)
    adult = virtual_patients("langenhorst2019_adults", n=3, seed=2019)
    columns = ("AGE", "SEX", "WT", "HT", "SCR")
    assert_allclose(
        [[who[column][1] for column in columns] for who in (child, adult)],
        [
            [7.674438932688632, 1, 23.353802067181654, 124.16254345628116, 0.4601752141711337],
            [44.995106988629125, 1, 72.1952819801637, 161.60216932850332, 0.7724742006355734],
        ],
        rtol=1e-13,
    )


def test_an_unknown_population_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'langenhorst2019_adults'"):
        virtual_patients("langenhorst_adults", n=1, seed=1)


# --- Categories -----------------------------------------------------------------------------------


def test_categories_come_in_their_fractions_and_change_nothing_else() -> None:
    product = {"b": 0.2, "a": 0.5, "c": 0.3}
    entry = people(product=product, genotype="GG")
    patients = draw(entry, np.random.default_rng(7), N)
    assert entry.categories("product") == ["b", "a", "c"]
    for number, level in enumerate(entry.categories("product")):
        assert_below(np.abs(patients["product"] - number), 0.5, product[level])
    assert entry.categories("genotype") == ["GG"]
    assert not patients["genotype"].any()
    assert entry.categories("diagnosis") == []
    assert np.isnan(patients["diagnosis"]).all()
    plain = drawn()
    for column in DRAWN:
        assert_array_equal(patients[column], plain[column])


def test_categories_become_the_category_numbers_of_a_model() -> None:
    entry = people(product={"tisa_cel": 0.3, "axi_cel": 0.7}, diagnosis="lbcl")
    patients = draw(entry, np.random.default_rng(1), 500)
    own = np.array(entry.categories("product"))[patients["product"].astype(int)]
    model = load_model("varela2025")
    there = np.array(model.categories("product"))
    columns = category_numbers(entry, patients, model)
    assert_array_equal(there[columns["product"].astype(int)], own)
    assert np.isnan(columns["diagnosis"]).all()  # the model has none
    assert np.isnan(category_numbers(entry, patients)["product"]).all()
    for column in DRAWN:
        assert columns[column] is patients[column]


def test_levels_that_a_model_does_not_have_are_refused_together() -> None:
    entry = people(diagnosis={"b_all": 0.5, "aplastic_anaemia": 0.5}, genotype="AA")
    patients = draw(entry, np.random.default_rng(1), 5)
    with pytest.raises(InputError) as refused:
        category_numbers(entry, patients, load_model("mohanan2017"))
    assert refused.value.sentences() == [
        "population somebody: diagnosis 'b_all' is not one of mohanan2017: "
        "aplastic_anaemia, fanconi_anaemia",
        "population somebody: genotype 'AA' is not one of mohanan2017: GG, carrier",
    ]


# --- Ready-made populations -----------------------------------------------------------------------

PRINTED: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "langenhorst2019_children": {"WT": (4.3, 29, 96)},
    "langenhorst2019_adults": {"WT": (47, 78, 130), "AGE": (22, 48, 74)},
    "prwcc_ball": {"AGE": (0.5, 12.5, 26)},
    "infants_ball": {"AGE": (0.3, 1.65, 3)},
    "lbcl_adults": {"AGE": (23, 59, 82), "WT": (52, 82.5, 101)},
}
"""Lowest, median, highest; ages of langenhorst2019 and infants_ball are those assumed."""


def test_every_ready_made_population_is_tested() -> None:
    assert set(PRINTED) == set(populations())


@pytest.mark.parametrize("name", PRINTED)
def test_a_ready_made_population_has_the_printed_medians_and_ranges(name: str) -> None:
    patients = virtual_patients(name, n=N, seed=4)
    for column, (low, median, high) in PRINTED[name].items():
        # Monte Carlo error of these medians: below 0.8 % (weight), 1.5 % (age)
        assert np.median(patients[column]) == pytest.approx(median, rel=0.03)
        assert low <= np.min(patients[column]) < np.max(patients[column]) <= high
    assert_below(-patients["SEX"], -0.5, populations()[name].female)
    for column in DRAWN:
        assert np.isfinite(patients[column]).all()
    assert "ssumption" in populations()[name].source


@pytest.mark.parametrize(
    ("name", "quartiles", "egfr"),
    [
        ("langenhorst2019_children", (14, 29, 52), 140),
        ("langenhorst2019_adults", (65, 78, 89), 110),
    ],
)
def test_the_transplant_cohorts_have_the_printed_quartiles_of_weight_and_median_egfr(
    name: str, quartiles: tuple[float, ...], egfr: float
) -> None:
    patients = virtual_patients(name, n=N, seed=4)
    assert_allclose(np.quantile(patients["WT"], [0.25, 0.5, 0.75]), quartiles, rtol=0.04)
    values = covariate_columns(load_model("langenhorst2019"), patients).values
    assert np.median(values["eGFR"]) == pytest.approx(egfr, rel=0.04)


def test_the_lymphoma_cohort_has_the_printed_clearance_and_products() -> None:
    model = load_model("varela2025")
    patients = virtual_patients("lbcl_adults", n=N, seed=4, model=model)
    values = covariate_columns(model, patients).values
    assert np.median(values["CrCl"]) == pytest.approx(96, rel=0.015)
    assert np.mean((values["CrCl"] >= 39) & (values["CrCl"] <= 214)) > 1 - 1 / 56
    axi_cel = model.categories("product").index("axi_cel")
    assert np.mean(values["product"] == axi_cel) == pytest.approx(38 / 56, abs=0.017)


@pytest.mark.parametrize("name", ["prwcc_ball", "infants_ball"])
def test_leukaemia_cohorts_have_low_creatinine(name: str) -> None:
    patients = virtual_patients(name, n=N, seed=4)
    girls = patients["SEX"] == 1
    young = girls & (patients["AGE"] < 1)
    assert young.sum() > 100
    error = 5 * 1.2533 * 0.2462 / math.sqrt(young.sum())
    assert np.median(patients["SCR"][young]) == pytest.approx(0.8 * 0.26, rel=error)


# --- Files ----------------------------------------------------------------------------------------


def faults_of(**changes: Any) -> list[str]:
    """What is said of a population in a study."""
    with pytest.raises(FileError) as refused:
        people(**changes)
    return [fault.removeprefix("study.toml: population") for fault in refused.value.sentences()]


UNIFORM = {"kind": "uniform", "low": 1.0, "high": 60.0}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"age": None}, ".age: Field required"),
        ({"age": 40}, ".age: rows of [cumulative fraction, years], or a table whose kind is"),
        ({"age": {**UNIFORM, "kind": "normal"}}, ".age: rows of [cumulative fraction, years], or"),
        ({"age": {"low": 1.0, "high": 2.0}}, ".age: rows of [cumulative fraction, years], or"),
        ({"age": {**UNIFORM, "low": 70.0}}, ".age: low 70.0 is not below high 60.0"),
        (
            {"age": {**UNIFORM, "high": 600.0}},
            ".age.high: Input should be less than or equal to 120",
        ),
        ({"age": {**UNIFORM, "mean": 3}}, ".age.mean: Extra inputs are not permitted"),
        (
            {"age": {**UNIFORM, "kind": "beta", "a": 0, "b": 1}},
            ".age.a: Input should be greater than 0",
        ),
        ({"age": {**UNIFORM, "kind": "beta", "a": 2}}, ".age.b: Field required"),
        ({"age": [[0.0, 1.0]]}, ".age: List should have at least 2 items"),
        ({"age": [[0.0, 1.0], [1.0]]}, ".age[1]: List should have at least 2 items"),
        ({"age": [[0.0, 1.0], [1.0, "x"]]}, ".age[1][1]: Input should be a valid number, not 'x'"),
        ({"age": [[0.0, 1.0], [1.0, -2.0]]}, ".age[1][1]: Input should be greater than or equal"),
        ({"age": [[0.0, 5.0], [1.0, 2.0]]}, ".age: years must rise: [5.0, 2.0]"),
        (
            {"age": [[0.0, 1.0], [0.9, 2.0]]},
            ".age: cumulative fractions go from 0 to 1, not 0.0 to",
        ),
        ({"female": 1.2}, ".female: Input should be less than or equal to 1, not 1.2"),
        ({"female": "half"}, ".female: Input should be a valid number, not 'half'"),
        ({"weight_kg": {"median": 70.0}}, ".weight_kg: give cv, or both q25 and q75"),
        ({"weight_kg": {"median": 70.0, "q25": 60.0}}, ".weight_kg: give cv, or both q25 and q75"),
        (
            {"weight_kg": {"median": 70.0, "cv": 0.2, "q25": 60.0, "q75": 80.0}},
            ".weight_kg: give cv, or both q25 and q75",
        ),
        (
            {"weight_kg": {"median": 70.0, "q25": 75.0, "q75": 80.0}},
            ".weight_kg: q25, median, q75 must rise: [75.0, 70.0, 80.0]",
        ),
        ({"weight_kg": {"cv": 0.2}}, ".weight_kg.median: Field required"),
        ({"weight_range_kg": None}, ".weight_range_kg: Field required"),
        ({"weight_range_kg": [90.0, 50.0]}, ".weight_range_kg: the pair must rise: [90.0, 50.0]"),
        ({"weight_range_kg": [0.0, 50.0]}, ".weight_range_kg[0]: Input should be greater than 0"),
        ({"height_range_cm": [90.0]}, ".height_range_cm: List should have at least 2 items"),
        ({"scr_range_mg_dl": [1.0, 1.0]}, ".scr_range_mg_dl: the pair must rise: [1.0, 1.0]"),
        (
            {"weight_height_correlation": 1.0},
            ".weight_height_correlation: Input should be less than 1",
        ),
        ({"adults": "dutch"}, ".adults: Input should be 'nhanes2023' or 'cdc2000', not 'dutch'"),
        ({"creatinine": {"ratio": 0.8, "cv": 0.2}}, ".creatinine.source: Field required"),
        ({"product": {"a": 0.5, "b": 0.4}}, ".product: the fractions add up to 0.9, not to 1"),
        ({"product": {"a": 1.5}}, ".product.a: Input should be less than or equal to 1, not 1.5"),
        ({"product": {}}, ".product: Dictionary should have at least 1 item"),
        ({"genotype": 3}, ".genotype: write a level, or a table of level = fraction, not 3"),
        ({"diagnosis": " "}, ".diagnosis. : String should have at least 1 character"),
        ({"source": ""}, ".source: String should have at least 1 character"),
        ({"wieght": 3}, ".wieght: Extra inputs are not permitted"),
    ],
)
def test_a_bad_population_is_refused_with_the_key(changes: dict[str, Any], fault: str) -> None:
    (said,) = faults_of(**changes)
    assert said.startswith(fault)


def test_all_faults_of_a_population_are_said_at_once() -> None:
    said = faults_of(
        age=[[0.1, 5.0], [0.1, 2.0], [1.0, 3.0]],
        female=-1,
        weight_kg={"median": -70.0, "cv": -0.1},
        weight_range_kg=[2.0, 1.0],
        creatinine={"ratio": "low", "cv": 0.2, "source": "x"},
        product={"a": 0.2},
    )
    assert [fault.split(":")[0] for fault in said] == [
        *(".age", ".female", ".weight_kg.median", ".weight_kg.cv", ".weight_range_kg"),
        *(".creatinine.ratio", ".product"),
    ]
    assert said[0] == (
        ".age: cumulative fractions must rise: [0.1, 0.1, 1.0]; years must rise: [5.0, 2.0, 3.0]; "
        "cumulative fractions go from 0 to 1, not 0.1 to 1.0"
    )


def test_a_fault_of_a_list_of_populations_has_the_number_of_its_population() -> None:
    table = {**PLAIN, "age": {"kind": "beta", "low": 1.0, "high": 2.0, "a": -1.0, "b": 1.0}}
    with pytest.raises(FileError, match=r"f\.toml: populations\[1\]\.age\.a: Input should be gr"):
        check_table({"populations": [PLAIN, table]}, PopulationFile, "f.toml")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.1, 99)), max_size=5),
    st.integers(0, 2**32),
)
def test_quantiles_in_order_are_drawn_between_their_ends_and_others_refused(
    inner: list[tuple[float, float]], seed: int
) -> None:
    rows = [[0.0, 0.05], *map(list, inner), [1.0, 100.0]]
    if all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(rows)):
        age = drawn(50, seed, age=rows)["AGE"]
        assert 0.05 <= np.min(age) <= np.max(age) <= 100
    else:
        assert any("must rise" in fault for fault in faults_of(age=rows))


OWN_MODELS: Mapping[str, str] = {
    "langenhorst2019_children": "langenhorst2019",
    "langenhorst2019_adults": "langenhorst2019",
    "prwcc_ball": "langenhorst2019",
    "infants_ball": "langenhorst2019",
    "lbcl_adults": "varela2025",
}


@pytest.mark.parametrize("name", PRINTED)
def test_a_ready_made_population_is_possible_for_its_own_model(name: str) -> None:
    model = load_model(OWN_MODELS[name])
    patients = virtual_patients(name, n=400_000, seed=2, model=model)
    rows, _ = studied_rows(model, patients)
    assert len(rows) == 400_000


def test_the_clearance_of_the_lymphoma_population_cannot_pass_the_limit_of_its_model() -> None:
    entry = populations()["lbcl_adults"]
    assert entry.scr_range_mg_dl is not None
    lowest, heaviest = entry.scr_range_mg_dl[0], entry.weight_range_kg[1]
    youngest = {"age_years": 23.0, "weight_kg": heaviest, "scr_mg_dl": lowest}
    highest = float(cockcroft_gault(**youngest, female=False))
    limits = load_model("varela2025").file.covariates["CrCl"].limits
    assert limits is not None
    assert 0.95 * limits[1] < highest < limits[1]


def test_limits_of_creatinine_change_those_alone_who_are_beyond_them() -> None:
    entry = populations()["lbcl_adults"]
    free = entry.model_copy(update={"scr_range_mg_dl": None})
    inside = draw_patients(entry, np.random.default_rng(5), N)
    before = draw_patients(free, np.random.default_rng(5), N)
    again = inside.redrawn["scr"]
    low, high = entry.scr_range_mg_dl or (0.0, math.inf)
    beyond = (before.columns["SCR"] < low) | (before.columns["SCR"] > high)
    np.testing.assert_array_equal(again, beyond)
    assert 0 < again.sum() < 0.01 * N
    assert not before.redrawn["scr"].any()
    for column in ("AGE", "SEX", "WT", "HT"):
        np.testing.assert_array_equal(inside.columns[column], before.columns[column])
    np.testing.assert_array_equal(inside.columns["SCR"][~again], before.columns["SCR"][~again])
