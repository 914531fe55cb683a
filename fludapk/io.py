"""Files of results: whole or not at all, and in the form of other software."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fludapk.errors import InputError

if TYPE_CHECKING:
    from fludapk.checking import CheckResult


EVENT_COLUMNS: Final = (
    "ID", "TIME", "AMT", "RATE", "EVID", "MDV", "CMT",
    "DOSE_MG", "AGE", "SEXF", "WT", "HT", "BSA", "SCR", "EGFR", "CRCL",
)  # fmt: skip
"""TIME h, AMT and RATE mg and mg/h of F-ara-A, DOSE_MG mg of fludarabine phosphate, AGE years, WT
kg, HT cm, BSA m2, SCR mg/dL, EGFR mL/min/1.73 m2 and CRCL mL/min as the model uses them."""


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
    covariates = (p.age_years, female, p.weight_kg, p.height_cm, p.bsa_m2, p.scr_mg_dl)
    renal = (p.egfr_ml_min_1_73m2, p.crcl_ml_min)
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
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error


def _umask() -> int:
    """Permissions that a new file does not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
