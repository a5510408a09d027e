"""Runs a command where every address in the world is this machine, and counts who calls.

Called as a program by ``test_nothing_goes_out``, in a network namespace of its own:

    unshare --map-root-user --net python closed_network.py COMMAND [ARG ...]

All of IPv4 is local there, so whatever a command asks of another host, by name or by number,
arrives here. Writes one JSON line last: the exit status, and what was asked.
"""

import json
import selectors
import socket
import subprocess
import sys

_PORTS = (53, 80, 443)


def listen() -> selectors.BaseSelector:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo"], check=True)
    listening = selectors.DefaultSelector()
    for kind, ports in ((socket.SOCK_STREAM, _PORTS), (socket.SOCK_DGRAM, (53,))):
        for port in ports:
            place = socket.socket(socket.AF_INET, kind)
            place.bind(("0.0.0.0", port))
            if kind == socket.SOCK_STREAM:
                place.listen()
            listening.register(place, selectors.EVENT_READ, port)
    return listening


def hear(listening: selectors.BaseSelector, seconds: float) -> list[str]:
    """What was asked within some time: names, and addresses with ports."""
    asked = []
    for key, _ in listening.select(seconds):
        place = key.fileobj
        assert isinstance(place, socket.socket)
        if place.type == socket.SOCK_DGRAM:
            question, _ = place.recvfrom(2000)
            letters = (chr(byte) if chr(byte).isalnum() else "." for byte in question[13:-5])
            asked.append("".join(letters))
        else:
            caller, _ = place.accept()
            asked.append("{}:{}".format(*caller.getsockname()[:2]))
            caller.close()
    return asked


def main() -> None:
    listening = listen()
    asked: list[str] = []
    running = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    while running.poll() is None:
        asked += hear(listening, 0.2)
    asked += hear(listening, 0.2)
    print(json.dumps({"status": running.returncode, "asked": sorted(set(asked))}))  # noqa: T201


if __name__ == "__main__":
    main()
