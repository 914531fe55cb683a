"""Names of the columns of records and of files of levels: one vocabulary for both.

A column is used, or it is judged because it could change the meaning of another (`SELECTORS`,
`OF_COURSE`, `NEUTRAL`, `UNREADABLE`): it may stay as long as it says nothing. All other columns are
only kept, and named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from fludapk.patients.header_words import UNIT_WORDS, plain
from fludapk.units import CONC_COLUMNS, UNITS

Meaning = tuple[str, str]
"""Meaning of a column, and the unit of its numbers: ``("time", "min")``."""

_TIME_UNITS: Final = {
    **{unit: unit for unit in UNITS["time"]},
    **{plain(word): unit for word, unit in UNIT_WORDS["time"].items()},
}
_CONC_UNITS: Final = {
    **{column.removeprefix("conc_"): unit for column, unit in CONC_COLUMNS.items()},
    "mcg_ml": "ug/mL", "mcg_l": "ug/L", "um": "umol/L",
}  # fmt: skip
_OF_TIME: Final = {
    "time": ("time", "zeit", "temps", "tiempo", "tempo", "tijd"),
    "dur": ("dur", "duration", "tinf", "infusion_time", "infusion_duration", "infusion"),
    "ii": ("ii",),
}
_OF_CONC: Final = {
    "dv": (
        "dv", "conc", "concentration", "lidv", "level", "f_ara_a", "konzentration", "spiegel",
        "concentracion", "concentrazione", "concentratie",
    ),
    "lloq": ("lloq", "loq"),
    "uloq": ("uloq",),
}  # fmt: skip

_PLAIN: Final = {
    "y": "dv",
    "date": "date", "dat1": "dat1", "dat2": "dat2", "dat3": "dat3",
    "evid": "evid", "mdv": "mdv",
    "amt": "amt", "amount": "amt", "amt_mg": "amt", "amount_mg": "amt",
    "dose_mg": "dose_mg",
    "rate": "rate", "rate_mg_h": "rate", "rate_mg_min": "rate",
    "addl": "addl",
    "blq": "blq", "bql": "blq", "bloq": "blq", "blloq": "blq", "is_blq": "blq",
    "below_lloq": "blq", "blqfl": "blq", "blqflag": "blq", "blq_flag": "blq",
    "cens": "cens", "censored": "cens",
    "unit": "dv_unit", "units": "dv_unit", "dvu": "dv_unit", "dv_unit": "dv_unit",
    "conc_unit": "dv_unit", "concu": "dv_unit", "result_unit": "dv_unit", "result_units": "dv_unit",
    "einheit": "dv_unit", "unidad": "dv_unit", "unita": "dv_unit", "eenheid": "dv_unit",
    "uom": "dv_unit",
    "c": "excluded", "ignore": "excluded", "excl": "excluded", "exclude": "excluded",
    "excluded": "excluded", "exclusion": "excluded", "omit": "excluded", "drop": "excluded",
    "occ": "occ", "occasion": "occ", "iov": "occ",
    "bsa": "bsa", "egfr_model": "egfr_model", "crcl_model": "crcl_model",
}  # fmt: skip
_UNITS_OF_PLAIN: Final = {"rate_mg_min": "mg/min", "rate_mg_h": "mg/h"}

_OF_DOSES: Final[Mapping[str, str]] = {
    "time": "h, or date and time", "date": "", "dat1": "", "dat2": "", "dat3": "",
    "amt": "mg", "dose_mg": "mg", "rate": "mg/h", "dur": "h", "ii": "h", "addl": "",
    "evid": "", "mdv": "", "excluded": "",
}  # fmt: skip
"""Columns that the doses of records are read from -> unit of numbers without one."""

_ANALYTES: Final = (
    "analyte", "analyt", "compound", "component", "substance", "substanz", "drug", "medikament",
    "wirkstoff", "medicamento", "farmaco", "parameter", "test",
)  # fmt: skip
_ENDINGS: Final = ("name", "id", "code", "desc", "description", "type")

SELECTORS: Final[Mapping[str, tuple[str, ...]]] = {
    "compartment": ("cmt", "compartment"),
    "analyte": (
        "dvid", "dvname", "dvtype", "ytype", "yname", "moiety", "species", "param", "paramcd",
        "testcd", "pctest", "pctestcd", *_ANALYTES,
        *(f"{name}_{end}" for name in _ANALYTES for end in _ENDINGS),
    ),
    "specimen": (
        "spec", "pcspec", "sampletype", "sample_type", "matrix", "specimen", "material",
        "probenmaterial", "specimen_type", "specimen_source", "specimen_description",
    ),
    "kind of row": ("flag", "type", "rectype", "status", "qc"),
    "route": (
        "route", "route_of_administration", "admin_route", "applikation", "adm", "admid", "dosid",
        "medication", "agent", "extrt",
    ),
    "choice of rows": (
        "include", "included", "keep", "use", "usable", "valid", "gueltig", "gultig", "anlfl",
    ),
}  # fmt: skip
"""Columns that say which substance, compartment or choice a row belongs to, by kind: one value in
the whole file is harmless."""

CIRCUMSTANCES: Final = frozenset({
    "visit", "timepoint", "tpt", "pctpt", "time", "date", "datetime", "day", "week", "nominal",
    "zeit", "uhrzeit", "datum", "tag", "ward", "station", "site", "centre", "center", "lab", "bed",
    "room", "nurse", "staff", "operator", "initials", "collector", "by", "age", "weight", "height",
    "sampleid", "barcode", "accession", "tube",
})  # fmt: skip
"""Words in the names of columns whose texts may differ: when, where and by whom, not of what."""

OF_COURSE: Final = ("period", "cycle", "course", "crs")
"""Columns that tell courses of a patient apart: one value per ID is harmless."""

NEUTRAL: Final[Mapping[str, tuple[float, ...]]] = {
    "ss": (0.0,), "limit": (0.0,), "lag": (0.0,), "alag": (0.0,), "alag1": (0.0,), "tlag": (0.0,),
    "f1": (1.0,), "bio": (1.0,), "aloq": (0.0,), "alq": (0.0,), "above_uloq": (0.0,),
}  # fmt: skip
"""Columns that are not used and would change a dose or a level -> their values that do not."""

LOGARITHMS: Final = (
    "lndv", "ldv", "logdv", "log_dv", "ln_dv", "dvln", "dvlog", "lconc", "logconc", "log_conc",
    "lnconc", "ln_conc",
)  # fmt: skip
UNREADABLE: Final = (
    *LOGARITHMS, "lod", "amtu", "amt_unit", "dose_unit", "doseu", "timeu", "time_unit", "dur_unit",
    "duration_unit", "tinf_unit", "duru", "rate_unit", "rateu",
)  # fmt: skip
"""Columns that are not used: logarithms, limits of detection, units of their own."""


def _table() -> dict[str, Meaning]:
    table = {name: (what, _UNITS_OF_PLAIN.get(name, "")) for name, what in _PLAIN.items()}
    for names, units, default in ((_OF_TIME, _TIME_UNITS, "h"), (_OF_CONC, _CONC_UNITS, "")):
        for what, bases in names.items():
            for base in bases:
                table[base] = (what, "" if what == "time" else default)
                table |= {f"{base}_{end}": (what, unit) for end, unit in units.items()}
    judged = (*OF_COURSE, *NEUTRAL, *UNREADABLE, *(n for ns in SELECTORS.values() for n in ns))
    return {**table, **{name: (name, "") for name in judged}}


_TABLE: Final = _table()


def record_column(name: str) -> Meaning | None:
    """Meaning and unit of a column of records of this name, or None.

    Examples
    --------
    >>> record_column("TIME"), record_column("Zeit (min)"), record_column("#DVID")
    (('time', ''), ('time', 'min'), ('dvid', ''))
    >>> record_column(" Concentración (µg/L)"), record_column("DV (%)")
    (('dv', 'ug/L'), None)
    >>> record_column("ward")
    """
    return _TABLE.get(plain(name))


_TELLING: Final = frozenset({
    "time", "amt", "dose_mg", "rate", "dur", "evid", "mdv", "dv", "blq", "cens", "lloq", "uloq",
})  # fmt: skip


def is_telling(name: str) -> bool:
    """Tell whether a column of this name shows how a file is written.

    Examples
    --------
    >>> is_telling("conc_mg_l"), is_telling("flag")
    (True, False)
    """
    meaning = record_column(name)
    return meaning is not None and meaning[0] in _TELLING


def doses_read_as(header: Sequence[str], recorded: Mapping[int, Meaning]) -> dict[str, str]:
    """Return column and unit of all that the doses of records are read from.

    Examples
    --------
    >>> doses_read_as(["TIME", "AMT", "DV"], {0: ("time", ""), 1: ("amt", ""), 2: ("dv", "")})
    {'time': 'TIME: h, or date and time', 'amt': 'AMT: mg'}
    """
    return {
        what: ": ".join(filter(None, (header[place], unit or _OF_DOSES[what])))
        for place, (what, unit) in recorded.items()
        if what in _OF_DOSES
    }


def is_records(names: Iterable[str]) -> bool:
    """Tell NONMEM-style records, several to a course, from a list with a row per patient.

    Examples
    --------
    >>> is_records(["ID", "TIME", "AMT", "DV"]), is_records(["subject", "time", "conc"])
    (True, True)
    >>> is_records(["ID", "AGE", "time", "regimen"]), is_records(["ID", "START", "AMT"])
    (False, True)
    """
    whats = {meaning[0] for name in names if (meaning := record_column(name))}
    return bool(
        whats & {"evid", "mdv", "amt"}
        or ("time" in whats and whats & {"rate", "dv", "dose_mg", "cens", "blq"})
    )
