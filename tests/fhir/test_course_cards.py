"""Orders of a course and their times, each with the card that answers it.

The shapes are those of public guides and bug reports (US Core, mCODE, Da Vinci CRD, Synthea, French
and Japanese guides); the wording and the patients are our own.
"""

from typing import Any, Final

import pytest
from ordering import (
    AUC,
    DAYS,
    NOT,
    Case,
    Raw,
    assert_card,
    coded,
    daily,
    dosage,
    dosed,
    girl,
    on_days,
    order,
    quantity,
    repeated,
    request,
)


def one_day(k: int, **more: Any) -> Raw:
    return order(f"flu-{k}", dosageInstruction=[dosage(timing=on_days(DAYS[k - 1]), **more)])


def event(*texts: str, **more: Any) -> Raw:
    return dosed(timing=on_days(*texts), **more)


CASES: Final[dict[str, Case]] = {
    # --- orders that make a course ---
    "one order with a count": Case(request(), "info", AUC, ("30 mg/m² on 2026-03-05",)),
    "order-sign has no selections": Case(request(hook="order-sign"), "info", AUC),
    "four orders of a day each": Case(
        request([one_day(k) for k in (3, 1, 4, 2)]), "info", AUC, ("4 × 22.37 mg",)
    ),
    "only one of the four is selected": Case(
        request([one_day(k) for k in (1, 2, 3, 4)], selections=["MedicationRequest/flu-2"]),
        "info",
        AUC,
        ("4 × 22.37 mg",),
    ),
    "the same drug ordered twice": Case(
        request([order("flu-1"), order("flu-2")]),
        "critical",
        "STOP: 60.0 mg/m2 in a day is above 50 mg/m2",
    ),
    "twice without dates": Case(
        request(
            [order(f"f{k}", dosageInstruction=[dosage(timing=daily(start=None))]) for k in (1, 2)]
        ),
        "critical",
        "STOP: if these orders start together, 60.0 mg/m2 in a day is above 50",
    ),
    "twice without dates, below the ceiling": Case(
        request(
            [
                order(
                    f"f{k}",
                    dosageInstruction=[dosage(quantity(20, "mg/m2"), timing=daily(3, None))],
                )
                for k in (1, 2)
            ]
        ),
        "warning",
        NOT + "order: 2 orders of fludarabine without dates: which is when?",
    ),
    "twice on the same day, below the ceiling": Case(
        request(
            [
                one_day(1, doseAndRate=[{"doseQuantity": quantity(20, "mg/m2")}]),
                {**one_day(1, doseAndRate=[{"doseQuantity": quantity(15, "mg/m2")}]), "id": "b"},
            ]
        ),
        "warning",
        NOT + "order: fludarabine is ordered twice for the same time on 2026-03-02",
    ),
    "ceiling without a creatinine": Case(
        request([order("flu-1"), order("flu-2")], girl()[:3]),
        "critical",
        "STOP: 60.0 mg/m2 in a day",
        ("creatinine: no observation",),
    ),
    "too much in the course": Case(
        request(repeated(count=9)), "critical", "STOP: 270.0 mg/m2 in the course is above 250"
    ),
    "days before the cells": Case(
        request(
            [
                order(f"f{-d}", dosageInstruction=[dosage(timing={}, text=f"Day {d}: 30 mg/m2")])
                for d in (-5, -4, -6, -3)
            ]
        ),
        "info",
        AUC,
        ("30 mg/m² on day -6",),
    ),
    "days as a range in one order": Case(
        request(order(dosageInstruction=[dosage(timing={}, text="30 mg/m2 i.v. days −6…−3")])),
        "info",
        AUC,
        ("30 mg/m² on day -3",),
    ),
    "days of the text against the count": Case(
        request(order(dosageInstruction=[dosage(text="days -5 to -3")])),
        "warning",
        NOT + "order: its text names 3 days before the cells, its timing 4 infusions",
    ),
    "unequal doses": Case(
        request(
            [one_day(1), one_day(2), one_day(3, doseAndRate=[{"doseQuantity": quantity(20, "mg")}])]
        ),
        "info",
        "No target without",
        ("22.37 + 22.37 + 20 mg fludarabine phosphate",),
    ),
    "two courses in one request": Case(
        request([event(*DAYS), {**event("2026-04-02", "2026-04-03"), "id": "second"}]),
        "warning",
        NOT + "order: infusions are 28 days apart: are they one course?",
    ),
    "four orders with a period of a day each": Case(
        request(
            [
                {**repeated(count=None, boundsPeriod={"start": day, "end": day}), "id": day}
                for day in DAYS
            ]
        ),
        "info",
        AUC,
    ),
    "a day left free": Case(
        request([one_day(1), one_day(2), one_day(4)]),
        "info",
        "No target without",
        ("30 mg/m² on 2026-03-05", "3 × 22.37 mg"),
    ),
    "every other day": Case(
        request(repeated(period=2, count=3)), "info", "No target without", ("on 2026-03-06",)
    ),
    "several instructions with days": Case(
        request(
            order(
                dosageInstruction=[
                    dosage(timing=on_days(d), sequence=k) for k, d in enumerate(DAYS, 1)
                ]
            )
        ),
        "info",
        AUC,
    ),
    "several instructions without days": Case(
        request(
            order(dosageInstruction=[dosage(timing=daily(2, None)), dosage(timing=daily(2, None))])
        ),
        "warning",
        NOT + "order: 2 dosage instructions without the days of each",
    ),
    # --- timing ---
    "days as events": Case(request(event(*DAYS)), "info", AUC),
    "events with a time and an offset": Case(
        request(event(*(f"{d}T09:00:00+01:00" for d in DAYS))), "info", AUC
    ),
    "events against a count": Case(
        request(dosed(timing={"event": [DAYS[0]], "repeat": daily()["repeat"]})),
        "warning",
        NOT + "order: timing.event has 1 days and timing.repeat 4 infusions",
    ),
    "a month is no day": Case(
        request(event("2026-03")), "warning", NOT + "order: timing.event is not a full date"
    ),
    "countMax": Case(
        request(repeated(countMax=6)), "warning", NOT + "order: timing.repeat.countMax is a range"
    ),
    "countMax that is the count": Case(request(repeated(countMax=4)), "info", AUC),
    "frequencyMax": Case(
        request(repeated(frequencyMax=2)), "warning", NOT + "order: timing.repeat.freq"
    ),
    "periodMax": Case(
        request(repeated(periodMax=2)), "warning", NOT + "order: timing.repeat.periodMax"
    ),
    "dayOfWeek": Case(
        request(repeated(dayOfWeek=["mon", "wed"])),
        "warning",
        NOT + "order: timing.repeat.dayOfWeek is not understood",
    ),
    "a part of the day": Case(
        request(repeated(when=["MORN"])), "warning", NOT + "order: timing.repeat.when"
    ),
    "one time of day": Case(
        request(repeated(timeOfDay=["09:30:00"])), "info", AUC, ("on 2026-03-02 09:30",)
    ),
    "two times of day": Case(
        request(repeated(timeOfDay=["08:00:00", "20:00:00"])),
        "warning",
        NOT + "order: 2 times of day",
    ),
    "twice a day by code": Case(
        request(
            dosed(
                timing={
                    **daily(),
                    "code": coded(
                        "http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation", "BID"
                    ),
                }
            )
        ),
        "warning",
        NOT + "order: timing.code 'BID' is not understood",
    ),
    "once a day by code": Case(
        request(
            dosed(
                timing={
                    "code": coded("x", "QD"),
                    "repeat": {"count": 4, "duration": 0.5, "durationUnit": "h"},
                }
            )
        ),
        "info",
        AUC,
    ),
    "once a day by code, twice by its repetition": Case(
        request(dosed(timing={**daily(frequency=2), "code": {"text": "QD"}})),
        "warning",
        NOT + "order: only infusions once a day",
    ),
    "once a day by code, every other day by its repetition": Case(
        request(dosed(timing={**daily(period=2), "code": {"text": "once daily"}})),
        "warning",
        NOT + "order: timing.code says once a day, timing.repeat does not",
    ),
    "a text with another number of days": Case(
        request(order(dosageInstruction=[dosage(text="30 mg/m2 daily x 3 days")])),
        "warning",
        NOT + "order: its text says 3 days, its timing 4 infusions",
    ),
    "twice a day": Case(
        request(repeated(frequency=2)), "warning", NOT + "order: only infusions once a day"
    ),
    "every twelve hours": Case(
        request(repeated(period=12, periodUnit="h")),
        "warning",
        NOT + "order: only infusions once a day",
    ),
    "a period of days": Case(
        request(repeated(count=None, boundsPeriod={"start": DAYS[0], "end": DAYS[3]})), "info", AUC
    ),
    "a period against a count": Case(
        request(repeated(boundsPeriod={"start": DAYS[0], "end": "2026-03-06"})),
        "warning",
        NOT + "order: count 4, boundsPeriod 5 contradict each other",
    ),
    "a period that ends at the hour of the start": Case(
        request(
            repeated(
                count=None,
                boundsPeriod={"start": f"{DAYS[0]}T08:00:00Z", "end": f"{DAYS[3]}T08:00:00Z"},
            )
        ),
        "warning",
        NOT + "order: boundsPeriod 3 or 4 does not tell the number",
    ),
    "a period backwards": Case(
        request(repeated(boundsPeriod={"start": DAYS[3], "end": DAYS[0]})),
        "warning",
        NOT + "order: boundsPeriod ends before it starts",
    ),
    "a duration of days": Case(
        request(repeated(count=None, boundsPeriod=None, boundsDuration=quantity(4, "d"))),
        "info",
        AUC,
    ),
    "a range of days": Case(
        request(
            repeated(
                boundsPeriod=None, boundsRange={"low": quantity(3, "d"), "high": quantity(5, "d")}
            )
        ),
        "warning",
        NOT + "order: timing.repeat.boundsRange is not understood",
    ),
    "no number of infusions": Case(
        request(repeated(count=None)), "warning", NOT + "order: the number of infusions is not said"
    ),
    "as needed": Case(request(dosed(asNeededBoolean=True)), "warning", NOT + "order: as needed"),
    "as needed for something": Case(
        request(dosed(asNeededCodeableConcept={"text": "if well"})),
        "warning",
        NOT + "order: as needed",
    ),
    "not as needed": Case(request(dosed(asNeededBoolean=False)), "info", AUC),
    "a modifier of the order": Case(
        request(order(modifierExtension=[{"url": "https://example.org/x", "valueBoolean": True}])),
        "warning",
        NOT + "order: modifierExtension is not understood",
    ),
    "a modifier of the timing": Case(
        request(dosed(timing={**daily(), "modifierExtension": [{"url": "u"}]})),
        "warning",
        NOT + "order: timing.modifierExtension is not understood",
    ),
    "a highest dose": Case(
        request(dosed(maxDosePerPeriod={"numerator": quantity(50, "mg")})),
        "warning",
        NOT + "order: dosageInstruction.maxDosePerPeriod is not understood",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_order_has_the_card_of_the_table(name: str) -> None:
    assert_card(CASES[name])
