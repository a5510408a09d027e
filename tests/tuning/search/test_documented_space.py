"""docs/sweeps.md shows a space that can be searched."""

from pathlib import Path

import pytest

from tiledseg.config.experiment import load_experiment
from tiledseg.tuning.search.feasibility import check_space
from tiledseg.tuning.search.space import load_space

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["Synthetic-Cell", "Tiled-Cell"])
def test_its_example_fits_experiments(tmp_path, name):
    text = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    path = tmp_path / "space.yaml"
    path.write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    space = load_space(path)
    assert len(space.parameters) >= 4
    check_space(space, load_experiment(ROOT / "experiments" / f"{name}.yaml"))
