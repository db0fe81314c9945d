"""Checks teach and never raise: whatever a learner writes, there is one outcome with words, and no trace is left."""

import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lowerbound.course.checking import check
from lowerbound.course.definitions import defined_names, definitions
from lowerbound.course.exercise import Exercise, Miss, Wrong, expect
from lowerbound.course.limits import limited


def doubles(f):
    x = torch.tensor([1.0, -2.0])
    expect(torch.equal(f(x), 2 * x), f"twice {x.tolist()} is {(2 * x).tolist()}; yours gives {f(x)}")


def draws(f):
    expect(torch.rand(()).item() < 2, "never")
    f(torch.zeros(1))


def exercise(**more):
    settings = {"seconds": 2.0} | more
    return Exercise(
        "twice", "00", "Double a tensor.", (doubles, draws), ("Add.", "x + x.", "return x + x"), (), **settings
    )


def raising(error):
    def answer(x):
        raise error

    return answer


def test_the_outcomes():
    assert check(exercise(), lambda x: x + x).kind == "passed"
    for unfinished in (None, ..., raising(NotImplementedError("exercise")), lambda x: ..., lambda x: ... + x):
        assert check(exercise(), unfinished).kind in {"to do", "wrong"}
    assert check(exercise(), ...).kind == "to do"
    assert check(exercise(), raising(NotImplementedError)).kind == "to do"
    assert check(exercise(), lambda x: ... + x).kind == "to do"
    wrong = check(exercise(), lambda x: x)
    assert (wrong.kind, wrong.case) == ("wrong", "doubles")
    assert "yours gives tensor([ 1., -2.])" in wrong.words


@pytest.mark.parametrize(
    "error",
    [ValueError("so\nmany\nlines"), SystemExit(3), KeyError("a"), RecursionError(), MemoryError(), GeneratorExit()],
)
def test_whatever_is_raised_is_told_in_one_line(error):
    outcome = check(exercise(), raising(error))
    assert (outcome.kind, outcome.case) == ("wrong", "doubles")
    assert type(error).__name__ in outcome.words
    assert "\n" not in outcome.words


def test_a_learners_own_interrupt_goes_through():
    with pytest.raises(KeyboardInterrupt):
        check(exercise(), raising(KeyboardInterrupt()))


@given(st.text(max_size=200))
def test_any_words_of_an_error_are_words(text):
    outcome = check(exercise(), raising(ValueError(text)))
    assert "\n" not in outcome.words
    assert outcome.kind == ("to do" if "ellipsis" in " ".join(text.split()).lower() else "wrong")


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="this system has no alarm")
@pytest.mark.parametrize("swallowing", [False, True])
def test_what_does_not_end_is_ended(swallowing):
    def endless(x):
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                if not swallowing:
                    raise

    began = time.monotonic()
    outcome = check(exercise(seconds=0.3), endless)
    assert outcome.kind == "wrong"
    assert outcome.case == "time"
    assert time.monotonic() - began < 5


def test_an_alarm_of_the_users_own_is_given_back():
    import signal

    mine = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        kept = signal.getsignal(signal.SIGALRM)
        with limited(5):
            assert signal.getsignal(signal.SIGALRM) is not kept
        assert signal.getsignal(signal.SIGALRM) is kept
    finally:
        signal.signal(signal.SIGALRM, mine)


def test_in_another_thread_there_is_no_alarm_and_checks_work():
    found = []
    thread = threading.Thread(target=lambda: found.append(check(exercise(), lambda x: x + x)))
    thread.start()
    thread.join()
    assert found[0].kind == "passed"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_too_much_memory_is_refused_with_a_word_and_the_limit_is_lifted():
    program = (
        "import numpy as np, torch\n"
        "from lowerbound.course.checking import check\n"
        "from lowerbound.course.exercise import Exercise\n"
        "def big(f): f()\n"
        "one = Exercise('big', '00', 'Be big.', (big,), ('?',), ())\n"
        "for greedy in (lambda: np.ones(10**12), lambda: torch.ones(10**12), lambda: [0] * 10**12):\n"
        "    print(check(one, greedy).words)\n"
        "import resource\n"
        "print(resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *words, lifted = done.stdout.splitlines()
    assert len(words) == 3
    assert all("Memory" in line or "memory" in line for line in words)
    assert lifted == "True"


def test_random_numbers_are_the_same_in_every_check_and_afterwards_as_they_were():
    seen = []

    def drawing(x):
        seen.append((torch.rand(1).item(), np.random.rand(), random.random()))  # noqa: NPY002, S311
        return x + x

    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    expected = torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002, S311
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    check(exercise(), drawing)
    first, seen[:] = list(seen), []
    with torch.no_grad():
        check(exercise(), drawing)
    assert seen == first
    assert (torch.rand(1).item(), np.random.rand(), random.random()) == expected  # noqa: NPY002, S311


def test_a_check_can_take_gradients_where_they_are_switched_off():
    def differentiates(f):
        x = torch.ones(1, requires_grad=True)
        f(x).sum().backward()
        expect(x.grad is not None, "no gradient")

    one = Exercise("twice", "00", "Double.", (differentiates,), ("?",), ())
    with torch.no_grad():
        assert check(one, lambda x: x + x).kind == "passed"
        assert not torch.is_grad_enabled()


def test_exercises_that_could_not_be_taught_are_refused():
    with pytest.raises(ValueError, match="expected a case"):
        Exercise("twice", "00", "Double.", (), ("?",), ())
    with pytest.raises(ValueError, match="wrong answers for"):
        Exercise("twice", "00", "Double.", (doubles,), ("?",), (Wrong("other", "elsewhere", ()),))
    with pytest.raises(ValueError, match="does not have"):
        Wrong("gone", "doubles", (("x * 3", "x"),)).of("x + x")
    with pytest.raises(Miss, match="yours"):
        expect(0, "yours")


def test_definitions_are_executed_and_nothing_else():
    cells = [
        "%pip install something\nimport math\nfrom math import pi",
        "K = 20\nsizes = [1, 2]\nnever = print('never')",
        "def area(r):\n    return pi * r**2\n\nprint(1 / 0)",
        "class Circle:\n    def area(self):\n        return area(K)",
        "broken(",
        "%%bash\nrm -rf something",
        'taken = lesson.piece("taken")\narea_again = lesson.check("area", area)',
        "def needs_what_is_missing(x: Missing):\n    return x",
    ]
    found = definitions(cells, piece={"taken": 5}.get)
    assert found["Circle"]().area() == pytest.approx(np.pi * 400)
    assert (found["K"], found["sizes"], found["taken"]) == (20, [1, 2], 5)
    assert not {"never", "area_again", "needs_what_is_missing", "broken"} & found.keys()


def test_a_definition_keeps_its_text():
    import inspect

    found = definitions(["def half(x):\n    return x / 2\n"], piece=dict().get)  # noqa: C408
    assert inspect.getsource(found["half"]) == "def half(x):\n    return x / 2\n"


@given(st.text(max_size=300))
def test_cells_of_any_text_define_or_do_not(text):
    assert isinstance(defined_names(text), set)
