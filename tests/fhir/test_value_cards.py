"""The patient and the values of a request, each with the card that answers it."""

from typing import Any, Final

import pytest
from ordering import (
    ALL,
    AUC,
    DLBCL,
    ICD10,
    LOINC,
    MEASURED,
    NO_TARGET,
    NOT,
    SNOMED,
    Case,
    Raw,
    assert_card,
    bundle,
    coded,
    condition,
    daily,
    dosed,
    girl,
    man,
    measured,
    order,
    person,
    quantity,
    request,
)

MONTH_AGO: Final = "2026-01-27T08:00:00+01:00"
CELLS: Final = order("cells", drug={"text": "Kymriah (tisagenlecleucel)"}, dosageInstruction=[])
FABRIZIO: Final = "48 % chance of reaching 13.8 mg·h/L (Fabrizio 2022), 52 % of falling short"
MANS: Final = dosed(timing=daily(3))


def weights(*values: Raw) -> Raw:
    """A request in which only the weights are others."""
    rest = [resource for resource in girl() if not str(resource["id"]).startswith("weight")]
    return request(None, [*rest, *values])


def weight(value: float = 18.2, when: str | None = MEASURED, **more: Any) -> Raw:
    return measured("weight", value, "kg", when, **more)


def creatinine(value: Any, unit: str = "mg/dL", **more: Any) -> Raw:
    return request(None, girl(creatinine=measured("creatinine", value, unit, **more)))


def born(day: str | None, **more: Any) -> Raw:
    return request(None, girl(patient=person(birthDate=day, **more)))


def because(reason: Raw, **more: Any) -> Raw:
    """The order for a reason, beside an order of the cells."""
    return request([order(reasonCode=[reason], **more), CELLS])


CASES: Final[dict[str, Case]] = {
    # --- whose ---
    "of another patient": Case(
        weights(weight(), weight(40, "2026-03-01", subject={"reference": "Patient/p2"})),
        "info",
        AUC,
    ),
    "of another server": Case(
        {
            **weights(
                weight(),
                weight(40, "2026-03-01", subject={"reference": "https://b.example.org/Patient/p1"}),
            ),
            "fhirServer": "https://a.example.org",
        },
        "info",
        AUC,
    ),
    "of nobody": Case(
        weights(weight(), weight(40, "2026-03-01", subject=None)),
        "warning",
        AUC,
        ("weight: an observation that does not say of whom it is was left out",),
    ),
    "by an absolute address": Case(
        weights(
            weight(subject={"reference": "https://ehr.example.org/fhir/Patient/p1/_history/2"})
        ),
        "info",
        AUC,
    ),
    "by a urn of the bundle": Case(
        request(
            order(subject={"reference": "urn:uuid:9c"}),
            girl(weight=weight(subject={"reference": "urn:uuid:9c"})),
            urls={"p1": "urn:uuid:9c"},
        ),
        "info",
        AUC,
    ),
    "another patient only": Case(
        request(None, girl(patient=person(id="p2"))),
        "warning",
        NOT + "patient: not in the prefetch",
    ),
    "two patients, one of them the right one": Case(
        request(None, [*girl(), person(id="p2", birthDate="1950-01-01")]), "info", AUC
    ),
    "no patient in the context": Case(
        {**request(), "context": {**request()["context"], "patientId": ""}},
        "warning",
        NOT + "the request does not say for whom it is",
    ),
    # --- how old ---
    "the newest counts": Case(
        weights(weight(), weight(17.1, MONTH_AGO), weight(16.0, "2025-11-03")), "info", AUC
    ),
    "the newest by its instant": Case(
        weights(weight(18.2, "2026-02-27T00:30:00Z"), weight(17, "2026-02-27T01:00:00+02:00")),
        "info",
        AUC,
    ),
    "by the end of a period": Case(
        weights(
            weight(18.2, None, effectivePeriod={"start": "2026-01-01", "end": "2026-02-28"}),
            weight(17),
        ),
        "info",
        AUC,
    ),
    "by an instant": Case(
        weights(weight(18.2, None, effectiveInstant="2026-02-28T08:00:00Z"), weight(17)),
        "info",
        AUC,
    ),
    "by its release": Case(
        weights(weight(18.2, None, issued="2026-02-28T08:00:00Z"), weight(17)), "info", AUC
    ),
    "two of the same time that differ": Case(
        weights(weight(), weight(17)),
        "warning",
        NOT + "weight: 2 values of 2026-02-27",
        ("17 kg, 18.2 kg: which is it?",),
    ),
    "two of the same time that agree": Case(
        weights(weight(), measured("weight", 18200, "g")), "info", AUC
    ),
    "old in a child": Case(
        weights(weight(18.2, MONTH_AGO)),
        "warning",
        AUC,
        ("; weight old", "weight is 34 days old at the first dose: more than 30"),
    ),
    "not old in an adult": Case(
        request(MANS, man(weight=measured("weight", 80, "kg", MONTH_AGO))), "info", NO_TARGET
    ),
    "a height of years in an adult": Case(
        request(MANS, man(height=measured("height", 178, "cm", "2019-05-01"))), "info", NO_TARGET
    ),
    "an old creatinine": Case(
        creatinine(0.3, when="2026-02-20"), "warning", AUC, ("creatinine old", "10 days old")
    ),
    "a value that has not come": Case(
        weights(weight(18.2, "2099-01-01")), "warning", AUC, ("; weight dated in the future",)
    ),
    "a value after the first dose": Case(
        weights(weight(18.2, "2026-03-04")), "warning", AUC, ("weight dated in the future",)
    ),
    "a value of an unknown day": Case(
        weights(weight(18.2, None)), "warning", AUC, ("; weight undated", "of an unknown day")
    ),
    "another value of an unknown day": Case(
        weights(weight(), weight(40, "2026-03")),
        "warning",
        AUC,
        ("weight: an observation of an unknown day was left out; it could be newer",),
    ),
    "three doubtful values": Case(
        request(
            None,
            girl(
                weight=weight(18.2, MONTH_AGO),
                height=measured("height", 110, "cm", "2025-01-01"),
                creatinine=measured("creatinine", 0.3, "mg/dL", "2026-01-01"),
            ),
        ),
        "warning",
        NO_TARGET[:40],
        ("weight, height, creatinine old",),
    ),
    # --- what they say ---
    "a bound is no value": Case(
        creatinine(0.3, valueQuantity=quantity(0.3, "mg/dL", comparator="<")),
        "warning",
        NOT + "creatinine: '< 0.3 mg/dL' is a bound and not a value",
    ),
    "entered in error": Case(
        weights(weight(), weight(40, "2026-03-01", status="entered-in-error")), "info", AUC
    ),
    "preliminary": Case(
        weights(weight(status="preliminary")), "warning", AUC, ("; weight not final", "preliminary")
    ),
    "of unknown status": Case(weights(weight(status="unknown")), "warning", AUC, ("is unknown",)),
    "without a status": Case(weights(weight(status=None)), "warning", AUC, ("is not told",)),
    "absent": Case(
        weights(
            weight(),
            weight(1, "2026-03-01", valueQuantity=None, dataAbsentReason={"text": "refused"}),
        ),
        "info",
        AUC,
    ),
    "a value that is text": Case(
        weights(weight(), weight(1, "2026-03-01", valueQuantity=None, valueString="40 kg")),
        "warning",
        NOT + "weight: valueString of the observation is not understood",
    ),
    "a number that is text": Case(
        weights(weight(valueQuantity=quantity("18.2", "kg"))),
        "warning",
        NOT + "weight: valueQuantity.value cannot be read",
    ),
    "µmol/L": Case(creatinine(26.52, "umol/L", code=coded(LOINC, "14682-9")), "info", AUC),
    "in blood": Case(creatinine(0.3, code=coded(LOINC, "38483-4")), "info", AUC),
    "mmol/L": Case(creatinine(0.3, "mmol/L"), "warning", NOT + "creatinine: unit 'mmol/L' is not"),
    "in urine": Case(
        creatinine(60, code=coded(LOINC, "2161-8")),
        "warning",
        NOT + "creatinine: no observation with LOINC 2160-0",
    ),
    "a unit by its text": Case(
        weights(weight(valueQuantity={"value": 18.2, "unit": "kg"})),
        "warning",
        AUC,
        ("weight: the unit 'kg' is told by its text, not by a UCUM code",),
    ),
    "a unit of another system": Case(
        weights(weight(valueQuantity=quantity(18.2, "kg", system="urn:local"))),
        "warning",
        NOT + "weight: unit 'kg' of 'urn:local' is not understood",
    ),
    "no unit": Case(
        weights(weight(valueQuantity={"value": 18.2})), "warning", NOT + "weight: no unit"
    ),
    "two units": Case(
        weights(weight(valueQuantity=quantity(40, "kg") | {"unit": "lb"})),
        "warning",
        NOT + "weight: the unit is 'kg' by its code and 'lb' by its text",
    ),
    "pounds and inches": Case(
        request(
            None,
            girl(
                weight=measured("weight", 40.12, "[lb_av]"),
                height=measured("height", 43.3, "[in_i]"),
            ),
        ),
        "info",
        NO_TARGET,
        ("weight 40.12 lb", "height 43.3 in"),
    ),
    "measured, and lying": Case(
        request(
            None,
            girl(
                weight=weight(code=coded(LOINC, "3141-9")),
                height=measured("height", 110, "cm", code=coded(LOINC, "8306-3")),
            ),
        ),
        "info",
        AUC,
    ),
    "in a panel": Case(
        weights(
            weight(
                code=coded(LOINC, "85353-1"),
                valueQuantity=None,
                component=[
                    {"code": coded(LOINC, "29463-7"), "valueQuantity": quantity(18.2, "kg")}
                ],
            )
        ),
        "info",
        AUC,
    ),
    "nothing measured": Case(
        request(None, girl()[:1]),
        "warning",
        NOT + "weight: no observation with LOINC 29463-7",
        ("(and 2 more)", "height: no observation with LOINC 8302-2", "creatinine: no observation"),
    ),
    "part of the prefetch failed": Case(
        {
            **request(),
            "prefetch": {
                "all": bundle(girl()[:3]),
                "creatinine": {"resourceType": "OperationOutcome"},
            },
        },
        "warning",
        NOT + "creatinine: no observation",
        ("creatinine: the record system could not answer",),
    ),
    "no prefetch": Case(
        {**request(), "prefetch": None}, "warning", NOT + "patient: not in the prefetch"
    ),
    "a slip of a unit": Case(
        creatinine(22, "mg/dL"),
        "warning",
        NOT + "creatinine = 22 mg/dL is",
        ("22 umol/L would be 0.2489 mg/dL",),
        ("AUC",),
    ),
    "a weight that nobody has": Case(
        weights(weight(81.2)),
        "warning",
        NOT + "weight = 81.2 kg",
        ("Nothing was computed",),
        ("AUC",),
    ),
    # --- age and sex ---
    "no date of birth": Case(born(None), "warning", NOT + "patient: birthDate is not a full date"),
    "a year of birth": Case(born("2021"), "warning", NOT + "patient: birthDate is only a year"),
    "born after the first dose": Case(
        born("2027-01-01"), "warning", NOT + "patient: birthDate is after the first dose"
    ),
    "of unknown sex, where none is needed": Case(born("2021-03-02", gender="unknown"), "info", AUC),
    "of unknown sex, where it is needed": Case(
        request(MANS, man(patient=person(gender="other", birthDate="1966-03-02"))),
        "warning",
        NOT + "langenhorst2019 needs sex",
    ),
    "deceased": Case(
        born("2021-03-02", deceasedBoolean=True), "warning", NOT + "patient: deceased"
    ),
    "kidney failure of an adult": Case(
        request(MANS, man(creatinine=measured("creatinine", 450, "umol/L"))),
        "critical",
        "STOP: US label: do not give",
    ),
    # --- product and diagnosis ---
    "a reason by ICD-10": Case(because(ALL), "info", FABRIZIO),
    "a reason by SNOMED CT": Case(because(coded(SNOMED, "277571004")), "info", FABRIZIO),
    "a reason by ICD-10-CM without its point": Case(
        because(coded("http://hl7.org/fhir/sid/icd-10-cm", "C9102")), "info", FABRIZIO
    ),
    "a reason by its words": Case(because({"text": "Relapsed B-ALL"}), "info", FABRIZIO),
    "a reason of T cells": Case(
        because(coded(ICD10, "C91.0", "T-ALL")), "info", "No target without the diagnosis"
    ),
    "a reason that is a condition": Case(
        request(
            [order(reasonReference=[{"reference": "Condition/c1"}]), CELLS],
            [*girl(), condition(ALL)],
        ),
        "info",
        FABRIZIO,
    ),
    "a condition of the patient": Case(
        request([order(), CELLS], [*girl(), condition(ALL)]), "info", FABRIZIO
    ),
    "a condition that was refuted": Case(
        request(
            [order(), CELLS],
            [*girl(), condition(ALL, verificationStatus=coded("x", "refuted"))],
        ),
        "info",
        "No target without the diagnosis",
    ),
    "a condition of another patient": Case(
        request([order(), CELLS], [*girl(), condition(ALL, subject={"reference": "Patient/p2"})]),
        "info",
        "No target without the diagnosis",
    ),
    "two diagnoses": Case(
        request([order(), CELLS], [*girl(), condition(ALL), condition(DLBCL, id="c2")]),
        "warning",
        "No target without the diagnosis",
        ("diagnosis: the request tells b_all and lbcl: none is used",),
    ),
    "a protocol": Case(
        request(
            order(instantiatesCanonical=["https://h.example.org/PlanDefinition/tisa_cel_ball"])
        ),
        "info",
        FABRIZIO,
    ),
    "a protocol by its name": Case(
        request(order(reasonCode=[ALL], basedOn=[{"display": "Flu/Cy before tisa-cel"}])),
        "info",
        FABRIZIO,
    ),
    "an adult before axi-cel": Case(
        request(
            dosed(timing=daily(3), text="")
            | {"reasonCode": [DLBCL], "instantiatesUri": ["urn:protocol:Yescarta"]},
            man(),
        ),
        "warning",
        "16 % chance of being within 18-20 mg·h/L (Scordo 2023): 47 % below, 37 % above",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_request_has_the_card_of_the_table(name: str) -> None:
    assert_card(CASES[name])
