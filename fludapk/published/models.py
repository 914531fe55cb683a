"""Published models: their folders and files, and how to load them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from fludapk.errors import Fault, FileError, InputError, nearest
from fludapk.language import any_of, tr
from fludapk.pk.program import Program
from fludapk.published.compile import compile_program, omega
from fludapk.published.model_files import ModelFile
from fludapk.published.tables import CATEGORICAL, FLUDARABINE, SEX, read_toml
from fludapk.published.uncertainty import Uncertainty

DEFAULT_MODEL: Final = "langenhorst2019"
AVERAGED: Final = "averaged"
"""Word that stands for an average over the models that apply, where a model is named."""


# ------------------------------------------------------------------ models and where they are


@dataclass(frozen=True, eq=False)
class Model:
    """A published model: its file, where it came from, and its compiled form."""

    file: ModelFile
    path: Path
    sha256: str

    @cached_property
    def id(self) -> str:
        """Name of the model."""
        return self.file.id

    @property
    def drug(self) -> str:
        """Drug as prescribed."""
        return self.file.dose.prescribed

    @property
    def adjusted(self) -> list[str]:
        """Sentences on matrices that are valid only within their printed rounding."""
        return [
            tr(
                "{kind}: the printed matrix is no covariance, by its rounding; the nearest valid "
                "one within it is used (a correlation moves by up to {moved:.2g})",
                kind=kind.upper(),
                moved=moved,
            )
            for kind, moved in self._moved.items()
            if moved > 0.0
        ]

    @cached_property
    def _moved(self) -> dict[str, float]:
        """Largest move of a correlation in each kind of matrix until it is valid."""
        return {kind: omega(self.file, kind)[1] for kind in ("iiv", "iov")}

    @property
    def not_shipped(self) -> str:
        """Warning that this is another model under the name of a shipped one; else empty."""
        return replacement_warning(self.id, self.sha256)

    @cached_property
    def program(self) -> Program:
        """Compiled form of the model."""
        return compile_program(self.file)

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """Printed uncertainty of its numbers."""
        return Uncertainty.printed(self.file, self.program.theta)

    @cached_property
    def renal_covariate(self) -> str | None:
        """Renal covariate of the model: 'eGFR', 'CrCl' or None."""
        return next((name for name in ("eGFR", "CrCl") if name in self.file.covariates), None)

    @property
    def own_categories(self) -> list[str]:
        """Names of the categories that no other model need have."""
        covariates = self.file.covariates.items()
        return [k for k, c in covariates if c.levels and k not in (*CATEGORICAL, SEX)]

    def categories(self, covariate: str) -> list[str]:
        """Return the categories of a covariate of this model; empty if it has none."""
        described = self.file.covariates.get(covariate)
        return [] if described is None else described.levels


class ModelFolders(list[Path]):
    """Folders of models, and whether a file in them may take the name of a shipped model.

    Parameters
    ----------
    folders : iterable of Path
    allow_override : bool
    """

    def __init__(self, folders: Iterable[Path] = (), *, allow_override: bool = False) -> None:
        super().__init__(folders)
        self.allow_override = allow_override


def model_folders(extra: str | Path | None = None, *, allow_override: bool = False) -> ModelFolders:
    """Return the folders searched for models: `extra`, FLUDAPK_MODELS, the shipped one.

    A model in an earlier folder hides one of the same name in a later folder.

    Parameters
    ----------
    extra : str or Path, optional
    allow_override : bool
        True: a file may have the name of a shipped model and replace it; every answer then says so
        first. Else such a file is a fault.
    """
    folders = [Path(folder) for folder in (extra, os.environ.get("FLUDAPK_MODELS")) if folder]
    for folder in folders:
        if not folder.is_dir():
            raise FileError(f"{folder}: no such folder of models")
    return ModelFolders([*folders, _shipped()], allow_override=allow_override)


@lru_cache(maxsize=1)
def _shipped() -> Path:
    """Return the folder of shipped models, in an installed package or in the repository."""
    here = Path(__file__).resolve().parents[1]
    installed = here / "models"
    return installed if installed.is_dir() else here.parent / "models"


def replacement_warning(name: str, sha256: str) -> str:
    """Return the warning that a model has the name of a shipped one and other contents, or "".

    Parameters
    ----------
    name : str
    sha256 : str
        Hash of its file.

    Examples
    --------
    >>> replacement_warning("langenhorst2019", "0" * 64)
    'NOT the shipped langenhorst2019 (sha 000000000000)'
    >>> replacement_warning("own2026", "0" * 64)
    ''
    """
    shipped = _shipped_hashes().get(name, sha256)
    if shipped == sha256:
        return ""
    return tr("NOT the shipped {name} (sha {sha})", name=name, sha=sha256[:12])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=1)
def _shipped_hashes() -> Mapping[str, str]:
    """Return the hash of each shipped file by the name of its model."""
    return {path.stem: _sha256(path) for path in _shipped().glob("*.toml")}


def model_paths(folders: Sequence[Path] | None = None) -> dict[str, Path]:
    """Return model name -> file, the default model first, then in alphabetical order.

    Parameters
    ----------
    folders : sequence of Path, optional
        See `model_folders`.

    Raises
    ------
    FileError
        If a file has the name of a shipped model and nobody allowed that.
    """
    searched = folders or model_folders()
    paths: dict[str, Path] = {}
    for folder in searched:
        for path in _listed(folder):
            paths.setdefault(path.stem, path)
    if not getattr(searched, "allow_override", False):
        _refuse_replacements(paths)
    return dict(sorted(paths.items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])))


def _listed(folder: Path) -> tuple[Path, ...]:
    """List the model files of a folder, in order; none if there is no such folder."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - several times as fast, at every check
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return _files(folder, tuple(sorted(name for name in names if name.endswith(".toml"))))


@lru_cache(maxsize=32)
def _files(folder: Path, names: tuple[str, ...]) -> tuple[Path, ...]:
    return tuple(Path(folder, name) for name in names)


def _refuse_replacements(paths: Mapping[str, Path]) -> None:
    """Refuse files that have the name of a shipped model, with other contents."""
    faults = []
    for name, path in paths.items():
        if name not in _shipped_hashes() or path.parent == _shipped():
            continue
        try:
            sha256 = _sha256(path)
        except OSError as error:
            raise FileError(f"{path}: cannot be read: {error.strerror}") from error
        if replacement_warning(name, sha256):
            found = f"{path}: has the name of the shipped model {name}, but is not that model"
            do = "rename the file and its id, or allow it with {allow_override}"
            faults.append(Fault("", found, do=do, whole=True))
    if faults:
        raise FileError(*faults)


def is_averaged(name: str) -> bool:
    """Tell if not one model is meant but an average over those that apply.

    Examples
    --------
    >>> is_averaged("averaged: langenhorst2019=1"), is_averaged("langenhorst2019")
    (True, False)
    """
    return name.partition(":")[0].strip() == AVERAGED


def load_model(
    name: str = DEFAULT_MODEL, folders: Sequence[Path] | None = None, *, any_drug: bool = False
) -> Model:
    """Load a model by name.

    Parameters
    ----------
    name : str
    folders : sequence of Path, optional
        See `model_folders`.
    any_drug : bool
        True: a model of another drug, to be shown, verified or exported. No dose of fludarabine is
        computed by one.

    Raises
    ------
    InputError
        If there is no such model, or it is of another drug.
    FileError
        If its file has faults; all are listed.

    Examples
    --------
    >>> load_model("varela2025").file.population.n
    56
    """
    paths = model_paths(folders)
    if is_averaged(name) and name not in paths:
        found = tr("one model is needed here, not an average")
        do = tr("name {models}", models=any_of(paths))
        raise InputError(Fault("model", found, do=do, whole=True))
    if name not in paths:
        do = nearest(name, list(paths))
        found = tr("unknown model {name!r}", name=name)
        raise InputError(Fault("model", found, do=do, whole=True))
    model = _load(paths[name], paths[name].stat().st_mtime_ns)
    if model.drug != FLUDARABINE and not any_drug:
        found = tr("{name} is a model of {drug}, and doses are of {own}",
                   name=name, drug=model.drug, own=FLUDARABINE)  # fmt: skip
        do = tr("it can be shown, verified and exported")
        raise InputError(Fault("model", found, do=do, whole=True))
    return model


@lru_cache(maxsize=64)
def _load(path: Path, _modified: int) -> Model:
    file = read_toml(path, ModelFile)
    if file.id != path.stem:
        raise FileError(f"{path}: id: {file.id!r} must be the name of the file, {path.stem!r}")
    return Model(file, path, _sha256(path))


def load_models(folders: Sequence[Path] | None = None, *, any_drug: bool = False) -> list[Model]:
    """Load all models, the default first.

    Parameters
    ----------
    folders : sequence of Path, optional
        See `model_folders`.
    any_drug : bool
        True: those of other drugs, too.

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
    return [model for model in models if any_drug or model.drug == FLUDARABINE]
