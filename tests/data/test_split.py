from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tiledseg.config import SplitSettings
from tiledseg.data.split import draw_splits, group_reader, source_of
from tiledseg.errors import DatasetError

FOLDER = Path("root/Some")
BOTH = {"valid": 0.2, "test": 0.2}

sources = st.lists(
    st.text(st.characters(codec="ascii", categories=("L", "N", "Pd")), min_size=1, max_size=6),
    min_size=3,
    max_size=30,
    unique=True,
)
tile_endings = st.lists(
    st.sampled_from(["", "_r0_c0", "_r0_c1", "_r1_c0", "_0_1", "_12x34", "_R3_C4"]),
    min_size=1,
    max_size=4,
    unique=True,
)


class TestSourceOf:
    @pytest.mark.parametrize(
        ("stem", "source"),
        [
            ("smear7_r0_c1", "smear7"),
            ("smear7_0_1", "smear7"),
            ("smear7_12x34", "smear7"),
            ("smear_7_12x34", "smear_7"),
            ("smear_7", "smear_7"),
            ("smear7", "smear7"),
            ("1024x768", "1024x768"),
            ("_0_1", "_0_1"),
            ("slide_102400_51200", "slide"),
            ("IMG_20210512_101530", "IMG_20210512_101530"),
        ],
    )
    def test_rule(self, stem: str, source: str) -> None:
        assert source_of(stem) == source


class TestDrawSplits:
    @given(sources, tile_endings, st.integers(0, 99), st.floats(0.01, 0.98), st.floats(0.01, 0.98))
    def test_a_source_is_in_one_split_and_nothing_is_lost(
        self, names: list[str], endings: list[str], seed: int, valid: float, test: float
    ) -> None:
        stems = sorted(name + ending for name in names for ending in endings)
        drawn = draw_splits(stems, {"valid": valid, "test": test}, seed, FOLDER)
        assert sorted(stem for part in drawn.values() for stem in part) == stems
        homes = {source: split for split in drawn for source in map(source_of, drawn[split])}
        assert all(homes[source_of(stem)] == split for split in drawn for stem in drawn[split]), (
            "a source straddles"
        )
        assert set(drawn) == {"train", "valid", "test"}
        assert all(drawn.values())

    def test_shares(self) -> None:
        drawn = draw_splits([f"s{number}" for number in range(50)], BOTH, 137, FOLDER)
        assert {split: len(stems) for split, stems in drawn.items()} == {
            "train": 30,
            "valid": 10,
            "test": 10,
        }

    def test_the_seed_decides(self) -> None:
        stems = [f"s{number}" for number in range(50)]
        first = draw_splits(stems, BOTH, 137, FOLDER)
        assert draw_splits(stems[::-1], BOTH, 137, FOLDER) == first
        assert draw_splits(stems, BOTH, 138, FOLDER) != first

    def test_the_draw_is_the_same_on_every_machine(self) -> None:
        drawn = draw_splits([f"s{number}" for number in range(6)], BOTH, 137, FOLDER)
        assert drawn == {"train": ["s0", "s1", "s2", "s4"], "valid": ["s5"], "test": ["s3"]}

    def test_seeds_choose_evenly(self) -> None:
        stems = [f"s{number}" for number in range(5)]
        tests = Counter(draw_splits(stems, BOTH, seed, FOLDER)["test"][0] for seed in range(500))
        assert all(60 < count < 140 for count in tests.values())

    def test_one_missing_split(self) -> None:
        drawn = draw_splits(["a", "b"], {"test": 0.2}, 137, FOLDER)
        assert {split: len(stems) for split, stems in drawn.items()} == {"train": 1, "test": 1}

    def test_too_few_sources(self) -> None:
        stems = [f"s{source}_{row}_0" for source in range(2) for row in range(9)]
        told = r"root/Some: 2 source image\(s\) in 18 file\(s\).* needs 3 .*; add"
        with pytest.raises(DatasetError, match=told):
            draw_splits(stems, BOTH, 137, FOLDER)


class TestGroups:
    @given(
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30), st.integers(0, 2)), min_size=1),
        st.integers(0, 99),
        st.floats(0.01, 0.98),
        st.floats(0.01, 0.98),
    )
    def test_neither_source_nor_group_is_in_two_splits(
        self, images: list[tuple[int, int, int]], seed: int, valid: float, test: float
    ) -> None:
        """Patients, slides and tiles as they come; a slide may have been filed under two."""
        named = {f"s{slide}_{tile}_0": f"P{patient}" for patient, slide, tile in images}
        named |= {"x_0_0": "X", "y": "Y", "z_0x1": "Z"}
        stems = sorted(named)
        fractions = {"valid": valid, "test": test}
        drawn = draw_splits(stems, fractions, seed, FOLDER, named.__getitem__)
        assert sorted(stem for part in drawn.values() for stem in part) == stems
        assert all(drawn.values())
        for origin_of in (source_of, named.__getitem__):
            homes = [{origin_of(stem) for stem in part} for part in drawn.values()]
            assert sum(map(len, homes)) == len(set.union(*homes)), "one straddles"

    def test_the_order_of_stems_changes_nothing(self) -> None:
        stems = [f"p{number % 7}_s{number}" for number in range(40)]
        group_of = group_reader(SplitSettings(group_pattern="^(p[0-9])"), FOLDER)
        first = draw_splits(stems, BOTH, 137, FOLDER, group_of)
        assert draw_splits(stems[::-1], BOTH, 137, FOLDER, group_of) == first
        assert len({stem[:2] for stem in first["test"]}) == 1

    def test_too_few_groups(self) -> None:
        with pytest.raises(DatasetError, match=r"2 group\(s\) in 6 file\(s\).*group_pattern"):
            draw_splits([f"p{n % 2}_{n}" for n in range(6)], BOTH, 1, FOLDER, lambda stem: stem[:2])

    def test_a_file_names_stems_or_their_sources(self, tmp_path: Path) -> None:
        (tmp_path / "groups.csv").write_text("\ufeffgroup,stem\nP1,a\nP2,b_0_0\n", "utf-8")
        group_of = group_reader(SplitSettings(group_file="groups.csv"), tmp_path)
        assert group_of is not None
        assert [group_of(stem) for stem in ("a", "a_0_1", "b_0_0")] == ["P1", "P1", "P2"]
        with pytest.raises(DatasetError, match=r"groups.csv: has no group for 'b'; add a row"):
            group_of("b")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("stem,patient\na,1\n", "names the columns 'stem', 'patient'; it must name stem and"),
            ("stem;group\na;1\n", "names the columns 'stem;group'; .* commas between columns"),
            ("", "names the columns none"),
            ("stem,group\na,1\na,2\n", "row 3: 'a' has a second group"),
            ("stem,group\na\n", "row 2: no stem or no group"),
            (None, "cannot be read"),
        ],
    )
    def test_unusable_files(self, tmp_path: Path, text: str | None, words: str) -> None:
        if text is not None:
            (tmp_path / "groups.csv").write_text(text)
        with pytest.raises(DatasetError, match=words):
            group_reader(SplitSettings(group_file="groups.csv"), tmp_path)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ({"group_pattern": "(P"}, "is no regular expression"),
            ({"group_pattern": "P[0-9]+"}, "has no brackets"),
            ({"group_pattern": "(P)", "group_file": "a.csv"}, "exclude each other"),
        ],
    )
    def test_unusable_settings(self, content: dict[str, str], words: str) -> None:
        with pytest.raises(ValidationError, match=words):
            SplitSettings.model_validate(content)

    def test_without_groups_there_is_no_reader(self) -> None:
        assert group_reader(SplitSettings(), FOLDER) is None
