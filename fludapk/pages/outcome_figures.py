"""Figures of outcomes, trials, wards and drivers, in shades of grey."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import ndtr

from fludapk.language import tr
from fludapk.pages.curves import LABEL_PT, Curve, draw_curves
from fludapk.pages.figure import Figures, plain
from fludapk.pages.outcome import TESTS
from fludapk.pages.outcome_words import patients_words
from fludapk.studies.drivers import DriversResult
from fludapk.studies.outcome_records import Estimate, OutcomeResult, TrialResult
from fludapk.studies.simulate import StudyResult
from fludapk.studies.ward import WardResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_IN: Final = 0.42
"""Height of a row of a figure, inches."""


def answer_pictures(result: StudyResult) -> dict[str, Figures]:
    """Return the figures of what a scenario asks beyond exposure, by name.

    Parameters
    ----------
    result : StudyResult
    """
    several = len(result.run.scenario.models) > 1
    figures: dict[str, Figures] = {}

    def add(name: str, model: str, size_in: tuple[float, float], draw: partial[None]) -> None:
        name = f"{name}_{model}" if several else name
        figures[name] = Figures(name, size_in, draw)

    for outcome in result.outcomes:
        rows = len([arm for arm in outcome.arms if arm.incidence.value is not None])
        add("outcome", outcome.model, (7.2, 1.3 + _ROW_IN * rows), partial(_outcome, outcome))
    for trial in result.trials:
        if trial.comparisons:
            add("power", trial.model, (7.2, 4.6), partial(_power, trial))
    for ward in result.wards:
        rows = len(ward.table)
        add("ward", ward.model, (7.2, 1.2 + 0.26 * rows), partial(_ward, ward))
    for drivers in result.drivers:
        rows = len(drivers.drivers)
        add("drivers", drivers.model, (7.2, 1.3 + _ROW_IN * rows), partial(_drivers, drivers))
    return figures


def _outcome(result: OutcomeResult, figure: Figure) -> None:
    """Draw the incidence of every strategy, and what it is less than that of the reference."""
    arms = [arm for arm in result.arms if arm.incidence.value is not None]
    left, right = figure.subplots(1, 2, sharey=True)
    names = [
        arm.strategy if arm.stratum == "all" else f"{arm.strategy}\n{arm.stratum}" for arm in arms
    ]
    for row, arm in enumerate(arms):
        _interval(left, row, arm.incidence)
        if arm.strategy != result.reference:
            _interval(right, row, arm.difference)
    left.set_yticks(range(len(arms)), names, fontsize=LABEL_PT)
    left.set_ylim(len(arms) - 0.5, -0.5)
    left.set_xlim(0, None)
    incidence = tr(
        "{event} by {months:g} months, %", event=tr(result.event), months=result.at_months
    )
    left.set_xlabel(incidence, fontsize=9)
    right.axvline(0, color="0.35", linewidth=1.0, zorder=0)
    right.set_xlabel(tr("points against {strategy}", strategy=result.reference), fontsize=9)
    figure.suptitle(
        tr("If the published association is causal and holds here (95 % intervals)"), fontsize=9.5
    )
    for axes in (left, right):
        plain(axes)


def _interval(axes: Axes, row: int, estimate: Estimate) -> None:
    if estimate.value is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([100 * estimate.low, 100 * estimate.high], [row] * 2, color="0.0", linewidth=1.4)
    axes.plot(100 * estimate.value, row, "o", color="1.0", markeredgecolor="0.0", markersize=6)
    axes.annotate(
        f"{100 * estimate.value:.1f}", (100 * estimate.value, row), xytext=(0, 6),
        textcoords="offset points", ha="center", fontsize=8,
    )  # fmt: skip


def _power(result: TrialResult, figure: Figure) -> None:
    """Draw power over patients per arm, with what simulated trials gave."""
    axes = figure.subplots()
    last = max(point.n_per_arm for one in result.comparisons for point in one.power)
    n = np.linspace(2, 1.1 * last, 200)
    axes.set_ylim(0, 100)
    axes.set_xlim(0, 1.1 * last)
    axes.axhline(100 * result.power, color="0.35", linewidth=1.0, linestyle=(0, (1, 1.2)), zorder=0)
    curves = []
    for one in result.comparisons:
        sizes = np.array([point.n_per_arm for point in one.power], dtype=np.float64)
        if result.test == "logrank":
            z = NormalDist().inv_cdf(1 - one.alpha / 2)
            shift = abs(one.drift) * np.sqrt(n)
            power = np.asarray(100 * (ndtr(shift - z) + ndtr(-shift - z)))
            size = patients_words(one.n_for_power.value)
            name = tr(
                "{strategy}: {power:g} % at {n}",
                strategy=one.treated,
                power=100 * result.power,
                n=size,
            )
            curves.append(Curve(name, n, power))
        else:
            simulated = np.array([point.simulated or np.nan for point in one.power])
            curves.append(Curve(one.treated, sizes, 100 * simulated))
        for name, values in (
            (tr("averaged over the ratio"), [point.assurance for point in one.power]),
            (tr("also over causality"), [point.sceptical for point in one.power]),
        ):
            if len(result.comparisons) == 1 and all(value is not None for value in values):
                share = np.array([value or 0.0 for value in values])
                curves.append(Curve(name, sizes, 100 * share))
        for point in one.power:
            if point.simulated is not None:
                axes.plot(
                    point.n_per_arm, 100 * point.simulated, "o", color="1.0",
                    markeredgecolor="0.0", markersize=5, zorder=4,
                )  # fmt: skip
    draw_curves(axes, curves, height_in=3.6)
    axes.set_xlabel(tr("patients per arm (circles: simulated trials)"))
    axes.set_ylabel(tr("power against {strategy}, %", strategy=result.comparisons[0].control))
    title = tr(TESTS[result.test])
    if result.among != "all":
        title = tr("{test}, among {group}", test=title, group=result.among)
    axes.set_title(title, fontsize=10, loc="left")
    plain(axes)


def _ward(result: WardResult, figure: Figure) -> None:
    """Draw who is below, in and above the window for every way to draw levels."""
    axes = figure.subplots()
    names = []
    for row, each in enumerate(result.table):
        left = 0.0
        for share, grey in ((each.below, "0.35"), (each.inside, "0.85"), (each.above, "0.6")):
            axes.barh(row, 100 * share, left=left, height=0.78, color=grey, linewidth=0)
            if share >= 0.02:
                axes.text(
                    left + 50 * share, row, f"{100 * share:.0f}", ha="center", va="center",
                    fontsize=7.5, color="1.0" if grey == "0.35" else "0.0",
                )  # fmt: skip
            left += 100 * share
        names.append(_ward_name(each.levels_h, each.acts_from_dose, each.missed))
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    low, high = result.window
    axes.set_xlabel(
        tr(
            "patients, %: dark below {low:g}, light {low:g}-{high:g}, middle grey above {high:g}",
            low=low,
            high=high,
        ),
        fontsize=9,
    )
    plain(axes)


def _ward_name(levels_h: Sequence[float], dose: int, missed: float) -> str:
    if not levels_h:
        return tr("no levels")
    name = tr("{hours} h, from dose {n}", hours=", ".join(f"{h:g}" for h in levels_h), n=dose)
    return f"{name}, {tr('{percent:g} % missed', percent=100 * missed)}" if missed else name


def _drivers(result: DriversResult, figure: Figure) -> None:
    """Draw the total indices of every cause; the part alone is filled."""
    panels = figure.subplots(1, 2, sharey=True)
    names = [tr(driver.name) for driver in result.drivers]
    places = np.arange(len(names))
    for axes, first, total, title in (
        (panels[0], "first_log_auc", "total_log_auc", "ln AUC"),
        (
            panels[1],
            "first_below",
            "total_below",
            tr("being below {edge:g}", edge=result.limit),
        ),
    ):
        alone = [max(0.0, getattr(driver, first)) for driver in result.drivers]
        whole = [max(0.0, getattr(driver, total)) for driver in result.drivers]
        axes.barh(places, whole, height=0.62, color="1.0", edgecolor="0.0", linewidth=1.0)
        axes.barh(places, alone, height=0.62, color="0.45", linewidth=0)
        for row, value in enumerate(whole):
            axes.text(value + 0.02, row, f"{value:.2f}", va="center", fontsize=8)
        axes.set_xlim(0, 1.1)
        axes.set_title(title, fontsize=10, loc="left")
        plain(axes)
    panels[0].set_yticks(places, names, fontsize=LABEL_PT)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    figure.supxlabel(
        tr("share of the variance: filled alone, outlined with interactions"), fontsize=9
    )
