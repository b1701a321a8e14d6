"""The engine's parts by themselves. Run by `make test-engine-torch`."""

import os
import socket
import tempfile
import unittest
from types import SimpleNamespace

import numpy
import torch

from cairn_engine_torch import watch
from cairn_engine_torch.border import Border
from cairn_engine_torch.bulk import Bulk
from cairn_engine_torch.faults import COLLECTIVE_TIMEOUT, OOM, PROTOCOL, RANK_LOST, Fault, fault_of
from cairn_engine_torch.layout import Shape, layout_hash, layout_of, parameters
from cairn_engine_torch.optimizer import Constants, Update
from cairn_engine_torch.sharded import Batch

SIZES = dict(layers=2, d_model=32, heads=4, kv_heads=2, ffn=80, vocabulary=64, context=72, rope_theta=10_000)
SHAPE = {**SIZES, "tied_embeddings": False}


class Parts(unittest.TestCase):
    def refused(self, act):
        with self.assertRaises(Fault) as caught:
            act()
        self.assertEqual(caught.exception.kind, PROTOCOL)

    def test_shapes_that_are_none(self):
        self.assertEqual(Shape.of(SHAPE).width, 8)
        wrong = [{"layers": 0}, {"layers": 2.0}, {"heads": 3}, {"kv_heads": 3}, {"tied_embeddings": 1}, {"more": 1}]
        for change in wrong:
            self.refused(lambda: Shape.of({**SHAPE, **change}))
        self.refused(lambda: Shape.of([]))

    def test_tensors_lie_one_behind_the_other(self):
        layout = layout_of(Shape.of(SHAPE))
        ends = [0] + [tensor.start + tensor.length for tensor in layout]
        self.assertEqual([tensor.start for tensor in layout], ends[:-1])
        self.assertEqual((len(layout), parameters(layout)), (21, 25_760))
        self.assertEqual(len(layout_hash(layout)), 64)
        tied = layout_of(Shape.of({**SHAPE, "tied_embeddings": True}))
        self.assertNotEqual(layout_hash(tied), layout_hash(layout))

    def test_sequences_are_shared_out_in_order_and_in_equally_many_passes(self):
        for count in range(1, 5):
            for sequences in range(1, 10):
                for at_once in (None, 8, 16):
                    self.share(count, sequences, at_once)

    def share(self, count, sequences, tokens_per_pass):
        flat, seen, passes = numpy.arange(sequences * 5, dtype="<u4"), [], set()
        for number in range(count):
            ranks = SimpleNamespace(number=number, count=count)
            batch = Batch(flat, sequences, 5, ranks, tokens_per_pass)
            parts = list(batch.parts())
            passes.add(len(parts))
            seen += [part for part in parts if part is not None]
            self.assertEqual(batch.tokens, sequences * 4)
        self.assertEqual(len(passes), 1)
        self.assertTrue((numpy.concatenate(seen).ravel() == flat).all())

    def test_bulk_files_are_named_and_as_long_as_they_must_be(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "parameters.f32")
            numpy.arange(6, dtype="<f4").tofile(path)
            os.symlink(path, os.path.join(directory, "link"))
            bulk = Bulk(directory)
            self.assertEqual(bulk.numbers("parameters.f32", 6)[5], 5.0)
            for name in ("../parameters.f32", path, "", ".", "link", "missing", None, 7):
                self.refused(lambda: bulk.numbers(name, 6))
            self.refused(lambda: bulk.numbers("parameters.f32", 5))

    def test_an_update_is_adamw(self):
        constants = Constants.of(dict(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip_norm=1.0))
        update = Update.of(constants, 0.01, 2, 4.0)
        weight, first, second, gradient = (torch.tensor([x]) for x in (2.0, 0.25, 0.5, 3.0))
        update.apply(weight, first, second, gradient, True)
        g, m, v = 3 / 4, 0.9 * 0.25 + 0.1 * 3 / 4, 0.95 * 0.5 + 0.05 * (3 / 4) ** 2
        self.assertAlmostEqual(float(gradient), g, 6)
        root = (v / (1 - 0.95**3)) ** 0.5 + 1e-8
        self.assertAlmostEqual(float(weight), 2 * (1 - 0.001) - 0.01 / (1 - 0.9**3) * m / root, 6)
        kept, small = torch.tensor([2.0]), Update.of(constants, 0.01, 2, 0.5)
        self.assertEqual(small.clip, 1.0)
        small.apply(kept, torch.zeros(1), torch.ones(1), torch.zeros(1), False)
        self.assertEqual(float(kept), 2.0)
        self.refused(lambda: Constants.of({"beta1": 0.9}))

    def test_requests_that_are_none(self):
        for sent in (b"\x00\x00\x00\x01", b"\x02\x00\x00\x00{]", b"\x02\x00\x00\x00[]", b"\x08\x00\x00\x00{\"id\":1}"):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                theirs.sendall(sent)
                self.refused(Border(ours).receive)
        ours, theirs = socket.socketpair()
        with ours:
            theirs.sendall(b"\x05\x00")
            theirs.close()
            self.assertIsNone(Border(ours).receive())

    def test_faults_have_names(self):
        closed = RuntimeError("[pair.cc:561] Connection closed by peer")
        cases = [
            (MemoryError(), OOM, True),
            (RuntimeError("DefaultCPUAllocator: can't allocate memory"), OOM, True),
            (RuntimeError("Timed out waiting 3000ms"), COLLECTIVE_TIMEOUT, False),
            (closed, RANK_LOST, False),
            (ValueError("?"), RANK_LOST, True),
        ]
        for error, kind, is_cause in cases:
            fault = fault_of(error, 2)
            self.assertEqual((fault.kind, watch.is_cause(fault)), (kind, is_cause))


if __name__ == "__main__":
    unittest.main()
