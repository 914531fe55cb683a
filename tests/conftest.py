"""Fixtures: every model, shipped or invented, and its slow twin."""

import signal
from pathlib import Path
from typing import Final

import pytest
import reference
from hypothesis import settings

from fludapk.published.models import Model, load_model, model_folders, model_paths

settings.register_profile("same", derandomize=True, deadline=None)  # the first call may compile
settings.load_profile("same")  # every run tries the same examples

# A shell starts its background jobs with Ctrl-C ignored; the tests that send one need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)

HEAD: Final = """
format = "fludapk.model/1"
id = "{id}"
title = "an invented paper"
compartments = {compartments}

[citation]
authors = "Nobody A, Noone B"
title = "An invented paper"
journal = "J Invented Results"
year = 2000
doi = "10.0000/invented"

[dose]
prescribed = "fludarabine phosphate"
modelled = "F-ara-A"
factor = 0.781
basis = "stated"
evidence = "invented"
source = "invented"

[population]
n = 1
who = "nobody"
description = "Nobody."
regimen = "none"
source = "invented"

[ruv.proportional]
value = 0.1
source = "invented"

[covariates]
AGE = {{ unit = "years", range = [0.1, 90.0], limits = [0.0, 120.0], source = "invented" }}
WT = {{ unit = "kg", range = [3.0, 150.0], limits = [1.0, 300.0], source = "invented" }}
"""

ONE_COMPARTMENT: Final = """
[theta]
CL = { value = 6.5, unit = "L/h", rse_percent = 5.0, ci95 = [5.5, 7.5], source = "invented" }
V1 = { value = 60.0, unit = "L", source = "invented" }

[parameters.CL]
unit = "L/h"
terms = [{ theta = "CL" }]
effects = [{ kind = "power", covariate = "WT", ref = 70.0, exponent = 0.75 }]

[parameters.V1]
unit = "L"
terms = [{ theta = "V1" }]
effects = [{ kind = "power", covariate = "WT", ref = 70.0, exponent = 1.0 }]

[[iiv]]
name = "eta_CL"
value = 0.3
scale = "sd"
on = { CL = 1.0 }
source = "invented"

[[reproduces]]
what = "CL at 70 kg"
quantity = "CL"
at = { WT = 70.0 }
printed = "6.5"
unit = "L/h"
source = "invented"
"""

TWO_FLOWS: Final = """

[covariates.CrCl]
unit = "mL/min"
range = [20.0, 200.0]
limits = [1.0, 400.0]
rules = [{ formula = "cockcroft_gault" }]
source = "invented"

[theta]
CLnr = { value = 3.0, unit = "L/h", source = "invented" }
CLr = { value = 2.5, unit = "L/h", source = "invented" }
V1 = { value = 42.0, unit = "L", source = "invented" }
Q2 = { value = 7.0, unit = "L/h", source = "invented" }
V2 = { value = 33.0, unit = "L", source = "invented" }

[parameters.CL]
unit = "L/h"
terms = [
    { name = "non-renal", theta = "CLnr" },
    { name = "renal", theta = "CLr", effects = [
        { kind = "linear", covariate = "CrCl", ref = 100.0, slope = 0.008 },
    ] },
]

[parameters.V1]
unit = "L"
terms = [{ theta = "V1" }]

[parameters.Q2]
unit = "L/h"
terms = [{ theta = "Q2" }]

[parameters.V2]
unit = "L"
terms = [{ theta = "V2" }]
effects = [{ kind = "power", covariate = "WT", ref = 70.0, exponent = 1.0 }]

[[iiv]]
name = "eta_CL"
value = 0.09
scale = "variance"
on = { CL = 1.0, Q2 = 0.5 }
source = "invented"

[[iov]]
name = "kappa_V1"
value = 0.2
scale = "cv_approx"
on = { V1 = 1.0 }
source = "invented"

[[reproduces]]
what = "V1"
quantity = "V1"
at = { WT = 70.0 }
printed = "42"
unit = "L"
source = "invented"
"""

TWO_RATES: Final = """
[theta]
CL = { value = 5.0, unit = "L/h", source = "invented" }
V1 = { value = 35.0, unit = "L", source = "invented" }
k12 = { value = 0.4, unit = "1/h", source = "invented" }
k21 = { value = 0.2, unit = "1/h", source = "invented" }

[parameters.CL]
unit = "L/h"
terms = [{ theta = "CL" }]
effects = [{ kind = "power", covariate = "WT", ref = 70.0, exponent = 0.75 }]

[parameters.V1]
unit = "L"
terms = [{ theta = "V1" }]
effects = [{ kind = "power", covariate = "WT", ref = 70.0, exponent = 1.0 }]

[parameters.k12]
unit = "1/h"
terms = [{ theta = "k12" }]

[parameters.k21]
unit = "1/h"
terms = [{ theta = "k21" }]
effects = [{ kind = "exponential", covariate = "AGE", ref = 40.0, slope = -0.004 }]

[[iiv]]
name = "eta_CL"
value = 0.3
scale = "cv_exact"
on = { CL = 1.0 }
source = "invented"

[[iov]]
name = "kappa_k21"
value = 0.25
scale = "cv_exact"
on = { k21 = 1.0, V1 = -0.5 }
source = "invented"

[[reproduces]]
what = "CL at 70 kg"
quantity = "CL"
at = { WT = 70.0, AGE = 40.0 }
printed = "5.0"
unit = "L/h"
source = "invented"
"""

THREE_RATES: Final = TWO_RATES.replace(
    "\n[parameters.CL]",
    """k13 = { value = 0.1, unit = "1/h", source = "invented" }
k31 = { value = 0.05, unit = "1/h", source = "invented" }

[parameters.k13]
unit = "1/h"
terms = [{ theta = "k13" }]

[parameters.k31]
unit = "1/h"
terms = [{ theta = "k31" }]

[parameters.CL]""",
    1,
).replace("k21 = 1.0, V1 = -0.5", "k21 = 1.0, k31 = 0.7, k13 = -0.2")

ALL_EFFECTS: Final = """
HT = { unit = "cm", range = [45.0, 200.0], limits = [30.0, 250.0], source = "invented" }
product = { levels = ["axi_cel", "tisa_cel"], source = "invented" }
diagnosis = { levels = ["b_all", "lbcl"], source = "invented" }

[covariates.eGFR]
unit = "mL/min/1.73 m2"
range = [10.0, 200.0]
limits = [1.0, 300.0]
rules = [
    { formula = "cockcroft_gault", sex = "male", age_from = 16.0 },
    { formula = "schwartz_bedside" },
]
cap = { by = "AGE", knots = [[0.0, 40.0], [2.0, 150.0], [90.0, 60.0]], source = "invented" }
source = "invented"

[covariates.GFR]
unit = "L/h/70kg"
derived = "gfr_l_h_per_70kg"
source = "invented"

[theta]
CLnr = { value = 3.1, unit = "L/h", source = "invented" }
slope = { value = 0.7, unit = "1", source = "invented" }
V1 = { value = 38.0, unit = "L", source = "invented" }
Q2 = { value = 8.0, unit = "L/h", source = "invented" }
V2 = { value = 21.0, unit = "L", source = "invented" }
Q3 = { value = 3.5, unit = "L/h", source = "invented" }
V3 = { value = 48.0, unit = "L", source = "invented" }
tisa = { value = 0.9, unit = "1", source = "invented" }
half = { value = 0.8, unit = "years", source = "invented" }
hill = { value = 3.4, unit = "1", source = "invented" }
flow = { value = 0.75, unit = "1", fixed = true, source = "invented" }

[parameters.CL]
unit = "L/h"
terms = [
    { name = "renal", theta = "slope", effects = [
        { kind = "power", covariate = "GFR", ref = 1.0, exponent = 1.0 },
    ] },
    { name = "non-renal", theta = "CLnr", effects = [
        { kind = "category", covariate = "product", factors = { axi_cel = 1, tisa_cel = "tisa" } },
        { kind = "sigmoid", covariate = "AGE", x50 = "half", hill = "hill" },
    ] },
]
effects = [{ kind = "power", covariate = "WT", ref = 70.0, exponent = "flow" }]

[parameters.V1]
unit = "L"
terms = [{ theta = "V1" }]
effects = [
    { kind = "power", covariate = "WT", ref = 70.0, exponent = 1.0 },
    { kind = "exponential", covariate = "AGE", ref = 40.0, slope = 0.002 },
]

[parameters.Q2]
unit = "L/h"
terms = [{ theta = "Q2" }]
effects = [{ kind = "linear", covariate = "HT", ref = 170.0, slope = 0.004 }]

[parameters.V2]
unit = "L"
terms = [{ theta = "V2" }]
effects = [
    { kind = "category", covariate = "diagnosis", factors = { b_all = 0.8, lbcl = 1.2 } },
    { kind = "power", covariate = "WT", ref = 70.0, exponent = 1.0 },
]

[parameters.Q3]
unit = "L/h"
terms = [{ effects = [
    { kind = "category", covariate = "diagnosis", factors = { lbcl = "Q3", b_all = 4.0 } },
] }]

[parameters.V3]
unit = "L"
terms = [{ theta = "V3" }]

[[iiv]]
name = "eta_CL"
value = 0.25
scale = "cv_exact"
on = { CL = 1.0, Q2 = 1.0, Q3 = 1.0 }
source = "invented"

[[iiv]]
name = "eta_V"
value = 0.4
scale = "cv_approx"
on = { V1 = 1.0, V2 = 1.0, V3 = 1.0 }
source = "invented"

[[iiv]]
name = "eta_V3"
value = 0.16
scale = "variance"
on = { V3 = 0.5 }
source = "invented"

[[iiv_correlations]]
between = ["eta_CL", "eta_V"]
value = 0.6
source = "invented"

[[iiv_correlations]]
between = ["eta_V3", "eta_CL"]
value = -0.3
source = "invented"

[[iov]]
name = "kappa_CL"
value = 0.15
scale = "sd"
on = { CL = 1.0, Q2 = 1.0, Q3 = 1.0 }
source = "invented"

[[iov]]
name = "kappa_V"
value = 0.3
scale = "cv_exact"
on = { V1 = 1.0, V2 = 1.0, V3 = 1.0 }
source = "invented"

[[iov_correlations]]
between = ["kappa_CL", "kappa_V"]
value = 0.5
source = "invented"

[[reproduces]]
what = "V3"
quantity = "V3"
at = { WT = 70.0 }
printed = "48"
unit = "L"
source = "invented"
"""

INVENTED: Final = {
    "one_compartment": (1, ONE_COMPARTMENT),
    "two_flows": (2, TWO_FLOWS),
    "two_rates": (2, TWO_RATES),
    "three_rates": (3, THREE_RATES),
    "all_effects": (3, ALL_EFFECTS),
}
"""Invented papers with features that no shipped one has: name -> compartments, rest of the file."""


@pytest.fixture(scope="session")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of invented papers."""
    folder = tmp_path_factory.mktemp("papers")
    for name, (compartments, rest) in INVENTED.items():
        text = HEAD.format(id=name, compartments=compartments) + rest
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def folders(invented: Path) -> list[Path]:
    """Folders searched for models: the invented papers, then the shipped ones."""
    return model_folders(invented)


@pytest.fixture(scope="session", params=[*model_paths(), *INVENTED])
def model(request: pytest.FixtureRequest, folders: list[Path]) -> Model:
    """Each model in turn, shipped or invented."""
    return load_model(request.param, folders)


@pytest.fixture(scope="session")
def twin(model: Model) -> reference.Table:
    """The file of `model`, read by the twin."""
    return reference.load(model.path)
