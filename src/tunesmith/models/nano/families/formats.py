"""Families that ask for a form: JSON, bullets, brackets, so many times."""

import json

from tunesmith.models.nano.draw import Draw
from tunesmith.models.nano.families.family import Family, Problem
from tunesmith.models.nano.families.lists import comma, some

TIMES_ZH = {2: "两", 3: "三", 4: "四"}


def record(draw: Draw, zh: bool) -> Problem:
    name, age, city = draw.name(zh), draw.number(10, 99), draw.city(zh)
    text = draw.choice(
        ("{}，{}岁，住在{}", "{}今年{}岁，在{}工作") if zh else ("{}, {}, {}", "{} is {} and lives in {}")
    )
    keys = ("姓名", "年龄", "城市") if zh else ("name", "age", "city")
    answer = json.dumps(dict(zip(keys, (name, age, city), strict=True)), ensure_ascii=False)
    return Problem(text.format(name, age, city), answer)


def pair(draw: Draw, zh: bool) -> Problem:
    """A key and a word as a JSON object of one field."""
    key, value = draw.words(2, zh)
    return Problem(f"{key} = {value}", json.dumps({key: value}, ensure_ascii=False))


def array(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh)
    return Problem(comma(zh).join(words), json.dumps(words, ensure_ascii=False))


def bullets(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh)
    return Problem(comma(zh).join(words), "\n".join(f"- {word}" for word in words))


def numbered(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh)
    return Problem(comma(zh).join(words), "\n".join(f"{place}. {word}" for place, word in enumerate(words, 1)))


def brackets(draw: Draw, zh: bool) -> Problem:
    text = ("" if zh else " ").join(some(draw, zh, 1, 3))
    left, right, en, name = draw.choice(
        (("[", "]", "square", "方"), ("(", ")", "round", "圆"), ("{", "}", "curly", "花"))
    )
    return Problem(text, f"{left}{text}{right}", {"n": name if zh else en})


def quotes(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh, 2, 3)
    return Problem(comma(zh).join(words), comma(zh).join(f'"{word}"' for word in words))


def commas(draw: Draw, zh: bool) -> Problem:
    words = some(draw, zh)
    return Problem(" ".join(words), comma(zh).join(words))


def times(draw: Draw, zh: bool) -> Problem:
    word, count = draw.word(zh), draw.between(2, 4)
    return Problem(
        word, " ".join([word] * count), {"n": TIMES_ZH[count] if zh else ("two", "three", "four")[count - 2]}
    )


FAMILIES = (
    Family(
        "json_record",
        record,
        (
            "Fill a JSON object with name, age and city: {x}",
            "Write the person as JSON with the fields name, age, city.",
        ),
        ("用 JSON 写出姓名、年龄和城市：{x}", "将下面的人写成 JSON，字段为姓名、年龄、城市。"),
        ("{x}\n{answer}", "{x}: {answer}"),
        ("{x}\n{answer}", "{x}：{answer}"),
    ),
    Family(
        "json_pair",
        pair,
        ("Write as a JSON object: {x}", "Turn the line into a JSON object."),
        ("写成 JSON 对象：{x}", "将下面一行转换成 JSON 对象。"),
        ("{x} in JSON: {answer}", "{x}\n{answer}"),
        ("{x} 用 JSON 写是 {answer}", "{x}\n{answer}"),
    ),
    Family(
        "json_list",
        array,
        ("Write as a JSON list: {x}", "Turn the items into a JSON list."),
        ("写成 JSON 列表：{x}", "将下面的词转换成 JSON 列表。"),
        ("{x} in JSON: {answer}", "{x}\n{answer}"),
        ("{x} 用 JSON 写是 {answer}", "{x}\n{answer}"),
    ),
    Family(
        "bullets",
        bullets,
        ("Write as a list with bullets: {x}", "Put each item on a line of its own after a hyphen."),
        ("写成带短横线的列表：{x}", "将下面的词每行写一个，前面加短横线。"),
        ("{x}, with bullets:\n{answer}", "{x}\n{answer}"),
        ("{x}，带短横线：\n{answer}", "{x}\n{answer}"),
    ),
    Family(
        "numbered",
        numbered,
        ("Write as a numbered list: {x}", "Put each item on a line of its own with its number."),
        ("写成编号列表：{x}", "将下面的词每行写一个，前面加编号。"),
        ("{x}, numbered:\n{answer}", "{x}\n{answer}"),
        ("{x}，编号：\n{answer}", "{x}\n{answer}"),
    ),
    Family(
        "brackets",
        brackets,
        ("Put {n} brackets around this: {x}", "Write the text in {n} brackets."),
        ("用{n}括号把它括起来：{x}", "给下面的文字加上{n}括号。"),
        ("{x} in {n} brackets: {answer}", "With {n} brackets around it, {x} is {answer}."),
        ("{x}加上{n}括号是{answer}。",),
    ),
    Family(
        "quotes",
        quotes,
        ("Put quotation marks around every item: {x}", "Write each item of the list in quotation marks."),
        ("给每个词加上双引号：{x}", "将下面列表的每一项放进双引号。"),
        ("{x} in quotation marks: {answer}.",),
        ("{x}加上双引号是{answer}。",),
    ),
    Family(
        "comma_list",
        commas,
        ("Separate these words with commas: {x}", "Write the words as a list with commas."),
        ("用顿号隔开这些词：{x}", "在下面的词之间加上顿号。"),
        ("{x} with commas: {answer}.",),
        ("{x}用顿号隔开是{answer}。",),
    ),
    Family(
        "repeat",
        times,
        ("Write {x} {n} times.", "Repeat the word {n} times.", "Say {x} {n} times."),
        ("把{x}写{n}遍。", "将下面的词重复{n}遍。", "说{n}遍{x}。"),
        ("{x} {n} times: {answer}.", "They said {x} {n} times: {answer}!"),
        ("{x}说{n}遍：{answer}。", "他把{x}写了{n}遍：{answer}。"),
    ),
)
