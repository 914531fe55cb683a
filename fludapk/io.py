"""Files of results: whole or not at all, and in the form of other software."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from fludapk.errors import InputError

if TYPE_CHECKING:
    from fludapk.checking import CheckResult


EVENT_COLUMNS: Final = (
    "ID", "TIME", "AMT", "RATE", "EVID", "MDV", "CMT",
    "DOSE_MG", "AGE", "SEXF", "WT", "HT", "BSA", "SCR_MG_DL", "EGFR", "CRCL",
    "EGFR_MODEL", "CRCL_MODEL",
)  # fmt: skip
"""TIME h, AMT and RATE mg and mg/h of F-ara-A, DOSE_MG mg of fludarabine phosphate, AGE years, WT
kg, HT cm, BSA m2; the renal function that was given: SCR_MG_DL, EGFR mL/min/1.73 m2 or CRCL mL/min;
and what the model made of it."""


def events_csv(result: CheckResult) -> str:
    """A course as NONMEM-style records, one per infusion, so that other software can re-run it.

    Parameters
    ----------
    result : CheckResult

    Returns
    -------
    str
        CSV with the columns `EVENT_COLUMNS`; what is not known is a dot.
    """
    p, course = result.patient, result.regimen
    factor = course.amount_f_ara_a_mg / course.total_mg
    female = None if p.sex is None else int(p.sex == "female")
    covariates = (p.age_years, female, p.weight_kg, p.height_cm, p.bsa_m2)
    renal: list[float | None] = [p.scr_mg_dl, None, None]
    if p.scr_mg_dl is None and p.crcl_ml_min is not None:
        renal[2] = p.crcl_ml_min
    elif p.scr_mg_dl is None:
        renal[1] = p.egfr_uncapped_ml_min_1_73m2
    renal += [p.egfr_ml_min_1_73m2, p.crcl_ml_min]
    lines = [",".join(EVENT_COLUMNS)]
    for time, dose in zip(course.times_h, course.doses_mg, strict=True):
        amount = dose * factor
        record = (1, time, amount, amount / course.infusion_h, 1, 1, 1, dose, *covariates, *renal)
        lines.append(",".join("." if value is None else f"{value:.15g}" for value in record))
    return "\n".join(lines) + "\n"


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file so that it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
    content : str or bytes
        Text is written as UTF-8, line ends as they are.

    Raises
    ------
    InputError
        If it cannot be written, saying why.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder) / "page.txt", "13.58 mg·h/L")
    ...     (Path(folder) / "page.txt").read_text(encoding="utf-8")
    '13.58 mg·h/L'
    """
    with whole_file(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def write_folder(folder: str | Path, files: Mapping[str, str | bytes]) -> list[Path]:
    """Write files below a folder, which is made; each appears whole or not at all.

    Raises
    ------
    InputError
        If the folder cannot be made or written.
    """
    for name, content in files.items():
        path = Path(folder) / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path.parent}: cannot be made: {error.strerror}") from error
        write_whole(path, content)
    return [Path(folder) / name for name in files]


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to, which appears under its name at the end, or not at all.

    Raises
    ------
    InputError
        If it cannot be written, saying why.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    temporary: Path | None = None
    try:
        if target.exists() and not target.is_file():
            raise InputError(f"{path}: cannot be written: it is not a file")
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".fludapk.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
        temporary = None
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    """Permissions that a new file does not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
