"""Records that all answers share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

DISCLAIMER: Final = (
    "Research and second check only, not a medical device. Thresholds are retrospective: not "
    "enough evidence to change standard regimens, prospective trials are needed."
)


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Something the reader must know."""

    code: str
    level: Literal["caution", "note"]
    message: str


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What made this result."""

    version: str
    model_sha256: str
    input_sha256: str
    seed: int
    points: int
