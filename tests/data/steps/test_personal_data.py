"""What is personal is masked; numbers that only look so stay."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.personal_data import PersonalData


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail li.lei@qq.com.", "mail [EMAIL]."),
        ("电话13812345678，", "电话[PHONE]，"),
        ("+86 138-1234-5678", "[PHONE]"),
        ("010-62345678", "[PHONE]"),
        ("+44 20 7946 0958", "[PHONE]"),
        ("(212) 736-5000 or 212-736-5001", "[PHONE] or [PHONE]"),
        ("身份证11010519491231002X。", "身份证[IDENTITY]。"),
        ("4111 1111 1111 1111", "[CARD]"),
        ("from 114.114.23.45, 2400:3200:1::1:1", "from [IP], [IP]"),
    ],
)
def test_personal_data_is_masked(text, masked):
    [kept], _ = run(PersonalData(), [talk(text, "ok")])
    assert kept.messages[0].text == masked


@pytest.mark.parametrize(
    "text",
    [
        "x@example.com and @decorator and a @ b",
        "110105194912310021 4111 1111 1111 1112",  # wrong check digits
        "3.14159265358979 and 1,381,234,567 and 138123456789",
        "13812345678 * 2 = 27624691356",
        "100-200-3000 = -3100",
        "version 10.12.33.44, v12.22.33.44, 192.168.10.10, 8.8.8.8, 127.0.0.1",
        "12:30:45 on 2019-10-12, 2020-2021",
        "ISBN 978-3-16-148410-0",
        "std::vector, a::b",
        "`13812345678` ```\nli@qq.com 13812345678\n```",
    ],
)
def test_other_numbers_stay(text):
    row = talk(text, "ok")
    assert run(PersonalData(), [row])[0][0] is row


def test_kinds_choose():
    [kept], _ = run(PersonalData(kinds=("phone",)), [talk("li.lei@qq.com 13812345678", "ok")])
    assert kept.messages[0].text == "li.lei@qq.com [PHONE]"
