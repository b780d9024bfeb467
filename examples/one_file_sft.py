"""Supervised tuning in one file, without Tunesmith: what its `sft` recipe with template=chatml computes.

    python examples/one_file_sft.py BASE ROWS.jsonl OUT

ROWS.jsonl holds Alpaca rows: {"instruction": …, "input": …, "output": …}. A test holds this file and Tunesmith to
the same losses. What you get besides from Tunesmith: other formats, checks of every row, proofs, logs, resuming.
"""

import json
import math
import random
import sys
from pathlib import Path

import torch
import torch.nn.functional as functional
from transformers import AutoModelForCausalLM, AutoTokenizer

EPOCHS, BATCH, LR, WARMUP, SEED = 3, 32, 2e-5, 0.03, 0
START, END = "<|im_start|>", "<|im_end|>"
CHATML = """{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""


def prepare(base):
    """Model and tokenizer; the control tokens of chatml start as the mean of all tokens that were there before."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_special_tokens({"additional_special_tokens": [START, END]})
    old = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > old:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        for weight in (model.get_input_embeddings().weight, model.get_output_embeddings().weight):
            weight.data[old:] = weight.data[:old].mean(0)
    return model, tokenizer


def render(row, tokenizer):
    """(ids, index of the first id of the answer). The prompt is tokenized alone, as it is when the model is asked."""
    question = "\n\n".join(text for text in (row["instruction"], row.get("input")) if text)
    prompt = f"{START}user\n{question}{END}\n{START}assistant\n"
    asked = tokenizer(prompt, add_special_tokens=False).input_ids
    ids = tokenizer(prompt + row["output"] + END, add_special_tokens=False).input_ids
    assert ids[: len(asked)] == asked, "the tokenizer merges prompt and answer"
    return ids, len(asked)


def plan(count, epochs=EPOCHS, batch=BATCH, seed=SEED):
    """The rows of every step."""
    for epoch in range(epochs):
        order = list(range(count))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        yield from (order[start : start + batch] for start in range(0, count, batch))


def rate(done, steps, lr=LR):
    """Linear up, then half a cosine down to 0."""
    rise = round(steps * WARMUP)
    if done < rise:
        return lr * (done + 1) / rise
    return lr * 0.5 * (1 + math.cos(math.pi * (done - rise) / max(1, steps - rise)))


def nll(model, ids, start):
    """Sum of -log p over the answer and its end mark."""
    tokens = torch.tensor([ids], device=model.device)
    logits = model(input_ids=tokens, use_cache=False).logits[0, start - 1 : -1]
    return functional.cross_entropy(logits.float(), tokens[0, start:], reduction="sum")


def train(model, rows, epochs=EPOCHS, batch=BATCH, lr=LR, seed=SEED):
    """Yield the loss of every step. One row at a time: the sum is divided once, by the tokens of the whole step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
    steps = list(plan(len(rows), epochs, batch, seed))
    model.train()
    for done, chosen in enumerate(steps):
        optimizer.param_groups[0]["lr"] = rate(done, len(steps), lr)
        count = sum(len(rows[index][0]) - rows[index][1] for index in chosen)
        total = 0.0
        for index in chosen:
            loss = nll(model, *rows[index]) / count
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield total


def main(base, data, out):
    torch.manual_seed(SEED)
    model, tokenizer = prepare(base)
    if torch.cuda.is_available():
        model = model.cuda()
    rows = [render(json.loads(line), tokenizer) for line in Path(data).read_text(encoding="utf-8").splitlines()]
    for step, loss in enumerate(train(model, rows), 1):
        print(f"step {step}: loss {loss:.4f}")
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(END)
    model.save_pretrained(out)
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
