"""The page of an evaluation of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from fludapk.language import marked, ntr, tr
from fludapk.pages.layout import table
from fludapk.pages.templates import sheet
from fludapk.pages.words import hash_name
from fludapk.published.models import replacement_warning

if TYPE_CHECKING:
    from fludapk.studies.evaluation import Evaluation
    from fludapk.studies.evaluation_records import ErrorRecord, EvaluationRecord, LeftOut

# ------------------------------------------------------------------ measured levels


def evaluation_page(r: EvaluationRecord, name: str, width: int = 100) -> str:
    """Draw the page of an evaluation: the model that predicts the levels best, and how well."""
    of_models = r.provenance.model_sha256
    lines = [w for model, sha in of_models.items() if (w := replacement_warning(model, sha))]
    lines += wrap(_counted(r, name), width)
    lines += ["", *(part for text in evaluation_answer(r) for part in wrap(text, width))]
    lines += ["", tr(ERRORS)]
    lines += [table(evaluation_error_rows(r), width, right="1")]
    lines += ["", tr("Models")]
    lines += [table(evaluation_model_rows(r), width)]
    notes = [left_out_line(omitted) for omitted in r.left_out]
    notes += [
        tr(
            "row {row} (ID {id}) REFUSED: {error}",
            row=refused.row,
            id=refused.id,
            error=refused.error,
        )
        for refused in r.refused[:_REFUSED]
    ]
    if len(r.refused) > _REFUSED:
        more = len(r.refused) - _REFUSED
        notes.append(tr("... and {n} more refused: see patients.csv (-o DIR)", n=more))
    notes += evaluation_counts(r)
    notes.append(tr(EVALUATION_NOTE))
    lines += ["", *(part for note in notes for part in wrap(note, width))]
    lines += ["", *wrap(tr(r.disclaimer), width)]
    made = r.provenance
    hashes = ", ".join(f"{model} {sha[:12]}" for model, sha in made.model_sha256.items())
    draws = tr(
        "{n} simulations, {resamples} resamples, seed {seed}",
        n=made.simulations,
        resamples=made.resamples,
        seed=made.seed,
    )
    lines += wrap(
        f"fludapk {made.version} | {hash_name('data')} {made.data_sha256[:12]} | {hashes} | "
        f"{draws}",
        width,
    )
    return "\n".join(line.rstrip() for line in lines)


def _counted(r: EvaluationRecord, name: str) -> str:
    """Count patients, levels and models in a line."""
    models = ntr("{n} model", "{n} models", len(r.models))
    if not r.levels_below_limit:
        return tr(
            "{name}: {patients} patients, {levels} levels of F-ara-A; {models}",
            name=name,
            patients=r.patients,
            levels=r.levels,
            models=models,
        )
    return tr(
        "{name}: {patients} patients, {levels} levels of F-ara-A ({below} below the limit); "
        "{models}",
        name=name,
        patients=r.patients,
        levels=r.levels,
        below=r.levels_below_limit,
        models=models,
    )


def left_out_line(omitted: LeftOut) -> str:
    """Say which model is left out, and why."""
    return tr("{model} left out: {reason}", model=omitted.model, reason=omitted.reason)


ERRORS: Final = marked(
    "Errors of predicted levels, % of the measured (95 % interval over patients)"
)
_REFUSED: Final = 10
EVALUATION_NOTE: Final = marked(
    "Later: levels after a second or later dose, from covariates alone or from the levels before "
    "that dose. Errors are (predicted - measured)/measured; levels below the limit count in the "
    "likelihood only. Log-likelihoods are marginal (Laplace); weight: of the model given all "
    "levels, and on average given those of one patient. AUC moved: patients whose AUC0-inf by "
    "levels differs by 4 mg·h/L or more from covariates; below 13.8: patients by covariates, then "
    "by levels. NPDE are standard normal if the model is right. What fits these patients best need "
    "not be right for others."
)


def evaluation_counts(r: EvaluationRecord) -> list[str]:
    """Records that were not used, by reason, and courses of which hours are unsure."""
    counts = {
        marked("{n} records below the limit before the first dose: not used"): (
            r.records_before_first_dose
        ),
        marked("{n} records without level (MDV 1): not used"): r.records_without_level,
        marked("{n} records marked in the file as not to be used: not used"): r.records_set_aside,
        marked(
            "{n} courses during which clocks change in many places, without a time zone: hours are "
            "those that the clock showed"
        ): r.courses_over_clock_change,
    }
    return [tr(text, n=n) for text, n in counts.items() if n]


def evaluation_answer(r: EvaluationRecord) -> list[str]:
    """The best model and what it is good for, in words."""
    return [_best_fit(r), *_forecast(r.models[0].errors)]


def _best_fit(r: EvaluationRecord) -> str:
    """Name the model of the highest likelihood, and by how much it is higher."""
    best = r.models[0]
    if len(r.models) == 1:
        return tr(
            "{model}, log-likelihood {value:.1f}", model=best.model, value=best.log_likelihood
        )
    second = r.models[1]
    fit = tr(
        "Best fit: {model}, log-likelihood {value:.1f} above {second} (standard error {error:.1f})",
        model=best.model,
        value=second.behind,
        second=second.model,
        error=second.behind_se,
    )
    near = second.behind < 2.0 * second.behind_se
    return f"{fit}: {tr('too near to tell them apart')}" if near else fit


def _forecast(errors: Sequence[ErrorRecord]) -> list[str]:
    """Say how near later levels are to those predicted."""
    by = {error.basis: error for error in errors}
    if "later_from_earlier" in by:
        then, alone = by["later_from_earlier"], by["later_from_covariates"]
        return [
            tr(
                "Later levels from earlier ones: {share} are within 30 %; from covariates alone "
                "{alone} ({levels} levels of {patients} patients)",
                share=_near(then),
                alone=_near(alone),
                levels=then.levels,
                patients=then.patients,
            )
        ]
    if "covariates" not in by:
        return []
    return [
        tr(
            "From covariates alone {share} of the levels are within 30 %; no patient has levels "
            "after two doses, so nothing was forecast",
            share=_near(by["covariates"]),
        )
    ]


def evaluation_error_rows(r: EvaluationRecord) -> list[list[str]]:
    """Basis, levels, bias, RMSE, within 30 % under each model's name; the first row is the head."""
    rows = [[tr("predicted from"), "n", tr("bias (MPE)"), "RMSE", tr("within 30 %")]]
    every = [(one.model, one.errors) for one in r.models]
    if r.averaged:
        every.append((tr("models averaged by weight"), r.averaged))
    for name, errors in every:
        rows.append([name, "", "", "", ""])
        rows += [
            [
                f"  {tr(_BASES[one.basis])}",
                str(one.levels),
                _share(one.mpe, one.mpe_ci95, sign="+"),
                _share(one.rmse, one.rmse_ci95),
                _share(one.within_30, one.within_30_ci95),
            ]
            for one in errors
        ]
    return rows


_BASES: Final = {
    "covariates": marked("covariates"),
    "own_levels": marked("own levels (fit)"),
    "later_from_covariates": marked("later: covariates"),
    "later_from_earlier": marked("later: earlier levels"),
}


def evaluation_model_rows(r: EvaluationRecord) -> list[list[str]]:
    """Likelihood, weights, AUC and NPDE of each model; the first row names them."""
    rows = [
        [
            "",
            tr("log-lik."),
            tr("weight"),
            tr("of one"),
            tr("AUC moved ≥ 4"),
            tr("below 13.8"),
            tr("NPDE mean, var, p"),
        ]
    ]
    for one in r.models:
        n = one.npde
        rows.append(
            [
                one.model,
                f"{one.log_likelihood:.1f}",
                f"{one.weight_all:.3f}",
                f"{one.weight_mean:.2f}",
                f"{100 * one.moved:.0f} %",
                tr("{n}, then {later}", n=one.below_by_covariates, later=one.below_by_levels),
                tr("too few")
                if n is None
                else f"{n.mean:+.2f}, {n.variance:.2f}, {n.p_global:.2g}",
            ]
        )
    return rows


def _near(errors: ErrorRecord) -> str:
    interval = errors.within_30_ci95
    between = "" if interval is None else f" ({interval[0]:.0f}-{interval[1]:.0f})"
    return f"{errors.within_30:.0f} %{between}"


def _share(value: float, interval: tuple[float, float] | None, sign: str = "") -> str:
    shown, *ends = (f"{round(x):{sign}d}" for x in (value, *(interval or ())))
    return (
        tr("{value} ({low} to {high})", value=shown, low=ends[0], high=ends[1]) if ends else shown
    )


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
        errors_title=tr(ERRORS),
        left_out=[left_out_line(omitted) for omitted in result.left_out],
        note=" ".join([*(f"{text}." for text in evaluation_counts(result)), tr(EVALUATION_NOTE)]),
        figures={name: svg[svg.index("<svg") :] for name, svg in figures.items()},
        disclaimer=result.disclaimer,
        made={
            "version": f"fludapk {made.version}",
            "hashes": [
                ("data", made.data_sha256),
                *((f"model {model}", sha) for model, sha in made.model_sha256.items()),
            ],
            "draws": tr("{n} simulations, seed {seed}", n=made.simulations, seed=made.seed),
        },
    )


def evaluation_files(
    result: Evaluation, name: str, english: Evaluation | None = None
) -> dict[str, str | bytes]:
    """Return the files of a comparison by name: tables, and with the extra ``report`` figures.

    Parameters
    ----------
    result : Evaluation
    name : str
        Of the file of levels.
    english : Evaluation, optional
        The same with English words, for the tables; `result` if absent.
    """
    from fludapk.pages.evaluation_figures import pictures
    from fludapk.pages.figure import can_draw, drawn
    from fludapk.patients.csv_list import document
    from fludapk.studies.evaluation_tables import error_rows, level_rows, patient_rows

    data = english or result
    tables: dict[str, str | bytes] = {
        "evaluation.json": data.record.to_json() + "\n",
        "errors.csv": document(error_rows(data.record)),
        "levels.csv": document(level_rows(data)),
        "patients.csv": document(patient_rows(data)),
    }
    if not can_draw():
        return tables
    figures = drawn(pictures(result), lambda svg: evaluation_html(result.record, name, svg))
    return {**tables, **figures}
