"""Ctrl-C and SIGTERM ask first and interrupt then."""

import signal
import threading

import pytest

from lowerbound.interruption import deferred, terminable

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_the_first_asks_and_the_second_interrupts(number):
    before = signal.getsignal(number)
    with deferred() as asked:
        assert not asked()
        signal.raise_signal(number)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


@BOTH
def test_handlers_are_as_they_were_after_an_error(number):
    before = signal.getsignal(number)
    with pytest.raises(ZeroDivisionError), deferred():
        _ = 1 / 0
    assert signal.getsignal(number) is before


def test_another_thread_leaves_signals_alone():
    seen, before = [], signal.getsignal(signal.SIGINT)

    def work():
        with deferred() as asked:
            seen.append((asked(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


def test_sigterm_becomes_ctrl_c():
    before = signal.getsignal(signal.SIGTERM)
    try:
        terminable()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
