"""The graph of a Keras model as a list of single layers, models inside it unfolded."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import keras

from tiledseg.errors import TilingError
from tiledseg.tiling.network.layer_footprint import untileable

TRAINS = "it is called with training=True"


@dataclass(frozen=True)
class Step:
    """One layer applied once.

    Attributes:
        layer: The Keras layer or operation; None for the input.
        sources: Numbers of the tensors it is given.
        result: Number of the tensor it makes.
        channels: Channels of the first tensor it is given, and of the one it makes.
        trains: Whether it is called with training=True.
        extra: Whether it is called with more than its tensors and ``training``.
    """

    layer: Any
    sources: tuple[int, ...]
    result: int
    channels: tuple[int, int]
    trains: bool = False
    extra: bool = False


def steps_of(model: Any) -> list[Step]:
    """The layers of a model in the order in which they can be applied, from input to output.

    Models used as layers are replaced by their own layers, once for every use.

    Args:
        model: A Functional or Sequential keras.Model, (N, H, W, C) -> (N, H, W, K).

    Raises:
        TilingError: The model, or one inside it, has no graph; it does not take one image and
            give one; or a layer makes several tensors.
    """
    graph = _graph(model)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or len(graph.inputs[0].shape) != 4:
        raise TilingError(
            f"model {model.name!r} has inputs {graph.inputs} and outputs {graph.outputs}; "
            "tiling needs one image (N, H, W, C) in and one out"
        )
    numbers = count()
    first = next(numbers)
    numbered = {id(graph.inputs[0]): first}
    steps = [
        Step(None, (), first, (graph.inputs[0].shape[-1],) * 2),
        *_unfold(graph, numbered, numbers),
    ]
    return _leading_to(numbered[id(graph.outputs[0])], steps)


def _unfold(graph: Any, numbered: dict[int, int], numbers: Iterator[int]) -> Iterator[Step]:
    """Steps of a graph whose inputs have numbers; its other tensors are given theirs."""
    by_depth = graph._nodes_by_depth
    for node in (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]):
        if node.is_input:
            continue
        layer = node.operation
        sources = tuple(numbered[id(tensor)] for tensor in node.input_tensors)
        trains = bool(node.arguments.kwargs.get("training"))
        if isinstance(layer, keras.Model):
            if trains:
                raise untileable(layer, TRAINS)
            inner = _graph(layer)
            inside = dict(zip(map(id, inner.inputs), sources, strict=True))
            yield from _unfold(inner, inside, numbers)
            made = [inside[id(tensor)] for tensor in inner.outputs]
            numbered |= dict(zip(map(id, node.outputs), made, strict=True))
            continue
        if len(node.outputs) != 1:
            raise untileable(layer, f"it makes {len(node.outputs)} tensors")
        result = numbered[id(node.outputs[0])] = next(numbers)
        channels = node.input_tensors[0].shape[-1], node.outputs[0].shape[-1]
        given = {name for name, value in node.arguments.kwargs.items() if value is not None}
        extra = len(node.arguments.args) > 1 or bool(given - {"training"})
        yield Step(layer, sources, result, channels, trains, extra)


def _leading_to(result: int, steps: list[Step]) -> list[Step]:
    """Steps without those whose tensors are not used; a model inside may make such."""
    wanted, kept = {result}, []
    for step in reversed(steps):
        if step.result in wanted:
            wanted |= set(step.sources)
            kept.append(step)
    return kept[::-1]


def _graph(model: Any) -> Any:
    """The Functional model that holds the graph; a Sequential keeps one inside."""
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise TilingError(
            f"model {model.name!r} ({type(model).__name__}) has no graph to read, so it cannot be "
            "tiled exactly; build it as a Functional or Sequential model with an Input"
        )
    return graph
