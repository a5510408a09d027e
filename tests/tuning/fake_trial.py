"""Stands in for ``tiledseg.tuning.execution.trial_main``: the same protocol, no training.

What it does follows from the trial's learning rate and the variable ``FAKE_TRIAL`` (JSON):
``epoch_seconds``, and ``die``, ``fail``, ``hang``, ``eat`` at a learning rate above a number. With
``refuse``, preparing fails for that reason; ``undefined`` names scores that no image has; with
``nowhere``, no validation tile has a class.
"""

import json
import math
import os
import signal
import sys
import threading
import time

import yaml


def send(**message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def read_answers(answers):
    for line in sys.stdin:
        answers.append(json.loads(line))
    os._exit(1)


def main():
    request = json.loads(sys.stdin.readline())
    answers = []
    threading.Thread(target=read_answers, args=[answers], daemon=True).start()
    plan = json.loads(os.environ.get("FAKE_TRIAL", "{}"))
    if request["do"] == "prepare":
        if "refuse" in plan:
            reason = f"{plan['refuse']}: {', '.join(request['objectives'])}"
            send(event="failed", outcome="infeasible", reason=reason)
        else:
            send(event="ended", digest="0")
        return
    experiment = yaml.safe_load(request["experiment"])
    rate = float(experiment["training"]["learning_rate"])
    score = 1.0 - abs(math.log10(rate) + 2.5) / 4

    def due(what):
        return rate > plan.get(what, math.inf)

    if request["count_parameters"]:
        send(event="built", parameters=int(experiment["model"]["base_filters"]) * 1000)
        if not wait(answers):
            send(event="left")
            return
    if due("fail"):
        send(event="failed", outcome="diverged", reason="the loss is nan")
        return
    if due("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if due("crash"):
        sys.exit("Segmentation something")
    epochs = int(experiment["training"]["epochs"])
    for epoch in range(1, epochs + 1):
        time.sleep(plan.get("epoch_seconds", 0.0))
        if due("hang"):
            time.sleep(3600)
        if due("eat"):
            eaten = bytearray(os.urandom(1 << 20) * 400)
            time.sleep(3600)
            del eaten
        value = score * (1.0 - 0.5**epoch)
        dice = math.nan if plan.get("nowhere") else value
        metrics = {"val_dice_coef": dice, "val_loss": 1 - value}
        send(event="epoch", epoch=epoch, is_last=epoch == epochs, metrics=metrics)
        if not wait(answers):
            send(event="left")
            return
    metrics = {
        "val_dice_coef": value,
        "val_loss": 1 - value,
        "valid/tiled/dice": score,
        "valid/tiled/seconds_per_megapixel": 10 * rate,
        **{f"valid/tiled/images/{name}": 0.0 for name in plan.get("undefined", ())},
    }
    send(event="ended", metrics=metrics, best_epoch=epochs, busy_seconds=0.0)


def wait(answers):
    while not answers:
        time.sleep(0.002)
    return answers.pop(0)["go_on"]


if __name__ == "__main__":
    main()
