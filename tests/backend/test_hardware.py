import pytest

from tiledseg.backend import count_threads, describe_processor, list_features


def test_a_processor_is_its_name_and_what_changes_its_sums(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor : 0\nmodel name : Some CPU @ 2 GHz\nflags : fpu avx2 amx_bf16\n")
    assert list_features(path) == ["avx2", "amx_bf16"]
    assert describe_processor(path) == "Some CPU @ 2 GHz (avx2, amx_bf16)"


def test_where_nothing_is_known_there_is_no_error(tmp_path):
    assert list_features(tmp_path / "none") == []
    assert describe_processor(tmp_path / "none")


@pytest.mark.parametrize("name", ["TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"])
def test_threads_are_those_that_the_environment_allows(monkeypatch, name):
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert count_threads() >= 1
    monkeypatch.setenv(name, "7")
    assert count_threads() == 7
