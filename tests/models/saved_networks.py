"""In a process of its own: load networks, and compare their answers with those on file."""

import json
import sys
from pathlib import Path

import keras
import numpy as np

import tiledseg.prediction.predictor  # noqa: F401  # what a served model imports

folder = Path(sys.argv[1])
apart = {}
for path in sorted(folder.glob("*.keras")):
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    with np.load(path.with_suffix(".npz")) as kept:
        answer = np.asarray(model(kept["images"], training=False))
        apart[path.stem] = float(np.abs(answer - kept["answer"]).max())
(folder / "apart.json").write_text(json.dumps(apart))
