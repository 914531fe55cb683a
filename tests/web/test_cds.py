"""The services of CDS Hooks as clients speak to them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from asking import HOME, ask
from click.testing import CliRunner
from ordering import (
    ALL,
    AUC,
    SELECT,
    SIGN,
    Raw,
    bundle,
    cards,
    condition,
    daily,
    dosed,
    girl,
    man,
    measured,
    order,
    quantity,
    request,
    told,
)

from fludapk.cli import main
from fludapk.errors import InputError
from fludapk.web.app import create_app
from fludapk.web.cds.bundles import MOST_LEVELS, parsed
from fludapk.web.cds.settings import Settings
from fludapk.web.forms import typed

CELLS: Final = order("cells", drug={"text": "tisagenlecleucel"}, dosageInstruction=[])
FOR_ALL: Final = request([order(reasonCode=[ALL]), CELLS])
SANDBOX: Final = "https://sandbox.cds-hooks.org"
SHARED: Final = create_app(settings=Settings.typed(cors_origins=[SANDBOX]))


# --- Discovery --------------------------------------------------------------------------------


def test_both_hooks_can_be_discovered_with_what_they_need() -> None:
    services = {s["hook"]: s for s in ask("GET", "/cds-services").json()["services"]}
    assert set(services) == {"order-select", "order-sign"}
    for hook, service in services.items():
        assert service["id"] == f"fludapk-{hook}"
        assert "UCUM" in service["usageRequirements"]
        queries = service["prefetch"]
        assert set(queries) == {"patient", "weight", "height", "creatinine", "conditions"}
        assert "http://loinc.org|29463-7" in queries["weight"]
        assert all("{{context.patientId}}" in query for query in queries.values())


def test_only_the_hooks_of_orders_are_answered() -> None:
    for path in (SELECT, SIGN):
        assert ask("POST", path, json=request(hook="order-sign")).status_code == 200
    response = ask("POST", SELECT, json={**request(), "hook": "patient-view"})
    assert response.status_code == 422
    assert "hook" in response.json()["faults"][0]["message"]


# --- Bodies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"hook": "order-select", "hook": "order-sign"}', "the key 'hook' is there twice"),
        (b'{"context": {"a": 1, "a": 2}}', "the key 'a' is there twice"),
        (b'{"hook": NaN}', "NaN is not a number of JSON"),
        (b'{"hook": 1e999}', "1e999 is larger than a number can be"),
        (b'{"hook": "\\ud800"}', "half a character"),
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" * (MOST_LEVELS + 2) + b"]" * (MOST_LEVELS + 2), "nested deeper"),
    ],
)
def test_json_that_is_not_one_thing_only_is_refused(body: bytes, why: str) -> None:
    response = ask("POST", SELECT, content=body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert why in response.json()["detail"]


def test_a_key_twice_deep_in_an_order_is_refused() -> None:
    text = json.dumps(request()).replace('"value": 30,', '"value": 30, "value": 300,')
    assert ask("POST", SELECT, content=text.encode()).status_code == 400


def test_what_lacks_of_a_request_is_named() -> None:
    response = ask("POST", SELECT, json={"hook": "order-select"})
    assert response.status_code == 422
    names = " ".join(fault["message"] for fault in response.json()["faults"])
    assert "hookInstance" in names
    assert "context" in names


def filled(kib: int) -> Raw:
    """A request with so much beside what is read."""
    note = {"resourceType": "DocumentReference", "id": "d", "description": "x" * (1024 * kib)}
    return request(None, [*girl(), note])


def test_a_body_of_a_real_request_is_read_up_to_its_limit() -> None:
    (card,) = cards(filled(900))
    assert card["summary"].startswith(AUC)
    assert ask("POST", SELECT, json=filled(1100)).status_code == 413
    larger = create_app(settings=Settings.typed(body_mib=2))
    assert ask("POST", SELECT, larger, json=filled(1100)).status_code == 200
    assert ask("POST", "/api/v1/check", larger, json={"age": "x" * 100_000}).status_code == 413


# --- Cards ------------------------------------------------------------------------------------


def test_a_card_is_what_a_client_expects() -> None:
    (card,) = cards(FOR_ALL)
    assert card["source"]["url"] == "https://doi.org/10.1007/s40262-018-0715-9"
    assert {reason["code"] for reason in card["overrideReasons"]} >= {"checked", "levels"}
    assert all(reason["display"] and reason["system"] for reason in card["overrideReasons"])
    assert card["links"][0]["type"] == "absolute"
    assert card["selectionBehavior"] == "at-most-one"


def test_the_same_request_has_the_same_identifiers_and_another_has_others() -> None:
    (card,) = cards(FOR_ALL)
    (again,) = cards(FOR_ALL)
    (other,) = cards({**FOR_ALL, "hookInstance": "another"})
    assert card == again
    assert card["uuid"] != other["uuid"]
    assert card["suggestions"][0]["uuid"] != other["suggestions"][0]["uuid"]


def test_the_link_opens_the_page_with_this_patient() -> None:
    (card,) = cards(FOR_ALL)
    address = urlsplit(card["links"][0]["url"])
    assert f"{address.scheme}://{address.netloc}" == HOME
    assert address.query == ""
    form = {name: values[0] for name, values in parse_qs(address.fragment).items()}
    assert typed(form) == {
        "age": "5",
        "sex": "female",
        "weight": "18.2",
        "height": "110",
        "scr": "0.3 mg/dL",
        "product": "tisa_cel",
        "diagnosis": "b_all",
        "dose": "30 mg/m2",
        "days": "4",
        "infusion_time": "30 min",
    }


def test_the_link_asks_for_what_a_target_needs() -> None:
    (card,) = cards(request())
    assert "product and diagnosis" in card["links"][0]["label"]


def test_a_slip_is_asked_about_and_confirmed_on_the_page() -> None:
    body = request([dosed(timing=daily(3))], man(weight=measured("weight", 180, "kg")))
    assert "AUC0-inf" in told(cards(body)[0])  # real, though rare
    slip = request(None, girl(creatinine=measured("creatinine", 22, "mg/dL")))
    (card,) = cards(slip)
    assert "confirm creatinine" in card["links"][0]["label"]
    assert "renal=22&renal_unit=mg%2FdL" in card["links"][0]["url"]
    assert "AUC" not in told(card)
    assert "suggestions" not in card


def test_links_are_to_the_address_that_users_see() -> None:
    public = create_app(settings=Settings.typed(public_url="https://fludapk.example.org/"))
    (card,) = cards(request(), public)
    assert card["links"][0]["url"].startswith("https://fludapk.example.org/#age=5")
    seen = ask("GET", "/healthz", public, headers={"host": "fludapk.example.org"})
    assert seen.status_code == 200
    assert ask("GET", "/healthz", headers={"host": "fludapk.example.org"}).status_code == 421


# --- Suggestions ------------------------------------------------------------------------------


def test_a_suggestion_is_the_draft_with_the_dose_of_the_target() -> None:
    (card,) = cards(FOR_ALL)
    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    result = CliRunner().invoke(
        main,
        [
            *("dose", "--age", "5", "--sex", "female", "--weight", "18.2 kg"),
            *("--height", "110 cm", "--scr", "0.3 mg/dL", "--dose", "30 mg/m2", "--days", "4"),
            *("--product", "tisa_cel", "--diagnosis", "b_all"),
            *("--target", "fabrizio2022", "--json"),
        ],
    )
    dose_mg = json.loads(result.stdout)["answer"]["dose_mg"]
    changed = action["resource"]
    expected = FOR_ALL["context"]["draftOrders"]["entry"][0]["resource"]
    assert action["type"] == "update"
    rates = changed["dosageInstruction"][0].pop("doseAndRate")
    assert rates == [{"doseQuantity": quantity(dose_mg, "mg")}]
    expected["dosageInstruction"][0].pop("doseAndRate")
    try:
        assert changed == expected
    finally:
        expected["dosageInstruction"][0]["doseAndRate"] = [{"doseQuantity": quantity(30, "mg/m2")}]
    assert f"{dose_mg:g} mg" in suggestion["label"]
    assert "+25%" in suggestion["label"]


def test_a_course_of_several_orders_is_changed_in_all_of_them() -> None:
    days = ("2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05")
    drafts = [
        {**dosed(f"f{k}", timing={"event": [day]}), "reasonCode": [ALL]}
        for k, day in enumerate(days)
    ]
    (card,) = cards(request([*drafts, CELLS]))
    assert [a["resource"]["id"] for a in card["suggestions"][0]["actions"]] == [
        "f0", "f1", "f2", "f3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(request(), id="no target"),
        pytest.param(
            request([order(reasonCode=[ALL], status="active"), CELLS]), id="no draft any more"
        ),
        pytest.param(
            request([{**dosed(dose=quantity(28, "mg")), "reasonCode": [ALL]}, CELLS]),
            id="that dose already",
        ),
        pytest.param(
            request(
                [{**dosed(timing=daily(3)), "reasonCode": [ALL]}, CELLS],
                man(creatinine=measured("creatinine", 450, "umol/L")),
            ),
            id="a stop",
        ),
    ],
)
def test_nothing_is_suggested_where_there_is_nothing_to_suggest(body: Raw) -> None:
    (card,) = cards(body)
    assert "suggestions" not in card
    assert "selectionBehavior" not in card


# --- Feedback ---------------------------------------------------------------------------------


def test_feedback_is_accepted_and_what_is_none_is_not() -> None:
    (card,) = cards(FOR_ALL)
    outcome = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-02-28"}
    for path in (SELECT, SIGN):
        response = ask("POST", f"{path}/feedback", json={"feedback": [outcome]})
        assert (response.status_code, response.json()) == (200, {})
    assert ask("POST", f"{SELECT}/feedback", json={"feedback": 3}).status_code == 422


# --- Other origins ----------------------------------------------------------------------------


def from_page(method: str, path: str, app: Any = SHARED, **more: Any) -> Any:
    headers = {"origin": SANDBOX, "sec-fetch-site": "cross-site", **more.pop("headers", {})}
    return ask(method, path, app, headers=headers, **more)


def test_a_page_of_an_allowed_origin_may_ask_for_cards() -> None:
    asks_first = from_page("OPTIONS", SELECT, headers={"access-control-request-method": "POST"})
    assert asks_first.status_code == 204
    assert asks_first.headers["access-control-allow-origin"] == SANDBOX
    assert "Content-Type" in asks_first.headers["access-control-allow-headers"]
    for response in (from_page("GET", "/cds-services"), from_page("POST", SELECT, json=request())):
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == SANDBOX
        assert "cross-origin-resource-policy" not in response.headers
        assert response.headers["vary"] == "Origin"


def test_everything_else_stays_closed_to_it() -> None:
    for path in ("/api/v1/check", "/", "/cds-services-of-others"):
        response = from_page("POST", path, json={})
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers
    other = from_page("POST", SELECT, json=request(), headers={"origin": "https://evil.example"})
    assert other.status_code == 403
    assert from_page("POST", SELECT, create_app(), json=request()).status_code == 403
    assert from_page("OPTIONS", SELECT, create_app()).status_code != 204
    rebound = from_page("POST", SELECT, json=request(), headers={"host": "evil.example"})
    assert rebound.status_code == 421


def test_an_allowed_page_still_needs_the_token() -> None:
    app = create_app(
        host="0.0.0.0", token="open sesame, please", settings=Settings(origins=(SANDBOX,))
    )
    assert from_page("OPTIONS", SELECT, app).status_code == 204
    refused = from_page("POST", SELECT, app, json=request())
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == SANDBOX
    with_token = {"authorization": "Bearer open sesame, please"}
    assert from_page("POST", SELECT, app, json=request(), headers=with_token).status_code == 200


# --- What is fetched --------------------------------------------------------------------------


class Asked(list[tuple[str, str | None]]):
    """Paths that a record system was asked for, and the tokens it was shown."""


@contextmanager
def record_system(answers: dict[str, Any], status: int = 200) -> Iterator[tuple[str, Asked]]:
    """A record system that answers by the first word of the query."""
    asked = Asked()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            known = (body for word, body in answers.items() if word in self.path)
            content = json.dumps(next(known, bundle([]))).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("location", "http://127.0.0.1:9/elsewhere")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/fhir", asked
        finally:
            server.shutdown()
            thread.join()


def everything() -> dict[str, Any]:
    patient, weight, height, creatinine = girl()
    return {
        "/Patient/p1": patient,
        "29463-7": bundle([weight]),
        "8302-2": bundle([height]),
        "2160-0": bundle([creatinine]),
        "Condition": bundle([condition(ALL)]),
    }


def with_server(address: str, resources: list[Raw], **more: Any) -> Raw:
    token = {"access_token": "s3cret", "token_type": "Bearer", "expires_in": 300}
    body = request([order(), CELLS], resources, **more)
    return {**body, "fhirServer": address, "fhirAuthorization": token}


def test_what_lacks_is_fetched_from_a_server_that_is_allowed() -> None:
    with record_system(everything()) as (address, asked):
        app = create_app(settings=Settings.typed(fhir_servers=[f"{address}/"]))
        (card,) = cards(with_server(address, []), app)
        assert card["summary"].startswith("48 % chance of reaching 13.8")
        assert len(asked) == 5
        assert {token for _, token in asked} == {"Bearer s3cret"}
        assert any(path.startswith("/fhir/Patient/p1") for path, _ in asked)
        asked.clear()
        cards(with_server(address, girl()[:3]), app)
        assert len(asked) == 2  # creatinine and conditions


def test_no_other_server_is_asked() -> None:
    with record_system(everything()) as (address, asked):
        (card,) = cards(with_server(address, girl()[:3]))
        assert card["summary"].startswith("Fludarabine not checked: creatinine: no observation")
        assert "not fetched, this server is not allowed to be asked" in told(card)
        allowed = create_app(settings=Settings.typed(fhir_servers=[f"{address}/other"]))
        cards(with_server(address, girl()[:3]), allowed)
        body = with_server(address, girl()[:3])
        body["context"]["patientId"] = "p1/../p2"
        cards(body, create_app(settings=Settings.typed(fhir_servers=[address])))
        assert asked == []


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_server_that_does_not_answer_is_said(status: int) -> None:
    with record_system(everything(), status) as (address, asked):
        app = create_app(settings=Settings.typed(fhir_servers=[address]))
        (card,) = cards(with_server(address, girl()[:3]), app)
        assert "creatinine: not fetched (HTTPError)" in told(card)
        assert len(asked) == 2


# --- Settings ---------------------------------------------------------------------------------


def test_settings_that_are_none_are_all_named() -> None:
    with pytest.raises(InputError) as refused:
        Settings.typed(
            cors_origins=["*", "https://a.example/path"],
            fhir_servers=["http://ehr.example.org/fhir", "file:///etc"],
            body_mib=1000,
            public_url="fludapk",
            time_zone="Mars/Olympus",
        )
    fields = [fault.field for fault in refused.value.faults]
    assert fields == [
        "cors_origin", "cors_origin", "fhir_server", "fhir_server", "public_url", "body_mib",
        "time_zone",
    ]  # fmt: skip


def test_the_command_names_its_options() -> None:
    result = CliRunner().invoke(main, ["serve", "--cors-origin", "*", "--fhir-server", "ftp://x"])
    assert result.exit_code == 3
    assert "--cors-origin" in result.stderr
    assert "--fhir-server" in result.stderr


def test_days_are_those_of_the_hospital() -> None:
    japan = create_app(settings=Settings.typed(time_zone="Asia/Tokyo"))
    body = request([dosed(timing={"event": ["2026-03-01T23:30:00Z"]})], hook="order-sign")
    (card,) = cards(body, japan)
    assert "on 2026-03-02 08:30" in told(card)
    assert "#age=5&" in card["links"][0]["url"]  # her birthday, there


def test_a_number_keeps_its_digits_on_the_way() -> None:
    assert parsed(b'{"value": 18.20}') == {"value": 18.2}
