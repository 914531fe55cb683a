"""Codes and words of other systems, and what they are here.

RxNorm codes of fludarabine are those of the public value set of the CIBMTR reporting guide. A code
that is not here is not guessed: its display or text may still say what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from fludapk.web.cds.resources import Coding, Concept

UCUM: Final = frozenset({"http://unitsofmeasure.org", "urn:oid:2.16.840.1.113883.6.8"})
LOINC: Final = frozenset({"http://loinc.org", "urn:oid:2.16.840.1.113883.6.1"})
SNOMED: Final = frozenset({"http://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"})
RXNORM: Final = frozenset(
    {"http://www.nlm.nih.gov/research/umls/rxnorm", "urn:oid:2.16.840.1.113883.6.88"}
)
ATC: Final = frozenset(
    {
        "http://www.whocc.no/atc",
        "https://www.whocc.no/atc",
        "urn:oid:2.16.840.1.113883.6.73",
        "http://fhir.de/CodeSystem/bfarm/atc",
        "http://fhir.de/CodeSystem/dimdi/atc",
    }
)
UNII: Final = frozenset({"http://fdasis.nlm.nih.gov", "urn:oid:2.16.840.1.113883.4.9"})

# ------------------------------------------------------------------ the drug

FLUDARABINE_ATC: Final = "L01BB05"
FLUDARABINE_RXNORM: Final = frozenset({
    "24698", "1165043", "1740863", "328431", "1740862", "1740865",
})  # fmt: skip
"""Ingredient, injections and their strengths."""
FLUDARABINE_ORAL_RXNORM: Final = frozenset({
    "877487", "828708", "1165044", "393413", "828705", "1165045",
})  # fmt: skip
FLUDARABINE_UNII: Final = frozenset({"P2K93U8740", "1X9VK9O1SC"})
FLUDARABINE_NAME: Final = re.compile(
    r"fludara|fludura|oforta|beneflur|флудара|フルダラ|氟达拉滨|氟達拉濱|플루다라빈|φλουδαραβ",
    re.IGNORECASE,
)
ORAL_NAME: Final = re.compile(
    r"tablet|\btabl?\b|\btbl\b|comprim|compress|\boral|per os|\bp\.?\s?o\.?(?=\W|$)|capsul|"
    r"kapsel|gélule|\bpill\b|oforta|錠|таблет",
    re.IGNORECASE,
)
INFUSED_NAME: Final = re.compile(
    r"intraven|intravein|endoven|\bi\.?\s?v\.?(?=\W|$)|infusion|perfusion|infund|inject|injekt|"
    r"iniett|inyect|vial|点滴|静注|静脈|注射",
    re.IGNORECASE,
)

# ------------------------------------------------------------------ the route

INTRAVENOUS: Final = frozenset({
    "47625008", "255560000", "20045000", "C38276", "IV", "IVB", "IVINT", "IVDRIP", "IVINF",
})  # fmt: skip
"""SNOMED CT, EDQM, NCI and HL7 codes."""
OTHER_ROUTES: Final = {
    "26643006": "oral", "260548002": "oral", "20053000": "oral", "C38288": "oral", "PO": "oral",
    "ORAL": "oral", "72607000": "intrathecal", "20042000": "intrathecal", "C38267": "intrathecal",
    "IT": "intrathecal", "ITINJ": "intrathecal",
    "34206005": "subcutaneous", "C38299": "subcutaneous", "SC": "subcutaneous",
    "SQ": "subcutaneous", "78421000": "intramuscular", "C28161": "intramuscular",
    "IM": "intramuscular",
}  # fmt: skip
INTRATHECAL_NAME: Final = re.compile(r"intrathe[ck]|intratec|intratéc|\bi\.?t\.(?=\W|$)", re.I)
OTHER_ROUTE_NAME: Final = re.compile(r"subcut|intramusc|intra-?arterial|periton", re.I)

# ------------------------------------------------------------------ the values

VALUES: Final = {
    "weight": ("29463-7", "3141-9"),
    "height": ("8302-2", "8306-3", "3137-7", "8308-9"),
    "creatinine": ("2160-0", "14682-9", "38483-4", "59826-8", "77140-2"),
}
"""LOINC: weight, also measured; height, also lying, measured or standing; creatinine in serum,
plasma or blood, by mass and by amount. None as stated by the patient, none in urine."""
UNITS: Final = {
    "weight": {"kg": "kg", "g": "g", "[lb_av]": "lb"},
    "height": {"cm": "cm", "m": "m", "mm": "mm", "[in_i]": "in", "[in_us]": "in", "[ft_i]": "ft"},
    "creatinine": {"mg/dL": "mg/dL", "umol/L": "umol/L"},
    "dose": {"mg/m2": "mg/m2", "mg/kg": "mg/kg", "mg": "mg"},
    "duration": {"min": "min", "h": "h", "d": "days"},
}
"""UCUM code -> our unit."""
SCALED: Final = {"dose": {"g": ("mg", 1000.0)}, "duration": {"s": ("min", 1 / 60)}}
"""UCUM code -> our unit and how many of it."""
SPELLINGS: Final = {
    "weight": {"kg": "kg", "kilogram": "kg", "kilograms": "kg", "g": "g", "gram": "g", "lb": "lb",
               "lbs": "lb", "[lb_av]": "lb", "pounds": "lb", "pound": "lb", "oz": "oz"},
    "height": {"cm": "cm", "centimeter": "cm", "centimeters": "cm", "centimetre": "cm", "m": "m",
               "mm": "mm", "in": "in", "inch": "in", "inches": "in", "[in_i]": "in", "ft": "ft",
               "feet": "ft"},
    "creatinine": {"mg/dl": "mg/dL", "µmol/l": "umol/L", "μmol/l": "umol/L", "umol/l": "umol/L",
                   "micromol/l": "umol/L", "mmol/l": "mmol/L", "mg/l": "mg/L", "g/l": "g/L",
                   "nmol/l": "nmol/L"},
    "dose": {"mg/m2": "mg/m2", "mg/m²": "mg/m2", "mg/m^2": "mg/m2", "mg/kg": "mg/kg", "mg": "mg",
             "milligram": "mg", "g": "g", "ml": "mL", "mcg": "ug", "µg": "ug", "ug": "ug",
             "mg/m2/d": "mg/m2/d", "mg/m2/day": "mg/m2/d", "mg/kg/d": "mg/kg/d",
             "mg/kg/day": "mg/kg/d", "tablet": "tablet", "tabl": "tablet"},
    "duration": {"min": "min", "minutes": "min", "h": "h", "hour": "h", "hours": "h", "d": "days",
                 "s": "s"},
}  # fmt: skip
"""Unit as a person writes it, in small letters -> the unit; some of them are none of ours."""

# ------------------------------------------------------------------ product and diagnosis

PRODUCTS: Final = {
    "tisa_cel": (r"tisagenlecleucel|kymriah|\btisa[-_ ]?cel\b|\btisa_cel", "L01XL04"),
    "axi_cel": (r"axicabtagen|yescarta|\baxi[-_ ]?cel\b", "L01XL03"),
    "brexu_cel": (r"brexucabtagen|tecartus|\bbrexu[-_ ]?cel\b|\bbrexu_cel", "L01XL06"),
    "liso_cel": (r"lisocabtagen|breyanzi|\bliso[-_ ]?cel\b", "L01XL08"),
    "ide_cel": (r"idecabtagen|abecma|\bide[-_ ]?cel\b", "L01XL07"),
    "cilta_cel": (r"ciltacabtagen|carvykti|\bcilta[-_ ]?cel\b", "L01XL05"),
    "obe_cel": (r"obecabtagen|aucatzyl|\bobe[-_ ]?cel\b", ""),
}
"""Product -> its names, and its code of ATC if we have it."""
DIAGNOSES: Final = {
    "b_all": (
        r"\bb[- ]?(?:cell )?(?:precursor )?(?:all\b|acute lymph)|precursor b[- ]|\bb_all\b|"
        r"acute b[- ](?:cell )?lymph",
        ("C91.0",),
        ("277571004",),
    ),
    "lbcl": (
        r"diffuse large b|\bdlbcl\b|large b[- ]cell lymph|\blbcl\b|großzellig\w* b-zell",
        ("C83.3", "C85.2"),
        ("109969005",),
    ),
    "mcl": (r"mantle cell|mantelzell|\bmcl\b", ("C83.1",), ("443487006",)),
    "myeloma": (r"myelom|\bmieloma", ("C90.0",), ("109989006",)),
}
"""Diagnosis -> its names, its codes of ICD-10 (and of what begins with them), of SNOMED CT."""
NOT_B_CELL: Final = re.compile(
    r"\bt[- ]?(?:cell|zell)|\bt[- ]all\b|precursor t\b|acute t\b", re.IGNORECASE
)
"""ICD-10 gives one code to acute lymphoblastic leukaemia of B and of T cells."""
_PRODUCT_NAMES: Final = {
    name: re.compile(words, re.IGNORECASE) for name, (words, _) in PRODUCTS.items()
}
_DIAGNOSIS_NAMES: Final = {
    name: re.compile(words, re.IGNORECASE) for name, (words, _, _) in DIAGNOSES.items()
}
_ICD10: Final = re.compile(r"icd-?10|cim-?10|2\.16\.840\.1\.113883\.6\.(?:3|90)$", re.IGNORECASE)


def products_in(texts: Iterable[str], codings: Iterable[Coding] = ()) -> set[str]:
    """Products that are named.

    Examples
    --------
    >>> products_in(["Lymphodepletion before Yescarta"])
    {'axi_cel'}
    """
    by_code = {atc: name for name, (_, atc) in PRODUCTS.items() if atc}
    products = {by_code[c.code] for c in codings if c.system in ATC and c.code in by_code}
    for text in texts:
        products |= {name for name, words in _PRODUCT_NAMES.items() if words.search(text)}
    return products


def _begins(code: str, beginnings: Iterable[str]) -> bool:
    """Tell if a code of ICD-10 is one of some or below it, with or without its point."""
    plain = code.upper().replace(".", "")
    return any(plain.startswith(text.replace(".", "")) for text in beginnings)


def diagnoses_in(concept: Concept) -> set[str]:
    """Diagnoses that a concept is, by its codes, else by its words.

    Examples
    --------
    >>> diagnoses_in(Concept(text="Relapsed B-ALL")), diagnoses_in(Concept(text="T-ALL"))
    ({'b_all'}, set())
    """
    if any(NOT_B_CELL.search(text) for text in concept.words):
        return set()
    by_code = {
        name
        for coding in concept.coding
        for name, (_, icd, sct) in DIAGNOSES.items()
        if (_ICD10.search(coding.system) and _begins(coding.code, icd))
        or (coding.system in SNOMED and coding.code in sct)
    }
    if by_code:
        return by_code
    return {
        name
        for text in concept.words
        for name, words in _DIAGNOSIS_NAMES.items()
        if words.search(text)
    }
