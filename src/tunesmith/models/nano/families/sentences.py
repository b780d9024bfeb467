"""Families that read a sentence."""

from tunesmith.models.nano.draw import Draw
from tunesmith.models.nano.families.family import Family, Problem

THINGS = ("animal", "food", "fruit", "tool", "clothing", "object", "vehicle", "furniture", "music")
BUYING_EN = (
    "{name} bought {number} {colour} {thing} in {city}.",
    "In {city}, {name} has {number} {colour} {thing}.",
    "{name} went to {city} and saw {number} {colour} {thing}.",
    "There are {number} {colour} {thing} in the house of {name} in {city}.",
)
BUYING_ZH = (
    "{name}在{city}买了{number}个{colour}的{thing}。",
    "在{city}，{name}有{number}个{colour}的{thing}。",
    "{name}去{city}看见了{number}个{colour}的{thing}。",
    "{city}的{name}家里有{number}个{colour}的{thing}。",
)
OPINION_EN = (
    "The {thing} was {feel}.",
    "I think this {thing} is {feel}.",
    "What a {feel} {thing}!",
    "{name} said: {feel}!",
)
OPINION_ZH = ("这个{thing}{feel}。", "我觉得{thing}{feel}。", "{name}说这个{thing}{feel}！")


def scene(draw: Draw, zh: bool) -> dict[str, str]:
    """What a sentence about buying says, and the sentence itself under "x"."""
    said = {
        "name": draw.name(zh),
        "number": str(draw.number(2, 99)),
        "colour": draw.entry("colour").say(zh),
        "thing": draw.entry(*THINGS).say(zh),
        "city": draw.city(zh),
    }
    return said | {"x": draw.choice(BUYING_ZH if zh else BUYING_EN).format(**said)}


def who(draw: Draw, zh: bool) -> Problem:
    said = scene(draw, zh)
    return Problem(said["x"], said["name"])


def how_many(draw: Draw, zh: bool) -> Problem:
    said = scene(draw, zh)
    return Problem(said["x"], said["number"])


def which_colour(draw: Draw, zh: bool) -> Problem:
    said = scene(draw, zh)
    return Problem(said["x"], said["colour"])


def where(draw: Draw, zh: bool) -> Problem:
    said = scene(draw, zh)
    return Problem(said["x"], said["city"])


def holder(draw: Draw, zh: bool) -> Problem:
    """Two people, two things: who has the one that is asked for?"""
    names = [draw.name(zh), draw.name(zh)]
    things = [entry.say(zh) for entry in draw.entries(2, *THINGS)]
    form = "{}有{}，{}有{}。" if zh else "{} has the {} and {} has the {}."
    asked = draw.between(0, 1)
    return Problem(form.format(names[0], things[0], names[1], things[1]), names[asked], {"y": things[asked]})


def held(draw: Draw, zh: bool) -> Problem:
    """Two people, two things: what does the one who is asked for have?"""
    names = [draw.name(zh), draw.name(zh)]
    things = [entry.say(zh) for entry in draw.entries(2, *THINGS)]
    form = "{}有{}，{}有{}。" if zh else "{} has the {} and {} has the {}."
    asked = draw.between(0, 1)
    return Problem(form.format(names[0], things[0], names[1], things[1]), things[asked], {"y": names[asked]})


def sentiment(draw: Draw, zh: bool) -> Problem:
    good = draw.rng.random() < 0.5
    feel = draw.fact(("good" if good else "bad") + ("_zh" if zh else ""))
    thing = draw.entry("food", "fruit", "drink", "place", "clothing", "vehicle", "furniture").say(zh)
    form = draw.choice(OPINION_ZH if zh else OPINION_EN)
    text = form.format(thing=thing, feel=feel, name=draw.name(zh))
    return Problem(text, ("正面" if good else "负面") if zh else ("positive" if good else "negative"))


def tongue(draw: Draw, zh: bool) -> Problem:
    chinese = draw.rng.random() < 0.5
    text = scene(draw, chinese)["x"]
    return Problem(text, ("中文" if chinese else "英文") if zh else ("Chinese" if chinese else "English"))


FAMILIES = (
    Family(
        "extract_name",
        who,
        ("Which person is named in this sentence? {x}", "Find the name of the person.", "Extract the name: {x}"),
        ("这句话里的人叫什么名字？{x}", "找出下面句子中的人名。", "提取人名：{x}"),
        ("{x} The name of the person is {answer}.", "{x} It was {answer}."),
        ("{x}这个人叫{answer}。", "{x}名字是{answer}。"),
    ),
    Family(
        "extract_number",
        how_many,
        ("Which number is in this sentence? {x}", "Find the number.", "Extract the number: {x}"),
        ("这句话里的数字是多少？{x}", "找出下面句子中的数字。", "提取数字：{x}"),
        ("{x} The number is {answer}.", "{x} In all {answer} of them."),
        ("{x}数量是{answer}。", "{x}一共{answer}个。"),
    ),
    Family(
        "extract_colour",
        which_colour,
        ("Which colour is named in this sentence? {x}", "Find the colour.", "Extract the colour: {x}"),
        ("这句话里提到了什么颜色？{x}", "找出下面句子中的颜色。", "提取颜色：{x}"),
        ("{x} The colour is {answer}.", "{x} They are all {answer}."),
        ("{x}颜色是{answer}。", "{x}都是{answer}的。"),
    ),
    Family(
        "extract_city",
        where,
        ("Which city is named in this sentence? {x}", "Find the city.", "Extract the city: {x}"),
        ("这句话里提到了哪个城市？{x}", "找出下面句子中的城市。", "提取城市：{x}"),
        ("{x} The city is {answer}.", "{x} That was in {answer}."),
        ("{x}城市是{answer}。", "{x}这是在{answer}。"),
    ),
    Family(
        "who_has",
        holder,
        ("{x} Who has the {y}?", "Who has the {y}?", "Read the text and name the person who has the {y}."),
        ("{x}谁有{y}？", "谁有{y}？", "读下面的文字，说出谁有{y}。"),
        ("{x} So the {y} is with {answer}.", "{x} It is {answer} who has the {y}."),
        ("{x}所以有{y}的是{answer}。",),
    ),
    Family(
        "what_has",
        held,
        ("{x} What does {y} have?", "What does {y} have?"),
        ("{x}{y}有什么？", "{y}有什么？"),
        ("{x} So what {y} has is the {answer}.",),
        ("{x}所以{y}有的是{answer}。",),
    ),
    Family(
        "sentiment",
        sentiment,
        (
            "Is this positive or negative? {x}",
            "Say whether the review is positive or negative.",
            "Classify the feeling: {x}",
        ),
        ("这句话是正面还是负面的？{x}", "判断下面的评价是正面还是负面。"),
        ("{x} That is a {answer} review.", "{x} The feeling is {answer}."),
        ("{x}这是{answer}的评价。",),
        facts=True,
    ),
    Family(
        "language",
        tongue,
        ("Is this text English or Chinese? {x}", "Name the language of the text."),
        ("这段文字是中文还是英文？{x}", "判断下面的文字是哪种语言。"),
        ("{x} This is written in {answer}.",),
        ("{x}这是{answer}。",),
    ),
)
