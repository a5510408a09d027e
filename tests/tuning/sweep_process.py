"""A sweep of fake trials in a process of its own, to be killed.

    python sweep_process.py OPTIONS (JSON)

Works in the current folder; the space is that of ``conftest``.
"""

import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import FAKE, SPACE, Watcher

from tiledseg.config.experiment import Experiment
from tiledseg.config.strict_yaml import parse_yaml
from tiledseg.tuning.options import SweepOptions
from tiledseg.tuning.results import report
from tiledseg.tuning.search.space import parse_space
from tiledseg.tuning.sweep import sweep

if __name__ == "__main__":
    # As if a person had started it: what a shell starts in the background ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    experiment = Experiment.model_validate(
        {
            "dataset": {"name": "Tiny"},
            "image": {"size": 32},
            "model": {"base_filters": 4, "num_layers": 2},
            "training": {"epochs": 4, "learning_rate": 0.01},
            "tiling": {"max_tile": 64},
        }
    )
    space = parse_space(parse_yaml(SPACE), "tiny.yaml")
    report.draw_plots = lambda *_: None  # seconds of pictures, which other tests look at
    sweep(experiment, space, SweepOptions(**json.loads(sys.argv[1])), Watcher(), command=FAKE)
