"""Laws that every card keeps, whatever a record system sends."""

import json
import random
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from asking import ask
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from ordering import (
    ALL,
    DLBCL,
    SELECT,
    Raw,
    cards,
    condition,
    daily,
    dosed,
    girl,
    man,
    measured,
    on_days,
    order,
    person,
    quantity,
    request,
    told,
)

from fludapk.answers.headline import auc_text
from fludapk.cli import main

CELLS: Final = order("cells", drug={"text": "tisagenlecleucel"}, dosageInstruction=[])
CYCLO: Final = order("cyclo", drug={"text": "cyclophosphamide"})
DAYS: Final = tuple(f"2026-03-0{k}T09:00:00+01:00" for k in (2, 3, 4, 5))
REQUESTS: Final = (
    request([order(reasonCode=[ALL]), CELLS, CYCLO]),
    request([dosed(f"flu-{k}", timing=on_days(day)) for k, day in enumerate(DAYS)] + [CYCLO]),
    request([dosed(timing=daily(3))], [*man(), condition(DLBCL)]),
    request([order(), order("flu-2")]),
    request([dosed(timing=daily(frequency=2))]),
    request(None, girl(creatinine=measured("creatinine", 22, "mg/dL"))),
)


# --- What does not change a card ------------------------------------------------------------------


def entries_of(body: Raw) -> list[list[Raw]]:
    """The lists of entries of a request."""
    bundles = [body["context"]["draftOrders"], *body["prefetch"].values()]
    return [bundle["entry"] for bundle in bundles]


@given(dice=st.randoms(use_true_random=False), body=st.sampled_from(REQUESTS))
@settings(max_examples=40, deadline=None)
def test_the_order_of_entries_does_not_matter(dice: random.Random, body: Raw) -> None:
    changed = deepcopy(body)
    for entries in entries_of(changed):
        dice.shuffle(entries)
    assert cards(changed) == cards(body)


@given(
    what=st.sampled_from([("weight", "kg"), ("height", "cm"), ("creatinine", "mg/dL")]),
    value=st.floats(0.1, 500),
    body=st.sampled_from(REQUESTS),
    days=st.integers(1, 4000),
)
@settings(max_examples=40, deadline=None)
def test_values_of_others_and_older_ones_do_not_matter(
    what: tuple[str, str], value: float, body: Raw, days: int
) -> None:
    changed = deepcopy(body)
    before = (datetime(2026, 2, 27, 7, tzinfo=UTC) - timedelta(days=days)).isoformat()
    older = measured(what[0], value, what[1], before)
    of_another = measured(
        what[0], value, what[1], "2026-03-01", subject={"reference": "Patient/p2"}
    )
    entries = entries_of(changed)[-1]
    entries[:0] = [{"resource": resource} for resource in (older, of_another, person(id="p2"))]
    assert cards(changed) == cards(body)


_TIME: Final = re.compile(r'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))"')


def moved(text: str, zone: timezone) -> str:
    """A text with its times in another notation."""

    def in_zone(match: re.Match[str]) -> str:
        return json.dumps(datetime.fromisoformat(match[1]).astimezone(zone).isoformat())

    return _TIME.sub(in_zone, text)


@given(minutes=st.integers(-14 * 4, 14 * 4), body=st.sampled_from(REQUESTS))
@settings(max_examples=40, deadline=None)
def test_the_notation_of_a_time_zone_does_not_matter(minutes: int, body: Raw) -> None:
    changed = json.loads(moved(json.dumps(body), timezone(timedelta(minutes=15 * minutes))))
    # a suggestion repeats the draft with its times as they were written
    moved_back, as_before = (moved(json.dumps(cards(each)), UTC) for each in (changed, body))
    assert moved_back == as_before


# --- What no resource can do ----------------------------------------------------------------------

ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20) | st.sampled_from(["2026-03-02", "mg", "h", "Patient/p1", "#m1"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8) | st.sampled_from(["value", "code", "reference"]), inner,
                      max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inner:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from places(part, (*path, key))


def put(body: Raw, path: tuple[Any, ...], value: Any) -> None:
    place: Any = body
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value


def values_sent(body: Raw) -> str:
    return json.dumps(body, ensure_ascii=False)


@given(data=st.data(), body=st.sampled_from(REQUESTS), value=ANYTHING)
@settings(max_examples=300, deadline=None)
def test_whatever_a_resource_holds_is_answered_and_no_number_comes_from_nowhere(
    data: st.DataObject, body: Raw, value: Any
) -> None:
    changed = deepcopy(body)
    put(changed, data.draw(st.sampled_from(list(places(body)))), value)
    content = json.dumps(changed).encode("utf-8", "surrogatepass")
    response = ask("POST", SELECT, content=content)
    assert response.status_code in (200, 400, 422), response.text
    for card in response.json().get("cards", []):
        assert len(card["summary"]) <= 140
        if "AUC0-inf" in told(card):
            assert_rests_on_values(card, changed)


def assert_rests_on_values(card: Raw, body: Raw) -> None:
    """A card with an AUC names every value it used, and they were sent."""
    used = re.search(r"Used: (.*)\.", told(card))
    assert used is not None
    for what in ("weight", "height", "creatinine"):
        number = re.search(rf"{what} ([\d.e+-]+) (\S+) of", used[1])
        assert number is not None
        sent = [
            entry["resource"]["valueQuantity"]["value"]
            for entry in entries_of(body)[-1]
            if isinstance(entry, dict)
            and isinstance(entry.get("resource"), dict)
            and isinstance(entry["resource"].get("valueQuantity"), dict)
        ]
        assert float(number[1]) in sent
    assert "Ordered: " in told(card)


# --- The same answer as everywhere ----------------------------------------------------------------


def people(n: int) -> Iterator[tuple[Raw, list[str]]]:
    """Requests, and the same as options of the command line."""
    dice = random.Random(11)
    for k in range(n):
        years = dice.randint(1, 80)
        tall = round(176.0 if years > 17 else 72 + 6.0 * years, 1)
        heavy = round(dice.uniform(16, 26) * (tall / 100) ** 2, 1)
        sex = dice.choice(["female", "male"])
        creatinine = round(dice.uniform(0.3, 0.45) if years < 12 else dice.uniform(0.6, 1.2), 2)
        dose, unit = dice.choice([(30, "mg/m2"), (25, "mg/m2"), (1, "mg/kg"), (heavy // 2, "mg")])
        days = dice.choice([3, 4])
        told = [
            person(gender=sex, birthDate=f"{2026 - years}-03-02"),
            measured("weight", heavy, "kg"),
            measured("height", tall, "cm"),
            measured("creatinine", creatinine, "mg/dL"),
        ]
        drafts = [dosed(dose=quantity(dose, unit), timing=daily(days))]
        words = ["--age", str(years), "--sex", sex, "--weight", f"{heavy} kg"]
        words += ["--height", f"{tall} cm", "--scr", f"{creatinine} mg/dL"]
        words += ["--dose", f"{dose} {unit}", "--days", str(days), "--infusion-time", "30 min"]
        if k % 2:
            drafts[0]["reasonCode"] = [ALL if years < 26 else DLBCL]
            cells = "tisagenlecleucel" if years < 26 else "axicabtagene ciloleucel"
            drafts.append(order("cells", drug={"text": cells}, dosageInstruction=[]))
            words += ["--product", "tisa_cel" if years < 26 else "axi_cel"]
            words += ["--diagnosis", "b_all" if years < 26 else "lbcl"]
        yield request(drafts, told), words


def test_a_card_says_what_the_command_line_says() -> None:
    for body, words in people(50):
        result = CliRunner().invoke(main, ["check", *words, "--json"])
        (card,) = cards(body)
        if result.exit_code:
            assert "AUC0-inf" not in told(card), words
            continue
        answer = json.loads(result.stdout)
        head = answer["headline"]
        assert f"AUC0-inf {auc_text(head['auc_0_inf'])} mg·h/L" in told(card)
        low, high = head["interval"]
        assert f"90 % interval {low:.1f}-{high:.1f}" in told(card)
        lead = "STOP: " if head["stops"] else head["sentence"] if head["target"] else "No "
        assert card["summary"].startswith(lead)
        severities = [remark["severity"] for remark in answer["remarks"]]
        worst = next((s for s in ("stop", "caution") if s in severities), "note")
        assert card["indicator"] == {"stop": "critical", "caution": "warning"}.get(worst, "info")
        for remark in answer["remarks"]:
            skipped = remark["code"] == "no_target" or remark["severity"] == "stop"
            assert skipped or remark["message"] in " ".join(told(card).split("\n"))


# --- Age by the calendar --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("born", "on", "years"),
    [
        ("2012-03-02", "2026-03-02", 14),
        ("2012-03-02", "2026-03-01", 13),
        ("2008-02-29", "2026-02-28", 17),
        ("2008-02-29", "2026-03-01", 18),
        ("2021-12-31", "2026-12-31", 5),
    ],
)
def test_a_birthday_makes_a_year(born: str, on: str, years: int) -> None:
    body = request(
        [dosed(timing=daily(3, on))],
        [
            person(birthDate=born, gender="male"),
            *(
                measured(what, value, unit, on)
                for what, value, unit in (
                    ("weight", 20 if years < 6 else 50, "kg"),
                    ("height", 112 if years < 6 else 160, "cm"),
                    ("creatinine", 0.5, "mg/dL"),
                )
            ),
        ],
    )
    (card,) = cards(body)
    age = re.search(r"#age=([\d.]+)&", card["links"][0]["url"])
    assert age is not None
    assert int(float(age[1])) == years


def test_on_the_14th_birthday_the_formula_of_14_years_counts() -> None:
    values = [measured("weight", 50, "kg"), measured("height", 160, "cm")]
    values.append(measured("creatinine", 0.6, "mg/dL"))
    (card,) = cards(request(None, [person(gender="male", birthDate="2012-03-02"), *values]))
    assert "AUC0-inf 16.11 mg·h/L" in told(card)


def test_on_the_18th_birthday_the_labels_of_adults_count() -> None:
    failing = {
        "patient": person(gender="male", birthDate="2008-03-02"),
        "creatinine": measured("creatinine", 450, "umol/L"),
    }
    (grown,) = cards(request([dosed(timing=daily(3))], man(**failing)))
    day_before = {**failing, "patient": person(gender="male", birthDate="2008-03-03")}
    (child,) = cards(request([dosed(timing=daily(3))], man(**day_before)))
    assert grown["summary"].startswith("STOP: ")
    assert grown["indicator"] == "critical"
    assert not child["summary"].startswith("STOP: ")
