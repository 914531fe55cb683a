"""Clock times: read to the minute in every form, counted as they pass, refused where in doubt."""

import datetime as dt
import re
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fludapk.errors import InputError
from fludapk.patients.clock import (
    NO_CLOCK,
    by_clock,
    clock_changes,
    divided,
    is_clock,
    read_clock,
    read_hours,
)
from fludapk.patients.course import GivenDose, TypedDose, given_of
from fludapk.patients.level import Level, levels_of
from fludapk.patients.level_list import read_levels
from fludapk.patients.regimen import Regimen

MINUTES: Final = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2100, 1, 1)).map(
    lambda at: at.replace(second=0, microsecond=0)
)
SPANS: Final = st.integers(-60 * 24 * 20, 60 * 24 * 20).map(lambda m: dt.timedelta(minutes=m))
FORMS: Final = (
    "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.000",
    "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
)  # fmt: skip
OFFSETS: Final = st.sampled_from(["Z", "+00:00", "+01:00", "-05:00", "+05:30", "-03:30", "+14:00"])
ZONES: Final = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"])
BERLIN: Final = ZoneInfo("Europe/Berlin")


def refusal(reading: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(InputError) as caught:
        reading(*arguments, **named)
    return str(caught.value)


# --- Every allowed form ---------------------------------------------------------------------------


@given(MINUTES, SPANS, st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_hours_are_the_difference_to_the_minute_in_every_form(
    start: dt.datetime, span: dt.timedelta, form: str, other: str
) -> None:
    at = read_clock(start.strftime(form)).time((start + span).strftime(other), "time_h")
    assert round(at.hours * 60) == span.total_seconds() / 60
    assert at.hours == pytest.approx(span.total_seconds() / 3600, rel=1e-11)
    assert at.basis == "clock"


@given(MINUTES, SPANS)
def test_dates_of_python_and_pandas_count_as_their_text(
    start: dt.datetime, span: dt.timedelta
) -> None:
    expected = read_clock(str(start)).time(str(start + span), "time_h").hours
    for kind in (lambda at: at, pd.Timestamp):
        at = read_clock(kind(start)).time(kind(start + span), "time_h")
        assert at.hours == expected
        assert at.typed == (start + span).strftime("%Y-%m-%d %H:%M")


def test_a_time_is_kept_as_it_was_typed() -> None:
    clock = read_clock(" 14.01.2026 08:30 ")
    at = clock.time("2026-01-14T10:30:00", "time_h")
    assert (at.typed, at.first_dose) == ("2026-01-14T10:30:00", "14.01.2026 08:30")


@given(st.floats(-500, 500).map(lambda h: f"{h:.6g}"), st.sampled_from(["h", " h", " min", "days"]))
def test_hours_are_never_taken_for_a_clock(number: str, unit: str) -> None:
    assert not is_clock(f"{number}{unit} 0.62mg/L")
    assert divided(f"{number}{unit} <0.01mg/L", "time_h") is None


# --- Offsets and time zones -----------------------------------------------------------------------


@given(MINUTES, SPANS, OFFSETS, OFFSETS)
def test_with_offsets_hours_are_real_hours(
    start: dt.datetime, span: dt.timedelta, offset: str, other: str
) -> None:
    texts = [f"{start:%Y-%m-%d %H:%M}{offset}", f"{start + span:%Y-%m-%dT%H:%M}{other}"]
    real = dt.datetime.fromisoformat(texts[1]) - dt.datetime.fromisoformat(texts[0])
    at = read_clock(texts[0]).time(texts[1], "time_h")
    assert round(at.hours * 60) == real.total_seconds() / 60
    assert at.changes == ()


@given(MINUTES, SPANS, ZONES)
@example(dt.datetime(2026, 3, 28, 8, 30), dt.timedelta(days=1), "Europe/Berlin")
@example(dt.datetime(2026, 10, 24, 8, 30), dt.timedelta(days=1), "Europe/Berlin")
@example(dt.datetime(2026, 3, 29, 0, 0), dt.timedelta(minutes=150), "Europe/Berlin")
def test_in_a_time_zone_hours_pass_as_in_utc(
    start: dt.datetime, span: dt.timedelta, zone: str
) -> None:
    local = [at.replace(tzinfo=ZoneInfo(zone)) for at in (start, start + span)]
    in_utc = [at.astimezone(dt.UTC) for at in local]
    texts = [f"{at:%Y-%m-%d %H:%M}" for at in local]

    def hours() -> float:
        return read_clock(texts[0], zone).time(texts[1], "time_h").hours

    if any(at.utcoffset() != at.replace(fold=1).utcoffset() for at in local):
        assert re.search("comes twice|does not exist", refusal(hours))
    else:
        real = in_utc[1] - in_utc[0]
        assert round(hours() * 60) == real.total_seconds() / 60


def test_an_aware_date_of_python_counts_real_hours_even_within_one_zone() -> None:
    start, end = (dt.datetime(2026, 3, day, 8, 30, tzinfo=BERLIN) for day in (28, 29))
    assert (end - start).total_seconds() / 3600 == 24.0  # as Python counts
    at = read_clock(start).time(end, "time_h")
    assert (at.hours, at.shift_h) == (23.0, 1.0)


@pytest.mark.parametrize(
    ("text", "both"),
    [
        ("2026-10-25 02:30", ("2026-10-25 02:30+02:00", "2026-10-25 02:30+01:00")),
        ("2026-03-29 02:30", ("2026-03-29 01:30", "2026-03-29 03:30")),
    ],
)
def test_an_hour_that_comes_twice_or_never_is_refused_with_both_it_may_be(
    text: str, both: tuple[str, str]
) -> None:
    day = dt.datetime.fromisoformat(text).replace(hour=0)
    clock = read_clock(f"{day:%Y-%m-%d %H:%M}", "Europe/Berlin")
    said = refusal(clock.time, text, "time_h")
    assert re.findall(r'"([^"]+)"', said) == list(both)
    earlier, later = (clock.time(written, "time_h").hours for written in both)
    assert later - earlier == 1.0
    assert text in said
    assert text in refusal(read_clock, text, "Europe/Berlin")


def test_times_with_and_without_an_offset_are_not_compared() -> None:
    for start, text in (
        ("2026-01-14 08:30", "2026-01-14 10:30Z"),
        ("2026-01-14 08:30+01:00", "2026-01-14 10:30"),
    ):
        said = refusal(read_clock(start).time, text, "time_h")
        assert text in said
        assert "write every clock time with its offset" in said
    mixed = read_clock("2026-01-14 08:30", "Europe/Berlin")
    assert mixed.time("2026-01-14 09:30Z", "time_h").hours == 2.0


@pytest.mark.parametrize(
    ("zone", "part"),
    [
        ("europe/berlin", 'did you mean "Europe/Berlin"?'),
        ("Berlin", 'did you mean "Europe/Berlin"?'),
        ("XYZ", 'write a name such as "Europe/Berlin"'),
        ("../../etc/passwd", 'write a name such as "Europe/Berlin"'),
        ("Europe", "is not a time zone we know"),
        ("a\0b", "is not a time zone we know"),
    ],
)
def test_an_unknown_time_zone_is_refused_by_name(zone: str, part: str) -> None:
    assert part in refusal(read_clock, "2026-01-14 08:30", zone)


# --- Changes of clocks that we cannot know of -----------------------------------------------------


@given(st.integers(2007, 2037), ZONES)  # the rules of today began in 2007
def test_every_change_of_clocks_in_europe_and_north_america_is_seen(year: int, name: str) -> None:
    zone = ZoneInfo(name)
    days = [dt.datetime(year, 1, 1, 12) + dt.timedelta(days=k) for k in range(364)]
    for noon in days:
        offsets = [
            at.replace(tzinfo=zone).utcoffset() for at in (noon, noon + dt.timedelta(days=1))
        ]
        if offsets[0] != offsets[1]:
            changed = f"{noon + dt.timedelta(days=1):%Y-%m-%d}"
            assert clock_changes(noon, noon + dt.timedelta(days=1)) == (changed,)


def test_days_on_which_clocks_may_change() -> None:
    assert clock_changes(dt.datetime(2026, 1, 1), dt.datetime(2026, 12, 31)) == (
        "2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01",
    )  # fmt: skip
    after = dt.datetime(2026, 3, 29, 8, 30)
    assert clock_changes(after, after + dt.timedelta(days=6)) == ()
    assert clock_changes(after - dt.timedelta(days=2), after - dt.timedelta(days=1)) == ()
    assert clock_changes(after, after - dt.timedelta(days=1)) == ("2026-03-29",)


# --- What is refused, and what to write instead ---------------------------------------------------


REFUSED: Final = {
    "01/02/2026 08:30": '"2026-02-01 08:30" or "2026-01-02 08:30"',
    "01-02-2026 8:30": '"2026-02-01 08:30" or "2026-01-02 08:30"',
    "14/01/2026 08:30": 'write "2026-01-14 08:30"',
    "01/14/2026 08:30": 'write "2026-01-14 08:30"',
    "01/02/2026": 'with its clock time, as in "2026-01-14 08:30"',
    "2026-01-14": 'has no clock time: add hours and minutes, as in "2026-01-14 08:30"',
    "14.01.2026": "has no clock time",
    "2026-01-14 0830": "has no clock time",
    "2026-01-14T08": "has no clock time",
    "10:30": "is a time of day without its date: write both",
    "8:30 pm": 'has am or pm: write the hour from 00 to 23, as in "2026-01-14 20:30"',
    "2026-01-14 08:30 PM": "has am or pm",
    "2026-01-14 08:30a.m.": "has am or pm",
    "14.01.26 08:30": 'write "2026-01-14 08:30" or "14.01.2026 08:30"',
    "2026/01/14 08:30": 'write "2026-01-14 08:30"',
    "14 Jan 2026 08:30": 'write "2026-01-14 08:30"',
    "2026-01-14 08:30+25:00": 'write "2026-01-14 08:30"',
    "2026-02-30 08:30": "check day, month and hour",
    "01.14.2026 08:30": "check day, month and hour",
    "2026-01-14 24:00": "midnight is 00:00 of the next day",
    "2026-01-14 08:61": "check day, month and hour",
    "0226-01-14 08:30": "is in the year 226: check the year",
}
"""Text -> what is said about it."""


@pytest.mark.parametrize("text", REFUSED)
def test_what_could_be_read_in_two_ways_or_none_is_refused_with_what_to_write(text: str) -> None:
    clock = read_clock("2026-01-14 08:30")
    for said in (
        refusal(read_clock, text),
        refusal(clock.time, text, "time_h"),
        refusal(Level.from_text, f"{text} 0.62 mg/L", clock),
        refusal(Level.from_fields, text, "0.62 mg/L", clock=clock),
        refusal(GivenDose.from_text, f"{text} 22mg", 0.5, clock),
        refusal(Regimen.from_text, regimen="axi_cel", cells_at=text, first_dose="2026-01-14 08:30"),
    ):
        assert text in said
        assert REFUSED[text] in said


def test_a_zone_by_its_letters_is_not_read_over() -> None:
    clock = read_clock("2026-01-14 08:30")
    assert 'write "2026-01-14 08:30"' in refusal(clock.time, "2026-01-14 10:30 CET", "time_h")
    said = refusal(Level.from_text, "2026-01-14 10:30 CET 0.62 mg/L", clock)
    assert 'write the concentration after the time, "2026-01-14 10:30 0.62 mg/L"' in said


def test_a_date_or_a_time_of_python_alone_is_refused() -> None:
    assert "'2026-01-14' has no clock time" in refusal(read_clock, dt.date(2026, 1, 14))
    assert "time of day without its date" in refusal(read_clock, dt.time(8, 30))
    assert "is not a time" in refusal(read_clock, pd.NaT)


@given(st.text(max_size=30) | st.from_regex(r"[0-9./:TZ +-]{6,24}", fullmatch=True))
@example("2026-01-14 08:30:60.1Z")
@example("9999-12-31 23:59-14:00")
@example("٢٠٢٦-٠١-١٤ ٠٨:٣٠")
def test_any_text_is_a_time_or_a_refusal(text: str) -> None:
    for zone in (None, "Europe/Berlin"):
        try:
            clock = read_clock(text, zone)
        except InputError:
            continue
        if text:
            assert clock.time(text, "time_h").hours == 0.0


def test_a_clock_time_without_the_first_dose_is_refused_with_what_to_give() -> None:
    said = refusal(read_hours, "2026-01-14 10:30", NO_CLOCK, key="time_h")
    assert said.startswith("time_h = '2026-01-14 10:30' is a clock time: give first_dose too")


def test_a_faulty_first_dose_does_not_hide_other_faults() -> None:
    said = refusal(
        by_clock,
        "2026-01-14",
        "Berlin",
        lambda clock: levels_of(["2026-01-14 10:30 0.62", "2026-01-14 11:30 0.5mg/L"], clock),
        lambda clock: given_of(["01/02/2026 08:30 22mg"], 0.5, clock),
    )
    lines = said.splitlines()
    assert [line.partition(" = ")[0] for line in lines] == [
        "time_zone", "first_dose", "level 1: conc_mg_l", "given",
    ]  # fmt: skip


# --- Levels, doses, cells and files ---------------------------------------------------------------


@given(
    MINUTES,
    st.integers(1, 60 * 24 * 10),
    st.sampled_from(FORMS),
    st.sampled_from(["0.62 mg/L", "620ng/mL", "<0.01mg/L", "< 10 ng/mL"]),
    st.sampled_from([" ", "  ", ", ", "; ", "="]),
)
def test_a_level_by_the_clock_is_the_level_by_hours(
    start: dt.datetime, minutes: int, form: str, conc: str, between: str
) -> None:
    clock = read_clock(f"{start:%Y-%m-%d %H:%M}")
    time = f"{start + dt.timedelta(minutes=minutes):{form}}"
    by_hours = Level.from_text(f"{minutes}min {conc}")
    for level in (
        Level.from_text(f"{time}{between}{conc}", clock),
        Level.from_fields(time, conc, clock=clock),
        *levels_of([(time, conc)], clock),
    ):
        assert level.time_h == by_hours.time_h
        assert (level.conc_mg_l, level.lloq_mg_l) == (by_hours.conc_mg_l, by_hours.lloq_mg_l)
        assert str(level.clock) == time


@given(MINUTES, st.integers(0, 60 * 24 * 10), st.sampled_from(FORMS), st.booleans())
def test_a_dose_by_the_clock_is_the_dose_by_hours(
    start: dt.datetime, minutes: int, form: str, has_length: bool
) -> None:
    clock = read_clock(start)
    at = start + dt.timedelta(minutes=minutes)
    length = " 45min" if has_length else ""
    by_hours = GivenDose.from_text(f"{minutes}min 22 mg{length}", 0.5)
    typed: list[TypedDose] = [f"{at:{form}} 22 mg{length}", (at, by_hours.infusion_h, 22.0)]
    for dose in given_of(typed, 0.5, clock):
        assert dose[:3] == by_hours[:3]


def test_hours_and_clock_times_are_mixed_in_one_call() -> None:
    clock = read_clock("2026-01-14 08:30")
    levels = levels_of(["1h 0.85mg/L", "2026-01-14 10:30 0.52mg/L", (7, "0.15 mg/L")], clock)
    assert [level.time_h for level in levels] == [1.0, 2.0, 7.0]
    assert [level.clock is None for level in levels] == [True, False, True]


def test_cells_by_the_clock_are_hours_of_the_course() -> None:
    plan = Regimen.from_text(
        regimen="axi_cel", cells_at="2026-01-19 10:00", first_dose="2026-01-14T08:30"
    )
    assert plan.cells_at_h == 121.5
    assert str(plan.cells_clock) == "2026-01-19 10:00"
    early = {"cells_at": "2026-01-14 08:00", "first_dose": "2026-01-14 08:30"}
    assert "above zero" in refusal(Regimen.from_text, regimen="axi_cel", **early)


def test_a_first_dose_is_read_even_if_nothing_needs_it() -> None:
    said = refusal(Regimen.from_text, regimen="axi_cel", first_dose="2026-01-14")
    assert "has no clock time" in said


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("time", ["2026-01-14 10:30", "15.01.2026 08:00"]),
        ("time", ["2h", "23.5 h"]),
        ("date,time", ["2026-01-14,10:30", "15.01.2026,08:00:00"]),
        ("time_h", ["2", "23.5"]),
    ],
)
def test_files_have_hours_or_dates(tmp_path: Path, header: str, cells: list[str]) -> None:
    path = tmp_path / "levels.csv"
    rows = [f"{cell},{conc}" for cell, conc in zip(cells, ("0.5", "0.03"), strict=True)]
    path.write_text("\n".join([f"{header},conc_mg_l", *rows]))
    found = read_levels(path, read_clock("2026-01-14 08:30"))
    assert [level.time_h for level in found] == [2.0, 23.5]


def test_a_time_of_a_file_without_date_or_unit_is_refused_in_its_row(tmp_path: Path) -> None:
    path = tmp_path / "levels.csv"
    path.write_text("time,conc_mg_l\n10:30,0.5\n2,0.5\n2026-01-15,0.3\n,0.2\n01/02/2026 08:00,1\n")
    lines = refusal(read_levels, path, read_clock("2026-01-14 08:30")).splitlines()
    parts = ["row 2: time_h = '10:30' is a time of day without its date", "row 3: time_h = '2' has",
             "row 4: time_h = '2026-01-15' has no clock time", "row 5: time_h is missing",
             "row 6: time_h = '01/02/2026 08:00' is ambiguous"]  # fmt: skip
    assert all(part in line for part, line in zip(parts, lines, strict=True))
