"""Lines of JSON between a process and the one that started it.

When the other side ends, however it ends, its end of the pipe is closed. So a process that reads
notices the death of its parent.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import FileIO, RawIOBase
from typing import Any, Self, cast

Message = dict[str, Any]
_CHUNK = 65536


class Channel:
    """Sends and receives messages.

    Args:
        reader: Where messages come from; a raw file, for a buffered one could not be left behind
            by a thread that still reads when the program ends.
        writer: Where they go; a raw file.
        on_end: Called in a thread of its own when the other side has ended.
    """

    def __init__(
        self, reader: RawIOBase, writer: RawIOBase, on_end: Callable[[], None] | None = None
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
        reader, writer = FileIO(os.dup(0), "rb"), FileIO(os.dup(1), "wb")
        os.dup2(2, 1)
        return cls(reader, writer, on_end)

    @classmethod
    def to_child(cls, process: subprocess.Popen[bytes]) -> Self:
        """The parent's side of a process that was started with two unbuffered pipes."""
        return cls(cast(RawIOBase, process.stdout), cast(RawIOBase, process.stdin))

    def send(self, message: Mapping[str, Any]) -> None:
        """Write one message; lost without complaint when the other side has ended."""
        line = json.dumps(message).encode() + b"\n"
        with suppress(ValueError, OSError):
            while line:
                line = line[self._writer.write(line) or 0 :]

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
        with suppress(OSError):
            self._writer.close()

    def _listen(self) -> None:
        with suppress(ValueError, OSError):  # cut off in the middle of a line, or closed here
            rest = b""
            while chunk := self._reader.read(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._inbox.put(json.loads(line))
        self._inbox.put(None)
        if self._on_end is not None:
            self._on_end()
