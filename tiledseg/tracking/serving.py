"""The registered model as MLflow loads it: an image of any size in, a mask out.

MLflow runs this file itself ("models from code"); nothing else imports it.
"""

import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel, PythonModelContext

# The code that the model was logged with lies beside it; it is used where none is loaded yet.
_CODE = Path(__file__).parent / "artifacts" / "code" / "tiledseg.zip"
if _CODE.is_file() and "tiledseg" not in sys.modules:
    sys.path.insert(0, str(_CODE))

from tiledseg.errors import ImageError  # noqa: E402
from tiledseg.masks.classes import labels_of  # noqa: E402
from tiledseg.prediction.predictor import Predictor  # noqa: E402

OUTPUTS = ("mask", "probability")


class ServedModel(PythonModel):
    """``predict(image, params={"mode": "tiled", "output": "mask"})``."""

    # MLflow reads a hint on model_input as the type of a table's rows; ours is one image, which
    # Predictor checks.
    _skip_type_hint_validation = True

    def load_context(self, context: PythonModelContext) -> None:
        """Read the network once."""
        self._predictor = Predictor.load(Path(context.artifacts["predictor"]))

    def predict(  # type: ignore[no-untyped-def]
        self,
        context: PythonModelContext,  # noqa: ARG002
        model_input,
        params: dict[str, Any] | None = None,
    ) -> Any:
        """Segment one image.

        Args:
            context: Unused; MLflow passes it.
            model_input: (H, W, 3) uint8 RGB.
            params: ``mode`` (see ``Predictor.probability``) and ``output`` (mask or probability).

        Returns:
            mask: (H, W) uint8, 0 or 255, or labels from 0 where the network has several classes;
            probability: (H, W) float32, or (H, W, K).
        """
        asked = {"mode": "tiled", "output": "mask", **(params or {})}
        if asked["output"] not in OUTPUTS:
            raise ImageError(f"output is {asked['output']!r}; use one of {', '.join(OUTPUTS)}")
        image = np.asarray(model_input)
        probability = self._predictor.probability(image, asked["mode"])
        several = probability.shape[2] > 1
        if asked["output"] == "probability":
            return probability if several else probability[..., 0]
        labels = labels_of(probability)
        return labels if several else labels * np.uint8(255)


mlflow.models.set_model(ServedModel())
