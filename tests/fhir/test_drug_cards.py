"""Orders that are none, and orders of which drug, each with the card that answers it.

The shapes are those of public guides and bug reports (US Core, mCODE, Da Vinci CRD, Synthea, French
and Japanese guides); the wording and the patients are our own.
"""

from typing import Any, Final

import pytest
from ordering import (
    ATC,
    AUC,
    CYCLOPHOSPHAMIDE,
    FLUDARABINE,
    NOT,
    RXNORM,
    SNOMED,
    Case,
    Raw,
    assert_card,
    coded,
    girl,
    order,
    request,
)


def by_reference(reference: Raw, **more: Any) -> Raw:
    changed = order(medicationReference=reference, **more)
    del changed["medicationCodeableConcept"]
    return changed


def medication(**more: Any) -> Raw:
    return {"resourceType": "Medication", "id": "m1", **more}


def with_drafts(drafts: Raw) -> Raw:
    """A request with these as its orders."""
    return {**request(), "context": {"patientId": "p1", "draftOrders": drafts}}


CASES: Final[dict[str, Case]] = {
    # --- is it an order? ---
    **{
        f"status {status}": Case(request(order(status=status)), None)
        for status in ("cancelled", "stopped", "entered-in-error")
    },
    "not to be given": Case(request(order(doNotPerform=True)), None),
    "already active": Case(
        request(order(status="active")), "info", AUC, ("already active, not a draft",)
    ),
    "on hold": Case(request(order(status="on-hold")), "warning", NOT + "order: status 'on-hold'"),
    "an option": Case(request(order(intent="option")), "warning", NOT + "order: intent 'option'"),
    "a cancelled one beside it": Case(
        request([order(), order("old", status="cancelled")]),
        "info",
        AUC,
        ("not counted: MedicationRequest/old, its status is cancelled",),
    ),
    "one that replaces another": Case(
        request(
            [
                order("new", priorPrescription={"reference": "MedicationRequest/old"}),
                order("old", status="active"),
            ]
        ),
        "info",
        AUC,
        ("not counted: MedicationRequest/old, replaced",),
    ),
    "for another patient": Case(
        request(order(subject={"reference": "Patient/p2"})),
        "warning",
        NOT + "order: it is for another patient",
    ),
    # --- which drug is it? ---
    "another drug": Case(request(order(drug=CYCLOPHOSPHAMIDE)), None),
    "fludrocortisone": Case(request(order(drug={"text": "Fludrocortisone 0.1 mg"})), None),
    "another drug is selected": Case(
        request([order(), order("cy", drug=CYCLOPHOSPHAMIDE)], selections=["MedicationRequest/cy"]),
        None,
    ),
    **{
        f"the drug by {name}": Case(request(order(drug=drug)), "info", AUC)
        for name, drug in {
            "RxNorm": coded(RXNORM, "24698"),
            "RxNorm of an injection": coded(RXNORM, "1740865"),
            "ATC with its OID": coded("urn:oid:2.16.840.1.113883.6.73", "L01BB05"),
            "a national ATC": coded("http://fhir.de/CodeSystem/bfarm/atc", "L01BB05"),
            "SNOMED CT with a name": coded(SNOMED, "0", "Fludarabine phosphate (substance)"),
            "a national code with a name": coded(
                "urn:oid:1.2.250.1.213.2.3.1", "340", "FLUDARA 50 mg, poudre"
            ),
            "a brand": {"text": "Fludara"},
            "Japanese": {"text": "フルダラ静注用50mg"},
        }.items()
    },
    "RxNorm of a tablet": Case(
        request(order(drug=coded(RXNORM, "393413"))),
        "warning",
        NOT + "order: not an infusion (by mouth)",
    ),
    "a contained medication": Case(
        request(by_reference({"reference": "#m1"}, contained=[medication(code=FLUDARABINE)])),
        "info",
        AUC,
    ),
    "a medication of the bundle": Case(
        request(
            [by_reference({"reference": "urn:uuid:5d"}), medication(code=FLUDARABINE)],
            urls={"m1": "urn:uuid:5d"},
        ),
        "info",
        AUC,
    ),
    "a medication of the prefetch": Case(
        request(
            by_reference({"reference": "Medication/m1"}), [*girl(), medication(code=FLUDARABINE)]
        ),
        "info",
        AUC,
    ),
    "only a display": Case(
        request(by_reference({"reference": "Medication/x", "display": "fludarabine inj"})),
        "info",
        AUC,
    ),
    "an ingredient with a diluent": Case(
        request(
            [
                by_reference({"reference": "Medication/m1"}),
                medication(
                    ingredient=[
                        {"itemCodeableConcept": FLUDARABINE},
                        {"itemCodeableConcept": {"text": "Sodium chloride 0.9 %"}},
                    ]
                ),
            ]
        ),
        "info",
        AUC,
    ),
    "a mixture of two drugs": Case(
        request(
            [
                by_reference({"reference": "Medication/m1"}),
                medication(
                    ingredient=[
                        {"itemCodeableConcept": FLUDARABINE},
                        {"itemCodeableConcept": CYCLOPHOSPHAMIDE},
                    ]
                ),
            ]
        ),
        "warning",
        NOT + "order: a mixture with cyclophosphamide",
    ),
    "a form by mouth": Case(
        request(
            [
                by_reference({"reference": "Medication/m1"}),
                medication(code={"text": "Fludarabine"}, form={"text": "Film-coated tablet"}),
            ]
        ),
        "warning",
        NOT + "order: not an infusion (by mouth)",
    ),
    "nothing tells the drug": Case(
        request(by_reference({"reference": "Medication/gone"})),
        "info",
        NOT + "the drug of MedicationRequest/flu-1 cannot be read: is it fludarabine?",
    ),
    "the drug is no concept": Case(
        request({**order(), "medicationCodeableConcept": "fludarabine"}),
        "warning",
        NOT + "order: medicationCodeableConcept cannot be read",
    ),
    "a name against its code": Case(
        request(order(drug=coded(ATC, "L01BB04", text="Fludarabine"))),
        "warning",
        NOT + "order: fludarabine by its name, ATC L01BB04 by its code: which is it?",
    ),
    "a code under another name": Case(
        request(order(drug=coded(ATC, "L01BB05", text="FLU bag"))),
        "warning",
        AUC,
        ("order: fludarabine by its code, by its text 'FLU bag'",),
    ),
    "an order that was only reported": Case(
        request(order(reportedBoolean=True)), "warning", NOT + "order: it is reported"
    ),
    "a remark of a person": Case(
        request(order(note=[{"text": "reduce if CrCl falls"}])),
        "info",
        AUC,
        ("Text of the order: reduce if CrCl falls",),
    ),
    "an address is selected": Case(
        request(
            [order(), order("cy", drug=CYCLOPHOSPHAMIDE)],
            selections=["https://ehr.example.org/fhir/MedicationRequest/flu-1"],
        ),
        "info",
        AUC,
    ),
    "a urn is selected": Case(
        request(order(), selections=["urn:uuid:77"], urls={"flu-1": "urn:uuid:77"}), "info", AUC
    ),
    "nothing that was sent is selected": Case(
        request(order(), selections=["MedicationRequest/gone"]), "info", AUC
    ),
    "an order of another type": Case(
        request({**order(), "resourceType": "MedicationDispense"}),
        "warning",
        NOT + "order: a MedicationDispense, not a MedicationRequest",
    ),
    "a bundle of another type": Case(
        with_drafts({**request()["context"]["draftOrders"], "resourceType": "List"}), "info", AUC
    ),
    "an entry without a resource": Case(
        with_drafts({"resourceType": "Bundle", "entry": [{"resource": "fludarabine"}]}),
        "warning",
        NOT + "the request has no orders that can be read",
    ),
    "an entry of nobody knows what beside another": Case(
        with_drafts(
            {
                "resourceType": "Bundle",
                "entry": [{"resource": order(drug=CYCLOPHOSPHAMIDE)}, {"resource": []}],
            }
        ),
        "info",
        NOT + "draftOrders: 1 of its entries cannot be read",
    ),
    "no orders at all": Case(
        {**request(), "context": {"patientId": "p1"}}, "warning", NOT + "the request has no orders"
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_order_has_the_card_of_the_table(name: str) -> None:
    assert_card(CASES[name])
