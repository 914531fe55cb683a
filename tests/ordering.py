"""Requests of a record system, from small parts; everybody in them is invented."""

from copy import deepcopy
from typing import Any, Final, NamedTuple

from asking import APP, ask

from fludapk.web.guard import App

Raw = dict[str, Any]

UCUM: Final = "http://unitsofmeasure.org"
LOINC: Final = "http://loinc.org"
ATC: Final = "http://www.whocc.no/atc"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED: Final = "http://snomed.info/sct"
ICD10: Final = "http://hl7.org/fhir/sid/icd-10"
SELECT: Final = "/cds-services/fludapk-order-select"
SIGN: Final = "/cds-services/fludapk-order-sign"
CODES: Final = {"weight": "29463-7", "height": "8302-2", "creatinine": "2160-0"}
WRITTEN: Final = "2026-02-28T09:12:00+01:00"
MEASURED: Final = "2026-02-27T08:00:00+01:00"


def quantity(value: Any, unit: str, **more: Any) -> Raw:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit, **more}


def coded(system: str, code: str, display: str = "", text: str = "") -> Raw:
    coding = {"system": system, "code": code, **({"display": display} if display else {})}
    return {"coding": [coding], **({"text": text} if text else {})}


FLUDARABINE: Final = coded(ATC, "L01BB05", "fludarabine")
CYCLOPHOSPHAMIDE: Final = coded(ATC, "L01AA01", "cyclophosphamide")
INTRAVENOUS: Final = coded(SNOMED, "47625008", "Intravenous route")
ALL: Final = coded(ICD10, "C91.0")
DLBCL: Final = coded(ICD10, "C83.3")


def daily(count: Any = 4, start: str | None = "2026-03-02", **more: Any) -> Raw:
    """Once a day for half an hour."""
    repeat = {
        "count": count, "frequency": 1, "period": 1, "periodUnit": "d", "duration": 30,
        "durationUnit": "min", **({"boundsPeriod": {"start": start}} if start else {}), **more,
    }  # fmt: skip
    return {"repeat": {key: value for key, value in repeat.items() if value is not None}}


def on_days(*days: str, **more: Any) -> Raw:
    return {"event": list(days), "repeat": {"duration": 30, "durationUnit": "min"}, **more}


def dosage(dose: Raw | None = None, timing: Raw | None = None, **more: Any) -> Raw:
    parts = {
        "timing": daily() if timing is None else timing,
        "route": INTRAVENOUS,
        "doseAndRate": [{"doseQuantity": quantity(30, "mg/m2") if dose is None else dose}],
        **more,
    }
    return {key: value for key, value in parts.items() if value is not None}


def order(name: str = "flu-1", *, drug: Raw | None = None, **more: Any) -> Raw:
    """An order of fludarabine, 30 mg/m2 on four days, unless said otherwise."""
    parts = {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": FLUDARABINE if drug is None else drug,
        "subject": {"reference": "Patient/p1"},
        "authoredOn": WRITTEN,
        "dosageInstruction": [dosage()],
        **more,
    }
    return deepcopy({key: value for key, value in parts.items() if value is not None})


def dosed(name: str = "flu-1", **parts: Any) -> Raw:
    """An order with some parts of its dosage."""
    return order(name, dosageInstruction=[dosage(**parts)])


def person(**more: Any) -> Raw:
    """A girl of 5 years on the day of the first dose."""
    parts = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "2021-03-02"}
    return {key: value for key, value in (parts | more).items() if value is not None}


def measured(what: str, value: Any, unit: str, when: str | None = MEASURED, **more: Any) -> Raw:
    parts = {
        "resourceType": "Observation",
        "id": f"{what}-{when}-{value}".replace(":", "-")[:60],
        "status": "final",
        "code": coded(LOINC, CODES[what]),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": when,
        "valueQuantity": quantity(value, unit),
        **more,
    }
    return {key: value for key, value in parts.items() if value is not None}


def condition(code: Raw, **more: Any) -> Raw:
    return {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "clinicalStatus": coded(
            "http://terminology.hl7.org/CodeSystem/condition-clinical", "active"
        ),
        "code": code,
        **more,
    }


def girl(**values: Raw) -> list[Raw]:
    """The girl of the README, measured three days before her first dose."""
    parts = {
        "patient": person(),
        "weight": measured("weight", 18.2, "kg"),
        "height": measured("height", 110, "cm"),
        "creatinine": measured("creatinine", 0.3, "mg/dL"),
    }
    return deepcopy(list((parts | values).values()))


def man(**values: Raw) -> list[Raw]:
    """A man of 60 years on the day of the first dose."""
    parts = {
        "patient": person(gender="male", birthDate="1966-03-02"),
        "weight": measured("weight", 80, "kg"),
        "height": measured("height", 178, "cm"),
        "creatinine": measured("creatinine", 88.4, "umol/L"),
    }
    return deepcopy(list((parts | values).values()))


def bundle(
    resources: list[Raw], kind: str = "collection", urls: dict[str, str] | None = None
) -> Raw:
    entries = []
    for resource in resources:
        url = (urls or {}).get(str(resource.get("id")))
        entries.append({**({"fullUrl": url} if url else {}), "resource": resource})
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def request(
    orders: list[Raw] | Raw | None = None,
    resources: list[Raw] | None = None,
    *,
    hook: str = "order-select",
    selections: Any = (),
    urls: dict[str, str] | None = None,
    **more: Any,
) -> Raw:
    """A request with orders, all selected, and what is told of the patient."""
    drafts = [order()] if orders is None else orders if isinstance(orders, list) else [orders]
    told = girl() if resources is None else resources
    context: Raw = {
        "userId": "Practitioner/x",
        "patientId": "p1",
        "draftOrders": bundle(drafts, urls=urls),
    }
    if hook == "order-select":
        chosen = [f"{r.get('resourceType')}/{r.get('id')}" for r in drafts]
        context["selections"] = chosen if selections == () else selections
    body = {
        "hook": hook,
        "hookInstance": "0b6f7ac9-7a2e-4f3d-9d0c-5c8a3f1e2d77",
        "context": context,
        "prefetch": {"everything": bundle(told, "searchset", urls)},
        **more,
    }
    return deepcopy(body)


def cards(body: Raw, app: App = APP, path: str = "") -> list[Raw]:
    """Cards for a request."""
    path = path or (SIGN if body.get("hook") == "order-sign" else SELECT)
    response = ask("POST", path, app, json=body)
    assert response.status_code == 200, response.text
    found: list[Raw] = response.json()["cards"]
    return found


def told(card: Raw) -> str:
    """Everything a card says, without the marks of Markdown."""
    return f"{card['summary']}\n{card['detail']}".replace("\\", "")


class Case(NamedTuple):
    """A request, and the card for it."""

    body: Raw
    indicator: str | None
    """None if there must be no card."""
    lead: str = ""
    """Beginning of the summary."""
    says: tuple[str, ...] = ()
    """What the card says somewhere."""
    lacks: tuple[str, ...] = ()
    """What it says nowhere."""


def assert_card(case: Case) -> None:
    """The card of a row of a table, and nothing beside it."""
    found = cards(case.body)
    if case.indicator is None:
        assert found == []
        return
    (card,) = found
    assert card["indicator"] == case.indicator, told(card)
    assert card["summary"].startswith(case.lead), told(card)
    for text in case.says:
        assert text in told(card), told(card)
    for text in case.lacks:
        assert text not in told(card), told(card)
    assert len(card["summary"]) <= 140


DAYS: Final = ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05")
AUC: Final = "No target without the product and diagnosis: AUC0-inf 13.58 mg·h/L"
"""Of the girl with four doses of 30 mg/m2."""
NO_TARGET: Final = "No target without the product and diagnosis: AUC0-inf"
NOT: Final = "Fludarabine not checked: "


def repeated(**more: Any) -> Raw:
    return dosed(timing=daily(**more))


def dose_and_rate(**parts: Raw) -> Raw:
    """An order with what it says of dose and rate."""
    return order(dosageInstruction=[dosage(doseAndRate=[parts])])
