#!/usr/bin/env bash
# Installs the engine on PyTorch (offchain-worker/engines/torch) into $CAIRN_CACHE/engine-torch, with the PyTorch that
# its pyproject.toml names. PyTorch comes once: its only wheel for x86-64 on PyPI brings CUDA along, 5.4 GB in all.
set -euo pipefail
source=$(cd "$(dirname "$0")/.." && pwd)/offchain-worker/engines/torch
venv=${CAIRN_CACHE:-$HOME/.cache/cairn}/engine-torch
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
# A copy, since building leaves files beside the sources.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$source/pyproject.toml" "$source/cairn_engine_torch" "$copy"
"$venv/bin/pip" install --quiet --disable-pip-version-check "$copy"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$copy"
"$venv/bin/python" -c 'import cairn_engine_torch, torch; print("installed: the engine, PyTorch", torch.__version__)'
