"""Invented papers that use what few papers have, for `test_grammar` and the exports."""

from typing import Final

OF_DOSES: Final = """
HT = { unit = "cm", range = [45.0, 200.0], limits = [30.0, 250.0], source = "invented" }
PMA = { unit = "weeks", range = [24.0, 4700.0], limits = [22.0, 7000.0], source = "invented" }
SEX = { levels = ["male", "female"], source = "invented" }
TIME = { unit = "h", source = "invented" }
DOSE = { unit = "1", source = "invented" }
graft = { levels = ["none", "own", "other"], source = "invented" }
lean = { unit = "kg", derived = "al_sallami", source = "invented" }

[covariates.NFM]
unit = "kg"
derived = "normal_fat_mass"
of = { FFM = "lean" }
fat = "Ffat"
source = "invented"

[covariates.CrCl]
unit = "mL/min"
range = [10.0, 200.0]
limits = [1.0, 400.0]
rules = [{ formula = "cockcroft_gault" }]
source = "invented"

[theta]
CLnr = { value = 3.0, unit = "L/h", source = "invented" }
CLr = { value = 2.5, unit = "L/h", source = "invented" }
CLt = { value = 1.4, unit = "L/h", source = "invented" }
decay = { value = -0.03, unit = "1/h", source = "invented" }
scale = { value = 1.1, unit = "1", source = "invented" }
V1 = { value = 30.0, unit = "L", source = "invented" }
Q2 = { value = 6.0, unit = "L/h", source = "invented" }
V2 = { value = 33.0, unit = "L", source = "invented" }
Ffat = { value = 0.4, unit = "1", source = "invented" }
later = { value = 0.92, unit = "1", source = "invented" }

[parameters.CL]
unit = "L/h"
terms = [
    { name = "non-renal", theta = "CLnr", eta = "eta_nr" },
    { name = "renal", theta = "CLr", eta = "eta_r", effects = [
        { kind = "power", covariate = "CrCl", ref = 100.0, exponent = 1.0 },
    ] },
    { name = "non-renal", theta = "CLt", effects = [
        { kind = "exponential", covariate = "TIME", ref = 0.0, slope = "decay" },
    ] },
]
effects = [
    { kind = "factor", value = "scale" },
    { kind = "sigmoid", covariate = "PMA", x50 = 47.7, hill = 3.4 },
    { kind = "power", covariate = "NFM", ref = 56.1, exponent = 0.75 },
    { kind = "steps", covariate = "TIME", at = [20.0, 40.0], factors = [1.0, "later", 0.85] },
    { kind = "steps", covariate = "AGE", at = [65.0], factors = [1.0, 0.9] },
    { kind = "category", covariate = "graft", factors = { none = 1, own = 0.9, other = 0.8 } },
]

[parameters.V1]
unit = "L"
terms = [{ theta = "V1" }]
effects = [
    { kind = "power", covariate = "lean", ref = 56.1, exponent = 1.0 },
    { kind = "category", covariate = "SEX", factors = { female = 1.07, male = 1.0 } },
]

[parameters.Q2]
unit = "L/h"
terms = [{ theta = "Q2" }]
effects = [
    { kind = "linear", covariate = "DOSE", ref = 1.0, slope = 0.05 },
    { kind = "saturating", covariate = "TIME", max = -0.3, x50 = 30.0, hill = 1.2 },
]

[parameters.V2]
unit = "L"
terms = [{ theta = "V2" }]

[[iiv]]
name = "eta_nr"
source = "invented"

[[iiv]]
name = "eta_r"
source = "invented"

[[iiv]]
name = "eta_V1"
value = 3.0
scale = "sd"
kind = "additive"
on = { V1 = 1.0 }
source = "invented"

[[iiv]]
name = "eta_V2"
value = 0.4
scale = "variance"
kind = "logit"
bounds = [5.0, 90.0]
on = { V2 = 1.0 }
source = "invented"

[[iiv]]
name = "eta_Q2"
value = 0.2
scale = "cv_exact"
on = { Q2 = 1.0, CL = 0.3 }
source = "invented"

[[iiv_matrices]]
kind = "covariance"
order = ["eta_nr", "eta_r"]
rows = [["0.09"], ["0.04", "0.12"]]
source = "invented"

[[iiv_matrices]]
kind = "correlation"
order = ["eta_Q2", "eta_V1"]
rows = [["1"], ["-0.35", "1"]]
source = "invented"

[[iov]]
name = "kappa_CL"
value = 0.15
scale = "sd"
on = { CL = 1.0 }
source = "invented"

[[reproduces]]
what = "V2"
quantity = "V2"
at = { SEX = "male", graft = "none" }
printed = "33"
unit = "L"
source = "invented"
"""

OTHER_UNITS: Final = """
[units]
amount = "mg"
concentration = "umol/L"
source = "invented"

[binding]
modelled = "unbound"
fu = "fu"
source = "invented"

[theta]
CL = { value = 2.1, unit = "mg/h/(umol/L)", source = "invented" }
V1 = { value = 14.0, unit = "mg/(umol/L)", source = "invented" }
k12 = { value = 0.3, unit = "1/h", source = "invented" }
k21 = { value = 0.2, unit = "1/h", source = "invented" }
fu = { value = 0.8, unit = "1", source = "invented" }

[parameters.CL]
unit = "mg/h/(umol/L)"
terms = [{ theta = "CL" }]
effects = [{ kind = "power", covariate = "WT", ref = 70.0, exponent = 0.75 }]

[parameters.V1]
unit = "mg/(umol/L)"
terms = [{ theta = "V1" }]

[parameters.k12]
unit = "1/h"
terms = [{ theta = "k12" }]

[parameters.k21]
unit = "1/h"
terms = [{ theta = "k21" }]
effects = [{ kind = "linear", covariate = "DOSE", ref = 1.0, slope = 0.1 }]

[covariates.DOSE]
unit = "1"
source = "invented"

[[iiv]]
name = "eta_CL"
value = 0.4
scale = "sd"
kind = "additive"
on = { CL = 1.0 }
source = "invented"

[[iiv]]
name = "eta_k12"
value = 0.05
scale = "sd"
kind = "additive"
on = { k12 = 1.0 }
source = "invented"

[[reproduces]]
what = "CL at 70 kg"
quantity = "CL"
at = { WT = 70.0 }
printed = "2.1"
unit = "mg/h/(umol/L)"
source = "invented"
"""

COMBINED: Final = """
[ruv.additive]
value = 0.02
source = "invented"
"""

PAPERS: Final = {"of_doses": (2, OF_DOSES), "other_units": (2, OTHER_UNITS)}
"""Name -> compartments, rest of the file."""


def paper(head: str, name: str) -> str:
    """Write the file of an invented paper."""
    compartments, rest = PAPERS[name]
    error = "[ruv.proportional]"
    text = head.format(id=name, compartments=compartments) + rest
    return text.replace(error, f'[ruv]\ncombined = "sds"\n{COMBINED}\n{error}', 1)
