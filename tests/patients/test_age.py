"""Age by the calendar."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fludapk.errors import InputError
from fludapk.patients.age import age_years, read_day

DAYS = st.dates(dt.date(1920, 1, 1), dt.date(2060, 12, 31))


@pytest.mark.parametrize(
    ("born", "on", "years"),
    [
        ("2021-01-14", "2026-01-14", 5.0),
        ("2021-01-14", "2026-01-13", 4 + 364 / 365),
        ("2021-01-14", "2021-01-14", 0.0),
        ("2020-02-29", "2025-03-01", 5.0),
        ("2020-02-29", "2024-02-29", 4.0),
        ("2024-02-29", "2025-02-28", 365 / 366),
    ],
)
def test_a_birthday_makes_a_whole_year(born: str, on: str, years: float) -> None:
    age = age_years(dt.date.fromisoformat(born), dt.date.fromisoformat(on))
    assert age == pytest.approx(years, abs=1e-11)


@given(DAYS, DAYS, st.integers(1, 400))
def test_age_grows_with_the_day_and_never_before_birth(
    born: dt.date, on: dt.date, later: int
) -> None:
    if on < born:
        with pytest.raises(InputError, match="before the birth"):
            age_years(born, on)
        return
    age = age_years(born, on)
    assert 0 <= age < age_years(born, on + dt.timedelta(days=later))
    assert age == pytest.approx((on - born).days / 365.25, abs=1 / 100)


def test_a_time_of_day_does_not_change_the_age() -> None:
    assert age_years(dt.datetime(2021, 1, 14, 23), dt.datetime(2026, 1, 14, 1)) == 5.0


@pytest.mark.parametrize("text", ["2021-01-14", "14.01.2021", "14.1.2021", "2021-01-14 00:00:00"])
def test_a_day_is_read_as_it_is_written(text: str) -> None:
    assert read_day(text, key="born") == dt.date(2021, 1, 14)


@pytest.mark.parametrize(
    ("text", "order", "said"),
    [
        ("01/02/2021", "", 'ambiguous, day or month first: write "2021-02-01" or "2021-01-02"'),
        ("25/03/2021", "", 'not a date as we read them: write "2021-03-25"'),
        ("25/03/2021", "mdy", "not a date in the order mdy"),
        ("14.01.21", "", "not a date as we read them"),
        ("2021-02-30", "", "not a date as we read them"),
        ("five", "", "write 2021-01-14 or 14.01.2021"),
        ("0021-01-14", "", "not a date as we read them"),
    ],
)
def test_a_day_that_could_be_two_is_refused(text: str, order: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_day(text, key="born", order=order)


def test_a_stated_order_makes_a_date_one_day() -> None:
    assert read_day("01/02/2021", key="born", order="dmy") == dt.date(2021, 2, 1)
