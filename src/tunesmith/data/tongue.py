"""Which language a text is in, for the three that matter here: English, Chinese, other."""

from tunesmith.data.code import is_code, prose
from tunesmith.data.extra import extra
from tunesmith.formats.inspect import HAN, SAMPLE, Language, language
from tunesmith.messages import tr

# Words that nearly every English sentence has and hardly any other language writes so.
ENGLISH = {"the", "and", "of", "is", "are", "was", "were", "with", "that", "this", "for", "from", "you", "your", "what"}
ENGLISH |= {"which", "how", "it", "by", "an", "be", "can", "have", "has", "to", "its"}
SHARE = 0.08  # of the words; English prose has about 0.3
CHINESE = 8  # characters that make a text Chinese whose Latin words are not English
CERTAIN = 100  # letters in small words below which another Latin language is not told from English: names mislead


def tongue(text: str) -> Language:
    """The language of the prose in a text: by script, and English from other Latin languages by their words."""
    words = prose(text)[:SAMPLE]
    found = language(words)
    if found != "en":
        return found
    share = english_words(words) / max(1, len(words.split()))
    if han(words) >= CHINESE:
        return "en" if share >= 3 * SHARE else "zh"  # Chinese with a list of foreign names
    if share >= SHARE:
        return "en"
    small = sum(len(word) for word in words.split() if word.islower())
    return "en" if small < CERTAIN or is_code(words) or identify(words) == "en" else "other"


def english_words(text: str) -> int:
    """How many of a text's words are everyday English ones."""
    return sum(word in ENGLISH for word in text.lower().split())


def identify(words: str) -> str:
    """ISO 639-1 code of a text's language (Lui and Baldwin, 2012). About 0.4 ms."""
    return str(extra("py3langid", "py3langid", tr("Telling English from other languages")).classify(words)[0])


def han(text: str) -> int:
    """How many Chinese characters a text has."""
    return sum(map(len, HAN.findall(text)))
