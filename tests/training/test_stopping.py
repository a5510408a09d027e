"""Ctrl-C and SIGTERM end the program wherever they come."""

import gc
import signal
import threading
import time

import pytest

from tiledseg.training.stopping import stop_on_signals


@pytest.fixture(autouse=True)
def _usual_handlers():
    """Those of a program that a person started, whatever started the tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_ctrl_c_in_a_finalizer_is_not_lost():
    class Closing:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), stop_on_signals() as request, request.deferred():
        closing = Closing()
        del closing
        gc.collect()
        request.pause(60)


def test_sigterm_ends_with_its_code():
    with pytest.raises(SystemExit) as ended, stop_on_signals() as request, request.deferred():
        signal.raise_signal(signal.SIGTERM)
        request.pause(60)
    assert ended.value.code == 143


def test_the_second_one_acts_at_once():
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as request, request.deferred():
        signal.raise_signal(signal.SIGINT)
        assert request.is_set()
        signal.raise_signal(signal.SIGINT)
        time.sleep(60)


def test_where_nobody_looks_for_it_the_first_one_acts_at_once():
    with pytest.raises(SystemExit) as ended, stop_on_signals() as request:
        with request.deferred():
            pass
        signal.raise_signal(signal.SIGTERM)
        time.sleep(60)
    assert ended.value.code == 143


def test_nothing_is_left_behind():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop_request:
        stop_request.pause(0.0)
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_on_signals() as stop_request:
        signal.raise_signal(signal.SIGINT)
        stop_request.pause(0.0)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_other_threads_leave_signals_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with stop_on_signals() as stop_request:
            stop_request.pause(0.0)
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
