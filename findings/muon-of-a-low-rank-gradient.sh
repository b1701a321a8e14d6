#!/usr/bin/env bash
# torch.optim.Muon steps where a gradient of low rank says nothing.
#
# Version: PyTorch 2.15.0.
#
# Muon replaces a gradient U·S·Vᵀ by about U·Vᵀ, so one expects the step of a gradient of rank r to have rank r.
# The five iterations run in bfloat16, on a CPU, too. What rounding leaves in all other directions is multiplied by 3.4
# in each of them, since that is what the polynomial does with tiny singular values. Seen on random matrices of 64 × 96
# and 96 × 64, without momentum and weight decay, how much of a step's squares lies outside of what the gradient spans:
#
#   - rank 1: seven tenths; rank 4: a quarter; rank 8: a sixth; rank 32: a fortieth; full rank: next to nothing;
#   - with the same coefficients in float32: less than a millionth, at every rank.
#
# So the fewer tokens a matrix's gradient comes from, the more of its step is noise that is as large as the step.
# Ends with 0 while this is so, and with 1 and what changed if not. Needs python3 with venv, a package index, and room
# for 6 GB, since PyTorch's wheel brings CUDA along.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
packages=(torch==2.15.0)
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q --disable-pip-version-check "${packages[@]}"

cat >"$directory/outside.py" <<'PYTHON'
import sys
import warnings

warnings.filterwarnings("ignore")
import torch

torch.manual_seed(0)
A, B, C = 3.4445, -4.7750, 2.0315


def theirs(gradient):
    weights = torch.nn.Parameter(torch.zeros_like(gradient))
    muon = torch.optim.Muon([weights], lr=1.0, weight_decay=0.0, momentum=0.0, nesterov=False)
    weights.grad = gradient.clone()
    muon.step()
    return -weights.detach()


def in_float(gradient):
    x = gradient if gradient.shape[0] <= gradient.shape[1] else gradient.T
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = A * x + (B * square + C * square @ square) @ x
    return x if gradient.shape[0] <= gradient.shape[1] else x.T


def outside(step, gradient, rank):
    u, _, v = torch.linalg.svd(gradient, full_matrices=False)
    u, v = u[:, :rank], v[:rank]
    step = step.double()
    rest = step - u @ (u.T @ step @ v.T) @ v
    return float(rest.square().sum() / step.square().sum())


# How much of a step is outside, at least and at most.
SEEN = {1: (0.5, 0.9), 4: (0.2, 0.4), 8: (0.1, 0.2), 32: (0.01, 0.05), 64: (0.0, 0.005)}
changed = False
for rank, (least, most) in SEEN.items():
    for rows, columns in [(64, 96), (96, 64)]:
        left = torch.randn(rows, rank, dtype=torch.float64)
        gradient = left @ torch.randn(rank, columns, dtype=torch.float64)
        found = outside(theirs(gradient.float()), gradient, rank)
        exact = outside(in_float(gradient.float()), gradient, rank)
        print(f"rank {rank:2} of {rows} × {columns}: outside {found:.3f}, in float32 {exact:.1e}")
        if not least <= found <= most or exact > 1e-6:
            changed = True
            print(f"    changed: it was from {least} to {most}, and 1e-6 at most in float32", file=sys.stderr)
sys.exit(changed)
PYTHON
"$directory/venv/bin/python" "$directory/outside.py"
