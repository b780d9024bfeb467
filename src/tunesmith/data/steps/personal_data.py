"""What tells who or where a person is, masked."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, ClassVar, Literal

from tunesmith.data.code import outside_code
from tunesmith.data.extra import extra
from tunesmith.data.step import Outcome, RowStep
from tunesmith.data.words import edited
from tunesmith.messages import tr
from tunesmith.records import Conversation

Kind = Literal["email", "identity", "card", "phone", "ip"]
KINDS: tuple[Kind, ...] = ("email", "identity", "card", "phone", "ip")  # the longer numbers before the shorter

NUMBER = re.compile(r"[0-9(+][0-9a-fA-F .:()-]{5}")  # all but e-mail addresses have one
EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24})\b", re.ASCII)
EXAMPLES = re.compile(
    r"(?:\A|\.)(?:example|test|invalid|localhost|domain|yourdomain|company|email)(?:\.|\Z)", re.IGNORECASE
)
IDENTITY = re.compile(r"(?<![\w.-])[1-9]\d{16}[\dXx](?![\w-])", re.ASCII)
CARD = re.compile(
    r"(?<![\w.,-])[3-6](?:\d{3}([ -])\d{4}\1\d{4}\1\d{4}|\d{3}([ -])\d{6}\2\d{5}|\d{14,15})(?![\w-]|[.,]\d)", re.ASCII
)
PHONE = re.compile(
    r"(?<![\w.,+$€£¥=*/^-])(?:"
    r"(?:\+?86[ -]?)?1[3-9]\d([ -]?)\d{4}\1\d{4}"  # a Chinese mobile number
    r"|0\d{2,3}-\d{7,8}"  # a Chinese landline
    r"|\+\d{1,3}[ -.]?(?:\(\d{1,4}\)[ -.]?)?\d{1,4}(?:[ -.]?\d{2,4}){2,4}"  # international
    r"|(?:\+?1[ -.])?(?:\(\d{3}\) ?|\d{3}([-.]))\d{3}[-.]\d{4}"  # North America: (212) 555-0100, 212-555-0100
    r")(?![\w*/^=-]|[.,]\d| ?[=*/×÷])",
    re.ASCII,
)
IPV4 = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)", re.ASCII)
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{1,4}:{1,2}){2,7}[0-9a-f]{1,4}(?![\w:])", re.IGNORECASE | re.ASCII)
VERSION = re.compile(r"(?i)(?:versions?|v|ver\.?|release|build|版本|section|章节?|第)[ :]*\Z")


@dataclass(frozen=True, slots=True)
class PersonalData(RowStep):
    """Replace e-mail addresses, identity, card and telephone numbers and IP addresses by [EMAIL], [IDENTITY] and so on.

    kinds    what to mask: email, identity (Chinese resident), card, phone, ip

    Identity and card numbers are masked if their check digit is right, addresses if they can be reached from anywhere.
    Code, sums and version numbers stay, and so do addresses made for examples.
    """

    kinds: tuple[Kind, ...] = KINDS

    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "personal_data: {kinds: [email, phone]}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        yield edited(conversation, lambda text: outside_code(text, self.mask) if maskable(text) else text)

    def mask(self, text: str) -> str:
        for kind in KINDS:
            if kind in self.kinds:
                for pattern, real in FINDERS[kind]:
                    text = pattern.sub(masking(kind, real), text)
        return text


def maskable(text: str) -> bool:
    """Whether it is worth looking closer."""
    return "@" in text or NUMBER.search(text) is not None


def masking(kind: Kind, real: Callable[[re.Match[str]], bool]) -> Callable[[re.Match[str]], str]:
    return lambda found: f"[{kind.upper()}]" if real(found) else found.group()


def is_private_mail(found: re.Match[str]) -> bool:
    return not EXAMPLES.search(found.group(1))


def is_identity(found: re.Match[str]) -> bool:
    return bool(numbers("stdnum.cn.ric").is_valid(found.group()))


def is_card(found: re.Match[str]) -> bool:
    return bool(numbers("stdnum.luhn").is_valid(re.sub("[ -]", "", found.group())))


def is_phone(found: re.Match[str]) -> bool:
    digits = re.sub(r"\D", "", found.group())
    return 9 <= len(digits) <= 15 and len(set(digits)) > 2


def is_public(found: re.Match[str]) -> bool:
    """Whether a text is an address on the internet that may be one person's, not a version or a range for examples."""
    words = found.group()
    try:
        if ":" in words:
            return words.count(":") > 3 and IPv6Address(words).is_global and words[0] in "23"
        long = sum(len(octet) > 1 for octet in words.split(".")) > 1  # 8.8.8.8 is nobody's, 1.2.3.4 a version
        return long and IPv4Address(words).is_global and not VERSION.search(found.string[: found.start()][-12:])
    except AddressValueError:
        return False


FINDERS: dict[Kind, tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], bool]], ...]] = {
    "email": ((EMAIL, is_private_mail),),
    "identity": ((IDENTITY, is_identity),),
    "card": ((CARD, is_card),),
    "phone": ((PHONE, is_phone),),
    "ip": ((IPV4, is_public), (IPV6, is_public)),
}


def numbers(module: str) -> Any:
    """A module of python-stdnum, which knows check digits."""
    return extra(module, "python-stdnum", tr("Checking identity and card numbers"))
