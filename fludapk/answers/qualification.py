"""Qualification: the record that a hospital files before use and after each update."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fludapk._version import __version__
from fludapk.answers.case import is_same
from fludapk.answers.credibility import INTENDED_USE, credibility
from fludapk.answers.hospital_cases import hospital_checks
from fludapk.answers.installation import file_checks, installation
from fludapk.answers.operation import (
    engine_checks,
    formula_checks,
    is_number,
    kernel_checks,
    known_answer_checks,
    published_checks,
    tolerance,
)
from fludapk.answers.qualification_records import (
    SECTIONS,
    Checked,
    Moved,
    Part,
    Qualification,
    Section,
    Since,
    of_section,
)
from fludapk.answers.record import document, to_plain
from fludapk.errors import Fault, InputError
from fludapk.patients.case_file import Scalar
from fludapk.published.models import load_models

SCHEMA: Final = "fludapk.qualification/1"
PARTS: Final = {
    "intended_use": "Intended use",
    "installation": "Installation qualification",
    "operation": "Operational qualification",
    "performance": "Performance qualification",
    "credibility": "Model credibility",
}
"""Key of the JSON -> title of the part."""


def qualify(
    *,
    cases: str | Path | Sequence[str | Path] = (),
    against: str | Path | None = None,
    folders: Sequence[Path] | None = None,
) -> Qualification:
    """Qualify this installation: everything is computed here and now and compared.

    Parameters
    ----------
    cases : str, Path or sequence of them, optional
        The hospital's own cases: lists with expected values, or case files.
    against : str or Path, optional
        The JSON of an earlier record, to say what has changed since.
    folders : sequence of Path, optional
        See `fludapk.published.models.model_folders`.

    Raises
    ------
    InputError
        If the cases or the earlier record cannot be read.
    FileError
        If a model file is bad.
    """
    paths = [cases] if isinstance(cases, str | Path) else list(cases)
    earlier = None if against is None else read_record(against)
    models = load_models(folders)
    performance = hospital_checks(paths, folders)
    operation = [
        *file_checks(models),
        *formula_checks(),
        *published_checks(folders),
        *engine_checks(models),
        *kernel_checks(folders),
        *known_answer_checks(folders),
    ]
    contents = {
        "intended_use": INTENDED_USE,
        "installation": installation(models),
        "operation": operation,
        "performance": performance,
        "credibility": credibility(models, _verification(operation), _validation(performance)),
    }
    plain = {name: to_plain(content) for name, content in contents.items()}
    parts = [
        Part(name=name, title=title, sha256=hash_of(plain[name])) for name, title in PARTS.items()
    ]
    since = None if earlier is None else compare_records(earlier, plain)
    deviations = [*_deviations([*operation, *performance]), *_moved_cases(since)]
    return Qualification(
        version=__version__,
        passed=not deviations,
        deviations=deviations,
        **contents,  # type: ignore[arg-type]
        since=since,
        parts=parts,
        sha256=whole_hash(parts),
    )


def hash_of(content: Any) -> str:
    """Hash a part: the same contents give the same hash, however they are laid out.

    Examples
    --------
    >>> hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def whole_hash(parts: Sequence[Part]) -> str:
    """Hash the hashes of the parts, in their order."""
    return hashlib.sha256("\n".join(part.sha256 for part in parts).encode()).hexdigest()


# ------------------------------------------------------------------ words


def _deviations(checks: Sequence[Checked]) -> list[str]:
    return [f"{SECTIONS[row.section]}: {row}" for row in checks if not row.ok]


def _moved_cases(since: Since | None) -> Iterator[str]:
    """Word the hospital's cases that moved: somebody has to accept them."""
    if since is None:
        return
    for row in since.moved:
        if row.section == "hospital":
            yield f"{SECTIONS['hospital']}: {row} since the record of version {since.version}"


def _verification(checks: Sequence[Checked]) -> str:
    """Word how the code was verified."""
    counts = []
    for section in ("formulas", "published", "engines", "kernels", "known_answers"):
        rows = of_section(checks, section)
        counts.append(f"{SECTIONS[section]}: {sum(row.ok for row in rows)} of {len(rows)}")
    return "; ".join(counts)


def _validation(cases: Sequence[Checked]) -> str:
    """Word how far the answers were compared with a hospital's own."""
    judged = [row for row in cases if row.expected is not None]
    if not judged:
        return (
            "No cases of the hospital were given (--cases): answers were compared with published "
            "numbers only, not with local practice"
        )
    names = {row.name for row in judged}
    good = sum(row.ok for row in judged)
    return f"{len(names)} cases of the hospital: {good} of {len(judged)} expected values met"


# ------------------------------------------------------------------ an earlier record


def read_record(path: str | Path) -> dict[str, Any]:
    """Read the JSON of an earlier record, and refuse one that was altered.

    Raises
    ------
    InputError
        If it cannot be read, is no such record, or its parts are not those that were hashed.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        why = f"{path}: cannot be read: {error.strerror or error}"
        raise InputError(Fault("against", why, whole=True)) from error
    except (ValueError, RecursionError) as error:
        why = f"{path}: is not JSON: {error}"
        raise InputError(Fault("against", why, whole=True)) from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise InputError(Fault("against", f"{path}: is not a {SCHEMA} record", whole=True))
    altered = _altered(record)
    if altered:
        found = f"{path}: was altered after it was made: {', '.join(altered)}"
        raise InputError(Fault("against", found, do="take the record as it was filed", whole=True))
    return record


def _altered(record: Mapping[str, Any]) -> list[str]:
    """Name the parts of a record that do not have the hash that stands in it."""
    try:
        parts = [Part(**part) for part in record["parts"]]
        bad = [part.title for part in parts if hash_of(record[part.name]) != part.sha256]
        if {part.name for part in parts} != set(PARTS):
            bad.append("the list of parts")
        return bad if whole_hash(parts) == record["sha256"] else [*bad, "the hash of the whole"]
    except (KeyError, TypeError, AttributeError, ValueError):
        return ["its parts"]


def compare_records(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> Since:
    """Say what has changed since an earlier record.

    Parameters
    ----------
    earlier : mapping
        The JSON of a record.
    now : mapping
        Parts of this one, as dictionaries.
    """
    before, after = _values(earlier), _values(now)
    moved = [
        Moved(section=key[0], name=key[1], quantity=key[2], before=before[key], after=after[key])
        for key in before
        if key in after and not _is_same(key[2], before[key], after[key])
    ]
    cases = [row.name for row in moved if row.section == "hospital"]
    return Since(
        version=earlier["version"],
        sha256=earlier["sha256"],
        versions=list(_version_changes(earlier["installation"], now["installation"])),
        models=list(_model_changes(earlier["installation"], now["installation"])),
        moved=moved,
        added=[_named(key) for key in after if key not in before],
        removed=[_named(key) for key in before if key not in after],
        hospital_cases_moved=list(dict.fromkeys(cases)),
    )


_Key = tuple[Section, str, str]


def _values(record: Mapping[str, Any]) -> dict[_Key, Scalar]:
    """Collect every computed value of a record."""
    rows = [*record["operation"], *record["performance"]]
    return {(row["section"], row["name"], row["quantity"]): row["computed"] for row in rows}


def _named(key: _Key) -> str:
    return f"{SECTIONS.get(key[0], key[0])}: {key[1]}, {key[2]}"


def _is_same(quantity: str, before: Scalar, after: Scalar) -> bool:
    """Tell if a value has not moved beyond what another processor may do."""
    if is_number(before) and is_number(after):
        assert isinstance(before, int | float)
        assert isinstance(after, int | float)
        if "difference" in quantity:  # itself a rounding error, with a bound of its own
            return True
        return abs(after - before) <= max(tolerance(quantity, float(before)), 1e-12)
    return is_same(before, after)


def _version_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Word changes of fludapk, Python, platform, packages and code."""
    for key in ("version", "python", "platform", "machine", "code_sha256"):
        if before[key] != after[key]:
            yield f"{key}: {_short(before[key])} → {_short(after[key])}"
    old = {row["name"]: row["version"] for row in before["packages"]}
    new = {row["name"]: row["version"] for row in after["packages"]}
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield f"{name}: {old.get(name, 'absent')} → {new.get(name, 'absent')}"


def _model_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Word changes of model files."""
    old = {row["id"]: row["sha256"] for row in before["models"]}
    new = {row["id"]: row["sha256"] for row in after["models"]}
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield f"{name}: {_short(old.get(name, 'absent'))} → {_short(new.get(name, 'absent'))}"


def _short(text: str) -> str:
    return text[:12] if len(text) == 64 else text


def record_json(record: Qualification) -> str:
    """Return the file to keep: the record as one JSON document."""
    return document(record.to_dict()) + "\n"
