"""Layers of our own do what their papers say; attention is compared with a slow one in NumPy."""

import keras
import numpy as np
import pytest

from tiledseg.models.layers import (
    NeighborStack,
    PositionEmbedding,
    StandardizedConv2D,
    WindowAttention,
    relative_positions,
)


def slow_attention(layer: WindowAttention, tokens: np.ndarray) -> np.ndarray:
    """Attention of each token of one image (H, W, C) to those of its window, one by one."""
    height, width, channels = tokens.shape
    window, size = layer.window, channels // layer.heads

    def windows(side: int) -> np.ndarray:
        shift = window // 2 if layer.shifted and side > window else 0
        return (np.arange(side) - shift) // window

    split = tokens @ layer.project_in.kernel.numpy() + layer.project_in.bias.numpy()
    query, key, value = np.split(split, 3, axis=-1)
    table = layer.position_bias.numpy().reshape(2 * window - 1, 2 * window - 1, layer.heads)
    answer = np.zeros_like(tokens)
    rows, columns = windows(height), windows(width)
    for y, x in np.ndindex(height, width):
        seen = [
            (v, u)
            for v in np.flatnonzero(rows == rows[y])
            for u in np.flatnonzero(columns == columns[x])
        ]
        for head in range(layer.heads):
            part = slice(head * size, (head + 1) * size)
            logits = np.array(
                [
                    query[y, x, part] @ key[v, u, part] / size**0.5
                    + table[y - v + window - 1, x - u + window - 1, head]
                    for v, u in seen
                ]
            )
            weights = np.exp(logits - logits.max())
            weights /= weights.sum()
            answer[y, x, part] = sum(
                w * value[v, u, part] for w, (v, u) in zip(weights, seen, strict=True)
            )
    return answer @ layer.project_out.kernel.numpy() + layer.project_out.bias.numpy()


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(
    ("sides", "window"), [((4, 8), 4), ((5, 7), 3), ((2, 9), 4), ((3, 3), 4), ((1, 6), 2)]
)
def test_window_attention(sides, window, shifted):
    """Also where windows do not fit the sides, and where a side is not longer than a window."""
    keras.utils.set_random_seed(4)
    tokens = np.random.default_rng(0).normal(size=(2, *sides, 4)).astype(np.float32)
    layer = WindowAttention(2, window, shifted=shifted)
    layer.build(tokens.shape)
    for weight in layer.weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    expected = np.stack([slow_attention(layer, one) for one in tokens])
    np.testing.assert_allclose(np.asarray(layer(tokens)), expected, atol=2e-5)


def test_relative_positions_follow_the_displacement():
    index = relative_positions(3)
    place = np.stack(np.divmod(np.arange(9), 3), axis=-1)
    apart = place[:, None] - place[None]
    assert index.min() == 0
    assert index.max() == 24
    for a, b in ((0, 4), (4, 8), (1, 5)):
        assert np.array_equal(apart[a, b], apart[0, 4])
        assert index[a, b] == index[0, 4]
    assert len(np.unique(index)) == len(np.unique(apart.reshape(-1, 2), axis=0)) == 25


def test_heads_must_share_the_channels():
    with pytest.raises(ValueError, match="6 channels cannot be shared among 4 heads"):
        WindowAttention(4, 2).build((None, None, None, 6))
    with pytest.raises(ValueError, match="window 0"):
        WindowAttention(1, 0)


def test_neighbors_are_stacked_down_first():
    tokens = np.arange(2 * 4 * 6 * 3, dtype=np.float32).reshape(2, 4, 6, 3)
    stacked = np.asarray(NeighborStack()(tokens))
    assert stacked.shape == (2, 2, 3, 12)
    corners = [tokens[1, 2, 4], tokens[1, 3, 4], tokens[1, 2, 5], tokens[1, 3, 5]]
    assert np.array_equal(stacked[1, 1, 2], np.concatenate(corners))


class TestPositionEmbedding:
    @pytest.fixture
    def layer(self) -> PositionEmbedding:
        layer = PositionEmbedding(4)
        layer.build((None, None, None, 2))
        ramp = np.stack(np.meshgrid(np.arange(4.0), np.arange(4.0), indexing="ij"), axis=-1)
        layer.embedding.assign(ramp)
        return layer

    def test_is_the_table_itself_on_the_grid(self, layer):
        added = np.asarray(layer(np.zeros((1, 4, 4, 2), np.float32)))[0]
        assert np.array_equal(added, layer.embedding.numpy())

    def test_runs_straight_between_the_grids_centers(self, layer):
        added = np.asarray(layer(np.ones((1, 8, 2, 2), np.float32)))[0] - 1
        assert np.allclose(added[:, 0, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
        assert np.allclose(added[0, :, 1], [0.5, 2.5])


def test_standardised_kernels_do_not_care_for_scale_and_shift():
    layer = StandardizedConv2D(3, 3, use_bias=False)
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 2)).astype(np.float32)
    answer = np.asarray(layer(image))
    layer.kernel.assign(7.0 * layer.kernel.numpy() + 0.4)
    np.testing.assert_allclose(np.asarray(layer(image)), answer, atol=1e-2)
    kernel = layer.kernel.numpy()
    standard = (kernel - kernel.mean((0, 1, 2))) / np.sqrt(kernel.var((0, 1, 2)) + 1e-5)
    window = image[0, 2:5, 3:6]
    assert np.allclose(
        np.asarray(layer(image))[0, 2, 3], np.einsum("hwc,hwco->o", window, standard), atol=1e-4
    )
