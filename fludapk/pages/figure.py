"""Figures by matplotlib in one style, reproducible to the byte."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from fludapk.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLE: Final[Any] = {"font.family": "DejaVu Sans", "font.size": 10.0, "svg.fonttype": "none"}


@dataclass(frozen=True)
class Figures:
    """A figure that can be written as SVG and PNG, the same bytes every time.

    Parameters
    ----------
    name : str
    size_in : (float, float)
        Width and height, inches.
    draw : callable
        Draws on an empty figure.
    style : mapping, optional
        Settings of matplotlib beside those of every figure.
    is_placed : bool
        True if `draw` places everything itself; a pixel is a point then.
    """

    name: str
    size_in: tuple[float, float]
    draw: Callable[[Figure], None]
    style: Any = field(default_factory=dict)
    is_placed: bool = False

    def svg(self) -> str:
        """Return the figure as an SVG document."""
        out = io.StringIO()
        with self._drawn() as figure:
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": "fludapk"})
        return out.getvalue()

    def png(self) -> bytes:
        """Return the figure as a PNG picture, 200 dots per inch."""
        out = io.BytesIO()
        with self._drawn() as figure:
            figure.savefig(out, format="png", dpi=200, metadata={"Software": None})
        return out.getvalue()

    def figure(self) -> Figure:
        """Return the figure itself, drawn."""
        with self._drawn() as figure:
            return figure

    @contextmanager
    def _drawn(self) -> Iterator[Figure]:
        try:
            import matplotlib
            from matplotlib.figure import Figure
        except ImportError:
            raise InputError("figures need the extra: pip install 'fludapk[report]'") from None
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update({**_STYLE, "svg.hashsalt": self.name, **self.style})
            if self.is_placed:
                figure = Figure(figsize=self.size_in, dpi=72)
            else:
                figure = Figure(figsize=self.size_in, layout="constrained")
            self.draw(figure)
            yield figure


def plain(axes: Axes) -> None:
    """Leave out the frame above and right."""
    axes.spines[["top", "right"]].set_visible(False)


def can_draw() -> bool:
    """Tell if figures and a page can be drawn, with the extra ``report``."""
    return find_spec("matplotlib") is not None and find_spec("jinja2") is not None


def svg_of(pictures: Callable[[], Mapping[str, Figures]]) -> dict[str, str]:
    """Draw figures as SVG documents by name; none without the extra ``report``.

    Parameters
    ----------
    pictures : callable
        Prepares the figures; not called without the extra.
    """
    return {name: figure.svg() for name, figure in pictures().items()} if can_draw() else {}


def drawn(
    figures: Mapping[str, Figures], page: Callable[[Mapping[str, str]], str]
) -> dict[str, str | bytes]:
    """Draw the files of figures, and of the page made of their SVG, by name.

    Parameters
    ----------
    figures : mapping of str to Figures
    page : callable
        From SVG documents by name to the page.
    """
    svg = {name: figure.svg() for name, figure in figures.items()}
    files: dict[str, str | bytes] = {}
    for name, figure in figures.items():
        files[f"figures/{name}.svg"] = svg[name]
        files[f"figures/{name}.png"] = figure.png()
    return {**files, "report.html": page(svg)}
