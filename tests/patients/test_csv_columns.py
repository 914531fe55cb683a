"""Lines written column by column are those written value by value, to the byte."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fludapk.digits import digits
from fludapk.patients.csv_columns import lines
from fludapk.patients.csv_list import Value, line

FLOATS = st.floats() | st.floats(1e-6, 1e-3) | st.floats(1e14, 1e18) | st.sampled_from([0.0, -0.0])
VALUES: st.SearchStrategy[Any] = (
    FLOATS
    | st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 0.0, -0.0, 1.0, True, False, "1", ""])
    | st.integers()
    | st.text(max_size=5)
)


@given(st.lists(FLOATS))
def test_many_floats_keep_every_digit_as_each_alone_does(values: list[float]) -> None:
    assert digits(values) == [repr(value) for value in values]


@given(
    st.lists(st.tuples(VALUES, FLOATS, FLOATS | st.none(), st.text(max_size=3)), min_size=1),
    st.sampled_from(",;\t"),
    st.booleans(),
)
def test_a_line_does_not_depend_on_the_rows_beside_it(
    rows: list[tuple[Value, ...]], delimiter: str, decimal_comma: bool
) -> None:
    columns = list(zip(*rows, strict=True))
    alone = [line(row, delimiter, decimal_comma=decimal_comma) for row in rows]
    assert lines(columns, delimiter, decimal_comma=decimal_comma) == alone
