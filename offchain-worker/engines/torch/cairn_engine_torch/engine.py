"""The verbs. Every rank runs them alike; what one rank cannot do, none has done."""

import math
import time

import torch

from . import PROTOCOL
from .bulk import Bulk
from .faults import Fault, refuse
from .layout import Shape, layout_hash, layout_of
from .optimizer import Constants
from .ranks import peak_bytes
from .sharded import Batch, Sharded

FIELDS = {
    "hello": {"protocol", "model", "layout"},
    "load": {"parameters"},
    "begin": {"optimizer", "moments", "done"},
    "step": {"number", "tokens", "sequences", "length", "learning_rate"},
    "save": {"parameters", "first", "second"},
    "finish": {"parameters"},
    "abort": set(),
    "ping": set(),
}


class Engine:
    """Nothing → hello → load → begin → steps → finish, and load again."""

    def __init__(self, ranks, options):
        self.ranks, self.options = ranks, options
        self.bulk = Bulk(options.directory)
        self.sharded = None
        self.forget()

    def forget(self):
        """Nothing is loaded."""
        self.is_loaded, self.constants = False, None
        self.done = self.number = 0
        self.has_moments = False
        if self.sharded is not None:
            self.sharded.drop()

    def handle(self, verb, fields):
        """Does what a request asks for and gives the facts of its answer. After a fault nothing is loaded."""
        try:
            if FIELDS.get(verb) != set(fields):
                raise refuse(f"no request is `{verb}` with {sorted(fields)}")
            return getattr(self, verb)(**fields)
        except Fault:
            self.forget()
            raise

    def hello(self, protocol, model, layout):
        if protocol != PROTOCOL:
            raise refuse(f"protocol {protocol} was asked for, this is {PROTOCOL}")
        shape = Shape.of(model)
        mine = layout_hash(layout_of(shape))
        if layout != mine:
            raise refuse(f"the layout {layout} was asked for, this model's is {mine}")
        self.sharded = None
        self.forget()
        self.sharded = Sharded(shape, self.ranks, self.options)
        return {
            "protocol": PROTOCOL,
            "engine": f"torch {torch.__version__.split('+')[0]}",
            "layout": mine,
            "parameters": self.sharded.length,
            "dtype": self.options.dtype,
            "ranks": self.ranks.gather(self.ranks.described()),
        }

    def load(self, parameters):
        started, sharded = time.monotonic(), self.ready()
        self.constants = None
        self.ranks.together(lambda: sharded.load(self.bulk.numbers(parameters, sharded.length)))
        self.is_loaded = True
        return {"seconds": time.monotonic() - started}

    def begin(self, optimizer, moments, done):
        sharded = self.ready()
        if not self.is_loaded:
            raise refuse("`begin` before `load`")
        if type(done) is not int or not 0 <= done < 2**53:
            raise refuse("`done` is no number of steps")
        constants = Constants.of(optimizer)
        if moments == "zero":
            sharded.zero_moments()
        elif moments == "keep":
            if not self.has_moments or done != self.done:
                raise refuse("`keep`, but there are no moments of so many steps")
        elif isinstance(moments, list) and len(moments) == 2:
            first, second = moments
            open_one = self.bulk.numbers
            length = sharded.length
            self.ranks.together(lambda: sharded.load_moments(open_one(first, length), open_one(second, length)))
        else:
            raise refuse("`moments` is zero, keep, or two files")
        self.constants, self.done, self.number, self.has_moments = constants, done, 0, True
        return {}

    def step(self, number, tokens, sequences, length, learning_rate):
        started, sharded = time.monotonic(), self.stepping()
        if number != self.number:
            raise refuse(f"step {number} was asked for, {self.number} is next")
        counts = (sequences, length)
        if any(type(count) is not int for count in counts) or not (0 < sequences < 2**20 and 1 < length < 2**21):
            raise refuse("a step has sequences of at least two tokens")
        if type(learning_rate) not in (int, float) or not 0 <= learning_rate < math.inf:
            raise refuse("`learning_rate` is no number from 0 up")
        batch = self.ranks.together(lambda: self.batch(tokens, sequences, length))
        loss, norm = sharded.step(self.constants, float(learning_rate), self.done, batch)
        self.number, self.done = self.number + 1, self.done + 1
        return {"loss": loss, "norm": norm, "tokens": batch.tokens, "seconds": time.monotonic() - started}

    def batch(self, tokens, sequences, length):
        flat = self.bulk.tokens(tokens, sequences * length)
        batch = Batch(flat, sequences, length, self.ranks, self.options.tokens_per_pass)
        batch.check(self.sharded.shape)
        return batch

    def save(self, parameters, first, second):
        sharded = self.stepping()
        open_one, length = self.bulk.to_fill, sharded.length

        def write():
            if parameters is not None:
                sharded.save(open_one(parameters, length))
            for name, moments in ((first, sharded.first), (second, sharded.second)):
                if name is not None:
                    sharded.save_moments(open_one(name, length), moments)

        self.ranks.together(write)
        return {}

    def finish(self, parameters):
        if parameters is not None:
            self.save(parameters, None, None)
        self.stepping()
        self.is_loaded, self.constants = False, None
        return {"peak_bytes": self.ranks.gather(peak_bytes(self.ranks.device))}

    def abort(self):
        self.forget()
        return {}

    def ping(self):
        return {}

    def ready(self):
        if self.sharded is None:
            raise refuse("`hello` comes first")
        return self.sharded

    def stepping(self):
        if self.constants is None:
            raise refuse("there are no steps under way: `begin` comes first")
        return self.ready()
