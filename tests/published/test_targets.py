"""Targets: applicability, classification of an AUC, and probabilities."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from fludapk.published.targets import (
    Flag,
    TargetStatus,
    applies,
    bounds,
    flag,
    leading_target,
    prediction_interval,
    side,
    status,
    targets,
    verdict,
    window_probabilities,
)

F8 = NDArray[np.float64]
STANDARD_NORMAL: Final = NormalDist()


# --- The flag -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auc", "expected"),
    [
        (0.0, "below"),
        (13.58, "below"),
        (np.nextafter(13.8, 0.0), "below"),
        (13.8, "borderline"),
        (13.9, "borderline"),
        (np.nextafter(14.0, 0.0), "borderline"),
        (14.0, "met"),
        (17.2, "met"),
        (100.0, "met"),
    ],
)
def test_the_flag_changes_exactly_at_13_8_and_14(auc: float, expected: Flag) -> None:
    assert flag(auc) == expected


def test_the_flag_uses_the_published_thresholds() -> None:
    assert [flag(targets()[name].low or 0.0) for name in ("fabrizio2022", "dekker2022")] == [
        "borderline",
        "met",
    ]


# --- The published targets ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "window", "doi"),
    [
        ("fabrizio2022", (13.8, math.inf), "10.1182/bloodadvances.2021006418"),
        ("dekker2022", (14.0, math.inf), None),
        ("scordo2023", (18.0, 20.0), "10.1182/bloodadvances.2023010302"),
        ("langenhorst2019b", (20.0, 20.0), "10.1182/bloodadvances.2018029421"),
    ],
)
def test_a_target_is_what_was_published(
    name: str, window: tuple[float, float], doi: str | None
) -> None:
    assert bounds(targets()[name]) == window
    assert targets()[name].doi == doi


def test_these_are_all_targets() -> None:
    assert list(targets()) == ["fabrizio2022", "dekker2022", "scordo2023", "langenhorst2019b"]


@pytest.mark.parametrize("name", ["fabrizio2022", "dekker2022", "scordo2023", "langenhorst2019b"])
def test_a_target_says_in_whom_and_how_its_auc_was_obtained(name: str) -> None:
    entry = targets()[name]
    assert entry.context
    assert entry.auc_by
    assert entry.finding
    assert entry.disease is not None


# --- Applicability --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "product", "disease", "expected"),
    [
        (5.0, "tisa_cel", "b_all", {"fabrizio2022", "dekker2022"}),
        (0.5, "tisa_cel", "b_all", {"fabrizio2022", "dekker2022"}),
        (25.0, "tisa_cel", "b_all", {"fabrizio2022", "dekker2022"}),
        (40.0, "tisa_cel", "b_all", set()),
        (5.0, "obe_cel", "b_all", set()),
        (5.0, None, "b_all", set()),
        (5.0, "tisa_cel", None, set()),
        (60.0, "axi_cel", "lbcl", {"scordo2023"}),
        (18.0, "axi_cel", "lbcl", {"scordo2023"}),
        (17.0, "axi_cel", "lbcl", set()),
        (60.0, "tisa_cel", "lbcl", set()),
        (60.0, "axi_cel", "mcl", set()),
        (5.0, None, "hct", {"langenhorst2019b"}),
        (60.0, None, "hct", {"langenhorst2019b"}),
        (5.0, None, None, set()),
    ],
)
def test_a_target_is_bound_to_its_disease_age_and_product(
    age: float, product: str | None, disease: str | None, expected: set[str]
) -> None:
    applicable = {
        name
        for name, entry in targets().items()
        if applies(entry, age_years=age, product=product, disease=disease)
    }
    assert applicable == expected


@pytest.mark.parametrize(
    ("name", "auc", "expected"),
    [
        ("fabrizio2022", 13.79, "below"),
        ("fabrizio2022", 13.8, "within"),
        ("fabrizio2022", 60.0, "within"),
        ("dekker2022", 13.99, "below"),
        ("dekker2022", 14.0, "within"),
        ("scordo2023", 17.99, "below"),
        ("scordo2023", 18.0, "within"),
        ("scordo2023", 20.0, "within"),
        ("scordo2023", 20.01, "above"),
        ("langenhorst2019b", 19.9, "below"),
        ("langenhorst2019b", 20.1, "above"),
    ],
)
def test_an_auc_is_below_within_or_above(name: str, auc: float, expected: TargetStatus) -> None:
    assert status(targets()[name], auc) == expected


# --- Probabilities --------------------------------------------------------------------------------


def log_normal(median: float, sd: float, n: int = 20_000) -> F8:
    """The quantiles of a log-normal at n equal steps of probability."""
    return np.array(
        [median * math.exp(sd * STANDARD_NORMAL.inv_cdf((k + 0.5) / n)) for k in range(n)]
    )


@pytest.mark.parametrize("median", [8.0, 13.58, 17.2, 30.0])
@pytest.mark.parametrize("sd", [0.1, 0.25, 0.5])
@pytest.mark.parametrize(("low", "high"), [(13.8, math.inf), (18.0, 20.0), (20.0, 20.0)])
def test_probabilities_of_a_log_normal_auc_are_those_of_the_closed_form(
    median: float, sd: float, low: float, high: float
) -> None:
    def cumulative(x: float) -> float:
        return 1.0 if math.isinf(x) else STANDARD_NORMAL.cdf(math.log(x / median) / sd)

    probabilities = window_probabilities(log_normal(median, sd), low, high)
    expected = (cumulative(low), cumulative(high) - cumulative(low), 1 - cumulative(high))
    assert probabilities == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("median", [13.58, 17.2])
@pytest.mark.parametrize("sd", [0.1, 0.25])
@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.95])
def test_the_interval_of_a_log_normal_auc_is_that_of_the_closed_form(
    median: float, sd: float, coverage: float
) -> None:
    reach = STANDARD_NORMAL.inv_cdf((1 + coverage) / 2)
    expected = median * math.exp(-reach * sd), median * math.exp(reach * sd)
    assert prediction_interval(log_normal(median, sd), coverage) == pytest.approx(
        expected, rel=1e-3
    )


def test_the_interval_is_the_90_percent_interval() -> None:
    assert prediction_interval(np.linspace(0.0, 100.0, 1001)) == pytest.approx((5.0, 95.0))


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("n", [1, 2, 512, 2047, 2048, 8192])
@pytest.mark.parametrize(
    "order", [np.array, np.sort, lambda x: -np.sort(-x), np.round, np.ones_like]
)
def test_the_ends_of_an_interval_are_quantiles_whatever_the_order_and_the_ties(
    coverage: float, n: int, order: Callable[[F8], F8]
) -> None:
    values = order(np.exp(np.random.default_rng(n).normal(2.7, 0.4, n)))
    ends = np.quantile(values, [(1 - coverage) / 2, (1 + coverage) / 2])
    assert_allclose(prediction_interval(values, coverage), ends, rtol=1e-13)


def test_the_edges_of_a_window_are_within() -> None:
    assert window_probabilities(np.array([17.0, 18.0, 20.0, 21.0]), 18.0, 20.0) == (0.25, 0.5, 0.25)


aucs = st.lists(st.floats(0.1, 100.0), min_size=1, max_size=50).map(np.array)


@given(aucs, st.floats(0.1, 100.0), st.floats(0.0, 50.0))
def test_probabilities_are_probabilities(auc: F8, low: float, width: float) -> None:
    shares = window_probabilities(auc, low, low + width)
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert sum(shares) == pytest.approx(1.0, abs=1e-12)


@given(aucs, st.floats(0.1, 100.0), st.floats(0.0, 10.0))
def test_a_higher_threshold_is_missed_more_often(auc: F8, low: float, more: float) -> None:
    assert (
        window_probabilities(auc, low, math.inf)[0]
        <= window_probabilities(auc, low + more, math.inf)[0]
    )


# --- Sides, and the target that leads -------------------------------------------------------------

LIMITS: Final = sorted({0.0, 13.8, 14.0, *(x for t in targets().values() for x in bounds(t))})
AUCS: Final = st.sampled_from([x for x in LIMITS if math.isfinite(x)]) | st.floats(0.0, 60.0)


@given(AUCS, AUCS, st.sampled_from([None, *targets()]))
def test_two_aucs_are_on_one_side_if_the_same_words_name_it(
    a: float, b: float, name: str | None
) -> None:
    target = None if name is None else targets()[name]
    assert (side(a, target) == side(b, target)) == (verdict(a, target) == verdict(b, target))


@given(
    st.sampled_from([0.0, 18.0, 26.0, 120.0]) | st.floats(0.0, 120.0),
    st.sampled_from([None, "tisa_cel", "axi_cel", "other"]),
    st.sampled_from([None, "b_all", "lbcl", "hct", "other"]),
)
def test_the_first_target_that_applies_leads(
    age: float, product: str | None, disease: str | None
) -> None:
    patient: dict[str, Any] = {"age_years": age, "product": product, "disease": disease}
    fitting = [entry for entry in targets().values() if applies(entry, **patient)]
    assert leading_target(**patient) == (fitting[0] if fitting else None)
