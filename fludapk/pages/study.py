"""The page of a study, and the files that it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import wrap

from fludapk.answers.record import DISCLAIMER
from fludapk.atomic import write_folder
from fludapk.language import marked, ntr, tr
from fludapk.pages.outcome import answers_page
from fludapk.pages.outcome_sheet import sections
from fludapk.pages.templates import sheet
from fludapk.pages.words import concentration, hash_name
from fludapk.published.models import replacement_warning
from fludapk.studies.records import Quantiles, Share, StratumSummary
from fludapk.studies.simulate import StudyResult
from fludapk.studies.strata import band_name, unknown_name
from fludapk.studies.study import Study


def study_page(result: StudyResult, width: int = 100) -> str:
    """Draw a study in short: strategies in each stratum."""
    run, rows = result.run, result.strata
    scenario = run.scenario
    limits = limit_names(scenario.all_limits)
    lines = [
        *_replaced(result),
        scenario.title,
        tr(
            "{n} simulated patients; model: {models}; seed {seed}",
            n=run.patients,
            models=", ".join(scenario.models),
            seed=run.seed,
        ),
    ]
    names = [_name(row, result) for row in rows]
    longest = max(map(len, names))
    head = (
        f"{'':{longest}}  {tr('AUC0-inf, mg·h/L'):>20}  "
        f"{'  '.join(f'{name:>7}' for name in limits)}  {tr('dose, mg'):>18}"
    )
    for stratum in dict.fromkeys(row.stratum for row in rows):
        inside = [(n, r) for n, r in zip(names, rows, strict=True) if r.stratum == stratum]
        n = inside[0][1].n
        named = tr("All patients") if stratum == "all" else stratum
        lines += ["", f"{named} (n = {n})", head]
        lines += [_study_line(name, longest, row) for name, row in inside]
    notes = [
        tr(_MEDIANS_WILSON) if rows[0].interval == "wilson" else tr(_MEDIANS_DRAWS),
        *(
            f"{name}: {', '.join(counted)}"
            for name, row in zip(names, rows, strict=True)
            if row.stratum == "all" and (counted := _study_notes(row))
        ),
    ]
    notes += [*_quantities(result), *_correlated(result), *_in_no_band(result)]
    lines += ["", *(part for note in notes for part in wrap(note, width))]
    lines += answers_page(result, width)
    lines += ["", *wrap(tr(DISCLAIMER), width)]
    hashes = ", ".join(f"{name} {sha[:12]}" for name, sha in run.model_sha256.items())
    scenario_hash = f"{hash_name('scenario')} {run.scenario_sha256[:12]}"
    lines += wrap(f"fludapk {run.version} | {scenario_hash} | {hashes}", width)
    return "\n".join(line.rstrip() for line in lines)


_MEDIANS_WILSON = marked(
    "Medians (5-95 % of patients). Percentages of those who were given a dose, with 95 % intervals "
    "(Wilson) in summary.csv."
)
_MEDIANS_DRAWS = marked(
    "Medians (5-95 % of patients). Percentages of those who were given a dose, with intervals over "
    "the draws of parameters in summary.csv."
)


def _replaced(result: StudyResult) -> list[str]:
    """Warn of models under the name of a shipped one."""
    hashes = result.run.model_sha256
    return [w for name, sha in hashes.items() if (w := replacement_warning(name, sha))]


def _in_no_band(result: StudyResult) -> list[str]:
    """Say for which strata some patients are in none of the bands."""
    counts = result.counts[0]
    draws = max(len(counts.outer), 1)
    n = dict(zip(counts.strata, (counts.counts[:, 0] // draws).tolist(), strict=True))
    notes = []
    for stratum in result.run.scenario.strata:
        labels = [name for name in n if name.startswith(f"{stratum.by} = ")]
        bands = sorted(part.edges for part in stratum.parts if part.edges)
        if any(below[-1] > above[0] for below, above in pairwise(bands)):
            continue  # some patients are counted in several of them
        labels += [band_name(stratum.by, *ends) for edges in bands for ends in pairwise(edges)]
        labels.append(unknown_name(stratum.by))
        outside = n["all"] - sum(n.get(name, 0) for name in labels)
        if outside:
            notes.append(
                tr(
                    "{stratum}: {outside} of {n} patients are in none of its bands.",
                    stratum=stratum.by,
                    outside=outside,
                    n=n["all"],
                )
            )
    return notes


def _quantities(result: StudyResult) -> list[str]:
    """Word concentrations and half-life of all patients, a sentence for each strategy."""
    sentences = []
    for row in result.strata:
        parts = {
            tr("Cmax {conc} mg/L", conc=_spread(row.cmax_mg_l, 2)): row.cmax_mg_l,
            tr("before the last dose {conc} mg/L", conc=_spread(row.trough_mg_l, 3)): (
                row.trough_mg_l
            ),
            tr("at the cells {conc} mg/L", conc=_small(row.conc_at_cells_mg_l)): (
                row.conc_at_cells_mg_l
            ),
            tr("half-life {hours} h", hours=_spread(row.half_life_h)): row.half_life_h,
        }
        words = "; ".join(text for text, spread in parts.items() if spread.q50 is not None)
        if row.stratum == "all" and words:
            sentences.append(f"{_name(row, result)}: {words}.")
    return sentences


def _correlated(result: StudyResult) -> list[str]:
    """Say what a correlation of uncertain estimates would change."""
    return [
        tr(
            "No paper prints how its estimates correlate. Were {estimates} of {model} correlated "
            "by {correlation:g}, {share} % instead of {alone} % would be below 13.8 mg·h/L with "
            "{strategy} (first {n} patients).",
            estimates=tr(" and ").join(row.between),
            model=row.model,
            correlation=row.correlation,
            share=_share(row.p_below_13_8_correlated),
            alone=_share(row.p_below_13_8),
            strategy=row.strategy,
            n=row.patients,
        )
        for row in result.correlations
    ]


def limit_names(limits: Sequence[float]) -> list[str]:
    """Return the names of what is below, between and above limits.

    Parameters
    ----------
    limits : sequence of float
        AUCs, mg h/L, the lowest first.

    Examples
    --------
    >>> limit_names([13.8, 20.0])
    ['< 13.8', '13.8-20', '> 20']
    """
    between = [f"{a:g}-{b:g}" for a, b in pairwise(limits)]
    return [f"< {limits[0]:g}", *between, f"> {limits[-1]:g}"]


def _name(row: StratumSummary, result: StudyResult) -> str:
    """Name a strategy, with its model if there are several."""
    several = len(result.run.scenario.models) > 1
    return f"{row.strategy} ({row.model})" if several else row.strategy


def _study_line(name: str, longest: int, row: StratumSummary) -> str:
    if row.auc.q50 is None:
        return f"{name:{longest}}  {tr('nobody is given a dose')}"
    chances = "  ".join(f"{100 * (share.value or 0.0):5.1f} %" for share in row.limits.values())
    return f"{name:{longest}}  {_spread(row.auc):>20}  {chances}  {_spread(row.dose_mg):>18}"


def _spread(quantiles: Quantiles, digits: int = 1) -> str:
    """Word median, 5 % and 95 %."""
    if quantiles.q50 is None:
        return "-"
    return f"{quantiles.q50:.{digits}f} ({quantiles.q05:.{digits}f}-{quantiles.q95:.{digits}f})"


def _small(quantiles: Quantiles) -> str:
    """Word median, 5 % and 95 % of a low concentration."""
    if quantiles.q50 is None or quantiles.q05 is None or quantiles.q95 is None:
        return "-"
    middle, *ends = map(concentration, (quantiles.q50, quantiles.q05, quantiles.q95))
    return tr("{value} ({low} to {high})", value=middle, low=ends[0], high=ends[1])


def _share(share: Share) -> str:
    """Word a percentage with its interval."""
    if share.value is None or share.low is None or share.high is None:
        return "-"
    return f"{100 * share.value:.1f} ({100 * share.low:.1f}-{100 * share.high:.1f})"


def _study_notes(row: StratumSummary) -> list[str]:
    not_given = marked("{patients} of {n} patients given no dose")
    if row.undecided:
        not_given = marked(
            "{patients} of {n} patients given no dose ({lacking} lack what the strategy doses by)"
        )
    notes = {
        marked("{patients} of {n} patients given a dose held at a ceiling"): row.held_at_ceiling,
        not_given: row.not_given,
        marked("{patients} of {n} patients outside the range that the model was built from"): (
            row.outside_studied_range
        ),
        marked(
            "{patients} of {n} patients with a creatinine drawn again to be inside its limits"
        ): (row.redrawn_scr),
    }
    return [
        tr(text, patients=patients, n=row.n, lacking=row.undecided)
        for text, patients in notes.items()
        if patients
    ]


def study_html(result: StudyResult, figures: Mapping[str, str], *, whole: bool = True) -> str:
    """Draw a study on one sheet; see `fludapk.pages.templates.sheet`.

    Parameters
    ----------
    result : StudyResult
    figures : mapping of str to str
        SVG documents by name.
    whole : bool
        A page of its own; otherwise a part, for a notebook.
    """
    run, rows = result.run, result.strata
    hashes = [("scenario", run.scenario_sha256)]
    hashes += [(f"model {name}", sha) for name, sha in run.model_sha256.items()]
    if run.cohort_sha256:
        hashes.append(("cohort", run.cohort_sha256))
    drawings = {name: svg[svg.index("<svg") :] for name, svg in figures.items()}
    own = sections(result, drawings)
    placed = {section.figure for section in own}
    return sheet(
        "study.html",
        whole=whole,
        run=run,
        scenario=run.scenario,
        drawn=ntr(
            "{patients} simulated patients; model: {models}; the same patients and draws for every "
            "strategy",
            "{patients} simulated patients; models: {models}; the same patients and draws for "
            "every strategy",
            len(run.scenario.models),
            patients=run.patients,
            models=", ".join(run.scenario.models),
        ),
        tables=[
            (stratum, [_study_row(row, result) for row in rows if row.stratum == stratum])
            for stratum in dict.fromkeys(row.stratum for row in rows)
        ],
        limits=limit_names(run.scenario.all_limits),
        sections=own,
        interval=rows[0].interval,
        figures=[svg for svg in drawings.values() if svg not in placed],
        certain=run.certain,
        notes=[*_quantities(result), *_correlated(result), *_in_no_band(result)],
        disclaimer=DISCLAIMER,
        made={
            "version": f"fludapk {run.version}",
            "hashes": hashes,
            "draws": tr("{n} patients, seed {seed}", n=run.patients, seed=run.seed),
        },
    )


def _study_row(row: StratumSummary, result: StudyResult) -> list[str]:
    """Word one strategy in one stratum."""
    n = f"{row.n}"
    if row.not_given:
        n = tr("{n}, {not_given} given none", n=n, not_given=row.not_given)
    return [
        _name(row, result), n, _spread(row.auc), *(_share(share) for share in row.limits.values()),
        _spread(row.dose_mg), _spread(row.total_mg_m2, 0),
    ]  # fmt: skip


def study_files(result: StudyResult, study: Study | None = None) -> dict[str, str | bytes]:
    """Return the figures and the report of a study by name; none without the extra ``report``.

    Parameters
    ----------
    result : StudyResult
    study : Study, optional
        See `write_results`.
    """
    from fludapk.pages.figure import can_draw, drawn
    from fludapk.pages.study_figures import pictures
    from fludapk.studies.bands import bands

    if not can_draw():
        return {}
    figures = pictures(result, bands(study) if study is not None else ())
    return drawn(figures, lambda svg: study_html(result, svg))


def study_tables(result: StudyResult) -> dict[str, str | bytes]:
    """Return the tables of a study and its record by name."""
    return {
        "summary.csv": result.summary_csv(),
        "summary.json": result.summary_json(),
        "run.json": result.run_json(),
    }


def write_results(result: StudyResult, folder: Path, study: Study | None = None) -> list[Path]:
    """Write summary, record, figures and report; the same bytes for the same run.

    Parameters
    ----------
    result : StudyResult
    folder : Path
    study : Study, optional
        Study to draw concentrations over time from, which the counts do not hold.

    Returns
    -------
    list of Path
        Files that were written. Figures and report only with the extra ``report``.
    """
    written = write_folder(
        folder, study_tables(result)
    )  # first: drawing may fail, or the disk fill
    return written + write_folder(folder, study_files(result, study))
