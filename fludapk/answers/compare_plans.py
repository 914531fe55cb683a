"""Plans to compare, and the small grammar in which they are typed.

A plan is a course, and perhaps an aim that its dose is found for::

    plan   = course [aim]
    course = regimen [dose] [count] | dose count | count aim
    dose   = number ("mg/m2" | "mg/kg" | "mg")
    count  = "x" number | number "days"
    aim    = "auc" number | "window" low high ["chance" p] | "target" id ["chance" p]
           | "chance" p | "rule" id
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from fludapk.answers.goal import Goal
from fludapk.errors import Fault, InputError, gathered, nearest
from fludapk.language import marked, ntr, tr
from fludapk.patients.fields import COMMON, FIELDS, label
from fludapk.patients.regimen import DoseUnit, Regimen, parse_dose
from fludapk.published.regimens import label_rules, regimens
from fludapk.units import canonical_unit, parse_number

FEWEST, MOST = 2, 4
"""Plans that can be compared."""
LONGEST: Final = 200
"""Characters of a plan."""

Kind: TypeAlias = Literal["dose", "goal", "rule"]
"""Origin of the dose of a plan: it is given, found for a goal, or set by a label rule."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A course of doses that are given, found for a goal, or set by a rule of a label.

    Parameters
    ----------
    text : str
        As typed, or in words of its own.
    regimen : Regimen
        With a goal its dose is the planned one. With a rule it is the full dose.
    goal : Goal, optional
    chance : float, optional
        Required of the target that fits the patient, instead of a goal.
    rule : str, optional
        Id of a rule of a label.
    has_dose : bool
        False if only the infusions are said, and their dose is looked for.
    """

    text: str
    regimen: Regimen
    goal: Goal | None = None
    chance: float | None = None
    rule: str | None = None
    has_dose: bool = True

    @property
    def kind(self) -> Kind:
        """Origin of its dose."""
        if self.rule is not None:
            return "rule"
        return "dose" if self.goal is None and self.chance is None else "goal"


TypedPlan: TypeAlias = Plan | Regimen | str | tuple[Regimen, Goal]
"""A plan, its text, a course, or a course with a goal for its dose."""


def read_plans(plans: Sequence[TypedPlan], typed: Mapping[str, Any] | None = None) -> list[Plan]:
    """Read the plans of a comparison.

    Parameters
    ----------
    plans : sequence of Plan, Regimen, str or (Regimen, Goal)
    typed : mapping, optional
        Inputs for every plan that is a text, by the names of requests: `fields.COMMON`.

    Raises
    ------
    InputError
        With the faults of all plans.

    Examples
    --------
    >>> plans = read_plans(["axi_cel", "axi_cel 24 mg/m2", "40 mg x 3", "axi_cel auc 19"])
    >>> [(plan.kind, plan.regimen.dose, plan.regimen.days) for plan in plans]
    [('dose', 30.0, 3), ('dose', 24.0, 3), ('dose', 40.0, 3), ('goal', 30.0, 3)]
    """
    listed: list[Any] = [*plans]
    if isinstance(plans, str) or _is_pair(plans):  # a single plan, and not a sequence of them
        listed = [plans]
    if not FEWEST <= len(listed) <= MOST:
        given = ntr("{plans}: {n} is given", "{plans}: {n} are given", len(listed))
        do = tr(
            'give from {fewest} to {most}, for example "axi_cel" and "axi_cel auc 19"',
            fewest=FEWEST,
            most=MOST,
        )
        raise InputError(Fault("plans", given, do=do, whole=True))
    common, *read = gathered(
        lambda: _common(typed or {}),
        *(partial(_read, number, plan) for number, plan in enumerate(listed, start=1)),
    )
    return gathered(
        *(partial(_with_common, number, make, common) for number, make in enumerate(read, start=1))
    )


def _is_pair(plans: object) -> bool:
    return isinstance(plans, tuple) and len(plans) == 2 and isinstance(plans[1], Goal)


def _common(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of a regimen that hold for every plan."""
    names = {FIELDS[key].name: key for key in COMMON}
    given = {name: typed[name] for name in names if typed.get(name) not in (None, "")}
    if not given:
        return {}
    course = Regimen.from_text(dose="1 mg", days=1, **given)
    keys = [names[name] for name in given if names[name] not in ("first_dose", "time_zone")]
    keywords = {key: getattr(course, key) for key in keys}
    if course.cells_clock is not None:
        keywords["cells_clock"] = course.cells_clock
    return keywords


Made: TypeAlias = Callable[[Mapping[str, Any]], Plan]
"""Function from the keywords that hold for every plan to the plan."""


def _read(number: int, plan: TypedPlan) -> Made:
    """Read a plan up to what holds for every plan."""
    if isinstance(plan, Plan):
        return lambda _: plan
    if isinstance(plan, Regimen):
        return lambda _: Plan(text=described(plan), regimen=plan)
    if isinstance(plan, str):
        return _Reader(plan, number).plan()
    if isinstance(plan, tuple) and _is_pair(plan):
        regimen, goal = plan
        return lambda _: Plan(
            text=tr("{course} for {goal}", course=described(regimen), goal=goal),
            regimen=regimen,
            goal=goal,
        )
    found = f"is of the type {type(plan).__name__}"
    raise _refused(number, found, allowed=tr("a text, a Regimen, or a Regimen with a Goal"))


def _with_common(number: int, make: Made, common: Mapping[str, Any]) -> Plan:
    try:
        return make(common)
    except InputError as error:
        raise _refused(number, *error.sentences(label)) from None


def described(regimen: Regimen) -> str:
    """Write a course as a plan is typed.

    Examples
    --------
    >>> described(Regimen.chosen(regimen="axi_cel", dose=(24.0, "mg/m2")))
    'axi_cel 24 mg/m2'
    >>> described(Regimen(dose=40, unit="mg", days=3))
    '40 mg x 3'
    """
    entry, dose = regimen.published, f"{regimen.dose:g} {regimen.unit}"
    if entry is None:
        return f"{dose} x {regimen.days}"
    parts = [regimen.id]
    parts += [dose] if (regimen.dose, regimen.unit) != (entry.dose, entry.unit) else []
    parts += [f"x {regimen.days}"] if regimen.days != entry.days else []
    return " ".join(parts)


def _refused(
    number: int, *found: str, text: str = "", allowed: str = "", do: str = ""
) -> InputError:
    """Refuse a plan: which it is, what is wrong with it, what is allowed."""
    where = tr("plan {n}", n=number)
    if text:
        where = tr("plan {n} {text!r}", n=number, text=text)
    return InputError(
        *(
            Fault(
                "plans",
                sentence,
                allowed=allowed,
                do=do,
                whole=True,
                inside=("plans", number),
                where=where,
            )
            for sentence in found
        )
    )


# ------------------------------------------------------------------ the grammar

_AIMS: Final = ("auc", "window", "target", "chance", "rule")
_DAYS: Final = ("day", "days", "dose", "doses")
_TIMES: Final = ("x", "\N{MULTIPLICATION SIGN}")
_AUC_UNITS: Final = ("mg·h/l", "mg*h/l", "mg.h/l", "mgh/l")
_JOINED: Final = re.compile(r"([+-]?[\d.,]+)([^\d.,+-].*)")
"""A number and what stands directly behind it: 24mg/m2."""
_RANGE: Final = re.compile(r"([\d.]+)[-\N{EN DASH}]([\d.]+)")
_AFTER_COURSE: Final = marked(
    'a dose ("24 mg/m2", "1 mg/kg", "40 mg"), a number of infusions ("x 3", "4 days"), '
    'or an aim: "auc 19", "window 18 20", "target scordo2023", "chance 0.8", "rule us_iv"'
)
_COURSES: Final = marked('a published course ("axi_cel") or a dose and a number ("30 mg/m2 x 3")')


def _words(text: str) -> list[str]:
    """Split a plan into words; numbers stand alone."""
    words: list[str] = []
    for word in re.sub(r"\s*/\s*", "/", text).split():
        span, joined = _RANGE.fullmatch(word), _JOINED.fullmatch(word)
        if span is not None:
            words += span.groups()
        elif joined is not None:
            words += joined.groups()
        elif word[0] in "xX\N{MULTIPLICATION SIGN}" and _is_number(word[1:]):
            words += ["x", word[1:]]
        else:
            words.append(word)
    return words


def _is_number(word: str) -> bool:
    return word[:1].isdigit() or (word[:1] in "+-.,\N{MINUS SIGN}" and word[1:2].isdigit())


class _Reader:
    """Reads the words of one plan from left to right, and collects what is wrong with them."""

    def __init__(self, text: str, number: int) -> None:
        self.text, self.number = " ".join(text.split()), number
        self.words = _words(text[:LONGEST])
        self.at = 0
        self.faults: list[Fault] = []
        self.regimen: str | None = None
        self.dose: tuple[float, DoseUnit] | None = None
        self.days: int | None = None
        self.aims: dict[str, Any] = {}
        self.is_broken = False

    def plan(self) -> Made:
        """Read the whole plan."""
        if not self.words or len(self.text) > LONGEST:
            found = tr("is longer than {n} characters", n=LONGEST) if self.words else tr("is empty")
            self.refuse(found, allowed=tr(_COURSES))
        else:
            self.read_course()
            self.read_aim()
        if not self.is_broken:
            self.check_whole()
        if self.faults:
            raise InputError(*self.faults)
        return self.made

    def made(self, common: Mapping[str, Any]) -> Plan:
        """Make the plan, with what holds for every plan."""
        has_dose = self.dose is not None or self.regimen is not None
        regimen = Regimen.chosen(
            regimen=self.regimen,
            dose=self.dose if has_dose else (1.0, "mg"),
            days=self.days,
        )
        goal = {name: self.aims[name] for name in ("auc", "window", "target") if name in self.aims}
        chance = self.aims.get("chance")
        return Plan(
            text=self.text,
            regimen=replace(regimen, **common) if common else regimen,
            goal=Goal.chosen(probability=chance, **goal) if goal else None,
            chance=None if goal else chance,
            rule=self.aims.get("rule"),
            has_dose=has_dose,
        )

    # -------------------------------------------------------------- words

    @property
    def word(self) -> str:
        """Next word; empty at the end."""
        return self.words[self.at] if self.at < len(self.words) else ""

    def taken(self) -> str:
        """Take the next word."""
        word = self.word
        self.at += 1
        return word

    def refuse(self, found: str, *, allowed: str = "", do: str = "", ends: bool = True) -> None:
        """Note a fault; what follows a word that is not understood is not read."""
        shown = self.text if len(self.text) <= LONGEST else self.text[: LONGEST - 4] + " ..."
        self.faults += _refused(self.number, found, text=shown, allowed=allowed, do=do).faults
        if ends:
            self.is_broken, self.at = True, len(self.words)

    def number_of(self, what: str, example: str) -> float | None:
        """Take a number."""
        word = self.word
        if not _is_number(word):
            found = tr("ends where {what} should be", what=what)
            if word:
                found = tr("{word!r} is no number where {what} should be", word=word, what=what)
            self.refuse(found, do=tr("write for example {example!r}", example=example))
            return None
        self.at += 1
        try:
            value, rest = parse_number(word, "plans")
        except InputError as error:
            for fault in error.faults:
                self.refuse(fault.found.removeprefix("= "), do=fault.do)
            return None
        if rest:
            self.refuse(
                tr("{word!r} is no number", word=word),
                do=tr("write for example {example!r}", example=example),
            )
            return None
        return value

    # -------------------------------------------------------------- course

    def read_course(self) -> None:
        """Read regimen, dose and number of infusions."""
        word = self.word
        if word.lower() in _AIMS:
            self.refuse(tr("{word!r} needs a course before it", word=word), allowed=tr(_COURSES))
        elif not _is_number(word) and word.lower() not in _TIMES:
            self.at += 1
            self.regimen = word
            if word not in regimens():
                do = nearest(word, list(regimens()))
                self.refuse(tr("unknown course {word!r}", word=word), do=do, ends=False)
        while self.word and self.word.lower() not in _AIMS:
            self.read_part()

    def read_part(self) -> None:
        """Read a dose or a number of infusions."""
        word = self.word
        if word.lower() in _TIMES:
            self.at += 1
            self.read_days(self.number_of(tr("the number of infusions"), "x 3"))
        elif _is_number(word):
            value = self.number_of(tr("a dose"), "24 mg/m2")
            unit = self.word
            if value is None:
                return
            if unit.lower() in _DAYS:
                self.at += 1
                self.read_days(value)
            elif canonical_unit(unit, "dose") is not None:
                self.at += 1
                if self.dose is not None:
                    self.refuse(
                        tr("has two doses, the second {word} {unit}", word=word, unit=unit),
                        do=tr("leave one out"),
                    )
                    return
                self.dose = parse_dose(f"{word} {unit}")
            else:
                found = (
                    tr("{word} has no unit", word=word)
                    if not unit
                    else tr("{word} has an unknown unit {unit!r}", word=word, unit=unit)
                )
                self.refuse(found, allowed=tr("mg/m2, mg/kg or mg per infusion, or days"))
        else:
            self.refuse(tr("{word!r} is not understood", word=word), allowed=tr(_AFTER_COURSE))

    def read_days(self, value: float | None) -> None:
        """Read the number of infusions."""
        if value is None:
            return
        if self.days is not None:
            self.refuse(tr("has two numbers of infusions"), do=tr("leave one out"))
        elif value != int(value):
            self.refuse(tr("{value:g} is no whole number of infusions", value=value))
        else:
            self.days = int(value)

    # -------------------------------------------------------------- aim

    def read_aim(self) -> None:
        """Read the aim, if there is one, and nothing behind it."""
        if not self.word:
            return
        aim = self.taken().lower()
        if aim == "auc":
            self.aims["auc"] = self.number_of(tr("an AUC"), "auc 19")
            if self.aims["auc"] is not None and self.aims["auc"] <= 0:
                self.refuse(f"auc {self.aims['auc']:g}", do=tr("an AUC in mg·h/L above zero"))
            self.skip_unit()
        elif aim == "window":
            low = self.number_of(tr("the lower AUC"), "window 18 20")
            high = None if low is None else self.number_of(tr("the upper AUC"), "window 18 20")
            self.aims["window"] = (low, high)
            self.skip_unit()
        elif aim == "target":
            self.aims["target"] = self.name_of(tr("a target"), "target scordo2023")
        elif aim == "rule":
            self.read_rule()
        else:
            self.read_chance()
        if aim in ("window", "target") and self.word.lower() == "chance":
            self.at += 1
            self.read_chance()
        if self.word:
            allowed = (
                "chance 0.8"
                if aim in ("window", "target")
                else tr("nothing after {aim!r}", aim=aim)
            )
            self.refuse(tr("{word!r} is not understood", word=self.word), allowed=allowed)

    def skip_unit(self) -> None:
        """Skip the unit of an AUC."""
        if self.word.lower() in _AUC_UNITS:
            self.at += 1

    def name_of(self, what: str, example: str) -> str | None:
        """Take a name."""
        if not self.word:
            self.refuse(
                tr("ends where {what} should be", what=what),
                do=tr("write for example {example!r}", example=example),
            )
            return None
        return self.taken()

    def read_rule(self) -> None:
        """Read the id of a rule of a label."""
        name, known = self.name_of(tr("a rule"), "rule us_iv"), [rule.id for rule in label_rules()]
        if name is not None and name not in known:
            self.refuse(tr("unknown rule {name!r}", name=name), do=nearest(name, known), ends=False)
        self.aims["rule"] = name

    def read_chance(self) -> None:
        """Read a required probability, as a fraction or in percent."""
        value = self.number_of(tr("a probability"), "chance 0.8")
        if value is None:
            return
        if self.word == "%":
            self.at += 1
            value /= 100
        if not 0 < value < 1:
            do = tr('between 0 and 1, for example "chance 0.8" or "chance 80 %"')
            self.refuse(f"chance {value:g}", do=do)
        self.aims["chance"] = value

    # -------------------------------------------------------------- the whole

    def check_whole(self) -> None:
        """Refuse parts that do not go together."""
        has_dose = self.regimen is not None or self.dose is not None
        if self.regimen is None and self.days is None:
            self.refuse(
                tr("says no number of infusions"), do=tr('write for example "30 mg/m2 x 3"')
            )
        elif not has_dose and (not self.aims or "rule" in self.aims):
            do = tr('give a dose, or an aim such as "auc 19"')
            if self.aims:
                do = tr("give a dose")
            self.refuse(tr("says no dose"), do=do)
        elif "rule" in self.aims and self.regimen and (self.dose or self.days):
            found = tr(
                "a rule of a label reduces the full published course, and would reduce a changed "
                "one twice"
            )
            plan = f"{self.regimen} rule {self.aims['rule']}"
            self.refuse(found, do=tr("write {plan!r}", plan=plan))
        try:
            if not self.faults:
                self.made({})
        except InputError as error:
            for sentence in error.sentences(label):
                self.refuse(sentence)
