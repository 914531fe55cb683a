"""Grammar of the file of outcomes: published associations of exposure with what came of it."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from fludapk.published.tables import Identifier, Positive, Table, Text, must_rise
from fludapk.published.uncertainty import Z95

Fraction = Annotated[float, Field(gt=0, le=1)]


class RatioOfGroup(Table):
    """Hazard ratio of a group against the reference group, with its 95 % interval."""

    value: Positive
    low: Positive | None = None
    high: Positive | None = None
    source: Text

    @model_validator(mode="after")
    def _inside(self) -> Self:
        _check_interval(self.value, self.low, self.high)
        return self

    @property
    def log_sd(self) -> float:
        """Standard deviation of its logarithm; 0 without an interval.

        Examples
        --------
        >>> ratio = RatioOfGroup(value=2.45, low=1.34, high=4.48, source="abstract")
        >>> round(ratio.log_sd, 7)
        0.3079019
        """
        if self.low is None or self.high is None:
            return 0.0
        return math.log(self.high / self.low) / (2 * Z95)

    @property
    def off_middle(self) -> float:
        """Distance of its logarithm from the middle of the interval, in standard deviations."""
        if self.low is None or self.high is None:
            return 0.0
        return math.log(self.value / math.sqrt(self.low * self.high)) / self.log_sd


class Incidence(Table):
    """Cumulative incidence, with its 95 % interval or the patients behind it."""

    value: Fraction
    low: Fraction | None = None
    high: Fraction | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    hits: Annotated[float, Field(ge=0)] | None = None
    """Patients with the event, for an interval where none is printed."""
    source: Text

    @model_validator(mode="after")
    def _inside(self) -> Self:
        _check_interval(self.value, self.low, self.high)
        if self.hits is not None and (self.n is None or self.hits > self.n):
            raise ValueError("hits needs n, and cannot be above it")
        if self.value == 1 and self.hits is None:
            raise ValueError("an incidence of 1 needs n and hits")
        return self

    @property
    def point(self) -> float:
        """Value to compute with: the printed one, or of all patients the middle of what fits."""
        if self.value < 1 or self.hits is None or self.n is None:
            return self.value
        return (self.hits + 0.5) / (self.n + 1)

    @property
    def cloglog_sd(self) -> float:
        """Standard deviation of ``ln(-ln(1 - incidence))``; 0 without an interval."""
        if self.low is None or self.high is None:
            return 0.0
        return (cloglog(self.high) - cloglog(self.low)) / (2 * Z95)


def cloglog(incidence: float) -> float:
    """Return ``ln(-ln(1 - incidence))``.

    Parameters
    ----------
    incidence : float
        From 0 to 1, both excluded.

    Examples
    --------
    >>> round(cloglog(0.364), 4)
    -0.7928
    """
    return math.log(-math.log1p(-incidence))


def _check_interval(value: float, low: float | None, high: float | None) -> None:
    if (low is None) != (high is None):
        raise ValueError("give low and high, or neither")
    if low is not None and high is not None and not low < high:
        raise ValueError(f"low {low:g} is not below high {high:g}")
    if low is not None and high is not None and not low <= value <= high:
        raise ValueError(f"{value:g} is not inside its interval {low:g}-{high:g}")


class Association(Table):
    """Groups of exposure, their hazard ratios or incidences, and what these are of."""

    event: Text
    edges: Annotated[list[Positive], Field(min_length=1, max_length=6)]
    """AUC0-inf, mg h/L, that divides the groups; an edge belongs to the group above it."""
    at_months: Positive
    """Time of the incidences."""
    hazard_ratios: list[RatioOfGroup] | None = None
    incidence: Incidence | None = None
    """Cumulative incidence in all patients."""
    group_incidences: list[Incidence] | None = None
    """Cumulative incidence in each group, instead of hazard ratios."""

    @model_validator(mode="after")
    def _groups(self) -> Self:
        must_rise("edges", self.edges)
        groups = len(self.edges) + 1
        for key in ("hazard_ratios", "group_incidences"):
            values = getattr(self, key)
            if values is not None and len(values) != groups:
                raise ValueError(f"{key}: {len(values)} for {groups} groups")
        if self.hazard_ratios is not None and self.group_incidences is not None:
            raise ValueError("give hazard_ratios or group_incidences, not both")
        if self.hazard_ratios is not None and self.reference_group is None:
            raise ValueError("hazard_ratios: one must be 1, of the reference group")
        return self

    @property
    def reference_group(self) -> int | None:
        """Number of the group whose hazard ratio is 1 without an interval."""
        for number, ratio in enumerate(self.hazard_ratios or ()):
            if ratio.value == 1 and ratio.low is None:
                return number
        return None

    @property
    def groups(self) -> list[str]:
        """Names of the groups, the lowest first.

        Examples
        --------
        >>> Association(event="relapse", edges=[18.0, 20.0], at_months=6.0).groups
        ['< 18', '18-20', '≥ 20']
        """
        between = [f"{a:g}-{b:g}" for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)]
        return [f"< {self.edges[0]:g}", *between, f"≥ {self.edges[-1]:g}"]


class OutcomeEntry(Association):
    """A published association and the context it is bound to."""

    id: Identifier
    name: Text
    """Name of the paper, as people cite it: Fabrizio 2022."""
    printed_ratio: str = ""
    """Hazard ratio that is printed but not enough to compute with."""
    cannot: str = ""
    """Why no outcome can be computed from it as it stands."""
    competing: str
    """Event that competes; empty if nothing does."""
    auc: Literal["predicted", "measured"]
    auc_by: Text
    disease: Identifier | None = None
    product: Identifier | None = None
    who: Text
    course_mg_m2: Positive | None = None
    """Fludarabine phosphate of the course that the patients were given, mg/m2."""
    caveats: list[Text] = []
    citation: Text
    doi: Annotated[str, StringConstraints(pattern=r"^10\.\d{4,}/\S+$")] | None = None


class OutcomeFile(Table):
    """Contents of `data/outcomes.toml`."""

    outcomes: Annotated[list[OutcomeEntry], Field(min_length=1)]
