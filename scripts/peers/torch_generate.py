#!/usr/bin/env python3
"""Makes a Llama with random weights (--make), or times choosing tokens by transformers as `cairn bench generate` does.

Prints one JSON object.
"""
import argparse
import json
import os
import time

os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
import transformers  # noqa: E402

CONFIGS = {
    "tiny": dict(layers=4, d=128, heads=4, kv=2, ffn=384, vocabulary=1024),
    "10m": dict(layers=6, d=320, heads=5, kv=5, ffn=896, vocabulary=4096),
    "100m": dict(layers=12, d=768, heads=12, kv=4, ffn=2048, vocabulary=16384),
}


def make(name, directory):
    c = CONFIGS[name]
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=c["vocabulary"],
        hidden_size=c["d"],
        intermediate_size=c["ffn"],
        num_hidden_layers=c["layers"],
        num_attention_heads=c["heads"],
        num_key_value_heads=c["kv"],
        max_position_embeddings=2048,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope_parameters=dict(rope_type="default", rope_theta=500_000.0),
        # Larger than for training, so that the likeliest token changes.
        initializer_range=0.08,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(directory)
    return dict(made=name)


def measure(args):
    torch.set_num_threads(args.threads)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    prompt = torch.arange(args.prompt_tokens)[None] * 37 % model.config.vocab_size
    best = dict(prompt_tokens_per_s=0.0, tokens_per_s=0.0)
    with torch.no_grad():
        for _ in range(args.repeats):
            began = time.perf_counter()
            out = model(prompt, use_cache=True, logits_to_keep=1)
            read = args.prompt_tokens / (time.perf_counter() - began)
            # By hand: `generate` does the same and takes longer.
            began, tokens = time.perf_counter(), []
            for _ in range(args.max_tokens):
                token = out.logits[:, -1:].argmax(-1)
                tokens.append(token.item())
                out = model(token, past_key_values=out.past_key_values, use_cache=True)
            each = args.max_tokens / (time.perf_counter() - began)
            best["prompt_tokens_per_s"] = max(best["prompt_tokens_per_s"], read)
            best["tokens_per_s"] = max(best["tokens_per_s"], each)
    versions = dict(torch=torch.__version__, transformers=transformers.__version__)
    return dict(versions=versions, threads=args.threads, tokens=tokens, **best)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--make", choices=CONFIGS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(json.dumps(make(args.make, args.model) if args.make else measure(args)))


if __name__ == "__main__":
    main()
