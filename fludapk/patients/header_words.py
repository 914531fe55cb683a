"""Headers as people have them: names of columns in six languages, with the unit in the header.

A name is understood whole or not at all: an ideal weight is not a weight, a creatinine in urine is
not one in serum, and a unit that is not in the table leaves its column unread.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from fludapk.patients.fields import FIELDS, keyword
from fludapk.units import UNITS

HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "id": (
        "id", "patient", "patient id", "patientid", "patient number", "patient no", "pat id",
        "pat no", "subject", "subject id", "subjid", "usubjid", "record id", "mrn",
        "Patienten-ID", "Patientennummer", "Pat-Nr", "Patienten-Nr", "Fallnummer", "Fall-Nr",
        "id patient", "IPP", "id paciente", "NHC", "id paziente", "patiëntnummer",
    ),
    "age": (
        "age", "age at treatment", "Alter", "âge", "edad", "età", "leeftijd", "idade",
    ),
    "sex": (
        "sex", "gender", "Geschlecht", "sexe", "sexo", "género", "sesso", "genere", "geslacht",
    ),
    "weight": (
        "weight", "wt", "bw", "body weight", "bodyweight", "actual weight", "actual body weight",
        "Gewicht", "Körpergewicht", "Koerpergewicht", "poids", "peso", "peso corporal",
        "peso corporeo", "lichaamsgewicht",
    ),
    "height": (
        "height", "ht", "body height", "stature", "Größe", "Groesse", "Körpergröße",
        "Koerpergroesse", "Länge", "Körperlänge", "taille", "talla", "altura", "estatura",
        "altezza", "statura", "lengte", "lichaamslengte",
    ),
    "scr": (
        "scr", "creatinine", "serum creatinine", "creat", "Kreatinin", "Krea", "Serumkreatinin",
        "créatinine", "créatininémie", "creatinina", "creatinina sérica", "creatininemia",
        "creatinina sierica", "kreatinine", "serumcreatinine",
    ),
    "egfr": (
        "egfr", "gfr", "estimated gfr", "egfr ckd-epi", "egfr schwartz", "DFG", "DFGe", "TFG",
        "TFGe", "filtrado glomerular", "VFG", "VFGe",
    ),
    "crcl": (
        "crcl", "clcr", "creatinine clearance", "Kreatinin-Clearance", "Kreatininclearance",
        "clairance de la créatinine", "clairance créatinine", "aclaramiento de creatinina",
        "clearance della creatinina", "clearance creatinina", "creatinineklaring",
    ),
    "date_of_birth": (
        "date of birth", "dob", "birth date", "birthdate", "Geburtsdatum", "date de naissance",
        "fecha de nacimiento", "data di nascita", "geboortedatum",
    ),
    "course_date": ("course date", "date of first dose", "lymphodepletion date"),
    "dose": ("dose", "fludarabine dose", "Dosis", "Fludarabin-Dosis"),
    "days": ("days", "number of infusions", "number of doses"),
}  # fmt: skip
"""Field -> names of its column, besides those of `fludapk.patients.columns.COLUMNS`; capitals,
accents, blanks and signs do not matter."""

ONLY_WITH_UNIT: Final = ("eta",)
"""Names without accents that are something else in this field: random effects are eta."""

UNIT_WORDS: Final[dict[str, dict[str, str]]] = {
    "age": {
        **dict.fromkeys(("y", "yr", "yrs", "year", "j", "jahre", "jahren", "ans", "annees", "años",
                         "anni", "jaar", "jaren", "anos"), "years"),
        **dict.fromkeys(("mo", "mos", "month", "monate", "mois", "meses", "mesi", "maanden"),
                        "months"),
        **dict.fromkeys(("wk", "week", "wochen", "semaines", "semanas", "settimane", "weken"),
                        "weeks"),
        **dict.fromkeys(("d", "day", "tage", "jours", "días", "giorni", "dagen"), "days"),
    },
    "weight": {"kgs": "kg", "kilograms": "kg", "lbs": "lb", "pounds": "lb",
               **dict.fromkeys(("grams", "gram", "Gramm", "grammes", "gramos", "grammi"), "g")},
    "height": {"centimeters": "cm", "meters": "m", "inches": "in", "inch": "in", "feet": "ft"},
    "creatinine": {"mg%": "mg/dL", "micromol/L": "umol/L", "mcmol/L": "umol/L", "uM": "umol/L"},
    "eGFR": {"mL/min/1.73": "mL/min/1.73 m2", "mL/min per 1.73 m2": "mL/min/1.73 m2"},
    "CrCl": {"mL/sec": "mL/s"},
    "time": {
        **dict.fromkeys(("hr", "hrs", "hour", "hours", "Std", "Stunden", "heures", "horas", "ore",
                         "uur", "uren"), "h"),
        **dict.fromkeys(("mins", "minute", "minutes", "Minuten", "minutos", "minuti"), "min"),
        **dict.fromkeys(("d", "day", "Tage", "jours", "días", "giorni", "dagen"), "days"),
    },
}  # fmt: skip
"""Dimension -> further spellings of its units in headers."""

DATE_ORDERS: Final = {
    "dmy": "dmy", "mdy": "mdy", "iso": "iso", "dd/mm/yyyy": "dmy", "mm/dd/yyyy": "mdy",
    "yyyy-mm-dd": "iso", "TT.MM.JJJJ": "dmy", "jj/mm/aaaa": "dmy", "dd/mm/aaaa": "dmy",
    "gg/mm/aaaa": "dmy", "dd-mm-jjjj": "dmy",
}  # fmt: skip
"""Orders of day, month and year that a header may state."""

_DATES: Final = ("date_of_birth", "course_date")
_CONNECTORS: Final = ("in", "en", "em")
_BOTH_SEXES: Final = ("mf", "fm", "mw", "mwd", "fh", "hf", "mv", "vm", "hm", "mh", "mfemale")
"""Words in brackets after a sex that only list its codes."""


def plain(text: str) -> str:
    """Return words of a header without capitals, accents, blanks and signs between them.

    Letters of other scripts stay, so that what they say is not passed over.

    Examples
    --------
    >>> plain(" Körpergröße [cm]"), plain("Creatinine (µmol/L)"), plain("Weight (%)")
    ('korpergrosse_cm', 'creatinine_umol_l', 'weight_percent')
    """
    words = text.casefold().replace("µ", "u").replace("μ", "u").replace("%", " percent ")
    words = words.replace("²", "2").replace("\N{REPLACEMENT CHARACTER}", " unreadable ")
    words = unicodedata.normalize("NFKD", words)
    words = "".join(sign for sign in words if not unicodedata.combining(sign))
    return re.sub(r"[\W_]+", "_", words).strip("_")


def _squeezed(text: str) -> str:
    """A unit without the signs that are spelled in many ways."""
    return plain(text).replace("_", "")


_FIELDS: Final = {plain(name): what for what, names in HEADERS.items() for name in names}
_UNITS: Final = {
    dimension: {
        **{_squeezed(unit): unit for unit in UNITS[dimension]},
        **{_squeezed(word): unit for word, unit in UNIT_WORDS.get(dimension, {}).items()},
    }
    for dimension in UNITS
}
_ORDERS: Final = {_squeezed(word): order for word, order in DATE_ORDERS.items()}


def meaning_of(header: str) -> tuple[str, str] | None:
    """Return the field of a header, and the unit that stands in it; None if it is not understood.

    Examples
    --------
    >>> meaning_of("Weight (Lbs)"), meaning_of("Créatinine µmol/l"), meaning_of("Weight (stone)")
    (('weight', 'lb'), ('scr', 'umol/L'), None)
    >>> meaning_of("Geburtsdatum (TT.MM.JJJJ)"), meaning_of("Ideal weight (kg)")
    (('date_of_birth', 'dmy'), None)
    """
    return next(
        (
            (what, unit)
            for what, name, rest in _divisions(header)
            if (unit := _unit_of(what, rest)) is not None
            and (name not in ONLY_WITH_UNIT or unit or "à" in header.lower())
            and not (what == "dose" and unit == "mg")  # of an infusion, or of the course?
        ),
        None,
    )


def unread_because(header: str) -> tuple[str, str] | None:
    """Return the field that a header names, and what in it is not understood; None if nothing is.

    Examples
    --------
    >>> unread_because("Weight (stone)"), unread_because("ward")
    (('weight', 'stone'), None)
    """
    if meaning_of(header) is not None:
        return None
    return next(
        ((what, rest.replace("_", " ")) for what, _, rest in _divisions(header) if rest), None
    )


def unit_word(what: str, cell: str) -> str | None:
    """Return the unit that a cell consists of, for a field that has units; None if it is none.

    Examples
    --------
    >>> unit_word("weight", "[lbs]"), unit_word("weight", "40 lb"), unit_word("sex", "m")
    ('lb', None, None)
    """
    if what not in HEADERS or what in ("id", "sex", *_DATES):
        return None
    return _unit_of(what, plain(cell)) or None


def is_unit_of(header: str) -> str | None:
    """Return the field whose unit a column of units tells, "" if it tells none; None for others.

    Examples
    --------
    >>> is_unit_of("WT_UNIT"), is_unit_of("Einheit Gewicht"), is_unit_of("Unit"), is_unit_of("WT")
    ('weight', 'weight', '', None)
    """
    name = plain(header)
    rest = _UNIT_NAMES.sub("", name)
    return None if rest == name else _FIELDS.get(rest, "")


_UNIT_NAMES: Final = re.compile(
    r"(?:^|_)(?:units?|uom|einheit|unite|unidad|unidade|unita|eenheid)(?:_of|_de)?(?:_|$)"
    r"|(?<=^age)u$"
)
"""Words for a unit in the name of a column; AGEU is the unit of AGE in clinical trials."""


def _divisions(header: str) -> list[tuple[str, str, str]]:
    """Field, its name, and the rest of a header; the longest name first."""
    words = plain(header).split("_")
    divided = (("_".join(words[:n]), "_".join(words[n:])) for n in range(len(words), 0, -1))
    return [(_FIELDS[name], name, rest) for name, rest in divided if name in _FIELDS]


def _unit_of(what: str, rest: str) -> str | None:
    """Unit that follows a name, "" if nothing does; None if it is none of this field."""
    if not rest:
        return ""
    if what == "sex":
        return "" if rest.replace("_", "") in _BOTH_SEXES else None
    if what in _DATES:
        return _ORDERS.get(rest.replace("_", ""))
    dimension = None if what == "id" else FIELDS[keyword(what)].dimension
    if dimension is None:
        return None
    first, _, others = rest.partition("_")
    words = others if first in _CONNECTORS and others else rest
    return _UNITS[dimension].get(words.replace("_", ""))
