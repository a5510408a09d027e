"""No command asks anything of another machine: neither the product nor what it is built on."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("unshare") is None,
        reason="needs Linux' network namespaces",
    ),
]

HELPER = Path(__file__).with_name("closed_network.py")
QUIETERS = ("CI", "PYTEST_", "GITHUB_", "DO_NOT_TRACK", "MLFLOW_DISABLE", "BUILD", "JENKINS")
"""Beginnings of variables that keep MLflow from sending by themselves."""


@pytest.fixture
def run(tmp_path, tiny_experiment, tiny_dataset):
    """Runs Python in a closed network; returns what it asked of others."""
    tiny_dataset(tmp_path / "data")
    (tmp_path / "Tiny.yaml").write_text(tiny_experiment(training={"epochs": 1}).to_yaml())
    (tmp_path / "experiments").mkdir()  # where a sweep writes the best one
    (tmp_path / "space.yaml").write_text(
        "parameters: {training.learning_rate: {type: float, low: 0.001, high: 0.01}}\n"
    )

    def call(*words, **variables):
        kept = {key: text for key, text in os.environ.items() if not key.startswith(QUIETERS)}
        done = subprocess.run(
            ["unshare", "--map-root-user", "--net", sys.executable, HELPER, sys.executable, *words],
            cwd=tmp_path,
            env={**kept, **variables},
            text=True,
            capture_output=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        return found["status"], found["asked"], done.stderr

    return call


def test_the_listener_hears_what_goes_out(run):
    """Otherwise the test below could not fail."""
    ask = "import socket; socket.create_connection(('192.0.2.1', 443), 5); "
    ask += "socket.getaddrinfo('example.org', 80)"
    _, asked, _ = run("-c", ask)
    assert "192.0.2.1:443" in asked
    assert "example.org" in asked
    log = "import mlflow, time; mlflow.create_experiment('a'); time.sleep(3)"
    _, asked, _ = run("-c", log)  # MLflow itself, without the product
    assert asked, "MLflow sends nothing any more: the product need not keep it from doing so"


def test_no_command_asks_another_machine(run, tmp_path):
    image = str(next((tmp_path / "data" / "Tiny" / "test" / "images").iterdir()))
    commands = (
        ("check", "Tiny"),
        ("train", "--experiment", "Tiny.yaml"),
        ("evaluate", "--model", "Tiny", "--experiment", "Tiny.yaml"),
        ("predict", "--model", "Tiny", "--images", image, "--output", "masks"),
        ("sweep", "--experiment", "Tiny.yaml", "--space", "space.yaml", "--trials", "1"),
        ("doctor",),
        ("datasets",),
        ("architectures",),
    )
    for words in commands:
        status, asked, output = run("-m", "tiledseg", *words)
        assert (status, asked) == (0, []), (words, output)


def test_the_library_asks_nothing_either(run):
    use = (
        "import time; from tiledseg import train; "
        "from tiledseg.config.experiment import load_experiment; "
        "from pathlib import Path; train(load_experiment(Path('Tiny.yaml'))); time.sleep(3)"
    )
    status, asked, output = run("-c", use)
    assert (status, asked) == (0, []), output


def test_who_asks_for_it_has_it(run):
    """MLflow's own switch is obeyed."""
    use = "import tiledseg, mlflow, time; mlflow.create_experiment('a'); time.sleep(3)"
    assert run("-c", use)[1] == []
    assert run("-c", use, MLFLOW_DISABLE_TELEMETRY="false")[1] != []
