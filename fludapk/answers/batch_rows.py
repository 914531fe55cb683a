"""One row of results of a list: names, values, and names that clash with none of the list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeAlias

from fludapk.answers.check_records import CheckResult, ExposureRecord, PatientRecord, RegimenRecord
from fludapk.answers.record import Provenance
from fludapk.errors import FludapkError
from fludapk.patients.csv_list import Value
from fludapk.published.models import load_models
from fludapk.published.targets import targets

Record: TypeAlias = dict[str, Value]


def result_columns(folders: Sequence[Path] | None = None) -> list[str]:
    """Names of the results, as in ``fludapk check --json``; the answer first."""
    names = ["error", "flag"]
    names += [
        name
        for part in fields(ExposureRecord)
        if part.name != "auc_per_dose"
        for name in _split(part.name)
    ]
    names += ["models_agree", "warnings"]
    for entry in targets().values():
        names += [f"{entry.id}_{what}" for what in _TARGET]
    names += [f"{model.id}_{what}" for model in load_models(folders) for what in _RIVAL]
    names += [part.name for part in fields(PatientRecord)]
    names += [_REGIMEN.get(part.name, part.name) for part in fields(RegimenRecord)]
    names += ["model", "label_rules_refusing", *(part.name for part in fields(Provenance))]
    return names


_TARGET: Final = ("status", "p_below", "p_within", "p_above", "applies")
_RIVAL: Final = ("applies", "auc_0_inf", "flag")
_REGIMEN: Final = {"id": "regimen", "title": "regimen_title"}


def _split(name: str) -> list[str]:
    return [f"{name}_low", f"{name}_high"] if name.endswith("_pi90") else [name]


def record_of(outcome: CheckResult | FludapkError) -> Record:
    """The scalar fields of a check by name, or the error.

    Examples
    --------
    >>> from fludapk.errors import InputError
    >>> record_of(InputError("age is missing"))
    {'error': 'age is missing'}
    """
    if isinstance(outcome, FludapkError):
        return {"error": "; ".join(plain(fault) for fault in outcome.faults)}
    found: Record = {"error": None, "flag": outcome.flag, "models_agree": outcome.models_agree}
    found.update(_scalars(outcome.exposure))
    found["auc_0_inf_pi90_low"], found["auc_0_inf_pi90_high"] = outcome.exposure.auc_0_inf_pi90
    found["warnings"] = "; ".join(w.code for w in outcome.warnings if w.level == "caution")
    for target in outcome.targets:
        found.update({f"{target.id}_{what}": getattr(target, what) for what in _TARGET})
    for rival in outcome.sensitivity:
        found.update({f"{rival.model}_{what}": getattr(rival, what) for what in _RIVAL})
    found.update(_scalars(outcome.patient))
    found.update({_REGIMEN.get(k, k): v for k, v in _scalars(outcome.regimen).items()})
    found["doses_mg"] = " ".join(f"{dose:.12g}" for dose in outcome.regimen.doses_mg)
    found["times_h"] = " ".join(f"{time:.12g}" for time in outcome.regimen.times_h)
    found["model"] = outcome.model
    found["label_rules_refusing"] = "; ".join(r.id for r in outcome.label_rules if r.refused)
    found.update(_scalars(outcome.provenance))
    return found


def _scalars(record: Any) -> Record:
    return {k: v for k, v in vars(record).items() if not isinstance(v, list | tuple)}


def plain(fault: str) -> str:
    """A fault without the options of the command line.

    Examples
    --------
    >>> plain("age is missing: give --age")
    'age is missing'
    """
    return re.sub(r"--(?=[a-z])", "", re.sub(r": give --\w+$", "", fault))


def clear_names(names: Sequence[str], taken: Sequence[str]) -> list[str]:
    """Names of the results that no column of the list has.

    Examples
    --------
    >>> clear_names(["flag", "model"], ["ID", "model"])
    ['flag', 'result_model']
    """
    used, clear = set(taken), []
    for name in names:
        while name in used:
            name = f"result_{name}"
        used.add(name)
        clear.append(name)
    return clear


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names told apart, for JSON.

    Examples
    --------
    >>> distinct_names(["note", "", "note", ""])
    ['note', '', 'note (2)', ' (2)']
    """
    taken, distinct = set(names), []
    times: Counter[str] = Counter()
    for name in names:
        times[name] += 1
        again = name
        while times[name] > 1 and again in taken:
            again = f"{name} ({times[name]})"
            times[name] += again in taken
        taken.add(again)
        distinct.append(again)
    return distinct
