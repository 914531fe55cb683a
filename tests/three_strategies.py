"""Three strategies in children with B-ALL, and questions about their counts."""

import copy
from typing import Any, Final

from fludapk.studies.scenario import Scenario
from fludapk.studies.simulate import StudyResult

THREE: Final[dict[str, Any]] = {
    "title": "label, covariates, levels",
    "seed": 20260114,
    "patients": 12_000,
    "models": ["langenhorst2019"],
    "population": {"use": "prwcc_ball"},
    "strategies": [
        {"id": "label", "kind": "fixed", "regimen": "tisa_cel_ball"},
        {"id": "target_17", "kind": "target", "auc": 17.0, "days": 4},
        {"id": "adaptive_17", "kind": "adaptive", "first": "covariates", "auc": 17.0, "days": 4,
         "levels_h": [1.0, 2.0, 7.0, 24.0]},
    ],
    "strata": [{"by": "age_years", "edges": [2.0, 6.0]}],
    "outcome": {"use": "fabrizio2022_relapse", "reference": "label", "competing": 0.05},
}  # fmt: skip
TRIAL: Final[dict[str, Any]] = {
    "arms": ["label", "adaptive_17"], "loss_per_year": 0.05, "replicates": 0,
}  # fmt: skip


def scenario(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(THREE), **changes}


def with_outcome(**changes: Any) -> dict[str, Any]:
    return scenario(outcome={**THREE["outcome"], **changes})


WARD: Final = {
    "strategy": "adaptive_17", "schedules": [[1.0, 2.0, 7.0, 24.0], [24.0]],
    "acts_from_dose": [2, 4], "missed": [0.0, 0.2],
}  # fmt: skip


def asked(three: StudyResult, **changes: Any) -> StudyResult:
    """The same counts with other questions."""
    table = three.run.scenario.model_dump(mode="json")
    for key, value in changes.items():
        table[key] = {**(table[key] or {}), **value}
    checked = Scenario.model_validate(table)
    run = type(three.run)(**{**vars_of(three.run), "scenario": checked})
    return StudyResult(run=run, counts=three.counts)


def vars_of(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__ if name != "source"}


def arm(result: StudyResult, strategy: str, stratum: str = "all") -> Any:
    (found,) = [
        a for a in result.outcomes[0].arms if (a.strategy, a.stratum) == (strategy, stratum)
    ]
    return found
