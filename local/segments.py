"""The spine's place of an X-Ray daemon: it keeps the newest segments that it is sent.

A datagram is a line of JSON that names the format, then a segment or subsegment as JSON ("Sending segment
documents to the X-Ray daemon", AWS X-Ray Developer Guide).
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from typing import Any

from local.settings import HOST

type Document = dict[str, Any]

KEPT = 20_000
LARGEST_DATAGRAM = 65_536
BUFFER_BYTES = 4 * 2**20  # the operating system may grant less; what does not fit is lost, as on AWS


class Collector:
    """Keeps what comes in on a port of its own, and what the spine itself hands over."""

    def __init__(self) -> None:
        self._received: deque[bytes | Document] = deque(maxlen=KEPT)

    def listen(self) -> str:
        """Listens until the process ends. Answers the address, for AWS_XRAY_DAEMON_ADDRESS."""
        receiver = socket.socket(type=socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        receiver.bind((HOST, 0))
        threading.Thread(target=self._receive, args=(receiver,), name="segments", daemon=True).start()
        return f"{HOST}:{receiver.getsockname()[1]}"

    def take(self, document: Document) -> None:
        """Keeps a segment that a service of the spine sends, which needs no datagram."""
        self._received.append(document)

    def contents(self) -> tuple[list[Document], list[str]]:
        """The segments, the oldest first, and why others were refused.

        Parsed only now: a storm sends thousands that nobody may ask for.
        """
        segments, refusals = list[Document](), list[str]()
        for item in list(self._received):
            try:
                segments.append(item if isinstance(item, dict) else parse_datagram(item))
            except ValueError as error:
                refusals.append(str(error))
        return segments, refusals

    def _receive(self, receiver: socket.socket) -> None:
        while True:
            self._received.append(receiver.recv(LARGEST_DATAGRAM))


def parse_datagram(datagram: bytes) -> Document:
    """The segment in a datagram.

    Raises ValueError, saying what is wrong, for one that no daemon would take.
    """
    head, _, body = datagram.partition(b"\n")
    if json.loads(head) != {"format": "json", "version": 1}:
        raise ValueError(f"the datagram begins with {head!r}, not with the format and version 1")
    document = json.loads(body)
    lacking = {"name", "id", "trace_id", "start_time"} - document.keys()
    if lacking:
        raise ValueError(f"the segment {document.get('name')!r} lacks {', '.join(sorted(lacking))}")
    return dict(document)
