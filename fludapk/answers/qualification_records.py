"""Records of a qualification: what a hospital files before use and after each update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from fludapk.answers.record import DISCLAIMER, Record, Row, scalars
from fludapk.patients.case_file import Scalar

Section: TypeAlias = Literal[
    "files", "formulas", "published", "engines", "kernels", "known_answers", "hospital"
]
SECTIONS: Final[dict[Section, str]] = {
    "files": "Files as released",
    "formulas": "Formulas against their printed examples",
    "published": "Published numbers of the models, and kernels against an ODE solver",
    "engines": "Kernels against mrgsolve and rxode2",
    "kernels": "Compiled kernels against the same kernels as plain Python",
    "known_answers": "Known answers of this release",
    "hospital": "Cases of the hospital",
}
"""Kind of a check -> its title, in the order of the record."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One thing that was compared.

    Parameters
    ----------
    section : str
        Key of `SECTIONS`.
    name : str
        Case, formula or file: the same in every record.
    quantity : str
        Quantity that was compared, as in the answers.
    expected, computed : str, float, bool or None
        `expected` is None where nothing was expected and the number is only recorded.
    allowed : float or None
        Largest absolute difference; None where both must be the same.
    ok : bool
    source : str
        Origin of what was expected.
    """

    section: Section
    name: str
    quantity: str
    expected: Scalar
    computed: Scalar
    allowed: float | None
    ok: bool
    source: str

    def __str__(self) -> str:
        allowed = "" if self.allowed is None else f" ± {self.allowed:.3g}"
        return (
            f"{self.name}, {self.quantity}: expected {word(self.expected)}{allowed}, "
            f"computed {word(self.computed)}"
        )


def word(value: Scalar) -> str:
    """Write a value for people; nothing is "none".

    Examples
    --------
    >>> word(13.583943571554292), word(""), word(None)
    ('13.5839', 'none', 'none')
    """
    if value is None or value == "":
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else f"{value}"


@dataclass(frozen=True, kw_only=True)
class Package:
    """An installed package that numbers pass through."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class ModelFileRecord:
    """A model file that is in use here."""

    id: str
    sha256: str
    path: str
    released: bool
    """It is one of this release, to the byte."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Machine that it runs on: versions, hashes, platform."""

    version: str
    python: str
    platform: str
    machine: str
    packages: list[Package]
    models: list[ModelFileRecord]
    code_sha256: str
    """Over the contents of every file of the package, in the order of their names."""
    code_files: int
    installed_from: str
    """A wheel whose files are as recorded, or a folder of sources."""


@dataclass(frozen=True, kw_only=True)
class IntendedUse:
    """Purpose of the software, and purposes it does not have."""

    use: str
    users: str
    patients: str
    not_for: list[str]


@dataclass(frozen=True, kw_only=True)
class ModelCredibility:
    """Evidence and limits of a model, from its own file."""

    model: str
    citation: str
    population: str
    dose_basis: str
    context: str
    """Targets whose chances are computed with it."""
    published_numbers: str
    uncertainty: str
    studied: list[str]
    open_questions: list[str]


@dataclass(frozen=True, kw_only=True)
class Credibility:
    """Credibility of the models, under the headings of ASME V&V 40 and ICH M15."""

    question_of_interest: str
    context_of_use: str
    model_influence: str
    decision_consequence: str
    model_risk: str
    verification: str
    validation: str
    limits: list[str]
    models: list[ModelCredibility]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the record and the hash of its contents."""

    name: str
    title: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A value that is not as in the earlier record."""

    section: Section
    name: str
    quantity: str
    before: Scalar
    after: Scalar

    def __str__(self) -> str:
        return f"{self.name}, {self.quantity}: {word(self.before)} → {word(self.after)}"


@dataclass(frozen=True, kw_only=True)
class Since:
    """Comparison with an earlier record."""

    version: str
    """Version of the earlier record."""
    sha256: str
    versions: list[str]
    """Changes of the platform, of packages, and of fludapk itself."""
    models: list[str]
    moved: list[Moved]
    added: list[str]
    removed: list[str]
    hospital_cases_moved: list[str]
    """Names of the hospital's own cases with a value that is not as it was."""

    @property
    def is_same(self) -> bool:
        """Nothing differs."""
        return not (self.versions or self.models or self.moved or self.added or self.removed)


@dataclass(frozen=True, kw_only=True, repr=False)
class Qualification(Record):
    """Result of `fludapk.answers.qualification.qualify`."""

    schema: Literal["fludapk.qualification/1"] = "fludapk.qualification/1"
    version: str
    passed: bool
    deviations: list[str]
    """Everything that is not as expected, in words."""
    intended_use: IntendedUse
    installation: Installation
    operation: list[Checked]
    performance: list[Checked]
    """The cases of the hospital."""
    credibility: Credibility
    since: Since | None
    parts: list[Part]
    sha256: str
    """Over the hashes of the parts: the same machine and the same numbers give the same hash."""
    disclaimer: str = DISCLAIMER

    @property
    def checks(self) -> list[Checked]:
        """All comparisons."""
        return [*self.operation, *self.performance]

    def counts(self) -> list[tuple[Section, int, int]]:
        """Count, for each section, what is as expected and what was compared."""
        return [
            (section, sum(row.ok for row in rows), len(rows))
            for section in SECTIONS
            if (rows := of_section(self.checks, section))
        ]

    def brief(self) -> str:
        """Return the verdict in a line."""
        good, total = sum(row.ok for row in self.checks), len(self.checks)
        verdict = "passed" if self.passed else f"{len(self.deviations)} DEVIATIONS"
        return f"qualification of {self.version}: {verdict}, {good} of {total} as expected"

    def rows(self) -> list[Row]:
        """Return a row for each comparison."""
        return [scalars(row) for row in self.checks]


def of_section(checks: Sequence[Checked], section: Section) -> list[Checked]:
    """Return the comparisons of one section."""
    return [row for row in checks if row.section == section]
