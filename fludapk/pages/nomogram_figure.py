"""Figures to read in print, in shades of grey: the nomogram.

matplotlib is the optional extra ``report``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fludapk.answers.nomogram_records import Nomogram
from fludapk.arrays import F8
from fludapk.errors import InputError
from fludapk.language import tr
from fludapk.pages.figure import Figures
from fludapk.published.course_files import TargetEntry
from fludapk.published.targets import HIGH, LOW, MET, OPTIMAL, targets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

A4_LANDSCAPE_IN: Final = (11.69, 8.27)
SMALLEST_PT: Final = 9.0

_AGES: Final = (*range(1, 21), 0.5, 0.25, 1.5, 0.1, 0.75)
"""Ages that are marked where there is room, the most wanted first, years."""


_HATCH: Final = "////"
_STOPPED: Final = "xxxx"
_HATCHES: Final = {"hatched": _HATCH, "stopped": _STOPPED, "blank": ""}
_CAP: Final[Any] = {"linewidth": 1.0, "linestyle": (0, (6, 1.5, 1, 1.5, 1, 1.5))}
_FOOTNOTE_CHARACTERS: Final = 168


@dataclass(frozen=True)
class _Line:
    """A contour."""

    level: float
    style: Any
    width: float
    side: int
    """Side of its label: lower (-1) or higher (+1)."""
    along: float
    """Place of its label along the line, from 0 to 1, if there is room."""
    unit: str
    bold: bool = True


_AUC: Final = "mg·h/L"
_THRESHOLDS: Final = (
    _Line(LOW, (0, (5, 2)), 2.0, -1, 0.3, _AUC),
    _Line(MET, "-", 2.0, +1, 0.6, _AUC),
    _Line(OPTIMAL, (0, (8, 2, 1.5, 2)), 2.0, -1, 0.5, _AUC),
    _Line(HIGH, (0, (1, 1.2)), 2.6, +1, 0.5, _AUC),
)
_BETWEEN: Final = tuple(
    _Line(level, "-", 0.7, +1, 0.4, _AUC, bold=False)
    for level in (6.0, 8.0, 10.0, 12.0, 16.0, 25.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0)
)
"""Contours between the thresholds, to read other values by."""
_OF_OTHERS: Final = 0.5
"""Width of a threshold that does not lead these patients, of one that does."""


def _thresholds(nomogram: Nomogram) -> list[_Line]:
    """Published thresholds: those of the target that leads in bold, the others thin."""
    leading = [targets()[name] for name in nomogram.targets_of_weights if name is not None]
    levels = {edge for t in leading for edge in (t.low, t.high, t.optimum) if edge is not None}
    return [
        line if line.level in levels else replace(line, width=_OF_OTHERS * line.width, bold=False)
        for line in _THRESHOLDS
    ]


def nomogram_svg(nomogram: Nomogram) -> str:
    """Draw a nomogram as an SVG document: A4 landscape, text as text.

    Raises
    ------
    InputError
        Without matplotlib, or if an axis has a single value.
    """
    return _figure(nomogram).svg()


def nomogram_png(nomogram: Nomogram) -> bytes:
    """Draw a nomogram as a PNG picture: A4 landscape; raises as `nomogram_svg`."""
    return _figure(nomogram).png()


def _figure(nomogram: Nomogram) -> Figures:
    if min(len(nomogram.weights_kg), len(nomogram.renal)) < 2:
        raise InputError("a map needs two weights and two renal functions at least")
    return Figures(
        "fludapk",
        A4_LANDSCAPE_IN,
        lambda figure: _draw(figure, nomogram),
        style={"font.size": 11.0, "hatch.linewidth": 0.6, "hatch.color": "0.4"},
        is_placed=True,
    )


# ------------------------------------------------------------------ the map


def _draw(figure: Figure, nomogram: Nomogram) -> None:
    below = _write(figure, nomogram)
    above = 0.835 if nomogram.median_growth else 0.885
    axes = figure.add_axes((0.07, below, 0.91, above - below))
    weights, renal = np.array(nomogram.weights_kg), np.array(nomogram.renal)
    axes.set_xlim(weights[0], weights[-1])
    axes.set_ylim(renal[0], renal[-1])
    _scales(axes, nomogram)
    plain = np.array(nomogram.values, dtype=np.float64).T
    values = np.ma.masked_invalid(plain)
    outside = np.ma.array(np.array(nomogram.outside_studied, dtype=float).T, mask=values.mask)

    lines = _lines(nomogram)
    inner = [line.level for line in lines if line not in _BETWEEN]
    edges = [min(*inner, values.min()) - 1, *inner, max(*inner, values.max()) + 1]
    axes.contourf(weights, renal, values, edges, colors=_tones(len(edges) - 1))
    if outside.any():
        axes.contourf(weights, renal, outside, [1e-6, 2], colors="none", hatches=[_HATCH])
    stopped = np.array(nomogram.stopped, dtype=float).T
    if stopped.any():
        axes.contourf(weights, renal, stopped, [0.5, 2], colors="none", hatches=[_STOPPED])
    if _capped(nomogram) and nomogram.renal_caps is not None:
        axes.plot(weights, nomogram.renal_caps, color="black", **_CAP)
    map_ = _Map(axes, weights, renal, plain)
    for line in lines:
        if values.min() < line.level < values.max():
            drawn = axes.contour(
                weights,
                renal,
                values,
                [line.level],
                colors="black",
                linestyles=[line.style],
                linewidths=[line.width],
            )
            pieces = drawn.get_paths()[0].to_polygons(closed_only=False)
            map_.label(line, [np.asarray(piece, dtype=np.float64) for piece in pieces])


def _lines(nomogram: Nomogram) -> Sequence[_Line]:
    """The contours of a map: published thresholds, or round doses."""
    if nomogram.quantity == "auc_0_inf":
        return [*_thresholds(nomogram), *_BETWEEN]
    values = [value for row in nomogram.values for value in row if value is not None]
    step = _step(min(values), max(values))
    numbers = range(math.floor(min(values) / step), math.ceil(max(values) / step) + 1)
    return [
        _Line(step * k, "-" if k % 2 == 0 else (0, (6, 2)), 1.8 - k % 2 * 0.6, 1, 0.5, "mg")
        for k in numbers
    ]


def _step(low: float, high: float) -> float:
    """A round step that makes at most 12 of a range.

    Examples
    --------
    >>> _step(3.6, 45.7), _step(20.0, 22.0)
    (5.0, 0.2)
    """
    least = max(high - low, 1e-6 * high) / 12
    decade = 10.0 ** math.floor(math.log10(least))
    return next(m * decade for m in (1, 2, 5, 10) if m * decade >= least)


def _tones(n: int) -> list[str]:
    """Shades of grey, from light to less light."""
    return [f"{tone:.3f}" for tone in np.linspace(0.98, 0.74, n)]


def _capped(nomogram: Nomogram) -> bool:
    return nomogram.renal_caps is not None and min(nomogram.renal_caps) < nomogram.renal[-1]


def _scales(axes: Axes, nomogram: Nomogram) -> None:
    """Ticks, a grid to follow with the finger, and the age above a map of children."""
    from matplotlib.ticker import AutoMinorLocator, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(20, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(16, steps=[1, 2, 5, 10]))
    axes.xaxis.set_minor_locator(AutoMinorLocator())
    axes.yaxis.set_minor_locator(AutoMinorLocator(2))
    axes.grid(which="major", color="0.55", linewidth=0.5)
    axes.grid(which="minor", color="0.7", linewidth=0.25)
    axes.set_axisbelow("line")  # above the tones, below the contours
    axes.set_xlabel(tr("Weight (kg)"), fontsize=13)
    axes.set_ylabel(f"{nomogram.renal_covariate} ({_typeset(nomogram.renal_unit)})", fontsize=13)
    if nomogram.median_growth:
        room = 24 / axes.get_window_extent().width * float(np.ptp(nomogram.weights_kg))
        marks: dict[float, str] = {}
        for age in _AGES:
            at = float(np.interp(age, nomogram.ages_years, nomogram.weights_kg))
            inside = nomogram.ages_years[0] <= age <= nomogram.ages_years[-1]
            if inside and all(abs(at - other) >= room for other in marks):
                marks[at] = f"{age:g}"
        top = axes.secondary_xaxis("top")
        top.set_xticks(list(marks), list(marks.values()))
        top.set_xlabel(tr("Age whose median weight this is (years)"), fontsize=11)


@dataclass(eq=False)
class _Map:
    """Return the places where labels of contours may stand."""

    axes: Axes
    weights: F8
    renal: F8
    values: F8
    taken: list[F8] = field(default_factory=list)

    def label(self, line: _Line, pieces: Sequence[F8]) -> None:
        """Write the label of a contour beside it, along it, and clear of the others."""
        text = f"{line.level:g} {line.unit}"
        size, width = (11.0, 7.8 * len(text)) if line.bold else (SMALLEST_PT, 5.8 * len(text))
        box = self.axes.get_window_extent()
        to_points = self.axes.transData
        best: tuple[float, F8, F8] | None = None
        for piece in pieces:
            path = to_points.transform(piece)
            length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
            for at in np.arange(width / 2, length[-1] - width / 2, 6.0):
                stretch = at + np.array([-0.5, 0.0, 0.5]) * width
                start, middle, end = np.column_stack(
                    [np.interp(stretch, length, path[:, k]) for k in (0, 1)]
                )
                along = (end - start) / max(float(np.hypot(*(end - start))), 1e-9)
                along = -along if along[0] < -1e-6 or along[1] < -1 + 1e-6 else along
                across = np.array([-along[1], along[0]]) * self._uphill(middle, along) * line.side
                bent = abs(float(np.dot(middle - (start + end) / 2, across)))
                place = middle + across * (0.8 * size + bent)
                half = np.abs(along) * width / 2 + np.abs(along[::-1]) * size / 2 + 2
                if np.any(place - half < box.min) or np.any(place + half > box.max):
                    continue
                if any(np.hypot(*(place - other)) < 60 for other in self.taken):
                    continue
                steep = abs(self._at(place) / line.level - 1)
                cost = abs(at / length[-1] - line.along) + bent / 2 + 5 * steep
                if best is None or cost < best[0]:
                    best = cost, place, along
        if best is None:
            return
        _, place, along = best
        self.taken.append(place)
        x, y = to_points.inverted().transform(place)
        self.axes.text(
            x,
            y,
            text,
            rotation=math.degrees(math.atan2(along[1], along[0])),
            rotation_mode="anchor",
            ha="center",
            va="center_baseline",
            fontsize=size,
            fontweight="bold" if line.bold else "normal",
            bbox={"facecolor": "0.98", "edgecolor": "none", "pad": 0.6},
        )

    def _uphill(self, point: F8, along: F8) -> float:
        """Tell if values rise to the left of a direction (1) or to the right (-1)."""
        step = 6.0 * np.array([-along[1], along[0]])
        return 1.0 if self._at(point + step) >= self._at(point - step) else -1.0

    def _at(self, place: F8) -> float:
        """The value of the map at a place; 0 where it has none."""
        weight, renal = self.axes.transData.inverted().transform(place)
        row = np.clip(np.searchsorted(self.renal, renal), 1, self.renal.size - 1)
        pair = [np.interp(weight, self.weights, self.values[k]) for k in (row - 1, row)]
        return float(np.nan_to_num(np.interp(renal, self.renal[row - 1 : row + 1], pair)))


# ------------------------------------------------------------------ the words around it


def _write(figure: Figure, nomogram: Nomogram) -> float:
    """Title, keys and footnote; where the map may begin, as a fraction of the height."""
    height = 72 * A4_LANDSCAPE_IN[1]
    title, subtitle = _titles(nomogram)
    figure.text(0.07, 0.955, title, fontsize=_fitting(17.0, 78, title), fontweight="bold")
    figure.text(0.07, 0.92, subtitle, fontsize=_fitting(12.0, 112, subtitle))
    y = 14.0
    for line in reversed(_footnote(nomogram)):
        figure.text(0.03, y / height, line, fontsize=SMALLEST_PT)
        y += 11.5
    keys = _keys(nomogram)
    rows = (len(keys) + 1) // 2
    y += 5 + 14.0 * (rows - 1)
    for number, (text, look) in enumerate(keys):
        x, down = (0.03, number) if number < rows else (0.465, number - rows)
        _key(figure, look, x, y / height - 14.0 * down / height)
        figure.text(x + 0.065, y / height - 14.0 * down / height, text, fontsize=10)
    return (y + 54) / height


def _fitting(size: float, characters: int, text: str) -> float:
    """The size at which a text fits if so many characters fit at the given size, points."""
    return max(SMALLEST_PT, size * min(1.0, characters / len(text)))


def _typeset(text: str) -> str:
    return text.replace("m2", "m²")


def _titles(nomogram: Nomogram) -> tuple[str, str]:
    if nomogram.target_auc is None:
        title = tr(
            "Typical AUC0-inf of F-ara-A (mg·h/L): {regimen}", regimen=tr(nomogram.regimen_title)
        )
    else:
        title = tr(
            "Fludarabine phosphate per infusion (mg) for a typical AUC0-inf of {auc:g} mg·h/L",
            auc=nomogram.target_auc,
        )
    return title, _typeset(f"{nomogram.dose_text}; {nomogram.who}")


def _keys(nomogram: Nomogram) -> list[tuple[str, _Line | str]]:
    """Explain each line, tone and hatching, with a sample of it."""
    keys: list[tuple[str, _Line | str]] = []
    if nomogram.quantity == "auc_0_inf":
        for line in _thresholds(nomogram):
            cited = [
                f"{_for_whom(t)}: {t.id}" + ("" if t.id in nomogram.applicable_targets else "*")
                for t in targets().values()
                if line.level in (t.low, t.high, t.optimum)
            ]
            keys.append((f"{line.level:g} {line.unit}  {'; '.join(cited)}", line))
    if any(map(any, nomogram.stopped)):
        keys.append((tr("STOP: a label says not to give it"), "stopped"))
    if any(any(row) for row in nomogram.outside_studied):
        keys.append((tr("outside the patients of {model}", model=nomogram.model), "hatched"))
    if _capped(nomogram):
        text = tr(
            "highest {covariate} that counts at that age: no change above",
            covariate=nomogram.renal_covariate,
        )
        keys.append((text, "cap"))
    if any(value is None for row in nomogram.values for value in row):
        keys.append((tr("blank: no value, see below"), "blank"))
    return keys


def _for_whom(target: TargetEntry) -> str:
    """The title of a target without its outcome."""
    title = tr(target.title)
    return title.partition(", ")[2] or title


def _key(figure: Figure, look: _Line | str, x: float, y: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    if look in _HATCHES:
        box = Rectangle((x, y - 0.002), 0.055, 0.016, facecolor="white", edgecolor="0.4")
        box.set_hatch(_HATCHES[look])
        figure.add_artist(box)
        return
    how: Any = _CAP
    if isinstance(look, _Line):
        how = {"linewidth": look.width, "linestyle": look.style}
    figure.add_artist(Line2D([x, x + 0.055], [y + 0.006] * 2, color="black", **how))


def _footnote(nomogram: Nomogram) -> list[str]:
    low, high = (100 * abs(value - 1) for value in nomogram.interval_90)
    spread = tr(
        "Typical patients: the AUC of 90 % of patients is between {low:.0f} % below and "
        "{high:.0f} % above the typical one ({model}: {patient}).",
        low=low,
        high=high,
        model=nomogram.model,
        patient=nomogram.middle,
    )
    star = []
    if nomogram.target_auc is None:
        star = [tr("* published for other patients than these")]
    notes = " | ".join([*star, *(note.rstrip(".") for note in nomogram.notes)])
    made = (
        f"fludapk {nomogram.version} | {nomogram.model}, sha256 {nomogram.model_sha256[:12]}: "
        f"{nomogram.model_citation} | {tr('regimen')} {nomogram.regimen}"
    )
    lines = [spread, tr("Notes: {notes}", notes=notes), made, tr(nomogram.disclaimer)]
    return [part for line in lines for part in wrap(_typeset(line), _FOOTNOTE_CHARACTERS)]
