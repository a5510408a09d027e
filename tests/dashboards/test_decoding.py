"""What is looked at comes before what lies around it."""

import threading
import time

import pytest

from dashboards.decoding import AT_ONCE, take_turn


def queue_up(*urgency):
    """Threads that ask for a turn one after the other; gives the order in which they got it."""
    order, threads = [], []

    def work(name, urgent):
        with take_turn(urgent=urgent):
            order.append(name)
            time.sleep(0.02)

    for name, urgent in enumerate(urgency):
        threads.append(threading.Thread(target=work, args=(name, urgent)))
        threads[-1].start()
        time.sleep(0.02)
    return order, threads


def test_the_urgent_pass():
    with take_turn(urgent=True), take_turn(urgent=True):
        order, threads = queue_up(False, False, True, True)
        assert order == []
    for thread in threads:
        thread.join()
    assert set(order[:2]) == {2, 3}
    assert set(order) == {0, 1, 2, 3}


def test_small_pictures_leave_a_place():
    with take_turn(urgent=False):
        order, threads = queue_up(False, True)
        threads[1].join()
        assert order == [1]
    threads[0].join()
    assert order == [1, 0]


def test_never_more_than_memory_allows():
    now, most, guard = [], [0], threading.Lock()

    def work(urgent):
        with take_turn(urgent=urgent):
            with guard:
                now.append(1)
                most[0] = max(most[0], len(now))
            time.sleep(0.01)
            with guard:
                now.pop()

    threads = [threading.Thread(target=work, args=(number % 3 == 0,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == AT_ONCE


@pytest.mark.parametrize("urgent", [False, True])
def test_a_fault_gives_the_turn_back(urgent):
    for _ in range(AT_ONCE + 1):
        with pytest.raises(OSError, match="broken"), take_turn(urgent=urgent):
            raise OSError("broken")
