"""What a training computes in is what was fastest when it was timed, and is remembered."""

import json

import pytest

from tiledseg.backend import Arithmetic
from tiledseg.training import arithmetic
from tiledseg.training.arithmetic import (
    ChosenArithmetic,
    TimedArithmetic,
    choose_arithmetic,
    pick_fastest,
    time_steps,
)
from tiledseg.training.fit import compile_model, decide_arithmetic

PLAIN, SHORT = Arithmetic("float32", xla=False), Arithmetic("mixed_bfloat16", xla=False)
XLA, SHORT_XLA = Arithmetic("float32", xla=True), Arithmetic("mixed_bfloat16", xla=True)
ALL = [PLAIN, SHORT, XLA, SHORT_XLA]


class Machine:
    """Steps that take planted times by a clock of its own; counts them."""

    def __init__(self, seconds, disturbed=()):
        self.seconds, self.disturbed = seconds, set(disturbed)
        self.now, self.steps, self.made = 0.0, 0, []

    def clock(self):
        return self.now

    def make_step(self, each):
        self.made.append(each)

        def step():
            self.steps += 1
            slow = 10.0 if self.steps in self.disturbed else 0.0
            if self.seconds[each] is None:
                raise MemoryError("no room for this one")
            self.now += self.seconds[each] + slow

        return step

    def time(self, candidates=ALL):
        return time_steps(candidates, self.make_step, self.clock)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((0.16, 0.12, 0.25, 0.24), SHORT),  # a processor with AVX512-BF16
        ((0.16, 0.50, 0.10, 0.60), XLA),  # where the usual guess is wrong
        ((0.16, 0.12, 0.25, 0.05), SHORT_XLA),
        ((0.160, 0.155, 0.25, 0.154), PLAIN),  # a near tie keeps the safer one
        ((0.16, None, 0.25, None), PLAIN),  # of which two have no room
    ],
)
def test_the_fastest_is_chosen(seconds, expected):
    machine = Machine(dict(zip(ALL, seconds, strict=True)))
    timed = machine.time()
    assert pick_fastest(timed) == expected
    times = {each.arithmetic: each.seconds for each in timed}
    assert times == pytest.approx({each: s for each, s in machine.seconds.items() if s is not None})


def test_a_disturbed_machine_changes_nothing():
    seconds = dict(zip(ALL, (0.10, 0.20, 0.15, 0.15), strict=True))
    quiet = Machine(seconds)
    quiet.time()
    for disturbed in range(9, quiet.steps + 1, 5):
        machine = Machine(seconds, disturbed=(disturbed, disturbed + 1))
        assert pick_fastest(machine.time()) == PLAIN


def test_what_is_hopeless_is_timed_once():
    machine = Machine(dict(zip(ALL, (0.1, 5.0, 0.1, 9.0), strict=True)))
    machine.time()
    assert machine.now < 2 * (0.1 + 5 + 0.1 + 9) + 2 * 5 * 0.4


@pytest.fixture
def machine(monkeypatch):
    made = Machine(dict(zip(ALL, (0.16, 0.12, 0.25, 0.24), strict=True)))
    monkeypatch.setattr(arithmetic, "list_arithmetics", lambda: ALL)
    monkeypatch.setattr(arithmetic.time_steps, "__defaults__", (made.clock,))
    return made


def test_a_choice_is_remembered_by_network_and_machine(machine, tiny_experiment, monkeypatch):
    auto = tiny_experiment(training={"precision": "auto"})
    chosen = choose_arithmetic(auto, machine.make_step)
    assert chosen.arithmetic == SHORT
    assert chosen.describe() == (
        "float32 160 ms, mixed_bfloat16 120 ms, float32, XLA 250 ms, mixed_bfloat16, XLA 240 ms"
    )
    assert choose_arithmetic(auto, None) == chosen
    machine.made.clear()
    other = tiny_experiment(training={"precision": "auto"}, model={"base_filters": 8})
    unmeasured = choose_arithmetic(other, machine.make_step, may_time=False)
    assert unmeasured.arithmetic == SHORT and not machine.made
    machine.seconds[XLA] = 0.01
    assert choose_arithmetic(other, machine.make_step).arithmetic == XLA
    assert choose_arithmetic(auto, None) == chosen
    monkeypatch.setattr(arithmetic, "describe_processor", lambda: "another one")
    assert choose_arithmetic(auto, machine.make_step).arithmetic == XLA


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', "{}"])
def test_a_damaged_memory_is_none(machine, tiny_experiment, content):
    path = arithmetic.default_cache_folder() / "arithmetic.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    auto = tiny_experiment(training={"precision": "auto"})
    assert choose_arithmetic(auto, machine.make_step).arithmetic == SHORT
    key, rows = next(iter(next(iter(json.loads(path.read_text()).values())).items()))
    assert len(key) == 32 and len(rows) == 4
    assert choose_arithmetic(auto, None).arithmetic == SHORT


def test_what_is_set_is_not_timed(machine, tiny_experiment):
    fixed = tiny_experiment(training={"precision": "mixed_bfloat16"})
    assert choose_arithmetic(fixed, None) == ChosenArithmetic(SHORT)
    by_xla = tiny_experiment(training={"precision": "float32", "xla": True})
    assert choose_arithmetic(by_xla, None) == ChosenArithmetic(XLA)
    half = tiny_experiment(training={"precision": "auto", "xla": True})
    assert choose_arithmetic(half, machine.make_step).arithmetic == XLA
    assert {each.xla for each in machine.made} == {True}


def test_the_networks_own_step_is_timed_and_a_run_keeps_what_it_chose(tiny_experiment):
    auto = tiny_experiment(training={"precision": "auto"})
    chosen = decide_arithmetic(auto)
    assert len(chosen.timed) >= 2
    assert all(0 < each.seconds < 60 for each in chosen.timed)
    decided = chosen.apply(auto)
    assert decided.training.precision != "auto"
    assert decide_arithmetic(decided) == ChosenArithmetic(chosen.arithmetic)
    model = compile_model(decided)
    assert model.jit_compile == chosen.arithmetic.xla
    assert model.dtype_policy.name == "float32"
    assert TimedArithmetic(chosen.arithmetic, 1.0).arithmetic == chosen.arithmetic
