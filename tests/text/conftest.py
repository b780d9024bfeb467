"""Tokenizers made in the tests, and those of the real test data."""

from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tunesmith.text.tokenizer import load_tokenizer

TEXT = ["Hello world, how are you?", "The answer is 42.", "你好，世界。", "user\nassistant\nsystem\n\n"] * 4


@pytest.fixture(scope="session")
def trained() -> Tokenizer:
    """A byte-level BPE of about 300 pieces with chatml's marks."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(TEXT, trainer)
    made.add_special_tokens([AddedToken(text, special=True) for text in ("<s>", "</s>", "<|im_start|>", "<|im_end|>")])
    return made


@pytest.fixture
def tokenizer(trained: Tokenizer) -> PreTrainedTokenizerFast:
    copy = Tokenizer.from_str(trained.to_str())
    return PreTrainedTokenizerFast(tokenizer_object=copy, bos_token="<s>", eos_token="</s>")


@pytest.fixture
def llama(shared: Path) -> PreTrainedTokenizerFast:
    """LLaMA's SentencePiece tokenizer, through our own conversion."""
    return load_tokenizer(str(shared / "karpathy__llama2.c/tokenizer.model"))


@pytest.fixture
def gpt2(shared: Path) -> PreTrainedTokenizerFast:
    return load_tokenizer(str(shared / "microsoft__LoRA/examples/NLG/vocab/tokenizer.json"))
