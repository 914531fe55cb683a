"""Notebooks of the gallery: pages whose Python anybody can run, kept as Markdown."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from engine.blocks import blocks

_FRONT_MATTER: Final = re.compile(r"\A---\n.*?\n---\n", re.S)


def as_notebook(page: str) -> str:
    """Return a page as a Jupyter notebook without outputs.

    Parameters
    ----------
    page : str
        Markdown with blocks of Python.

    Returns
    -------
    str
        Notebook of format 4.5, as JSON.
    """
    cells: list[dict[str, Any]] = []
    for block in blocks(_FRONT_MATTER.sub("", page)):
        if text := (block.body if block.language == "python" else block.source).strip():
            kind = "code" if block.language == "python" else "markdown"
            cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{len(cells)}", "metadata": {}}
            cell["source"] = text.splitlines(keepends=True)
            cells.append(
                cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
            )
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
