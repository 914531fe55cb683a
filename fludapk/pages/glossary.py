"""Short explanations of the terms of an answer, for whoever points at one."""

from __future__ import annotations

from typing import Final, NamedTuple

from fludapk.language import marked


class Term(NamedTuple):
    """A term and its explanation, in English: `fludapk.language.tr` words them where shown."""

    name: str
    text: str


TERMS: Final = {
    "chance": Term(
        marked("chance"),
        marked(
            "The share of simulated patients of this age, size and kidney function whose AUC is "
            "on that side of the target. It is about patients like this one; only measured "
            "levels are about this one."
        ),
    ),
    "auc": Term(
        marked("AUC0-inf"),
        marked(
            "The area under the concentration of F-ara-A in plasma from the first dose to "
            "infinity, of all doses of the course together, in mg·h/L: the exposure of the whole "
            "course."
        ),
    ),
    "interval": Term(
        marked("90 % interval"),
        marked(
            "90 of 100 such patients are inside, 5 below and 5 above. It holds the differences "
            "between patients (IIV) and between days of a patient (IOV); the uncertainty of the "
            "model's own numbers only where the answer says so."
        ),
    ),
    "typical": Term(
        marked("typical patient"),
        marked(
            "A patient whose clearance and volumes are those that the model predicts from age, "
            "size and kidney function: half of such patients have more, half less."
        ),
    ),
    "egfr": Term(
        marked("eGFR, capped"),
        marked(
            "Kidney function estimated by a formula from creatinine, in mL/min per 1.73 m² of "
            "body surface. A model counts no more than its highest value for the age: then it is "
            "capped. Creatinine clearance, in mL/min, is another quantity and is never taken "
            "for it."
        ),
    ),
    "iiv": Term(
        marked("IIV and IOV"),
        marked(
            "Variability between patients who look alike (IIV), and of one patient between days "
            "(IOV). Levels after one dose tell about the first; the second stays."
        ),
    ),
    "targets": Term(
        marked("target"),
        marked(
            "An AUC, or a window, beyond which a paper found better or worse outcomes, looking "
            "back. It fits a patient whose disease, product and age are those of the paper."
        ),
    ),
    "models": Term(
        marked("model"),
        marked(
            "A published population model of fludarabine. Another reading of the same paper is "
            "shown for comparison and does not count as a second opinion."
        ),
    ),
    "labels": Term(
        marked("label's rule"),
        marked(
            "The dose reduction that a product label prints for low kidney function, for its own "
            "diseases. It stands beside the model's answer and never replaces it."
        ),
    ),
    "trail": Term(
        marked("calculation"),
        marked(
            "Every step from what was typed to the AUC, with its formula, to be done again by hand."
        ),
    ),
}
"""Key in the templates -> term."""
