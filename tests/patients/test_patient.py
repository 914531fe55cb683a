"""A patient: what is typed is checked against what is possible and what is usual at the age."""

import dataclasses
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fludapk.errors import ExitStatus, InputError
from fludapk.patients import fields
from fludapk.patients.patient import Patient
from fludapk.patients.plausible import LIMITS
from fludapk.published.growth import growth_lms
from fludapk.published.models import load_model
from fludapk.published.tables import CATEGORICAL

GIRL: Final[dict[str, Any]] = {
    "age": "5",
    "sex": "female",
    "weight": "18.2",
    "height": "110",
    "scr": "0.3 mg/dL",
}


def typed(**changes: str | None) -> Patient:
    """The girl of 5 years, with some options typed otherwise, or not at all."""
    return Patient(**{**GIRL, **changes})


def patient_or_refusal(**texts: Any) -> Patient | InputError:
    """Any other error is a crash."""
    try:
        return Patient(**texts)
    except InputError as error:
        return error


def faults(**changes: str | None) -> list[str]:
    with pytest.raises(InputError) as refused:
        typed(**changes)
    assert refused.value.exit_status is ExitStatus.INPUT_REFUSED
    return list(refused.value.sentences())


def fault(**changes: str | None) -> str:
    (only,) = faults(**changes)
    return only


# --- What is read ---------------------------------------------------------------------------------


def test_the_girl_is_read_as_typed() -> None:
    girl = typed()
    assert (girl.age_years, girl.weight_kg, girl.height_cm) == (5.0, 18.2, 110.0)
    assert (girl.sex, girl.scr_mg_dl) == ("female", 0.3)
    assert girl.bsa_m2 == pytest.approx((110 * 18.2 / 3600) ** 0.5, rel=1e-15)
    assert girl.conversions() == []
    assert girl.unusual_for_age() == []


def test_a_patient_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        typed().age_years = 6.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "sex"),
    [("female", "female"), ("F", "female"), (" Male ", "male"), ("m", "male"), (None, None)],
)
def test_the_sex_is_read(text: str | None, sex: str | None) -> None:
    assert typed(sex=text).sex == sex


@pytest.mark.parametrize(
    ("option", "text", "field", "expected"),
    [
        ("age", "66 mo", "age_years", 5.5),
        ("age", "260 weeks", "age_years", 260 * 7 / 365.25),
        ("weight", "40 lb", "weight_kg", 18.1436948),
        ("weight", "18200 g", "weight_kg", 18.2),
        ("height", "1.10 m", "height_cm", 110.0),
        ("height", "43 in", "height_cm", 109.22),
        ("scr", "26.52 umol/L", "scr_mg_dl", 0.3),
        ("scr", "26.52 µmol/l", "scr_mg_dl", 0.3),
    ],
)
def test_a_typed_unit_is_converted_and_the_conversion_is_said(
    option: str, text: str, field: str, expected: float
) -> None:
    patient = typed(**{option: text})
    assert getattr(patient, field) == pytest.approx(expected, rel=1e-9)
    (said,) = patient.conversions()
    assert said.startswith({"scr": "creatinine"}.get(option, option))
    assert said.endswith({"age": "years", "weight": "kg", "height": "cm", "scr": "mg/dL"}[option])


def test_the_unit_it_has_anyway_is_no_conversion() -> None:
    assert typed(age="5 y", weight="18.2 kg", height="110 cm").conversions() == []


@pytest.mark.parametrize(
    ("option", "text", "field", "expected"),
    [
        ("egfr", "110", "egfr_ml_min_1_73m2", 110.0),
        ("egfr", "110 mL/min/1.73m²", "egfr_ml_min_1_73m2", 110.0),
        ("crcl", "96", "crcl_ml_min", 96.0),
        ("crcl", "1.6 mL/s", "crcl_ml_min", 96.0),
    ],
)
def test_another_renal_function_may_be_given(
    option: str, text: str, field: str, expected: float
) -> None:
    patient = typed(scr=None, **{option: text})
    assert getattr(patient, field) == pytest.approx(expected, rel=1e-12)
    assert patient.scr_mg_dl is None


# --- Faults of typing -----------------------------------------------------------------------------


def test_a_creatinine_without_a_unit_is_refused() -> None:
    assert fault(scr="0.3") == (
        """scr_mg_dl = '0.3' has no unit: write for example "0.3 mg/dL" or "0.3 umol/L\""""
    )


@pytest.mark.parametrize(
    ("changes", "found", "suggestion"),
    [
        (
            {"scr": "0.9 umol/L"},
            "scr_mg_dl = 0.9 umol/L is below 5",
            "0.9 mg/dL would be 79.56 umol/L",
        ),
        (
            {"scr": "80 mg/dL"},
            "scr_mg_dl = 80 mg/dL is above 22.6",
            "80 umol/L would be 0.905 mg/dL",
        ),
        ({"height": "1.10"}, "height_cm = 1.1 cm is below 30", "1.1 m would be 110 cm"),
        ({"height": "1100"}, "height_cm = 1100 cm is above 250", "1100 mm would be 110 cm"),
        ({"height": "43"}, "height_cm = 43 cm is unusual at 5 y", "43 in would be 109.2 cm"),
        ({"weight": "40"}, "weight_kg = 40 kg is unusual at 5 y", "40 lb would be 18.14 kg"),
        ({"weight": "18200"}, "weight_kg = 18200 kg is above 300", "18200 g would be 18.2 kg"),
    ],
)
def test_a_number_that_fits_another_unit_is_refused_with_that_unit(
    changes: dict[str, str], found: str, suggestion: str
) -> None:
    said = fault(**changes)
    assert said.startswith(found)
    assert suggestion in said


@pytest.mark.parametrize(
    "changes", [{"weight": "40 kg"}, {"weight": "45 kg"}, {"height": "92 cm"}, {"height": "123 cm"}]
)
def test_an_unusual_number_with_its_unit_is_believed_and_noted(changes: dict[str, str]) -> None:
    (option,) = changes
    (note,) = typed(**changes).unusual_for_age()
    assert note.startswith(option)
    assert "SD for age" in note


@pytest.mark.parametrize(("weight", "height"), [("18", "110"), ("16", "104"), ("24", "118")])
def test_usual_sizes_need_no_unit(weight: str, height: str) -> None:
    assert typed(weight=weight, height=height).unusual_for_age() == []


def test_above_20_years_no_size_is_unusual() -> None:
    assert typed(age="40", weight="150 kg", height="160").unusual_for_age() == []


@pytest.mark.parametrize("year", ["1985", "2019", "2019 years"])
def test_a_year_of_birth_is_not_an_age(year: str) -> None:
    assert "looks like a year of birth" in fault(age=year)


@pytest.mark.parametrize("number", ["0", "-5", "\N{MINUS SIGN}5"])
@pytest.mark.parametrize("option", ["age", "weight", "height", "egfr", "crcl"])
def test_numbers_must_be_above_zero(option: str, number: str) -> None:
    assert "must be above zero" in fault(**{"scr": None, option: number})


@pytest.mark.parametrize("option", ["age", "weight", "height", "egfr", "crcl"])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nan", "not a finite number"),
        ("inf", "not a finite number"),
        ("-inf", "not a finite number"),
        ("1e999", "not a finite number"),
        ("five", "not a number"),
        ("1,234", "thousands separator"),
        ("18,25", "decimal comma"),
        ("12 parsecs", "unknown unit 'parsecs'"),
    ],
)
def test_what_is_not_a_number_is_refused(option: str, text: str, why: str) -> None:
    said = fault(**{"scr": None, option: text})
    assert said.startswith(option)
    assert why in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"egfr": "90 mL/min"}, "a creatinine clearance in mL/min goes to crcl_ml_min"),
        ({"crcl": "90 mL/min/1.73 m2"}, "an eGFR in mL/min/1.73 m2 goes to egfr_ml_min_1_73m2"),
        ({"crcl": "90 mL/min/1.73m²"}, "an eGFR in mL/min/1.73 m2 goes to egfr_ml_min_1_73m2"),
    ],
)
def test_the_unit_of_the_other_renal_function_points_to_its_option(
    changes: dict[str, str], said: str
) -> None:
    assert said in fault(scr=None, **changes)


@pytest.mark.parametrize("option", ["age", "weight", "height"])
@pytest.mark.parametrize("nothing", [None, ""])
def test_what_is_missing_is_asked_for(option: str, nothing: str | None) -> None:
    with pytest.raises(InputError) as refused:
        typed(**{option: nothing})
    (missing,) = refused.value.faults
    assert missing.text(fields.request_name).startswith(f"{option} is missing")
    assert f"--{option}" in missing.text(fields.option)


def test_two_renal_functions_at_once_are_refused() -> None:
    assert "give one renal function only" in fault(egfr="110")
    assert "scr_mg_dl and egfr_ml_min_1_73m2 and crcl_ml_min" in fault(egfr="110", crcl="96")


@pytest.mark.parametrize("sex", ["woman", "x", ""])
def test_an_unknown_sex_is_refused(sex: str) -> None:
    assert fault(sex=sex) == f"sex = {sex!r}: write female or male"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bsa_formula": "mostelar"}, "did you mean 'mosteller'?"),
        ({"bsa_formula": "ckd_epi_2021"}, "is unknown"),
        ({"egfr_formula": "schwartz"}, "did you mean 'schwartz_bedside'?"),
        ({"egfr_formula": "mosteller"}, "is unknown"),
        ({"egfr_formula": "mdrd"}, "is for 18 to 70 y; age_years is 5 y"),
        ({"egfr_formula": "cockcroft_gault"}, "is for 18 to 92 y; age_years is 5 y"),
        ({"bsa_formula": "du_bois"}, "is for 18 to 120 y; age_years is 5 y"),
        ({"scr": None, "egfr": "110", "egfr_formula": "ckid_u25"}, "only with scr"),
    ],
)
def test_a_formula_must_exist_and_be_for_the_age(changes: dict[str, str], said: str) -> None:
    assert said in fault(**changes)


def test_all_faults_of_typing_are_listed_at_once() -> None:
    said = faults(age="five", weight="18,2", height="nan", scr="0.3", sex="x")
    assert [line.split()[0] for line in said] == [
        "age_years",
        "weight_kg",
        "height_cm",
        "scr_mg_dl",
        "sex",
    ]


def test_all_impossible_values_are_listed_at_once() -> None:
    said = faults(age="-5", weight="0", height="300", scr="99 mg/dL")
    assert [line.split()[0] for line in said] == [
        "age_years",
        "weight_kg",
        "height_cm",
        "scr_mg_dl",
    ]


# --- Limits ---------------------------------------------------------------------------------------

EVERYTHING: Final = ("age", "weight", "height", "scr", "egfr", "crcl")
FIELDS: Final = {
    "age_years": "age",
    "weight_kg": "weight",
    "height_cm": "height",
    "scr_mg_dl": "creatinine",
    "egfr_ml_min_1_73m2": "eGFR",
    "crcl_ml_min": "CrCl",
}


def with_value(field: str, number: float) -> Patient:
    """A patient of the library, who has no typed units, with this value."""
    known: dict[str, Any] = {"age_years": 30.0, "weight_kg": 70.0, "height_cm": 175.0}
    return Patient(**{**known, field: number}, confirm=EVERYTHING)


@pytest.mark.parametrize(("field", "dimension"), FIELDS.items())
def test_the_limits_are_possible_and_beyond_them_nothing_is(field: str, dimension: str) -> None:
    low, high = LIMITS[dimension]
    for possible in (low, high):
        assert getattr(with_value(field, possible), field) == possible
    for impossible in (0.99 * low, 1.01 * high, np.nan, np.inf, -np.inf, 0.0, -low):
        with pytest.raises(InputError):
            with_value(field, impossible)


def test_the_library_takes_no_unknown_sex() -> None:
    with pytest.raises(InputError, match="write female or male"):
        Patient(age_years=5, weight_kg=18, height_cm=110, sex="girl")


# --- Growth reference -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dimension", "sex", "age", "median"),
    [
        ("height", "female", 5.0, 107.7),
        ("height", "male", 20.0, 176.8),
        ("weight", "female", 0.0, 3.4),
        ("weight", "male", 10.0, 32.0),
        ("weight", "female", 20.0, 58.2),
    ],
)
def test_medians_of_the_growth_reference(
    dimension: str, sex: str, age: float, median: float
) -> None:
    assert growth_lms(dimension, sex, age)[1] == pytest.approx(median, abs=0.15)


def test_adults_have_the_growth_reference_of_20_years() -> None:
    assert growth_lms("height", "male", 70.0) == growth_lms("height", "male", 20.0)


# --- Columns --------------------------------------------------------------------------------------


def test_columns_hold_what_is_known_and_nan_for_the_rest() -> None:
    columns = typed().columns(load_model("langenhorst2019"))
    known = {name: column[0] for name, column in columns.items() if np.isfinite(column[0])}
    assert known == {
        "AGE": 5.0,
        "SEX": 1.0,
        "WT": 18.2,
        "HT": 110.0,
        "BSA": pytest.approx(0.7457, abs=5e-5),
        "SCR": 0.3,
    }
    assert set(columns) == {*known, "eGFR", "CrCl", "GA", *CATEGORICAL}


@pytest.mark.parametrize(
    ("own", "of_the_regimen", "level"),
    [("axi_cel", "tisa_cel", 0.0), (None, "tisa_cel", 1.0), (None, "obe_cel", np.nan)],
)
def test_what_the_patient_states_comes_before_the_regimen(
    own: str | None, of_the_regimen: str, level: float
) -> None:
    columns = typed(product=own).columns(load_model("varela2025"), product=of_the_regimen)
    np.testing.assert_equal(columns["product"], [level])


# --- Any text -------------------------------------------------------------------------------------

ANY_TEXT: Final = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.sampled_from(["5", "8 mo", "18.2", "110", "1.1 m", "0.3 mg/dL", "90", "-1", "1e308", "m"]),
    st.floats().map(repr),
    st.builds("{} {}".format, st.floats(0, 1e4), st.sampled_from(["kg", "cm", "mg/dL", "y", "in"])),
)


@settings(max_examples=400, deadline=None)
@given(
    st.fixed_dictionaries(
        dict.fromkeys(
            (
                *("age", "weight", "height", "sex", "scr", "egfr", "crcl"),
                *("product", "diagnosis", "genotype", "egfr_formula"),
            ),
            ANY_TEXT,
        )
    ),
    st.one_of(st.text(max_size=12), st.sampled_from(["mosteller", "haycock", "du_bois"])),
)
def test_any_text_is_a_possible_patient_or_refused(texts: dict[str, Any], bsa: str) -> None:
    patient = patient_or_refusal(**texts, bsa_formula=bsa)
    if isinstance(patient, InputError):
        assert patient.faults
        assert all(line.strip() for line in patient.sentences())
    else:
        assert LIMITS["age"][0] <= patient.age_years <= LIMITS["age"][1]
        assert LIMITS["weight"][0] <= patient.weight_kg <= LIMITS["weight"][1]
        assert LIMITS["height"][0] <= patient.height_cm <= LIMITS["height"][1]
        assert np.isfinite(patient.bsa_m2)


@settings(max_examples=200, deadline=None)
@given(
    age=st.floats(*LIMITS["age"]),
    weight=st.floats(*LIMITS["weight"]),
    height=st.floats(*LIMITS["height"]),
    scr=st.floats(0.06, 22.0),
    sex=st.sampled_from(["female", "male", None]),
)
def test_confirmed_all_possible_values_are_believed(
    age: float, weight: float, height: float, scr: float, sex: str | None
) -> None:
    patient = Patient(
        age=f"{age!r} years",
        weight=f"{weight!r} kg",
        height=f"{height!r} cm",
        scr=f"{scr!r} mg/dL",
        sex=sex,
        confirm=EVERYTHING,
    )
    assert patient.weight_kg == pytest.approx(weight, rel=1e-11)
    assert patient.scr_mg_dl == pytest.approx(scr, rel=1e-11)
