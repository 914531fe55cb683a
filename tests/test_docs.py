"""The site shows what the program does, and works without a network."""

import html.parser
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from engine.blocks import PageError, blocks
from engine.including import included_files, with_included
from engine.notebooks import as_notebook
from engine.reference import commands
from engine.running import run_page

from fludapk.cli import main

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs"
NOTEBOOKS = sorted(path for path in (PAGES / "gallery").glob("*.md") if path.stem != "index")


def run(text: str) -> str:
    return run_page(text, keep=lambda path: path.name)


# --- How a page is run ----------------------------------------------------------------------------


def test_the_output_of_a_command_stands_below_it() -> None:
    made = run("```console\n$ fludapk --version\n```\n")
    assert re.fullmatch(r"```console\n\$ fludapk --version\nfludapk, version \S+\n```\n", made)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("```console\n$ fludapk regimens show nobody\n```\n", "exit 3, not 0"),
        ("```console exit=3\n$ fludapk --version\n```\n", "exit 0, not 3"),
        ("```console embed=x.svg\n$ fludapk --version\n```\n", "no command has written x.svg"),
        ("```console tail=3\n$ fludapk --version\n```\n", "has no option tail"),
        ('```python\nx = 1\nassert x == 2, "no"\n```\n', 'assert x == 2, "no"\nAssertionError: no'),
        ("One is {{ 1 / 0 }}.", "{{ 1 / 0 }}\nZeroDivisionError"),
    ],
)
def test_a_page_that_fails_is_not_built(page: str, reason: str) -> None:
    with pytest.raises(PageError, match=re.escape(reason)):
        run(page)


def test_a_page_goes_on_with_the_names_and_files_of_its_earlier_blocks() -> None:
    page = (
        "```csv file=own.csv\nid,age\n```\n```python hide\nfrom pathlib import Path\n"
        'header = Path("own.csv").read_text()\n```\n{{ header.upper().strip() }}\n'
    )
    assert "ID,AGE" in run(page)


@pytest.mark.parametrize("last", ["axes = figure.subplots()", "figure"])
def test_a_figure_is_shown_whether_it_is_open_or_the_last_value(last: str) -> None:
    kind = "plt.figure()" if last.startswith("axes") else "matplotlib.figure.Figure()"
    page = f"import matplotlib.figure\nimport matplotlib.pyplot as plt\nfigure = {kind}\n{last}\n"
    assert run(f"```python\n{page}```\n").count('src="figure-1.svg"') == 1


def test_braces_in_code_are_left_as_they_are() -> None:
    assert run("`{{ 1 + 1 }}` is {{ 1 + 1 }}.") == "`{{ 1 + 1 }}` is 2."


def test_a_command_that_is_not_to_be_run_is_shown_as_it_stands() -> None:
    page = "```console norun\n$ fludapk serve\n```\n"
    assert run(page) == page.replace(" norun", "")


def test_a_page_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("```toml file=left.toml\nx = 1\n```\n")
    assert Path.cwd() == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_links_of_an_included_file_arrive_where_they_were_meant_to() -> None:
    page = PAGES / "reference" / "page.md"
    text = with_included("<!-- include: ../../CONTRIBUTING.md -->", page, included_files(PAGES))
    assert "](model-files.md)" in text
    assert "](models/README.md)" not in text


# --- What the pages say ---------------------------------------------------------------------------


def test_every_command_has_its_help_on_the_page_of_commands() -> None:
    page = commands()
    for name, command in main.commands.items():
        assert f"## `fludapk {name}`" in page
        assert f"Usage: fludapk {name}" in page
        for inner in getattr(command, "commands", {}):
            assert f"## `fludapk {name} {inner}`" in page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_checks_itself_and_ends_with_a_question(path: Path) -> None:
    text = path.read_text("utf-8")
    code = [block.body for block in blocks(text) if block.language == "python"]
    assert len(text.splitlines()) <= 110, "two screens"
    assert any("assert " in cell for cell in code)
    assert text.rstrip().splitlines()[-1].startswith("**To try:**")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_in_jupyter_with_the_code_of_the_page(path: Path) -> None:
    text = path.read_text("utf-8")
    notebook = json.loads(as_notebook(text))
    code = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert code == [block.body.strip() for block in blocks(text) if block.language == "python"]
    assert notebook["cells"][0]["source"][0].startswith("# ")
    assert all(cell.get("outputs", []) == [] for cell in notebook["cells"])


# --- The site -------------------------------------------------------------------------------------


class Addresses(html.parser.HTMLParser):
    """What a page loads by itself, what it leads to, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values: dict[str, Any] = dict(attrs)
        self.anchors.update(values[key] for key in ("id", "name") if values.get(key))
        if tag == "link" and values.get("rel") != "canonical":
            self.loaded.append(values["href"])
        elif values.get("src"):
            self.loaded.append(values["src"])
        elif tag == "a" and values.get("href"):
            self.links.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--fresh-env",
         "--quiet", str(PAGES), str(out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def pages(site: Path) -> dict[Path, Addresses]:
    return {path: Addresses(path.read_text("utf-8")) for path in site.rglob("*.html")}


def is_elsewhere(address: str) -> bool:
    return re.match(r"[a-z]+:|//", address) is not None


@pytest.mark.docs
def test_nothing_on_a_page_comes_from_a_network(site: Path) -> None:
    loaded = {a for page in pages(site).values() for a in page.loaded if not a.startswith("data:")}
    assert any("searchtools.js" in a or "furo.js" in a for a in loaded)
    assert [a for a in loaded if is_elsewhere(a)] == []
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)\"']*", styles) == []


@pytest.mark.docs
def test_every_link_between_pages_leads_somewhere(site: Path) -> None:
    parsed = pages(site)
    broken = []
    for path, page in parsed.items():
        for address in [*page.links, *page.loaded]:
            if is_elsewhere(address):
                continue
            file, _, anchor = address.partition("#")
            target = (path.parent / unquote(file.split("?")[0])).resolve() if file else path
            if not target.exists() or (
                anchor and target in parsed and unquote(anchor) not in parsed[target].anchors
            ):
                broken.append(f"{path.relative_to(site)}: {address}")
    assert broken == []


@pytest.mark.docs
def test_every_page_is_in_the_menu_and_every_notebook_can_be_taken_home(site: Path) -> None:
    front = (site / "index.html").read_text("utf-8")
    for path in PAGES.rglob("*.md"):
        address = path.relative_to(PAGES).with_suffix(".html").as_posix()
        assert f'href="{address}"' in front or address == "index.html", address
    for path in NOTEBOOKS:
        assert (site / "made" / "gallery" / f"{path.stem}.ipynb").is_file()


@pytest.mark.docs
def test_the_site_names_no_folder_of_the_machine_that_built_it(site: Path) -> None:
    places = [str(ROOT), "/tmp/"]
    texts = [p for p in site.rglob("*") if p.suffix in {".html", ".ipynb", ".json", ".txt", ".js"}]
    assert [p.name for p in texts if any(place in p.read_text("utf-8") for place in places)] == []


@pytest.mark.docs
def test_every_page_was_run(site: Path) -> None:
    value = re.compile(r"\{\{ [a-z]")
    assert [p.name for p in site.rglob("*.html") if value.search(p.read_text("utf-8"))] == []
