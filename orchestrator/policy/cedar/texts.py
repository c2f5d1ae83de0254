"""The text of rules in Cedar, cut into tokens and statements: so that a problem gets a line and a column, and a bound
holds before any parser reads it. It knows no grammar: what a text means is Cedar's to say.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass

BYTES_MAX = 65_536
"""Of one policy's text in UTF-8."""
RULES_MAX = 128
"""Rules in one policy."""
TOKENS_MAX = 2_000
"""Tokens in one rule: a bound of its size, and so of what asking it once can cost."""
DEPTH_MAX = 32
"""Brackets open at once."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>[0-9]+)
      | (?P<mark>::|==|!=|<=|>=|&&|\|\||[^\s\w])
      | (?P<odd>.)""",
    re.VERBOSE | re.DOTALL,
)
_OPENS, _CLOSES = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a text, where (from 1), and what to write instead (may be empty)."""

    line: int
    column: int
    text: str
    hint: str = ""

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.text}{f' ({self.hint})' if self.hint else ''}"


class TextError(ValueError):
    """A text cannot be used, with every problem found."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text that is no space and no comment."""

    text: str
    start: int
    is_string: bool = False

    @property
    def end(self) -> int:
        """Return the offset after the last character."""
        return self.start + len(self.text)

    @property
    def content(self) -> str:
        """Return what stands between the quotes of a string, else the text."""
        return self.text[1:-1] if self.is_string else self.text


@dataclass(frozen=True, slots=True)
class Statement:
    """One rule: its tokens, the closing semicolon included."""

    tokens: tuple[Token, ...]

    @property
    def start(self) -> int:
        """Return the offset of the first character."""
        return self.tokens[0].start


class Text:
    """A text with its statements. Raises TextError where a bound is passed or brackets or quotes do not close."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._lines = [0, *(match.end() for match in re.finditer("\n", source))]
        if len(source.encode("utf-8", "replace")) > BYTES_MAX:
            raise self.error(0, f"the text has more than {BYTES_MAX} bytes", "split it into several policies")
        self.statements = self._statements()
        if not self.statements:
            raise self.error(0, "there is no rule in it", 'write @id("name") forbid(principal, action, resource) ...;')
        if len(self.statements) > RULES_MAX:
            where = self.statements[RULES_MAX].start
            raise self.error(where, f"more than {RULES_MAX} rules", "split it into several policies")

    def problem(self, offset: int, text: str, hint: str = "") -> Problem:
        """Return a problem at an offset."""
        line = bisect.bisect_right(self._lines, offset)
        return Problem(line, offset - self._lines[line - 1] + 1, text, hint)

    def error(self, offset: int, text: str, hint: str = "") -> TextError:
        """Return a single problem as an error."""
        return TextError((self.problem(offset, text, hint),))

    def of(self, statement: Statement) -> str:
        """Return the text of a statement."""
        return self.source[statement.start : statement.tokens[-1].end]

    def _statements(self) -> tuple[Statement, ...]:
        found: list[Statement] = []
        tokens: list[Token] = []
        depth = 0
        for match in _TOKEN.finditer(self.source):
            kind = match.lastgroup
            if kind == "skip":
                continue
            text, at = match.group(), match.start()
            if kind == "odd" or text == '"':
                raise self.error(at, "a quote is not closed on its line" if text == '"' else f"unexpected {text!r}")
            tokens.append(Token(text, at, kind == "string"))
            if len(tokens) > TOKENS_MAX:
                raise self.error(tokens[0].start, f"a rule with more than {TOKENS_MAX} words and signs", "split it")
            if text in _OPENS:
                depth += 1
                if depth > DEPTH_MAX:
                    raise self.error(at, f"more than {DEPTH_MAX} brackets are open here")
            elif text in _CLOSES:
                depth -= 1
                if depth < 0:
                    raise self.error(at, f"{text!r} closes nothing")
            elif text == ";" and depth == 0:
                found.append(Statement(tuple(tokens)))
                tokens = []
        if tokens:
            raise self.error(
                tokens[0].start, "this rule does not end", "close its brackets and end it with a semicolon"
            )
        return tuple(found)
