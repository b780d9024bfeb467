"""The verb and the noun of an instruction."""

import json
from collections import Counter

import pytest

from tunesmith.data.verbs import verb_noun


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("Write a short story about a cat.", ("write", "story")),
        ("Please rewrite the sentences given below using active voice.", ("rewrite", "sentence")),
        ("Summarize the given passage.", ("summarize", "passage")),
        ("Can you give me three tips for staying healthy?", ("give", "tip")),
        ("How can we reduce air pollution?", ("reduce", "pollution")),
        ("Come up with a new name for the shop", ("come", "name")),
        ("Given a list of words, sort the words.", ("sort", "word")),
        ("Design an app for a delivery company.", ("design", "app")),
        ("What is the capital of France?", None),
        ("Explain why the sky is blue.", None),
        ("42", None),
        ("", None),
        ("请写一首关于春天的诗", ("写", "诗")),
        ("将下面的句子翻译成英文", ("翻译", "句子")),
        ("给定以下文本，生成一个标题。", ("生成", "标题")),
        ("列出五种常见的水果", ("列出", "水果")),
        ("编写JavaScript脚本以打印当前日期和时间。", ("编写", "脚本")),
        ("天空", None),
    ],
)
def test_the_pair_of_an_instruction(text, pair):
    assert verb_noun(text) == pair


def test_alpaca_asks_to_rewrite_sentences_and_generate_lists(shared):
    rows = json.loads((shared / "tatsu-lab__stanford_alpaca/alpaca_data.json").read_text())[::13]
    pairs = [verb_noun(row["instruction"]) for row in rows]
    assert sum(pair is not None for pair in pairs) / len(pairs) > 0.8
    assert {pair for pair, _ in Counter(filter(None, pairs)).most_common(4)} >= {
        ("rewrite", "sentence"),
        ("generate", "list"),
    }
