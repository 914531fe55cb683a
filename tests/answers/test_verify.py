"""Published numbers are given back, and a wrong one is found out."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from fludapk.answers.verify import ODE_TOLERANCE, Verified, verify
from fludapk.errors import FileError
from fludapk.published.models import load_model, model_paths

SHIPPED = next(iter(model_paths().values())).parent


@pytest.fixture(scope="module")
def everything() -> Sequence[Verified]:
    """Every shipped number, re-computed once."""
    return verify()


def doctored(folder: Path, *changes: tuple[str, str], model: str = "varela2025") -> list[Path]:
    """Folders of models with a doctored copy in front of the shipped ones."""
    text = model_paths()[model].read_text(encoding="utf-8")
    for old, new in ((f'id = "{model}"', 'id = "doctored"'), *changes):
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "doctored.toml").write_text(text, encoding="utf-8")
    return [folder, SHIPPED]


def missed(folders: list[Path]) -> list[str]:
    """What the doctored copy does not give back."""
    return [row.what for row in verify(["doctored"], folders) if not row.ok]


# --- What is shipped ------------------------------------------------------------------------------


def test_every_published_number_is_given_back(everything: Sequence[Verified]) -> None:
    assert [row for row in everything if not row.ok] == []


@pytest.mark.parametrize("name", model_paths())
def test_every_row_of_a_model_is_verified_and_its_kernel_too(
    name: str, everything: Sequence[Verified]
) -> None:
    rows = [row for row in everything if row.model == name]
    assert [(row.what, row.printed, row.unit) for row in rows[:-1]] == [
        (row.what, row.printed, row.unit) for row in load_model(name).file.reproduces
    ]
    assert "solve_ivp" in rows[-1].what
    assert rows[-1].computed < ODE_TOLERANCE


@pytest.mark.parametrize(
    ("model", "what", "printed", "computed"),
    [
        ("varela2025", "typical CL, axi-cel", "6.1", 4.4 + 1.7),
        ("varela2025", "typical CL, tisa-cel", "5.6", 3.9 + 1.7),
        ("mohanan2017", "CL per m2, aplastic anaemia, GG", "7.12", 7.12),
        ("mohanan2017", "CL per m2, aplastic anaemia, carrier", "5.03", 5.03),
        ("mohanan2017", "CL per m2, Fanconi anaemia, GG", "2.90", 2.90),
        ("mohanan2017", "CL per m2, Fanconi anaemia, carrier", "2.05", 5.03 * 2.90 / 7.12),
    ],
)
def test_a_typical_value_is_the_printed_one(
    model: str, what: str, printed: str, computed: float, everything: Sequence[Verified]
) -> None:
    (row,) = [row for row in everything if row.model == model and row.what.startswith(what)]
    assert row.printed == printed
    assert row.computed == pytest.approx(computed, rel=1e-5)
    assert row.allowed == pytest.approx(0.5 * 10.0 ** -len(printed.split(".")[1]))


@pytest.mark.parametrize(
    ("what", "printed", "low", "high"),
    [("adults", "26", 26.0, 27.0), ("children", "21", 20.7, 21.6)],
)
def test_the_population_medians_of_the_default_model(
    what: str, printed: str, low: float, high: float, everything: Sequence[Verified]
) -> None:
    (row,) = [r for r in everything if r.model == "langenhorst2019" and f"of {what}" in r.what]
    assert row.printed == printed
    assert low <= row.computed <= high


def test_the_other_reading_does_not_claim_the_median_of_the_children(
    everything: Sequence[Verified],
) -> None:
    said = [row.what for row in everything if row.model == "langenhorst2019_indexed"]
    assert not any("children" in what for what in said)


def test_only_the_named_models_are_verified() -> None:
    rows = verify(["mohanan2017", "varela2025"])
    assert {row.model for row in rows} == {"mohanan2017", "varela2025"}


def test_verifying_twice_gives_the_same_numbers() -> None:
    assert verify(["varela2025"]) == verify(["varela2025"])


# --- What is doctored -----------------------------------------------------------------------------


def test_an_honest_copy_is_given_back(tmp_path: Path) -> None:
    assert missed(doctored(tmp_path)) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (('printed = "6.1"', 'printed = "6.2"'), "axi-cel"),
        (('printed = "5.6"', 'printed = "5.7"'), "tisa-cel"),
        (("value = 4.4,", "value = 4.5,"), "axi-cel"),
        (("ref = 96.0", "ref = 90.0"), "axi-cel tisa-cel"),
    ],
)
def test_a_number_that_is_not_given_back_is_found_out(
    change: tuple[str, str], what: str, tmp_path: Path
) -> None:
    found = missed(doctored(tmp_path, change))
    assert [name.split(", ")[1] for name in found] == what.split()


def test_a_population_median_that_is_not_given_back_is_found_out(tmp_path: Path) -> None:
    folders = doctored(tmp_path, ('printed = "21"', 'printed = "28"'), model="langenhorst2019")
    assert missed(folders) == ["median AUC0-inf of children at 160 mg/m2"]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (('regimen = "hct_160"', 'regimen = "hct_161"'), "no regimen 'hct_161'"),
        (
            ('population = "langenhorst2019_adults"', 'population = "nobody"'),
            "no population 'nobody'",
        ),
    ],
)
def test_a_row_about_an_unknown_course_or_population_is_refused(
    change: tuple[str, str], part: str, tmp_path: Path
) -> None:
    folders = doctored(tmp_path, change, model="langenhorst2019")
    with pytest.raises(FileError, match=r"doctored\.toml: reproduces") as refused:
        verify(["doctored"], folders)
    assert part in str(refused.value)


def test_a_number_at_the_edge_of_its_digits_is_given_back() -> None:
    edge = Verified("m", "w", "6.1", 6.15, "L/h", 0.05, "s")
    beyond = Verified("m", "w", "6.1", 6.151, "L/h", 0.05, "s")
    assert (edge.ok, beyond.ok) == (True, False)


def test_a_number_that_is_not_a_number_is_not_given_back() -> None:
    assert not Verified("m", "w", "6.1", float("nan"), "L/h", 0.05, "s").ok
