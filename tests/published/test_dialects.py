"""Models of other engines as people write them: what is read means the same, or it is listed."""

import math
import tomllib
from typing import Any, Final

import numpy as np
import pytest

from fludapk.published.engines.draft import Draft, draft_of
from fludapk.published.formulas import FORMULAS

HEAD: Final = "$PROBLEM x\n$INPUT ID TIME AMT DV WT AGE SEX CRCL HT SCR PMA GENO OCC\n"
TAIL: Final = """
$ERROR
Y = F*(1 + EPS(1))
$THETA (0, 5) (0,30) 0.75 2 0.8 -0.01
$OMEGA 0.09 0.04
$OMEGA BLOCK(1) 0.02
$OMEGA BLOCK(1) SAME
$SIGMA 0.04
"""


def stream(pk: str, tail: str = TAIL) -> Draft:
    """The draft of a control stream of one compartment, with some code."""
    return draft_of(f"{HEAD}$SUBR ADVAN1 TRANS2\n$PK\n{pk}{tail}", "mine")


def read(draft: Draft) -> dict[str, Any]:
    return tomllib.loads(draft.toml)


def typical(draft: Draft, parameter: str, **row: Any) -> float:
    """A typical parameter of a draft by the words of models/README.md, and no code of ours."""
    table = read(draft)
    thetas = {name: theta["value"] for name, theta in table["theta"].items()}

    def number(x: Any) -> float:
        return float(thetas[x]) if isinstance(x, str) else float(x)

    def x_of(name: str) -> float:
        derived = table["covariates"].get(name, {}).get("derived")
        if derived is None:
            return float(row[name])
        own = {"weight_kg": row["WT"], "height_cm": row.get("HT"), "age_years": row.get("AGE"),
               "scr_mg_dl": row.get("SCR"), "female": row.get("SEX") == "female"}  # fmt: skip
        if derived == "normal_fat_mass":
            lean = x_of(table["covariates"][name]["of"]["FFM"])
            fat = number(table["covariates"][name]["fat"])
            return lean + fat * (float(row["WT"]) - lean)
        return float(FORMULAS[derived].function(**{k: own[k] for k in FORMULAS[derived].needs}))

    def factor(effect: dict[str, Any]) -> float:
        kind = effect["kind"]
        if kind == "factor":
            return number(effect["value"])
        if kind == "category":
            return number(effect["factors"][row[effect["covariate"]]])
        x = x_of(effect["covariate"])
        if kind == "power":
            return math.pow(x / number(effect["ref"]), number(effect["exponent"]))
        if kind == "sigmoid":
            hill = number(effect["hill"])
            return float(x**hill / (number(effect["x50"]) ** hill + x**hill))
        if kind == "steps":
            return number(effect["factors"][int(np.searchsorted(effect["at"], x, "right"))])
        change = number(effect["slope"]) * (x - number(effect["ref"]))
        return 1 + change if kind == "linear" else math.exp(change)

    def product(effects: list[dict[str, Any]]) -> float:
        return math.prod(factor(effect) for effect in effects)

    described = table["parameters"][parameter]
    terms = (
        (number(t["theta"]) if "theta" in t else 1.0) * product(t.get("effects", []))
        for t in described["terms"]
    )
    return math.fsum(terms) * product(described.get("effects", []))


GIRL: Final = {"WT": 18.0, "AGE": 5.0, "HT": 110.0, "SCR": 0.3, "CRCL": 80.0, "PMA": 300.0}


@pytest.mark.parametrize(
    ("pk", "expected"),
    [
        ("MU_1 = LOG(THETA(1)) + THETA(3)*LOG(WT/70)\nCL = EXP(MU_1 + ETA(1))",
         5 * (18 / 70) ** 0.75),
        ("MU_1 = THETA(5)\nCL = EXP(MU_1 + ETA(1))", math.exp(0.8)),
        ("TVCL = THETA(1)*CRCL/96 ; as 96 mL/min\nCL = TVCL*EXP(ETA(1))", 5 * 80 / 96),
        ("CL = THETA(1)*60/1000*(72/SCR)*EXP(ETA(1))", 5 * 0.06 * 72 / 0.3),
        ("tvcl = theta(1) * &\n  (wt/70)**theta(3)\ncl = tvcl*exp(eta(1))", 5 * (18 / 70) ** 0.75),
        ("CL = (THETA(1) + THETA(4)*CRCL/100)*SQRT(WT/70)*DEXP(ETA(1))",
         (5 + 2 * 0.8) * math.sqrt(18 / 70)),
        ("CL = THETA(1)*(1 - 0.02*(AGE - 40))*EXP(ETA(1))", 5 * (1 + 0.02 * 35)),
        ("CL = THETA(1)*(1 + THETA(6)*(AGE/40 - 1))*EXP(ETA(1))", 5 * (1 - 0.01 * (5 / 40 - 1))),
        ("CL = THETA(1)*EXP(-THETA(4)*(AGE - 5))*EXP(ETA(1))", 5.0),
        ("MF = 1/(1 + (PMA/47.7)**(-3.4))\nCL = THETA(1)*MF*EXP(ETA(1))",
         5 * 300**3.4 / (47.7**3.4 + 300**3.4)),
        ("MF = PMA**THETA(4)/(THETA(2)**THETA(4) + PMA**THETA(4))\nCL = THETA(1)*MF*EXP(ETA(1))",
         5 * 300**2 / (30**2 + 300**2)),
        ("MF = PMA/(PMA + 47.7)\nCL = THETA(1)*MF*EXP(ETA(1))", 5 * 300 / 347.7),
        ("CL = THETA(1)*(140-AGE)/100*EXP(ETA(1))", 5 * 1.35),
        ("CL = THETA(1)/WT**0.25*EXP(ETA(1))", 5 / 18**0.25),
        ("BSA = SQRT(HT*WT/3600)\nCL = THETA(1)*BSA/1.73*EXP(ETA(1))",
         5 * math.sqrt(110 * 18 / 3600) / 1.73),
    ],
)  # fmt: skip
def test_a_typical_clearance_is_that_of_the_control_stream(pk: str, expected: float) -> None:
    draft = stream(f"{pk}\nV = THETA(2)")
    assert draft.unread == []
    assert typical(draft, "CL", **GIRL) == pytest.approx(expected, rel=1e-12)
    (eta,) = read(draft)["iiv"]
    assert (eta["on"], eta["value"]) == ({"CL": 1}, 0.09)


@pytest.mark.parametrize(
    ("code", "factors"),
    [
        ("FS = 1\nIF (SEX.EQ.1) FS = THETA(5)", {"SEX_1": 0.8, "SEX_other": 1.0}),
        ("IF (SEX == 1) THEN\nFS = THETA(5)\nELSE\nFS = 2\nENDIF", {"SEX_1": 0.8, "SEX_other": 2}),
        ("IF (SEX.EQ.1) FS = THETA(5)\nIF (SEX.EQ.2) FS = 1.5", {"SEX_1": 0.8, "SEX_2": 1.5}),
        ("FS = THETA(5)**SEX", {"SEX_0": 1.0, "SEX_1": 0.8}),
        ("FS = 1 + THETA(6)*SEX", {"SEX_0": 1.0, "SEX_1": 0.99}),
        ("FS = 1\nIF (SEX.EQ.1) THEN\nFS = 3\nELSEIF (SEX.EQ.2) THEN\nFS = 4\nEND IF",
         {"SEX_1": 3.0, "SEX_2": 4.0, "SEX_other": 1.0}),
        ("FS = 1\nIF (SEX.NE.1.OR.SEX.EQ.2) FS = 5", {"SEX_1": 1.0, "SEX_other": 5.0}),
    ],
)  # fmt: skip
def test_branches_are_categories_with_the_codes_of_the_data(
    code: str, factors: dict[str, float]
) -> None:
    draft = stream(f"{code}\nCL = THETA(1)*FS*(WT/70)\nV = THETA(2)")
    assert draft.unread == []
    assert set(read(draft)["covariates"]["SEX"]["levels"]) >= set(factors)
    for level, factor in factors.items():
        own = typical(draft, "CL", SEX=level, WT=35.0)
        assert own == pytest.approx(5 * factor * 0.5, rel=1e-12)


def test_two_clearances_that_share_their_allometry_are_one_with_a_category() -> None:
    code = (
        "IF (SEX.EQ.1) THEN\nCL = THETA(1)*(WT/70)**0.75\nELSE\nCL = THETA(4)*(WT/70)**0.75\nENDIF"
    )
    draft = stream(f"{code}\nV = THETA(2)")
    assert typical(draft, "CL", SEX="SEX_1", WT=70.0) == pytest.approx(5)
    assert typical(draft, "CL", SEX="SEX_other", WT=35.0) == pytest.approx(2 * 0.5**0.75)


@pytest.mark.parametrize(
    ("condition", "below", "at", "above"),
    [(".GE.", 1, 0.7, 0.7), (".GT.", 1, 1, 0.7), (".LT.", 0.7, 1, 1), (".LE.", 0.7, 0.7, 1)],
)
def test_a_step_is_at_its_value_or_behind_it_as_the_condition_says(
    condition: str, below: float, at: float, above: float
) -> None:
    draft = stream(f"CL = THETA(1)\nIF (AGE{condition}65) CL = CL*0.7\nV = THETA(2)")
    own = [typical(draft, "CL", AGE=age) / 5 for age in (64.9, 65.0, 65.1)]
    assert own == pytest.approx([below, at, above])


LEAN: Final = """BMI = WT/(HT/100)**2
IF (SEX.EQ.1) THEN
  FFM = 9270*WT/(6680 + 216*BMI)
ELSE
  FFM = 9270*WT/(8780 + 244*BMI)
ENDIF
"""


def test_formulas_in_the_code_are_known_by_what_they_compute() -> None:
    code = (
        f"{LEAN}NFM = FFM + THETA(5)*(WT - FFM)\n"
        "CG = (140 - AGE)*WT/(72*SCR)\nIF (SEX.EQ.0) CG = CG*0.85\n"
        "CL = THETA(1)*(CG/100)*(NFM/70)**0.75*EXP(ETA(1))\nV = THETA(2)*FFM/56.1"
    )
    draft = stream(code)
    assert draft.unread == []
    covariates = read(draft)["covariates"]
    assert covariates["NFM"]["derived"] == "normal_fat_mass"
    assert covariates["FFM"]["derived"] == "janmahasatian"
    assert covariates["CG"]["derived"] == "cockcroft_gault"
    for sex in ("female", "male"):
        row = {**GIRL, "AGE": 50.0, "WT": 80.0, "HT": 170.0, "SCR": 1.0, "SEX": sex}
        clearance = 90 * 80 / 72 * (0.85 if sex == "female" else 1.0)
        bmi = 80 / 1.7**2
        fat_free = 9270 * 80 / ((8780 + 244 * bmi) if sex == "female" else (6680 + 216 * bmi))
        normal = fat_free + 0.8 * (80 - fat_free)
        expected = 5 * clearance / 100 * (normal / 70) ** 0.75
        assert typical(draft, "CL", **row) == pytest.approx(expected, rel=1e-9)


def test_a_formula_with_another_constant_is_listed_and_not_taken_for_the_published_one() -> None:
    draft = stream(LEAN.replace("9270", "9300") + "CL = THETA(1)*(FFM/56)**0.75\nV = THETA(2)")
    assert "CL" not in read(draft)["parameters"]
    assert any(part.startswith("CL = ") for part in draft.unread)


@pytest.mark.parametrize(
    "code",
    [
        "OCC1 = 0\nIF (OCC.EQ.1) OCC1 = 1\nOCC2 = 0\nIF (OCC.EQ.2) OCC2 = 1\n"
        "IOV = OCC1*ETA(3) + OCC2*ETA(4)",
        "IOV = ETA(3)\nIF (OCC.EQ.2) IOV = ETA(4)",
        "VIS3 = 0\nIF (GENO.EQ.3) VIS3 = 1\nVIS8 = 0\nIF (GENO.EQ.8) VIS8 = 1\n"
        "IOV = VIS3*ETA(3) + VIS8*ETA(4)",
        "IF (OCC.EQ.1) THEN\nIOV = ETA(3)\nELSE\nIOV = ETA(4)\nENDIF",
    ],
)
def test_etas_of_occasions_are_one_kappa(code: str) -> None:
    draft = stream(f"{code}\nCL = THETA(1)*EXP(ETA(1) + IOV)\nV = THETA(2)*EXP(ETA(2) + 0.5*IOV)")
    assert draft.unread == []
    (kappa,) = read(draft)["iov"]
    assert (kappa["value"], kappa["on"]) == (0.02, {"CL": 1, "V1": 0.5})


def test_occasions_with_variances_of_their_own_are_listed() -> None:
    tail = TAIL.replace("BLOCK(1) SAME", "0.03")
    code = "IOV = ETA(3)\nIF (OCC.EQ.2) IOV = ETA(4)\nCL = THETA(1)*EXP(IOV)\nV = THETA(2)"
    assert any("not the same on every occasion" in part for part in stream(code, tail).unread)


@pytest.mark.parametrize(
    ("record", "variances", "correlation"),
    [
        ("$OMEGA BLOCK(2)\n 0.09 ; CL\n 0.03 0.04 ; V", [0.09, 0.04], 0.5),
        ("$OMEGA BLOCK(2) SD CORRELATION\n0.3\n0.5 0.2", [0.09, 0.04], 0.5),
        ("$OMEGA BLOCK(2) FIX 0.09 0.03 0.04", [0.09, 0.04], 0.5),
        ("$OMEGA DIAGONAL(2) 0.09 0.04 FIX", [0.09, 0.04], None),
        ("$OMEGA (0.3 SD) (0.04 FIX)", [0.09, 0.04], None),
        ("$OMEGA (0.09)x2", [0.09, 0.09], None),
        ("$OMEGA 0.09\n$OMEGA 4D-2", [0.09, 0.04], None),
    ],
)
def test_variances_are_read_in_every_way_of_writing(
    record: str, variances: list[float], correlation: float | None
) -> None:
    tail = TAIL.split("$OMEGA")[0] + record + "\n$SIGMA 0.04\n"
    draft = stream("CL = THETA(1)*EXP(ETA(1))\nV = THETA(2)*EXP(ETA(2))", tail)
    assert draft.unread == []
    assert [eta["value"] for eta in read(draft)["iiv"]] == pytest.approx(variances)
    correlations = [row["value"] for row in read(draft).get("iiv_correlations", [])]
    assert correlations == pytest.approx([] if correlation is None else [correlation])


def test_correlations_of_occasions_come_from_a_block_and_the_same_again() -> None:
    tail = TAIL.split("$OMEGA")[0] + (
        "$OMEGA 0.09\n$OMEGA BLOCK(2) 0.04 0.01 0.02\n$OMEGA BLOCK(2) SAME\n$SIGMA 0.04\n"
    )
    code = (
        "A = ETA(2)\nB = ETA(3)\nIF (OCC.EQ.2) THEN\nA = ETA(4)\nB = ETA(5)\nENDIF\n"
        "CL = THETA(1)*EXP(ETA(1) + A)\nV = THETA(2)*EXP(B)"
    )
    draft = stream(code, tail)
    assert draft.unread == []
    assert [kappa["on"] for kappa in read(draft)["iov"]] == [{"CL": 1}, {"V1": 1}]
    (row,) = read(draft)["iov_correlations"]
    assert row["value"] == pytest.approx(0.01 / math.sqrt(0.04 * 0.02))


@pytest.mark.parametrize(
    ("record", "values", "fixed"),
    [
        ("(0, 5, 20) (-INF, 30, INF)", [5, 30], []),
        ("(0 5 20) (30)", [5, 30], []),
        ("5 FIX (30 FIX)", [5, 30], ["THETA_1", "THETA_2"]),
        ("(0, 5) FIXED ; CL, L/h\n 3D1 ; V", [5, 30], ["THETA_1"]),
        ("(,5,) (0,30)", [5, 30], []),
    ],
)
def test_thetas_are_read_with_their_bounds(
    record: str, values: list[float], fixed: list[str]
) -> None:
    tail = f"\n$ERROR\nY = F*(1 + EPS(1))\n$THETA {record}\n$OMEGA 0.1\n$SIGMA 0.04\n"
    thetas = read(stream("CL = THETA(1)*EXP(ETA(1))\nV = THETA(2)", tail))["theta"]
    assert [theta["value"] for theta in thetas.values()] == values
    assert [name for name, theta in thetas.items() if theta.get("fixed")] == fixed


@pytest.mark.parametrize(
    ("error", "sigma", "sds"),
    [
        ("Y = F + F*EPS(1) + EPS(2)", "0.04 0.25", {"proportional": 0.2, "additive": 0.5}),
        ("W = SQRT(THETA(3)**2*F**2 + THETA(4)**2)\nY = F + W*EPS(1)", "1 FIX",
         {"proportional": 0.75, "additive": 2.0}),
        ("IPRED = F\nW = THETA(3)*IPRED\nIF (W.EQ.0) W = 1\nY = IPRED + W*EPS(1)", "1 FIX",
         {"proportional": 0.75}),
        ("W = THETA(3)*F + THETA(4)\nY = F + W*EPS(1)", "1 FIX",
         {"combined": "sds", "proportional": 0.75, "additive": 2.0}),
        ("Y = F*EXP(ERR(1))", "0.04", {"log": 0.2}),
        ("IPRED = LOG(0.001)\nIF (F.GT.0) IPRED = LOG(F)\nY = IPRED + EPS(1)", "0.04",
         {"log": 0.2}),
        ("IPRED = LOG(F + 1E-12)\nY = IPRED + THETA(3)*EPS(1)\nIRES = DV - IPRED", "1 FIX",
         {"log": 0.75}),
        ("IPRED = A(1)/V\nY = IPRED + EPS(1)", "0.25", {"additive": 0.5}),
        ("Y = F + SQRT(F)*EPS(1)", "0.04", None),
        ("Y = F*(1 + EPS(1))*0.5", "0.04", None),
    ],
)  # fmt: skip
def test_a_residual_error_is_known_by_what_it_does(
    error: str, sigma: str, sds: dict[str, Any] | None
) -> None:
    tail = TAIL.replace("Y = F*(1 + EPS(1))", error).replace("$SIGMA 0.04", f"$SIGMA {sigma}")
    draft = stream("CL = THETA(1)*EXP(ETA(1))\nV = THETA(2)", tail)
    ruv = read(draft).get("ruv", {})
    own = {key: row["value"] if isinstance(row, dict) else row for key, row in ruv.items()}
    assert own == ({} if sds is None else pytest.approx(sds) if "combined" not in sds else sds)
    assert any(part.startswith("Y = ") for part in draft.unread) == (sds is None)


@pytest.mark.parametrize(
    ("code", "listed"),
    [
        ("CL = THETA(1)*FOO\nV = THETA(2)", "FOO is no covariate"),
        ("CL = THETA(1)*EXP(-0.1*TIME)\nV = THETA(2)", "TIME is no covariate"),
        ("CL = THETA(1)*EXP(ETA(9))\nV = THETA(2)", "ETA_9 is no covariate"),
        ("CL = THETA(1)\nIF (SEX.EQ.1.AND.AGE.GT.65) CL = CL*2\nV = THETA(2)", "SEX"),
        ("CL = THETA(1)*EXP(ETA(1))*(1 + ETA(2))\nV = THETA(2)", "added random effect"),
        ("CL = THETA(1)\nV = THETA(2)\nS1 = V/1000", "S1 = V/1000: concentrations in another"),
        ("CL = THETA(1)\nCALL SUPP(1,0)\nV = THETA(2)", "CALL SUPP(1,0)"),
        ("CL = THETA(1)", "V1: not defined"),
        ("CL = THETA(1)\nV = THETA(2)\nF1 = 0.8", "F1 = 0.8: model files have no bioavailability"),
        ("CL = THETA(1)\nV = THETA(2)\nALAG1 = 0.2", "ALAG1 = 0.2: model files have no"),
    ],
)
def test_what_cannot_be_read_is_listed_and_left_out(code: str, listed: str) -> None:
    assert any(listed in part for part in stream(code).unread)


def test_a_line_that_is_not_read_takes_what_it_sets_out_of_the_draft() -> None:
    draft = stream("CL = THETA(1)\nIF (SEX.EQ.1) CL = CL*\nV = THETA(2)")
    assert "CL" not in read(draft)["parameters"]
    assert "V1" in read(draft)["parameters"]


@pytest.mark.parametrize("advan", ["ADVAN2 TRANS2", "ADVAN4 TRANS4", "ADVAN3 TRANS3"])
def test_a_solution_with_other_parameters_is_listed(advan: str) -> None:
    text = f"{HEAD}$SUBR {advan}\n$PK\nCL = THETA(1)\nV2 = THETA(2)\n{TAIL}"
    assert f"$SUBROUTINES {advan}" in draft_of(text, "mine").unread


DES: Final = """$SUBR ADVAN13 TOL=9
$MODEL COMP=(CENTRAL) COMP=(PERIPH)
$PK
CL = THETA(1)*EXP(ETA(1))
V1 = THETA(2)
Q = THETA(3)
V2 = THETA(4)
$DES
K12 = Q/V1
DADT(1) = -CL/V1*A(1) - K12*A(1) + Q/V2*A(2)
DADT(2) = K12*A(1) - Q/V2*A(2)
"""


def test_differential_equations_are_compared_with_those_of_flows_between_volumes() -> None:
    good, other = (
        draft_of(HEAD + text + TAIL, "mine") for text in (DES, DES.replace("-CL/V1", "-CL/V2"))
    )
    assert good.unread == []
    assert read(good)["compartments"] == 2
    assert [part for part in other.unread if part.startswith("d/dt A_1")]


R_MODEL: Final = """
two.cmt <- function() {
  ini({
    tcl <- log(c(0, 2.7, 100)) # clearance
    tv <- log(31.5); label("V (L)")
    tq <- fix(log(7))
    tvp <- 3.7
    cov.wt <- fix(0.75)
    eta.cl + eta.v ~ c(0.3,
                       0.05, 0.1)
    prop.err <- c(0, 0.2, 1)
    add.err <- 0.05
  })
  model({
    cl <- exp(tcl + eta.cl + cov.wt*log(WT/70))
    v <- exp(tv + eta.v)*(WT/70)
    q <- exp(tq)
    vp <- exp(tvp)
    if (SEX == 1) {
      cl <- cl*0.8
    }
    linCmt() ~ prop(prop.err) + add(add.err)
  })
}
"""


def test_nlmixr2_is_read_with_logarithms_names_in_lower_case_and_its_own_solution() -> None:
    draft = draft_of(R_MODEL, "mine")
    assert draft.unread == []
    table = read(draft)
    assert table["compartments"] == 2
    row = {"WT": 35.0, "SEX": "SEX_1"}
    own = [typical(draft, name, **row) for name in ("CL", "V1", "Q2", "V2")]
    assert own == pytest.approx([2.7 * 0.5**0.75 * 0.8, 31.5 * 0.5, 7.0, math.exp(3.7)])
    assert table["theta"]["cov_wt"]["fixed"]
    assert table["iiv_correlations"][0]["value"] == pytest.approx(0.05 / math.sqrt(0.03))
    assert {k: row["value"] for k, row in table["ruv"].items()} == {
        "proportional": 0.2, "additive": 0.05,
    }  # fmt: skip


def test_a_depot_of_another_engine_is_no_volume_of_ours() -> None:
    depot = R_MODEL.replace(
        "linCmt() ~",
        "d/dt(depot) <- -depot\nd/dt(central) <- depot - cl/v*central\ncp <- central/v\ncp ~",
    )
    assert any("depot" in part for part in draft_of(depot, "mine").unread)
    absorbed = R_MODEL.replace("linCmt() ~", "ka <- 1\nlinCmt() ~")
    assert any(part.startswith("ka: ") for part in draft_of(absorbed, "mine").unread)


MRGSOLVE: Final = """
$PROB two compartments
$PARAM @annotated
TVCL : 5 : clearance (L/h)
TVV : 30 : volume (L)
$PARAM TVQ = 2, TVVP = 40, SEX = 0, WT = 70
$CMT CENT PERIPH
$MAIN
double CLi = TVCL*pow(WT/70, 0.75)*exp(ETA(1));
double V = TVV*(WT/70)*exp(ETA(2));
double Q = TVQ;
double VP = TVVP;
if(SEX == 1) CLi = CLi*1.1; // men
$OMEGA @block
0.1 0.02 0.2
$SIGMA 0.04 0.25
$ODE
dxdt_CENT = -(CLi/V)*CENT - Q/V*CENT + Q/VP*PERIPH;
dxdt_PERIPH = Q/V*CENT - Q/VP*PERIPH;
$TABLE
double IPRED = CENT/V;
double DV = IPRED*(1 + EPS(1)) + EPS(2);
$CAPTURE IPRED DV
"""


def test_correlations_of_mrgsolve_are_no_covariances() -> None:
    draft = draft_of(MRGSOLVE.replace("@block\n0.1 0.02 0.2", "@correlation\n0.1 0.5 0.2"), "mine")
    assert draft.unread == []
    assert [eta["value"] for eta in read(draft)["iiv"]] == pytest.approx([0.1, 0.2])
    assert read(draft)["iiv_correlations"][0]["value"] == pytest.approx(0.5)


def test_mrgsolve_is_read_with_blocks_on_one_line_and_covariates_among_parameters() -> None:
    draft = draft_of(MRGSOLVE, "mine")
    assert draft.unread == []
    table = read(draft)
    assert list(table["theta"]) == ["TVCL", "TVV", "TVQ", "TVVP"]
    row = {"WT": 35.0, "SEX": "SEX_1"}
    own = [typical(draft, name, **row) for name in ("CL", "V1", "Q2", "V2")]
    assert own == pytest.approx([5 * 0.5**0.75 * 1.1, 15.0, 2.0, 40.0])
    assert table["iiv_correlations"][0]["value"] == pytest.approx(0.02 / math.sqrt(0.02))
    assert table["ruv"]["additive"]["value"] == pytest.approx(0.5)


def test_a_name_that_nobody_defines_is_no_covariate_in_mrgsolve() -> None:
    draft = draft_of(MRGSOLVE.replace(", SEX = 0", ""), "mine")
    assert any("SEX is no covariate" in part for part in draft.unread)
