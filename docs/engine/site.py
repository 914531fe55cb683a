"""The extension of Sphinx that runs every page while the site is built."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import sphinx.util.logging

from engine.including import included_files, with_included
from engine.notebooks import as_notebook
from engine.running import run_page


def setup(app: Any) -> dict[str, Any]:
    """Join Sphinx.

    Parameters
    ----------
    app : sphinx.application.Sphinx
        The build.

    Returns
    -------
    dict
        What Sphinx asks of an extension.
    """
    mpl.use("Agg")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    app.connect("source-read", _read)
    return {"parallel_read_safe": False, "parallel_write_safe": True}


def _read(app: Any, name: str, source: list[str]) -> None:
    """Replace a page by the page with everything in it run; a fault of it fails the build."""
    pages, out = Path(app.srcdir), Path(app.outdir)
    page = Path(app.env.doc2path(name))
    address = os.path.relpath(out / "made" / name, (out / name).parent)

    def keep(path: Path) -> str:
        kept = out / "made" / name / path.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept)
        return f"{address}/{path.name}"

    text = with_included(source[0], page, included_files(pages))
    try:
        source[0] = run_page(text, keep)
    except Exception as error:
        sphinx.util.logging.getLogger(__name__).warning(
            "the page cannot be run: %s: %s", type(error).__name__, error, location=name
        )
        return
    if name.startswith("gallery/") and not name.endswith("/index"):
        notebook = out / "made" / f"{name}.ipynb"
        notebook.parent.mkdir(parents=True, exist_ok=True)
        notebook.write_text(as_notebook(text), "utf-8")
        source[0] += _download(f"{address}.ipynb")


def _download(address: str) -> str:
    return (
        f'\n```{{raw}} html\n<p><a href="{address}" download>This page as a notebook</a>, '
        "to open in Jupyter.</p>\n```\n"
    )
