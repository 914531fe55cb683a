"""Association that an outcome is computed from: a published one, or one of the scenario."""

from __future__ import annotations

from fludapk.errors import InputError, nearest
from fludapk.patients.population import populations
from fludapk.published.outcome_files import Association, OutcomeEntry
from fludapk.published.outcomes import outcomes
from fludapk.published.population_files import PopulationEntry
from fludapk.published.regimens import regimens
from fludapk.studies.scenario import Custom, ReadyMade, Scenario
from fludapk.studies.scenario_outcome import OutcomeTable


def association_of(table: OutcomeTable) -> Association:
    """Return the association of an outcome, with the incidence that the scenario gives.

    Parameters
    ----------
    table : OutcomeTable

    Raises
    ------
    InputError
        If there is no such published outcome, or it is not enough to compute with.
    """
    entry: Association
    if table.own is not None:
        entry = table.own
    else:
        name = table.use or ""
        if name not in outcomes():
            raise InputError(f"unknown outcome {name!r}: {nearest(name, list(outcomes()))}")
        entry = outcomes()[name]
    if table.incidence is not None:
        entry = entry.model_copy(update={"incidence": table.incidence})
    faults = []
    if entry.group_incidences is None and (entry.hazard_ratios is None or entry.incidence is None):
        reason = entry.cannot if isinstance(entry, OutcomeEntry) else "numbers are missing"
        faults.append(f"{table.use}: no outcome can be computed: {reason}")
    if entry.group_incidences is not None and table.incidence is not None:
        faults.append("incidence: this association has incidences by group: leave it out")
    if isinstance(entry, OutcomeEntry) and not entry.competing and table.competing:
        faults.append(f"competing: nothing competes with {entry.event}: leave it out")
    if faults:
        raise InputError(*faults)
    return entry


def transport_faults(scenario: Scenario) -> list[str]:
    """Return why a published association is not about the patients of a scenario.

    Parameters
    ----------
    scenario : Scenario
        With a table `outcome`.
    """
    table = scenario.outcome
    if table is None or table.transport is not None:
        return []
    entry = association_of(table)
    if not isinstance(entry, OutcomeEntry):
        return []
    reference = next(s for s in scenario.strategies if s.id == table.reference)
    regimen = regimens().get(reference.regimen or "")
    population = _population(scenario)
    context = {
        "product": ({scenario.product} if scenario.product else None, "product"),
        "disease": ({scenario.diagnosis} if scenario.diagnosis else None, "diagnosis"),
    }
    faults = []
    for key, (own, covariate) in context.items():
        bound = getattr(entry, key)
        values = own or set(population.categories(covariate) if population else ())
        if regimen is not None:
            values = values | {getattr(regimen, key) or bound}
        others = sorted(values - {bound, None})
        if bound is not None and others:
            faults.append(
                f"outcome: {entry.id} was found with {key} {bound}, this is about "
                f'{", ".join(map(str, others))}: transport = "assumed" carries it over'
            )
    return faults


def _population(scenario: Scenario) -> PopulationEntry | None:
    """Return the description of the patients of a scenario; None for a file."""
    if isinstance(scenario.population, Custom):
        return scenario.population.custom
    if isinstance(scenario.population, ReadyMade):
        return populations().get(scenario.population.use)
    return None
