"""A budget of time is kept whatever the machine does, and the schedule passes through it whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.pace import ByClock, BySteps, pace_of
from lowerbound.settings import Settings


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.floats(1, 600),
    st.floats(0.001, 0.02),
    st.lists(st.floats(0.2, 5), min_size=1, max_size=6),
    st.integers(0, 2**31),
)
def test_a_training_by_the_clock_ends_in_time_and_at_its_end(budget, part, speeds, seed):
    """Steps take a part of the budget each, at a speed that changes up to five times, with noise."""
    random, pace = np.random.default_rng(seed), ByClock(budget)
    step, seconds, fraction, passed = 0, 0.0, 0.0, []
    while not pace.ended(step, fraction, seconds):
        now = speeds[min(int(seconds / budget * len(speeds)), len(speeds) - 1)]
        seconds += part * budget * now * random.uniform(0.8, 1.25)
        step += 1
        fraction = pace.fraction(step, fraction, seconds)
        passed.append(fraction)
    assert seconds < budget * (1 + 5 * 1.25 * part)  # one step at most comes too late
    assert np.all(np.diff(passed) >= 0)
    assert passed[-1] <= 1
    if part * max(speeds) < 0.01:
        assert passed[-1] > 0.9
        assert seconds > 0.9 * budget


def test_steady_steps_move_it_forward_evenly():
    pace, fraction = ByClock(100.0), 0.0
    for step in range(1, 1001):
        fraction = pace.fraction(step, fraction, step / 10)
        assert fraction == pytest.approx(step / 1000, abs=0.01)


def test_it_goes_on_where_it_was_after_a_restart():
    pace, fraction = ByClock(100.0), 0.6
    for step in range(601, 1001):
        fraction = pace.fraction(step, fraction, step / 10)
    assert fraction == pytest.approx(1, abs=0.01)


@given(st.integers(0, 50), st.integers(1, 50), st.integers(1, 20))
def test_steps_are_counted_from_where_the_schedule_begins(begin, more, of_epoch):
    pace = pace_of(Settings(epochs=begin + more, begin=begin), of_epoch)
    assert isinstance(pace, BySteps)
    first, last = begin * of_epoch, (begin + more) * of_epoch
    assert pace.fraction(first, 0, 0) == 0
    assert pace.fraction(last, 0, 0) == 1
    assert pace.ended(last, 0, 0)
    assert not pace.ended(last - 1, 0, 0)
    assert pace.stride == pytest.approx(1 / (last - first))


def test_minutes_are_sixty_seconds():
    assert pace_of(Settings(minutes=3), 7) == ByClock(180.0)
