"""An output belongs to one at a time, although the lock's file comes and goes."""

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest

from tiledseg.errors import OutputError
from tiledseg.prediction.output_lock import OutputLock


def test_others_wait_until_it_is_released(tmp_path):
    first = OutputLock(tmp_path, "slide")
    with pytest.raises(OutputError, match="another process is writing the same output"):
        OutputLock(tmp_path, "slide")
    OutputLock(tmp_path, "slide-2").release()
    first.release()
    first.release()
    assert list(tmp_path.iterdir()) == []
    OutputLock(tmp_path, "slide").release()


def test_never_two_at_once(tmp_path):
    inside, taken = Lock(), []

    def take_often(_):
        for _ in range(300):
            try:
                lock = OutputLock(tmp_path, "slide")
            except OutputError:
                continue
            assert inside.acquire(blocking=False), "two hold it"
            taken.append(True)
            inside.release()
            lock.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take_often, range(4)))
    assert taken
    assert list(tmp_path.iterdir()) == []
