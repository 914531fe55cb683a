"""Files: a good one is read, a bad one is refused with all its faults, each with its key path."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from fludapk.errors import ExitStatus, FileError
from fludapk.published.course_files import RegimenFile, TargetFile
from fludapk.published.model_files import ModelFile
from fludapk.published.models import load_model, model_paths
from fludapk.published.population_files import PopulationFile
from fludapk.published.tables import DATA, Table, read_toml

Change = tuple[str, str]
"""A text of the good file, and its replacement in the bad one."""


@pytest.fixture(scope="module")
def good(invented: Path) -> str:
    """A file without faults that uses every table and effect."""
    return (invented / "all_effects.toml").read_text(encoding="utf-8")


def faults_of(path: Path) -> list[str]:
    """The faults of a bad file, without its name."""
    with pytest.raises(FileError) as refused:
        read_toml(path, ModelFile)
    assert refused.value.exit_status is ExitStatus.FILE_REFUSED
    named = [fault for fault in refused.value.sentences() if fault.startswith(f"{path}: ")]
    assert named == list(refused.value.sentences())
    return [fault.removeprefix(f"{path}: ") for fault in named]


def written(folder: Path, text: str, *changes: Change) -> Path:
    """Path of the good file with changes."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "all_effects.toml"
    path.write_text(text, encoding="utf-8")
    return path


# --- Good files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(model_paths()))
def test_every_shipped_model_is_valid(name: str) -> None:
    file = load_model(name).file
    assert file.id == name
    assert file.citation.doi in file.citation.short


def test_the_data_files_are_valid() -> None:
    assert read_toml(DATA / "regimens.toml", RegimenFile).regimens
    assert read_toml(DATA / "targets.toml", TargetFile).targets
    assert read_toml(DATA / "populations.toml", PopulationFile).populations


def test_a_file_with_every_kind_of_effect_is_valid(good: str, tmp_path: Path) -> None:
    file = read_toml(written(tmp_path, good), ModelFile)
    kinds = {e.kind for p in file.parameters.values() for e in p.effects}
    kinds |= {e.kind for p in file.parameters.values() for term in p.terms for e in term.effects}
    assert kinds == {"power", "linear", "exponential", "sigmoid", "category"}


def test_a_whole_number_is_a_number(good: str, tmp_path: Path) -> None:
    file = read_toml(written(tmp_path, good, ("value = 38.0", "value = 38")), ModelFile)
    assert file.theta["V1"].value == 38.0
    assert type(file.theta["V1"].value) is float


@pytest.mark.parametrize(
    ("scale", "value", "variance"),
    [
        ("cv_exact", 0.5, 0.22314355131420976),
        ("cv_approx", 0.5, 0.25),
        ("sd", 0.5, 0.25),
        ("variance", 0.5, 0.5),
    ],
)
def test_the_scale_says_what_a_variability_is(
    scale: str, value: float, variance: float, good: str, tmp_path: Path
) -> None:
    change = ('value = 0.25\nscale = "cv_exact"', f'value = {value}\nscale = "{scale}"')
    file = read_toml(written(tmp_path, good, change), ModelFile)
    assert file.iiv[0].variance == pytest.approx(variance, rel=1e-15)


# --- One fault at a time --------------------------------------------------------------------------

SIGMOID = '{ kind = "sigmoid", covariate = "AGE", x50 = "half", hill = "hill" }'
SECOND_KAPPA_V = """[[iov]]
name = "kappa_V"
value = 0.3
scale = "sd"
on = { V3 = 1.0 }
source = "x"

"""

FAULTS: dict[str, tuple[Change, str]] = {
    "an unknown key": (
        ('title = "an', 'abstract = "none"\ntitle = "an'),
        r"^abstract: .*not permitted",
    ),
    "an unknown key of a theta": (
        ("fixed = true", "fixed = true, colour = 3"),
        r"^theta\.flow\.colour: .*not permitted",
    ),
    "an unknown table": (("[ruv.proportional]", "[ruv.both]"), r"^ruv\.both: .*not permitted"),
    "a theta without source": (
        ('value = 38.0, unit = "L", source = "invented"', 'value = 38.0, unit = "L"'),
        r"^theta\.V1\.source: Field required",
    ),
    "a variability without source": (
        ('on = { V3 = 0.5 }\nsource = "invented"', "on = { V3 = 0.5 }"),
        r"^iiv\[2\]\.source: Field required",
    ),
    "a residual error without source": (
        ('value = 0.1\nsource = "invented"', "value = 0.1"),
        r"^ruv\.proportional\.source: Field required",
    ),
    "a covariate without source": (
        ('levels = ["b_all", "lbcl"], source = "invented"', 'levels = ["b_all", "lbcl"]'),
        r"^covariates\.diagnosis\.source: Field required",
    ),
    "an empty source": (
        ('unit = "years", source = "invented"', 'unit = "years", source = " "'),
        r"^theta\.half\.source: .*at least 1 character",
    ),
    "no citation": (('doi = "10.0000/invented"', ""), r"^citation\.doi: Field required"),
    "a DOI that is none": (("10.0000/invented", "invented"), r"^citation\.doi: .*not 'invented'"),
    "a theta of a term that does not exist": (
        ('theta = "slope"', 'theta = "incline"'),
        r"^parameters\.CL\.terms\[0\]\.theta: 'incline' is not a theta of this file \(CLnr, slope",
    ),
    "a theta of an effect that does not exist": (
        ('exponent = "flow"', 'exponent = "allometry"'),
        r"^parameters\.CL\.effects\[0\]\.exponent: 'allometry' is neither a number nor a theta",
    ),
    "a theta of a factor that does not exist": (
        ('lbcl = "Q3"', 'lbcl = "Q4"'),
        r"^parameters\.Q3\.terms\[0\]\.effects\[0\]\.factors\.lbcl: 'Q4' is neither a number",
    ),
    "an effect of an unknown covariate": (
        ('covariate = "HT"', 'covariate = "height"'),
        r"^parameters\.Q2\.effects\[0\]\.covariate: 'height' is not a covariate of this file \(AGE",
    ),
    "an unknown kind of effect": (
        ('kind = "sigmoid"', 'kind = "emax"'),
        r"^parameters\.CL\.terms\[1\]\.effects\[1\]: .*'emax'.*'power', 'linear'",
    ),
    "a power of a category": (
        (SIGMOID, '{ kind = "power", covariate = "product", ref = 1.0, exponent = 1.0 }'),
        r"^parameters\.CL\.terms\[1\]\.effects\[1\].*product",
    ),
    "a factor for each category of a number": (
        (SIGMOID, '{ kind = "category", covariate = "AGE", factors = { young = 1.0 } }'),
        r"^parameters\.CL\.terms\[1\]\.effects\[1\]: factors",
    ),
    "a category without factor": (
        ('lbcl = "Q3", b_all = 4.0', 'lbcl = "Q3"'),
        r"^parameters\.Q3\.terms\[0\]\.effects\[0\]: factors must name each level once: b_all",
    ),
    "a factor without category": (
        ('lbcl = "Q3", b_all = 4.0', 'lbcl = "Q3", b_all = 4.0, mcl = 2.0'),
        r"^parameters\.Q3\.terms\[0\]\.effects\[0\]: factors must name each level once: b_all",
    ),
    "a category named twice": (
        ('levels = ["axi_cel", "tisa_cel"', 'levels = ["axi_cel", "axi_cel", "tisa_cel"'),
        r"^covariates[.:] ?product.*level",
    ),
    "a wrong unit of a covariate": (
        ('unit = "cm"', 'unit = "inch"'),
        r"^covariates[.:] ?HT.*'cm'.*'inch'",
    ),
    "a wrong unit of a derived covariate": (
        ('unit = "L/h/70kg"', 'unit = "L/h"'),
        r"^covariates[.:] ?GFR.*'L/h/70kg'",
    ),
    "a wrong unit of a clearance": (
        ('[parameters.Q2]\nunit = "L/h"', '[parameters.Q2]\nunit = "mL/min"'),
        r"^parameters\.Q2\.unit: .*'mL/min'",
    ),
    "a wrong unit of a volume": (
        ('[parameters.V1]\nunit = "L"', '[parameters.V1]\nunit = "mL"'),
        r"^parameters\.V1\.unit: .*'mL'",
    ),
    "an unknown covariate": (
        (
            "HT = {",
            'shoe = { unit = "1", range = [1.0, 2.0], limits = [1.0, 2.0], source = "x" }\nHT = {',
        ),
        r"^covariates[.:] ?shoe: neither one of AGE, WT",
    ),
    "a category with a unit": (
        ("product = { levels", 'product = { unit = "1", levels'),
        r"^covariates[.:] ?product.*category",
    ),
    "a range outside the limits": (
        ("range = [45.0, 200.0]", "range = [20.0, 200.0]"),
        r"^covariates[.:] ?HT.*range.*limits",
    ),
    "a range that falls": (
        ("range = [45.0, 200.0]", "range = [200.0, 45.0]"),
        r"^covariates\.HT\.range: .*rise",
    ),
    "no range": (("range = [45.0, 200.0], ", ""), r"^covariates[.:] ?HT.*range.*required"),
    "a cap that goes back": (
        ("[2.0, 150.0]", "[-2.0, 150.0]"),
        r"^covariates\.eGFR\.cap\.knots: .*rise",
    ),
    "an unknown formula": (
        ('formula = "schwartz_bedside"', 'formula = "schwarz"'),
        r"^covariates\.eGFR\.rules\[1\]\.formula: 'schwarz' is not one of: schwartz_bedside",
    ),
    "an unknown derivation": (
        ('derived = "gfr_l_h_per_70kg"', 'derived = "gfr"'),
        r"^covariates\.GFR\.derived: 'gfr' is not one of: .*gfr_l_h_per_70kg",
    ),
    "a value outside its confidence interval": (
        ("value = 38.0", "value = 38.0, ci95 = [40.0, 50.0]"),
        r"^theta\.V1\.ci95: the value 38\.0 is outside \[40\.0, 50\.0\]",
    ),
    "an uncertain fixed value": (
        ("fixed = true", "fixed = true, rse_percent = 3.0"),
        r"^theta\.flow\.fixed: a fixed value",
    ),
    "a correlation between occasions that names nothing": (
        ('"kappa_CL", "kappa_V"', '"kappa_CL", "kappa_Q"'),
        r"^iov_correlations\[0\]\.between\[1\]: 'kappa_Q' is not .* \(kappa_CL, kappa_V\)",
    ),
    "a correlation between patients that names nothing": (
        ('"eta_V3", "eta_CL"', '"eta_Q", "eta_CL"'),
        r"^iiv_correlations\[1\]\.between\[0\]: 'eta_Q' is not ",
    ),
    "a correlation with itself": (
        ('"kappa_CL", "kappa_V"', '"kappa_CL", "kappa_CL"'),
        r"^iov_correlations\[0\]\.between: ",
    ),
    "a correlation given twice": (
        ('"eta_V3", "eta_CL"', '"eta_V", "eta_CL"'),
        r"^iiv_correlations",
    ),
    "a correlation of one": (
        ("value = 0.5\n", "value = 1.0\n"),
        r"^iov_correlations\[0\]\.value: .*less than 1, not 1\.0",
    ),
    "two random effects of one name": (
        ("[[iov_correlations]]", SECOND_KAPPA_V + "[[iov_correlations]]"),
        r"^iov\b.*kappa_V",
    ),
    "a random effect on what is no parameter": (
        ("on = { V3 = 0.5 }", "on = { k13 = 0.5 }"),
        r"^iiv\[2\]\.on\.k13.*: 'k13' is not a parameter of this file \(CL, V1",
    ),
    "an unknown scale": (
        ('scale = "sd"', 'scale = "percent"'),
        r"^iov\[0\]\.scale: .*'cv_exact'.*not 'percent'",
    ),
    "a negative variability": (
        ("value = 0.15", "value = -0.15"),
        r"^iov\[0\]\.value: .*greater than 0, not -0\.15",
    ),
    "two scales of residual error": (
        ("[ruv.proportional]", '[ruv.log]\nvalue = 0.2\nsource = "x"\n[ruv.proportional]'),
        r"^ruv: give either log",
    ),
    "parameters of another number of compartments": (
        ("compartments = 3", "compartments = 2"),
        r"^parameters: 2 compartments need exactly CL, V1, Q2, V2 or CL, V1, k12, k21",
    ),
    "rate constants mixed with flows": (
        ("[parameters.Q3]", "[parameters.k13]"),
        r"^parameters: 3 compartments need exactly CL, V1, Q2, V2, Q3, V3 or CL, V1, k12, k21, k13",
    ),
    "four compartments": (
        ("compartments = 3", "compartments = 4"),
        r"^compartments: .*1, 2 or 3, not 4",
    ),
    "a string where a number belongs": (
        ("value = 38.0", 'value = "38"'),
        r"^theta\.V1\.value: .*valid number, not '38'",
    ),
    "true where a number belongs": (
        ("value = 38.0", "value = true"),
        r"^theta\.V1\.value: .*valid number, not True",
    ),
    "a number where a string belongs": (
        ('printed = "48"', "printed = 48.0"),
        r"^reproduces\[0\]\.printed: .*valid string, not 48\.0",
    ),
    "NaN": (("value = 38.0", "value = nan"), r"^theta\.V1\.value: .*finite number, not nan"),
    "infinity": (
        ("slope = 0.002", "slope = inf"),
        r"^parameters\.V1\.effects\[1\]\.slope: inf is neither a number nor a theta",
    ),
    "a dose factor that is no ratio of masses": (
        ("factor = 0.781", "factor = 0.87"),
        r"^dose\.factor: 0\.87 is neither 1 nor the ratio of the molar masses 0\.7810",
    ),
    "no published number to give back": (("[[reproduces]]", "[[departures]]"), r"^reproduces: "),
    "another format": (
        ("fludapk.model/1", "fludapk.model/2"),
        r"^format: .*'fludapk\.model/1', not 'fludapk\.model/2'",
    ),
    "an id with capitals": (('id = "all', 'id = "All'), r"^id: .*not 'All_effects'"),
}


@pytest.mark.parametrize(("change", "fault"), list(FAULTS.values()), ids=list(FAULTS))
def test_a_file_is_refused_for(change: Change, fault: str, good: str, tmp_path: Path) -> None:
    faults = faults_of(written(tmp_path, good, change))
    assert [text for text in faults if re.search(fault, text)], faults


# --- All faults at once ---------------------------------------------------------------------------


def test_all_faults_of_a_file_are_told_at_once(good: str, tmp_path: Path) -> None:
    chosen = [
        "an unknown key",
        "a theta without source",
        "an empty source",
        "a DOI that is none",
        "a theta of a term that does not exist",
        "an effect of an unknown covariate",
        "a category without factor",
        "a range outside the limits",
        "an uncertain fixed value",
        "a correlation between occasions that names nothing",
        "a random effect on what is no parameter",
        "a negative variability",
        "a number where a string belongs",
        "infinity",
        "a dose factor that is no ratio of masses",
    ]
    faults = faults_of(written(tmp_path, good, *(FAULTS[name][0] for name in chosen)))
    for name in chosen:
        assert [text for text in faults if re.search(FAULTS[name][1], text)], name


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a covariate without source", "a wrong unit of a covariate"),
        ("an unknown formula", "a range outside the limits"),
        ("a range outside the limits", "a wrong unit of a derived covariate"),
        (
            "a theta of a term that does not exist",
            "parameters of another number of compartments",
        ),
    ],
)
def test_one_fault_does_not_hide_another_or_share_its_line(
    first: str, second: str, good: str, tmp_path: Path
) -> None:
    faults = faults_of(written(tmp_path, good, FAULTS[first][0], FAULTS[second][0]))
    assert len(faults) == 2, faults
    for name in (first, second):
        assert [text for text in faults if re.search(FAULTS[name][1], text)], name


# --- Files that cannot be read --------------------------------------------------------------------


def test_what_is_not_toml_is_refused_with_its_place(good: str, tmp_path: Path) -> None:
    broken = {
        "compartments 3": r"line 1, column 14",
        "\n\ntitle =\n": r"line 3",
        good + "[theta]\n": r"theta.* twice",
    }
    for text, place in broken.items():
        (fault,) = faults_of(written(tmp_path, text))
        assert fault.startswith("is not TOML: ")
        assert re.search(place, fault)


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\x89PNG\xff\xfe")
    (fault,) = faults_of(path)
    assert fault.startswith("is not TOML: ")


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        (fault,) = faults_of(path)
        assert fault.startswith("cannot be read: ")


def test_a_file_bears_the_name_of_its_model(good: str, tmp_path: Path) -> None:
    shutil.move(written(tmp_path, good), tmp_path / "renamed.toml")
    with pytest.raises(FileError, match=r"renamed\.toml: id: 'all_effects' must be .*'renamed'"):
        load_model("renamed", [tmp_path])


# --- Tables cannot be changed after reading -------------------------------------------------------


def tables(kind: type[Table] = Table) -> Iterator[type[Table]]:
    """Every class of a table."""
    for child in kind.__subclasses__():
        yield child
        yield from tables(child)


def test_no_table_takes_unknown_keys_or_changes() -> None:
    kinds = list(tables())
    assert ModelFile in kinds
    for kind in kinds:
        assert kind.model_config["extra"] == "forbid"
        assert kind.model_config["frozen"] is True
        assert kind.model_config["strict"] is True


def test_a_number_of_a_paper_cannot_be_changed_after_reading() -> None:
    file = load_model("varela2025").file
    for table, name in ((file.theta["V1"], "value"), (file, "compartments")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(table, name, 1)
    assert file.theta["V1"].value == 41.2
