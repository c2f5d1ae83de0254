"""XML of lists: one record at a time, with line numbers, nothing declared and nothing expanded.

A document type is refused, and with it every entity but the five of XML itself: no expansion, no file, no address is
ever followed. Depth, records and attributes are bounded. The parser is expat, as the standard library has it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from orchestrator.sources.lists import base

DEPTH_MAX = 24
NODES_MAX = 20_000
"""Elements of one record."""
_CHUNK = 1 << 20


@dataclass(slots=True)
class Element:
    """An element without its namespace: its own text, its attributes, its children, the line it starts on."""

    tag: str
    line: int
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the text of the element itself, without blanks around it."""
        return "".join(self.texts).strip()

    def all(self, *path: str) -> list[Element]:
        """Return every element that the path of tags leads to."""
        found = [self]
        for tag in path:
            found = [child for element in found for child in element.children if child.tag == tag]
        return found

    def texts_of(self, *path: str) -> list[str]:
        """Return the texts that are not empty of every element that the path leads to."""
        return [element.text for element in self.all(*path) if element.text]

    def first(self, *path: str) -> str:
        """Return the first text that is not empty, else ""."""
        return next(iter(self.texts_of(*path)), "")


@dataclass(frozen=True, slots=True)
class Form:
    """What a file must look like: the root and its namespaces, and the paths below it where records stand.

    Elements at a path of ``records`` are handed over whole. ``extras`` are other paths that are read the same way
    (the header). Direct children of the root that neither leads through are refused: the form has changed.
    """

    root: str
    namespaces: Collection[str]
    records: Collection[tuple[str, ...]]
    extras: Collection[tuple[str, ...]] = ()


def read(raw: bytes, file: str, form: Form, take: Callable[[Element], None]) -> Mapping[str, str]:
    """Give every record and extra to ``take``, in the order of the file; returns the attributes of the root.

    Raises ListError with the line: not well-formed (as a file that was cut off is), a document type, another root or
    namespace, an unknown part, too deep, too large.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    builder = _Builder(parser, file, form, take)
    try:
        for start in range(0, len(raw), _CHUNK):
            parser.Parse(raw[start : start + _CHUNK], False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        problem = f"is not well-formed XML: {expat.ErrorString(error.code)}"
        raise base.ListError(file, error.lineno, problem, base.AGAIN) from error
    except ValueError as error:  # an encoding that Python does not have
        if isinstance(error, base.ListError):
            raise
        raise base.ListError(file, parser.CurrentLineNumber, f"cannot be read: {error}", base.AGAIN) from error
    return builder.root


class _Builder:
    """Holds the elements of the record that is being read, and nothing else."""

    def __init__(self, parser: expat.XMLParserType, file: str, form: Form, take: Callable[[Element], None]) -> None:
        self.root: Mapping[str, str] = {}
        self._parser, self._file, self._form, self._take = parser, file, form, take
        self._path: list[str] = []
        self._open: list[Element] = []
        self._nodes = 0
        self._wanted = {*form.records, *form.extras}
        self._ways = {path[:length] for path in self._wanted for length in range(1, len(path))}
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype

    def _refuse(self, problem: str) -> base.ListError:
        return base.ListError(self._file, self._parser.CurrentLineNumber, problem, base.AGAIN)

    def _doctype(self, *_: object) -> None:
        raise self._refuse("declares a document type, which no published list does")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, tag = name.rpartition(" ")
        line = self._parser.CurrentLineNumber
        if not self._path:
            if tag != self._form.root:
                raise self._refuse(f"the root is {tag[:80]!r} and not {self._form.root!r}")
            if namespace not in self._form.namespaces:
                raise self._refuse(f"the namespace {namespace[:120]!r} is not one of this list")
            self.root = attributes
        self._path.append(tag)
        if len(self._path) > DEPTH_MAX:
            raise self._refuse(f"nests deeper than {DEPTH_MAX} levels")
        below = tuple(self._path[1:])
        if self._open or below in self._wanted:
            self._nodes += 1
            if self._nodes > NODES_MAX:
                raise self._refuse(f"a record of more than {NODES_MAX} elements")
            element = Element(tag, line, attributes)
            if self._open:
                self._open[-1].children.append(element)
            self._open.append(element)
        elif below and below not in self._ways:
            raise self._refuse(f"the element {'/'.join(below)[:120]} is not part of this list")

    def _end(self, _: str) -> None:
        self._path.pop()
        if self._open:
            done = self._open.pop()
            if not self._open:
                self._nodes = 0
                self._take(done)

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1].texts.append(text)
