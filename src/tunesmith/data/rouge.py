"""ROUGE-L as the package rouge_score computes it, and the search for what exceeds a threshold without comparing all.

If two texts of a and b words share a subsequence of l, then F = 2·l / (a + b), and they have l words in common wherever
these stand. Put the words of each in one order, rare ones first: of two that have l words in common, one of the first
a - l + 1 of one is among the first b - l + 1 of the other (prefix filtering; Chaudhuri et al., 2006). So few are met.
"""

import re
from typing import TYPE_CHECKING

from tunesmith.data.shingles import HAN, KANA
from tunesmith.errors import missing_extra
from tunesmith.messages import tr

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Ints = NDArray[numpy.int64]

TOKEN = re.compile(rf"[a-z0-9]+|[{HAN}{KANA}]")
SLACK = 1e-9  # a bound errs to the side of looking


def tokens(text: str) -> list[str]:
    """rouge_score's words, in lower case, and Chinese characters and kana one by one, which it drops."""
    return TOKEN.findall(text.lower())


def fmeasure(shared: int, one: int, other: int) -> float:
    """ROUGE-L F1 of texts of `one` and `other` words with a longest common subsequence of `shared`."""
    if not shared:
        return 0.0
    precision, recall = shared / other, shared / one  # step by step as rouge_score does: it rounds alike
    return 2 * precision * recall / (precision + recall)


class Rouge:
    """Texts as numbers of words (`flat`; `sizes` of them a text), each compared with those kept so far.

    Memory: about 60 bytes a word.
    """

    def __init__(self, flat: "Ints", sizes: "Ints", threshold: float) -> None:
        import numpy

        try:
            from rapidfuzz.distance import LCSseq
        except ImportError:
            raise missing_extra("rapidfuzz", "data", tr("The novelty rule")) from None
        self.common = LCSseq.similarity
        self.flat, self.sizes, self.ends = flat, sizes, numpy.cumsum(sizes)
        self.threshold, self.least = threshold, threshold / 2 - SLACK  # of a + b words must be in common
        self.kept = numpy.zeros(len(sizes), bool)
        self.lay_out(*self.prefixes())

    def prefixes(self) -> "tuple[Ints, Ints, Ints]":
        """(text, place, element) of all that stands in a prefix, text by text, rare elements first.

        The second "the" of a text is another element than the first, so that what is in common is counted right.
        """
        import numpy

        text = numpy.repeat(numpy.arange(len(self.sizes)), self.sizes)
        every = numpy.arange(len(text))
        words = self.flat[numpy.lexsort((self.flat, text))]
        first = numpy.ones(len(text), bool)
        first[1:] = (words[1:] != words[:-1]) | (text[1:] != text[:-1])
        again = every - numpy.maximum.accumulate(numpy.where(first, every, 0))
        names = words * (again.max(initial=0) + 1) + again
        _, element, frequency = numpy.unique(names, return_inverse=True, return_counts=True)
        element = element[numpy.lexsort((element, frequency[element], text))]
        size = self.sizes[text]
        place = every - numpy.repeat(self.ends - self.sizes, self.sizes)
        fewest = numpy.ceil(self.least * (size + self.shortest(size)))  # in common with any partner
        inside = place <= size - fewest
        return text[inside], place[inside], element[inside]

    def shortest(self, size: "Ints") -> "Ints":
        """The fewest words of a text that can be similar enough to one of `size`: all of them in common."""
        import numpy

        return numpy.asarray(numpy.ceil(size * self.least / (1 - self.least)), numpy.int64)

    def lay_out(self, text: "Ints", place: "Ints", element: "Ints") -> None:
        """The prefixes by element and size (`texts`, `places`), and where in them the partners of each entry stand.

        After `place` words `left` remain, and may all be in common: so the longer the partner, the rarer the word.
        """
        import numpy

        size = self.sizes[text]
        span = int(self.sizes.max(initial=0)) + 1
        order = numpy.lexsort((size, element))
        keys = element[order] * span + size[order]
        self.texts, self.places = text[order], place[order]
        self.left = size - place
        longest = numpy.minimum(self.left / self.least - size, span - 1).astype(numpy.int64)
        self.low = numpy.searchsorted(keys, element * span + self.shortest(size))
        self.high = numpy.searchsorted(keys, element * span + longest, side="right")
        self.own = numpy.searchsorted(text, numpy.arange(len(self.sizes) + 1))

    def partners(self, text: int) -> list[int]:
        """Kept texts that may be similar enough, in order."""
        import numpy

        own = slice(self.own[text], self.own[text + 1])
        low, lengths = self.low[own], numpy.maximum(self.high[own] - self.low[own], 0)
        met = numpy.repeat(low - numpy.cumsum(lengths) + lengths, lengths) + numpy.arange(lengths.sum())
        kept = self.kept[self.texts[met]]
        met, left = met[kept], numpy.repeat(self.left[own], lengths)[kept]
        others = self.texts[met]
        sizes = self.sizes[others]
        enough = numpy.minimum(left, sizes - self.places[met]) >= self.least * (sizes + self.sizes[text])
        return sorted(set(others[enough].tolist()))

    def words(self, text: int) -> list[int]:
        end = self.ends[text]
        return list(self.flat[end - self.sizes[text] : end].tolist())

    def similar(self, text: int) -> tuple[int, float] | None:
        """The first kept text with which F exceeds the threshold, and F."""
        own = self.words(text)
        for other in self.partners(text):
            found = fmeasure(self.common(own, self.words(other)), int(self.sizes[other]), len(own))
            if found > self.threshold:
                return other, found
        return None

    def keep(self, text: int) -> None:
        self.kept[text] = True
