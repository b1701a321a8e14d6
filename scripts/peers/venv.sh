#!/usr/bin/env bash
# Makes the virtual environment with what ours is measured against and checked with: PyTorch, transformers, JAX,
# lm-evaluation-harness.
# Does nothing if it is there. PyTorch's only wheel for x86-64 on PyPI brings CUDA along: several GB.
set -euo pipefail
VENV=${CAIRN_CACHE:-$HOME/.cache/cairn}/venv
[ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
"$VENV/bin/python" - <<'PYTHON' 2>/dev/null || "$VENV/bin/pip" install --quiet \
    torch transformers jax safetensors numpy 'lm_eval[api]==0.4.13' accelerate peft zstandard
import importlib.util, sys
needed = ["torch", "transformers", "jax", "safetensors", "numpy", "lm_eval", "tenacity", "accelerate", "peft"]
needed += ["zstandard"]
sys.exit(any(importlib.util.find_spec(name) is None for name in needed))
PYTHON
