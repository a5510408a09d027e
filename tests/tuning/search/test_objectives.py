import pytest

from tiledseg.errors import SweepError
from tiledseg.tuning.search.objectives import parse_objectives


def test_objectives_and_their_directions():
    found = parse_objectives(["valid/tiled/dice", "valid/tiled/seconds_per_megapixel", "val_loss"])
    assert [objective.direction for objective in found] == ["maximize", "minimize", "minimize"]
    assert found[0].value({"valid/tiled/dice": 0.5}) == 0.5
    with pytest.raises(SweepError, match="valid/tiled/dice"):
        found[0].value({"valid/resized/dice": 0.5})


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["test/tiled/dice"], ["test", "valid/tiled/dice"]),
        (["valid/tiled/dise"], ["'valid/tiled/dise'", "valid/tiled/dice"]),
        (["val_loss", "val_loss"], ["twice"]),
        ([], ["objective"]),
    ],
)
def test_objectives_that_are_refused(names, words):
    with pytest.raises(SweepError) as refused:
        parse_objectives(names)
    for word in words:
        assert word in str(refused.value)
