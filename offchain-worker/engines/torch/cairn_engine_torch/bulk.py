"""Bulk files: flat little-endian numbers in the directory that both sides share. A rank maps its rows only."""

import os

import numpy

from .faults import refuse

NUMBERS = numpy.dtype("<f4")
TOKENS = numpy.dtype("<u4")


class Bulk:
    """The directory of a pair of programs."""

    def __init__(self, directory):
        self.directory = directory

    def open(self, name, dtype, length, mode):
        """Maps a file of exactly `length` numbers. A name is a name, not a path."""
        if not isinstance(name, str) or not name or len(name) > 64 or "/" in name or name.startswith("."):
            raise refuse(f"{name!r} is not the name of a bulk file")
        path = os.path.join(self.directory, name)
        try:
            size = os.stat(path, follow_symlinks=False).st_size
            if size != length * dtype.itemsize:
                raise refuse(f"{name} has {size} bytes where {length * dtype.itemsize} were expected")
            return numpy.memmap(path, dtype=dtype, mode=mode, shape=(length,))
        except OSError as error:
            raise refuse(f"{name} cannot be opened: {error.strerror}") from error

    def numbers(self, name, length):
        """Parameters or moments, to read."""
        return self.open(name, NUMBERS, length, "r")

    def to_fill(self, name, length):
        """Parameters or moments, to write; the other side made the file as long as it is to be."""
        return self.open(name, NUMBERS, length, "r+")

    def tokens(self, name, length):
        """Tokens, to read."""
        return self.open(name, TOKENS, length, "r")
