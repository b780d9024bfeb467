"""Tiny models, tokenizers and rows, made on the spot."""

import random
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from tunesmith.batch import Example
from tunesmith.records import Origin

BYTES = 256
TEXTS = (
    "the cat sat on the mat",
    "多语言模型可以回答问题",
    "emoji 👩‍👩‍👧 and flags 🇨🇳",
    "def add(a, b): return a + b",
) * 3
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
CONFIGS = {
    "llama": lambda: LlamaConfig(vocab_size=BYTES, num_key_value_heads=1, **SHAPE),
    "qwen2": lambda: Qwen2Config(vocab_size=BYTES, num_key_value_heads=2, tie_word_embeddings=True, **SHAPE),
    "gpt2": lambda: GPT2Config(vocab_size=BYTES, n_embd=32, n_layer=2, n_head=2, n_positions=256),
    "gpt_neox": lambda: GPTNeoXConfig(vocab_size=BYTES, **SHAPE),
}


def tiny_model(kind: str = "llama", seed: int = 0, **changes: object) -> PreTrainedModel:
    """A random model with 256 words; larger weights than usual, so that faults show in its logits."""
    torch.manual_seed(seed)
    config = CONFIGS[kind]()
    config.initializer_range = 0.2
    for name, value in changes.items():
        setattr(config, name, value)
    return AutoModelForCausalLM.from_config(config).eval()


def byte_tokenizer(*control: str, merges: int = 0) -> PreTrainedTokenizerFast:
    """256 byte tokens, `merges` longer ones, then the control tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=BYTES + merges, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in control], special_tokens=True)
    return tokenizer


def piece_tokenizer() -> PreTrainedTokenizerFast:
    """As SentencePiece makes them: ▁ for blanks, words where it has them, else bytes <0x..>."""
    words = ["▁", "▁the", "the", "▁cat", "你", "好", "▁你", "a", "▁a", "!"]
    vocabulary = {
        word: index for index, word in enumerate(["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *words])
    }
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(parts)
    return PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False, unk_token="<unk>")


def random_examples(count: int, seed: int = 0, longest: int = 40, words: int = BYTES) -> list[Example]:
    """Rows of unequal length, of which an unequal part is supervised."""
    chance = random.Random(seed)
    found = []
    for line in range(1, count + 1):
        length = chance.randint(3, longest)
        read = chance.randint(1, length - 1)
        ids = tuple(chance.randrange(words) for _ in range(length))
        found.append(Example(ids, (0.0,) * read + (1.0,) * (length - read), Origin("rows.jsonl", line)))
    return found


def save_base(folder: Path, kind: str = "llama", **changes: object) -> Path:
    """A base model on disk, without a tokenizer."""
    tiny_model(kind, **changes).save_pretrained(folder)
    return folder
