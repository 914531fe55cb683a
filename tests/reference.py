"""The slow twin of fludapk: a model file, read and solved in the plainest way.

Nothing here is fast and nothing comes from fludapk, so that the two can be compared.
Units: h, mg (F-ara-A), L, mg/L, kg, cm, years, m2; clearances in L/h.

    model = load("models/langenhorst2019.toml")
    patient = {"AGE": 5, "SEX": "female", "WT": 18.2, "HT": 110, "SCR": 0.3}
    covariates = covariates_of(model, patient)
    auc_0_inf(typical(model, covariates), [(0.0, 0.5, 17.5), (24.0, 0.5, 17.5)])
"""

import math
import tomllib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.linalg import expm

Table = dict[str, Any]  # a model file, or a part of it
Numbers = dict[str, float]  # CL, V1, Q2, V2, Q3, V3; or random effects by name
Infusion = tuple[float, float, float]  # start (h), duration (h), amount (mg F-ara-A)
Step = Callable[[Numbers, float, list[float], float], list[float]]


def load(path: str | Path) -> Table:
    """Read a model file as nested dictionaries."""
    return tomllib.loads(Path(path).read_text(encoding="utf-8"))


# --- covariates -----------------------------------------------------------------------------------


def mosteller(patient: Table) -> float:
    """Return body surface area, m2."""
    return math.sqrt(patient["HT"] * patient["WT"] / 3600.0)


def cockcroft_gault(patient: Table) -> float:
    """Return creatinine clearance, mL/min, not indexed to body surface."""
    factor = {"female": 0.85, "male": 1.0}[patient["SEX"]]
    age, weight, creatinine = patient["AGE"], patient["WT"], patient["SCR"]
    return float((140.0 - age) * weight / (72.0 * creatinine) * factor)


def schwartz_bedside(patient: Table) -> float:
    """Return estimated glomerular filtration rate, mL/min/1.73 m2."""
    return float(0.413 * patient["HT"] / patient["SCR"])


def kidney(name: str, table: Table, patient: Table) -> float:
    """Return `name`, eGFR (mL/min/1.73 m2) or CrCl (mL/min): given, or from creatinine (mg/dL)."""
    if patient.get("eGFR") is not None:
        value, indexed = float(patient["eGFR"]), True
    elif patient.get("CrCl") is not None:
        value, indexed = float(patient["CrCl"]), False
    else:
        formula = next(
            rule["formula"]
            for rule in table["rules"]
            if ("sex" not in rule or rule["sex"] == patient["SEX"])
            and ("age_from" not in rule or patient["AGE"] >= rule["age_from"])
        )
        function, indexed = {
            "cockcroft_gault": (cockcroft_gault, False),
            "schwartz_bedside": (schwartz_bedside, True),
        }[formula]
        value = function(patient)
    if name == "eGFR" and not indexed:
        value *= 1.73 / mosteller(patient)
    if name == "CrCl" and indexed:
        value *= mosteller(patient) / 1.73
    if "cap" in table:
        value = min(value, on_line(table["cap"]["knots"], patient[table["cap"]["by"]]))
    return value


def on_line(knots: list[list[float]], x: float) -> float:
    """Interpolate on straight lines through the knots [x, y]; flat beyond both ends."""
    if x <= knots[0][0]:
        return knots[0][1]
    for (x0, y0), (x1, y1) in pairwise(knots):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return knots[-1][1]


def covariates_of(model: Table, patient: Table) -> Table:
    """Return the covariates of a model, from SCR or from eGFR or CrCl as given.

    Keys of the patient: AGE (years), SEX ("female", "male" or None), WT (kg), HT (cm), one of
    SCR (mg/dL), eGFR (mL/min/1.73 m2), CrCl (mL/min); product, diagnosis, genotype or another
    category if needed; GA (weeks at birth) if known. TIME and DOSE are those of the first dose.
    """
    bsa = mosteller(patient)
    covariates: Table = {"BSA": bsa}
    for name, table in model["covariates"].items():
        if name in ("eGFR", "CrCl"):
            covariates[name] = kidney(name, table, patient)
        elif name in ("GA", "PMA"):
            born = patient.get("GA") or 40.0
            covariates[name] = born + (patient["AGE"] * 365.25 / 7 if name == "PMA" else 0.0)
        elif name in ("TIME", "DOSE"):
            covariates[name] = {"TIME": 0.0, "DOSE": 1.0}[name]
        elif name != "BSA" and "derived" not in table:
            covariates[name] = patient[name]
    for name, table in model["covariates"].items():
        if table.get("derived") == "gfr_l_h_per_70kg":
            egfr_l_h = covariates["eGFR"] * bsa / 1.73 * 0.06
            covariates[name] = egfr_l_h * 70.0 / patient["WT"]
        elif table.get("derived") == "egfr_l_h":
            covariates[name] = covariates["eGFR"] * 0.06
    mass = {**patient, **covariates}
    for _ in model["covariates"]:  # as often as one may need another
        for name, table in model["covariates"].items():
            sources = {**mass, **{k: mass.get(v) for k, v in table.get("of", {}).items()}}
            if table.get("derived") in MASSES and name not in covariates:
                if table["derived"] == "normal_fat_mass" and sources.get("FFM") is None:
                    continue
                fat = table.get("fat")
                fat = model["theta"][fat]["value"] if isinstance(fat, str) else fat
                covariates[name] = mass[name] = MASSES[table["derived"]](sources, fat)
            elif "derived" in table and name not in covariates:
                raise ValueError(f"unknown derived covariate {table['derived']!r}")
    return covariates


def lean_adult(patient: Table, _: Any = None) -> float:
    """Return fat-free mass of an adult, kg: Janmahasatian 2005."""
    bmi = patient["WT"] / (patient["HT"] / 100.0) ** 2
    base, slope = {"female": (8780.0, 244.0), "male": (6680.0, 216.0)}[patient["SEX"]]
    return float(9270.0 * patient["WT"] / (base + slope * bmi))


def lean_child(patient: Table, _: Any = None) -> float:
    """Return fat-free mass at any age, kg: Al-Sallami 2015."""
    age = patient["AGE"]
    if patient["SEX"] == "male":
        mature = 0.88 + 0.12 / (1.0 + (13.4 / age) ** 12.7)
    else:
        mature = 1.11 - 0.11 / (1.0 + (7.1 / age) ** 1.1)
    return float(mature) * lean_adult(patient)


def ideal(patient: Table, _: Any = None) -> float:
    """Return ideal weight, kg: Devine 1974."""
    base = {"female": 45.5, "male": 50.0}[patient["SEX"]]
    return float(base + 2.3 * (patient["HT"] / 2.54 - 60.0))


MASSES: dict[str, Callable[[Table, Any], float]] = {
    "janmahasatian": lean_adult,
    "al_sallami": lean_child,
    "devine": ideal,
    "adjusted_weight": lambda p, _: 0.6 * ideal(p) + 0.4 * p["WT"],
    "normal_fat_mass": lambda p, fat: p["FFM"] + fat * (p["WT"] - p["FFM"]),
    "cockcroft_gault": lambda p, _: cockcroft_gault(p),
}


# --- parameters -----------------------------------------------------------------------------------


def effects(model: Table, table: Table, covariates: Table) -> float:
    """Return the product of the covariate effects of a term or of a parameter."""

    def number(value: float | str) -> float:
        return float(model["theta"][value]["value"] if isinstance(value, str) else value)

    product = 1.0
    for effect in table.get("effects", []):
        kind = effect["kind"]
        if kind == "factor":
            product *= number(effect["value"])
            continue
        x = covariates[effect["covariate"]]
        if kind == "power":
            product *= (x / number(effect["ref"])) ** number(effect["exponent"])
        elif kind == "linear":
            product *= 1.0 + number(effect["slope"]) * (x - number(effect["ref"]))
        elif kind == "exponential":
            product *= math.exp(number(effect["slope"]) * (x - number(effect["ref"])))
        elif kind == "sigmoid":
            x50, hill = number(effect["x50"]), number(effect["hill"])
            product *= x**hill / (x50**hill + x**hill)
        elif kind == "saturating":
            x50, hill = number(effect["x50"]), number(effect.get("hill", 1.0))
            product *= math.exp(number(effect["max"]) * x**hill / (x50**hill + x**hill))
        elif kind == "category":
            product *= number(effect["factors"][x])
        elif kind == "steps":
            product *= number(effect["factors"][sum(at <= x for at in effect["at"])])
        else:
            raise ValueError(f"unknown effect {kind!r}")
    return product


def estimated(model: Table, covariates: Table, eta: Numbers | None = None) -> Numbers:
    """Return parameters of the paper: (sum of terms x exp(their eta)) x effects."""
    values = {}
    for name, parameter in model["parameters"].items():
        total = 0.0
        for term in parameter["terms"]:
            theta = model["theta"][term["theta"]]["value"] if "theta" in term else 1.0
            own = math.exp((eta or {}).get(term.get("eta", ""), 0.0))
            total += theta * effects(model, term, covariates) * own
        values[name] = total * effects(model, parameter, covariates)
    return values


def flows_and_volumes(values: Numbers) -> Numbers:
    """Convert parameters of a paper to CL, V1, Q2, V2, Q3, V3; no compartment is Q = 0, V = 1."""
    result = {"CL": values["CL"], "V1": values["V1"]}
    for n in (2, 3):
        if f"Q{n}" in values:
            result[f"Q{n}"], result[f"V{n}"] = values[f"Q{n}"], values[f"V{n}"]
        elif f"k1{n}" in values:
            result[f"Q{n}"] = values[f"k1{n}"] * values["V1"]
            result[f"V{n}"] = result[f"Q{n}"] / values[f"k{n}1"]
        else:
            result[f"Q{n}"], result[f"V{n}"] = 0.0, 1.0
    return result


def typical(model: Table, covariates: Table) -> Numbers:
    """Return CL, Q2, Q3 (L/h) and V1, V2, V3 (L) with every random effect at 0."""
    return flows_and_volumes(in_litres(model, estimated(model, covariates)))


def in_litres(model: Table, values: Numbers) -> Numbers:
    """Convert flows and volumes from the units of a paper to L/h and L."""
    units = model.get("units", {})
    mole = units.get("molar_mass", 285.23) / 1000.0  # mg in 1 umol
    of = {"mg": 1.0, "g": 1000.0, "ug": 0.001, "umol": mole, "nmol": mole / 1000.0}
    amount, conc = units.get("amount", "mg"), units.get("concentration", "mg/L")
    top, bottom = conc.split("/")
    litres = of[amount] / (of.get(top, 1e-6) / {"L": 1.0, "mL": 0.001}[bottom])
    return {name: x if name.startswith("k") else x * litres for name, x in values.items()}


def of_doses(covariates: Table, times: Sequence[float]) -> list[Table]:
    """Return the covariates of every dose: those of the patient, with TIME and DOSE."""
    return [
        {**covariates, "TIME": time - times[0], "DOSE": float(k)}
        for k, time in enumerate(times, start=1)
    ]


def individual(
    model: Table, covariates: Table | Sequence[Table], eta: Numbers, kappas: Sequence[Numbers]
) -> list[Numbers]:
    """Return CL, Q2, Q3 (L/h) and V1, V2, V3 (L) of each occasion; unnamed random effects are 0.

    Covariates are those of all occasions, or a table for each.
    """
    each = [covariates] * len(kappas) if isinstance(covariates, dict) else covariates
    occasions = []
    for kappa, now in zip(kappas, each, strict=True):
        values = estimated(model, now, eta)
        for row in model.get("iiv", []):
            for name, loading in row.get("on", {}).items():
                shift = loading * eta.get(row["name"], 0.0)
                if row.get("kind") == "additive":
                    sum_, least = values[name] + shift, 0.1 * values[name]
                    is_low = sum_ < least
                    u = 2.0 * (sum_ / least - 1.0)
                    values[name] = sum_
                    if is_low:
                        values[name] = least / 2.0 * (1.0 + math.exp(u - u**2 / 2.0 + u**3 / 3.0))
                elif row.get("kind") == "logit":
                    low, high = row["bounds"]
                    odds = (values[name] - low) / (high - values[name]) * math.exp(shift)
                    values[name] = low + (high - low) * odds / (1.0 + odds)
        for rows, effect in ((model.get("iiv", []), eta), (model.get("iov", []), kappa)):
            for row in rows:
                if row.get("kind", "exponential") != "exponential":
                    continue
                for name, loading in row.get("on", {}).items():
                    values[name] *= math.exp(loading * effect.get(row["name"], 0.0))
        occasions.append(flows_and_volumes(in_litres(model, values)))
    return occasions


def omega(model: Table, kind: str) -> tuple[list[str], list[list[float]]]:
    """Return names and covariance matrix of the random effects of a kind, "iiv" or "iov"."""
    variances = {}
    blocks = model.get(f"{kind}_matrices", [])
    printed = {
        name: float(row[-1])
        for block in blocks
        if block["kind"] == "covariance"
        for name, row in zip(block["order"], block["rows"], strict=True)
    }
    for row in model.get(kind, []):
        if row["name"] in printed:
            variances[row["name"]] = printed[row["name"]]
            continue
        value = row["value"]
        variances[row["name"]] = {
            "cv_exact": math.log(1.0 + value**2),
            "cv_approx": value**2,
            "sd": value**2,
            "variance": value,
        }[row["scale"]]
    names = list(variances)
    matrix = [[variances[a] if a == b else 0.0 for b in names] for a in names]
    for row in model.get(f"{kind}_correlations", []):
        a, b = row["between"]
        covariance = row["value"] * math.sqrt(variances[a] * variances[b])
        matrix[names.index(a)][names.index(b)] = covariance
        matrix[names.index(b)][names.index(a)] = covariance
    for block in blocks:
        for a, row in zip(block["order"], block["rows"], strict=True):
            for b, text in zip(block["order"], row[:-1], strict=False):
                unit = (
                    1.0 if block["kind"] == "covariance" else math.sqrt(variances[a] * variances[b])
                )
                matrix[names.index(a)][names.index(b)] = float(text) * unit
                matrix[names.index(b)][names.index(a)] = float(text) * unit
    return names, matrix


def total_mg_l(model: Table) -> float:
    """Return the total concentration (mg/L) of a 1 of the paper, which may be unbound."""
    as_litres = {"units": {**model.get("units", {}), "amount": "mg"}}
    return 1.0 / in_litres(as_litres, {"V1": 1.0})["V1"] / fraction(model)


def fraction(model: Table) -> float:
    """Return the fraction unbound of a model of unbound drug, else 1."""
    binding = model.get("binding", {})
    if binding.get("modelled") != "unbound":
        return 1.0
    fu = binding["fu"]
    return float(model["theta"][fu]["value"] if isinstance(fu, str) else fu)


def residual(model: Table, prediction: float) -> float:
    """Return the SD (mg/L) of a level around its prediction (mg/L); of its log with [ruv.log]."""
    ruv = model["ruv"]
    if "log" in ruv:
        return float(ruv["log"]["value"])
    proportional = ruv.get("proportional", {"value": 0.0})["value"] * prediction
    additive = ruv.get("additive", {"value": 0.0})["value"] * total_mg_l(model)
    if ruv.get("combined") == "sds":
        return float(proportional + additive)
    return math.sqrt(proportional**2 + additive**2)


# --- the course of the drug -----------------------------------------------------------------------


def rates(p: Numbers) -> list[list[float]]:
    """Return K (1/h) of d(amounts)/dt = K amounts + input, for A1, A2, A3 (mg)."""
    k10, k12, k13 = p["CL"] / p["V1"], p["Q2"] / p["V1"], p["Q3"] / p["V1"]
    k21 = p["Q2"] / p["V2"] if p["Q2"] > 0 else 0.0
    k31 = p["Q3"] / p["V3"] if p["Q3"] > 0 else 0.0
    return [[-(k10 + k12 + k13), k21, k31], [k12, -k21, 0.0], [k13, 0.0, -k31]]


def step_ode(p: Numbers, rate: float, state: list[float], hours: float) -> list[float]:
    """Return A1, A2, A3 (mg) and AUC (mg h/L) after hours of constant input (mg/h), by an ODE."""
    k = rates(p)

    def slope(_: float, y: NDArray[np.float64]) -> list[float]:
        a1, a2, a3, _ = y
        return [
            k[0][0] * a1 + k[0][1] * a2 + k[0][2] * a3 + rate,
            k[1][0] * a1 + k[1][1] * a2,
            k[2][0] * a1 + k[2][2] * a3,
            a1 / p["V1"],
        ]

    # atol (mg) is far below any amount, so that rtol also holds for the last trace of drug.
    solution = solve_ivp(slope, (0.0, hours), state, method="DOP853", rtol=1e-12, atol=1e-60)
    if not solution.success:
        raise ArithmeticError(solution.message)
    return [float(y[-1]) for y in solution.y]


def step_expm(p: Numbers, rate: float, state: list[float], hours: float) -> list[float]:
    """Return the result of `step_ode` by one matrix exponential.

    A fifth state that stays 1 carries the input.
    """
    k = rates(p)
    matrix = [
        [*k[0], 0.0, rate],
        [*k[1], 0.0, 0.0],
        [*k[2], 0.0, 0.0],
        [1.0 / p["V1"], 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
    ]
    after = expm(np.array(matrix) * hours) @ np.array([*state, 1.0])
    return [float(y) for y in after[:4]]


def in_force(
    parameters: Numbers | Sequence[Numbers], infusions: Sequence[Infusion], time: float
) -> Numbers:
    """Return the parameters just after `time`: those of the last infusion that has started."""
    if isinstance(parameters, dict):
        return parameters
    assert len(parameters) == len(infusions), "one set of parameters per infusion"
    started = [(start, i) for i, (start, _, _) in enumerate(infusions) if start <= time]
    return parameters[max(started)[1]]


def walk(
    parameters: Numbers | Sequence[Numbers],
    infusions: Sequence[Infusion],
    times: Sequence[float],
    step: Step,
) -> dict[float, tuple[float, list[float]]]:
    """Return concentration (mg/L) and state at the times, and at every start and end of a dose.

    A sample at the start of a dose is taken before it. Amounts are carried over; an occasion
    lasts from one start to the next.
    """
    now = min(start for start, _, _ in infusions)
    stops = {float(t) for t in times}
    for start, duration, _ in infusions:
        stops |= {start, start + duration}
    state, points = [0.0, 0.0, 0.0, 0.0], {}
    for stop in sorted(t for t in stops if t > now):
        rate = sum(mg / hours for start, hours, mg in infusions if start <= now < start + hours)
        p = in_force(parameters, infusions, now)
        state = step(p, rate, state, stop - now)
        points[stop] = (state[0] / p["V1"], state)
        now = stop
    return points


def solve(
    parameters: Numbers | Sequence[Numbers],
    infusions: Sequence[Infusion],
    times: Sequence[float],
    step: Step = step_ode,
) -> tuple[list[float], list[float]]:
    """Return concentrations (mg/L) and cumulative AUC (mg h/L) at the times (h), by solve_ivp.

    Parameters are one set for all infusions, or one for each. Both results are 0 up to the start
    of the first infusion.
    """
    walked = walk(parameters, infusions, times, step)
    before_first_dose = (0.0, [0.0, 0.0, 0.0, 0.0])
    points = [walked.get(float(t), before_first_dose) for t in times]
    return [concentration for concentration, _ in points], [state[3] for _, state in points]


def solve_expm(
    parameters: Numbers | Sequence[Numbers], infusions: Sequence[Infusion], times: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Return the results of `solve` by scipy.linalg.expm."""
    return solve(parameters, infusions, times, step_expm)


def auc_0_inf(parameters: Numbers | Sequence[Numbers], infusions: Sequence[Infusion]) -> float:
    """Return AUC0-inf (mg h/L): to the end of the last infusion, then to infinity.

    Without input the amounts integrate to -K^-1 amounts; the first of them / V1 is the AUC.
    """
    end = max(start + duration for start, duration, _ in infusions)
    _, state = walk(parameters, infusions, [end], step_expm)[end]
    p = in_force(parameters, infusions, end)
    present = [0] + [n - 1 for n in (2, 3) if p[f"Q{n}"] > 0]
    k = np.array(rates(p))[np.ix_(present, present)]
    remaining = np.linalg.solve(-k, np.array([state[i] for i in present]))
    return state[3] + float(remaining[0]) / p["V1"]
