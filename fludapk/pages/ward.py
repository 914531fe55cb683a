"""Pages of a ward, of doses under shortage, and of what drives the AUC."""

from __future__ import annotations

from textwrap import wrap

from fludapk.language import tr
from fludapk.pages.layout import table
from fludapk.pages.outcome_words import percent, with_end
from fludapk.studies.drivers import Driver, DriversResult
from fludapk.studies.shortage import ShortageResult
from fludapk.studies.ward import WardResult


def ward_rows(result: WardResult) -> list[list[str]]:
    """Return the table for a ward as text; a header comes first."""
    low, high = result.window
    rows = [[tr("levels, h"), tr("acts from dose"), tr("missed"), f"< {low:g}",
             f"{low:g}-{high:g}", f"> {high:g}"]]  # fmt: skip
    for row in result.table:
        levels = ", ".join(f"{h:g}" for h in row.levels_h) or tr("none")
        rows.append(
            [
                levels,
                str(row.acts_from_dose) if row.levels_h else "",
                percent(row.missed) if row.levels_h else "",
                *(percent(share, 1) for share in (row.below, row.inside, row.above)),
            ]
        )
    return rows


def delay_words(result: WardResult) -> str:
    """Return what a later result costs for every schedule; empty with one dose."""
    if not result.points_per_dose:
        return ""
    schedules = list(dict.fromkeys(tuple(row.levels_h) for row in result.table if row.levels_h))
    costs = ", ".join(
        f"{' '.join(f'{h:g}' for h in levels)} h {points:.1f}"
        for levels, points in zip(schedules, result.points_per_dose, strict=True)
    )
    return tr(
        "Points more below the window for every dose that a result comes later: {costs}",
        costs=costs,
    )


def ward_page(result: WardResult, width: int) -> list[str]:
    """Draw the table for a ward as lines of text.

    Parameters
    ----------
    result : WardResult
    width : int
    """
    title = tr(
        "Levels on the ward: {strategy}, % of patients by AUC0-inf", strategy=result.strategy
    )
    lines = wrap(title, width)
    lines += table(with_end(ward_rows(result)), width, right="12345").split("\n")
    lines += wrap(delay_words(result), width)
    return [line.rstrip() for line in lines]


def shortage_rows(result: ShortageResult) -> list[list[str]]:
    """Return the lowest doses and their vials as text; a header comes first."""
    sharing = list(result.strata[0].vials_per_dose) if result.strata else []
    names = [tr("alone") if k == 1 else tr("{n} share", n=k) for k in sharing]
    rows = [["", "n", tr("course"), tr("dose"), *names, tr("bound"), tr("now")]]
    rows += [
        [
            tr("all") if row.stratum == "all" else row.stratum,
            str(row.n),
            f"{row.course_mg_m2:.1f}{' *' if row.above_ceiling else ''}",
            f"{row.dose_mg_m2:.1f}",
            *(f"{100 * result.infusions * v:.0f}" for v in row.vials_per_dose.values()),
            f"{100 * result.infusions * row.least_vials:.0f}",
            percent(row.share_at_planned),
        ]
        for row in result.strata
    ]
    return rows


def planned_vials_words(result: ShortageResult) -> str:
    """Return the vials of the strategy as it is, in all patients."""
    if not result.strata:
        return ""
    row = result.strata[0]
    parts = [
        f"{tr('alone') if k == 1 else tr('{n} a day', n=k)} {100 * result.infusions * v:.0f}"
        for k, v in row.vials_at_planned.items()
    ]
    return tr(
        "{strategy} as it is ({dose:g} mg/m²): {counts} vials per 100 courses. Vials of 50 mg; how "
        "long an opened vial may be kept is for the pharmacy.",
        strategy=result.strategy,
        dose=result.planned_mg_m2,
        counts=", ".join(parts),
    )


def shortage_heading(result: ShortageResult) -> str:
    """Return the limit, the fraction and what the columns are."""
    heading = tr(
        "Lowest uniform doses with {percent:g} % of patients at {limit:g} mg·h/L or more: mg/m² in "
        "the course and per dose; vials per 100 courses when so many share on a day, and the bound "
        "if nothing were ever left; now: % at {limit:g} or more under {strategy}",
        percent=100 * result.probability,
        limit=result.limit,
        strategy=result.strategy,
    )
    above = any(row.above_ceiling for row in result.strata)
    return f"{heading}; {tr('* above a ceiling, not possible')}" if above else heading


def shortage_page(result: ShortageResult, width: int) -> list[str]:
    """Draw the lowest doses as lines of text.

    Parameters
    ----------
    result : ShortageResult
    width : int
    """
    lines = wrap(shortage_heading(result), width)
    lines += table(with_end(shortage_rows(result)), width, right="123456789").split("\n")
    lines += wrap(planned_vials_words(result), width)
    return [line.rstrip() for line in lines]


def drivers_rows(result: DriversResult) -> list[list[str]]:
    """Return the causes of the AUC as text; a header comes first."""
    others = tr("with others")
    below = tr("< {edge:g}: alone", edge=result.limit)
    rows = [["", tr("ln AUC: alone"), others, below, others]]
    rows += [_driver_cells(driver) for driver in result.drivers]
    rows += [_driver_cells(driver) for driver in result.groups]
    return rows


def _driver_cells(driver: Driver) -> list[str]:
    shares = (
        driver.first_log_auc, driver.total_log_auc, driver.first_below, driver.total_below,
    )  # fmt: skip
    return [tr(driver.name), *(f"{max(0.0, share):.2f}" for share in shares)]


def drivers_heading(result: DriversResult) -> str:
    """Return the strategy and the measure."""
    return tr(
        "What drives the AUC under {strategy}: Sobol indices, shares of the variance of ln AUC "
        "({variance:.4f}) and of the chance of being below {limit:g} ({chance})",
        strategy=result.strategy,
        variance=result.variance,
        limit=result.limit,
        chance=percent(result.below),
    )


def variances_words(result: DriversResult) -> str:
    """Return what covariates could remove, and the variance that each strategy leaves."""
    covariates = result.groups[0].first_log_auc
    left = ", ".join(
        f"{name} {variance:.4f}"
        for name, variance in result.variances.items()
        if variance is not None
    )
    return tr(
        "Covariates carry {percent:.0f} % of the variance of ln AUC: no dosing by covariates can "
        "remove more. Variance that each strategy leaves: {variances}",
        percent=100 * max(0.0, covariates),
        variances=left,
    )


def drivers_page(result: DriversResult, width: int) -> list[str]:
    """Draw Sobol indices as lines of text.

    Parameters
    ----------
    result : DriversResult
    width : int
    """
    lines = wrap(drivers_heading(result), width)
    lines += table(with_end(drivers_rows(result)), width, right="1234").split("\n")
    lines += wrap(variances_words(result), width)
    return [line.rstrip() for line in lines]
