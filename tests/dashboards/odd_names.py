"""Fifty kinds of names that users may give, and a store where everything is called by them."""

import shutil
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
from mlflow.entities import Metric, Param, Run, RunTag

from tiledseg.config.format_version import FORMAT_VERSION

NAMES = (
    "a__b", "__init__", "__", "a_b_c", "-leading", "trailing-", ".hidden", "two  blanks", " blank",
    "it's", 'say "hi"', "back`tick", "``two``", "back\\slash", "semi;colon", "a,b", "a=b", "a&b",
    "&lt;b&gt;", "100%", "%41", "?query", "#hash", "# heading", "1. list", "- list", "> quote",
    "*bold*", "_under_", "~~gone~~", "==mark==", "$x^2$", "$(id)", "${HOME}", "{brace}",
    "[link](x)", "![picture](x.png)", "<b>bold<b>", "<img src=x onerror=alert(1)>",
    "<script>alert(1)<", "a|b|c", "Größe_01", "img (1)", "細胞", "क्षेत्र", "תאים",
    "\u202eright to left", "zero\u200bwidth", "🔬🧫", ":red[words] :smile:",
    "e\u0301 and \u00e9", "n" * 250,
)  # fmt: skip
"""None holds a slash, which is no part of a file's name, and each fits into 250 bytes."""


def add_everything(good: Run, name: str, picture: str) -> None:
    """A dataset, a run with masks of an image, a class, a version, a study and a tag of that name.

    Args:
        good: A run with masks of ``disc 4``, which are copied.
        name: What all is called.
        picture: Markdown of a picture on another host, beside the name where slashes may be.
    """
    client = mlflow.MlflowClient()
    long = f"{name} {picture}"
    experiment_id = client.create_experiment(name)
    now = int(time.time() * 1000)
    study = _add_run(client, experiment_id, long, "sweep", {"tiledseg.study": long})
    for number in range(2):
        tags = {"mlflow.parentRunId": study, "tiledseg.trial": str(number)}
        tags["tiledseg.outcome"] = "complete"
        trial = _add_run(client, experiment_id, f"{long} {number}", "trial", tags)
        client.log_batch(
            trial,
            metrics=[Metric("valid/tiled/dice", 0.5 + 0.1 * number, now, 1)],
            params=[Param("model.base_filters", str(4 * number + 4))],
        )
        client.set_terminated(trial)
    client.set_terminated(study)
    run_id = _add_run(client, experiment_id, long, "train")
    params = {**good.data.params, "dataset.name": name}
    metrics = good.data.metrics | {
        f"{split}/{mode}/{score}/{_class_of(name)}": value
        for split in ("valid", "test")
        for mode in ("tiled", "resized")
        for score, value in (("dice", 0.5), ("images/dice", 1))
    }
    client.log_batch(
        run_id,
        metrics=[Metric(key, value, now, 0) for key, value in metrics.items()],
        params=[Param(key, value) for key, value in params.items()],
        tags=[RunTag("note", long), RunTag("mlflow.note.content", long)],
    )
    _copy_files(_place_of(good.info.artifact_uri), _place_of(client.get_run(run_id)), name)
    client.set_terminated(run_id)
    if ":" not in name:  # no model may be called so
        client.create_registered_model(name, description=long)
        version = client.create_model_version(
            name, f"runs:/{run_id}/model", run_id, description=long
        )
        client.set_registered_model_alias(name, "champion", version.version)


def _add_run(client, experiment_id, name, kind, more=None):
    tags = {"tiledseg.format": str(FORMAT_VERSION), "tiledseg.kind": kind, "mlflow.runName": name}
    return client.create_run(experiment_id, tags=tags | (more or {})).info.run_id


def _class_of(name: str) -> str:
    """MLflow takes fewer signs in a metric."""
    kept = "".join(sign if sign.isalnum() or sign in "_-. " else "-" for sign in name)
    return kept[:200].strip(" .") or "a"


def _place_of(run: Run | str) -> Path:
    uri = run if isinstance(run, str) else run.info.artifact_uri
    return Path(unquote(urlsplit(uri).path))


def _copy_files(source: Path, target: Path, stem: str) -> None:
    """The files of a run, with another name for one of its images."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    for path in sorted(target.rglob("disc 4.*")):
        path.rename(path.with_name(stem + path.suffix))
    scores = target / "scores.csv"
    quoted = '"' + stem.replace('"', '""') + '"'
    scores.write_text(scores.read_text().replace("disc 4", quoted), encoding="utf-8")
