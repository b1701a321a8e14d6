"""The Llama that Cairn's trainer has: its modules bear the names of the canonical layout."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

EPSILON = 1e-5


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, EPSILON)


def linear(inner, outer):
    return nn.Linear(inner, outer, bias=False)


def rotate(x, cos, sin):
    """Number i of a head's first half is rotated against number i of its second half."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        d, kv = shape.d_model, shape.width * shape.kv_heads
        self.shape = shape
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = linear(d, d), linear(d, kv), linear(d, kv), linear(d, d)

    def forward(self, x, cos, sin):
        shape = self.shape

        def split(y, heads):
            return y.unflatten(-1, (heads, shape.width)).transpose(1, 2)

        q = rotate(split(self.q_proj(x), shape.heads), cos, sin)
        k = rotate(split(self.k_proj(x), shape.kv_heads), cos, sin)
        v = split(self.v_proj(x), shape.kv_heads)
        is_grouped = shape.heads != shape.kv_heads
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=is_grouped)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, shape):
        super().__init__()
        d, ffn = shape.d_model, shape.ffn
        self.gate_proj, self.up_proj, self.down_proj = linear(d, ffn), linear(d, ffn), linear(ffn, d)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, shape, recompute):
        super().__init__()
        self.input_layernorm, self.self_attn = Norm(shape.d_model), Attention(shape)
        self.post_attention_layernorm, self.mlp = Norm(shape.d_model), FeedForward(shape)
        self.recompute = recompute

    def halves(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))

    def forward(self, x, cos, sin):
        if self.recompute:
            return checkpoint(self.halves, x, cos, sin, use_reentrant=False)
        return self.halves(x, cos, sin)


class Decoder(nn.Module):
    """Holds what lies under `model.` in the layout; [`Llama`] runs it."""

    def __init__(self, shape, recompute):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.d_model)
        self.layers = nn.ModuleList(Layer(shape, recompute) for _ in range(shape.layers))
        self.norm = Norm(shape.d_model)


class Llama(nn.Module):
    """Tokens to logits. `recompute`: keep each layer's input only, and compute the rest again for the backward pass."""

    def __init__(self, shape, recompute=False):
        super().__init__()
        self.model = Decoder(shape, recompute)
        if not shape.tied_embeddings:
            self.lm_head = linear(shape.d_model, shape.vocabulary)
        self.shape = shape
        self.angles = None

    def forward(self, tokens):
        x = self.model.embed_tokens(tokens)
        cos, sin = self.rotations(tokens.shape[1], x)
        for layer in self.model.layers:
            x = layer(x, cos, sin)
        x = self.model.norm(x)
        return F.linear(x, self.model.embed_tokens.weight) if self.shape.tied_embeddings else self.lm_head(x)

    def rotations(self, length, like):
        """Cosines and sines of position·base^(−2i/width), computed in f64 as Cairn does; kept for the next pass."""
        if self.angles is None or self.angles[0].shape[0] < length:
            powers = torch.arange(0, self.shape.width, 2, dtype=torch.float64, device="cpu") / self.shape.width
            positions = torch.arange(length, dtype=torch.float64, device="cpu")
            angles = positions[:, None] * torch.pow(float(self.shape.rope_theta), -powers)
            self.angles = tuple(table.float().to(like.device, like.dtype) for table in (angles.cos(), angles.sin()))
        return tuple(table[:length] for table in self.angles)


def losses(model, tokens):
    """The cross-entropy of each token but a sequence's first, in nats and f32, as `[sequences, length − 1]`."""
    logits = model(tokens[:, :-1])
    flat = F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten(), reduction="none")
    return flat.view(tokens.shape[0], -1)
