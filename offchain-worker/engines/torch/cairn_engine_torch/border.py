"""The border: messages over a Unix socket, each a length of four bytes, smallest first, and JSON."""

import json
import os
import threading

from .faults import refuse

LONGEST = 1 << 18


class Border:
    """Rank 0's end. It answers the one request that is open, from whichever thread knows the answer first."""

    def __init__(self, socket):
        self.socket = socket
        self.lock = threading.Lock()
        self.open = self.lost = None

    def receive(self):
        """The next request as (verb, fields); none if the other side is gone."""
        head = self.exactly(4)
        if head is None:
            return None
        length = int.from_bytes(head, "little")
        if length > LONGEST:
            raise refuse(f"a message of {length} bytes, the most is {LONGEST}")
        body = self.exactly(length)
        if body is None:
            return None
        try:
            message = json.loads(body)
            self.open, verb = int(message.pop("id")), str(message.pop("verb"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise refuse("a request is an object with `id` and `verb`") from error
        if self.lost is not None:
            self.end(self.lost)
        return verb, message

    def exactly(self, length):
        """So many bytes; none if the other side is gone."""
        read = bytearray()
        while len(read) < length:
            piece = self.socket.recv(length - len(read))
            if not piece:
                return None
            read += piece
        return bytes(read)

    def done(self, facts):
        """Answers that it was done."""
        with self.lock:
            self.send({"ok": facts})

    def failed(self, fault):
        """Answers that it was not, and why."""
        with self.lock:
            self.send({"error": fault.message()})

    def end(self, fault):
        """Answers why, and ends the program; once something is asked, if nothing is now."""
        with self.lock:
            if self.open is None:
                self.lost = fault
                return
            try:
                self.send({"error": fault.message()})
            finally:
                os._exit(1)

    def send(self, answer):
        text = json.dumps({"id": self.open, **answer}, allow_nan=False).encode()
        self.open = None
        self.socket.sendall(len(text).to_bytes(4, "little") + text)
