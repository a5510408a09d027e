"""The options of a sweep: names, types, defaults and descriptions, for every door to it.

The command line takes them from here. Nothing heavy is imported, as ``--help`` shows them.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from tiledseg.errors import SweepError
from tiledseg.tracking.names import DEFAULT_OBJECTIVE

DEFAULT_TRIALS = 20


def _option(default: Any, description: str, *, least: float | None = None, flag: str = "") -> Any:
    """A field with what the command line has to know about it.

    Args:
        default: Zero and empty text stand for what ``fill_defaults`` or the study puts there.
        description: For ``--help``.
        least: The smallest value that is accepted.
        flag: Name on the command line where it is not the field's.
    """
    return field(
        default=default, metadata={"description": description, "least": least, "flag": flag}
    )


@dataclass(frozen=True)
class SweepOptions:
    """How a study is searched, by one machine in one session.

    Raises:
        SweepError: A number is too small.
    """

    trials: int = _option(
        0,
        f"Trials of the study; 0: {DEFAULT_TRIALS}, or as many as fit into --hours.",
        least=0,
    )
    hours: float = _option(0.0, "After so long no trial begins; 0: no limit.", least=0)
    storage: str = _option(
        "",
        "sqlite:///FILE or postgresql://...; by default TILEDSEG_STORAGE, or sweeps.db "
        "beside mlflow.db.",
    )
    study: str = _option("", "Name; by default dataset and search space.")
    workers: int = _option(1, "Trials side by side on this machine.", least=1)
    trial_minutes: float = _option(
        0.0, "Minutes of training in a trial; 0: the experiment's.", least=0
    )
    trial_epochs: int = _option(0, "Epochs of a trial; 0: the experiment's.", least=0)
    trial_timeout: float = _option(
        0.0, "Minutes until a trial is killed; 0: 3 times its minutes and 10.", least=0
    )
    trial_memory: float = _option(
        0.0, "GB at which a trial is killed; 0: nine tenths of the machine's.", least=0
    )
    sampler: str = _option("tpe", "tpe, nsga2, random, grid, gp or cmaes.")
    pruner: str = _option(
        "", "asha, hyperband, median or none; by default asha, with several objectives none."
    )
    objectives: tuple[str, ...] = _option(
        (),
        f"A metric, by default {DEFAULT_OBJECTIVE}; several give a Pareto front.",
        flag="objective",
    )
    seed: int = _option(137, "Seed of the sampler.", least=0)

    def __post_init__(self) -> None:
        for one in fields(self):
            least, given = one.metadata["least"], getattr(self, one.name)
            if least is not None and not given >= least:
                raise SweepError(f"--{one.name.replace('_', '-')} is {given}; use {least} or more")

    def fill_defaults(self, study: str, storage: str) -> "SweepOptions":
        """The same with every default that does not depend on the experiment.

        Args:
            study: Name of the study unless one was given.
            storage: Where studies live unless an address was given.
        """
        return replace(
            self,
            study=self.study or study,
            storage=self.storage or storage,
            trials=self.trials or (0 if self.hours else DEFAULT_TRIALS),
            pruner=self.pruner or ("none" if len(self.objectives) > 1 else "asha"),
            objectives=self.objectives or (DEFAULT_OBJECTIVE,),
        )
