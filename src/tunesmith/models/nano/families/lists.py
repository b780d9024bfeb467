"""Families that work on short lists of words."""

from tunesmith.models.nano.draw import Draw
from tunesmith.models.nano.families.family import Family, Problem

ORDINALS = ("first", "second", "third", "fourth")
ORDINALS_ZH = ("第一", "第二", "第三", "第四")


def comma(zh: bool) -> str:
    return "、" if zh else ", "


def some(draw: Draw, zh: bool, low: int = 3, high: int = 4) -> list[str]:
    return draw.words(draw.between(low, high), zh)


def backwards(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh)
    return Problem(comma(zh).join(words), comma(zh).join(words[::-1]))


def item_count(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh, 2, 7)
    return Problem(comma(zh).join(words), str(len(words)))


def nth(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh)
    place = draw.between(0, len(words) - 1)
    return Problem(comma(zh).join(words), words[place], {"n": (ORDINALS_ZH if zh else ORDINALS)[place]})


def last(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh, 3, 5)
    return Problem(comma(zh).join(words), words[-1])


def joined(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh)
    sign, en, zh_name = draw.choice((("-", "hyphens", "连字符"), ("/", "slashes", "斜线"), ("+", "plus signs", "加号")))
    return Problem((" " if not zh else "、").join(words), sign.join(words), {"n": zh_name if zh else en, "y": sign})


def removed(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh)
    out = draw.choice(words)
    return Problem(comma(zh).join(words), comma(zh).join(word for word in words if word != out), {"y": out})


def replaced(draw: Draw, zh: bool) -> Problem:
    *words, new = some(draw, zh, 4, 4)
    old = draw.choice(words)
    answer = comma(zh).join(new if word == old else word for word in words)
    return Problem(comma(zh).join(words), answer, {"y": old, "z": new})


def contains(draw: Draw, zh: bool) -> Problem:
    *words, other = some(draw, zh, 4, 5)
    inside = draw.rng.random() < 0.5
    answer = ("是" if inside else "否") if zh else ("yes" if inside else "no")
    told = ("有" if inside else "没有") if zh else ("is" if inside else "is not")
    return Problem(comma(zh).join(words), answer, {"y": draw.choice(words) if inside else other, "told": told})


def unique(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh, 2, 3)
    twice = draw.choice(words)
    place = draw.between(words.index(twice) + 1, len(words))
    return Problem(comma(zh).join([*words[:place], twice, *words[place:]]), comma(zh).join(words))


def appended(draw: Draw, zh: bool) -> Problem:
    *words, new = some(draw, zh, 3, 4)
    return Problem(comma(zh).join(words), comma(zh).join([*words, new]), {"y": new})


def beginning(draw: Draw, zh: bool) -> Problem:
    """The one word of a list that begins with a letter (of English words) or a character."""
    words: list[str] = []
    for word in draw.words(6, zh) if zh else [draw.invented() for _ in range(8)]:
        if len(words) < 3 and word[0] not in [known[0] for known in words]:
            words.append(word)
    found = draw.choice(words)
    return Problem(comma(zh).join(words), found, {"y": found[0]})


FAMILIES = (
    Family(
        "reverse_list",
        backwards,
        (
            "Write this list in reverse order: {x}",
            "Reverse the order of the items.",
            "List these from last to first: {x}",
        ),
        ("把这些词倒序排列：{x}", "将下面的列表按相反的顺序写出。", "从最后一个写到第一个：{x}"),
        ("{x} in reverse order is {answer}.", "From first to last: {x}. From last to first: {answer}."),
        ("{x}，倒序就是{answer}。", "从头到尾：{x}。从尾到头：{answer}。"),
    ),
    Family(
        "count_items",
        item_count,
        ("How many items are in this list? {x}", "Count the items in the list.", "How many words are there: {x}?"),
        ("这里有几个词：{x}？", "数一数下面列了几样东西。", "下面的列表有几项？"),
        ("{x}: {answer} items.", "The list {x} has {answer} words."),
        ("{x}，一共{answer}个词。", "列表里有{x}，共{answer}项。"),
    ),
    Family(
        "nth_item",
        nth,
        ("What is the {n} word in this list? {x}", "Give the {n} item of the list.", "Pick the {n} of these: {x}"),
        ("{x}，其中{n}个词是什么？", "写出列表中的{n}项。", "请选出{n}个：{x}"),
        ("In the list {x}, the {n} word is {answer}.", "{x}. The {n} one is {answer}."),
        ("在{x}中，{n}个词是{answer}。", "{x}，{n}个是{answer}。"),
    ),
    Family(
        "last_item",
        last,
        ("What is the last word in this list? {x}", "Give the last item of the list."),
        ("{x}，最后一个词是什么？", "写出列表中的最后一项。"),
        ("In the list {x}, the last word is {answer}.", "{x}. The last one is {answer}."),
        ("在{x}中，最后一个词是{answer}。", "{x}，最后一个是{answer}。"),
    ),
    Family(
        "join",
        joined,
        ("Join these words with {n}: {x}", "Write the words joined by {n}, without spaces."),
        ("用{n}把这些词连起来：{x}", "将下面的词用{n}连接。"),
        ("{x} joined with {n}: {answer}.", "With {n} between them, {x} become {answer}."),
        ("用{n}连接{x}：{answer}。",),
    ),
    Family(
        "remove_item",
        removed,
        ("Remove {y} from this list: {x}", "Take {y} out of the list.", "Write the list without {y}."),
        ("从列表中去掉{y}：{x}", "删除下面列表里的{y}。"),
        ("{x} without {y} is {answer}.", "They had {x}. When {y} was gone, {answer} were left."),
        ("{x}去掉{y}，剩下{answer}。", "从{x}中拿走{y}，还有{answer}。"),
    ),
    Family(
        "replace_item",
        replaced,
        ("Replace {y} with {z}: {x}", "In the list, change {y} to {z}.", "Write {z} instead of {y}."),
        ("把{y}换成{z}：{x}", "将下面列表中的{y}替换为{z}。"),
        ("{x} with {z} instead of {y} is {answer}.", "In {x} they replaced {y} with {z}: {answer}."),
        ("在{x}中把{y}换成{z}，得到{answer}。",),
    ),
    Family(
        "contains",
        contains,
        ("Is {y} in this list? Answer yes or no: {x}", "Does the list contain {y}? Answer yes or no."),
        ("列表中有{y}吗？回答是或否：{x}", "下面有没有{y}？请回答是或否。"),
        ("{x}. That {y} is in this list: {answer}.", "{x}: {y} {told} in this list."),
        ("{x}。说里面有{y}：{answer}。", "{x}：里面{told}{y}。"),
    ),
    Family(
        "unique",
        unique,
        ("Remove the duplicates: {x}", "Write each word of the list only once.", "Keep one of each: {x}"),
        ("去掉重复的词：{x}", "将下面列表中重复的项删除。"),
        ("{x}: each only once, {answer}.", "{x} without duplicates is {answer}."),
        ("{x}，去掉重复的就是{answer}。",),
    ),
    Family(
        "append",
        appended,
        ("Add {y} to the end of this list: {x}", "Put {y} after the last item of the list."),
        ("在列表最后加上{y}：{x}", "把{y}加到下面列表的末尾。"),
        ("{x}, and then {y} at the end: {answer}.",),
        ("{x}，最后加上{y}，就是{answer}。",),
    ),
    Family(
        "starts_with",
        beginning,
        ("Which of these words begins with {y}? {x}", "Find the word that begins with {y}."),
        ("哪个词以“{y}”开头？{x}", "找出下面以“{y}”开头的词。"),
        ("Of {x}, the one that begins with {y} is {answer}.",),
        ("在{x}中，以“{y}”开头的是{answer}。",),
    ),
)
