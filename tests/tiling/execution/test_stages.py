import threading
import time

import pytest

from tiledseg.tiling.execution.stages import run_stages


class BrokenDiskError(Exception):
    pass


def test_every_item_in_order():
    seen = []
    run_stages(range(100), lambda item: item * 2, seen.append)
    assert seen == [2 * item for item in range(100)]


def test_nothing_to_do():
    run_stages([], lambda item: item, pytest.fail)


def test_stages_work_side_by_side():
    """The second item is produced and computed while the first is being consumed."""
    further = {0: threading.Event(), 1: threading.Event()}

    def produce():
        for item in range(3):
            yield item
            if item == 1:
                further[0].set()

    def compute(item):
        if item == 1:
            further[1].set()
        return item

    def consume(item):
        if item == 0:
            assert further[0].wait(30)
            assert further[1].wait(30)

    run_stages(produce(), compute, consume)


def test_few_items_are_alive_at_once():
    produced, consumed, most = [], [], []

    def produce():
        for item in range(50):
            produced.append(item)
            most.append(len(produced) - len(consumed))
            yield item

    run_stages(produce(), lambda item: item, consumed.append)
    assert max(most) <= 4


def test_at_most_two_computed_items_can_be_lost():
    """One that is being consumed, and one after it."""
    begun, consumed, lost = [], [], []

    def compute(item):
        begun.append(item)
        lost.append(len(begun) - len(consumed))
        return item

    def consume(item):
        time.sleep(0.001)
        consumed.append(item)

    run_stages(range(50), compute, consume)
    assert max(lost) == 2


@pytest.mark.parametrize("stage", ["produce", "compute", "consume"])
@pytest.mark.parametrize("kind", [BrokenDiskError, MemoryError, KeyboardInterrupt])
def test_an_error_stops_all_and_keeps_its_type(stage, kind):
    before = set(threading.enumerate())
    seen = []

    def at(name, item):
        if name == stage and item == 5:
            raise kind("item 5")
        return item

    def produce():
        for item in range(10_000):
            yield at("produce", item)

    def consume(item):
        at("consume", item)
        seen.append(item)

    with pytest.raises(kind, match="item 5"):
        run_stages(produce(), lambda item: at("compute", item), consume)
    assert seen == list(range(len(seen)))
    assert len(seen) <= 5
    assert set(threading.enumerate()) <= before  # others may end meanwhile


def test_consumed_items_are_let_go():
    class Item:
        alive = 0

        def __init__(self):
            Item.alive += 1

        def __del__(self):
            Item.alive -= 1

    most = []
    run_stages((Item() for _ in range(50)), lambda item: item, lambda _: most.append(Item.alive))
    assert max(most) <= 7
