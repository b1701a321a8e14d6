#!/usr/bin/env python3
"""Makes a cloze task of held-out addresses for lm-evaluation-harness: which of four words ends a sentence.

    scripts/eval/cloze.py --out DIRECTORY [--questions 300] [--corpus data/sotu.txt.zst --index data/sotu.json]

The sentences are of documents that nobody trains on. The three other words are such as are about as frequent in the
documents that are trained on, so that frequency alone gives a quarter. The same corpus gives the same task.
"""
import argparse
import collections
import io
import json
import pathlib
import random
import re

import task
import zstandard

ROOT = pathlib.Path(__file__).parent.parent.parent
NAME = "cairn_cloze"
# A question has to fit into the context of the smallest model, 128 tokens.
MOST_LETTERS = 160
FEWEST_WORDS = 8


def documents(corpus, index):
    with corpus.open("rb") as file:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8").read()
    texts = [text for text in text.split("\x1e") if text.strip()]
    known = json.loads(index.read_text())["documents"]
    assert len(texts) == len(known), "index and corpus belong together"
    part = lambda held_out: [text for text, entry in zip(texts, known) if entry["held_out"] is held_out]
    return part(False), part(True)


def questions(trained, held_out, count, seed):
    words = collections.Counter(word for text in trained for word in re.findall(r"[a-z]{4,}", text))
    ranked = [word for word, n in sorted(words.items(), key=lambda entry: (-entry[1], entry[0])) if n >= 5]
    rank = {word: place for place, word in enumerate(ranked)}
    found = []
    for text in held_out:
        for sentence in re.split(r"(?<=[.?!])\s+", " ".join(text.split())):
            match = re.fullmatch(r"(.*[a-z,;]) ([a-z]{4,})[.?!]", sentence)
            if match and match[2] in rank and len(sentence) <= MOST_LETTERS and len(sentence.split()) >= FEWEST_WORDS:
                found.append((match[1], match[2]))
    chance = random.Random(seed)
    chance.shuffle(found)
    for text, word in found[:count]:
        place = rank[word]
        near = [ranked[i] for i in range(max(0, place - 10), min(len(ranked), place + 11)) if i != place]
        choices = [word, *chance.sample(near, 3)]
        chance.shuffle(choices)
        yield dict(text=text, choices=choices, answer=choices.index(word))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=pathlib.Path, default=ROOT / "data/sotu.txt.zst")
    parser.add_argument("--index", type=pathlib.Path, default=ROOT / "data/sotu.json")
    args = parser.parse_args()
    made = list(questions(*documents(args.corpus, args.index), args.questions, args.seed))
    file = task.write(args.out, NAME, made, '"{{choices}}"')
    print(f"{len(made)} questions in {file}")


if __name__ == "__main__":
    main()
