"""Published models: their folders and files, and how to load them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from fludapk.errors import Fault, FileError, InputError, nearest
from fludapk.pk.program import Program
from fludapk.published.compile import compile_program
from fludapk.published.model_files import ModelFile
from fludapk.published.tables import read_toml
from fludapk.published.uncertainty import Uncertainty

DEFAULT_MODEL: Final = "langenhorst2019"


# ------------------------------------------------------------------ models and where they are


@dataclass(frozen=True, eq=False)
class Model:
    """A published model: its file, where it came from, and its compiled form."""

    file: ModelFile
    path: Path
    sha256: str

    @property
    def id(self) -> str:
        """Name of the model."""
        return self.file.id

    @cached_property
    def program(self) -> Program:
        """Compiled form of the model."""
        return compile_program(self.file)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """Printed uncertainty of its numbers."""
        return Uncertainty.printed(self.file, self.program.theta)

    @property
    def renal_covariate(self) -> str | None:
        """Renal covariate of the model: 'eGFR', 'CrCl' or None."""
        return next((name for name in ("eGFR", "CrCl") if name in self.file.covariates), None)

    def categories(self, covariate: str) -> list[str]:
        """Return the categories of a covariate of this model; empty if it has none."""
        described = self.file.covariates.get(covariate)
        return [] if described is None else described.levels


def model_folders(extra: str | Path | None = None) -> list[Path]:
    """Return the folders searched for models: `extra`, FLUDAPK_MODELS, the shipped one.

    A model in an earlier folder hides one of the same name in a later folder.
    """
    folders = [Path(folder) for folder in (extra, os.environ.get("FLUDAPK_MODELS")) if folder]
    for folder in folders:
        if not folder.is_dir():
            raise FileError(f"{folder}: no such folder of models")
    return [*folders, _shipped()]


@lru_cache(maxsize=1)
def _shipped() -> Path:
    """Return the folder of shipped models, in an installed package or in the repository."""
    here = Path(__file__).resolve().parents[1]
    installed = here / "models"
    return installed if installed.is_dir() else here.parent / "models"


def model_paths(folders: Sequence[Path] | None = None) -> dict[str, Path]:
    """Return model name -> file, the default model first, then in alphabetical order.

    Parameters
    ----------
    folders : sequence of Path, optional
        See `model_folders`.
    """
    paths: dict[str, Path] = {}
    for folder in folders or model_folders():
        for path in sorted(folder.glob("*.toml")):
            paths.setdefault(path.stem, path)
    return dict(sorted(paths.items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])))


def load_model(name: str = DEFAULT_MODEL, folders: Sequence[Path] | None = None) -> Model:
    """Load a model by name.

    Parameters
    ----------
    name : str
    folders : sequence of Path, optional
        See `model_folders`.

    Raises
    ------
    InputError
        If there is no such model.
    FileError
        If its file has faults; all are listed.

    Examples
    --------
    >>> load_model("varela2025").file.population.n
    56
    """
    paths = model_paths(folders)
    if name not in paths:
        do = nearest(name, list(paths))
        raise InputError(Fault("model", f"unknown model {name!r}", do=do, whole=True))
    return _load(paths[name], paths[name].stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _load(path: Path, _modified: int) -> Model:
    file = read_toml(path, ModelFile)
    if file.id != path.stem:
        raise FileError(f"{path}: id: {file.id!r} must be the name of the file, {path.stem!r}")
    return Model(file, path, hashlib.sha256(path.read_bytes()).hexdigest())


def load_models(folders: Sequence[Path] | None = None) -> list[Model]:
    """Load all models, the default first.

    Parameters
    ----------
    folders : sequence of Path, optional
        See `model_folders`.

    Raises
    ------
    FileError
        If files have faults; those of every file are listed.
    """
    models: list[Model] = []
    faults: list[Fault] = []
    for path in model_paths(folders).values():
        try:
            models.append(_load(path, path.stat().st_mtime_ns))
        except FileError as error:
            faults.extend(error.faults)
    if faults:
        raise FileError(*faults)
    return models
