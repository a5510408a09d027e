"""Lines of JSON between a process and the one that started it.

The pipe is also a lifeline: when the other side ends, however it ends, reading does too.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import IO, Any, Self

Message = dict[str, Any]


class Channel:
    """Sends and receives messages.

    Args:
        reader: Where messages come from.
        writer: Where they go.
        on_end: Called in a thread of its own when the other side has ended.
    """

    def __init__(
        self, reader: IO[bytes], writer: IO[bytes], on_end: Callable[[], None] | None = None
    ) -> None:
        self._reader, self._writer, self._on_end = reader, writer, on_end
        self._inbox: queue.Queue[Message | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    @classmethod
    def to_parent(cls, on_end: Callable[[], None]) -> Self:
        """The child's side, on standard input and output.

        What libraries print from now on goes to standard error.
        """
        sys.stdout.flush()
        writer = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        return cls(sys.stdin.buffer, writer, on_end)

    @classmethod
    def to_child(cls, process: subprocess.Popen[bytes]) -> Self:
        """The parent's side of a process that was started with two pipes."""
        assert process.stdin is not None
        assert process.stdout is not None
        return cls(process.stdout, process.stdin)

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one message; lost without complaint when the other side has ended."""
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            self._writer.flush()
        except (BrokenPipeError, ValueError, OSError):
            return

    def receive(self, timeout: float | None = None) -> Message | None:
        """The next message, or None when the other side has ended.

        Raises:
            queue.Empty: None came in time.
        """
        message = self._inbox.get(timeout=timeout)
        if message is None:
            self._inbox.put(None)
        return message

    def close(self) -> None:
        """Tell the other side that this one has ended."""
        try:
            self._writer.close()
        except OSError:
            return

    def _listen(self) -> None:
        try:
            for line in self._reader:
                self._inbox.put(json.loads(line))
        except (ValueError, OSError):  # cut off in the middle of a line, or closed here
            pass
        self._inbox.put(None)
        if self._on_end is not None:
            self._on_end()
