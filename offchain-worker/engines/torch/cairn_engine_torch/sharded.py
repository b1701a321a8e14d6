"""The model in shards: a rank has some rows of each tensor, reads and writes those, and computes on its sequences."""

import math

import numpy
import torch
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from .faults import NOT_FINITE, Fault, refuse
from .layout import layout_of, parameters
from .model import Llama, losses
from .optimizer import Update


class Sharded:
    """A model over the ranks of a mesh, with its optimizer's moments."""

    def __init__(self, shape, ranks, options):
        self.shape, self.ranks, self.options = shape, ranks, options
        self.layout = layout_of(shape)
        self.length = parameters(self.layout)
        with torch.device("meta"):
            self.model = Llama(shape, options.recompute)
        low = torch.bfloat16 if options.dtype == "bf16" else None
        policy = MixedPrecisionPolicy(param_dtype=low, reduce_dtype=torch.float32 if low else None)
        for module in [*self.model.model.layers, self.model]:
            fully_shard(module, mesh=ranks.mesh, mp_policy=policy)
            # Sums, not means: what a rank adds is weighted by its tokens before. The factor alone makes a reduction
            # that gloo does not have: findings/fsdp-divide-factor-on-gloo.sh.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
        self.model.to_empty(device=ranks.device)
        named = dict(self.model.named_parameters())
        self.tensors = [(tensor, named[tensor.name]) for tensor in self.layout]
        self.first = self.second = None

    def rows(self, tensor, weight):
        """Where this rank's rows of a tensor lie in the flat vector, and its local tensor."""
        local = weight.to_local()
        each = -(-tensor.shape[0] // self.ranks.count)
        begin = min(each * self.ranks.number, tensor.shape[0])
        end = min(begin + each, tensor.shape[0])
        if local.shape != (end - begin, *tensor.shape[1:]):
            raise RuntimeError(f"PyTorch shards {tensor.name} otherwise: {tuple(local.shape)} for rows {begin}..{end}")
        return slice(tensor.start + begin * tensor.columns, tensor.start + end * tensor.columns), local

    @torch.no_grad()
    def load(self, flat):
        """Takes parameters from a mapped file."""
        for tensor, weight in self.tensors:
            at, local = self.rows(tensor, weight)
            local.copy_(read(flat, at, local))

    def zero_moments(self):
        """Moments as before the first step."""
        self.first = [torch.zeros_like(self.rows(*pair)[1]) for pair in self.tensors]
        self.second = [torch.zeros_like(local) for local in self.first]

    def drop(self):
        """Moments and gradients are of no use."""
        self.first = self.second = None
        self.model.zero_grad(set_to_none=True)

    def load_moments(self, first, second):
        """Takes moments from two mapped files."""
        self.zero_moments()
        for (tensor, weight), m, v in zip(self.tensors, self.first, self.second):
            at, _ = self.rows(tensor, weight)
            m.copy_(read(first, at, m))
            v.copy_(read(second, at, v))

    def save(self, flat):
        """Puts this rank's parameters into a mapped file."""
        for tensor, weight in self.tensors:
            at, local = self.rows(tensor, weight)
            flat[at] = local.detach().cpu().flatten().numpy()
        flat.flush()

    def save_moments(self, flat, moments):
        """Puts this rank's part of a moment into a mapped file."""
        for (tensor, weight), moment in zip(self.tensors, moments):
            at, _ = self.rows(tensor, weight)
            flat[at] = moment.cpu().flatten().numpy()
        flat.flush()

    def step(self, constants, learning_rate, done, batch):
        """One inner step on this rank's part of a batch. Gives the mean loss of all tokens, and the gradient's norm."""
        loss = self.backward(batch)
        gradients = [self.gradient(weight) for _, weight in self.tensors]
        norm = math.sqrt(self.ranks.sum(squares(gradients)))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            said = f"loss {loss} with a gradient of norm {norm}"
            raise Fault(NOT_FINITE, said, loss=str(loss), norm=str(norm))
        update = Update.of(constants, learning_rate, done, norm)
        moments = zip(self.first, self.second)
        for (tensor, weight), (first, second), gradient in zip(self.tensors, moments, gradients):
            update.apply(weight.to_local(), first, second, gradient, len(tensor.shape) == 2)
        self.model.zero_grad(set_to_none=True)
        return loss, norm

    def gradient(self, weight):
        """This rank's rows of a gradient, in f32."""
        if weight.grad is None:
            return torch.zeros_like(weight.to_local())
        return weight.grad.to_local()

    def backward(self, batch):
        """Adds up the gradient of the mean over all tokens of all ranks, and gives that mean.

        All ranks make equally many passes, since shards are gathered in each; who has no sequences left passes one of
        weight 0.
        """
        share, total = 1.0 / batch.tokens, 0.0
        for mine in batch.parts():
            tokens = torch.from_numpy((batch.filler if mine is None else mine).astype(numpy.int64))
            each = losses(self.model, tokens.to(self.ranks.device))
            if mine is None:
                (each.sum() * 0.0).backward()
                continue
            (each * share).sum().backward()
            total += float(each.detach().float().cpu().double().sum())
        return self.ranks.sum(total) / batch.tokens


class Batch:
    """The sequences of a step, and this rank's part of them: all ranks' parts are as equal as can be, in order."""

    def __init__(self, flat, sequences, length, ranks, tokens_per_pass):
        self.all = flat.reshape(sequences, length)
        self.mine = self.all[sequences * ranks.number // ranks.count : sequences * (ranks.number + 1) // ranks.count]
        self.tokens = sequences * (length - 1)
        most = -(-sequences // ranks.count)
        fit = most if tokens_per_pass is None else max(1, tokens_per_pass // (length - 1))
        self.at_once = min(fit, most)
        self.passes = -(-most // self.at_once)
        self.filler = self.all[:1]

    def check(self, shape):
        """Makes sure that this rank's tokens are of the vocabulary and their sequences fit the context."""
        if self.all.shape[1] > shape.context + 1:
            raise refuse(f"sequences of {self.all.shape[1]} tokens do not fit a context of {shape.context}")
        if self.mine.size and int(self.mine.max()) >= shape.vocabulary or int(self.filler.max()) >= shape.vocabulary:
            raise refuse(f"a token is beyond the vocabulary of {shape.vocabulary}")

    def parts(self):
        """What each pass computes on; none if nothing is left for it."""
        for number in range(self.passes):
            part = self.mine[number * self.at_once : (number + 1) * self.at_once]
            yield part if len(part) else None


def read(flat, at, local):
    """Some numbers of a mapped file as a tensor of the shape of `local`."""
    return torch.from_numpy(numpy.array(flat[at], dtype=numpy.float32)).view(local.shape)


def squares(gradients):
    """The sum of all squares, in f64 where the device has it."""
    if not gradients:
        return 0.0
    has_f64 = gradients[0].device.type != "mps"
    dtype = torch.float64 if has_f64 else torch.float32
    norms = [torch.linalg.vector_norm(gradient, dtype=dtype) for gradient in gradients]
    return float(torch.stack(norms).cpu().double().square().sum())
