"""Texts on which two tokenizers are compared: what is rare in data and common in complaints."""

import random
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SCRAPS = (
    "Hello world", "the cat sat on the mat", "It's we'll I'M they'RE", "你好，世界！", "这是一个测试。",
    "\u3000\u5168\u89d2\u3000\uff21\uff22\uff23\uff11\uff12\uff13", "한국어 문장입니다",
    "日本語のテキスト、カタカナ", "Привет, мир", "مرحبا بالعالم", "नमस्ते दुनिया",
    "\U0001f600\U0001f469\u200d\U0001f469\u200d\U0001f467\U0001f1e8\U0001f1f3", "é ñ ü ß", "ﬁ ﬂ", "\r\n",
    "\n\n", "\t", "  ", "   \n  ", " ", "\u200b", "\ufeff", "1234567890", "3.14159", "12,345", "x=1;y=2",
    "a_b-c/d\\e", "http://example.org/?q=1&r=2", "def f(a, b):\n    return a + b\n", "<p>html</p>",
    '{"key": [1, 2]}', "$100 €5 ¥7", "...!!!???", "“quotes” ‘single’", "C++ and C#", "𠮷野家", "①②③", "a", "Z",
    "0", ".", "▁", "Ġ", "\x00", "\x7f", "ǅ", "İ",
)  # fmt: skip


def probes(tokenizer: "PreTrainedTokenizerFast", count: int = 400) -> list[str]:
    """Scraps, scraps joined at random, pieces of the vocabulary joined at random, control tokens between them."""
    chance = random.Random(0)
    backend = tokenizer.backend_tokenizer
    size = backend.get_vocab_size()
    control = [token.content for token in backend.get_added_tokens_decoder().values()]
    texts = list(SCRAPS)
    for _ in range(count // 2):
        texts.append("".join(chance.choice(SCRAPS) for _ in range(chance.randint(2, 8))))
        drawn = backend.decode([chance.randrange(size) for _ in range(chance.randint(1, 30))], skip_special_tokens=True)
        texts.append(drawn.replace("\ufffd", ""))
        if control:
            texts.append(
                chance.choice(control) + chance.choice(SCRAPS) + chance.choice(control) + chance.choice(SCRAPS)
            )
    return [composed(backend, text) for text in texts if text]


def composed(backend: object, text: str) -> str:
    """The text in the form that the tokenizer's own normaliser makes of it, where that is one of Unicode's.

    llama.cpp normalises nothing: text that is not in this form is split otherwise there, for every model.
    """
    normalizer = getattr(backend, "normalizer", None)
    if normalizer is None:
        return text
    made = str(normalizer.normalize_str(text))
    return made if made == unicodedata.normalize("NFC", text) else text
