"""fludapk: cumulative exposure to fludarabine (F-ara-A) from dose, size and kidney function.

Research and second-check software, not a medical device.

Examples
--------
>>> import fludapk as fl
>>> girl = fl.Patient(age=5, sex="female", weight=18.2, height=110, scr="0.3 mg/dL")
>>> fl.check(girl, fl.Regimen.named("tisa_cel_ball"))
<check by langenhorst2019: AUC0-inf 13.58 mg·h/L, 90 % 9.3-20.1>
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from fludapk._version import __version__ as __version__
from fludapk.pages.renderers import register_all

if TYPE_CHECKING:
    from fludapk.answers.case import open_case, save_case
    from fludapk.answers.catalogue import models, outcomes, regimens, targets
    from fludapk.answers.check import check
    from fludapk.answers.check_table import check_table
    from fludapk.answers.compare import compare
    from fludapk.answers.curve import concentrations
    from fludapk.answers.design import design
    from fludapk.answers.dose import find_dose
    from fludapk.answers.nomogram import nomogram
    from fludapk.answers.qualification import qualify
    from fludapk.answers.update import update
    from fludapk.answers.verify import verify
    from fludapk.patients.model_weights import averaged_by
    from fludapk.patients.patient import Patient
    from fludapk.patients.regimen import Regimen
    from fludapk.patients.vials import share_vials
    from fludapk.studies.common_study import common_study
    from fludapk.studies.evaluate import evaluate
    from fludapk.studies.simulate import simulate

__all__ = [
    "Patient",
    "Regimen",
    "averaged_by",
    "check",
    "check_table",
    "common_study",
    "compare",
    "concentrations",
    "design",
    "evaluate",
    "find_dose",
    "models",
    "nomogram",
    "open_case",
    "outcomes",
    "qualify",
    "regimens",
    "save_case",
    "share_vials",
    "simulate",
    "targets",
    "update",
    "verify",
]

_HOMES: Final = {
    "Patient": "fludapk.patients.patient",
    "Regimen": "fludapk.patients.regimen",
    "averaged_by": "fludapk.patients.model_weights",
    "check": "fludapk.answers.check",
    "check_table": "fludapk.answers.check_table",
    "common_study": "fludapk.studies.common_study",
    "compare": "fludapk.answers.compare",
    "concentrations": "fludapk.answers.curve",
    "design": "fludapk.answers.design",
    "evaluate": "fludapk.studies.evaluate",
    "find_dose": "fludapk.answers.dose",
    "models": "fludapk.answers.catalogue",
    "nomogram": "fludapk.answers.nomogram",
    "open_case": "fludapk.answers.case",
    "outcomes": "fludapk.answers.catalogue",
    "qualify": "fludapk.answers.qualification",
    "regimens": "fludapk.answers.catalogue",
    "save_case": "fludapk.answers.case",
    "share_vials": "fludapk.patients.vials",
    "simulate": "fludapk.studies.simulate",
    "targets": "fludapk.answers.catalogue",
    "update": "fludapk.answers.update",
    "verify": "fludapk.answers.verify",
}
"""Module of each public name, imported when the name is asked for: a check must start quickly."""

register_all()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
