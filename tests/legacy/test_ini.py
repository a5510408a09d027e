"""Files are read line by line, whatever their oddities, or refused in one line."""

import numpy as np
import pytest

from tiledseg.errors import ExperimentError
from tiledseg.legacy import import_config
from tiledseg.legacy.ini import LONGEST, read_entries, read_text


def keys(text: str) -> list[tuple[str, str, str]]:
    return [(entry.section, entry.key, entry.text) for entry in read_entries(text, "a.config")]


class TestEntries:
    def test_sections_keys_and_comments(self):
        text = "; one\n# two\n[model]\nmodel = 'x'\n\n[ Train ] \n Epochs: 3\n"
        assert keys(text) == [("model", "model", "'x'"), ("train", "epochs", "3")]

    def test_lines_are_numbered(self):
        assert [e.line for e in read_entries("\n[a]\r\nb=1\r\n\r\nc=2", "a")] == [3, 5]

    def test_a_value_goes_on_while_brackets_are_open(self):
        text = "[a]\nangles = [90,\n  180,\n  # turned\n  270]\nb = 2\n"
        assert keys(text) == [("a", "angles", "[90,\n180,\n270]"), ("a", "b", "2")]

    def test_an_indented_key_is_a_key(self):
        """The source program takes it for a piece of the value above."""
        assert keys("[a]\nb = 1\n  c = 2\n") == [("a", "b", "1"), ("a", "c", "2")]

    def test_values_hold_equals_signs_and_colons(self):
        assert keys("[a]\nb = 'x=y:z'\n") == [("a", "b", "'x=y:z'")]

    def test_lines_that_are_nothing_are_kept(self):
        assert keys("[a]\nwhat is this\nb = 1\n[open\n") == [
            ("a", "", "what is this"),
            ("a", "b", "1"),
            ("a", "", "[open"),
        ]

    def test_keys_before_any_section(self):
        assert keys("x = 1\n[a]\nb = 1")[0] == ("", "x", "1")

    @pytest.mark.parametrize(
        "text", ["", " \n\t\n", "; only\n# comments\n", "[model]\n", "a = 1\n"]
    )
    def test_nothing_to_read(self, text):
        with pytest.raises(ExperimentError, match=r"a\.config: (is empty|has no key)"):
            read_entries(text, "a.config")


class TestSize:
    """Files near the largest size that is read end within the time that any test has."""

    @pytest.mark.parametrize(
        "text",
        [
            "[a]\nb = [1,\n" + " 2,\n" * 60_000,
            "[a]\nb" + " " * 240_000,
            "[a]\n" + "[" * 240_000,
            "[a]\nb = " + "(" * 240_000,
            "[a]\n" + "".join(f"key_{n} = {n}\n" for n in range(15_000)),
            "[a]\n" + "b = 1\n" * 40_000,
        ],
        ids=["continued", "spaces", "brackets", "nested", "keys", "repeated"],
    )
    def test_is_read_in_time(self, text, tmp_path):
        path = tmp_path / "a.config"
        path.write_text(text)
        if text.startswith("[a]\nb  ") or text.startswith("[a]\n[["):
            with pytest.raises(ExperimentError):
                import_config(path)
        else:
            config = import_config(path)
            assert sum(map(config.count, ("ignored", "unreadable", "ending")))

    def test_long_values_are_cut(self):
        (entry,) = read_entries("[a]\nb = " + "x" * 9999, "a")
        assert len(entry.text) == LONGEST + 1


class TestFiles:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
    def test_encodings(self, tmp_path, encoding):
        path = tmp_path / "a.config"
        path.write_bytes("; é\n[model]\nnum_layers = 8\n".encode(encoding))
        assert [e.key for e in read_entries(read_text(path), "a")] == ["num_layers"]

    def test_random_bytes(self, tmp_path):
        path = tmp_path / "a.config"
        path.write_bytes(np.random.default_rng(0).bytes(4096))
        with pytest.raises(ExperimentError, match=r"a\.config: holds bytes that are no text"):
            read_text(path)

    def test_ten_megabytes(self, tmp_path):
        path = tmp_path / "a.config"
        path.write_bytes(b"[model]\n" + b"a = 1\n" * 1_700_000)
        with pytest.raises(ExperimentError, match=r"10\.2 MB is no configuration file"):
            read_text(path)

    def test_missing_and_a_folder(self, tmp_path):
        with pytest.raises(ExperimentError, match="no such configuration file"):
            read_text(tmp_path / "absent.config")
        with pytest.raises(ExperimentError, match="cannot be read"):
            read_text(tmp_path)
