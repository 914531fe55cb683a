"""Requests as an attacker changes them, by a seed."""

import json
import random
from typing import Any, Final

from fludapk.web.api import EXAMPLES, GIRL, PREFIX

WEIRD: Final[list[Any]] = [
    None, True, False, "", " ", 0, -1, -0.0, 1e-320, 1e308, -1e308, 10**400, 0.1, [], {}, [[]],
    "nan", "inf", "-inf", "1e999", "1,5", "1_0", "١٢", "0x10", "1" * 50, "9" * 24_000 + ",",
    "2h 0.6mg/L", "2h <", "0h 22mg", "30 mg/m2", "30mg", "\x00", "\ud800", "é" * 200, "<b>", "=1+1",
    "../../etc/passwd", "langenhorst2019", "axi_cel", "2026-02-30 25:61", "2026-01-14 08:30",
    {"time": "x", "conc": []}, {"time": 1e400}, [1, 2, 3], ["a"] * 300, {"a": {"b": {"c": 1}}},
]  # fmt: skip
KEYS: Final = [
    *GIRL, "dose", "days", "levels", "given", "window", "auc", "target", "probability", "round_to",
    "model", "confirm", "cells_at", "first_dose", "time_zone", "interval", "infusion_time", "egfr",
    "crcl", "bsa_formula", "egfr_formula", "product", "diagnosis", "strict", "bsa_cap", "weights",
]  # fmt: skip
DOORS: Final = {
    "check": f"{PREFIX}/check",
    "dose": f"{PREFIX}/dose",
    "update": f"{PREFIX}/update",
}
CELLS: Final = [
    "5",
    "18,2",
    "1_0",
    "nan",
    "",
    '"',
    "é",
    "=1",
    "\x00",
    "9" * 3000 + ",",
    "0.3 mg/dL",
]


def asked(door: str, rng: random.Random) -> dict[str, Any]:
    """A worked request of a door with a few fields changed."""
    kind = f"{door.capitalize()}Asked"
    body = json.loads(json.dumps(rng.choice(EXAMPLES[kind])))
    for _ in range(rng.randint(1, 4)):
        key = rng.choice([*body, *KEYS])
        if rng.random() < 0.2:
            body.pop(key, None)
        else:
            body[key] = rng.choice(WEIRD)
    return dict(body)


def text_of(body: Any, rng: random.Random) -> bytes:
    """The JSON of a request, sometimes broken."""
    content = json.dumps(body).encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:
        place = rng.randrange(len(content))
        content = content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]
    return content


def list_of(rng: random.Random) -> bytes:
    """A list of patients with changed cells, in one of some encodings."""
    head = ["id", "age_years", "sex", "weight_kg", "height_cm", "scr_mg_dl", "regimen"]
    rows = [
        ["a", "5", "female", "18.2", "110", "0.3", "tisa_cel_ball"]
        for _ in range(rng.randint(0, 3))
    ]
    for row in [head, *rows]:
        if rng.random() < 0.4:
            row[rng.randrange(len(row))] = rng.choice(CELLS)
    text = "\n".join(rng.choice([",", ";", ","]).join(row) for row in [head, *rows]) + "\n"
    return text.encode(rng.choice(["utf-8", "cp1252", "utf-16", "latin-1"]), "replace")
