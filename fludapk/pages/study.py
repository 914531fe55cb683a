"""The page of a study, and the files it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from fludapk.answers.record import DISCLAIMER
from fludapk.atomic import write_folder
from fludapk.pages.templates import environment
from fludapk.studies.simulate import StudyResult
from fludapk.studies.study import Study


def study_page(run: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], width: int = 100) -> str:
    """A study in short: strategies in each stratum."""
    scenario = run["scenario"]
    several = len(scenario["models"]) > 1
    low, high = scenario["window"]["low"], scenario["window"]["high"]
    lines = [
        scenario["title"],
        f"{run['patients']} simulated patients; truth: {', '.join(scenario['models'])}; seed "
        f"{run['seed']}",
    ]
    names = [f"{r['strategy']} ({r['model']})" if several else r["strategy"] for r in rows]
    longest = max(map(len, names))
    head = (
        f"{'':{longest}}  {'AUC0-inf, mg·h/L':>20}  {'< 13.8':>7}  {f'{low:g}-{high:g}':>7}  "
        f"{'> 20':>7}  {'dose, mg':>18}"
    )
    for stratum in dict.fromkeys(row["stratum"] for row in rows):
        inside = [(n, r) for n, r in zip(names, rows, strict=True) if r["stratum"] == stratum]
        n = inside[0][1]["n"]
        lines += ["", f"{'All patients' if stratum == 'all' else stratum} (n = {n})", head]
        lines += [_study_line(name, longest, row) for name, row in inside]
    interval = (
        "within 95 % intervals in summary.csv (Wilson)"
        if rows[0]["interval"] == "wilson"
        else "intervals over the draws of parameters in summary.csv"
    )
    notes = [
        f"Medians with 5-95 % of patients; probabilities in % of those given a dose, {interval}.",
        *(
            f"{who}: {', '.join(said)}"
            for who, row in zip(names, rows, strict=True)
            if row["stratum"] == "all" and (said := _study_notes(row))
        ),
    ]
    lines += ["", *(part for note in notes for part in wrap(note, width))]
    lines += ["", *wrap(DISCLAIMER, width)]
    hashes = ", ".join(f"{name} {sha[:12]}" for name, sha in run["model_sha256"].items())
    lines += wrap(
        f"fludapk {run['version']} | scenario {run['scenario_sha256'][:12]} | {hashes}", width
    )
    return "\n".join(line.rstrip() for line in lines)


def _study_line(name: str, longest: int, row: Mapping[str, Any]) -> str:
    if row["auc_q50"] is None:
        return f"{name:{longest}}  nobody is given a dose"
    auc = f"{row['auc_q50']:.1f} ({row['auc_q05']:.1f}-{row['auc_q95']:.1f})"
    dose = f"{row['dose_mg_q50']:.1f} ({row['dose_mg_q05']:.1f}-{row['dose_mg_q95']:.1f})"
    chances = "  ".join(
        f"{100 * row[p]:5.1f} %" for p in ("p_below_13_8", "p_in_window", "p_above_20")
    )
    return f"{name:{longest}}  {auc:>20}  {chances}  {dose:>18}"


def _study_notes(row: Mapping[str, Any]) -> list[str]:
    said = {
        "held_at_ceiling": "held at a ceiling",
        "not_given": "given no dose",
        "outside_studied_range": "outside the studied range of the truth",
    }
    return [f"{row[name]} of {row['n']} {words}" for name, words in said.items() if row[name]]


def study_html(
    run: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], figures: Mapping[str, str]
) -> str:
    """A study on one self-contained page.

    Parameters
    ----------
    run : mapping
        Its provenance.
    rows : sequence of mapping
        Its summary.
    figures : mapping of str to str
        SVG documents by name.

    Returns
    -------
    str
        The same bytes for the same run.

    Raises
    ------
    InputError
        If jinja2, the extra ``report``, is not installed.
    """
    scenario = run["scenario"]
    several = len(scenario["models"]) > 1
    hashes = [("scenario", run["scenario_sha256"])]
    hashes += [(f"model {name}", sha) for name, sha in run["model_sha256"].items()]
    if run["cohort_sha256"]:
        hashes.append(("cohort", run["cohort_sha256"]))
    strata = list(dict.fromkeys(row["stratum"] for row in rows))
    return (
        environment()
        .get_template("study.html")
        .render(
            whole=True,
            run=run,
            scenario=scenario,
            several=several,
            tables=[
                (stratum, [_study_row(row, several) for row in rows if row["stratum"] == stratum])
                for stratum in strata
            ],
            window=f"{scenario['window']['low']:g}-{scenario['window']['high']:g}",
            interval=rows[0]["interval"],
            figures={name: svg[svg.index("<svg") :] for name, svg in figures.items()},
            certain=run["certain"],
            disclaimer=DISCLAIMER,
            made={
                "version": f"fludapk {run['version']}",
                "hashes": hashes,
                "draws": f"{run['patients']} patients, seed {run['seed']}",
            },
        )
    )


def _study_row(row: Mapping[str, Any], several: bool) -> list[str]:
    """One strategy in one stratum, as text."""

    def chance(name: str) -> str:
        if row[name] is None:
            return "-"
        p, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
        return f"{p:.1f} ({low:.1f}-{high:.1f})"

    def spread(name: str, digits: int) -> str:
        if row[f"{name}_q50"] is None:
            return "-"
        q05, q50, q95 = (f"{row[f'{name}_{q}']:.{digits}f}" for q in ("q05", "q50", "q95"))
        return f"{q50} ({q05}-{q95})"

    who = f"{row['strategy']} ({row['model']})" if several else row["strategy"]
    n = f"{row['n']}" + (f", {row['not_given']} given none" if row["not_given"] else "")
    return [
        who, n, spread("auc", 1), chance("p_below_13_8"), chance("p_in_window"),
        chance("p_above_20"), spread("dose_mg", 1), spread("total_mg_m2", 0),
    ]  # fmt: skip


def write_results(result: StudyResult, folder: Path, study: Study | None = None) -> list[Path]:
    """Write summary, record, figures and report; the same bytes for the same run.

    Parameters
    ----------
    result : StudyResult
    folder : Path
    study : Study, optional
        For concentrations over time, which the counts do not hold.

    Returns
    -------
    list of Path
        What was written. Figures and report only with the extra ``report``.
    """
    from fludapk.pages.figure import can_draw, drawn
    from fludapk.pages.study_figures import pictures
    from fludapk.studies.bands import bands

    files: dict[str, str | bytes] = {
        "summary.csv": result.summary_csv(),
        "summary.json": result.summary_json(),
        "run.json": result.run_json(),
    }
    if can_draw():
        pass

        figures = pictures(result.counts, bands(study) if study is not None else ())
        files.update(drawn(figures, lambda svg: study_html(result.run, result.rows(), svg)))
    return write_folder(folder, files)
