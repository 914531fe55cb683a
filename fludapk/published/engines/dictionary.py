"""Words of a model file that no engine has, as comments of an export: units, covariates, names.

They stand in the notation of model files, so that an import reads them back to the letter.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from fludapk.published.model_files import ModelFile

HEAD: Final = "In the words of the model file:"
_ENTRY: Final = re.compile(r"[;#] (\S+ =.*)")
_MORE: Final = re.compile(r"[;#]   (\S.*)")


def words_of(file: ModelFile) -> list[str]:
    """Write what the statements of a model do not say, an entry each.

    Parameters
    ----------
    file : ModelFile
    """
    entries: dict[str, Any] = {"dose": _plain(file.dose), "units": _plain(file.units),
                               "binding": _plain(file.binding)}  # fmt: skip
    entries |= {f"covariates.{_key(name)}": _plain(x) for name, x in file.covariates.items()}
    for name, theta in file.theta.items():
        entries[f"theta.{_key(name)}"] = theta.model_dump(
            include={"unit", "fixed"}, exclude_defaults=True
        )
    entries["effects"] = [effect.name for effect in (*file.iiv, *file.iov)]
    for name, parameter in file.parameters.items():
        if any(term.name for term in parameter.terms):
            entries[f"terms.{name}"] = [term.name or "" for term in parameter.terms]
    return [HEAD, *(f"{key} = {inline(value)}" for key, value in entries.items() if value)]


def _plain(table: Any) -> Any:
    """Return a table without what a person has to say again."""
    if table is None:
        return None
    rest = table.model_dump(exclude_defaults=True, exclude={"source", "evidence"})
    if "cap" in rest:
        del rest["cap"]["source"]
    return rest


def words_in(text: str) -> Mapping[str, Any]:
    r"""Read the words of a model file from the comments of an export; none of another text.

    Examples
    --------
    >>> words_in("; In the words of the model file:\n; units.amount =\n;   'mg'\n$PK\n")
    {'units': {'amount': 'mg'}}
    """
    lines = iter(text.splitlines())
    if not any(line[2:] == HEAD for line in lines):
        return {}
    entries: list[str] = []
    for line in lines:
        entry, more = _ENTRY.fullmatch(line), _MORE.fullmatch(line)
        if entry:
            entries.append(entry[1])
        elif more and entries:
            entries[-1] += f" {more[1]}"
        else:
            break
    try:
        words = tomllib.loads("\n".join(entries))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    return words if _are_sound(words) else {}


def _are_sound(words: Mapping[str, Any]) -> bool:
    """Tell words as an export writes them from those that somebody has changed beyond reading."""
    keys = ("dose", "units", "binding", "covariates", "theta", "terms")
    tables = [words.get(key, {}) for key in keys]
    if not all(isinstance(table, dict) for table in tables):
        return False
    inner = [*words.get("covariates", {}).values(), *words.get("theta", {}).values()]
    lists = [words.get("effects", []), *words.get("terms", {}).values()]
    if not all(isinstance(table, dict) for table in inner):
        return False
    lists += [table.get("levels", []) for table in inner]
    texts = all(isinstance(x, list) and all(isinstance(y, str) for y in x) for x in lists)
    caps = all(isinstance(table.get("cap", {}), dict) for table in inner)
    return texts and caps and _is_plain(words)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(map(_is_plain, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def inline(value: Any) -> str:
    """Write a value of TOML on one line.

    Examples
    --------
    >>> inline({"covariate": "WT", "ref": 70.0, "on": [1, "a"]})
    '{ covariate = "WT", ref = 70, on = [1, "a"] }'
    """
    if isinstance(value, dict) and not value:
        return "{}"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {inline(x)}" for key, x in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(inline(x) for x in value) + "]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(int(value)) if abs(value) < 1e15 and value == int(value) else repr(float(value))


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'
