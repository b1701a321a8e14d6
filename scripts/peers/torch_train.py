#!/usr/bin/env python3
"""Times training steps of a Llama-shaped decoder in PyTorch, as `cairn bench train` does ours.

The same model (Hugging Face's Llama: RMSNorm, rotary positions, grouped-query attention through
scaled_dot_product_attention, SwiGLU, tied head), the same batch of random tokens, mean cross-entropy, clipping to norm
1, fused AdamW; f32 on the CPU, products in bfloat16 on a card. Prints one JSON object.
"""
import argparse
import json
import resource
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIGS = {
    "tiny": dict(layers=4, d=128, heads=4, kv=2, ffn=384, vocabulary=1024),
    "10m": dict(layers=6, d=320, heads=5, kv=5, ffn=896, vocabulary=4096),
    "100m": dict(layers=12, d=768, heads=12, kv=4, ffn=2048, vocabulary=16384),
    "1b": dict(layers=16, d=2048, heads=32, kv=8, ffn=8192, vocabulary=128256),
}
THETA = 500_000.0


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, ffn = c["d"], c["ffn"]
        self.heads, self.kv, self.width = c["heads"], c["kv"], d // c["heads"]
        linear = lambda inner, outer: nn.Linear(inner, outer, bias=False)
        self.input_layernorm = Norm(d)
        self.q_proj, self.k_proj = linear(d, d), linear(d, self.kv * self.width)
        self.v_proj, self.o_proj = linear(d, self.kv * self.width), linear(d, d)
        self.post_attention_layernorm = Norm(d)
        self.gate_proj, self.up_proj, self.down_proj = linear(d, ffn), linear(d, ffn), linear(ffn, d)

    def forward(self, x, cos, sin):
        batch, length, d = x.shape
        y = self.input_layernorm(x)
        split = lambda t, heads: t.view(batch, length, heads, self.width).transpose(1, 2)
        q = rotate(split(self.q_proj(y), self.heads), cos, sin)
        k = rotate(split(self.k_proj(y), self.kv), cos, sin)
        v = split(self.v_proj(y), self.kv)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv)
        x = x + self.o_proj(mixed.transpose(1, 2).reshape(batch, length, d))
        y = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(y)) * self.up_proj(y))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocabulary"], c["d"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["layers"]))
        self.norm = Norm(c["d"])
        self.width = c["d"] // c["heads"]
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens, targets):
        length = tokens.shape[1]
        device = tokens.device
        powers = torch.arange(0, self.width, 2, device=device) / self.width
        angles = torch.arange(length, device=device)[:, None] / THETA**powers
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, angles.cos(), angles.sin())
        logits = self.norm(x) @ self.embed_tokens.weight.T
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def optimizer(model, rate=1e-3):
    decays = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    groups = [dict(params=decays, weight_decay=0.1), dict(params=others, weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), eps=1e-8, fused=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", choices=CONFIGS, default="10m")
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:N")
    args = parser.parse_args()

    card = args.device != "cpu"
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config = CONFIGS[args.config]
    model = Model(config).to(args.device)
    adam = optimizer(model)
    forward = torch.compile(model) if args.compile else model
    tokens = torch.randint(0, config["vocabulary"], (args.batch, args.seq + 1)).to(args.device)

    def step():
        started = time.perf_counter()
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=card):
            loss = forward(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad(set_to_none=True)
        if card:
            torch.cuda.synchronize(args.device)
        return time.perf_counter() - started, loss.item()

    for _ in range(2):
        step()
    times = sorted(step() for _ in range(args.steps))
    seconds = times[len(times) // 2][0]
    print(
        json.dumps(
            dict(
                torch=torch.__version__,
                config=args.config,
                parameters=sum(p.numel() for p in model.parameters()),
                threads=args.threads,
                compiled=args.compile,
                device=torch.cuda.get_device_name(args.device) if card else "cpu",
                card_memory=torch.cuda.max_memory_allocated(args.device) if card else None,
                seconds_per_step=seconds,
                tokens_per_s=args.batch * args.seq / seconds,
                loss=times[0][1],
                peak_memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            )
        )
    )


if __name__ == "__main__":
    main()
