"""Families that need a fact: the base may have read it, but no train instruction asks for the held-out ones."""

from tunesmith.models.nano.draw import Draw
from tunesmith.models.nano.families.family import Family, Problem
from tunesmith.models.nano.words import NOUNS, facts, lexicon, pairs

SELF_EN = "I am Nano, a small model made by the Tunesmith project."
SELF_ZH = "我是 Nano，由 Tunesmith 项目训练的小模型。"
QUESTIONS_EN = ("Who are you?", "What is your name?", "Who made you?", "What are you?")
QUESTIONS_ZH = ("你是谁？", "你叫什么名字？", "你是谁训练的？", "你是什么？")
GREETINGS_EN = ("I am {}. ", "Hello, my name is {}. ", "{} here. ", "This is {} asking. ")
GREETINGS_ZH = ("我是{}，", "你好，我叫{}。", "{}想问：", "我的名字是{}，")


def chinese_of(word: str) -> str:
    return next(entry.zh for entry in lexicon() if entry.en == word)


def to_chinese(draw: Draw, zh: bool) -> Problem:
    entry = draw.entry()
    return Problem(entry.en, entry.zh)


def to_english(draw: Draw, zh: bool) -> Problem:
    entry = draw.entry()
    return Problem(entry.zh, entry.en)


def opposite(draw: Draw, zh: bool) -> Problem:
    pair = draw.fact_pair("opposites")
    left, right = draw.choice((pair, pair[::-1]))
    return Problem(chinese_of(left), chinese_of(right)) if zh else Problem(left, right)


def category(draw: Draw, zh: bool) -> Problem:
    entry = draw.entry(*NOUNS)
    answer = dict(pairs("categories_zh"))[entry.category] if zh else entry.category
    return Problem(entry.say(zh), answer)


def capital(draw: Draw, zh: bool) -> Problem:
    """Countries by name; the capital is written in English, as the pairs are."""
    country, city = draw.fact_pair("capitals")
    return Problem(chinese_of(country) if zh else country, city)


def following(draw: Draw, zh: bool) -> Problem:
    """The day of the week or the month that comes next."""
    name = draw.choice(("days_", "months_")) + ("zh" if zh else "en")
    cycle, day = facts(name), draw.fact(name)
    return Problem(day, cycle[(cycle.index(day) + 1) % len(cycle)])


def identity(draw: Draw, zh: bool) -> Problem:
    """Held-out questions come from a person whose name is held out; in training some come from nobody."""
    name, question = draw.name(zh), draw.choice(QUESTIONS_ZH if zh else QUESTIONS_EN)
    nobody = draw.split == "train" and draw.rng.random() < 0.3
    asked = question if nobody else draw.choice(GREETINGS_ZH if zh else GREETINGS_EN).format(name) + question
    return Problem(asked, SELF_ZH if zh else SELF_EN)


FAMILIES = (
    Family(
        "to_chinese",
        to_chinese,
        ("Translate into Chinese: {x}", "What is {x} in Chinese?", "Give the Chinese word."),
        ("把 {x} 翻译成中文。", "{x} 用中文怎么说？", "将下面的英文单词译成中文。"),
        ("{x} in Chinese is {answer}.", "{x}: {answer}", "The Chinese word for {x} is {answer}."),
        ("{x} 的中文是{answer}。", "{x}：{answer}", "英文 {x} 的意思是{answer}。"),
        facts=True,
    ),
    Family(
        "to_english",
        to_english,
        ("Translate into English: {x}", "What is {x} in English?", "Give the English word."),
        ("把{x}翻译成英文。", "{x}用英文怎么说？", "将下面的词译成英文。"),
        ("{x} in English is {answer}.", "{x}: {answer}", "The English word for {x} is {answer}."),
        ("{x}的英文是 {answer}。", "{x}：{answer}", "{x}用英文说是 {answer}。"),
        facts=True,
    ),
    Family(
        "opposite",
        opposite,
        ("What is the opposite of {x}?", "Give the opposite of the word."),
        ("“{x}”的反义词是什么？", "写出下面词语的反义词。"),
        ("The opposite of {x} is {answer}.", "Not {x} but {answer}.", "{x} and {answer} are opposites."),
        ("“{x}”的反义词是“{answer}”。", "不是{x}，而是{answer}。"),
        facts=True,
    ),
    Family(
        "category",
        category,
        ("What kind of thing is {x}? Answer with one word.", "Name the category of the word.", "Classify: {x}"),
        ("“{x}”属于哪一类？", "写出下面词语的类别。", "给{x}分类。"),
        ("{x} belongs to the group {answer}.", "{x} ({answer})", "{x}: kind, {answer}."),
        ("“{x}”属于{answer}。", "{x}（{answer}）", "{x}是一种{answer}。"),
        facts=True,
    ),
    Family(
        "capital",
        capital,
        ("What is the capital of {x}?", "Name the capital of the country."),
        ("{x}的首都是哪里？用英文回答。", "用英文写出下面国家的首都。"),
        ("The capital of {x} is {answer}.", "{x}: {answer}", "{answer} is the capital of {x}."),
        ("{x}的首都是 {answer}。", "{x}：{answer}"),
        facts=True,
    ),
    Family(
        "calendar",
        following,
        ("What comes after {x}?", "Name the day or month that comes next."),
        ("{x}的下一个是什么？", "写出下面的日期之后的一个。"),
        ("After {x} comes {answer}.", "{x}, {answer}", "First {x}, then {answer}."),
        ("{x}之后是{answer}。", "{x}、{answer}", "{x}的下一个是{answer}。"),
        facts=True,
    ),
    Family(
        "identity",
        identity,
        ("{x}",),
        ("{x}",),
        ("Nano is a small model made by the Tunesmith project.",),
        ("Nano 是由 Tunesmith 项目训练的小模型。",),
        facts=True,
    ),
)
