#!/usr/bin/env python3
"""Times SparseLoCo's compression as Templar ships it, re-expressed in PyTorch, as `cairn bench codec` does ours.

Of each 64 × 64 block the values of largest magnitude; one quantiser of four bins per tensor; places packed into 12 bits;
one byte per value. Then the way back: unpack, dequantise, clip to the median norm, scatter the mean over senders, and
subtract it from the weights. The error feedback belongs to both. Prints one JSON object.
"""
import argparse
import json
import time

import torch

SIDE, KEPT = 64, 64


def blocks(x):
    rows, cols = x.shape
    return x.view(rows // SIDE, SIDE, cols // SIDE, SIDE).permute(0, 2, 1, 3).reshape(rows // SIDE, cols // SIDE, SIDE * SIDE)


def matrix(b, rows, cols):
    return b.view(rows // SIDE, cols // SIDE, SIDE, SIDE).permute(0, 2, 1, 3).reshape(rows, cols)


def quantise(values):
    shift = values.mean()
    centred = values - shift
    scale = 6 * centred.std() / 4
    if not torch.isfinite(scale) or scale == 0:
        scale = torch.tensor(1.0)
    bins = (centred / scale + 2).round().clamp(0, 3).to(torch.uint8)
    flat = bins.flatten().long()
    sums = torch.zeros(4).scatter_add_(0, flat, centred.flatten())
    counts = torch.zeros(4).scatter_add_(0, flat, torch.ones_like(centred).flatten())
    return bins, torch.where(counts > 0, sums / counts.clamp(min=1), 0), shift


def pack(indices):
    pairs = indices.flatten().view(-1, 2).to(torch.int32)
    a, b = pairs[:, 0], pairs[:, 1]
    packed = torch.stack((a & 0xFF, (a >> 8) | ((b & 0xF) << 4), b >> 4), 1)
    return packed.to(torch.uint8).flatten()


def unpack(packed):
    x = packed.view(-1, 3).to(torch.int64)
    a = x[:, 0] | ((x[:, 1] & 0xF) << 8)
    b = (x[:, 1] >> 4) | (x[:, 2] << 4)
    return torch.stack((a, b), 1)


def encode(delta, error):
    error.mul_(0.95).add_(delta)
    b = blocks(error)
    _, indices = b.abs().topk(KEPT, dim=-1, sorted=False)
    values = b.gather(-1, indices)
    bins, table, shift = quantise(values)
    sent = torch.zeros_like(b).scatter_(-1, indices, table[bins.long()] + shift)
    error.sub_(matrix(sent, *error.shape))
    return pack(indices), bins, table, shift


def decode_and_apply(theta, files):
    rows, cols = theta.shape
    shape = (rows // SIDE, cols // SIDE, KEPT)
    places, values = [], []
    for packed, bins, table, shift in files:
        places.append(unpack(packed).view(shape))
        values.append(table[bins.long()] + shift)
    norms = torch.stack([v.norm() for v in values])
    median = norms.sort().values[(len(files) - 1) // 2]
    values = [v * (median / (n + 1e-8)).clamp(max=1) for v, n in zip(values, norms)]
    zeros = torch.zeros(shape[0], shape[1], SIDE * SIDE)
    mean = zeros.scatter_reduce_(-1, torch.cat(places, -1), torch.cat(values, -1), "mean", include_self=False)
    theta.sub_(matrix(mean, rows, cols), alpha=1e-3)


def fastest(job, repeats):
    job()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--cols", type=int, default=2048)
    parser.add_argument("--contributions", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with open(args.input, "rb") as file:
        delta = torch.frombuffer(bytearray(file.read()), dtype=torch.float32).view(args.rows, args.cols)
    error, theta = torch.zeros_like(delta), torch.full_like(delta, 0.5)
    dense = 4 * delta.numel()
    with torch.no_grad():
        seconds = fastest(lambda: encode(delta, error), args.repeats)
        files = [encode(delta, error) for _ in range(args.contributions)]
        back = fastest(lambda: decode_and_apply(theta, files), args.repeats)
    print(
        json.dumps(
            dict(
                torch=torch.__version__,
                threads=args.threads,
                encode_gb_per_s=dense / seconds / 1e9,
                decode_and_apply_gb_per_s=args.contributions * dense / back / 1e9,
                bytes=sum(part.numel() for part in files[0][:2]),
            )
        )
    )


if __name__ == "__main__":
    main()
