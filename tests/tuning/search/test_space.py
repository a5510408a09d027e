import random

import pytest
from house import EXPERIMENTS, HOUSE_EXPERIMENTS, HOUSE_SPACES

from tiledseg.config.experiment import load_experiment
from tiledseg.errors import ExperimentError, SweepError
from tiledseg.tuning.search.feasibility import check_space
from tiledseg.tuning.search.space import TRIAL_SETTINGS, load_space


def space_with(space_of, *lines):
    return space_of("\n".join(["parameters:", *(f"  {line}" for line in lines)]))


LEARNING_RATE = "training.learning_rate: {type: float, low: 1.0e-4, high: 0.1, log: true}"
ROUNDS = "model.num_layers: {type: int, low: 2, high: 4}"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("model.base_filter: {type: int, low: 8, high: 16}", ["model.base_filter", "base_filters"]),
        ("modell.base_filters: {type: int, low: 8, high: 16}", ["modell"]),
        ("base_filters: {type: int, low: 8, high: 16}", ["base_filters"]),
        ("training.epochs.more: {type: int, low: 8, high: 16}", ["training.epochs.more"]),
        ("model.base_filters: {type: int, low: 16, high: 8}", ["16", "8", "swap"]),
        ("training.learning_rate: {type: float, low: 0.1, high: 0.01}", ["0.1", "0.01", "swap"]),
        ("training.learning_rate: {type: float, low: 0, high: 0.1, log: true}", ["low", "log"]),
        ("model.base_filters: {type: float, low: 8, high: 16}", ["model.base_filters", "integer"]),
        ("model.base_filters: {type: int, low: 8.5, high: 16}", ["low", "8.5"]),
        ("model.base_filters: {type: int, low: 0, high: 16}", ["base_filters", "0", "impossible"]),
        ("model.base_filters: {type: int, low: 8, high: 15, step: 4}", ["15", "12"]),
        ("model.base_kernels: {type: int, low: 3, high: 7}", ["4", "odd"]),
        ("model.normalization: {type: categorical, choices: [batch, bacth]}", ["'bacth'", "batch"]),
        ("model.normalization: {type: categorical, choices: [batch, batch]}", ["twice"]),
        ("model.normalization: {type: categorical, choices: []}", ["choices"]),
        ("model.normalization: {type: category, choices: [batch]}", ["'category'", "categorical"]),
        ("model.base_filters: {type: int, low: 8}", ["high", "missing"]),
        ("model.base_filters: {type: int, low: 8, hihg: 16}", ["hihg", "high"]),
        ("model.num_layers: {type: int, low: 7, high: 9}", ["num_layers", "multiple"]),
        (
            "model.base_filters: {type: int, low: 8, high: 16, when: {model.kind: UNet}}",
            ["when", "model.kind"],
        ),
        (
            "strength: {type: scale, low: 0.0, high: 2.0, keys: [augmentation.brigthness]}",
            ["augmentation.brigthness", "augmentation.brightness"],
        ),
        (
            "strength: {type: scale, low: 0.0, high: 50.0, keys: [augmentation.contrast]}",
            ["50.0", "augmentation.contrast"],
        ),
        (
            "training.epochs: {type: scale, low: 0.0, high: 2.0, keys: [augmentation.contrast]}",
            ["name"],
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_with_its_place(line, words, space_of, tiny_experiment):
    with pytest.raises(SweepError) as refused:
        check_space(space_with(space_of, line), tiny_experiment())
    message = str(refused.value)
    assert "\n" not in message
    for word in ["tiny.yaml", line.partition(":")[0], *words]:
        assert word in message, message


def test_a_value_that_fits_only_some_settings_stays(space_of, tiny_experiment):
    # 96 px are no multiple of the 64 px that 7 layers need, but of those of 2 layers.
    space = space_with(
        space_of,
        "model.num_layers: {type: int, low: 2, high: 7}",
        "image.size: {type: categorical, choices: [96, 128]}",
    )
    check_space(space, tiny_experiment(tiling={"max_tile": 64}))


def test_a_condition_on_a_value_that_never_comes(space_of, tiny_experiment):
    space = space_with(
        space_of, ROUNDS, "model.base_filters: {type: int, low: 4, high: 8, when: "
        "{model.num_layers: [3, 5]}}"
    )  # fmt: skip
    with pytest.raises(SweepError, match=r"model.num_layers is never 5"):
        check_space(space, tiny_experiment())


def test_conditions_that_wait_for_each_other(space_of):
    with pytest.raises(SweepError, match="wait for each other"):
        space_with(
            space_of,
            "model.num_layers: {type: int, low: 2, high: 4, when: {model.base_filters: 4}}",
            "model.base_filters: {type: int, low: 4, high: 8, when: {model.num_layers: 2}}",
        )


def test_a_parameter_varies_only_under_its_condition(space_of, tiny_experiment):
    space = space_with(
        space_of,  # named first, chosen after what it depends on
        "model.base_kernels: {type: int, low: 3, high: 7, step: 2, when: {model.num_layers: 2}}",
        ROUNDS,
    )
    own, rng = tiny_experiment().flatten(), random.Random(1)
    drawn = [space.draw(rng, own) for _ in range(200)]
    assert {values["model.num_layers"] for values in drawn} == {2, 3, 4}
    for values in drawn:
        assert ("model.base_kernels" in values) == (values["model.num_layers"] == 2)


def test_every_draw_of_a_checked_space_builds_an_experiment(space_of, tiny_experiment):
    space = space_with(
        space_of, LEARNING_RATE, ROUNDS,
        "training.loss: {type: categorical, choices: [bce, dice]}",
        "training.clipvalue: {type: categorical, choices: [null]}",
        "strength: {type: scale, low: 0.0, high: 2.0, keys: [augmentation.contrast]}",
    )  # fmt: skip
    experiment, rng = tiny_experiment(), random.Random(2)
    check_space(space, experiment)
    own = experiment.flatten()
    for _ in range(50):
        values = space.draw(rng, own)
        built = experiment.override(space.settings(values, own)).flatten()
        assert built["training.learning_rate"] == values["training.learning_rate"]
        wanted = own["augmentation.contrast"] * values["strength"]
        assert built["augmentation.contrast"] == pytest.approx(wanted, rel=1e-4)


def test_settings_of_every_trial(space_of, tiny_experiment):
    space = space_of("parameters:\n  " + ROUNDS + "\ntrial: {training.epochs: 1}")
    assert space.trial == {**TRIAL_SETTINGS, "training.epochs": 1}
    wrong = space_of("parameters:\n  " + ROUNDS + "\ntrial: {training.epoch: 1}")
    with pytest.raises(SweepError, match=r"trial: .*training.epoch.*epochs"):
        check_space(wrong, tiny_experiment())
    both = space_of("parameters:\n  " + ROUNDS + "\ntrial: {model.num_layers: 2}")
    with pytest.raises(SweepError, match="also fixed under trial"):
        check_space(both, tiny_experiment())


def test_own_values_where_the_space_holds_them(space_of, tiny_experiment):
    space = space_with(
        space_of, LEARNING_RATE, "model.base_filters: {type: int, low: 8, high: 16}",
        "strength: {type: scale, low: 0.0, high: 2.0, keys: [augmentation.contrast]}",
    )  # fmt: skip
    own = tiny_experiment().flatten()
    assert own["model.base_filters"] == 4
    assert space.own_values(own) == {"training.learning_rate": 0.01, "strength": 1.0}


START = """
parameters:
  training.learning_rate: {type: float, low: 1.0e-4, high: 0.1, log: true}
  model.num_layers: {type: int, low: 2, high: 4}
initial_trials:
  - {name: any, settings: {training.learning_rate: 0.05}}
  - name: its own
    dataset: Tiny
    settings: {training.learning_rate: 0.001, model.num_layers: 8, image.size: 512}
"""


def test_the_source_experiment_where_it_fits(space_of, tiny_experiment):
    space, own = space_of(START), tiny_experiment().flatten()
    assert space.start_values(own) == {"training.learning_rate": 0.001, "model.num_layers": 2}
    elsewhere = tiny_experiment(dataset={"name": "Else"}).flatten()
    assert space.start_values(elsewhere)["training.learning_rate"] == 0.05
    assert space_of().start_values(own) is None
    same = tiny_experiment(training={"learning_rate": 0.001}).flatten()
    assert space.start_values(same) is None  # nothing that trial 0 does not show


@pytest.mark.parametrize("path", HOUSE_EXPERIMENTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("file", HOUSE_SPACES, ids=lambda path: path.stem)
def test_every_space_fits_every_experiment(file, path):
    space, experiment = load_space(file), load_experiment(path)
    check_space(space, experiment)
    own = experiment.flatten()
    assert set(space.own_values(own)) >= {"training.learning_rate", "augmentation.strength"}
    for start in space.initial_trials:
        for key in start.settings:
            assert key in space.parameters, key


def test_the_default_space_holds_what_the_issue_names_and_the_published_rates():
    space = load_space(EXPERIMENTS / "sweeps" / "default.yaml")
    architectures = space.parameters["model.architecture"].points()
    assert "UNet" in architectures
    assert len(architectures) > 1
    searched = {"base_filters", "base_kernels", "num_layers"}
    assert searched <= {name.removeprefix("model.") for name in space.parameters}
    assert space.trial == TRIAL_SETTINGS
    rate = space.parameters["training.learning_rate"]
    assert all(
        rate.contains(start.settings["training.learning_rate"]) for start in space.initial_trials
    )


@pytest.mark.parametrize("architecture", ["UNet", "AttentionUNet", "SharpUNet"])
def test_every_architecture_of_the_default_space_reads_what_is_drawn(architecture):
    space = load_space(EXPERIMENTS / "sweeps" / "default.yaml")
    experiment, rng = load_experiment(EXPERIMENTS / "Tiled-Cell.yaml"), random.Random(3)
    own = experiment.flatten()
    for _ in range(20):
        values = {**space.draw(rng, own), "model.architecture": architecture}
        built = experiment.override(space.settings(values, own))
        assert built.model.base_kernels == values["model.base_kernels"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["nowhere.yaml", "no such"]),
        ("[1, 2]", ["parameters"]),
        ("parameters: {}", ["parameters"]),
        ("parametres: {}", ["parametres", "parameters"]),
        ("a: b: c", ["YAML"]),
    ],
)
def test_a_file_that_is_no_search_space(tmp_path, text, words):
    path = tmp_path / "nowhere.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SweepError) as refused:
        load_space(path)
    for word in [str(path), *words]:
        assert word in str(refused.value)


def test_overrides_keep_what_was_written_and_no_defaults(tiny_experiment):
    changed = tiny_experiment().override({"model.base_kernels": 5})
    assert changed.model.base_kernels == 5
    assert changed.compact()["model"] == {"base_filters": 4, "num_layers": 2, "base_kernels": 5}
    with pytest.raises(ExperimentError, match="num_layers"):
        tiny_experiment().override({"model.num_layers": 9})
