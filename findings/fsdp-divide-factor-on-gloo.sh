#!/usr/bin/env bash
# FSDPModule.set_gradient_divide_factor fails in the backward pass of a model that is sharded over gloo.
#
# Version: PyTorch 2.15.0.
#
# The method "sets a custom divide factor for the gradient reduction", and says that NCCL's PreMulSum "might" be used.
# So one expects 1.0 to give sums instead of means, on every backend. Seen on a CPU mesh with gloo, two processes:
#
#   - by itself, it makes the first backward() fail: "Cannot use ReduceOp.PREMUL_SUM with Gloo";
#   - with set_force_sum_reduction_for_comms(True) beside it, gradients are sums, as asked for;
#   - without either, they are means.
#
# Ends with 0 while this is so, and with 1 and what changed if not. Needs python3 with venv, a package index, and room
# for 6 GB, since PyTorch's wheel brings CUDA along.
set -euo pipefail

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
packages=(torch==2.15.0)
python3 -m venv "$directory/venv"
"$directory/venv/bin/pip" install -q --disable-pip-version-check "${packages[@]}"
python=$directory/venv/bin/python

failed=0
# expect WHAT WANTED FOUND
expect() {
    printf '%-44s %s\n' "$1:" "$3"
    [[ $3 == "$2" ]] || { echo "    changed: it was $2" >&2; failed=1; }
}

cat >"$directory/reduce.py" <<'PYTHON'
import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

dist.init_process_group("gloo")
model = torch.nn.Linear(4, 2, bias=False)
fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
if "factor" in sys.argv:
    model.set_gradient_divide_factor(1.0)
if "sum" in sys.argv:
    model.set_force_sum_reduction_for_comms(True)
# On both ranks the gradient of each weight is 1.
try:
    model(torch.ones(1, 4)).sum().backward()
    found = f"gradients of {float(model.weight.grad.full_tensor()[0, 0])}"
except RuntimeError as error:
    found = str(error).splitlines()[0]
if dist.get_rank() == 0:
    print(found, flush=True)
PYTHON
reduce() {
    "$python" -m torch.distributed.run --standalone --nproc-per-node=2 "$directory/reduce.py" "$@" 2>/dev/null |
        tail -n 1
}

expect 'as it is' 'gradients of 1.0' "$(reduce)"
expect 'with a divide factor of 1' 'Cannot use ReduceOp.PREMUL_SUM with Gloo' "$(reduce factor)"
expect 'with that, and sums forced' 'gradients of 2.0' "$(reduce factor sum)"
exit "$failed"
