"""Intended use and credibility of the models, as a hospital files them.

Headings follow ASME V&V 40 and the draft of ICH M15. What concerns one model is read from its file;
what concerns the use is worded here, for a hospital to amend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fludapk.answers.headline import COVARIATES_ONLY
from fludapk.answers.qualification_records import Credibility, IntendedUse, ModelCredibility
from fludapk.published.models import Model
from fludapk.published.targets import targets

INTENDED_USE: Final = IntendedUse(
    use=(
        "A second check of the exposure to fludarabine (F-ara-A) that a planned course before CAR "
        "T cells gives, by published population models, and research on such courses"
    ),
    users="Pharmacists and physicians who know the course, and researchers",
    patients=(
        "Children and adults inside the studied range of the model that is used; outside it the "
        "answer says so"
    ),
    not_for=[
        "Not a medical device: it prescribes nothing, and no dose may rest on it alone",
        "Not for another route, another drug, or the conditioning before a transplantation as "
        "standard care",
        "Not a substitute for measured levels: covariates leave most of the variability between "
        "patients open",
        "Not for patients whose creatinine is changing, who are on dialysis, or whose kidney "
        "function is estimated from a creatinine that tells of muscle",
    ],
)

_LIMITS: Final = (
    f"{COVARIATES_ONLY}.",
    "Targets come from retrospective studies; none has been tried prospectively.",
    "Models and targets belong together: a threshold found with one model is not one of another.",
    "A typical patient is shown with an interval over patients and occasions; the interval holds "
    "the uncertainty of a model's numbers only where the paper prints it.",
)


def credibility(models: Sequence[Model], verification: str, validation: str) -> Credibility:
    """Assemble the credibility of the models.

    Parameters
    ----------
    models : sequence of Model
    verification, validation : str
        Results of the checks of this record, in words.
    """
    return Credibility(
        question_of_interest=(
            "Which cumulative exposure to F-ara-A does a planned course give this patient, and how "
            "likely is it below, within or above a published target?"
        ),
        context_of_use=(
            "Beside the dose that the protocol prescribes, before the first infusion from age, "
            "size and kidney function, later with measured levels; read by a person who decides"
        ),
        model_influence=(
            "Supporting: the protocol, the label and the physician decide; the answer may lead to "
            "a question, a level, or another dose within the ceilings"
        ),
        decision_consequence=(
            "High: too little exposure risks relapse, too much risks neurotoxicity and death "
            "unrelated to relapse"
        ),
        model_risk=(
            "Medium while a person decides and levels can be measured; high where nobody would "
            "notice a wrong answer. The hospital states here what applies to it"
        ),
        verification=verification,
        validation=validation,
        limits=list(_LIMITS),
        models=[_of_model(model) for model in models],
    )


def _of_model(model: Model) -> ModelCredibility:
    """Read evidence and limits from the file of a model."""
    file = model.file
    judged = [entry.name for entry in targets().values() if entry.derived_with == model.id]
    printed = len(file.reproduces)
    with_error = sum(
        theta.rse_percent is not None or theta.ci95 is not None for theta in file.theta.values()
    )
    return ModelCredibility(
        model=model.id,
        citation=file.citation.short,
        population=f"{file.population.n} {file.population.who}. {file.population.description}",
        dose_basis=f"{file.dose.basis}: {file.dose.evidence}",
        context=(
            f"Chances against {', '.join(judged)}"
            if judged
            else "No published target was found with it; shown beside the others"
        ),
        published_numbers=f"{printed} printed results are re-computed in this record",
        uncertainty=(
            f"{with_error} of {len(file.theta)} estimates have a printed standard error or interval"
        ),
        studied=[
            f"{name} {entry.range[0]:g}-{entry.range[1]:g} {entry.unit}"
            for name, entry in file.covariates.items()
            if entry.range is not None
        ],
        open_questions=[
            f"{row.topic}: {row.reason}" for row in file.departures if row.open_question
        ],
    )
