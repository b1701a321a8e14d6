#!/usr/bin/env python3
"""Loads an exported model with Hugging Face's transformers and compares its logits with ours.

    check.py DIRECTORY EXPECTED

DIRECTORY is what `cairn run export` wrote; EXPECTED is a JSON file {"text": …, "tokens": […], "logits": [[…], …]}: what
our tokenizer makes of the text, and the logits that our trainer computes after each of these tokens. Nothing is downloaded.
"""
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

TOLERANCE = 1e-4


def main(directory, expected):
    with open(expected) as file:
        expected = json.load(file)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    # As it comes: whatever the files ask to be put in front or behind is in it.
    tokens = tokenizer(expected["text"])["input_ids"]
    if tokens != expected["tokens"]:
        sys.exit(f"tokens differ: {tokens} for {expected['tokens']}")
    if tokenizer.decode(tokens) != expected["text"]:
        sys.exit(f"text does not survive: {tokenizer.decode(tokens)!r}")
    model, report = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    missing = {name: found for name, found in report.items() if found}
    if missing:
        sys.exit(f"weights that do not fit: {missing}")
    with torch.no_grad():
        logits = model.eval()(torch.tensor([tokens])).logits[0]
    theirs = torch.tensor(expected["logits"], dtype=torch.float32)
    if logits.shape != theirs.shape:
        sys.exit(f"logits of {tuple(logits.shape)} for {tuple(theirs.shape)}")
    error = ((logits - theirs).abs().max() / theirs.abs().max()).item()
    print(f"{type(model).__name__}: {len(tokens)} tokens, logits within {error:.1e} of ours")
    if not error < TOLERANCE:
        sys.exit(f"logits differ by {error:.1e} of the largest")


if __name__ == "__main__":
    main(*sys.argv[1:])
