"""Names of parties, made comparable. Pure, whole numbers only, the same in every version of ``names 1``.

Steps: compatibility form without accents (Unicode NFKD), case folded; Cyrillic and Greek by plain letter tables;
what is no letter or digit parts words; single letters in a row are one word (``S. A.`` is ``sa``); legal forms and
small words go. Arabic, Chinese and other scripts are kept as they are: they meet only themselves.

Two words are alike when their keys are equal: first letter, then the consonants, doubled ones once, with the spellings
of one sound made one (``q`` and ``c`` as ``k``, ``ph`` as ``f``, ``w`` as ``v``, ``z`` as ``s``). So ``Mohammed`` meets
``Muhamad``, and a missing letter of a vowel or a pair costs nothing; a wrong consonant does, and is not found.

An own rule of a few lines instead of a similarity library: a match stops placements and must come out the same years
later, in another version, on another machine; scores of libraries are tuned between releases.
"""

# ruff: noqa: RUF001 -- letters of other scripts are what this is about
from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass

VERSION = "names 1"

_LEGAL_TEXT = """
ab ag aktiengesellschaft ao aps as asa bhd bv bvba cjsc co company corp corporation cv doo dooel eg eurl ev fzc fzco
fze gesellschaft gesmbh gie gmbh inc incorporated intl joint jsc kft kg kgaa kk liability limited llc llp lp ltd
ltda mbh mchj nv oao ojsc ooo open oy oyj pao partnership pjsc plc private pt pte pty public pvt sa sae sarl sas sau
sc sdn se sl slu spa spol spzoo srl sro stock tbk too ug vof zao zrt
"""
_SMALL_TEXT = """
a an and das de der die du et for in la le les of the und
"""
_GENERIC_TEXT = """
academy administration agency asia asian association bank banking bureau business center central centre cloud
commerce commercial communication communications compute computer computing consulting corporate data development
digital east electronic electronics energy engineering enterprise enterprises equipment establishment european
export factory federal federation finance financial foundation gas general global group holding holdings hosting
import industrial industries industry information infrastructure institute international investment investments
laboratory logistics machinery manufacturing marine ministry national network networks north office oil online
organisation organization petroleum plant power production products project research science sciences service
services shipping society software solution solutions south state steel supply system systems technical technologies
technology telecom telecommunication telecommunications trade trading transport union university west world
"""
_LEGAL, _SMALL = frozenset(_LEGAL_TEXT.split()), frozenset(_SMALL_TEXT.split())
_GENERIC = frozenset(_GENERIC_TEXT.split())
"""Words that say what a party does, not who it is."""

_LETTERS = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i",
    # Cyrillic, after the usual English spelling of passports.
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "ё": "e", "є": "ye", "ж": "zh",
    "з": "z", "и": "i", "і": "i", "ї": "yi", "й": "y", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o",
    "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh",
    "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya", "ў": "u", "ј": "j", "љ": "lj",
    "њ": "nj", "ћ": "c", "ђ": "dj", "џ": "dz",
    # Greek.
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l",
    "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f",
    "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip
_TABLE = str.maketrans(_LETTERS) | {ord(mark): None for mark in "'’‘ʼ`´ʿʾ"}
_ASCII = {code: chr(code).lower() if chr(code).isalnum() else _TABLE.get(code, " ") for code in range(128)}
"""The same for ASCII text, in one step."""
_SOUNDS = (("ph", "f"), ("x", "ks"), ("q", "k"), ("c", "k"), ("w", "v"), ("z", "s"))
_SILENT = frozenset("aeiouyj")

KEY_MIN = 4
"""Letters of a key below which two different words are never alike: short keys meet by chance."""
WORD_MIN = 6


@dataclass(frozen=True, slots=True)
class Name:
    """A name made comparable: its words in order, the keys of those that tell it apart, and all of it as one word."""

    words: tuple[str, ...]
    strong: frozenset[str]
    keys: frozenset[str]
    joined: str


def normal(text: str) -> Name:
    """Return a name made comparable; one without letters or digits has no words and matches nothing."""
    words = _words(text)
    kept = tuple(word for word in words if word not in _LEGAL and word not in _SMALL) or words
    strong = frozenset(word for word in kept if word not in _GENERIC) or frozenset(kept)
    return Name(kept, strong, frozenset(map(key, strong)), "".join(kept))


@functools.lru_cache(maxsize=65_536)
def key(word: str) -> str:
    """Return what a word sounds like; short words and digits are themselves."""
    if len(word) < KEY_MIN or not word.isascii() or not word.isalpha():
        return word
    changed = word
    for spelling, sound in _SOUNDS:
        changed = changed.replace(spelling, sound)
    out = [changed[0]]
    for letter in changed[1:]:
        if letter not in _SILENT and letter != out[-1]:
            out.append(letter)
    found = "".join(out)
    return found if len(found) >= KEY_MIN else word


def alike(left: Name, right: Name) -> str | None:
    """Return how two names match: ``name`` (the same words), ``similar-name``; None: they do not.

    The same: equal words in any order, or equal when written as one word. Similar: the words that tell them apart
    sound the same; or two and more of them do and are all that one name has, or two thirds of both together.
    """
    if not left.words or not right.words:
        return None
    if left.joined == right.joined or frozenset(left.words) == frozenset(right.words):
        return "name"
    shared = len(left.keys & right.keys)
    if left.keys == right.keys:
        return "similar-name" if shared > 1 or _one_word(left, right) else None
    if shared < 2:  # one word in common is no name in common
        return None
    inside = shared == min(len(left.keys), len(right.keys))
    return "similar-name" if inside or 3 * shared >= 2 * len(left.keys | right.keys) else None


def _one_word(left: Name, right: Name) -> bool:
    """Say whether two names whose telling words all sound as one share it well enough."""
    return bool(left.strong & right.strong) or min(map(len, left.strong | right.strong)) >= WORD_MIN


def _words(text: str) -> tuple[str, ...]:
    if text.isascii():
        spaced = text.translate(_ASCII)  # most names, at a tenth of the cost
    else:
        folded = unicodedata.normalize("NFKD", text.casefold())
        plain = "".join(char for char in folded if not unicodedata.combining(char)).translate(_TABLE)
        spaced = "".join(char if char.isalnum() else " " for char in plain)
    found: list[str] = []
    letters: list[str] = []
    for word in spaced.split():
        if len(word) == 1 and word.isascii() and word.isalpha():
            letters.append(word)
            continue
        if letters:
            found.append("".join(letters))
            letters.clear()
        found.append(word)
    if letters:
        found.append("".join(letters))
    return tuple(found)
