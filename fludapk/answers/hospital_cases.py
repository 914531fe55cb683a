"""The hospital's own cases: answers that a pharmacist expects, worked out by hand or known.

A list of such cases is a list of `fludapk batch` with columns ``expected_auc_0_inf`` and
``tolerance_auc_0_inf``, and so for any other result; a case file is compared with the answer that
it was saved with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fludapk.answers.averaging import AnyAnswer
from fludapk.answers.batch import answered, chunks
from fludapk.answers.check_records import result_columns
from fludapk.answers.operation import is_number, short_answer, tolerance
from fludapk.answers.qualification_records import Checked
from fludapk.errors import Fault, FludapkError, InputError, nearest
from fludapk.patients.case_file import Scalar, read_case
from fludapk.patients.columns import Layout, is_column, opened
from fludapk.patients.csv_list import open_list
from fludapk.patients.nonmem import survey
from fludapk.published.models import load_models
from fludapk.units import parse_number

EXPECTED: Final = "expected_"
TOLERANCE: Final = "tolerance_"
REFUSED: Final = "refused"
MOST_CASES: Final = 1000
_RECORDED: Final = ("auc_0_inf", "dose_mg", "flag", "target", "p_below", "p_above", "stop")
"""Results that are recorded of every case, for the comparison with the next record."""
_YES_OR_NO: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}

TEMPLATE: Final = (
    "id,age_years,sex,weight_kg,height_cm,scr_mg_dl,regimen,dose,days,"
    "expected_dose_mg,tolerance_dose_mg,expected_auc_0_inf,tolerance_auc_0_inf,expected_flag,"
    "expected_refused,source\n"
    "case 1,5,female,18.2,110,0.3,tisa_cel_ball,,,22.37,0.01,,,,,30 mg/m2 x BSA by Mosteller\n"
    "case 2,60,male,80,178,1,,30 mg/m2,3,59.67,0.01,,,,,30 mg/m2 x BSA by Mosteller\n"
    "case 3,60,female,18.2,110,0.3,tisa_cel_ball,,,,,,,,yes,months typed as years\n"
)
"""List to start from; its doses were worked out by hand."""


@dataclass(frozen=True)
class _Wanted:
    """A column of expected values, and the one of their tolerances."""

    result: str
    place: int
    tolerance: int | None


def hospital_checks(
    cases: Sequence[str | Path], folders: Sequence[Path] | None = None
) -> list[Checked]:
    """Compute the cases of a hospital and compare them with what it expects.

    Parameters
    ----------
    cases : sequence of str or Path
        Lists with expected values, and case files, which end in ``.json``.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If a list or a case file cannot be read, with every fault.
    """
    rows: list[Checked] = []
    for path in cases:
        is_case_file = str(path).lower().endswith(".json")
        rows += _of_case_file(path, folders) if is_case_file else _of_list(path, folders)
    twice = sorted({row.name for row in rows if _times(rows, row) > 1})
    if twice:
        do = "give every case an id of its own"
        raise InputError(Fault("cases", f"more than one case is called {', '.join(twice)}", do=do))
    return rows


def _times(rows: Sequence[Checked], row: Checked) -> int:
    return sum((row.name, row.quantity) == (other.name, other.quantity) for other in rows)


# ------------------------------------------------------------------ case files


def _of_case_file(path: str | Path, folders: Sequence[Path] | None) -> Iterator[Checked]:
    """Compare a case file with the answer it was saved with."""
    case = read_case(path)
    computed = short_answer(case.question, case.typed, folders)
    origin = f"{Path(path).name}, saved by version {case.version}"
    for quantity in dict.fromkeys((*case.answer, *computed)):
        if quantity == "model_sha256":
            continue  # of the installation, which has its own section
        value = computed.get(quantity)
        if not case.answer:
            yield _recorded(Path(path).stem, quantity, value, origin)
            continue
        before = case.answer.get(quantity)
        is_plain = isinstance(before, int | float) and is_number(before)
        most = tolerance(quantity, float(before or 0.0)) if is_plain else None
        yield _judged(Path(path).stem, quantity, before, value, most, origin)


# ------------------------------------------------------------------ lists


def _of_list(path: str | Path, folders: Sequence[Path] | None) -> Iterator[Checked]:
    """Compute a list and compare it with its expected values."""
    header = open_list(path, is_column).header
    ours = [name for name in header if _is_ours(name)]
    source, layout = opened(path, [f"{name}=-" for name in ours], {})
    wanted = _wanted(path, header, folders)
    number, again = survey(layout, source.rows())
    if number > MOST_CASES:
        raise InputError(Fault("cases", f"{path}: more than {MOST_CASES} cases", whole=True))
    for chunk in chunks(layout, source.rows()):
        outcomes = answered(layout, chunk, again=again, folders=folders)
        for (row, cells), outcome in zip(chunk, outcomes, strict=True):
            where = f"{path}: row {row}"
            yield from _of_row(layout, cells[0], outcome, wanted, where, f"row {row}")


def _is_ours(column: str) -> bool:
    return column.strip().lower().startswith((EXPECTED, TOLERANCE))


def _wanted(
    path: str | Path, header: Sequence[str], folders: Sequence[Path] | None
) -> list[_Wanted]:
    """Understand the columns of expected values; all faults at once."""
    names = [name.strip().lower() for name in header]
    results = [*result_columns([model.id for model in load_models(folders)]), "dose_mg", REFUSED]
    places = {name: place for place, name in enumerate(names)}
    faults, wanted = [], []
    for name, place in places.items():
        result = name.removeprefix(EXPECTED).removeprefix(TOLERANCE)
        if not _is_ours(name):
            continue
        if result not in results:
            likely = nearest(result, results, others=False)
            faults.append(Fault("cases", f"{name}: no result of this name: {likely}", whole=True))
        elif name.startswith(EXPECTED):
            wanted.append(_Wanted(result, place, places.get(f"{TOLERANCE}{result}")))
        elif f"{EXPECTED}{result}" not in places:
            faults.append(Fault("cases", f"{name}: there is no {EXPECTED}{result}", whole=True))
    if faults:
        raise InputError(*faults).at(where=str(path))
    return wanted


def _of_row(
    layout: Layout,
    cells: Sequence[str],
    outcome: AnyAnswer | FludapkError,
    wanted: Sequence[_Wanted],
    where: str,
    origin: str,
) -> Iterator[Checked]:
    """Compare a row with what is expected of it; what was refused says why."""
    name = layout.id_of(cells) or origin
    texts = {column.result: _cell(cells, column.place) for column in wanted}
    computed: Mapping[str, Scalar] = {}
    why = ""
    if isinstance(outcome, FludapkError):
        why = "; ".join(outcome.sentences(layout.name))
    else:
        computed = outcome.row() | {"dose_mg": outcome.course.doses_mg[0]}
    may_be_refused = _yes_or_no(texts.get(REFUSED, ""), where)
    titles = [title.strip().upper() for title in layout.header]
    origin = _cell(cells, titles.index("SOURCE") if "SOURCE" in titles else None) or origin
    source = f"{origin}{'; refused: ' if why else ''}{why}"
    yield _judged(name, REFUSED, may_be_refused, bool(why), None, source)
    expected = [column for column in wanted if texts[column.result] and column.result != REFUSED]
    for column in expected:
        value, most = _expected(layout, cells, column, where)
        yield _judged(name, column.result, value, computed.get(column.result), most, source)
    judged = {column.result for column in expected}
    for result in _RECORDED if computed else ():
        if result not in judged:
            yield _recorded(name, result, computed.get(result), origin)


def _cell(cells: Sequence[str], place: int | None) -> str:
    return cells[place].strip() if place is not None and place < len(cells) else ""


def _yes_or_no(text: str, where: str) -> bool:
    if text and text.lower() not in _YES_OR_NO:
        found = f"{EXPECTED}{REFUSED} = {text!r} is neither yes nor no"
        raise InputError(Fault("cases", found, whole=True, where=where))
    return _YES_OR_NO.get(text.lower(), False)


def _expected(
    layout: Layout, cells: Sequence[str], column: _Wanted, where: str
) -> tuple[Scalar, float | None]:
    """Read an expected value, and its tolerance if it is a number."""
    text = _cell(cells, column.place)
    name = f"{EXPECTED}{column.result}"
    value = _number(text, layout, name)
    if value is None:
        return _YES_OR_NO.get(text.lower(), text) if column.result in _TRUTHS else text, None
    given = _cell(cells, column.tolerance)
    share = given.endswith("%")
    most = _number(given.removesuffix("%").strip(), layout, f"{TOLERANCE}{column.result}")
    if most is None or most < 0:
        found = f"{name} = {text} has no tolerance"
        do = f'write in {TOLERANCE}{column.result} "0.1" (the same unit) or "1 %"'
        raise InputError(Fault("cases", found, do=do, whole=True, where=where))
    return value, most / 100 * abs(value) if share else most


_TRUTHS: Final = ("models_agree", "egfr_capped")


def _number(text: str, layout: Layout, column: str) -> float | None:
    """Read a cell as a number; None if it is none."""
    point = text.replace(",", ".") if layout.decimal_comma else text
    try:
        value, rest = parse_number(point, column)
    except InputError:
        return None
    return None if rest else value


# ------------------------------------------------------------------ comparisons


def _judged(
    name: str, quantity: str, expected: Scalar, computed: Scalar, most: float | None, source: str
) -> Checked:
    """Compare a value with the expected one."""
    if is_number(expected) and is_number(computed) and most is not None:
        assert isinstance(expected, int | float)
        assert isinstance(computed, int | float)
        ok = abs(computed - expected) <= most * (1 + 1e-9)
    else:
        ok = (None if expected == "" else expected) == (None if computed == "" else computed)
    return Checked(
        section="hospital",
        name=name,
        quantity=quantity,
        expected=expected,
        computed=computed,
        allowed=most,
        ok=ok,
        source=source,
    )


def _recorded(name: str, quantity: str, computed: Scalar, source: str) -> Checked:
    """Record a value of which nothing was expected."""
    return Checked(
        section="hospital",
        name=name,
        quantity=quantity,
        expected=None,
        computed=computed,
        allowed=None,
        ok=True,
        source=f"{source}; recorded, nothing was expected",
    )
