import keras
import pytest
from keras import layers, ops
from tiling_proofs import perturbed_halo

from tiledseg.errors import TilingError
from tiledseg.tiling.network.perturbation import verify_receptive_field
from tiledseg.tiling.network.receptive_field import ReceptiveField, receptive_field


def chain(*steps):
    def body(tensor):
        for step in steps:
            tensor = step(tensor)
        return tensor

    return body


def conv(kernel, **options):
    return layers.Conv2D(4, kernel, **({"padding": "same"} | options))


def small_unet(tensor):
    skip = conv(3)(tensor)
    deep = conv(3)(layers.MaxPooling2D(2)(skip))
    wide = layers.Conv2DTranspose(4, 2, strides=2, padding="same")(deep)
    return conv(3)(layers.Concatenate()([wide, skip]))


def nested(tensor):
    """A model with two outputs, one of them unused, holding a Sequential that is used twice."""
    inside = keras.Input((None, None, 4))
    twice = keras.Sequential([keras.Input((None, None, 4)), conv(3), layers.ReLU()])
    low = layers.MaxPooling2D(2)(twice(inside))
    used = layers.UpSampling2D(2)(twice(low))
    block = keras.Model(inside, [conv(9)(used), layers.Add()([used, inside])])
    return conv(3)(block(conv(3)(tensor))[1])


BY_HAND = {
    "identity": (lambda: chain(layers.Identity()), 0, 1),
    "1x1": (lambda: chain(conv(1)), 0, 1),
    "3x3": (lambda: chain(conv(3)), 1, 1),
    "3x7, the wider axis counts": (lambda: chain(conv((3, 7))), 3, 1),
    "dilated": (lambda: chain(conv(3, dilation_rate=4)), 4, 1),
    "even kernel reads 0..1": (lambda: chain(conv(2)), 1, 1),
    "even kernel reads -1..2": (lambda: chain(conv(4)), 2, 1),
    "separable and depthwise": (
        lambda: chain(
            layers.SeparableConv2D(4, 3, padding="same"),
            layers.DepthwiseConv2D(5, padding="same"),
            layers.AveragePooling2D(3, strides=1, padding="same"),
        ),
        4,
        1,
    ),
    "padding by hand reads -3..0": (
        lambda: chain(layers.ZeroPadding2D(((3, 0), (1, 2))), conv(4, padding="valid")),
        3,
        1,
    ),
    "pool and repeat": (lambda: chain(layers.MaxPooling2D(2), layers.UpSampling2D(2)), 1, 2),
    "pool 3 and repeat": (lambda: chain(layers.MaxPooling2D(3), layers.UpSampling2D(3)), 2, 3),
    "pool and interpolate": (
        lambda: chain(layers.MaxPooling2D(2), layers.UpSampling2D(2, interpolation="bilinear")),
        2,
        2,
    ),
    "pool, 3x3, repeat": (
        lambda: chain(layers.MaxPooling2D(2), conv(3), layers.UpSampling2D(2)),
        3,
        2,
    ),
    "strided 3x3 reads 0..2": (lambda: chain(conv(3, strides=2), layers.UpSampling2D(2)), 2, 2),
    "two strides and two transposed": (
        lambda: chain(
            layers.AveragePooling2D(2),
            layers.MaxPooling2D(2),
            layers.Conv2DTranspose(4, 2, strides=2),
            layers.Conv2DTranspose(4, 2, strides=2),
        ),
        3,
        4,
    ),
    "overlapping transposed kernel": (
        lambda: chain(layers.MaxPooling2D(2), layers.Conv2DTranspose(4, 4, 2, padding="same")),
        2,
        2,
    ),
    "small U-Net": (lambda: small_unet, 5, 2),
    "pool 3 and interpolate": (
        lambda: chain(layers.MaxPooling2D(3), layers.UpSampling2D(3, interpolation="bilinear")),
        3,
        3,
    ),
    "pool 6, interpolate by 2 and 3": (
        lambda: chain(
            layers.AveragePooling2D(6),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.UpSampling2D(3, interpolation="bilinear"),
        ),
        9,
        6,
    ),
    "repeat by 5": (lambda: chain(layers.MaxPooling2D(5), layers.UpSampling2D(5)), 4, 5),
    "pointwise around 3x3": (
        lambda: chain(
            layers.Dense(4),
            layers.LayerNormalization(),
            conv(3),
            layers.LayerNormalization(axis=[3]),
            layers.PReLU(shared_axes=[1, 2]),
            layers.RMSNormalization(),
            layers.UnitNormalization(),
            layers.Dense(2, activation="sigmoid"),
        ),
        1,
        1,
    ),
    "models in models": (lambda: nested, 6, 2),
}

UNETS = {
    "2 levels": {"levels": 2},
    "3 levels, 5x5": {"levels": 3, "kernel": 5},
    "3 levels, 7x7": {"levels": 3, "kernel": 7},
    "3 levels, 2x4": {"levels": 3, "kernel": (2, 4)},
    "3 levels, dilated": {"levels": 3, "dilation": 3},
    "4 levels, nearest": {"levels": 4, "up": "nearest", "norm": True},
    "4 levels, bilinear": {"levels": 4, "up": "bilinear"},
    "4 levels, transposed 3x3": {"levels": 4, "up": "transpose3", "norm": True},
    "5 levels": {"levels": 5, "filters": 2},
}


@pytest.mark.parametrize(("body", "halo", "stride"), BY_HAND.values(), ids=BY_HAND)
def test_by_hand_and_by_perturbation(make_model, body, halo, stride):
    model = make_model(body())
    assert receptive_field(model) == ReceptiveField(halo, stride)
    assert perturbed_halo(model) == halo


@pytest.mark.parametrize("options", UNETS.values(), ids=UNETS)
def test_unets_by_perturbation(make_unet, options):
    model = make_unet(**options)
    field = receptive_field(model)
    assert field.stride == 2 ** (options["levels"] - 1)
    assert perturbed_halo(model) == field.halo
    verify_receptive_field(model, field)


def test_pointwise_layers_add_nothing(make_model):
    body = chain(
        layers.Rescaling(1 / 255),
        conv(3, activation="relu"),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Dropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.Activation("sigmoid"),
        layers.Softmax(),
    )
    assert receptive_field(make_model(body)) == ReceptiveField(1, 1)


@pytest.mark.parametrize(
    "merge", [layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Subtract]
)
def test_merging_takes_the_widest(make_model, merge):
    model = make_model(lambda tensor: merge()([conv(3)(tensor), conv((1, 5))(tensor)]))
    assert receptive_field(model) == ReceptiveField(2, 1)
    assert perturbed_halo(model) == 2


def test_shift_and_back_needs_context(make_model):
    # an output reads its own pixel alone, but the tile must hold it while it is shifted
    model = make_model(
        chain(
            layers.ZeroPadding2D(((5, 0), (0, 0))),
            layers.Cropping2D(((0, 5), (0, 0))),
            layers.Cropping2D(((5, 0), (0, 0))),
            layers.ZeroPadding2D(((0, 5), (0, 0))),
        )
    )
    assert receptive_field(model) == ReceptiveField(5, 1)


def test_sequential_and_shared_layers(make_model):
    sequential = keras.Sequential([keras.Input((None, None, 3)), conv(3), layers.ReLU(), conv(5)])
    assert receptive_field(sequential) == ReceptiveField(3, 1)
    assert perturbed_halo(sequential) == 3
    shared = conv(3)
    assert receptive_field(make_model(chain(conv(1), shared, shared, shared))).halo == 3


class TwoOutputs(layers.Layer):
    def call(self, inputs):
        return inputs, inputs + 1.0


REFUSED = {
    "GlobalAveragePooling2D": lambda t: layers.Multiply()(
        [t, layers.GlobalAveragePooling2D(keepdims=True)(t)]
    ),
    r"GroupNormalization): it looks at the whole": layers.GroupNormalization(1),
    r"Attention): it looks at the whole": lambda t: layers.Attention()([t, t]),
    r"Resizing): it looks at the whole": layers.Resizing(20, 20),
    "'inner' (Lambda)": keras.Sequential(
        [keras.Input((None, None, 3)), layers.Lambda(lambda x: x, name="inner")]
    ),
    "makes 2 tensors": lambda t: TwoOutputs()(t)[0],
    "Lambda": layers.Lambda(lambda x: x),
    "Reshape": lambda t: layers.Conv1D(3, 3)(layers.Reshape((-1, 3))(t)),
    "axis 1 is not": layers.Softmax(axis=1),
    "'bicubic' is not known": layers.UpSampling2D(2, interpolation="bicubic"),
    "output_padding": layers.Conv2DTranspose(4, 3, 2, output_padding=1),
    "channels come first": layers.UpSampling2D(2, data_format="channels_first"),
    "training=True": lambda t: layers.Dropout(0.5)(t, training=True),
    "different scales": lambda t: layers.Add()([conv(3)(t), conv(3, strides=2)(t)]),
    "different scales or sizes": lambda t: layers.Add()([conv(3)(t), conv(3, padding="valid")(t)]),
}


@pytest.mark.parametrize(("reason", "body"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_tiled_is_named(make_model, reason, body):
    model = make_model(body)
    with pytest.raises(TilingError, match="cannot be tiled exactly because of layer") as caught:
        receptive_field(model)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("reason", "layer"),
    [
        (r"axis \[1, 2, 3\] is not that", layers.LayerNormalization(axis=[1, 2, 3])),
        ("slope for each pixel", layers.PReLU()),
    ],
)
def test_weights_of_places_cannot_be_tiled(reason, layer):
    model = keras.Sequential([keras.Input((8, 8, 3)), layer])
    with pytest.raises(TilingError, match=reason):
        receptive_field(model)


def test_message_names_layer_and_class(make_model):
    model = make_model(layers.GroupNormalization(1, name="whitening"))
    with pytest.raises(TilingError, match=r"'whitening' \(GroupNormalization\).*replace"):
        receptive_field(model)


@pytest.mark.parametrize(
    "body", [conv(3, strides=2), conv(3, padding="valid"), layers.UpSampling2D(2)]
)
def test_output_of_another_size(make_model, body):
    with pytest.raises(TilingError, match="not of its input's size"):
        receptive_field(make_model(body))


def test_model_without_one_graph():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(TilingError, match="no graph to read"):
        receptive_field(Subclassed())
    image = keras.Input((None, None, 3))
    with pytest.raises(TilingError, match="one image"):
        receptive_field(keras.Model(image, [image, conv(3)(image)]))


def test_verification_finds_a_hidden_reach(make_model):
    def whitened(tensor):
        return tensor - ops.mean(tensor, axis=(1, 2), keepdims=True)

    model = make_model(layers.Activation(whitened))
    assert receptive_field(model).halo == 0
    with pytest.raises(TilingError, match="halo of 0 rows away"):
        verify_receptive_field(model)


def test_verification_finds_a_halo_too_small(make_unet):
    model = make_unet(3)
    field = receptive_field(model)
    verify_receptive_field(model)
    with pytest.raises(TilingError, match="rows away change"):
        verify_receptive_field(model, ReceptiveField(field.halo - field.stride, field.stride))


def test_verification_looks_along_both_axes(make_model):
    model = make_model(conv((1, 9), kernel_initializer="ones"))
    with pytest.raises(TilingError, match="3 columns away"):
        verify_receptive_field(model, ReceptiveField(3, 1))
