"""The house plan: who may import whom, where heavy libraries live, and what a start costs."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "fludapk"

ROOMS: Final = ("pk", "published", "patients", "answers", "studies", "pages", "web", "cli")
"""From the ground up: a file imports from rooms to its left, and inside its own no circle."""

GROUND: Final = (
    "_version", "arrays", "atomic", "digits", "errors", "language", "patience", "units",
)  # fmt: skip
"""Files below all rooms."""

HOMES: Final = {
    "numba": ("fludapk.pk.jit", "fludapk.pk.kernels"),
    "llvmlite": ("fludapk.pk.kernels",),
    "pydantic": ("fludapk.digits", "fludapk.published", "fludapk.studies.scenario", "fludapk.web"),
    "pandas": ("fludapk.answers.record", "fludapk.studies"),
    "click": ("fludapk.cli",),
    "rich": ("fludapk.cli",),
    "matplotlib": ("fludapk.pages",),
    "jinja2": ("fludapk.pages",),
    "babel": ("fludapk.language",),
    "openpyxl": ("fludapk.patients.xlsx_list", "fludapk.patients.xlsx_results"),
    "pyarrow": ("fludapk.answers.draws", "fludapk.studies"),
    "distributed": ("fludapk.studies.shards",),
    "fastapi": ("fludapk.web",),
    "uvicorn": ("fludapk.web",),
}
"""A heavy import and the rooms or files that may have it."""

FILES: Final = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
"""Module -> file."""


def room(module: str) -> int:
    """Place of the room of a module; the files beside the rooms are the ground."""
    parts = module.split(".")
    if len(parts) > 1 and parts[1] in ROOMS:
        return ROOMS.index(parts[1])
    return -1 if parts[-1] in GROUND else len(ROOMS)  # the front door stands on everything


def parsed(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text("utf-8"))


def is_type_checking(node: ast.If) -> bool:
    """`if TYPE_CHECKING:`, whose imports never run."""
    name = node.test.attr if isinstance(node.test, ast.Attribute) else node.test
    return name == "TYPE_CHECKING" or getattr(name, "id", None) == "TYPE_CHECKING"


def imports(node: ast.AST, *, into_functions: bool = True) -> Iterator[str]:
    """Dotted names of what is imported, without what is for type checkers only."""
    inside: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and is_type_checking(node):
        inside = node.orelse
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not into_functions:
        inside = ()
    for part in inside:
        yield from imports(part, into_functions=into_functions)


def imported(module: str) -> set[str]:
    """Modules of the package that a module imports."""
    found = set()
    for name in imports(parsed(module)):
        parts = name.split(".")
        if parts[0] == "fludapk":
            found.add(
                next(m for n in (len(parts), len(parts) - 1) if (m := ".".join(parts[:n])) in FILES)
            )
    return found - {module}


# --- Rooms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", FILES)
def test_a_file_imports_only_rooms_to_its_left(module: str) -> None:
    above = [name for name in imported(module) if room(name) > room(module)]
    assert above == []


def test_nobody_imports_in_a_circle() -> None:
    left = {module: imported(module) for module in FILES}
    while ground := {module for module, below in left.items() if not below & left.keys()}:
        left = {module: below for module, below in left.items() if module not in ground}
    assert left == {}


@pytest.mark.parametrize("module", FILES)
def test_no_private_name_is_imported(module: str) -> None:
    names = [
        name.rpartition(".")[2] for name in imports(parsed(module)) if name.startswith("fludapk.")
    ]
    assert [name for name in names if name.startswith("_") and not name.endswith("__")] == []


@pytest.mark.parametrize("module", FILES)
def test_no_private_name_of_another_file_is_used(module: str) -> None:
    tree = parsed(module)
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if f"{node.module}.{alias.name}" in FILES
    }
    used = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in modules
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
    }
    assert used == set()


def test_a_check_does_not_need_the_verification() -> None:
    assert "fludapk.answers.verify" not in imported("fludapk.answers.check")


def test_the_walk_sees_imports_wherever_they_are() -> None:
    tree = ast.parse(
        "import a.b\n"
        "from c import d, e\n"
        "if TYPE_CHECKING:\n    import f\nelse:\n    import g\n"
        "if typing.TYPE_CHECKING:\n    import n\n"
        "def h() -> None:\n    import i\n"
        "class J:\n    import k\n"
        "try:\n    import l\nexcept ImportError:\n    import m\n"
    )
    assert list(imports(tree)) == ["a.b", "c.d", "c.e", "g", "i", "k", "l", "m"]
    assert list(imports(tree, into_functions=False)) == ["a.b", "c.d", "c.e", "g", "k", "l", "m"]


# --- Heavy imports --------------------------------------------------------------------------------


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_import_has_one_home(library: str) -> None:
    users = {
        module
        for module in FILES
        if any(name.split(".")[0] == library for name in imports(parsed(module)))
    }
    assert [user for user in users if not user.startswith(HOMES[library])] == []


@pytest.mark.parametrize("module", FILES)
def test_pictures_and_templates_are_imported_inside_functions(module: str) -> None:
    at_import = {name.split(".")[0] for name in imports(parsed(module), into_functions=False)}
    assert not at_import & {"matplotlib", "jinja2"}


def test_the_package_itself_imports_nothing() -> None:
    names = imports(parsed("fludapk"), into_functions=False)
    assert {name.split(".")[0] for name in names} <= {
        "__future__",
        "importlib",
        "typing",
        "fludapk",
    }
    assert imported("fludapk") <= {"fludapk._version"} | set(FILES)


PARTS: Final = {"part", "woven", "inlined"}


def test_nobody_outside_the_kernels_uses_a_part_of_one() -> None:
    """Parts have no entry for Python: a call would end the process."""
    parts = {
        f"{module}.{node.name}"
        for module in FILES
        if module.startswith("fludapk.pk.kernels")
        for node in parsed(module).body
        if isinstance(node, ast.FunctionDef)
        and {getattr(d, "id", None) for d in node.decorator_list} & PARTS
    }
    assert len(parts) > 20
    users = {
        module: parts & set(imports(parsed(module)))
        for module in FILES
        if not module.startswith("fludapk.pk.kernels")
    }
    assert {module for module, used in users.items() if used} == set()


@pytest.mark.parametrize("module", FILES)
def test_nothing_is_generated_or_evaluated(module: str) -> None:
    called = {
        node.func.id
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"eval", "exec", "compile", "__import__"}


def loaded_by(*arguments: str) -> set[str]:
    """Libraries in memory after a command, in a process of its own."""
    program = (
        "import sys\n"
        "from fludapk.cli import main\n"
        "try:\n"
        f"    main({list(arguments)!r})\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "names = [n for n, m in sys.modules.items() if m is not None]\n"
        "print(*names, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--help",), ("check", "--help"), ("--version",)])
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)
    assert "click" in loaded
    assert not loaded & {"numba", "numpy", "pandas", "scipy", "matplotlib", "pydantic"}


def test_a_check_loads_no_more_than_it_needs() -> None:
    loaded = loaded_by(
        *("check", "--age", "5", "--weight", "18.2", "--height", "110"),
        *("--scr", "0.3 mg/dL", "--regimen", "tisa_cel_ball"),
    )
    assert "numba" in loaded
    assert not loaded & {"scipy.stats", "scipy.linalg", "pandas", "matplotlib"}
    others = ("compare", "design", "dose", "update")
    assert not loaded & {f"fludapk.answers.{question}" for question in others}


# --- Documentation --------------------------------------------------------------------------------

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(tree: ast.Module) -> Iterator[tuple[str, Documented]]:
    """Public functions, classes and methods."""
    for node in tree.body:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, Documented) and not part.name.startswith("_"):
                        yield f"{node.name}.{part.name}", part


@pytest.mark.parametrize("module", FILES)
def test_everything_public_has_a_docstring(module: str) -> None:
    tree = parsed(module)
    assert ast.get_docstring(tree), module
    assert [name for name, node in public(tree) if not ast.get_docstring(node)] == []


# --- The repository -------------------------------------------------------------------------------

NOT_OURS: Final = {
    *(".git", ".venv", ".hypothesis", ".benchmarks", "__pycache__", "build", "dist"),
    *(".mypy_cache", ".ruff_cache", ".pytest_cache"),
}


def our_files(folder: Path) -> Iterator[Path]:
    """Files of the repository, without environments, caches and what was built."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            is_environment = (path / "pyvenv.cfg").exists()
            if path.name not in NOT_OURS and path.suffix != ".egg-info" and not is_environment:
                yield from our_files(path)
        elif path.name not in NOT_OURS:
            yield path


def test_no_file_mentions_the_place_where_it_was_made() -> None:
    places = [f"..{'/'}shared".encode(), f"{'/'}work{'/'}".encode()]
    files = list(our_files(ROOT))
    assert {Path(__file__).resolve(), ROOT / "pyproject.toml"} <= set(files)
    guilty = [
        path.relative_to(ROOT).as_posix()
        for path in files
        if any(place in path.read_bytes() for place in places)
    ]
    assert guilty == []


def test_what_is_installed_has_every_folder_of_the_sources() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "fludapk").rglob("*.py")}
    data = {name for name in settings["package-data"] if name != "fludapk.models"}
    assert {".".join(folder.parts) for folder in folders} <= set(settings["packages"])
    assert data <= set(settings["packages"])
