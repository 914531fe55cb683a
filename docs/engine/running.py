"""Runs the blocks of a page, and puts what comes out below each of them."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
import shutil
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from engine.blocks import Block, PageError, blocks, fenced
from fludapk.cli import main

ROOT: Final = Path(__file__).parents[2]
_VALUE: Final = re.compile(r"`[^`\n]*`|\{\{(?P<value>.+?)\}\}", re.S)


class Runner:
    """A page being run: a folder of its own with the examples in it, and names of its own.

    Parameters
    ----------
    folder : Path
        Where commands of the page run and write.
    keep : callable
        Takes a file that the page shows, and returns its address from the page.
    """

    def __init__(self, folder: Path, keep: Callable[[Path], str]) -> None:
        self.folder = folder
        self.keep = keep
        self.names: dict[str, Any] = {"__name__": "page"}
        self.figures = 0
        shutil.copytree(ROOT / "examples", folder / "examples")

    def page(self, text: str) -> str:
        """Return the page with everything in it run.

        Parameters
        ----------
        text : str
            Markdown.

        Returns
        -------
        str
            Markdown, with outputs.
        """
        with contextlib.chdir(self.folder):
            return "".join(self._block(block) for block in blocks(text))

    def _block(self, block: Block) -> str:
        if block.language == "console":
            return self._console(block)
        if block.language == "python" and not block.body.startswith(">>>"):
            return self._python(block)
        if "file" in block.options:
            (self.folder / block.options["file"]).write_text(block.body, "utf-8")
            return fenced(block.language, block.body)
        return block.source if block.language else self._values(block.body)

    # --- Commands ---------------------------------------------------------------------------------

    def _console(self, block: Block) -> str:
        """Run the commands of fludapk in a block; others are shown as they are."""
        shown: list[str] = []
        for command in _commands(block.body):
            shown.append(command)
            if command.startswith("$ fludapk") and "norun" not in block.options:
                expected = int(block.options.get("exit", "0"))
                shown.append(_cut(fludapk(command[2:], expected), block.options.get("head")))
        made = fenced("console", "\n".join(line.rstrip("\n") for line in shown if line))
        if name := block.options.get("embed"):
            made += self._embedded(self.folder / name)
        return made

    def _embedded(self, path: Path) -> str:
        """Show a picture or a sheet that a command has written."""
        if not path.is_file():
            raise PageError(f"no command has written {path.name}")
        address = self.keep(path)
        if path.suffix == ".html":
            frame = f'<iframe class="sheet" title="{path.name}" src="{address}"></iframe>'
            link = f'<p><a href="{address}">Open the sheet by itself</a>, to print it.</p>'
            return "\n" + fenced("{raw} html", f"{frame}\n{link}")
        return "\n" + fenced("{raw} html", f'<img class="made" alt="{path.stem}" src="{address}">')

    # --- Python -----------------------------------------------------------------------------------

    def _python(self, block: Block) -> str:
        printed, value = self._executed(block.body)
        if "markdown" in block.options:
            return f"\n{printed}\n"
        made = "" if "hide" in block.options else fenced("python", block.body)
        if printed.strip():
            made += "\n" + fenced("text", printed)
        return made + self._drawn(value)

    def _executed(self, code: str) -> tuple[str, Any]:
        """Run lines, and return what they print and the value of the last expression."""
        tree = ast.parse(code)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        printed = io.StringIO()
        value = None
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(tree, "page", "exec"), self.names)
                if isinstance(last, ast.Expr):
                    value = eval(compile(ast.Expression(last.value), "page", "eval"), self.names)
        except Exception as error:
            lines = [step.lineno for step in traceback.extract_tb(error.__traceback__)
                     if step.filename == "page" and step.lineno]  # fmt: skip
            line = code.splitlines()[lines[0] - 1] if lines else ""
            raise PageError(f"{line}\n{type(error).__name__}: {error}") from error
        return printed.getvalue(), value

    def _drawn(self, value: Any) -> str:
        """Show a value as a notebook does: open figures, HTML, or its text."""
        pictures = self._pictures()
        if hasattr(value, "savefig"):  # a figure that pyplot does not know
            pictures += self._picture(value)
        if pictures or value is None:
            return pictures
        html = value._repr_html_() if hasattr(value, "_repr_html_") else None
        if html is not None:
            return "\n" + fenced("{raw} html", f'<div class="output">{html}</div>')
        return "\n" + fenced("text", repr(value))

    def _pictures(self) -> str:
        """Draw and close the open figures of matplotlib."""
        import matplotlib.pyplot as plt

        figures = [plt.figure(number) for number in plt.get_fignums()]
        plt.close("all")
        return "".join(self._picture(figure) for figure in figures)

    def _picture(self, figure: Any) -> str:
        """Show a figure of matplotlib."""
        self.figures += 1
        path = self.folder / f"figure-{self.figures}.svg"
        figure.savefig(path, bbox_inches="tight")
        return self._embedded(path)

    def _values(self, text: str) -> str:
        """Fill in ``{{ expression:format }}``, outside code."""

        def value(match: re.Match[str]) -> str:
            if match["value"] is None:
                return match[0]
            try:
                return str(eval(f'f"""{{{match["value"].strip()}}}"""', self.names))
            except Exception as error:
                raise PageError(f"{match[0]}\n{type(error).__name__}: {error}") from error

        return _VALUE.sub(value, text)


def fludapk(command: str, expected_exit: int = 0) -> str:
    """Run a command in this process, and return what a terminal shows.

    Parameters
    ----------
    command : str
        As typed, beginning with ``fludapk``.
    expected_exit : int
        Exit code without which the page is not built.

    Returns
    -------
    str
        Both streams, without the notice of the first compilation.
    """
    typed = shlex.split(command.replace("\\\n", " "))
    result = CliRunner().invoke(main, typed[1:], prog_name=typed[0])
    lines = [ln for ln in result.output.splitlines(True) if "compiling kernels" not in ln]
    output = "".join(lines)
    if result.exit_code != expected_exit:
        raise PageError(f"$ {command}\nexit {result.exit_code}, not {expected_exit}:\n{output}")
    return output


def run_page(text: str, keep: Callable[[Path], str]) -> str:
    """Run a page in a folder of its own, which is gone afterwards.

    Parameters
    ----------
    text : str
        Markdown.
    keep : callable
        Takes a file that the page shows, and returns its address from the page.

    Returns
    -------
    str
        Markdown, with outputs.

    Examples
    --------
    >>> print(run_page("Eight is {{ 2 ** 3 }}.", keep=str))
    Eight is 8.
    """
    with tempfile.TemporaryDirectory() as folder:
        return Runner(Path(folder), keep).page(text)


def _commands(body: str) -> list[str]:
    """Lines of a block, those that end with a backslash joined with the next for the shell."""
    return re.split(r"(?<!\\)\n", body.rstrip())


def _cut(output: str, head: str | None) -> str:
    lines = output.splitlines()
    if head is None or len(lines) <= int(head):
        return output
    return "\n".join([*lines[: int(head)], "…"])
