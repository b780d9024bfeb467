"""Families that work on the letters of English words or the characters of Chinese ones.

The words are invented: the letters of a known word, which is one token, would have to be remembered.
"""

from tunesmith.models.nano.draw import Draw
from tunesmith.models.nano.families.family import Family, Problem


def string(draw: Draw, zh: bool) -> str:
    """An invented word; under Chinese instructions it is as often Chinese as English."""
    return draw.invented(zh and draw.rng.random() < 0.6)


def phrase(draw: Draw) -> str:
    """One or two invented English words, whatever the language of the instruction."""
    return " ".join(draw.invented() for _ in range(draw.between(1, 2)))


def copied(draw: Draw, zh: bool) -> Problem:
    text = ("" if zh else " ").join(draw.words(draw.between(2, 4), zh))
    return Problem(text, text)


def upper(draw: Draw, zh: bool) -> Problem:
    text = phrase(draw)
    return Problem(text, text.upper())


def lower(draw: Draw, zh: bool) -> Problem:
    text = phrase(draw)
    return Problem(text.upper(), text.lower())


def reversed_letters(draw: Draw, zh: bool) -> Problem:
    text = string(draw, zh)
    return Problem(text, text[::-1])


def spelled(draw: Draw, zh: bool) -> Problem:
    text = string(draw, zh)
    return Problem(text, "-".join(text))


def first_letter(draw: Draw, zh: bool) -> Problem:
    text = string(draw, zh)
    return Problem(text, text[0])


def last_letter(draw: Draw, zh: bool) -> Problem:
    text = string(draw, zh)
    return Problem(text, text[-1])


def letter_count(draw: Draw, zh: bool) -> Problem:
    text = string(draw, zh)
    return Problem(text, str(len(text)))


FAMILIES = (
    Family(
        "copy",
        copied,
        (
            "Repeat this text exactly: {x}",
            "Copy the text below.",
            "Say exactly: {x}",
            "Write the following words again.",
        ),
        ("原样重复这句话：{x}", "把下面的文字抄写一遍。", "请照着说：{x}", "复制下面的内容。"),
        ('He said "{x}" and she said "{answer}" too.', "{x} | {answer}", "First line: {x}\nSame line: {answer}"),
        ("他说“{x}”，她也说“{answer}”。", "{x}｜{answer}", "第一行：{x}\n同一行：{answer}"),
    ),
    Family(
        "uppercase",
        upper,
        ("Write in capital letters: {x}", "Change the text to uppercase.", "Put this in upper case: {x}"),
        ("把 {x} 改成大写。", "将下面的英文转换成大写字母。", "用大写字母写出：{x}"),
        ("{x} in capital letters is {answer}.", "The sign does not say {x} but {answer}.", "uppercase {x}: {answer}"),
        ("{x} 的大写是 {answer}。", "牌子上写的不是 {x}，而是大写的 {answer}。"),
    ),
    Family(
        "lowercase",
        lower,
        ("Write in lowercase letters: {x}", "Change the text to lowercase.", "Put this in lower case: {x}"),
        ("把 {x} 改成小写。", "将下面的英文转换成小写字母。", "用小写字母写出：{x}"),
        ("{x} in lowercase letters is {answer}.", "She wrote not {x} but {answer}.", "lowercase {x}: {answer}"),
        ("{x} 的小写是 {answer}。", "她写的不是 {x}，而是小写的 {answer}。"),
    ),
    Family(
        "reverse_letters",
        reversed_letters,
        ("Write {x} backwards.", "Reverse the letters of the word.", "Spell {x} in reverse."),
        ("把“{x}”倒过来写。", "将下面的词按相反的顺序写出来。", "“{x}”反过来怎么写？"),
        ("{x} written backwards is {answer}.", "In the mirror {x} reads {answer}.", "reverse {x}: {answer}"),
        ("“{x}”倒过来写是“{answer}”。", "镜子里的{x}成了{answer}。"),
    ),
    Family(
        "spell",
        spelled,
        ("Spell {x} with hyphens between the letters.", "Separate the letters of the word with hyphens.", "Spell: {x}"),
        ("用连字符把“{x}”的每个字隔开。", "将下面的词逐字拆开，用连字符连接。", "逐字拼写：{x}"),
        ("{x} is spelled {answer}.", "They spelled {x} aloud: {answer}."),
        ("“{x}”拆开写是{answer}。", "逐字拼写{x}：{answer}。"),
    ),
    Family(
        "first_letter",
        first_letter,
        ("What is the first letter of {x}?", "Give the first letter of the word.", "Which letter does {x} begin with?"),
        ("“{x}”的第一个字是什么？", "写出下面这个词的第一个字。", "{x} 以什么开头？"),
        ("The first letter of {x} is {answer}.", "{x} begins with {answer}."),
        ("“{x}”的第一个字是{answer}。", "{x}以{answer}开头。"),
    ),
    Family(
        "last_letter",
        last_letter,
        ("What is the last letter of {x}?", "Give the last letter of the word.", "Which letter does {x} end with?"),
        ("“{x}”的最后一个字是什么？", "写出下面这个词的最后一个字。", "{x} 以什么结尾？"),
        ("The last letter of {x} is {answer}.", "{x} ends with {answer}."),
        ("“{x}”的最后一个字是{answer}。", "{x}以{answer}结尾。"),
    ),
    Family(
        "count_letters",
        letter_count,
        ("How many letters are in {x}?", "Count the letters of the word.", "How long is the word {x}, in letters?"),
        ("“{x}”有几个字？", "数一数下面的词有几个字。", "{x} 一共有几个字？"),
        ("{x} has {answer} letters.", "There are {answer} letters in {x}.", "letters of {x}: {answer}"),
        ("“{x}”有{answer}个字。", "{x}一共{answer}个字。"),
    ),
)
