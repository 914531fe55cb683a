"""fludapk: cumulative exposure to fludarabine (F-ara-A) from dose, size and kidney function.

Research and second-check software, not a medical device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fludapk._version import __version__

if TYPE_CHECKING:
    from fludapk.studies.simulate import simulate as simulate

__all__ = ["__version__", "simulate"]


def __getattr__(name: str) -> Any:
    if name == "simulate":  # imported when asked for: a check must start quickly
        from fludapk.studies.simulate import simulate

        return simulate
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
