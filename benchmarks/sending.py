"""What it costs a training to log to a server that answers slowly.

    python benchmarks/sending.py [--rounds 3] [--wait 0.2]

Trains the same network alternately with a local store, and with an MLflow server behind a proxy
that waits before it passes an answer on. Prints for each round the seconds of training, and last
the median of their ratios, slow over local.
"""

import argparse
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SETTINGS = (
    "dataset.synthetic={seed: 1, size: 512, train: 4, valid: 2, test: 1}",
    "image.size=256",
    "model.base_filters=8",
    "training.epochs=4",
    "training.steps_per_epoch=60",
    "training.batch_size=4",
    "training.precision=float32",
    "training.patience=99",
)


class SlowProxy(BaseHTTPRequestHandler):
    """Passes requests on to a server, and waits before it answers."""

    port, wait = 0, 0.2
    protocol_version = "HTTP/1.1"

    def forward(self) -> None:
        """Pass one request on."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        time.sleep(self.wait)
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in {"transfer-encoding", "content-length", "connection"}:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - its caller's names

    def log_message(self, *_: object) -> None:
        """Nothing."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wait", type=float, default=0.2, help="seconds before each answer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        server, port = start_server(folder / "server")
        try:
            SlowProxy.port, SlowProxy.wait = port, options.wait
            proxy = ThreadingHTTPServer(("127.0.0.1", 0), SlowProxy)
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            slow = f"http://127.0.0.1:{proxy.server_port}"
            stores = {"local": f"sqlite:///{folder / 'mlflow.db'}", "slow": slow}
            train(folder, stores["local"])  # draws the data, and fills the cache
            ratios = []
            for number in range(options.rounds):
                order = list(stores.items())[:: 1 if number % 2 else -1]
                seconds = {name: train(folder, store) for name, store in order}
                ratios.append(seconds["slow"] / seconds["local"])
                print(
                    f"round {number}: local {seconds['local']:.1f} s, slow {seconds['slow']:.1f} s",
                    flush=True,
                )
        finally:
            os.killpg(server.pid, 15)
            server.wait(60)
    print(f"{statistics.median(ratios):.3f}")


def train(folder: Path, store: str) -> float:
    """Train once; returns the seconds that the training itself took."""
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": store,
        "TILEDSEG_DATA": str(folder / "data"),
        "TILEDSEG_CACHE": str(folder / "cache"),
        "TILEDSEG_STATE": str(folder / "state"),
    }
    code = (
        "import sys; from pathlib import Path; from tiledseg import train; "
        "from tiledseg.config.experiment import load_experiment; "
        "experiment = load_experiment(Path(sys.argv[1]), sys.argv[2:]); "
        "print(train(experiment, splits=['valid']).training_seconds)"
    )
    file = Path(__file__).resolve().parents[1] / "experiments" / "Synthetic-Cell.yaml"
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), *SETTINGS],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def start_server(folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
    """An MLflow server of its own; returns its process and port."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
         "--workers", "1", "--backend-store-uri", "sqlite:///mlflow.db"],
        cwd=folder, env={**os.environ, "MLFLOW_TRACKING_URI": ""}, process_group=0,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.2)
    raise RuntimeError("the server does not answer")


if __name__ == "__main__":
    main()
