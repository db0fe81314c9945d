"""Schedules are functions of the fraction of the training: their ends, their course, and what they refuse."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowerbound.errors import InputError
from lowerbound.schedule import Cyclical, Linear, warm_up

fractions = st.floats(0, 1)
values = st.floats(0, 100)
parts = st.floats(0.01, 1)


@given(values, values, parts, st.tuples(fractions, fractions))
def test_a_line_runs_from_end_to_end_and_never_beyond(start, end, over, pair):
    line, (earlier, later) = Linear(start, end, over), sorted(pair)
    assert line(0.0) == start
    assert line(over) == line(1.0) == end
    low, high = sorted((start, end))
    slack = 1e-9 * high
    assert low - slack <= line(earlier) <= high + slack
    assert (line(later) - line(earlier)) * (end - start) >= -slack * high


@given(st.integers(1, 9), parts, values, values)
def test_each_cycle_begins_at_the_start_and_the_last_one_ends_at_the_end(cycles, rise, start, end):
    schedule = Cyclical(cycles, rise, start, end)
    assert schedule(0.0) == start
    assert schedule(1.0) == end
    slack = 1e-4 * abs(end - start) + 1e-9
    for cycle in range(cycles):
        assert schedule((cycle + 1e-7) / cycles) == pytest.approx(start, abs=slack)
        assert schedule((cycle + rise * (1 - 1e-7)) / cycles) == pytest.approx(end, abs=slack)
        assert schedule((cycle + 0.5 + rise / 2 - 1e-7) / cycles) == pytest.approx(
            end, abs=slack
        )  # level until the next


@given(parts, fractions)
def test_one_cycle_is_a_warm_up(over, fraction):
    assert Cyclical(cycles=1, rise=over)(fraction) == warm_up(over)(fraction)


def test_schedules_are_values_that_print_as_they_are_written():
    assert warm_up() == Linear(0.0, 1.0, 0.3) != Linear(0.0, 1.0)
    for schedule in (Linear(0.0, 25.0), Cyclical(cycles=2)):
        assert eval(repr(schedule)) == schedule  # noqa: S307
        assert len({schedule, eval(repr(schedule))}) == 1  # noqa: S307


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Linear(-1.0, 1.0),
        lambda: Linear(0.0, math.inf),
        lambda: Linear(math.nan, 1.0),
        lambda: warm_up(over=0.0),
        lambda: warm_up(over=1.1),
        lambda: warm_up(over=math.nan),
        lambda: Cyclical(cycles=0),
        lambda: Cyclical(rise=0.0),
        lambda: Cyclical(end=-1.0),
    ],
)
def test_what_is_no_schedule_is_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()
