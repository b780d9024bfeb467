"""Small stories and observations from patterns, in English, in Chinese, or side by side."""

from tunesmith.models.nano.draw import Draw

OPENINGS_EN = (
    "{name} lives in {city} with a {animal} and a {animal2}.",
    "One morning {name} went to the {place} to find a {thing}.",
    "There was once a {job} named {name} who wanted a {colour} {thing}.",
    "It was {day} and {name} was in {city}.",
    "{name} and {name2} are friends. They live near the {place}.",
    "Yesterday {name} bought {number} of the best {food} at the {place}.",
)
MIDDLES_EN = (
    "The {thing} was {adjective}, but {name} liked it.",
    "{name} saw a {colour} {animal} near the {place}.",
    "After that they made {food} and had some {drink}.",
    '"I want a {thing}," said {name}.',
    '"Where is the {animal}?" said {name2}. "It is in the {place}," said {name}.',
    "The {animal} was {adjective} and the {animal2} was {adjective2}.",
    "In the house of {name2} there was a {furniture}, a {thing} and a {tool}.",
    "{name} gave the {thing} to {name2}, so now {name2} has the {thing}.",
    "They had {number} {fruit} and {number2} {vegetable}.",
    "The {job} came from {city} and had a {colour} {clothing}.",
    "Because it was {adjective}, {name2} put on a {clothing}.",
    "{name} likes {sport} and {name2} likes {music}.",
    "Then a {vehicle} came to the {place} and everyone looked at it.",
)
ENDINGS_EN = (
    "In the end everyone was happy.",
    "So {name} went home with the {thing}.",
    "It was a {feel} day, and they were all happy.",
    "It was a {hate} day, and nobody was happy.",
    "Nobody knows where the {animal} is now.",
    "{name2} said that the {place} was {feel}, and {name} thought so too.",
)
OPENINGS_ZH = (
    "{name}住在{city}，家里有一只{animal}和一只{animal2}。",
    "一天早上，{name}去{place}找一个{thing}。",
    "从前有一位{job}叫{name}，他想要一个{colour}的{thing}。",
    "那天是{day}，{name}在{city}。",
    "{name}和{name2}是好朋友，他们住在{place}附近。",
    "昨天{name}在{place}买了{number}份{food}。",
)
MIDDLES_ZH = (
    "这个{thing}很{adjective}，可是{name}很喜欢。",
    "{name}在{place}旁边看见一只{colour}的{animal}。",
    "后来他们做了{food}，还喝了{drink}。",
    "“我想要一个{thing}。”{name}说。",
    "“{animal}在哪里？”{name2}问。“在{place}。”{name}回答。",
    "{animal}很{adjective}，{animal2}很{adjective2}。",
    "{name2}的家里有{furniture}、{thing}和{tool}。",
    "{name}把{thing}给了{name2}，现在{name2}有{thing}。",
    "他们有{number}个{fruit}和{number2}个{vegetable}。",
    "{job}从{city}来，穿着{colour}的{clothing}。",
    "因为天气{adjective}，{name2}穿上了{clothing}。",
    "{name}喜欢{sport}，{name2}喜欢{music}。",
    "这时一辆{vehicle}来到{place}，大家都去看。",
)
ENDINGS_ZH = (
    "最后大家都很高兴。",
    "于是{name}带着{thing}回家了。",
    "这一天{feel}，大家都很高兴。",
    "这一天{hate}，没有人高兴。",
    "没有人知道{animal}现在在哪里。",
    "{name2}说{place}{feel}，{name}也这样想。",
)
PARALLEL = (
    ("The {0} is {1}.", "{0}是{1}的。", ("animal", "colour")),
    ("I have a {0} and a {1}.", "我有{0}和{1}。", ("object", "tool")),
    ("The {0} eats the {1}.", "{0}吃{1}。", ("animal", "fruit")),
    ("The {0} is in the {1}.", "{0}在{1}里。", ("object", "place")),
    ("A {0} and a {1} came to the {2}.", "{0}和{1}来到{2}。", ("job", "family", "place")),
    ("{0}, {1} and {2}.", "{0}、{1}和{2}。", ("adjective", "verb", "abstract")),
    ("The {0} likes {1}.", "{0}喜欢{1}。", ("people", "sport")),
    ("This {0} is made of {1}.", "这个{0}是用{1}做的。", ("furniture", "material")),
)
INVENTORIES_EN = (
    "On the first card there was {all}. On the second card there was {all} again.",
    "{name} wrote {all} on the paper. Later {name2} read it aloud: {all}.",
    "{name} knew the words {all}, but {name2} only knew {one}.",
    "{name} said {one}. {name2} said {one} too. Then both said {two}, {two} and {two}.",
    "The song goes {one} {two}, {one} {two}, {three}, and then once more {one} {two}, {one} {two}, {three}.",
    "There was {one} on the left and {two} on the right. {name} took the left one, {one}, and left {two} to {name2}.",
    "Not {two}, not {three}, but {one}! {name} wanted {one} and nothing else.",
    "{all}\n{all}",
    "{name}: {one}. {name2}: {two}. {name3}: {three}. It was {name} who said {one}, and {name3} who said {three}.",
)
INVENTORIES_ZH = (
    "第一张卡片上是{all}，第二张卡片上也是{all}。",
    "{name}在纸上写了{all}，后来{name2}读了出来，是{all}。",
    "{name}认识{all}这些词，可是{name2}只认识{one}。",
    "{name}说{one}，{name2}也说{one}。然后两个人都说{two}、{two}、{two}。",
    "歌里唱的是{one}{two}，{one}{two}，{three}，然后又是{one}{two}，{one}{two}，{three}。",
    "左边是{one}，右边是{two}。{name}拿了左边的{one}，把{two}留给{name2}。",
    "不是{two}，也不是{three}，而是{one}！{name}只要{one}，别的都不要。",
    "{all}\n{all}",
    "{name}：{one}。{name2}：{two}。{name3}：{three}。说{one}的是{name}，说{three}的是{name3}。",
)
JOINED_EN, JOINED_ZH = (", ", " ", " and ", "; "), ("、", "，", " ", "和")
SLOTS = [
    "place",
    "thing",
    "job",
    "colour",
    "food",
    "drink",
    "furniture",
    "tool",
    "fruit",
    "vegetable",
    "clothing",
    "sport",
    "music",
    "vehicle",
]


def cast(draw: Draw, zh: bool) -> dict[str, str]:
    """One choice for every slot of a story."""
    kinds = {"thing": "object"}
    said = {slot: draw.entry(kinds.get(slot, slot)).say(zh) for slot in SLOTS}
    said["animal"], said["animal2"] = (entry.say(zh) for entry in draw.entries(2, "animal"))
    said["adjective"], said["adjective2"] = (entry.say(zh) for entry in draw.entries(2, "adjective"))
    said["name"], said["name2"] = draw.facts(2, "names_zh" if zh else "names_en")
    said["city"], said["day"] = draw.city(zh), draw.fact("days_zh" if zh else "days_en")
    said["number"], said["number2"] = str(draw.between(2, 99)), str(draw.between(2, 99))
    said["feel"], said["hate"] = draw.fact("good_zh" if zh else "good"), draw.fact("bad_zh" if zh else "bad")
    return said


def parallel(draw: Draw) -> str:
    """A few sentences, each in both languages."""
    lines = []
    for _ in range(draw.between(2, 4)):
        english, chinese, kinds = draw.choice(PARALLEL)
        found = [draw.entry(kind) for kind in kinds]
        pair = [english.format(*(entry.en for entry in found)), chinese.format(*(entry.zh for entry in found))]
        lines.append(" ".join(pair if draw.rng.random() < 0.5 else pair[::-1]))
    return "\n".join(lines)


def inventory(draw: Draw, zh: bool) -> str:
    """A few words of any kind, said more than once: a base has to be able to say what it has just read."""
    words = draw.words(draw.between(3, 5), zh)
    names = draw.facts(3, "names_zh" if zh else "names_en")
    listed = draw.choice(JOINED_ZH if zh else JOINED_EN).join(words)
    said = dict(zip(("one", "two", "three", "name", "name2", "name3"), [*words[:3], *names], strict=True))
    return draw.choice(INVENTORIES_ZH if zh else INVENTORIES_EN).format(all=listed, **said)


def story(draw: Draw, zh: bool) -> str:
    if draw.rng.random() < 0.35:
        return parallel(draw)
    opening, middle, ending = (OPENINGS_ZH, MIDDLES_ZH, ENDINGS_ZH) if zh else (OPENINGS_EN, MIDDLES_EN, ENDINGS_EN)
    chosen = [draw.choice(opening), *draw.rng.sample(middle, draw.between(1, 4)), draw.choice(ending)]
    said = cast(draw, zh)
    return ("" if zh else " ").join(sentence.format(**said) for sentence in chosen)
