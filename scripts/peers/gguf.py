#!/usr/bin/env python3
"""Loads an exported model in llama.cpp and in transformers, and compares logits and tokens.

    scripts/peers/gguf.py --cairn BINARY --hugging-face DIRECTORY --gguf DIRECTORY [--text FILE]

The directories are what `cairn run export` wrote of the same checkpoint, without and with `--format gguf`. Needs
llama-cpp-python and transformers; nothing is downloaded. Ends with 1 if tokens differ or logits are further apart
than the tolerance.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import llama_cpp  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

# Of the largest logit.
TOLERANCE = 1e-5
TEXT = """Fellow-Citizens of the Senate:

It's 1789, and they've had 12,345 reasons — überall — to   say so;
	the State <|end|> of the Union is "strong"!  """


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cairn", required=True)
    parser.add_argument("--hugging-face", required=True, type=pathlib.Path)
    parser.add_argument("--gguf", required=True, type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path)
    args = parser.parse_args()
    text = args.text.read_text() if args.text else TEXT
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.hugging_face)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.hugging_face, dtype=torch.float32)
    llama = llama_cpp.Llama(
        str(args.gguf / "model.gguf"),
        n_ctx=model.config.max_position_embeddings,
        logits_all=True,
        verbose=False,
        # Kept keys and values in f32, as ours are; by default they are halved to f16.
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
    )
    tokens = tokenizer(text)["input_ids"]
    theirs = llama.tokenize(text.encode(), add_bos=False, special=False)
    same = theirs == tokens
    print(f"{len(tokens)} tokens of {len(text)} letters; llama.cpp makes {'the same' if same else 'others'}")
    if not same:
        at = next((i for i, (a, b) in enumerate(zip(tokens, theirs)) if a != b), min(len(tokens), len(theirs)))
        print(f"  from token {at}: {tokens[at:at + 8]} and {theirs[at:at + 8]}", file=sys.stderr)
    back = llama.detokenize(tokens).decode()
    if back != text:
        same = False
        print(f"  text comes back as {back!r}", file=sys.stderr)
    # transformers' logits are ours within the tolerance: tests/hugging-face/check.py.
    tokens = tokens[: model.config.max_position_embeddings]
    llama.eval(tokens)
    logits = torch.from_numpy(numpy.array(llama.scores[: len(tokens)]))
    with torch.no_grad():
        expected = model.eval()(torch.tensor([tokens])).logits[0]
    error = ((logits - expected).abs().max() / expected.abs().max()).item()
    print(f"logits after {len(tokens)} tokens: within {error:.1e} of the largest of transformers'")
    greedy = generate(args.cairn, args.hugging_face, "The", 32)
    prompt = llama.tokenize(b"The", add_bos=False, special=False)
    chosen = []
    llama.reset()
    for token in llama.generate(prompt, temp=0.0):
        if token == llama.token_eos() or len(chosen) == 32:
            break
        chosen.append(token)
    agree = chosen == greedy[: len(chosen)]
    whose = "the same as" if agree else "another than"
    print(f"greedy text of {len(chosen)} tokens: {whose} `cairn run generate` makes")
    sys.exit(0 if same and agree and error < TOLERANCE else 1)


def generate(cairn, directory, prompt, tokens):
    command = [cairn, "run", "generate", "--model", directory, "--prompt", prompt, "--temperature", "0", "--json"]
    done = subprocess.run([*command, "--max-tokens", str(tokens)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["tokens"]


if __name__ == "__main__":
    main()
