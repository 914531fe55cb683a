"""A file of the user never passes for a published model."""

from pathlib import Path

import pytest
from asking import ask
from click.testing import CliRunner

from fludapk import check, find_dose, models, simulate, update
from fludapk.cli import main
from fludapk.errors import FileError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.published.models import load_model, load_models, model_folders
from fludapk.web.app import create_app

GIRL = ["--age", "5", "--sex", "female", "--weight", "18.2", "--height", "110", "--scr",
        "0.3 mg/dL", "--regimen", "tisa_cel_ball"]  # fmt: skip
PATIENT = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3)
PLAN = Regimen.named("tisa_cel_ball")
WARNING = "NOT the shipped langenhorst2019 (sha "
SCENARIO = {
    "title": "t", "seed": 1, "patients": 50, "models": ["langenhorst2019"],
    "population": {"use": "prwcc_ball"},
    "strategies": [{"id": "a", "kind": "fixed", "regimen": "tisa_cel_ball"}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with another model under the name of the default one: half its clearance."""
    text = load_model().path.read_text("utf-8")
    assert "value = 3.24" in text
    (tmp_path / "langenhorst2019.toml").write_text(text.replace("value = 3.24", "value = 1.62"))
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(words))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["check", *GIRL],
        ["dose", *GIRL, "--auc", "15"],
        ["update", *GIRL, "--level", "2h 0.6mg/L"],
        ["update", *GIRL, "--design"],
        ["nomogram", "--regimen", "tisa_cel_ball", "--weights", "10", "20", "10"],
        ["compare", *GIRL[:-2], "--plan", "tisa_cel_ball", "--plan", "tisa_cel_ball auc 15"],
        ["models", "export", "langenhorst2019", "--to", "nonmem"],
        ["models", "list"],
        ["models", "show", "langenhorst2019"],
        ["verify"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_file_with_the_name_of_a_shipped_model_is_refused(folder: Path, words: list[str]) -> None:
    status, output, said = run(*words, "--models-dir", str(folder))
    assert (status, output) == (4, "")
    assert "has the name of the shipped model langenhorst2019" in said
    assert "--allow-override" in said


def test_the_environment_does_not_replace_a_shipped_model_either(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLUDAPK_MODELS", str(folder))
    with pytest.raises(FileError, match="shipped model"):
        check(PATIENT, PLAN)
    for given in (None, [folder], [folder, load_model.__globals__["_shipped"]()]):
        with pytest.raises(FileError, match="shipped model"):
            load_models(given)


def test_a_plain_copy_of_a_shipped_model_is_that_model(tmp_path: Path) -> None:
    (tmp_path / "varela2025.toml").write_bytes(load_model("varela2025").path.read_bytes())
    model = load_model("varela2025", model_folders(tmp_path))
    assert model.path.parent == tmp_path
    assert model.not_shipped == ""


@pytest.mark.parametrize(
    "words",
    [
        ["check", *GIRL],
        ["check", *GIRL, "--json"],
        ["check", *GIRL, "--brief"],
        ["dose", *GIRL, "--auc", "15"],
        ["update", *GIRL, "--level", "2h 0.6mg/L"],
        ["update", *GIRL, "--design"],
        ["nomogram", "--regimen", "tisa_cel_ball", "--weights", "10", "20", "10", "--json"],
        ["compare", *GIRL[:-2], "--plan", "tisa_cel_ball", "--plan", "tisa_cel_ball auc 15"],
        ["models", "export", "langenhorst2019", "--to", "nonmem"],
        ["models", "list"],
        ["models", "show", "langenhorst2019"],
    ],
    ids=lambda words: " ".join([*words[:1], *words[-1:]]),
)
def test_every_answer_says_that_its_model_is_not_the_shipped_one(
    folder: Path, words: list[str]
) -> None:
    status, output, said = run(*words, "--models-dir", str(folder), "--allow-override")
    assert status == 0
    assert WARNING in output
    assert said.startswith(f"fludapk: {WARNING}")


def test_the_warning_stands_before_everything_else(folder: Path) -> None:
    folders = model_folders(folder, allow_override=True)
    checked = check(PATIENT, PLAN, folders=folders)
    assert checked.headline.sentence.startswith(WARNING)
    assert checked.remarks[0].code == "not_the_shipped_model"
    assert WARNING in checked.to_html()
    page = str(checked)
    assert page.index(WARNING) < page.index("AUC0-inf")
    for answer in (
        find_dose(PATIENT, PLAN, auc=15, folders=folders),
        update(PATIENT, PLAN, ["2h 0.6mg/L"], folders=folders),
    ):
        assert WARNING in str(answer)
        assert "not_the_shipped_model" in {remark.code for remark in answer.remarks}
    assert str(models(folders)).count(WARNING) == 1
    assert str(simulate(SCENARIO, folders=folders)).startswith(WARNING)


def test_another_model_that_is_compared_is_not_taken_for_the_shipped_one(folder: Path) -> None:
    """The chance is computed by the model that the target was found with."""
    folders = model_folders(folder, allow_override=True)
    checked = check(PATIENT, PLAN, model="langenhorst2019_indexed", folders=folders)
    assert checked.headline.model == "langenhorst2019"
    assert checked.headline.sentence.startswith(WARNING)


def test_the_server_says_it_on_every_page_and_in_every_answer(folder: Path) -> None:
    folders = model_folders(folder, allow_override=True)
    app = create_app(folders=folders)
    for path in ("/", "/dose", "/levels", "/list", "/models"):
        assert WARNING in ask("GET", path, app).text, path
    asked = {"age": 5, "weight": 18.2, "height": 110, "scr": "0.3 mg/dL", "sex": "female",
             "regimen": "tisa_cel_ball"}  # fmt: skip
    answer = ask("POST", "/api/v1/check", app, json=asked).json()
    assert answer["headline"]["sentence"].startswith(WARNING)
    listed = ask("GET", "/api/v1/models", app).json()
    assert listed[0]["title"].startswith(WARNING)
