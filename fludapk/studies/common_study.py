"""The common study: two to four plans in a population, each a strategy of a scenario.

They are typed as `fludapk.answers.compare_plans` says; ``levels`` and hours after the first dose
behind an aim make a plan adaptive, its first dose by covariates, later doses by levels::

    axi_cel auc 19 levels 1 2 7 24
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from fludapk.answers.compare_plans import Plan, read_plans
from fludapk.answers.goal import Goal
from fludapk.errors import Fault, InputError, gathered, nearest
from fludapk.language import tr
from fludapk.patients.population import populations
from fludapk.patients.regimen import Regimen
from fludapk.published.models import DEFAULT_MODEL
from fludapk.units import parse_number

PATIENTS: Final = 10_000
SEED: Final = 20260114
_LEVELS: Final = re.compile(r"\s+levels\b\s*(?:at\b)?(.*)$", re.IGNORECASE | re.DOTALL)


def common_study(
    population: str,
    plans: Sequence[str],
    *,
    window: tuple[float, float] | None = None,
    patients: int = PATIENTS,
    seed: int = SEED,
    model: str = DEFAULT_MODEL,
    round_to_mg: float | None = None,
    product: str | None = None,
    diagnosis: str | None = None,
    genotype: str | None = None,
) -> dict[str, Any]:
    """Describe a study of two to four plans as a scenario.

    Parameters
    ----------
    population : str
        Id of a virtual population.
    plans : sequence of str
        As typed.
    window : (float, float), optional
        Window on the AUC0-inf, mg·h/L; 13.8 to 20 if absent.
    patients, seed : int
    model : str
        Model that is simulated, and that finds the doses.
    round_to_mg : float, optional
        Doses are multiples of this many mg.
    product, diagnosis, genotype : str, optional
        Of everybody, where the model needs what the population does not have.

    Returns
    -------
    dict
        Scenario, for `fludapk.studies.simulate.simulate` or, by `toml_of`, for a file.

    Raises
    ------
    InputError
        With all faults.

    Examples
    --------
    >>> study = common_study("prwcc_ball", ["tisa_cel_ball", "tisa_cel_ball auc 17"])
    >>> [(row["id"], row["kind"]) for row in study["strategies"]]
    [('tisa_cel_ball', 'fixed'), ('tisa_cel_ball_auc_17', 'target')]
    """
    _, _, rows = gathered(
        lambda: _population(population),
        lambda: _numbers(window, patients, seed),
        lambda: _strategies(plans),
    )
    if round_to_mg is not None:
        rows = [{**row, "round_to_mg": round_to_mg} for row in rows]
    title = f"{' against '.join(' '.join(text.split()) for text in plans)} in {population}"
    names = {"product": product, "diagnosis": diagnosis, "genotype": genotype}
    return {
        "title": title,
        "seed": seed,
        "patients": patients,
        "models": [model],
        **{key: value for key, value in names.items() if value},
        "population": {"use": population},
        **({} if window is None else {"window": {"low": window[0], "high": window[1]}}),
        "strategies": rows,
    }


def _population(name: str) -> str:
    if not name:
        raise InputError(Fault("population", tr("is missing"), do=nearest("", list(populations()))))
    if name not in populations():
        do = nearest(name, list(populations()))
        raise InputError(
            Fault("population", tr("unknown population {name!r}", name=name), do=do, whole=True)
        )
    return name


def _numbers(window: tuple[float, float] | None, patients: int, seed: int) -> None:
    """Refuse numbers that are not those of a study."""
    faults = []
    if window is not None and not 0 < window[0] < window[1]:
        found = tr("= {low:g} to {high:g}", low=window[0], high=window[1])
        faults.append(Fault("window", found, do=tr("two AUCs in mg·h/L, low first")))
    if patients < 1:
        faults.append(Fault("patients", f"= {patients}", do=tr("at least 1")))
    if not 0 <= seed < 2**63:
        faults.append(Fault("seed", f"= {seed}", do=tr("a whole number from 0")))
    if faults:
        raise InputError(*faults)


# ------------------------------------------------------------------ strategies

_Refused: TypeAlias = Callable[[str, str], InputError]
"""Function from what is wrong with a plan and what to do about it to the error."""


def _strategies(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Read every plan; faults say which it is."""
    split = [_LEVELS.search(text) for text in texts]
    plans = read_plans(
        [text[: at.start()] if at else text for text, at in zip(texts, split, strict=True)]
    )
    rows = gathered(
        *(
            partial(_strategy, number, text, plan, at and at[1])
            for number, (text, plan, at) in enumerate(
                zip(texts, plans, split, strict=True), start=1
            )
        )
    )
    ids = [row["id"] for row in rows]
    for number, own_id in enumerate(ids, start=1):
        if (first := ids.index(own_id) + 1) < number:
            again = tr("is plan {n} again", n=first)
            raise _refused(number, texts[number - 1], again, tr("leave it out"))
    return rows


def _refused(number: int, text: str, found: str, do: str) -> InputError:
    where, inside = tr("plan {n} {text!r}", n=number, text=text), ("plans", number)
    return InputError(Fault("plans", found, do=do, whole=True, inside=inside, where=where))


def _strategy(number: int, text: str, plan: Plan, levels: str | None) -> dict[str, Any]:
    """Write a plan as a strategy of a scenario."""
    refused = partial(_refused, number, text)
    if plan.chance is not None:
        raise refused(
            tr("says no target for its chance"), tr("name one: target fabrizio2022 chance 0.8")
        )
    aim = {} if plan.goal is None else _aim(plan.goal, refused)
    if levels is not None and not aim:
        raise refused(
            tr("has levels without an aim"), tr("for example axi_cel auc 19 levels 1 2 7 24")
        )
    course = _course(plan.regimen, with_dose=not aim)
    own_id = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if plan.rule is not None:
        return {"id": own_id, "kind": "renal", "rule": plan.rule, **course}
    if not aim:
        return {"id": own_id, "kind": "fixed", **course}
    if levels is None:
        return {"id": own_id, "kind": "target", **course, **aim}
    hours = _hours(levels, plan.regimen.interval_h, refused)
    return {
        "id": own_id, "kind": "adaptive", "first": "covariates", **course, **aim, "levels_h": hours,
    }  # fmt: skip


def _course(regimen: Regimen, *, with_dose: bool) -> dict[str, Any]:
    """Write a course: by its name if it is as published."""
    entry = regimen.published
    is_own_dose = with_dose and entry and (regimen.dose, regimen.unit) != (entry.dose, entry.unit)
    if entry is not None and regimen.days == entry.days and not is_own_dose:
        return {"regimen": regimen.id}
    dose = {"dose": f"{regimen.dose:.10g} {regimen.unit}"} if with_dose else {}
    times = {"interval_h": regimen.interval_h, "infusion_h": regimen.infusion_h}
    return {**dose, "days": regimen.days, **times}


def _aim(goal: Goal, refused: _Refused) -> dict[str, Any]:
    """Write the goal of a dose."""
    if goal.kind == "auc":
        return {"auc": goal.low}
    if math.isinf(goal.high):
        if (goal.probability or 0) < 0.5:
            raise refused(tr("has a chance below one half"), tr("write 0.5 or more"))
        return {"at_least": goal.low, "probability": goal.probability}
    if goal.probability is not None:
        raise refused(
            tr("has a chance of a window with two ends"),
            tr("leave the chance out: the dose that is best for the window is found"),
        )
    if goal.low <= 0:
        raise refused(tr("has a target without a lower end"), tr("aim at an AUC: auc 17"))
    return {"window": [goal.low, goal.high]}


def _hours(text: str, interval_h: float, refused: _Refused) -> list[float]:
    """Read the hours of levels."""
    words = re.sub(r"(?<=\d)\s*h\b|,(?=\s)|;", " ", text).split()
    try:
        numbers = [parse_number(word, "plans") for word in words]
    except InputError as error:
        raise refused(error.faults[0].found.removeprefix("= "), error.faults[0].do) from None
    if not numbers or any(unit for _, unit in numbers):
        raise refused(tr("has no hours of its levels"), tr("for example levels 1 2 7 24"))
    hours = [number for number, _ in numbers]
    if not 0 < hours[0] <= hours[-1] <= interval_h or hours != sorted(set(hours)):
        do = tr(
            "hours after the first dose, rising, up to the second at {hours:g} h", hours=interval_h
        )
        raise refused(tr("has levels that are not between the first two doses"), do)
    return hours


# ------------------------------------------------------------------ the scenario file


def toml_of(scenario: Mapping[str, Any], comment: str = "") -> str:
    """Write a scenario of texts, numbers, lists and tables as a TOML file.

    Parameters
    ----------
    scenario : mapping
    comment : str, optional
        First line.

    Examples
    --------
    >>> print(toml_of({"seed": 1, "population": {"use": "prwcc_ball"},
    ...     "strategies": [{"id": "label", "auc": 17.0, "levels_h": [1.0, 7.0]}]}), end="")
    seed = 1
    <BLANKLINE>
    [population]
    use = "prwcc_ball"
    <BLANKLINE>
    [[strategies]]
    id = "label"
    auc = 17.0
    levels_h = [1.0, 7.0]
    """
    lines = [f"# {comment}"] if comment else []
    lines += [f"{k} = {_value(v)}" for k, v in scenario.items() if not _is_table(v)]
    for name, part in scenario.items():
        if _is_table(part):
            head = f"[{name}]" if isinstance(part, Mapping) else f"[[{name}]]"
            for table in [part] if isinstance(part, Mapping) else part:
                lines += ["", head, *(f"{k} = {_value(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
    )


def _value(value: Any) -> str:
    if isinstance(value, str):
        signs = {'"': '\\"', "\\": "\\\\"}
        return '"' + "".join(signs.get(c, c if c.isprintable() else " ") for c in value) + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)
