"""Constraints for pip that hold every dependency at its lower bound.

Run ``python tools/lowest.py > lowest.txt``; `make test-lowest` does. Tools that only look at the
source (type checker, linter, stubs) are left free.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
FREE = ("mypy", "ruff", "stubs", "fludapk")


def constraints() -> list[str]:
    """Return a line for each dependency that the program and its tests need."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"]]
    for name in ("report", "excel", "parquet", "dask", "web", "test"):
        wanted += extras[name]
    lines = {}
    for requirement in wanted:
        match = re.match(r"([a-zA-Z0-9_-]+)>=([0-9.]+)", requirement)
        if match and not any(part in match[1] for part in FREE):
            lines[match[1]] = f"{match[1]}=={match[2]}"
    return sorted(lines.values())


if __name__ == "__main__":
    print("\n".join(constraints()))
