"""The page of an evaluation of models."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from fludapk.pages.layout import table
from fludapk.pages.templates import sheet
from fludapk.published.models import replacement_warning

if TYPE_CHECKING:
    from fludapk.studies.evaluation import Evaluation
    from fludapk.studies.evaluation_records import ErrorRecord, EvaluationRecord

# ------------------------------------------------------------------ measured levels


def evaluation_page(r: EvaluationRecord, name: str, width: int = 100) -> str:
    """Draw the page of an evaluation: the model that predicts the levels best, and how well."""
    several = len(r.models) > 1
    below = f" ({r.levels_below_limit} below the limit)" if r.levels_below_limit else ""
    of_models = r.provenance.model_sha256
    lines = [w for model, sha in of_models.items() if (w := replacement_warning(model, sha))]
    lines += wrap(
        f"{name}: {r.patients} patients, {r.levels} levels of F-ara-A{below}; "
        f"{len(r.models)} model{'s' if several else ''}",
        width,
    )
    lines += ["", *(part for text in evaluation_answer(r) for part in wrap(text, width))]
    lines += ["", "Errors of predicted levels, % of the measured (95 % interval over patients)"]
    lines += [table(evaluation_error_rows(r), width, right="1")]
    lines += ["", "Models"]
    lines += [table(evaluation_model_rows(r), width)]
    notes = [f"{one.model} left out: {one.reason}" for one in r.left_out]
    notes += [f"row {one.row} (ID {one.id}) REFUSED: {one.error}" for one in r.refused[:_REFUSED]]
    if len(r.refused) > _REFUSED:
        notes.append(f"... and {len(r.refused) - _REFUSED} more refused: see patients.csv (-o DIR)")
    notes += evaluation_counts(r)
    notes.append(EVALUATION_NOTE)
    lines += ["", *(part for note in notes for part in wrap(note, width))]
    lines += ["", *wrap(r.disclaimer, width)]
    made = r.provenance
    hashes = ", ".join(f"{model} {sha[:12]}" for model, sha in made.model_sha256.items())
    lines += wrap(
        f"fludapk {made.version} | data {made.data_sha256[:12]} | {hashes} | {made.simulations} "
        f"simulations, {made.resamples} resamples, seed {made.seed}",
        width,
    )
    return "\n".join(line.rstrip() for line in lines)


_REFUSED: Final = 10
EVALUATION_NOTE: Final = (
    "Later: levels after a second or later dose, from covariates alone or from the levels before "
    "that dose. Errors are (predicted - measured)/measured; levels below the limit count in the "
    "likelihood only. Log-likelihoods are marginal (Laplace); weight: of the model given all "
    "levels, and on average given those of one patient. AUC moved: patients whose AUC0-inf by "
    "levels differs by 4 mg·h/L or more from covariates; below 13.8: patients by covariates, then "
    "by levels. NPDE are standard normal if the model is right. What fits these patients best need "
    "not be right for others."
)


def evaluation_counts(r: EvaluationRecord) -> list[str]:
    """Records that were not used, by reason."""
    counts = {
        "below the limit before the first dose": r.records_before_first_dose,
        "without level (MDV 1)": r.records_without_level,
        "marked in the file as not to be used": r.records_set_aside,
    }
    return [f"{n} records {why}: not used" for why, n in counts.items() if n]


def evaluation_answer(r: EvaluationRecord) -> list[str]:
    """The best model and what it is good for, in words."""
    best = r.models[0]
    said = []
    if len(r.models) > 1:
        second = r.models[1]
        near = second.behind < 2.0 * second.behind_se
        said.append(
            f"Best fit: {best.model}, log-likelihood {second.behind:.1f} above {second.model} "
            f"(standard error {second.behind_se:.1f})"
            + (": too near to tell them apart" if near else "")
        )
    else:
        said.append(f"{best.model}, log-likelihood {best.log_likelihood:.1f}")
    by = {one.basis: one for one in best.errors}
    if "later_from_earlier" in by:
        then, alone = by["later_from_earlier"], by["later_from_covariates"]
        said.append(
            f"Later levels from earlier ones: {_near(then)} are within 30 %; "
            f"from covariates alone {_near(alone)} "
            f"({then.levels} levels of {then.patients} patients)"
        )
    elif "covariates" in by:
        alone = by["covariates"]
        said.append(
            f"From covariates alone {_near(alone)} of the levels are within 30 %; "
            "no patient has levels after two doses, so nothing was forecast"
        )
    return said


def evaluation_error_rows(r: EvaluationRecord) -> list[list[str]]:
    """Basis, levels, bias, RMSE, within 30 % under each model's name; the first row is the head."""
    rows = [["predicted from", "n", "bias (MPE)", "RMSE", "within 30 %"]]
    every = [(one.model, one.errors) for one in r.models]
    if r.averaged:
        every.append(("models averaged by weight", r.averaged))
    for name, errors in every:
        rows.append([name, "", "", "", ""])
        rows += [
            [
                f"  {_BASES[one.basis]}",
                str(one.levels),
                _share(one.mpe, one.mpe_ci95, sign="+"),
                _share(one.rmse, one.rmse_ci95),
                _share(one.within_30, one.within_30_ci95),
            ]
            for one in errors
        ]
    return rows


_BASES: Final = {
    "covariates": "covariates",
    "own_levels": "own levels (fit)",
    "later_from_covariates": "later: covariates",
    "later_from_earlier": "later: earlier levels",
}


def evaluation_model_rows(r: EvaluationRecord) -> list[list[str]]:
    """Likelihood, weights, AUC and NPDE of each model; the first row names them."""
    rows = [
        ["", "log-lik.", "weight", "of one", "AUC moved ≥ 4", "below 13.8", "NPDE mean, var, p"]
    ]  # fmt: skip
    for one in r.models:
        n = one.npde
        rows.append(
            [
                one.model,
                f"{one.log_likelihood:.1f}",
                f"{one.weight_all:.3f}",
                f"{one.weight_mean:.2f}",
                f"{100 * one.moved:.0f} %",
                f"{one.below_by_covariates}, then {one.below_by_levels}",
                "too few" if n is None else f"{n.mean:+.2f}, {n.variance:.2f}, {n.p_global:.2g}",
            ]
        )
    return rows


def _near(errors: ErrorRecord) -> str:
    interval = errors.within_30_ci95
    between = "" if interval is None else f" ({interval[0]:.0f}-{interval[1]:.0f})"
    return f"{errors.within_30:.0f} %{between}"


def _share(value: float, interval: tuple[float, float] | None, sign: str = "") -> str:
    shown, *ends = (f"{round(x):{sign}d}" for x in (value, *(interval or ())))
    return f"{shown} ({' to '.join(ends)})" if ends else shown


def evaluation_html(
    result: EvaluationRecord, name: str, figures: Mapping[str, str], *, whole: bool = True
) -> str:
    """Draw a comparison of models; see `fludapk.pages.templates.sheet`.

    Parameters
    ----------
    result : EvaluationRecord
    name : str
        Of the file of levels.
    figures : mapping of str to str
        SVG documents by name.
    """
    made = result.provenance
    return sheet(
        "evaluation.html",
        whole=whole,
        result=result,
        name=name,
        answer=evaluation_answer(result),
        errors=evaluation_error_rows(result),
        models=evaluation_model_rows(result),
        note=" ".join([*(f"{text}." for text in evaluation_counts(result)), EVALUATION_NOTE]),
        figures={name: svg[svg.index("<svg") :] for name, svg in figures.items()},
        disclaimer=result.disclaimer,
        made={
            "version": f"fludapk {made.version}",
            "hashes": [
                ("data", made.data_sha256),
                *((f"model {model}", sha) for model, sha in made.model_sha256.items()),
            ],
            "draws": f"{made.simulations} simulations, seed {made.seed}",
        },
    )


def evaluation_files(result: Evaluation, name: str) -> dict[str, str | bytes]:
    """Return the files of a comparison by name: tables, and with the extra ``report`` figures.

    Parameters
    ----------
    result : Evaluation
    name : str
        Of the file of levels.
    """
    from fludapk.pages.evaluation_figures import pictures
    from fludapk.pages.figure import can_draw, drawn
    from fludapk.patients.csv_list import document
    from fludapk.studies.evaluation_tables import error_rows, level_rows, patient_rows

    tables: dict[str, str | bytes] = {
        "evaluation.json": result.record.to_json() + "\n",
        "errors.csv": document(error_rows(result.record)),
        "levels.csv": document(level_rows(result)),
        "patients.csv": document(patient_rows(result)),
    }
    if not can_draw():
        return tables
    figures = drawn(pictures(result), lambda svg: evaluation_html(result.record, name, svg))
    return {**tables, **figures}
