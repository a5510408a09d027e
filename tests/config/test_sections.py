"""Every key is described, typed and bounded; values are taken as they are or refused."""

import math
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tiledseg.config import (
    AugmentationSettings,
    DatasetSettings,
    ImageSettings,
    ModelSettings,
    SplitSettings,
    SyntheticSettings,
    TrainingSettings,
)
from tiledseg.config.experiment import Experiment

MINIMAL: dict[str, Any] = {"dataset": {"name": "Tiny"}}


def sections(root: type[BaseModel] = Experiment, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every section class with its dotted path."""
    yield path, root
    for name, field in root.model_fields.items():
        for choice in get_args(field.annotation) or (field.annotation,):
            if isinstance(choice, type) and issubclass(choice, BaseModel):
                yield from sections(choice, f"{path}.{name}".lstrip("."))


FIELDS = [
    pytest.param(section, name, field, id=f"{path}.{name}".lstrip("."))
    for path, section in sections()
    for name, field in section.model_fields.items()
]


def kinds(field: FieldInfo) -> set[type]:
    """The plain types that a field holds; of a list, that it is one."""
    found, left = set(), [field.annotation]
    while left:
        annotation = left.pop()
        if get_origin(annotation) is tuple:
            found.add(tuple)
        elif isinstance(annotation, type):
            found.add(annotation)
        else:
            left.extend(getattr(annotation, "__args__", ()))
    return found


def bounds(field: FieldInfo) -> list[Any]:
    """Bounds of a field, also where null is allowed beside the number."""
    found, left = list(field.metadata), [field.annotation]
    while left:
        annotation = left.pop()
        if get_origin(annotation) is tuple:
            continue
        found.extend(
            bound
            for info in getattr(annotation, "__metadata__", ())
            for bound in getattr(info, "metadata", ())
        )
        left.extend(getattr(annotation, "__args__", ()))
    return [bound for bound in found if isinstance(bound, Ge | Gt | Le | Lt)]


def multiples(field: FieldInfo) -> list[MultipleOf]:
    """What a field's number must be a multiple of."""
    return [item for item in field.metadata if isinstance(item, MultipleOf)]


def faults(section: type[BaseModel], name: str, value: object) -> set[str]:
    """What pydantic says of a value; other keys have their defaults."""
    content = {"name": "Tiny"} if section is DatasetSettings else {}
    try:
        section.model_validate({**content, name: value})
    except ValidationError as error:
        return {detail["type"] for detail in error.errors()}
    return set()


WRONG: dict[type, tuple[str, list[object]]] = {
    int: ("int_type", ["3", 3.0, 3.5, True]),
    float: ("float_type", ["0.5", True]),
    bool: ("bool_type", ["yes", 1, 0.0]),
    str: ("string_type", [5, True, 1.5]),
    tuple: ("tuple_type", [5, True, "one"]),
}


class TestEveryKey:
    @pytest.mark.parametrize(("section", "name", "field"), FIELDS)
    def test_is_described_in_a_sentence(self, section, name, field):
        assert field.description, f"{section.__name__}.{name} has no docstring"
        assert field.description.endswith("."), field.description

    @pytest.mark.parametrize(("section", "name", "field"), FIELDS)
    def test_has_a_default_but_for_the_dataset(self, section, name, field):
        assert field.is_required() == (name in {"dataset", "name"})

    @pytest.mark.parametrize(
        ("section", "name", "field"),
        [param for param in FIELDS if kinds(param.values[2]) & {int, float}],
    )
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_a_number_is_finite(self, section, name, field, value):
        assert faults(section, name, value)

    @pytest.mark.parametrize(
        ("section", "name", "field"),
        [param for param in FIELDS if kinds(param.values[2]) & set(WRONG)],
    )
    def test_takes_no_value_for_another(self, section, name, field):
        taken = kinds(field) & set(WRONG)
        for kind in taken:
            fault, values = WRONG[kind]
            for value in values:
                if type(value) in taken and type(value) is not kind:
                    continue  # a key that takes either
                assert fault in faults(section, name, value), value
            if len(taken) == 1:
                assert {kind for value in values for kind in faults(section, name, value)} == {
                    fault
                }

    @pytest.mark.parametrize("value", [3.0, True, [1], "3", "white", -1])
    def test_what_is_neither_a_label_nor_a_color_is_not_ignored(self, value):
        assert faults(DatasetSettings, "ignore_label", value)

    @pytest.mark.parametrize(
        ("section", "name", "items"),
        [
            (DatasetSettings, "classes", [["a", 5], ["a", True]]),
            (DatasetSettings, "mask_colors", [["red"], [0]]),
            (TrainingSettings, "class_weights", [["1"], [True], [1, -1], [1, math.nan], [1, 0]]),
            (TrainingSettings, "metrics", [["dice_coef_2"], [1]]),
        ],
    )
    def test_the_items_of_lists_are_checked(self, section, name, items):
        for given in items:
            assert faults(section, name, given), given

    @pytest.mark.parametrize(
        ("section", "name", "field"), [param for param in FIELDS if bounds(param.values[2])]
    )
    def test_its_bounds_hold(self, section, name, field):
        step = next((item.multiple_of for item in multiples(field)), 1)
        for bound in bounds(field):
            match bound:
                case Ge(limit):
                    assert "greater_than_equal" in faults(section, name, limit - step)
                case Gt(limit):
                    assert "greater_than" in faults(section, name, limit)
                case Le(limit):
                    assert "less_than_equal" in faults(section, name, limit + step)
                case Lt(limit):
                    assert "less_than" in faults(section, name, limit)
        for item in multiples(field):
            assert "multiple_of" in faults(section, name, field.default + item.multiple_of // 2)

    def test_the_checks_above_see_what_they_look_for(self):
        """They would pass if types or bounds were not found."""
        fields = {param.id: param.values[2] for param in FIELDS}
        assert len(fields) > 60
        assert kinds(fields["training.clipnorm"]) == {float, type(None)}
        assert kinds(fields["dataset.synthetic.size"]) == {int}
        assert bounds(fields["training.clipnorm"]) == [Gt(0.0)]
        assert bounds(fields["image.size"]) == [Ge(32), Le(4096)]
        assert not bounds(fields["training.loss"])


class TestSections:
    def test_an_integer_will_do_for_a_number(self):
        settings = TrainingSettings(learning_rate=1, clipnorm=2)
        assert (settings.learning_rate, settings.clipnorm) == (1.0, 2.0)
        assert settings == TrainingSettings(learning_rate=1.0, clipnorm=2.0)

    @pytest.mark.parametrize(("path", "section"), list(sections()))
    def test_are_frozen_and_hashable(self, path, section):
        content = {"name": "Tiny"} if section is DatasetSettings else {}
        made = section.model_validate(MINIMAL if section is Experiment else content)
        name = next(iter(section.model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(made, name, getattr(made, name))
        assert hash(made) == hash(made.model_copy(deep=True))

    def test_defaults_go_together(self):
        assert Experiment.model_validate(MINIMAL) == Experiment(
            dataset=DatasetSettings(name="Tiny")
        )


class TestDatasetName:
    @pytest.mark.parametrize("name", ["T", "Tiled-Cell", "smear 2.1", "A_b-", "7"])
    def test_names_of_folders_are_taken(self, name):
        assert DatasetSettings(name=name).name == name

    @pytest.mark.parametrize(
        "name", ["", " a", "a ", "a.", ".a", "..", "a/b", "a\\b", "a:b", "a\n", "café", "models:/a"]
    )
    def test_what_some_system_cannot_store_is_refused(self, name):
        with pytest.raises(ValidationError, match="cannot name a folder"):
            DatasetSettings(name=name)


class TestImpossibleCombinations:
    @pytest.mark.parametrize("color_space", ["rgb", "hsv", "lab", "gray"])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_channels_fit_the_color_space(self, color_space, channels):
        content = {"color_space": color_space, "channels": channels}
        if (color_space == "gray") == (channels == 1):
            assert ImageSettings.model_validate(content).channels == channels
        else:
            with pytest.raises(ValidationError, match=rf"{color_space}.*channels {channels}"):
                ImageSettings.model_validate(content)

    def test_dropout_grows_with_the_levels_and_stays_under_one(self):
        assert ModelSettings(dropout_rate=0.19, num_layers=5).dropout_rate == 0.19
        with pytest.raises(ValidationError, match=r"0\.25.*num_layers 4.*0\.225"):
            ModelSettings(dropout_rate=0.25, num_layers=4)
        for growth in ("from_second", "none"):
            grown = ModelSettings(dropout_rate=0.25, num_layers=4, dropout_growth=growth)
            assert grown.dropout_at(0) in (0.0, 0.25)

    @pytest.mark.parametrize("kernel", range(3, 16))
    def test_a_kernel_has_a_center(self, kernel):
        if kernel % 2:
            assert ModelSettings(base_kernels=kernel).base_kernels == kernel
        else:
            with pytest.raises(ValidationError, match=f"base_kernels is {kernel}.*odd"):
                ModelSettings(base_kernels=kernel)

    def test_gradients_are_clipped_one_way(self):
        assert TrainingSettings(clipvalue=0.5, clipnorm=None).clipvalue == 0.5
        assert TrainingSettings(clipnorm=None).clipnorm is None
        with pytest.raises(ValidationError, match=r"clipvalue \(0\.5\) and clipnorm \(1\.0\)"):
            TrainingSettings(clipvalue=0.5)

    @pytest.mark.parametrize(("valid", "test"), [(0.5, 0.5), (0.7, 0.4)])
    def test_a_split_leaves_images_to_train_on(self, valid, test):
        with pytest.raises(ValidationError, match="nothing to train on"):
            SplitSettings(valid=valid, test=test)

    @pytest.mark.parametrize("layers", range(2, 10))
    def test_the_stride_is_the_pooling_of_all_levels(self, layers):
        assert ModelSettings(num_layers=layers).stride == 2 ** (layers - 1)


def test_a_section_may_be_written_by_keyword():
    assert SyntheticSettings(size=96).size == 96
    assert AugmentationSettings(hflip=False).hflip is False
