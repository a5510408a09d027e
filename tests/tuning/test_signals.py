"""A question to end is heard wherever it is asked."""

import gc
import signal
import threading
import time

import pytest

from tiledseg.tuning.execution.signals import interruptible


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

    with pytest.raises(KeyboardInterrupt), interruptible() as interruption:
        closing = Closing()
        del closing
        gc.collect()
        interruption.pause(60)


def test_sigterm_ends_with_its_code():
    with pytest.raises(SystemExit) as ended, interruptible() as interruption:
        signal.raise_signal(signal.SIGTERM)
        interruption.pause(60)
    assert ended.value.code == 143


def test_the_second_one_acts_at_once():
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        time.sleep(60)


def test_nothing_is_left_behind():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interruptible() as interruption:
        interruption.pause(0.0)
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible() as interruption:
        signal.raise_signal(signal.SIGINT)
        interruption.pause(0.0)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_other_threads_leave_signals_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work():
        with interruptible() as interruption:
            interruption.pause(0.0)
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
