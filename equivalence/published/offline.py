"""No network in a process that imports this: what a package would fetch is said, and the same numbers come anywhere.

Python's sockets alone are closed: a program that a package starts, or a library in C, may still find its way.
"""

import socket
from typing import Any


def refuse(*address: Any, **options: Any) -> Any:
    """Stand in for what would reach another machine."""
    raise OSError(f"asked for the network, {address}: expected a function that computes with what it is given")


class Closed(socket.socket):
    """A socket that reaches nothing but this machine's own files."""

    def connect(self, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            refuse(address)
        super().connect(address)


socket.getaddrinfo = refuse
socket.socket = Closed  # type: ignore[misc]
