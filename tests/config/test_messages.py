"""Faults in words: the key, what was given, what is accepted, the nearest spelling."""

from typing import Literal

import pytest
from pydantic import ValidationError

from tiledseg.config import Section
from tiledseg.config.messages import explain, list_keys, nearest, shorten


class Wheel(Section):
    size: int = 3
    tread: Literal["slick", "rain"] = "slick"


class Car(Section):
    front: Wheel = Wheel()
    spare: Wheel | None = None
    doors: int = 4


def explained(content: dict[str, object]) -> str:
    with pytest.raises(ValidationError) as caught:
        Car.model_validate(content)
    return explain(caught.value, Car)


def test_dotted_keys_name_every_value_also_in_sections_that_may_be_absent():
    assert list(list_keys(Car)) == [
        "front.size",
        "front.tread",
        "spare.size",
        "spare.tread",
        "doors",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"dors": 3}, "unknown key dors (given 3); did you mean doors?"),
        ({"DOORS": 3}, "unknown key DOORS (given 3); did you mean doors?"),
        ({"q": 1}, "unknown key q (given 1); known keys: front, spare, doors"),
        ({"spare": {"sise": 1}}, "unknown key spare.sise (given 1); did you mean size?"),
        ({"front": {"doors": 2}}, "unknown key front.doors (given 2); did you mean doors?"),
        (
            {"size": 2},
            "unknown key size (given 2); did you mean front.size or spare.size?",
        ),
        ({"front": {"size": "5"}}, "front.size is '5'; input should be a valid integer"),
        (
            {"front": {"tread": "Rainy"}},
            "front.tread is 'Rainy'; input should be 'slick' or 'rain'; did you mean rain?",
        ),
        ({"front": {"tread": 9}}, "front.tread is 9; input should be 'slick' or 'rain'"),
        ({"front": 4}, "front is 4, a value and not a section; its keys are size, tread"),
        ({"spare": []}, "spare is [], a value and not a section; its keys are size, tread"),
        ({"front": {3: 4}}, "front.3 is 3; keys should be strings"),
    ],
)
def test_words(content, words):
    assert explained(content) == words


def test_all_faults_are_told_at_once():
    assert explained({"doors": "a", "front": {"size": 1.5}}).split("; ")[::2] == [
        "front.size is 1.5",
        "doors is 'a'",
    ]


def test_nearest_ignores_case_and_gives_the_best_first():
    known = ["Tiled-Cell", "Tiled-Cervical-Cancer", "Other"]
    assert nearest("tiled-cel", known, most=3)[0] == "Tiled-Cell"
    assert nearest("zzz", known) == []


def test_what_was_given_is_cut_to_a_length_that_fits_a_message():
    loop: list[object] = []
    loop.extend([loop] * 9)
    assert shorten("short") == "'short'"
    assert len(shorten("x" * 10_000)) < 100
    assert len(shorten(list(range(10_000)))) < 100
    assert len(shorten(loop)) < 500


def test_of_many_faults_the_first_are_told():
    told = explained({f"wheel{number}": 1 for number in range(20_000)})
    assert told.count("unknown key") == 10
    assert told.endswith("; and 19990 more")
    assert len(told) < 2000


def test_a_key_without_end_is_cut():
    assert len(explained({"w" * 100_000: 1})) < 500
