"""A model of another engine becomes a draft: what it says is there, and no source is invented."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from conftest import HEAD
from numpy.testing import assert_allclose
from papers import PAPERS, paper

from fludapk.answers.export import export_model
from fludapk.cli import main
from fludapk.errors import FileError, InputError
from fludapk.published.compile import compile_program
from fludapk.published.engines import ENGINES
from fludapk.published.engines.draft import draft_of
from fludapk.published.model_files import ModelFile
from fludapk.published.models import load_model, model_folders, model_paths
from fludapk.published.tables import TO_BE_FILLED, check_table

READ: Final = [engine for engine in ENGINES if engine != "pharmpy"]
BY_HAND: Final = """
;; a model as people write it
$PROBLEM vancomycin-like
$INPUT ID TIME AMT DV WT CRCL SEX
$DATA d.csv IGNORE=@
$SUBROUTINES ADVAN3 TRANS4
$PK
TVCL = THETA(1)*(CRCL/96)*(WT/70)**0.75
CL = TVCL*EXP(ETA(1))
V1 = THETA(2)*(WT/70)*EXP(ETA(2))
Q = THETA(3)
V2 = THETA(4)*(1 + THETA(5)*(WT - 70))
IF (SEX.EQ.1) CL = CL*1.1
IF (WT.GT.200) EXIT 1 101
S1 = V1
$ERROR
Y = F*(1 + EPS(1)) + EPS(2)
$THETA (0, 4.5) ; CL
$THETA (0, 30, 100) (0, 5) ; V1, Q
$THETA 40 FIX
$THETA -0.01
$OMEGA BLOCK(2) 0.09 0.03 0.04
$SIGMA 0.01 0.25
"""


DRUGS: Final = Path(__file__).resolve().parents[1] / "drugs"
SHIPPED: Final = [name for name in model_paths() if name.isidentifier()]
EVERY: Final = [*SHIPPED, *sorted(path.stem for path in DRUGS.glob("*.toml")), *PAPERS]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Shipped models, models of other drugs, and invented papers of rare effects."""
    folder = tmp_path_factory.mktemp("every")
    for name in PAPERS:
        (folder / f"{name}.toml").write_text(paper(HEAD, name), encoding="utf-8")
    for path in DRUGS.glob("*.toml"):
        (folder / path.name).write_text(path.read_text("utf-8"), encoding="utf-8")
    return model_folders(folder)


def completed(draft: dict[str, Any], path: Path) -> ModelFile:
    """A draft in which a person has said what only the paper can say."""
    paper_of = tomllib.loads(path.read_text("utf-8"))
    own = {key: paper_of[key] for key in ("title", "citation", "population", "reproduces")}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(x) for key, x in value.items()}
        if isinstance(value, list):
            return [filled(x) for x in value]
        return "the paper" if value == TO_BE_FILLED else value

    return check_table({**filled(draft), **own}, ModelFile, path.name)


def described(file: ModelFile) -> dict[str, Any]:
    """Parameters as they are computed: an effect of the only term is one of the parameter."""
    every: dict[str, Any] = {}
    for name, parameter in file.parameters.items():
        row = parameter.model_dump()
        if len(row["terms"]) == 1:
            (term,) = row["terms"]
            row["effects"] = [*term.pop("effects"), *row["effects"]]
        every[name] = row
    return every


def tables(file: ModelFile) -> dict[str, Any]:
    """Rest of a file, without its sources and what was printed about an estimate."""
    row = file.model_dump(include={"compartments", "units", "binding", "dose", "covariates"})
    row["theta"] = {k: (t.value, t.unit, t.fixed) for k, t in file.theta.items()}
    effects = ("name", "on", "kind", "bounds")
    row["effects"] = [[getattr(e, k) for k in effects] for e in (*file.iiv, *file.iov)]

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without(x) for k, x in value.items() if k not in ("source", "evidence")}
        return value

    plain: dict[str, Any] = without(row)
    return plain


@pytest.mark.parametrize("engine", READ)
@pytest.mark.parametrize("name", EVERY)
def test_what_was_exported_comes_back_as_the_same_model(
    name: str, engine: str, folders: list[Path]
) -> None:
    ours = load_model(name, folders, any_drug=True)
    draft = draft_of(export_model(name, to=engine, folders=folders).code, name)
    assert draft.unread == []
    again = completed(tomllib.loads(draft.toml), ours.path)
    assert described(again) == described(ours.file)
    assert tables(again) == tables(ours.file)
    theirs = compile_program(again)
    for part in ("root_omega", "root_omega_iov", "error", "load_eta", "load_kappa", "curves"):
        expected = getattr(ours.program, part)
        assert_allclose(getattr(theirs, part), expected, rtol=1e-9, atol=1e-12, err_msg=part)


@pytest.mark.parametrize(
    "factor",
    ["(1 + SEX1*0.07)", "1.07**SEX1", "(1 + SEX1*(1.07 - 1))"],
)
def test_a_column_of_an_export_may_be_used_in_another_way(factor: str, folders: list[Path]) -> None:
    """Columns of 0 and 1 are the category that the comments of the export name."""
    code = export_model("of_doses", to="nonmem", folders=folders).code
    changed = code.replace("(1 + SEX1*(1.07 - 1))", factor)
    (effect,) = tomllib.loads(draft_of(changed, "mine").toml)["parameters"]["V1"]["effects"][1:]
    assert effect["factors"] == pytest.approx({"male": 1, "female": 1.07})


def test_a_branch_on_a_column_of_an_export_is_its_category(folders: list[Path]) -> None:
    code = export_model("of_doses", to="nonmem", folders=folders).code
    branch = "FS = 1\nIF (SEX1.EQ.1) FS = 1.07\nTV_V1 = "
    changed = code.replace("*(1 + SEX1*(1.07 - 1))", "*FS").replace("TV_V1 = ", branch)
    read = tomllib.loads(draft_of(changed, "mine").toml)
    assert read["parameters"]["V1"]["effects"][1]["factors"] == {"male": 1, "female": 1.07}
    assert read["covariates"]["SEX"]["levels"] == ["male", "female"]


def test_a_control_stream_by_hand_is_read_and_what_is_not_is_named() -> None:
    draft = draft_of(BY_HAND, "vanco")
    read = tomllib.loads(draft.toml)
    assert [theta["value"] for theta in read["theta"].values()] == [4.5, 30, 5, 40, -0.01]
    assert read["theta"]["THETA_4"]["fixed"] is True
    assert read["parameters"]["CL"] == {
        "unit": "L/h",
        "terms": [{"theta": "THETA_1"}],
        "effects": [
            {"kind": "power", "covariate": "CRCL", "ref": 96, "exponent": 1},
            {"kind": "power", "covariate": "WT", "ref": 70, "exponent": 0.75},
            {"kind": "category", "covariate": "SEX", "factors": {"SEX_1": 1.1, "SEX_other": 1}},
        ],
    }
    assert read["covariates"]["SEX"]["levels"] == ["SEX_1", "SEX_other"]
    assert read["parameters"]["V2"]["effects"] == [
        {"kind": "linear", "covariate": "WT", "ref": 70, "slope": "THETA_5"}
    ]
    assert [row["value"] for row in read["iiv"]] == [0.09, 0.04]
    assert read["iiv_correlations"][0]["value"] == pytest.approx(0.5)
    assert {kind: row["value"] for kind, row in read["ruv"].items()} == pytest.approx(
        {"proportional": 0.1, "additive": 0.5}
    )
    assert list(draft.unread) == ["IF (WT.GT.200) EXIT 1 101"]


def test_a_draft_is_refused_until_every_source_is_filled(tmp_path: Path) -> None:
    draft = draft_of(BY_HAND, "vanco")
    assert draft.toml.count('source = "to be filled"') >= 5 + 2 + 2 + 1
    (tmp_path / "vanco.toml").write_text(draft.toml)
    with pytest.raises(FileError, match=r"theta\.THETA_1\.source.*still 'to be filled'"):
        load_model("vanco", [tmp_path])


@pytest.mark.parametrize(
    ("line", "unread"),
    [
        ("CL = THETA(1)*LOG(WT)", "CL = THETA_1 * log(WT)"),
        ("CL = THETA(1)*(1 + ETA(1))", "CL = THETA_1 * (1 + ETA_1)"),
        ("CL = THETA(1)*EXP(ETA(1) - 0.1*TIME)", "CL = THETA_1 * exp(ETA_1 - 0.1 * TIME)"),
        ("CL = THETA(1)*BMI", "CL = THETA_1 * BMI"),
        ("$SUBROUTINES ADVAN6", "$SUBROUTINES ADVAN6"),
    ],
)
def test_what_the_grammar_does_not_have_is_named(line: str, unread: str) -> None:
    text = BY_HAND
    if line.startswith("$"):
        text = re.sub(r"\$SUBROUTINES.*", line, text)
    else:
        text = text.replace("CL = TVCL*EXP(ETA(1))", line)
    draft = draft_of(text, "vanco")
    assert any(part.startswith(unread) for part in draft.unread)
    if not line.startswith("$"):
        assert "CL" not in tomllib.loads(draft.toml)["parameters"]


def test_the_command_drafts_a_file(tmp_path: Path) -> None:
    source, target = tmp_path / "vanco.mod", tmp_path / "vanco.toml"
    source.write_text(BY_HAND)
    done = CliRunner().invoke(main, ["models", "import", str(source), "-o", str(target)])
    assert done.exit_code == 0, done.output
    assert "not read: IF (WT.GT.200) EXIT 1 101" in done.stderr
    assert target.read_text() == draft_of(BY_HAND, "vanco").toml
    as_json = CliRunner().invoke(main, ["models", "import", str(source), "--json"])
    assert json.loads(as_json.stdout)["toml"] == target.read_text()
    gone = CliRunner().invoke(main, ["models", "import", str(tmp_path / "gone.mod")])
    assert gone.exit_code == 3
    assert "gone.mod" in gone.stderr


def test_a_text_of_no_engine_is_refused() -> None:
    with pytest.raises(InputError, match="no model of NONMEM"):
        draft_of("hello", "nobody")
