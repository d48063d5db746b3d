"""Trains a small BitNet b1.58 model on Jane Austen's novels, to compare engines with on weights that were trained.

The text is that of Debian's package r-cran-janeaustenr (MIT licence): Project Gutenberg's editions, which are in the
public domain. In the image of the Dockerfile beside this file, from the checkout's folder:

    docker build --tag bitnet-train tools/train
    docker run --rm --volume "$PWD/.build/trained:/out" --volume "$PWD/tools/train:/train:ro" bitnet-train \\
        python3 /train/train.py /austen.txt /out --minutes 24
    node tools/train/export.ts .build/trained test/data/trained

The learning rate follows the time that has passed, so the weights depend on the machine's speed; the rest is seeded.
"""

import argparse
import json
import math
import random
import re
import time
from pathlib import Path

import torch
from bitnet import BitLinear, BitNet, Shape, ternary
from safetensors.torch import save_file
from tokenizer import Tokenizer
from torch import Tensor
from torch.nn import functional

VOCABULARY = 1024
BEGINNING = VOCABULARY - 3  # the token that begins a text
BATCH = 4
HIGHEST_RATE = 3e-3
# Persuasion, the last of Austen's finished novels, ends the text; so much of its end is never trained on.
HELD_OUT = 60_000


def paragraphs(raw: str) -> str:
    """One line a paragraph, in ASCII and without the underscores that stand for italics."""
    text = raw.encode("ascii", "ignore").decode().replace("_", "")
    lines = (re.sub(r"\s+", " ", paragraph).strip() for paragraph in re.split(r"\n\s*\n", text))
    return "".join(f"{line}\n" for line in lines if line)


def batch(tokens: Tensor, context: int) -> tuple[Tensor, Tensor]:
    starts = [random.randrange(len(tokens) - context) for _ in range(BATCH)]
    rows = torch.stack([tokens[start : start + context] for start in starts])
    return behind_beginning(rows), rows


def behind_beginning(rows: Tensor) -> Tensor:
    """What each token is guessed from: the beginning-of-text token, and all before it."""
    return torch.cat((torch.full((len(rows), 1), BEGINNING), rows[:, :-1]), dim=1)


def loss_of(model: BitNet, inputs: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


def train(model: BitNet, tokens: Tensor, context: int, minutes: float) -> None:
    matrices = [p for p in model.parameters() if p.dim() > 1]
    norms = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.95), fused=True)
    start, step, smooth = time.monotonic(), 0, math.log(VOCABULARY)
    while (passed := (time.monotonic() - start) / (minutes * 60)) < 1:
        rate = HIGHEST_RATE * min(1, (step + 1) / 50) * (1 - passed)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", dtype=torch.bfloat16):  # three times as fast, where the CPU has AVX512_BF16
            loss = loss_of(model, *batch(tokens, context))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, smooth = step + 1, 0.95 * smooth + 0.05 * loss.item()
        if step % 100 == 0:
            print(f"{passed:.3f} step {step} loss {smooth:.3f}", flush=True)


def perplexity(model: BitNet, tokens: list[int]) -> float:
    """The first token is given, and the others are expected one by one."""
    row = torch.tensor([tokens])
    return math.exp(loss_of(model, row[:, :-1], row[:, 1:]).item())


def stored(model: BitNet) -> dict[str, Tensor]:
    """The weights as their file has them: whole ternary ones beside their scale, the embedding in 16 bits."""
    tensors = {name: weight.detach() for name, weight in model.state_dict().items()}
    for name, part in model.named_modules():
        if isinstance(part, BitLinear):
            whole, scale = ternary(part.weight.detach())
            tensors[f"{name}.weight"], tensors[f"{name}.scale"] = whole.to(torch.int8), scale
    tensors["token_embd.weight"] = model.token_embd.weight.detach().half()
    return tensors


def save(model: BitNet, shape: Shape, tokenizer: Tokenizer, text: str, folder: Path) -> None:
    model.token_embd.weight.data = model.token_embd.weight.data.half().float()
    save_file(stored(model), folder / "model.safetensors")
    tokens = [BEGINNING, *tokenizer.encode(text)[: shape.context]]
    model.double()
    held_out = {"text": tokenizer.decode(tokens[1:]), "tokens": tokens, "perplexity": perplexity(model, tokens)}
    facts = {"shape": vars(shape), "tokens": tokenizer.tokens, "merges": tokenizer.merges}
    (folder / "model.json").write_text(json.dumps(facts))
    (folder / "held-out.json").write_text(json.dumps(held_out))
    print(f"perplexity of {len(tokens) - 1} held-out tokens: {held_out['perplexity']:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=24)
    arguments = parser.parse_args()
    random.seed(1)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    text = paragraphs(arguments.text.read_text())
    seen, held_out = text[:-HELD_OUT], text[-HELD_OUT:]
    tokenizer = Tokenizer(seen, VOCABULARY)
    tokens = torch.tensor(tokenizer.encode(seen))
    shape = Shape(VOCABULARY)
    model = BitNet(shape)
    print(f"{sum(p.numel() for p in model.parameters()):,} weights, {len(tokens):,} tokens", flush=True)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    train(model, tokens, shape.context, arguments.minutes)
    save(model, shape, tokenizer, held_out.split("\n", 1)[1], arguments.folder)


if __name__ == "__main__":
    main()
