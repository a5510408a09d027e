"""A U-Net whose skip connections pass through gates.

Oktay et al., "Attention U-Net: Learning Where to Look for the Pancreas", MIDL 2018. The gate
is that of its section 2: of a level's tensor x and the decoder's tensor g,
x * sigmoid(psi(relu(W_x x + W_g g))), with 1 x 1 convolutions. As in the common reference
implementations, g is enlarged before the gate and not after it, by nearest neighbors and a
convolution, so that both have the same size; and convolutions have a bias even where a
normalization follows.
"""

import keras
from keras import layers

from tiledseg.config import ModelSettings
from tiledseg.models.blocks import convolution
from tiledseg.models.unet import build_levels


def build_attention_unet(settings: ModelSettings, channels: int) -> keras.Model:
    """Build the Attention U-Net; see ``tiledseg.models.build_model`` for shapes and dtypes."""
    normalization = settings.normalization

    def enlarge(tensor: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
        tensor = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_double")(tensor)
        return convolution(
            tensor,
            filters,
            activation=settings.activation,
            normalization=normalization,
            bias=True,
            name=name,
        )

    def pass_gate(
        skip: keras.KerasTensor, decoded: keras.KerasTensor, name: str
    ) -> keras.KerasTensor:
        filters = max(1, skip.shape[-1] // 2)
        merged = layers.Add(name=f"{name}_sum")(
            [
                convolution(
                    tensor,
                    filters,
                    kernel=1,
                    activation="linear",
                    normalization=normalization,
                    bias=True,
                    name=f"{name}_{source}",
                )
                for source, tensor in (("encoder", skip), ("decoder", decoded))
            ]
        )
        merged = layers.Activation("relu", name=f"{name}_relu")(merged)
        gate = convolution(
            merged,
            1,
            kernel=1,
            activation="sigmoid",
            normalization=normalization,
            bias=True,
            name=f"{name}_gate",
        )
        return layers.Multiply(name=name)([skip, gate])

    return build_levels(settings, channels, enlarge, pass_gate, bias=True)
