"""Requests and answers of CDS Hooks, and the services that a record system finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from fludapk.web.cds.card import Card
from fludapk.web.cds.codes import VALUES

Hook = Literal["order-select", "order-sign"]
IDS: Final[dict[Hook, str]] = {
    "order-select": "fludapk-order-select",
    "order-sign": "fludapk-order-sign",
}


class Authorization(BaseModel):
    """A token for the record system."""

    model_config = ConfigDict(extra="allow")

    access_token: str = Field("", max_length=20_000)


class Asked(BaseModel):
    """Request of a CDS client (CDS Hooks 2.0)."""

    model_config = ConfigDict(extra="allow")

    hook: Hook
    hookInstance: str = Field(max_length=200)  # noqa: N815
    fhirServer: str | None = Field(None, max_length=2000)  # noqa: N815
    fhirAuthorization: Authorization | None = None  # noqa: N815
    context: dict[str, Any] = Field(description="userId, patientId, selections, draftOrders.")
    prefetch: dict[str, Any] | None = Field(
        None, description="patient, weight, height, creatinine, conditions."
    )


class Outcome(BaseModel):
    """Fate of a card."""

    model_config = ConfigDict(extra="allow")

    card: str = Field(max_length=200)
    outcome: str = Field(max_length=200)


class Feedback(BaseModel):
    """Fates of cards; they are read, and not kept."""

    model_config = ConfigDict(extra="allow")

    feedback: list[Outcome] = Field(max_length=1000)


class Answer(BaseModel):
    """The cards for a request."""

    cards: list[Card]


class Service(BaseModel):
    """A service as CDS Hooks discovers it."""

    hook: Hook
    id: str
    title: str
    description: str
    prefetch: dict[str, str]
    usageRequirements: str  # noqa: N815


class Services(BaseModel):
    """Services of this server."""

    services: list[Service]


def _latest(codes: Sequence[str]) -> str:
    wanted = ",".join(f"http://loinc.org|{code}" for code in codes)
    return f"Observation?patient={{{{context.patientId}}}}&code={wanted}&_sort=-date&_count=10"


PREFETCH: Final = {
    "patient": "Patient/{{context.patientId}}",
    **{what: _latest(codes) for what, codes in VALUES.items()},
    "conditions": "Condition?patient={{context.patientId}}&clinical-status=active&_count=50",
}
_USAGE: Final = (
    "FHIR R4. Needs the drafted orders of fludarabine, and of the patient date of birth, sex, "
    "weight, height and serum creatinine, with UCUM units, by the prefetch. Conditions, the "
    "reason of the order or its protocol tell product and diagnosis, without which there is no "
    "target. Research and second check only, not a medical device."
)
SERVICES: Final = Services(
    services=[
        Service(
            hook=hook,
            id=name,
            title="Fludarabine exposure before CAR T cells",
            description="Cumulative AUC of F-ara-A that the orders of fludarabine are likely to "
            "give, against published thresholds. Research and second check, not a medical device.",
            prefetch=PREFETCH,
            usageRequirements=_USAGE,
        )
        for hook, name in IDS.items()
    ]
)
