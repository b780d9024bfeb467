"""Families that work on numbers."""

from tunesmith.models.nano.draw import Draw
from tunesmith.models.nano.families.family import Family, Problem
from tunesmith.models.nano.words import facts

DIGITS_ZH = "零一二三四五六七八九十"


def english(number: int) -> str:
    """0 to 99 in words."""
    small, tens = facts("numbers_en"), facts("tens_en")
    if number < 20:
        return small[number]
    return tens[number // 10 - 2] + (f"-{small[number % 10]}" if number % 10 else "")


def chinese(number: int) -> str:
    """0 to 99 in characters."""
    ten, one = divmod(number, 10)
    if number <= 10:
        return DIGITS_ZH[number]
    return (DIGITS_ZH[ten] if ten > 1 else "") + "十" + (DIGITS_ZH[one] if one else "")


def added(draw: Draw, zh: bool) -> Problem:
    left, right = draw.pair("+", 1, 49)
    return Problem(f"{left} + {right}", str(left + right), {"a": str(left), "b": str(right)})


def subtracted(draw: Draw, zh: bool) -> Problem:
    right, left = sorted(draw.pair("-", 1, 60))
    return Problem(f"{left} - {right}", str(left - right), {"a": str(left), "b": str(right)})


def multiplied(draw: Draw, zh: bool) -> Problem:
    left, right = draw.pair("×", 1, 12)
    return Problem(f"{left} × {right}", str(left * right), {"a": str(left), "b": str(right)})


def greater(draw: Draw, zh: bool) -> Problem:
    left, right = draw.numbers(2, 10, 999)
    return Problem(f"{left}, {right}", str(max(left, right)), {"a": str(left), "b": str(right)})


def three(draw: Draw) -> list[int]:
    return draw.numbers(draw.between(3, 4), 10, 99)


def listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def largest(draw: Draw, zh: bool) -> Problem:
    numbers = three(draw)
    return Problem(listed(numbers), str(max(numbers)))


def smallest(draw: Draw, zh: bool) -> Problem:
    numbers = three(draw)
    return Problem(listed(numbers), str(min(numbers)))


def ascending(draw: Draw, zh: bool) -> Problem:
    numbers = three(draw)
    return Problem(listed(numbers), listed(sorted(numbers)))


def parity(draw: Draw, zh: bool) -> Problem:
    number = draw.number(10, 999)
    even = number % 2 == 0
    return Problem(str(number), ("偶数" if even else "奇数") if zh else ("even" if even else "odd"))


def in_words(draw: Draw, zh: bool) -> Problem:
    number = draw.number(0, 99)
    return Problem(str(number), chinese(number) if zh else english(number))


def in_digits(draw: Draw, zh: bool) -> Problem:
    number = draw.number(0, 99)
    return Problem(chinese(number) if zh else english(number), str(number))


FAMILIES = (
    Family(
        "add",
        added,
        ("What is {x}?", "Add {a} and {b}.", "Work out the sum."),
        ("{x} 等于多少？", "求 {a} 与 {b} 的和。", "计算下面的加法。"),
        ("{x} = {answer}", "The sum of {a} and {b} is {answer}.", "Anna had {a}, got {b} more, and now has {answer}."),
        ("{x} = {answer}", "{a}加{b}等于{answer}。", "小明有{a}个，又得到{b}个，一共{answer}个。"),
    ),
    Family(
        "subtract",
        subtracted,
        ("What is {x}?", "Subtract {b} from {a}.", "Work out the difference."),
        ("{x} 等于多少？", "求 {a} 与 {b} 的差。", "计算下面的减法。"),
        ("{x} = {answer}", "{a} minus {b} is {answer}.", "Tom had {a}, gave away {b}, and has {answer} now."),
        ("{x} = {answer}", "{a}减{b}等于{answer}。", "原来有{a}个，拿走{b}个，还剩{answer}个。"),
    ),
    Family(
        "multiply",
        multiplied,
        ("What is {x}?", "Multiply {a} by {b}.", "Work out the product."),
        ("{x} 等于多少？", "求 {a} 与 {b} 的积。", "计算下面的乘法。"),
        ("{x} = {answer}", "{a} times {b} is {answer}."),
        ("{x} = {answer}", "{a}乘{b}等于{answer}。"),
        facts=True,
    ),
    Family(
        "compare",
        greater,
        ("Which is greater, {a} or {b}?", "Which of the two numbers is bigger?"),
        ("{a} 和 {b} 哪个大？", "下面两个数中较大的是哪个？"),
        ("Of {a} and {b}, {answer} is greater.", "Between {a} and {b} the bigger one is {answer}."),
        ("{a}和{b}相比，{answer}更大。", "{a}与{b}中较大的是{answer}。"),
    ),
    Family(
        "largest",
        largest,
        ("What is the largest of these numbers? {x}", "Find the largest number.", "Pick the biggest: {x}"),
        ("{x} 中最大的数是多少？", "找出下面最大的数。"),
        ("The largest of {x} is {answer}.", "{x}: the biggest is {answer}."),
        ("{x}中最大的是{answer}。", "{x}，最大数是{answer}。"),
    ),
    Family(
        "smallest",
        smallest,
        ("What is the smallest of these numbers? {x}", "Find the smallest number.", "Pick the lowest: {x}"),
        ("{x} 中最小的数是多少？", "找出下面最小的数。"),
        ("The smallest of {x} is {answer}.", "{x}: the lowest is {answer}."),
        ("{x}中最小的是{answer}。", "{x}，最小数是{answer}。"),
    ),
    Family(
        "sort_ascending",
        ascending,
        ("Sort from smallest to largest: {x}", "Put the numbers in ascending order."),
        ("从小到大排列：{x}", "将下面的数按从小到大的顺序排序。"),
        ("{x} in ascending order: {answer}.", "{x} sorted from smallest to largest: {answer}."),
        ("{x}从小到大是{answer}。",),
    ),
    Family(
        "parity",
        parity,
        ("Is {x} even or odd?", "Say whether the number is even or odd."),
        ("{x} 是奇数还是偶数？", "判断下面的数是奇数还是偶数。"),
        ("{x} is {answer}.", "The number {x} is {answer}."),
        ("{x}是{answer}。", "{x}这个数是{answer}。"),
    ),
    Family(
        "number_to_words",
        in_words,
        ("Write {x} in words.", "Write the number in words."),
        ("用汉字写出 {x}。", "把下面的数字写成汉字。"),
        ("{x} in words is {answer}.", "{x} = {answer}"),
        ("{x}写成汉字是{answer}。", "{x} = {answer}"),
        facts=True,
    ),
    Family(
        "words_to_number",
        in_digits,
        ("Write {x} in digits.", "Write the number with digits."),
        ("用阿拉伯数字写出{x}。", "把下面的汉字写成数字。"),
        ("{x} in digits is {answer}.", "{x} = {answer}"),
        ("{x}写成数字是{answer}。", "{x} = {answer}"),
        facts=True,
    ),
)
