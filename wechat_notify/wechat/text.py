"""Text as WeChat counts it and as people see it: length, control characters, graphemes."""

import re
import unicodedata

# No value may hold these ("不能带有换行等控制字符"). Beside C0, DEL and C1 they are Unicode's two
# line breaks, and lone surrogates, which no UTF-8 body can hold.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55\u231a\u231b\ufe0f\u20e3]")


def count(text: str) -> int:
    """Length as the limits count it: UTF-16 units, so an emoji is 2 or more.

    How WeChat counts emoji is documented nowhere, so this is the reading that never passes what
    it may refuse. A browser's ``value.length`` gives the same number.
    """
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` as ``count()`` counts, ending in "…" if cut; no grapheme is split."""
    if count(text) <= limit:
        return text
    head = text[: limit + 1]  # enough to find the cut, whatever follows
    end = room = 0
    while True:
        following = _grapheme_end(head, end)
        room += count(head[end:following])
        if room > limit - 1:
            return head[:end].rstrip() + "…"
        end = following


_JOINER = "\u200d"
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]{2}")  # two regional indicators


def _grapheme_end(text: str, start: int) -> int:
    """Index after the character, as people see one, that begins at ``start``."""
    end = start + 1
    if _FLAG.match(text, start):
        end += 1
    while end < len(text) and (text[end - 1] == _JOINER or _extends(text[end])):
        end += 1
    return end


def _extends(char: str) -> bool:
    return (
        char == _JOINER
        or unicodedata.category(char).startswith("M")  # accents, variation selectors, keycaps
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= char <= "\U000e007f"  # tags, as in the flag of Scotland
        or "\u1160" <= char <= "\u11ff"  # Hangul vowels and finals
    )
