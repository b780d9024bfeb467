"""What an instruction asks for: its verb and the noun that the verb is about, as in "write" and "poem".

No parser: the forms that a word can have decide, and where it stands. Self-Instruct (Wang et al., 2022) counted such
pairs, from parse trees, to show how varied its instructions are; half of them had one.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

from tunesmith.errors import missing_extra


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LONGEST = 200  # characters that are looked at: the verb stands near the beginning
HAN = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]+")
WORDS = re.compile(r"[A-Za-z]+(?:['’-][A-Za-z]+)*|[.,:;!?()\n\"“”]")
# After these, or at the beginning of a sentence or clause, an imperative can stand; "can you", "I want to".
BEFORE = words("please to you and then i we kindly just also let's lets me us now first next")
NO_VERB = words(
    "be do have can could will would shall should may might must am is are was were been does did has had"
    " please let want need like help thank thanks in on at by for with if while as so"
)
SKIPPED = words(
    "a an the this that these those my your our his her its their any some all each every both no another other"
    " me us you him them it i we one two three four five six seven eight nine ten"
)
PARTICLES = words("up out down off away")
BORDER = words(
    "of for to in on at by with from into as about between that which who whose what why how when where whether if and"
    " or but using based so than through without within over under is are was were can could will would should"
    " must may do does did has have had been be after before during against because while then"
)
BREAKS = re.compile(r"[。！？；：，、!?;:,\n]")
NO_ZH_VERB = words(
    "请 是 有 可以 能 能够 需要 想 要 想要 给定 会 应该 帮 帮忙 帮助 让 使 希望 得 没有 为主 能否 是否 作为 进行 请问"
)
LEADS = (
    "根据",
    "基于",
    "给定",
    "作为",
    "为了",
    "题目",
    "问题",
)  # a clause that begins so tells what is given, not asked


def verb_noun(text: str) -> tuple[str, str] | None:
    """The first verb that can be an order and the noun that follows as its object; None where there is no such pair.

    English words come in their base form. A text with more Chinese characters than Latin words is Chinese.
    """
    start = text[:LONGEST]
    chinese = len(HAN.findall(start)) > len(LATIN.findall(start))
    return chinese_pair(start) if chinese else english_pair(start)


def english_pair(text: str) -> tuple[str, str] | None:
    words = [word.lower() for word in WORDS.findall(text)]
    for place, word in enumerate(words):
        before = words[place - 1] if place else "\n"
        if (before in BEFORE or not before[0].isalpha() or before.endswith("ly")) and is_base_verb(word):
            noun = english_object(words[place + 1 :])
            if noun:
                return forms(word)["VERB"][0], noun
    return None


def english_object(words: Sequence[str]) -> str | None:
    """The last noun of the first phrase: "a short story about" has story; a word that nobody knows is a noun."""
    head = None
    for before, word in zip(("", *words), words, strict=False):
        border = word in BORDER and before not in PARTICLES  # "come up with a name"
        known = forms(word) or {"NOUN": (word,)}
        if not word[0].isalpha() or border or (head and ("NOUN" not in known or is_participle(word))):
            break
        if "NOUN" in known and word not in SKIPPED and word not in PARTICLES and word not in BORDER:
            head = known["NOUN"][0]
    return head


def is_participle(word: str) -> bool:
    """ "given", "written": after a noun they begin what is said of it."""
    return word.endswith(("en", "ed", "ing")) and word not in forms(word).get("VERB", (word,))


def is_base_verb(word: str) -> bool:
    return word[0].isalpha() and word not in NO_VERB and word in forms(word).get("VERB", ())


@lru_cache(maxsize=100_000)
def forms(word: str) -> dict[str, tuple[str, ...]]:
    """Kind of word → base forms, for every kind that a word can be; empty for an unknown word."""
    found: dict[str, tuple[str, ...]] = lemminflect().getAllLemmas(word)
    return found


def chinese_pair(text: str) -> tuple[str, str] | None:
    """Also where 把 or 将 puts the noun first: 将下面的句子翻译成英文 has 翻译 and 句子."""
    clauses = [clause for clause in map(str.strip, BREAKS.split(text)) if clause]
    for clause in sorted(clauses, key=lambda clause: clause.startswith(LEADS)):
        words = list(tagged(clause))
        for place, (word, flag) in enumerate(words):
            if flag == "v" and word not in NO_ZH_VERB:
                moved = next((at for at, (other, _) in enumerate(words[:place]) if other in ("把", "将")), None)
                noun = chinese_object(words[place + 1 :] if moved is None else words[moved + 1 : place])
                if noun:
                    return word, noun
    return None


def chinese_object(words: Sequence[tuple[str, str]]) -> str | None:
    """The last noun before the next verb: 一首关于春天的诗 has 诗."""
    head = None
    for word, flag in words:
        if flag == "v" and head:
            break
        head = word if flag in ("n", "vn", "nz", "an") else head
    return head


def tagged(clause: str) -> Iterator[tuple[str, str]]:
    """Words and what they mostly are: v, n and so on. 翻译成 is taken for the verb 翻译."""
    tokenizer, kinds = jieba()
    for word in tokenizer.cut(clause, HMM=False):
        kind = kinds.get(word, "")
        if kind[:1] != "v" and word[-1] in "成为出到" and kinds.get(word[:-1]) in ("v", "vn"):
            word, kind = word[:-1], "v"
        yield word, kind


@cache
def lemminflect() -> Any:
    try:
        import lemminflect
    except ImportError as error:
        raise missing_extra("lemminflect", "data", "verb_noun") from error
    return lemminflect


@cache
def jieba() -> tuple[Any, dict[str, str]]:
    """What cuts a clause into words, and word → kind. The dictionary decides alone: guessing takes 50 times as long."""
    try:
        import jieba
        from jieba import posseg
    except ImportError as error:
        raise missing_extra("jieba", "data", "verb_noun") from error
    jieba.setLogLevel("ERROR")
    return jieba.dt, posseg.dt.word_tag_tab
