"""Doses, rates and routes of orders, each with the card that answers it.

The shapes are those of public guides and bug reports (US Core, mCODE, Da Vinci CRD, Synthea, French
and Japanese guides); the wording and the patients are our own.
"""

from typing import Final

import pytest
from ordering import (
    AUC,
    NOT,
    SNOMED,
    UCUM,
    Case,
    Raw,
    assert_card,
    coded,
    daily,
    dosage,
    dosed,
    order,
    quantity,
    request,
)


def ordered_and_calculated(ordered: Raw, calculated: Raw) -> Raw:
    system = "http://terminology.hl7.org/CodeSystem/dose-rate-type"
    return order(
        dosageInstruction=[
            dosage(
                doseAndRate=[
                    {"type": coded(system, "calculated"), "doseQuantity": calculated},
                    {"type": coded(system, "ordered"), "doseQuantity": ordered},
                ]
            )
        ]
    )


CASES: Final[dict[str, Case]] = {
    # --- dose, rate, route ---
    "mg": Case(request(dosed(dose=quantity(22.37, "mg"))), "info", AUC, ("4 × 22.37 mg",)),
    "grams": Case(request(dosed(dose=quantity(0.02237, "g"))), "info", AUC),
    "a volume": Case(
        request(dosed(dose=quantity(0.9, "mL"))),
        "warning",
        NOT + "dose: unit 'mL' is not understood",
    ),
    "a dose by its text": Case(
        request(dosed(dose={"value": 30, "unit": "mg/m²"})),
        "warning",
        AUC,
        ("dose: the unit 'mg/m²' is told by its text",),
    ),
    "a dose of two units": Case(
        request(dosed(dose=quantity(30, "mg/m2") | {"unit": "mg"})),
        "warning",
        NOT + "dose: the unit is 'mg/m2' by its code and 'mg' by its text",
    ),
    "a range of doses": Case(
        request(
            order(
                dosageInstruction=[
                    dosage(doseAndRate=[{"doseRange": {"low": quantity(25, "mg/m2")}}])
                ]
            )
        ),
        "warning",
        NOT + "order: doseAndRate.doseRange is not understood",
    ),
    "two doses": Case(
        request(
            order(
                dosageInstruction=[
                    dosage(doseAndRate=[{"doseQuantity": quantity(30, "mg/m2")}] * 2)
                ]
            )
        ),
        "warning",
        NOT + "order: 2 doses (doseAndRate)",
    ),
    "a text with another dose": Case(
        request(dosed(text="25 mg/m2 daily x 4")),
        "warning",
        NOT + "order: its text says 25 mg/m2, its dose 30 mg/m2: which is it?",
    ),
    "ordered and calculated": Case(
        request(ordered_and_calculated(quantity(30, "mg/m2"), quantity(22.4, "mg"))),
        "info",
        AUC,
        ("22.4 mg calculated for 30 mg/m2",),
    ),
    "calculated for somebody else": Case(
        request(ordered_and_calculated(quantity(30, "mg/m2"), quantity(60, "mg"))),
        "warning",
        NOT + "order: 60 mg calculated is +168% of 30 mg/m2 ordered: which is it?",
    ),
    "a rate in mg": Case(
        request(
            order(
                dosageInstruction=[
                    dosage(
                        timing=daily(duration=None, durationUnit=None),
                        doseAndRate=[
                            {
                                "doseQuantity": quantity(22, "mg"),
                                "rateQuantity": quantity(44, "mg/h"),
                            }
                        ],
                    )
                ]
            )
        ),
        "info",
        "No target without",
    ),
    "a rate in mL": Case(
        request(
            order(
                dosageInstruction=[
                    dosage(
                        doseAndRate=[
                            {
                                "doseQuantity": quantity(22, "mg"),
                                "rateQuantity": quantity(100, "mL/h"),
                            }
                        ]
                    )
                ]
            )
        ),
        "warning",
        NOT + "order: the rate is not understood",
    ),
    "a ratio against the duration": Case(
        request(
            order(
                dosageInstruction=[
                    dosage(
                        doseAndRate=[
                            {
                                "doseQuantity": quantity(22, "mg"),
                                "rateRatio": {
                                    "numerator": quantity(22, "mg"),
                                    "denominator": quantity(4, "h"),
                                },
                            }
                        ]
                    )
                ]
            )
        ),
        "warning",
        NOT + "order: 30 min by its duration, 4 h by its rate",
    ),
    "by mouth": Case(
        request(dosed(route=coded(SNOMED, "26643006", "Oral route"))),
        "warning",
        NOT + "order: not an infusion (oral route)",
    ),
    "into the spine": Case(
        request(dosed(route={"text": "intrathecal"})),
        "warning",
        NOT + "order: not an infusion (intrathecal",
    ),
    "tablets": Case(
        request(dosed(dose={"value": 4, "unit": "tablet", "system": UCUM, "code": "{tablet}"})),
        "warning",
        NOT + "order: not an infusion (tablets)",
    ),
    "oral by its name": Case(
        request(order(drug={"text": "Fludarabine 10 mg tablets"})),
        "warning",
        NOT + "order: not an infusion (by mouth)",
    ),
    "no route": Case(
        request(dosed(route=None)), "warning", AUC, ("order: no route; computed as an intravenous",)
    ),
    "a route nobody knows": Case(
        request(dosed(route=coded("urn:local", "R77"))),
        "warning",
        NOT + "order: the route is not understood",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_order_has_the_card_of_the_table(name: str) -> None:
    assert_card(CASES[name])
