"""How a model's parameters lie in one flat vector: the canonical layout, as Cairn's `Layout::of` has it."""

import hashlib
import math
from dataclasses import dataclass, fields

from .faults import refuse


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama-style decoder; field for field a run's `model`."""

    layers: int
    d_model: int
    heads: int
    kv_heads: int
    ffn: int
    vocabulary: int
    context: int
    rope_theta: int
    tied_embeddings: bool

    @staticmethod
    def of(message):
        """From a message, whose sizes are positive and fit each other."""
        names = {field.name for field in fields(Shape)}
        if not isinstance(message, dict) or set(message) != names:
            raise refuse(f"a model has exactly {sorted(names)}")
        sizes = {name: size for name, size in message.items() if name != "tied_embeddings"}
        if any(type(size) is not int or not 0 < size < 2**32 for size in sizes.values()):
            raise refuse("a size of the model is no positive integer")
        if type(message["tied_embeddings"]) is not bool:
            raise refuse("`tied_embeddings` is true or false")
        shape = Shape(**message)
        if shape.d_model % shape.heads or shape.heads % shape.kv_heads or shape.width % 2:
            raise refuse("the heads do not divide the model's width")
        return shape

    @property
    def width(self):
        """Width of a head."""
        return self.d_model // self.heads


@dataclass(frozen=True)
class Tensor:
    """A tensor and where it begins in the flat vector, in numbers."""

    name: str
    shape: tuple
    start: int

    @property
    def columns(self):
        """Numbers in a row: what one index of the first dimension holds."""
        return math.prod(self.shape[1:])

    @property
    def length(self):
        return math.prod(self.shape)


def layout_of(shape):
    """The tensors in canonical order."""
    d, ffn, kv = shape.d_model, shape.ffn, shape.width * shape.kv_heads
    named = [("model.embed_tokens", (shape.vocabulary, d))]
    for layer in range(shape.layers):
        parts = [
            ("input_layernorm", (d,)),
            ("self_attn.q_proj", (d, d)),
            ("self_attn.k_proj", (kv, d)),
            ("self_attn.v_proj", (kv, d)),
            ("self_attn.o_proj", (d, d)),
            ("post_attention_layernorm", (d,)),
            ("mlp.gate_proj", (ffn, d)),
            ("mlp.up_proj", (ffn, d)),
            ("mlp.down_proj", (d, ffn)),
        ]
        named += [(f"model.layers.{layer}.{part}", dims) for part, dims in parts]
    named.append(("model.norm", (d,)))
    if not shape.tied_embeddings:
        named.append(("lm_head", (shape.vocabulary, d)))
    tensors, start = [], 0
    for name, dims in named:
        tensors.append(Tensor(f"{name}.weight", dims, start))
        start += math.prod(dims)
    return tensors


def parameters(layout):
    """Numbers in the flat vector."""
    return layout[-1].start + layout[-1].length


def compact(number):
    """SCALE's compact integer below 2³⁰."""
    if number < 1 << 6:
        return (number << 2).to_bytes(1, "little")
    if number < 1 << 14:
        return (number << 2 | 1).to_bytes(2, "little")
    return (number << 2 | 2).to_bytes(4, "little")


def layout_hash(layout):
    """BLAKE2b-256 of the layout's SCALE encoding, in hexadecimal: what a contribution's header names it by."""
    encoded = bytearray(compact(len(layout)))
    for tensor in layout:
        encoded += compact(len(tensor.name)) + tensor.name.encode()
        encoded += compact(len(tensor.shape))
        for size in tensor.shape:
            encoded += size.to_bytes(4, "little")
    return hashlib.blake2b(encoded, digest_size=32).hexdigest()
