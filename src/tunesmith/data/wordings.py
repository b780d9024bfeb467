"""Ways of saying the same: how an instruction is put, examples are set out, reasoning is asked for, a task is inverted.

Our own, after the variety that FLAN (Longpre et al., 2023) and OPT-IML (Iyer et al., 2022) report: prefixes, marks for
input and output, separators, the input first. A conversation in Chinese gets Chinese words.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

HAN = re.compile(r"[\u4e00-\u9fff]")
LOOKED_AT = 400  # characters


class Layout(NamedTuple):
    """How examples are set out: the mark before a question, the mark before an answer, what stands between examples."""

    question: str
    answer: str
    between: str


class Reasoning(NamedTuple):
    """How reasoning is asked for and given; fields are {question}, {rationale}, {answer}."""

    question: str
    answer: str


class Inversion(NamedTuple):
    """A question to which `answer`, a part of the conversation, is the answer: input, question or rationale."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Wordings:
    """
    alone      what to do, with nothing apart from it: {instruction}
    given      what to do and with what: {instruction}, {input}
    shots      layouts of examples
    reasoned   the reasoning is shown
    direct     the answer is given at once, and asked for so
    choices    lines above the answers that a question offers
    inverted   {instruction}, {input}, {question}, {answer}, {rationale}
    """

    alone: tuple[str, ...]
    given: tuple[str, ...]
    shots: tuple[Layout, ...]
    reasoned: tuple[Reasoning, ...]
    direct: tuple[Reasoning, ...]
    choices: tuple[str, ...]
    inverted: tuple[Inversion, ...]


ENGLISH = Wordings(
    alone=(
        "{instruction}",
        "{instruction}\nAnswer:",
        "Task: {instruction}",
        "Instructions: {instruction}\n\nOutput:",
        "Q: {instruction}\nA:",
        "Question: {instruction}\nAnswer:",
        "Please help me with this.\n\n{instruction}",
        "{instruction}\n\nWhat is your answer?",
    ),
    given=(
        "{instruction}\n\n{input}",
        "{instruction}\n\nInput: {input}\nOutput:",
        "Instructions: {instruction}\nInput: {input}\nOutput:",
        "Task: {instruction}\n\n{input}\n\nAnswer:",
        "{instruction}\n\nQ: {input}\nA:",
        "{input}\n\n{instruction}",
        "Input: {input}\n\nTask: {instruction}\n\nOutput:",
        "Here is a task: {instruction}\n\nDo it for the following.\n\n{input}",
    ),
    shots=(
        Layout("", "\n", "\n\n"),
        Layout("", "\n\n", "\n\n\n"),
        Layout("Input: ", "\nOutput: ", "\n\n"),
        Layout("Q: ", "\nA: ", "\n"),
        Layout("Question: ", "\nAnswer: ", "\n\n"),
        Layout("Problem: ", "\nSolution: ", "\n\n\n"),
    ),
    reasoned=(
        Reasoning("{question}\n\nLet's think step by step.", "{rationale}\n\nSo the answer is {answer}"),
        Reasoning("{question}\nReason first, then answer.", "{rationale}\nThe answer is {answer}"),
        Reasoning("Work this out before you answer.\n\n{question}", "{rationale}\n\nAnswer: {answer}"),
        Reasoning("Q: {question}\nA: Let's take it one step at a time.", "{rationale} Therefore: {answer}"),
        Reasoning("{question}\n\nAnswer, and explain why.", "{answer}\n\nExplanation: {rationale}"),
    ),
    direct=(
        Reasoning("{question}\nGive only the answer.", "{answer}"),
        Reasoning("Answer without an explanation.\n\n{question}", "{answer}"),
        Reasoning("Question: {question}\nShort answer:", "{answer}"),
    ),
    choices=(
        "Options:",
        "OPTIONS:",
        "Choices:",
        "Possible answers:",
        "Choose from these:",
        "Pick one of these options:",
        "Select your answer from the following:",
        "Answer with one of these choices:",
    ),
    inverted=(
        Inversion("{instruction}\n\nThe output is: {answer}\n\nWrite an input that leads to it.", "input"),
        Inversion("A task reads: {instruction}\n\nFor which input would this be right?\n\n{answer}", "input"),
        Inversion("Write a question or an instruction to which this is a fitting answer.\n\n{answer}", "question"),
        Inversion("Answer: {answer}\n\nWhat was asked?", "question"),
        Inversion("{rationale}\n\nThus the answer is {answer}\n\nWhich question is answered here?", "question"),
        Inversion("{question}\n\nThe answer is {answer}\n\nExplain how one gets there.", "rationale"),
    ),
)

CHINESE = Wordings(
    alone=(
        "{instruction}",
        "{instruction}\n回答：",
        "任务：{instruction}",
        "指令：{instruction}\n\n输出：",
        "问：{instruction}\n答：",
        "问题：{instruction}\n答案：",
        "请帮我完成下面的事。\n\n{instruction}",
        "{instruction}\n\n请给出你的回答。",
    ),
    given=(
        "{instruction}\n\n{input}",
        "{instruction}\n\n输入：{input}\n输出：",
        "指令：{instruction}\n输入：{input}\n输出：",
        "任务：{instruction}\n\n{input}\n\n回答：",
        "{instruction}\n\n问：{input}\n答：",
        "{input}\n\n{instruction}",
        "输入：{input}\n\n任务：{instruction}\n\n输出：",
        "任务如下：{instruction}\n\n请对以下内容完成该任务。\n\n{input}",
    ),
    shots=(
        Layout("", "\n", "\n\n"),
        Layout("", "\n\n", "\n\n\n"),
        Layout("输入：", "\n输出：", "\n\n"),
        Layout("问：", "\n答：", "\n"),
        Layout("问题：", "\n答案：", "\n\n"),
        Layout("题目：", "\n解答：", "\n\n\n"),
    ),
    reasoned=(
        Reasoning("{question}\n\n让我们一步一步地思考。", "{rationale}\n\n所以答案是{answer}"),
        Reasoning("{question}\n请先推理，再作答。", "{rationale}\n答案是{answer}"),
        Reasoning("请先想清楚再回答。\n\n{question}", "{rationale}\n\n答案：{answer}"),
        Reasoning("问：{question}\n答：一步一步来。", "{rationale}因此：{answer}"),
        Reasoning("{question}\n\n请回答并说明理由。", "{answer}\n\n理由：{rationale}"),
    ),
    direct=(
        Reasoning("{question}\n只给出答案。", "{answer}"),
        Reasoning("请直接回答，不要解释。\n\n{question}", "{answer}"),
        Reasoning("问题：{question}\n简短回答：", "{answer}"),
    ),
    choices=(
        "选项：",
        "备选答案：",
        "可选答案：",
        "请从下列选项中选择：",
        "请选出正确的一项：",
        "供选择的答案：",
        "有以下几个选项：",
        "请用下列选项之一作答：",
    ),
    inverted=(
        Inversion("{instruction}\n\n输出是：{answer}\n\n请写出能得到该输出的输入。", "input"),
        Inversion("任务是：{instruction}\n\n什么样的输入会得到下面的结果？\n\n{answer}", "input"),
        Inversion("请写一个问题或指令，使下面的内容成为恰当的回答。\n\n{answer}", "question"),
        Inversion("回答：{answer}\n\n问的是什么？", "question"),
        Inversion("{rationale}\n\n因此答案是{answer}\n\n这里回答的是哪个问题？", "question"),
        Inversion("{question}\n\n答案是{answer}\n\n请说明是怎样得出的。", "rationale"),
    ),
)


def wordings(text: str) -> Wordings:
    """The wordings in the language of a text: Chinese where at least a quarter of its letters are Han."""
    start = text[:LOOKED_AT]
    return CHINESE if 4 * len(HAN.findall(start)) >= max(len(start), 1) else ENGLISH
