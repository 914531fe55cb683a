"""Units: what is typed is read exactly, or refused with a sentence that says what to write."""

import math
from collections.abc import Callable
from typing import Final, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.errors import InputError
from fludapk.units import (
    MG_PER_ML,
    MOLAR_MASS_F_ARA_A,
    MOLAR_MASS_PHOSPHATE,
    UNITS,
    canonical_unit,
    other_readings,
    parse_number,
    parse_quantity,
)

T = TypeVar("T")
EVERY_UNIT: Final = [(dimension, unit) for dimension, units in UNITS.items() for unit in units]


def value(text: str, dimension: str, bare: str | None = None) -> float:
    return parse_quantity(text, dimension=dimension, field="x", unit=bare).value


def tried(read: Callable[[], T]) -> T | InputError:
    """What was read, or why it was refused; any other error is a crash."""
    try:
        return read()
    except InputError as error:
        return error


def refusal(text: str, dimension: str = "weight", bare: str | None = "kg") -> str:
    with pytest.raises(InputError) as refused:
        parse_quantity(text, dimension=dimension, field="x", unit=bare)
    (fault,) = refused.value.sentences()
    assert "\n" not in fault
    return fault


# --- The table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "dimension", "expected"),
    [
        ("26.52 umol/L", "creatinine", 0.3),
        ("88.4 umol/L", "creatinine", 1.0),
        ("0.3 mg/dL", "creatinine", 0.3),
        ("1.10 m", "height", 110.0),
        ("43 in", "height", 109.22),
        ("1100 mm", "height", 110.0),
        ("3.5 ft", "height", 106.68),
        ("40 lb", "weight", 18.1436948),
        ("8100 g", "weight", 8.1),
        ("8 mo", "age", 2 / 3),
        ("26 weeks", "age", 26 * 7 / 365.25),
        ("10 d", "age", 10 / 365.25),
        ("30 min", "time", 0.5),
        ("5 days", "time", 120.0),
        ("1.5 mL/s", "CrCl", 90.0),
        ("6 L/h", "CrCl", 100.0),
        ("1 umol/L", "concentration", 0.28523),
        ("250 ng/mL", "concentration", 0.25),
    ],
)
def test_a_quantity_becomes_the_internal_unit(text: str, dimension: str, expected: float) -> None:
    assert value(text, dimension) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("dimension", "unit"), EVERY_UNIT)
def test_every_unit_of_the_table_can_be_typed(dimension: str, unit: str) -> None:
    quantity = parse_quantity(f"2.5 {unit}", dimension=dimension, field="x", unit=None)
    assert quantity.unit == unit
    assert quantity.given == 2.5
    assert quantity.value == pytest.approx(2.5 * UNITS[dimension][unit], rel=1e-11)
    assert not quantity.bare


@pytest.mark.parametrize("dimension", UNITS)
def test_the_first_unit_of_a_dimension_is_the_internal_one(dimension: str) -> None:
    assert next(iter(UNITS[dimension].values())) == 1.0


def test_the_molar_masses_are_in_the_ratio_of_phosphate_and_nucleoside() -> None:
    ratio = MOLAR_MASS_F_ARA_A / MOLAR_MASS_PHOSPHATE
    assert ratio == pytest.approx(0.7810, abs=5e-5)


def test_one_milligram_per_litre_is_3_506_micromolar() -> None:
    assert 1.0 / UNITS["concentration"]["umol/L"] == pytest.approx(3.506, abs=5e-4)


def test_a_vial_holds_25_mg_per_ml() -> None:
    assert MG_PER_ML == 25.0


# --- Spellings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "dimension", "unit"),
    [
        ("\N{MICRO SIGN}mol/L", "creatinine", "umol/L"),
        ("\N{GREEK SMALL LETTER MU}mol/L", "creatinine", "umol/L"),
        ("UMOL/L", "creatinine", "umol/L"),
        ("umol / l", "creatinine", "umol/L"),
        ("mg per dL", "creatinine", "mg/dL"),
        ("MG/DL", "creatinine", "mg/dL"),
        ("mL/min/1.73 m²", "eGFR", "mL/min/1.73 m2"),
        ("mL/min/1.73m2", "eGFR", "mL/min/1.73 m2"),
        ("ml/min/1.73  m^2", "eGFR", "mL/min/1.73 m2"),
        ("ml per min", "CrCl", "mL/min"),
        ("mg/m²", "dose", "mg/m2"),
        ("mg/m^2", "dose", "mg/m2"),
        ("mg per kg", "dose", "mg/kg"),
        ("y", "age", "years"),
        ("yr", "age", "years"),
        ("months", "age", "months"),
        ("mo", "age", "months"),
        ("wk", "age", "weeks"),
        ("day", "age", "days"),
        ("lbs", "weight", "lb"),
        ("kgs", "weight", "kg"),
        ("inches", "height", "in"),
        ('"', "height", "in"),
        ("feet", "height", "ft"),
        ("hours", "time", "h"),
        ("minutes", "time", "min"),
        ("mcg/mL", "concentration", "ug/mL"),
        ("\N{MICRO SIGN}M", "concentration", "umol/L"),
    ],
)
def test_a_spelling_means_a_unit(text: str, dimension: str, unit: str) -> None:
    assert canonical_unit(text, dimension) == unit


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("mmol/L", "creatinine"),
        ("mg/L", "creatinine"),
        ("mg", "creatinine"),
        ("stone", "weight"),
        ("cm", "weight"),
        ("kg", "height"),
        ("mL/min", "eGFR"),
        ("mL/min/1.73 m2", "CrCl"),
        ("g/m2", "dose"),
        ("ug/kg", "dose"),
        ("", "dose"),
    ],
)
def test_a_unit_of_something_else_is_not_guessed(text: str, dimension: str) -> None:
    assert canonical_unit(text, dimension) is None


def test_an_unknown_unit_is_refused_with_those_that_are_known() -> None:
    assert refusal("12 stone") == "x = '12 stone': unknown unit 'stone'; allowed: kg, g, lb"


def test_a_mandatory_unit_is_asked_for_with_examples() -> None:
    said = refusal("0.3", "creatinine", None)
    assert "no unit" in said
    assert '"0.3 mg/dL"' in said
    assert '"0.3 umol/L"' in said


def test_a_bare_number_takes_the_default_unit_and_remembers_it() -> None:
    quantity = parse_quantity("110", dimension="height", field="height", unit="cm")
    assert (quantity.value, quantity.unit, quantity.bare) == (110.0, "cm", True)


def test_a_number_need_not_be_text() -> None:
    assert parse_quantity(18.2, dimension="weight", field="weight", unit="kg").value == 18.2


# --- Numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number", "rest"),
    [
        ("0.3 mg/dL", 0.3, "mg/dL"),
        ("8mo", 8.0, "mo"),
        (".5 h", 0.5, "h"),
        ("5.", 5.0, ""),
        ("+5", 5.0, ""),
        ("-5", -5.0, ""),
        ("\N{MINUS SIGN}5", -5.0, ""),
        ("  7  kg ", 7.0, "kg"),
        ("1.5e2cm", 150.0, "cm"),
        ("43 in", 43.0, "in"),
    ],
)
def test_a_number_is_split_from_what_follows(text: str, number: float, rest: str) -> None:
    assert parse_number(text, "x") == (number, rest)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a number"),
        ("  ", "not a number"),
        ("five", "not a number"),
        ("kg", "not a number"),
        ("-", "not a number"),
        (".", "not a number"),
        ("e5", "not a number"),
        ("1.2.3", "not a number"),
        ("nan", "not a finite number"),
        ("NaN kg", "not a finite number"),
        ("inf", "not a finite number"),
        ("-Infinity", "not a finite number"),
        ("1e999", "not a finite number"),
        ("1,234", "thousands separator"),
        ("1,234.5 kg", "thousands separator"),
        ("1,234,567", "thousands separator"),
        ("18,2", "decimal comma: write '18.2'"),
        (",5", "decimal comma: write '.5'"),
        ("0,30 mg/dL", "decimal comma: write '0.30 mg/dL'"),
    ],
)
def test_what_is_not_a_plain_number_is_refused(text: str, why: str) -> None:
    with pytest.raises(InputError, match=r"^x = ") as refused:
        parse_number(text, "x")
    assert why in str(refused.value)


@pytest.mark.parametrize("text", ["1 000", "1'000", "1_000", "0x10", "5 6", "2019-05-01"])
def test_what_follows_a_number_must_be_a_unit(text: str) -> None:
    assert refusal(text).startswith(f"x = {text!r}")


@pytest.mark.parametrize("unit", UNITS["weight"])
def test_a_thousands_separator_is_refused_with_any_unit(unit: str) -> None:
    assert "1234" in refusal(f"1,234 {unit}")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read_as_it_was_written(number: float) -> None:
    assert parse_number(repr(number), "x") == (number, "")
    assert parse_number(f"{number!r} kg", "x") == (number, "kg")


@given(st.floats(1e-6, 1e9), st.sampled_from(EVERY_UNIT))
def test_a_quantity_is_its_number_times_its_unit(number: float, which: tuple[str, str]) -> None:
    dimension, unit = which
    quantity = parse_quantity(f"{number!r}{unit}", dimension=dimension, field="x", unit=None)
    assert quantity.given == number
    assert quantity.value == pytest.approx(number * UNITS[dimension][unit], rel=1e-11)


@given(st.text())
def test_any_text_is_a_finite_number_or_refused_by_name(text: str) -> None:
    found = tried(lambda: parse_number(text, "dose")[0])
    if isinstance(found, InputError):
        assert str(found).startswith("dose = ")
    else:
        assert math.isfinite(found)


SNIPPETS: Final = st.sampled_from(
    ["1", "0", ".", ",", "-", "e", "5", " ", "kg", "m", "/", "µ", "²"]
)


@settings(max_examples=300)
@given(
    st.one_of(st.text(), st.lists(SNIPPETS, max_size=8).map("".join)),
    st.sampled_from(list(UNITS)),
    st.booleans(),
)
def test_any_text_is_a_quantity_or_refused(text: str, dimension: str, mandatory: bool) -> None:
    bare = None if mandatory else next(iter(UNITS[dimension]))
    found = tried(lambda: parse_quantity(text, dimension=dimension, field="x", unit=bare))
    if isinstance(found, InputError):
        assert len(found.faults) == 1
    else:
        assert found.unit in UNITS[dimension]
        assert math.isfinite(found.given)


# --- The other unit -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "dimension", "unit", "low", "high", "others"),
    [
        (1.10, "height", "cm", 80, 130, ["m"]),
        (43.0, "height", "cm", 80, 130, ["in"]),
        (40.0, "weight", "kg", 8, 36, ["lb"]),
        (0.9, "creatinine", "umol/L", 0.06, 22.0, ["mg/dL"]),
        (80.0, "creatinine", "mg/dL", 0.06, 22.0, ["umol/L"]),
        (7.0, "height", "cm", 80, 130, []),
    ],
)
def test_the_unit_that_was_meant_is_found(
    number: float, dimension: str, unit: str, low: float, high: float, others: list[str]
) -> None:
    found = other_readings(number, dimension=dimension, unit=unit, low=low, high=high)
    assert [name for name, _ in found] == others
    assert all(low <= internal <= high for _, internal in found)
