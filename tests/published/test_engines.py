"""A model written for another engine gives back our concentrations and areas there.

Each text is read as its engine would read it, by a few lines that share no code with what wrote
it, and its differential equations are integrated numerically.
"""

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import HEAD
from papers import PAPERS, paper
from scipy.integrate import solve_ivp

from fludapk.answers.export import Export, export_model
from fludapk.answers.prediction import Prediction, predict
from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.patients.patient import Patient
from fludapk.patients.regimen import Regimen
from fludapk.pk.effects import RandomEffects
from fludapk.published.engines import ENGINES
from fludapk.published.models import load_model, model_folders

MODELS: Final = ("langenhorst2019", "langenhorst2019_indexed", "mohanan2017", "varela2025")
FUNCTIONS: Final = {
    "exp": math.exp, "EXP": math.exp, "pow": math.pow, "log": math.log, "__builtins__": {},
}  # fmt: skip


class Read(NamedTuple):
    """Thetas, statements in order, and derivatives, as Python text."""

    values: dict[str, float]
    statements: list[tuple[str, str]]
    derivatives: dict[str, str]


def assigned(text: str, pattern: str) -> list[tuple[str, str]]:
    return [(m[1], m[2].replace("^", "**")) for m in re.finditer(pattern, text, re.MULTILINE)]


def nonmem(code: str) -> Read:
    pk = code.split("$PK\n")[1].split("$ERROR")[0]
    thetas = {
        f"THETA({k})": float(m[1])
        for k, m in enumerate(re.finditer(r"^\$THETA (\S+)", code, re.MULTILINE), start=1)
    }
    statements = [
        (name, re.sub(r"(THETA|ETA)\((\d+)\)", r"\1_\2_", text))
        for name, text in assigned(pk, r"^(\w+) = (.*)$")
    ]
    values = {name.replace("(", "_").replace(")", "_"): x for name, x in thetas.items()}
    compartments = {"ADVAN1": 1, "ADVAN3": 2, "ADVAN11": 3}[re.findall(r"ADVAN\d+", code)[0]]
    if compartments == 2:
        statements.append(("Q2", "Q"))
    leaving = " + ".join(["CL/V1", *(f"Q{k}/V1" for k in range(2, compartments + 1))])
    back = [f"Q{k}/V{k}*P{k}" for k in range(2, compartments + 1)]
    tissues = {f"P{k}": f"Q{k}/V1*C - Q{k}/V{k}*P{k}" for k in range(2, compartments + 1)}
    return Read(values, statements, {"C": " + ".join([f"-({leaving})*C", *back]), **tissues})


def mrgsolve(code: str) -> Read:
    values = dict(assigned(code.split("[CMT]")[0], r"^(\w+) = (\S+)$"))
    main_block, ode = code.split("[MAIN]\n")[1].split("[TABLE]")[0].split("[ODE]\n")
    return Read(
        {name: float(x) for name, x in values.items()},
        assigned(main_block, r"^double (\w+) = (.*);$"),
        dict(assigned(ode, r"^dxdt_(\w+) = (.*);$")),
    )


def rxode2(code: str) -> Read:
    thetas = code.split("theta <- c(")[1].split("\n)")[0]
    values = {name: float(x) for name, x in assigned(thetas, r"(\w+) = ([^,\s]+)")}
    return Read(values, *of_r(code.split("rxode2({")[1].split("\n})")[0]))


def nlmixr2(code: str) -> Read:
    first = code.split("ini({")[1].split("\n  })")[0]
    values = {
        name: float(re.sub(r"fix\((.*)\)", r"\1", x))
        for name, x in assigned(first, r"^\s+(TH_\w+) <- (\S+)$")
    }
    return Read(values, *of_r(code.split("model({")[1].split("\n  })")[0]))


def of_r(body: str) -> tuple[list[tuple[str, str]], dict[str, str]]:
    return (
        assigned(body, r"^\s+(\w+) <- (.*)$"),
        dict(assigned(body, r"^\s+d/dt\((\w+)\) <- (.*)$")),
    )


def pharmpy(code: str) -> Read:
    return nonmem(code.split('CODE = """')[1])


READERS: Final = {
    "nonmem": nonmem, "mrgsolve": mrgsolve, "rxode2": rxode2, "nlmixr2": nlmixr2,
    "pharmpy": pharmpy,
}  # fmt: skip


def parameters(
    read: Read, row: Mapping[str, float], effects: Mapping[str, float]
) -> dict[str, Any]:
    """Every name that the statements define, for a record of the data."""
    names: dict[str, Any] = {**FUNCTIONS, **read.values, **row, **effects}
    for name, text in read.statements:
        if name == "cp":
            break  # of the amounts
        names[name] = effects[name] if name in effects else eval(text, names)
    return names


def integrated(export: Export, read: Read, effects: Mapping[str, float]) -> dict[float, Any]:
    """Concentration and area at every sample: an interval has the covariates of its end."""
    states = [name for name in read.derivatives if name.lower() != "auc"]
    y, now, running = np.zeros(len(states) + 1), 0.0, (0.0, 0.0)
    result: dict[float, Any] = {}
    for record in csv.DictReader(io.StringIO(export.files[f"{export.model}.csv"])):
        row = {k: float(v) for k, v in record.items() if v != "."}
        names = parameters(read, row, effects)
        texts = [compile(read.derivatives[name], name, "eval") for name in states]

        def change(_: float, y: Any, rate: float, names: Any = names, texts: Any = texts) -> Any:
            values = {**names, **dict(zip(states, y, strict=False))}
            rates = [eval(text, values) for text in texts]
            return [rates[0] + rate, *rates[1:], y[0] / values["V1"]]

        for until in sorted({min(max(running[1], now), row["TIME"]), row["TIME"]}):
            if until > now:
                rate = running[0] if now < running[1] - 1e-9 else 0.0
                steps = solve_ivp(
                    change, (now, until), y, args=(rate,), method="LSODA", rtol=1e-10, atol=1e-13
                )
                y, now = steps.y[:, -1], until
        if row["EVID"] == 1:
            running = row["RATE"], row["TIME"] + row["AMT"] / row["RATE"]
        elif row["EVID"] == 0:
            result[row["TIME"]] = y[0] / names["V1"], y[-1]
    return result


@pytest.mark.parametrize("engine", READERS)
@pytest.mark.parametrize("model", MODELS)
def test_the_typical_patient_is_the_same_in_every_engine(model: str, engine: str) -> None:
    export = export_model(model, to=engine)
    read = READERS[engine](export.code)
    none = dict.fromkeys(effect_names(export, engine), 0.0)
    ours = list(csv.DictReader(io.StringIO(export.files[f"{model}.expected.csv"])))
    theirs = integrated(export, read, none)
    assert len(theirs) == len(ours) - 1
    for row in ours[:-1]:
        conc, auc = theirs[float(row["time_h"])]
        assert conc == pytest.approx(float(row["conc_mg_l"]), rel=1e-6, abs=1e-10)
        assert auc == pytest.approx(float(row["auc_mg_h_l"]), rel=1e-6)
    assert float(ours[-1]["auc_mg_h_l"]) == pytest.approx(export.auc_0_inf, rel=1e-14)


def effect_names(export: Export, engine: str) -> list[str]:
    """Names that stand for random effects in a text."""
    if engine in ("nonmem", "pharmpy"):
        return sorted(set(re.findall(r"^([EK]_\w+) = ETA", export.code, re.MULTILINE)))
    return sorted(set(re.findall(r"\b[EK]_\w+\b", export.code)) - {
        name for name, _ in READERS[engine](export.code).statements
    })  # fmt: skip


@pytest.mark.parametrize("engine", ["nonmem", "mrgsolve", "rxode2"])
@pytest.mark.parametrize("model", MODELS)
def test_a_patient_with_random_effects_is_the_same_too(model: str, engine: str) -> None:
    export = export_model(model, to=engine)
    loaded = load_model(model)
    program, file = loaded.program, loaded.file
    rng = np.random.default_rng(5)
    prediction = worked(model)
    doses = len(prediction.case.course.doses_mg)
    eta = rng.normal(0, 0.3, (1, program.n_eta))
    kappa = rng.normal(0, 0.3, (1, doses, program.n_kappa))
    effects = {f"E_{e.name[4:].upper()}": float(x) for e, x in zip(file.iiv, eta[0], strict=True)}
    for k in range(doses):
        for effect, x in zip(file.iov, kappa[0, k], strict=True):
            effects[f"K_{effect.name[6:].upper()}_{k + 1}"] = float(x)
    theirs = integrated(export, READERS[engine](export.code), effects)
    times = np.array(list(theirs))
    conc, auc = prediction.concentrations(RandomEffects(eta, kappa), times)
    for k, (c, a) in enumerate(theirs.values()):
        assert c == pytest.approx(conc[0, k], rel=1e-6, abs=1e-10)
        assert a == pytest.approx(auc[0, k], rel=1e-6)


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders with papers of rare effects."""
    folder = tmp_path_factory.mktemp("rare")
    for name in PAPERS:
        (folder / f"{name}.toml").write_text(paper(HEAD, name), encoding="utf-8")
    return model_folders(folder)


@pytest.mark.parametrize("engine", READERS)
@pytest.mark.parametrize("model", PAPERS)
def test_rare_effects_are_the_same_in_every_engine(
    model: str, engine: str, rare: list[Path]
) -> None:
    """Etas of terms, added ones and those of a logit; time, number of a dose, units, binding."""
    export = export_model(model, to=engine, folders=rare)
    read, program = READERS[engine](export.code), load_model(model, rare).program
    file = load_model(model, rare).file
    none = dict.fromkeys(effect_names(export, engine), 0.0)
    ours = list(csv.DictReader(io.StringIO(export.files[f"{model}.expected.csv"])))
    theirs = integrated(export, read, none)
    for row in ours[:-1]:
        conc, auc = theirs[float(row["time_h"])]
        assert conc == pytest.approx(float(row["conc_mg_l"]), rel=1e-6, abs=1e-10)
        assert auc == pytest.approx(float(row["auc_mg_h_l"]), rel=1e-6)
    if engine in ("nlmixr2", "pharmpy"):
        return
    rng = np.random.default_rng(6)
    own = [f"{k}={c.levels[0]}" for k, c in file.covariates.items() if c.levels]
    girl = Patient(age_years=5, sex="female", weight_kg=18.2, height_cm=110, scr_mg_dl=0.3,
                   categories=own)  # fmt: skip
    plan = Regimen.named("tisa_cel_ball")
    prediction = predict(load_model(model, rare), girl, plan, plan.course(girl))
    doses = len(prediction.case.course.doses_mg)
    eta = rng.normal(0, 0.2, (1, program.n_eta))
    kappa = rng.normal(0, 0.2, (1, doses, program.n_kappa))
    effects = {f"E_{e.name[4:].upper()}": float(x) for e, x in zip(file.iiv, eta[0], strict=True)}
    for k in range(doses):
        for effect, x in zip(file.iov, kappa[0, k], strict=True):
            effects[f"K_{effect.name[6:].upper()}_{k + 1}"] = float(x)
    theirs = integrated(export, read, effects)
    times = np.array(list(theirs))
    conc, auc = prediction.concentrations(RandomEffects(eta, kappa), times)
    for k, (c, a) in enumerate(theirs.values()):
        assert c == pytest.approx(conc[0, k], rel=1e-6, abs=1e-10)
        assert a == pytest.approx(auc[0, k], rel=1e-6)


@pytest.mark.parametrize(
    ("engine", "text"),
    [
        ("nonmem", "Y = IPRED + (0.1*IPRED + 0.02)*EPS(1)"),
        ("mrgsolve", "capture DV = IPRED + (0.1*IPRED + 0.02)*BOTH"),
        ("nlmixr2", "cp ~ prop(proportional_sd) + add(additive_sd) + combined1()"),
    ],
)
def test_a_combined_error_is_one_residual_in_every_engine(
    engine: str, text: str, rare: list[Path]
) -> None:
    assert text in export_model("of_doses", to=engine, folders=rare).code


def worked(model: str) -> Prediction:
    """The worked patient of each model."""
    patients = {
        "mohanan2017": (17, "male", 50, 160, 0.7, "hct_160"),
        "varela2025": (60, "male", 80, 178, 1.0, "axi_cel"),
    }
    age, sex, weight, height, scr, regimen = patients.get(
        model, (5, "female", 18.2, 110, 0.3, "tisa_cel_ball")
    )
    anaemic: dict[str, Any] = {"diagnosis": "aplastic_anaemia", "genotype": "GG"}
    more = anaemic if model == "mohanan2017" else {}
    patient = Patient(age_years=age, sex=sex, weight_kg=weight, height_cm=height, scr_mg_dl=scr,
                      **more)  # fmt: skip
    plan = Regimen.named(regimen)
    return predict(load_model(model), patient, plan, plan.course(patient))


@pytest.mark.parametrize("model", MODELS)
def test_variances_and_residual_errors_are_those_of_the_file(model: str) -> None:
    program = load_model(model).program
    omega = program.root_omega @ program.root_omega.T
    control = export_model(model, to="nonmem").code
    block = re.search(r"\$OMEGA BLOCK\(\d+\) (.*?) ; E_", control)
    if block:
        written = [float(x) for x in block[1].split()]
        assert written == pytest.approx(
            [omega[i, j] for i in range(len(omega)) for j in range(i + 1)]
        )
    else:
        written = [float(x) for x in re.findall(r"^\$OMEGA (\S+) ; E_", control, re.MULTILINE)]
        assert written == pytest.approx(np.diag(omega))
    sigma = [float(x) for x in re.findall(r"^\$SIGMA (\S+)", control, re.MULTILINE)]
    assert sigma == pytest.approx([sd**2 for sd in program.error[:3] if sd])
    doses = len(worked(model).case.course.doses_mg)
    assert control.count("SAME") == program.n_kappa * (doses - 1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", MODELS)
def test_a_text_is_ascii_and_says_source_units_and_departures(model: str, engine: str) -> None:
    text = export_model(model, to=engine).code
    assert text.isascii()
    assert load_model(model).file.citation.doi in re.sub(r"\n[;#] ", " ", text)
    assert "not a medical device" in text
    for column in ("WT", "GFR") if model == "langenhorst2019" else ():
        assert re.search(rf"^[;#] {column}: ", text, re.MULTILINE)


@pytest.mark.parametrize("model", MODELS)
def test_pharmpy_reads_the_control_stream(model: str) -> None:
    modeling = pytest.importorskip("pharmpy.modeling", reason="the extra `export` is not installed")
    control, loaded = export_model(model, to="nonmem").code, load_model(model)
    theirs = modeling.read_model_from_string(control)
    inits = list(theirs.parameters.inits.values())
    assert inits[: len(loaded.file.theta)] == [theta.value for theta in loaded.file.theta.values()]
    compartments = theirs.statements.ode_system.compartment_names
    assert len(compartments) == loaded.program.compartments
    assert len(theirs.random_variables.etas.names) == control.count("= ETA(")


def test_the_command_writes_model_data_and_what_to_expect(tmp_path: Any) -> None:
    words = ["models", "export", "varela2025", "--to", "mrgsolve", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    export = export_model("varela2025", to="mrgsolve")
    assert {p.name: p.read_text() for p in (tmp_path / "out").iterdir()} == dict(export.files)
    assert f"AUC0-inf {export.auc_0_inf:.6g}" in result.stderr
    alone = CliRunner().invoke(main, words[:5])
    assert alone.stdout == export.code
    as_json = CliRunner().invoke(main, [*words[:5], "--json"])
    assert json.loads(as_json.stdout)["files"] == dict(export.files)


def test_an_engine_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'nonmem'"):
        export_model(to="nonmen")
