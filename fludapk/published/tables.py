"""Tables of TOML files, checked strictly with all faults at once."""

import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)

from fludapk.atomic import read_bytes
from fludapk.errors import FileError, InputError

PATIENT_COVARIATES: Final = {
    "AGE": "years",
    "WT": "kg",
    "HT": "cm",
    "BSA": "m2",
    "SCR": "mg/dL",
    "eGFR": "mL/min/1.73 m2",
    "CrCl": "mL/min",
    "GA": "weeks",
    "PMA": "weeks",
}
"""Covariate of every patient -> the unit that a model file must give it."""
COURSE_COVARIATES: Final = {"TIME": "h", "DOSE": "1"}
"""Covariate of every dose -> its unit: start, from that of the first dose; number, from 1."""
SEX: Final = "SEX"
SEXES: Final = ("female", "male")
CATEGORICAL: Final = ("product", "diagnosis", "genotype")

FLUDARABINE: Final = "fludarabine phosphate"
"""The drug whose doses are computed; models of others are read, shown and exported only."""

DATA: Final = Path(__file__).resolve().parents[1] / "data"
"""Data files that ship inside the package."""


def _filled(text: str) -> str:
    """Refuse what a draft leaves open."""
    if text == TO_BE_FILLED:
        raise ValueError(f"is still {TO_BE_FILLED!r}")
    return text


TO_BE_FILLED: Final = "to be filled"
"""Stands in a draft where a person has to say something."""
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_filled)
]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Positive = Annotated[float, Field(gt=0)]


class Table(BaseModel):
    """A table of a file: no unknown keys, no coercion, no NaN, no change after loading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,
    )

    @classmethod
    def cross_faults(cls, raw: Mapping[str, Any]) -> list[str]:
        """Return the faults between tables, found even where a table has faults of its own."""
        return []


def defined(kind: str) -> AfterValidator:
    """Check that a name is one of the names that the file itself defines (see `names_in`)."""

    def check(name: str, info: ValidationInfo) -> str:
        names: Sequence[str] = (info.context or {}).get(kind, [name])
        if name not in names:
            raise ValueError(
                f"{name!r} is not a {kind} of this file ({', '.join(names) or 'none'})"
            )
        return name

    return AfterValidator(check)


def must_rise(name: str, values: Sequence[float]) -> None:
    """Raise ValueError unless each value is above the one before it."""
    if any(b <= a for a, b in pairwise(values)):
        raise ValueError(f"{name} must rise: {list(values)}")


def tables_in(raw: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """Return the tables in a table, leaving out anything else that is there by mistake."""
    value = raw.get(key)
    items = value.items() if isinstance(value, dict) else ()
    return {name: table for name, table in items if isinstance(table, dict)}


def rows_in(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the tables in a list, leaving out anything else that is there by mistake."""
    value = raw.get(key)
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def names_in(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the names that a file defines, read tolerantly so that references can be checked."""
    covariates = tables_in(raw, "covariates")
    return {
        "theta": list(tables_in(raw, "theta")),
        "covariate": list(covariates),
        "parameter": list(tables_in(raw, "parameters")),
        "iiv": [str(row.get("name")) for row in rows_in(raw, "iiv")],
        "iov": [str(row.get("name")) for row in rows_in(raw, "iov")],
        "categories": {name: _levels_in(table) for name, table in covariates.items()},
    }


def _levels_in(covariate: Mapping[str, Any]) -> list[str]:
    levels = covariate.get("levels")
    return [str(level) for level in levels] if isinstance(levels, list) else []


# ------------------------------------------------------------------ reading

T = TypeVar("T", bound=Table)


def read_toml(path: Path, kind: type[T]) -> T:
    """Read and check a TOML file.

    Parameters
    ----------
    path : Path
    kind : subclass of Table
        Grammar of the file.

    Raises
    ------
    FileError
        If the file cannot be read or has faults; all are listed, each with its key path.
    """
    try:
        raw = tomllib.loads(read_bytes(path).decode("utf-8").replace("\r\n", "\n"))
    except InputError as error:
        raise FileError(*error.faults) from error
    except RecursionError as error:
        raise FileError(f"{path}: is not TOML that can be read: nested too deeply") from error
    except ValueError as error:  # also an integer of too many digits
        raise FileError(f"{path}: is not TOML: {error}") from error
    return check_table(raw, kind, str(path))


def check_table(raw: Mapping[str, Any], kind: type[T], where: str) -> T:
    """Check a table that was read from the file named in `where`; see `read_toml`."""
    faults = kind.cross_faults(raw)
    try:
        table = kind.model_validate(dict(raw), context=names_in(raw))
    except ValidationError as error:
        faults = [*_faults(error), *faults]
    if faults:
        raise FileError(*(f"{where}: {fault}" for fault in dict.fromkeys(faults)))
    return table


def _faults(error: ValidationError) -> list[str]:
    """Return one line per fault, with its key path."""
    faults = []
    for item in error.errors(include_url=False):
        path, previous = "", None
        for part in item["loc"]:
            is_kind = path.startswith("strategies") and isinstance(previous, int)
            if isinstance(part, int):
                path += f"[{part}]"
            elif not is_kind and (part not in _NOT_A_KEY or _is_a_key(part, previous)):
                path += f".{part}" if path else part
            previous = part
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] not in ("value_error", "missing", "extra_forbidden"):
            message += f", not {item['input']!r}"
        faults.append(f"{path or 'file'}: {message}")
    return faults


def _is_a_key(part: str, previous: object) -> bool:
    """Tell the factor of a dose from the kind of an effect in a list."""
    return part == "factor" and not isinstance(previous, int)


_NOT_A_KEY = (
    *("[key]", "float", "str", "power", "linear", "exponential", "sigmoid", "category", "steps"),
    *("saturating", "factor"),
    *("quantiles", "uniform", "beta", "[use]", "[file]", "[custom]"),
)
"""Parts of pydantic's locations that are not keys of the file."""
