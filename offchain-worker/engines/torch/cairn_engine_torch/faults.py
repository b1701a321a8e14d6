"""What can go wrong, by the names that the engine protocol has for it."""

OOM = "oom"
NOT_FINITE = "not_finite"
RANK_LOST = "rank_lost"
COLLECTIVE_TIMEOUT = "collective_timeout"
PROTOCOL = "protocol"

# After these the ranks no longer agree on where they are: the program ends.
FATAL = frozenset((OOM, RANK_LOST, COLLECTIVE_TIMEOUT))

# What allocators say where PyTorch raises a plain RuntimeError: the CPU's, C++'s, the kernel's.
NO_MEMORY = ("can't allocate memory", "bad_alloc", "Cannot allocate memory", "not enough memory", "out of memory")
TIMED_OUT = ("timed out", "timeout")
# What is said of a peer that ended; which one it was is not said.
CLOSED = ("Connection closed", "Connection reset", "Broken pipe", "Connection refused", "remote process exited")
LONGEST_TEXT = 2000


class Fault(Exception):
    """One of the names above, what was said, and `facts` that belong to it: a rank, a loss, a norm."""

    def __init__(self, kind, said, **facts):
        super().__init__(said)
        self.kind, self.said, self.facts = kind, str(said)[:LONGEST_TEXT], facts

    def message(self):
        return {"kind": self.kind, "said": self.said, **self.facts}


def refuse(said):
    """A message or a file that breaks the protocol."""
    return Fault(PROTOCOL, said)


def fault_of(error, rank):
    """The name for what was raised on a rank."""
    if isinstance(error, Fault):
        return error
    text = f"{type(error).__name__}: {error}"
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if is_memory or any(words in text for words in NO_MEMORY):
        return Fault(OOM, text, rank=rank)
    if any(words in text.lower() for words in TIMED_OUT):
        return Fault(COLLECTIVE_TIMEOUT, text)
    if any(words in text for words in CLOSED):
        return Fault(RANK_LOST, f"a rank was lost: {text}")
    return Fault(RANK_LOST, text, rank=rank)
