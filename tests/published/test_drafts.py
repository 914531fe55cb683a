"""A model of another engine becomes a draft: what it says is there, and no source is invented."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from fludapk.answers.export import export_model
from fludapk.cli import main
from fludapk.errors import FileError, InputError
from fludapk.published.engines import ENGINES
from fludapk.published.engines.draft import draft_of
from fludapk.published.models import load_model

MODELS: Final = ("langenhorst2019", "mohanan2017", "varela2025")
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


def effect_of_file(effect: Any, covariate_names: dict[str, str]) -> dict[str, Any]:
    """An effect of a model file, with the names that its export has."""
    row = effect.model_dump()
    for key, value in row.items():
        if key in ("ref", "exponent", "slope", "x50", "hill") and isinstance(value, str):
            row[key] = f"TH_{value.upper()}"
    if row["kind"] == "category":
        factors = [f"TH_{x.upper()}" if isinstance(x, str) else x for x in row["factors"].values()]
        names = (f"{row['covariate']}_{k}" for k in range(len(factors)))
        return {**row, "factors": dict(zip(names, factors, strict=True))}
    return {**row, "covariate": covariate_names[row["covariate"]]}


@pytest.mark.parametrize("engine", READ)
@pytest.mark.parametrize("name", MODELS)
def test_what_was_exported_comes_back_whole(name: str, engine: str) -> None:
    draft = draft_of(export_model(name, to=engine).code, name)
    file, read = load_model(name).file, tomllib.loads(draft.toml)
    assert [line for line in draft.unread if "S1 = " not in line] == []
    assert read["compartments"] == file.compartments
    values = [theta["value"] for theta in read["theta"].values()]
    assert values == [theta.value for theta in file.theta.values()]
    names = list(read["theta"])
    ours = {f"TH_{theta.upper()}": names[k] for k, theta in enumerate(file.theta)}
    columns = {covariate: covariate.upper() for covariate in file.covariates}
    assert set(read["parameters"]) == set(file.parameters)
    for key, parameter in file.parameters.items():
        described = read["parameters"][key]
        effects = [effect_of_file(effect, columns) for effect in parameter.effects]
        assert described.get("effects", []) == renamed(effects, ours)
        terms = [
            {
                **({} if term.theta is None else {"theta": f"TH_{term.theta.upper()}"}),
                **({"effects": [effect_of_file(x, columns) for x in term.effects]}
                   if term.effects else {}),
            }
            for term in parameter.terms
        ]  # fmt: skip
        assert described["terms"] == renamed(terms, ours)
    for kind in ("iiv", "iov"):
        expected = getattr(file, kind)
        assert [e["value"] for e in read.get(kind, [])] == pytest.approx(
            [effect.variance for effect in expected]
        )
        assert [e["on"] for e in read.get(kind, [])] == [effect.on for effect in expected]
    correlations = [row["value"] for row in read.get("iiv_correlations", [])]
    assert correlations == pytest.approx([row.value for row in file.iiv_correlations], rel=1e-5)
    residual = {kind: row["value"] for kind, row in read["ruv"].items()}
    assert residual == pytest.approx(
        {kind: row["value"] for kind, row in file.ruv.model_dump().items() if isinstance(row, dict)}
    )


def renamed(value: Any, names: dict[str, str]) -> Any:
    """The same with names of thetas as the engine numbers them."""
    if isinstance(value, dict):
        return {key: renamed(x, names) for key, x in value.items()}
    if isinstance(value, list):
        return [renamed(x, names) for x in value]
    return names.get(value, value) if isinstance(value, str) else value


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
        ],
    }
    assert read["parameters"]["V2"]["effects"] == [
        {"kind": "linear", "covariate": "WT", "ref": 70, "slope": "THETA_5"}
    ]
    assert [row["value"] for row in read["iiv"]] == [0.09, 0.04]
    assert read["iiv_correlations"][0]["value"] == pytest.approx(0.5)
    assert {kind: row["value"] for kind, row in read["ruv"].items()} == pytest.approx(
        {"proportional": 0.1, "additive": 0.5}
    )
    assert list(draft.unread) == ["IF (SEX.EQ.1) CL = CL*1.1"]


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
        ("CL = THETA(1) + ETA(1)", "CL = THETA_1 + ETA_1"),
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
    assert "not read: IF (SEX.EQ.1) CL = CL*1.1" in done.stderr
    assert target.read_text() == draft_of(BY_HAND, "vanco").toml
    as_json = CliRunner().invoke(main, ["models", "import", str(source), "--json"])
    assert json.loads(as_json.stdout)["toml"] == target.read_text()
    gone = CliRunner().invoke(main, ["models", "import", str(tmp_path / "gone.mod")])
    assert gone.exit_code == 3
    assert "gone.mod" in gone.stderr


def test_a_text_of_no_engine_is_refused() -> None:
    with pytest.raises(InputError, match="no model of NONMEM"):
        draft_of("hello", "nobody")
