"""The installation: versions, platform, and whether files are those of the release."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from fludapk._version import __version__
from fludapk.answers.qualification_records import Checked, Installation, ModelFileRecord, Package
from fludapk.published.models import Model
from fludapk.published.tables import DATA

PACKAGES: Final = (
    "numba", "llvmlite", "numpy", "scipy", "pandas", "pydantic", "pydantic-core", "click", "rich",
    "jinja2", "matplotlib", "fastapi", "starlette", "uvicorn", "pyarrow", "distributed",
)  # fmt: skip
"""Packages that numbers, pages or requests pass through; those of an extra may be absent."""
RELEASED: Final = DATA / "qualification.json"
"""Hashes and known answers of this release, written by ``tools/make_qualification.py``."""
_PACKAGE: Final = Path(__file__).resolve().parents[1]
_CODE: Final = (".py", ".toml", ".csv", ".json", ".html", ".css", ".js")


@lru_cache(maxsize=1)
def released() -> dict[str, Any]:
    """Return the hashes and known answers of this release."""
    content: dict[str, Any] = json.loads(RELEASED.read_text(encoding="utf-8"))
    return content


def sha256_of(path: Path) -> str:
    """Hash a file, whatever the line ends of the system it was checked out on."""
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def data_files() -> list[Path]:
    """Return the files of regimens, targets, populations and growth, without the release's own."""
    return [path for path in sorted(DATA.iterdir()) if path.is_file() and path != RELEASED
            and path.suffix in _CODE and path.suffix != ".py"]  # fmt: skip


def installation(models: Sequence[Model]) -> Installation:
    """Describe the installation.

    Parameters
    ----------
    models : sequence of Model
        Models in use.
    """
    released_models = released()["models"]
    files = [path for path in sorted(_PACKAGE.rglob("*")) if path.suffix in _CODE]
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()} {sha256_of(path)}\n".encode())
    return Installation(
        version=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=platform.platform(),
        machine=platform.machine(),
        packages=list(_packages()),
        models=[
            ModelFileRecord(
                id=model.id,
                sha256=sha256_of(model.path),
                path=str(model.path),
                released=released_models.get(model.id) == sha256_of(model.path),
            )
            for model in models
        ],
        code_sha256=digest.hexdigest(),
        code_files=len(files),
        installed_from=_installed_from(),
    )


def _packages() -> Iterator[Package]:
    for name in PACKAGES:
        try:
            yield Package(name=name, version=metadata.version(name))
        except metadata.PackageNotFoundError:
            continue


def file_checks(models: Sequence[Model]) -> list[Checked]:
    """Compare model files, data files and installed files with those of the release."""
    manifest = released()
    rows = [_file("version of the release", "version", manifest["version"], __version__)]
    for model in models:
        expected = manifest["models"].get(model.id)
        rows.append(_file(f"model {model.id}", "sha256", expected, sha256_of(model.path)))
    absent = sorted(set(manifest["models"]) - {model.id for model in models})
    rows += [_file(f"model {name}", "sha256", manifest["models"][name], None) for name in absent]
    by_name = {path.name: path for path in data_files()}
    for name, expected in manifest["data"].items():
        path = by_name.get(name)
        rows.append(_file(name, "sha256", expected, None if path is None else sha256_of(path)))
    rows += [
        _file(name, "sha256", "as recorded at installation", "changed or missing")
        for name in _changed_since_installation()
    ]
    return rows


def _file(name: str, quantity: str, expected: str | None, computed: str | None) -> Checked:
    """Compare a file; one that is not of the release, such as an own model, is only recorded."""
    return Checked(
        section="files",
        name=name,
        quantity=quantity,
        expected=expected,
        computed=computed,
        allowed=None,
        ok=expected in (None, computed),
        source="release" if expected is not None else "not of this release",
    )


def _distribution() -> metadata.Distribution | None:
    """Return the installed distribution that this package was imported from."""
    try:
        found = metadata.distribution("fludapk")
    except metadata.PackageNotFoundError:
        return None
    here = Path(str(found.locate_file("fludapk/__init__.py")))
    return found if here.exists() and here.resolve() == _PACKAGE / "__init__.py" else None


def _installed_from() -> str:
    distribution = _distribution()
    if distribution is None or not _recorded(distribution):
        return "a folder of sources: its code is hashed, but not compared with a release"
    changed = len(_changed_since_installation())
    whole = "all as recorded" if not changed else f"{changed} changed or missing"
    return f"a wheel: {len(_recorded(distribution))} files, {whole}"


def _recorded(distribution: metadata.Distribution) -> list[metadata.PackagePath]:
    """Return the files of the package with a hash in the record of the installation."""
    return [
        path
        for path in distribution.files or []
        if path.parts[0] == "fludapk" and path.hash is not None
    ]


def _changed_since_installation() -> list[str]:
    """Name the files of an installed wheel that are not as the installer wrote them."""
    distribution = _distribution()
    changed = []
    for path in [] if distribution is None else _recorded(distribution):
        assert path.hash is not None
        file = Path(str(path.locate()))
        content = file.read_bytes() if file.is_file() else b""
        digest = hashlib.new(path.hash.mode, content).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != path.hash.value:
            changed.append(str(path))
    return changed


def interpreter() -> str:
    """Return the Python that runs this, to start another one like it."""
    return sys.executable
