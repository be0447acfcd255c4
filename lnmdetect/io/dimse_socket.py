"""Connections to the listener: how much each may bring at once, and how long it may stall."""

import socket
import time
from typing import Any

HANDSHAKE_BYTES = 1 << 20
"""Longest request for an association; with 128 contexts it is about 50 kB (PS3.8 9.3.2)."""


class MeteredSocket(socket.socket):
    """A connection that breaks off where a message is too long, or stalls, before it fills memory.

    A message names its own length, up to 4 GiB (PS3.8 9.3), and is gathered before anybody looks
    at who sent it.

    Args:
        plain: the connection; it is taken over.
        stalled_s: longest pause amid a message, and longest time for the request.
    """

    def __init__(self, plain: socket.socket, stalled_s: float) -> None:
        super().__init__(fileno=plain.detach())
        self.settimeout(stalled_s)
        self._left = HANDSHAKE_BYTES
        self._until: float | None = time.monotonic() + stalled_s

    def allow(self, limit_bytes: int) -> None:
        """Let so many bytes come in from here on, however long they take."""
        self._left, self._until = limit_bytes, None

    def __del__(self) -> None:
        """Close it: pynetdicom leaves that to the garbage collector, which would warn."""
        self.close()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """Return what came in.

        Raises:
            OSError: more than is allowed has come, or nothing for too long.
        """
        data = super().recv(bufsize, flags)
        self._left -= len(data)
        if self._left < 0:
            raise OSError("more came than a message may hold")
        if self._until is not None and time.monotonic() > self._until:
            raise TimeoutError("the request took too long")
        return data


def meter(association: Any, stalled_s: float) -> None:
    """Have the connection of an association that was just opened metered."""
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket = MeteredSocket(connection.socket, stalled_s)


def allow(association: Any, limit_bytes: int) -> None:
    """Let the next object of an association be as long as this."""
    connection = association.dul.socket
    plain = None if connection is None else connection.socket
    if isinstance(plain, MeteredSocket):
        plain.allow(limit_bytes)
