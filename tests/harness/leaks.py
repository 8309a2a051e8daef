"""Watches what leaves this machine for a host that a test made beyond it."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ETH_P_ALL = 3  # a listener for one protocol hears nothing of what is sent
_OUTGOING = 4  # of linux/if_packet.h
_DESTINATION = slice(30, 34)  # of an IPv4 packet, behind the 14 bytes of Ethernet


@contextmanager
def leaks_to(address: str, interface_ends_with: str) -> Iterator[list[str]]:
    """Collect the interfaces by which packets for an address leave while the body runs. Takes root."""
    wanted = ipaddress.ip_address(address).packed
    found: list[str] = []
    over = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)) as listener:
        listener.settimeout(0.2)

        def listen() -> None:
            while not over.is_set():
                try:
                    packet, (interface, _, kind, *_) = listener.recvfrom(64)
                except TimeoutError:
                    continue
                if kind == _OUTGOING and interface.endswith(interface_ends_with) and packet[_DESTINATION] == wanted:
                    found.append(interface)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join(30)
