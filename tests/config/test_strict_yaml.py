"""YAML is read strictly, and what is written reads back the same."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tiledseg.config.strict_yaml import parse_yaml, to_yaml

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
)
CONTENT = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class TestParse:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1e-3", 0.001),
            ("-2E+4", -20000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1_000", 1000),
            ("-7", -7),
            ("+0", 0),
            (".inf", math.inf),
            ("true", True),
            ("False", False),
            ("yes", "yes"),
            ("off", "off"),
            ("%YAML 1.1\n---\nno", "no"),
            ("~", None),
            ("", None),
        ],
    )
    def test_numbers_and_words(self, text, value):
        parsed = parse_yaml(text)
        assert parsed == value
        assert type(parsed) is type(value)

    @pytest.mark.parametrize(
        "text",
        ["1:30", "010", "0x1F", "0b1", "2024-01-31", "2024-13-45", "1e", "e3"],
    )
    def test_what_other_readers_take_for_numbers_or_dates_is_text(self, text):
        assert parse_yaml(text) == text

    def test_yaml_1_1_would_have_misread_them(self):
        """If PyYAML mends this, the resolvers here can go."""
        assert yaml.safe_load("1:30") == 90
        assert yaml.safe_load("010") == 8
        assert yaml.safe_load("1e-3") == "1e-3"
        assert yaml.safe_load("a: 1\na: 2") == {"a": 2}

    @pytest.mark.parametrize(
        ("text", "line", "key"),
        [
            ("a: 1\nb: 2\na: 3\n", 3, "a"),
            ("a:\n  b: 1\n  b: 1\n", 3, "b"),
            ("- {c: 1, 'c': 2}\n", 1, "c"),
        ],
    )
    def test_a_key_given_twice_is_refused_with_its_place(self, text, line, key):
        with pytest.raises(ValueError, match=f"line {line}, column .*'{key}' is given twice"):
            parse_yaml(text)

    def test_the_same_key_in_two_sections_and_a_merge_are_fine(self):
        assert parse_yaml("a: {x: 1}\nb: {x: 2}") == {"a": {"x": 1}, "b": {"x": 2}}
        merged = parse_yaml("a: &a {x: 1, y: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b, x: 3}")
        assert merged["c"] == {"x": 3, "y": 1}

    @pytest.mark.parametrize(
        "text",
        [
            "a: b: c",
            "[1, 2",
            "a\n\tb: 3",
            "{[1]: 2}",
            "&a [*b]",
            "\x00",
            "%",
            "!!int x",
            "!!timestamp 2024-13-45",
            "9" * 5000,
            "[" * 5000,
        ],
    )
    def test_what_is_no_yaml_is_a_value_error_on_one_line(self, text):
        with pytest.raises(ValueError, match=r".") as caught:
            parse_yaml(text)
        assert type(caught.value) is ValueError
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "tag",
        [
            "!!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [ran]]",
            "!!python/object/apply:os.mkdir [ran]",
            "!!python/name:os.system",
            "!!python/object/new:os._wrap_close {}",
        ],
    )
    def test_a_tag_executes_nothing(self, tag, tmp_path):
        with pytest.raises(ValueError, match="python/"):
            parse_yaml(f"a: {tag}")
        assert not (tmp_path / "ran").exists()

    def test_the_planted_tag_would_run_under_an_unsafe_reader(self, tmp_path):
        yaml.unsafe_load("!!python/object/apply:os.mkdir [ran]")
        assert (tmp_path / "ran").is_dir()


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}], {name}: 1}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.timeout(60)
class TestHostileText:
    @pytest.mark.parametrize("text", [LAUGHS, MERGES], ids=["lists", "merges"])
    def test_aliases_that_repeat_each_other(self, text):
        with pytest.raises(ValueError, match=r"line \d+, .*aliases repeat more than 200000 values"):
            parse_yaml(text)

    @pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a\n  <<: *a\n"])
    def test_a_section_that_holds_itself(self, text):
        with pytest.raises(ValueError, match="a section holds itself"):
            parse_yaml(text)

    def test_aliases_as_people_use_them(self):
        assert parse_yaml("a: &a [1, 2]\nb: [*a, *a]\n") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}

    @pytest.mark.parametrize("text", ["a: " + "[" * 50_000, "- " * 50_000, "a: " + "{b: " * 50_000])
    def test_sections_in_each_other(self, text):
        with pytest.raises(ValueError, match="sections lie in each other too deeply"):
            parse_yaml(text)


class TestRoundTrip:
    @given(CONTENT)
    def test_what_is_written_reads_back_the_same(self, content):
        assert parse_yaml(to_yaml(content)) == content

    @pytest.mark.parametrize(
        "text", ["1e-3", "010", "1:30", "yes", "null", "~", ".inf", "-", "<<", "a\x85b"]
    )
    def test_text_that_looks_like_something_else_stays_text(self, text):
        assert parse_yaml(to_yaml({"key": text})) == {"key": text}

    def test_keys_keep_their_order(self):
        assert list(parse_yaml(to_yaml({"b": 1, "a": 2}))) == ["b", "a"]
