from fresh_process import LOAD, run


def test_reserved_memory_is_address_space_alone_and_asked_for_once():
    code = f"""{LOAD}
import keras, psutil
from tiledseg.backend import reserve_memory
keras.ops.add(1, 1)
before = psutil.Process().memory_info()
for _ in range(3):
    reserve_memory(2**30 - 1)
after = psutil.Process().memory_info()
print((after.vms - before.vms) / 2**31, (after.rss - before.rss) / 2**31)
"""
    done = run(code, TF_ENABLE_ONEDNN_OPTS="1")
    address_space, resident = (float(share) for share in done.stdout.split())
    assert 0.9 < address_space < 1.9, "kept, and once"
    assert resident < 0.1


def test_more_memory_than_there_is_is_not_reserved_and_no_error():
    words = "from tiledseg.backend import reserve_memory; import keras"
    done = run(f"{LOAD}; {words}; reserve_memory(10**15); print(int(keras.ops.add(1, 1)))")
    assert done.stdout.split() == ["2"], done.stderr
