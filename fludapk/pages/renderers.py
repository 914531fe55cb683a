"""Renderers of records: ``print`` shows the page of a terminal, a notebook shows the sheet.

Each page is imported when it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from fludapk.answers import renderer
from fludapk.answers.renderer import Renderer
from fludapk.pages.decimals import marked_text

if TYPE_CHECKING:
    from fludapk.answers.case import OpenedCase
    from fludapk.answers.catalogue import Catalogue
    from fludapk.answers.check_records import CheckResult
    from fludapk.answers.compare_records import CompareResult
    from fludapk.answers.design import Design
    from fludapk.answers.dose_records import DoseResult
    from fludapk.answers.nomogram_records import Nomogram
    from fludapk.answers.qualification_records import Qualification
    from fludapk.answers.record import Record
    from fludapk.answers.update_records import UpdateResult
    from fludapk.answers.verify import Verification
    from fludapk.studies.evaluation_records import EvaluationRecord
    from fludapk.studies.simulate import StudyResult

Strong: TypeAlias = Callable[[str], str]
"""Sets off what must not be missed."""
Sheet: TypeAlias = Callable[[Any, bool], str]
"""Function from a record, and True for a page of its own, to HTML."""


def register(kind: str, drawn: Renderer) -> None:
    """Register what draws the records of a class; its text has the decimal mark of the language."""
    brief = None if drawn.brief is None else _marked(drawn.brief)
    renderer.register(kind, drawn._replace(text=_marked(drawn.text), brief=brief))


def _marked(text: Callable[[Any, Strong], str]) -> Callable[[Any, Strong], str]:
    return lambda record, strong: marked_text(text(record, strong))


def register_all() -> None:
    """Register what draws every kind of record."""
    register("CheckResult", Renderer(_check_text, _sheet(_check_sheet), _check_brief))
    register("CompareResult", Renderer(_compare_text, _sheet(_compare_sheet), _compare_brief))
    register("DoseResult", Renderer(_dose_text, _sheet(_dose_sheet), _dose_brief))
    register("UpdateResult", Renderer(_update_text, _sheet(_update_sheet), _update_brief))
    register("OpenedCase", Renderer(_case_text, _case_sheet, _case_brief))
    register("Design", Renderer(_design_text, _preformatted(_design_text)))
    register("Nomogram", Renderer(_nomogram_text, _sheet(_nomogram_sheet)))
    register("Catalogue", Renderer(_catalogue_text, _preformatted(_catalogue_text)))
    register("Verification", Renderer(_verification_text, _preformatted(_verification_text)))
    register("StudyResult", Renderer(_study_text, _sheet(_study_sheet), figure=_study_figure))
    for kind in ("OutcomeResult", "TrialResult", "WardResult", "ShortageResult", "DriversResult"):
        register(kind, Renderer(_answer_text, _preformatted(_answer_text)))
    register("Qualification", Renderer(_qualification_text, _sheet(_qualification_sheet)))
    register("EvaluationRecord", Renderer(_evaluation_text, _sheet(_evaluation_sheet)))


def _sheet(draw: Sheet) -> Sheet:
    """Embed a sheet in a notebook with its style, for itself alone."""

    def html(record: Record, whole: bool) -> str:
        from fludapk.pages.templates import embedded

        return draw(record, True) if whole else embedded(draw(record, False))

    return html


def _preformatted(text: Callable[[Any, Strong], str]) -> Sheet:
    """Draw a record without a sheet as its page in a terminal."""

    def html(record: Record, _: bool) -> str:
        from html import escape

        return f"<pre>{escape(marked_text(text(record, str)))}</pre>"

    return html


def _with_cautions(page: str, record: CheckResult | DoseResult | UpdateResult) -> str:
    """Add to an answer in short the cautions that its headline does not say."""
    from fludapk.pages.layout import width
    from fludapk.pages.words import remark_table, typeset

    said = {note.casefold() for note in record.headline.notes}
    untold = [
        remark
        for remark in record.remarks
        if remark.severity == "caution" and remark.message.casefold() not in said
    ]
    return f"{page}\n{typeset(remark_table(untold, width()))}" if untold else page


def _check_text(result: CheckResult, strong: Strong) -> str:
    from fludapk.pages.check import check_page
    from fludapk.pages.layout import width

    return check_page(result, width(), strong)


def _check_brief(result: CheckResult, strong: Strong) -> str:
    from fludapk.pages.check import brief_page
    from fludapk.pages.layout import width

    return _with_cautions(brief_page(result, width(), strong), result)


def _check_sheet(result: CheckResult, whole: bool) -> str:
    from fludapk.pages.check_sheet import check_html

    return check_html(result, whole=whole)


def _compare_text(result: CompareResult, strong: Strong) -> str:
    from fludapk.pages.compare import compare_page
    from fludapk.pages.layout import width

    return compare_page(result, width(), strong)


def _compare_brief(result: CompareResult, strong: Strong) -> str:
    from fludapk.pages.compare import brief_page
    from fludapk.pages.compare_rows import remark_rows, severity_word
    from fludapk.pages.layout import table, width

    rows = [(severity_word(x), text) for x, text in remark_rows(result) if x == "caution"]
    page = brief_page(result, width(), strong)
    return f"{page}\n{table(rows, width())}" if rows else page


def _compare_sheet(result: CompareResult, whole: bool) -> str:
    from fludapk.pages.compare_sheet import compare_html

    return compare_html(result, whole=whole)


def _dose_text(result: DoseResult, strong: Strong) -> str:
    from fludapk.pages.dose import dose_page
    from fludapk.pages.layout import width

    return dose_page(result, width(), strong)


def _dose_brief(result: DoseResult, strong: Strong) -> str:
    from fludapk.pages.dose import brief_dose_page
    from fludapk.pages.layout import width

    return _with_cautions(brief_dose_page(result, width(), strong), result)


def _dose_sheet(result: DoseResult, whole: bool) -> str:
    from fludapk.pages.dose import dose_html

    return dose_html(result, whole=whole)


def _update_text(result: UpdateResult, strong: Strong) -> str:
    from fludapk.pages.layout import width
    from fludapk.pages.update import update_page

    return update_page(result, width(), strong)


def _update_brief(result: UpdateResult, strong: Strong) -> str:
    from fludapk.pages.layout import width
    from fludapk.pages.update import brief_update

    return _with_cautions(brief_update(result, width(), strong), result)


def _update_sheet(result: UpdateResult, whole: bool) -> str:
    from fludapk.pages.update_sheet import update_html

    return update_html(result, whole=whole)


def _case_text(case: OpenedCase, strong: Strong) -> str:
    return "\n".join([case.answer.to_text(strong), "", *case.sentences()])


def _case_brief(case: OpenedCase, strong: Strong) -> str:
    return "\n".join([case.answer.to_text(strong, is_brief=True), "", *case.sentences()])


def _case_sheet(case: OpenedCase, whole: bool) -> str:
    html = case.answer.to_html() if whole else case.answer._repr_html_()
    return html or ""


def _design_text(design: Design, _: Strong) -> str:
    from fludapk.pages.layout import width
    from fludapk.pages.update import design_page

    return design_page(design, width())


def _nomogram_text(nomogram: Nomogram, _: Strong) -> str:
    from fludapk.pages.layout import width
    from fludapk.pages.nomogram import nomogram_page

    return nomogram_page(nomogram, width())


def _nomogram_sheet(nomogram: Nomogram, whole: bool) -> str:
    from fludapk.pages.nomogram import nomogram_html
    from fludapk.pages.nomogram_figure import nomogram_svg

    return nomogram_html(nomogram, nomogram_svg(nomogram), whole=whole)


def _catalogue_text(catalogue: Catalogue[Any], _: Strong) -> str:
    from fludapk.pages import sources
    from fludapk.pages.layout import width

    if catalogue.kind == "models":
        return sources.models_page(list(catalogue.values()), width())
    if catalogue.kind == "regimens":
        return sources.regimens_page(width())
    if catalogue.kind == "outcomes":
        return sources.outcomes_page(width())
    return sources.targets_page(width())


def _verification_text(verification: Verification, _: Strong) -> str:
    from fludapk.pages.layout import width
    from fludapk.pages.sources import verified_page

    return verified_page(verification, width())


def _qualification_text(record: Qualification, strong: Strong) -> str:
    from fludapk.pages.layout import width
    from fludapk.pages.qualification import qualification_page

    return qualification_page(record, width(), strong)


def _qualification_sheet(record: Qualification, whole: bool) -> str:
    from fludapk.pages.qualification import qualification_html

    return qualification_html(record, whole=whole)


def _study_text(result: StudyResult, _: Strong) -> str:
    from fludapk.pages.layout import width
    from fludapk.pages.study import study_page

    return study_page(result, width())


def _study_sheet(result: StudyResult, whole: bool) -> str:
    from fludapk.pages.figure import svg_of
    from fludapk.pages.study import study_html
    from fludapk.pages.study_figures import pictures

    return study_html(result, svg_of(lambda: pictures(result)), whole=whole)


def _study_figure(result: StudyResult, name: str) -> Any:
    from fludapk.errors import InputError, nearest
    from fludapk.pages.study_figures import pictures
    from fludapk.studies.bands import bands

    study = result.made_from
    named = pictures(result, bands(study) if study is not None else ())
    if name not in named:
        raise InputError(f"no figure {name!r}: {nearest(name, list(named))}")
    return named[name].figure()


def _answer_text(answer: Record, _: Strong) -> str:
    from fludapk.pages.layout import width
    from fludapk.pages.outcome import answer_page

    return "\n".join(answer_page(answer, width()))


def _evaluation_text(record: EvaluationRecord, _: Strong) -> str:
    from fludapk.pages.evaluation import evaluation_page
    from fludapk.pages.layout import width

    return evaluation_page(record, "levels", width())


def _evaluation_sheet(record: EvaluationRecord, whole: bool) -> str:
    from fludapk.pages.evaluation import evaluation_html
    from fludapk.pages.evaluation_figures import pictures
    from fludapk.pages.figure import svg_of

    computed = record.made_from
    figures = {} if computed is None else svg_of(lambda: pictures(computed))
    return evaluation_html(record, "levels", figures, whole=whole)
