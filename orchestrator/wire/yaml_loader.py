"""YAML 1.2 (core schema) for documents that strangers write: strict, with positions, in bounded time and memory.

Built on the parser's *events*, with every cap checked as they arrive, before anything is composed: a document that
would expand, nest or grow beyond its limits is refused at the event that crosses them. Refused besides: duplicate
keys, tags, merge keys, keys that are not text, aliases to an enclosing node, NUL and lone surrogates.
It is not a general YAML library: mapping keys are always text, and plain scalars keep their spelling
(:mod:`orchestrator.wire.spellings`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from orchestrator.wire import bounds, errors, spellings

Place = tuple[int, int]
"""Line and column, from 1."""

# Inside, a place is one number, and the places of a key and of its value are one number too: half a million small
# tuples would cost more than reading the text.
_COLUMN_BITS, _PLACE_BITS = 24, 56


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """One document: its data, and where each part of it stands in the text.

    ``data`` holds dicts with text keys, lists, ``str`` (quoted), :class:`spellings.Plain` and None. Do not change it:
    places are kept by the identity of its containers.
    """

    data: Any
    file: str = ""
    start: Place = (0, 0)
    places: dict[int, dict[errors.PathPart, int]] = field(default_factory=dict, repr=False)

    def locate(self, path: errors.Path, *, key: bool = False) -> Place:
        """Return where the value at ``path`` stands, or its key; the nearest enclosing place where it is absent."""
        place, value = self.start, self.data
        for index, part in enumerate(path):
            entry = self.places.get(id(value), {}).get(part)
            if entry is None:
                break
            wants_key = key and index == len(path) - 1
            place = _unpack(entry >> _PLACE_BITS if wants_key else entry & ((1 << _PLACE_BITS) - 1))
            value = value[part]
        return place


def load(source: str | bytes, *, file: str = "", limits: bounds.Limits = bounds.DEFAULT) -> list[LoadedDocument]:
    """Read every document of ``source``; empty ones are left out. Raises :class:`errors.InvalidDocumentError`."""
    text = _decode(source, file, limits)
    return _Composer(file, limits).compose(text)


def load_plain(source: str | bytes, *, file: str = "", limits: bounds.Limits = bounds.DEFAULT) -> list[Any]:
    """Read every document as plain data: numbers and truth values resolved, keys always text.

    For readers without a schema. Raises :class:`errors.InvalidDocumentError`.
    """
    return [plain(document) for document in load(source, file=file, limits=limits)]


def plain(document: LoadedDocument, *, resolve: spellings.Resolver = spellings.resolve) -> Any:
    """Return the document's data with every plain scalar resolved. Raises :class:`errors.InvalidDocumentError`."""
    try:
        return spellings.resolved(document.data, resolve)
    except errors.ValueProblemError as problem:
        raise errors.InvalidDocumentError(_bad_numbers(document, resolve)) from problem


def _bad_numbers(document: LoadedDocument, resolve: spellings.Resolver) -> Iterator[errors.DocumentError]:
    """Yield an error for each plain scalar that cannot be resolved, visiting shared containers once."""
    stack: list[tuple[errors.Path, Any]] = [((), document.data)]
    seen: set[int] = set()
    while stack:
        path, value = stack.pop()
        if isinstance(value, spellings.Plain):
            try:
                resolve(value)
            except errors.ValueProblemError as problem:
                line, column = document.locate(path)
                yield errors.DocumentError(
                    problem.problem,
                    errors.render_path(path),
                    problem.remedy,
                    file=document.file,
                    line=line,
                    column=column,
                )
        elif isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            members = value.items() if isinstance(value, dict) else enumerate(value)
            stack.extend(((*path, part), member) for part, member in members)


_TAG_DIRECTIVE = re.compile("(?:\\A|[\n\r\x85\u2028\u2029])%TAG")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no YAML text may hold: NUL and other control characters, lone surrogates, noncharacters."""


def _decode(source: str | bytes, file: str, limits: bounds.Limits) -> str:
    """Return the text, or raise for what is too long, is not UTF-8, or holds what no document may hold."""
    too_long = f"is longer than {limits.bytes_max} bytes"
    if len(source) > limits.bytes_max:
        raise _refusal(too_long, "split it into several files", file, code=errors.TOO_LARGE)
    if isinstance(source, bytes):
        try:
            text = source.decode("utf-8")
        except UnicodeDecodeError as error:
            before = source[: error.start].decode("utf-8", "replace")
            raise _refusal("is not UTF-8 text", "save it as UTF-8", file, before) from error
    else:
        text = source
        if len(text) * 4 > limits.bytes_max and len(text.encode("utf-8", "replace")) > limits.bytes_max:
            raise _refusal(too_long, "split it into several files", file, code=errors.TOO_LARGE)
    text = text.removeprefix("\ufeff")
    if found := _FORBIDDEN.search(text):
        problem = f"holds the character U+{ord(found.group()):04X}, which no document may hold"
        raise _refusal(problem, "remove it", file, text[: found.start()])
    # Tag directives are useless where tags are refused, and the parser compares each with all before it.
    if found := _TAG_DIRECTIVE.search(text):
        raise _refusal("tag directives are not allowed", "remove the %TAG line", file, text[: found.end() - 4])
    return text


def _refusal(
    problem: str, remedy: str, file: str, before: str = "", *, code: str = errors.SYNTAX
) -> errors.InvalidDocumentError:
    """Return the one error of a text that is not even parsed; ``before`` is the text up to the place."""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return errors.InvalidDocumentError([errors.DocumentError(problem, "", remedy, code, file, line, column)])


class _LimitError(Exception):
    """A bound was crossed: reading ends here. Carries nothing; the error is already in the list."""


@dataclass(slots=True)
class _Frame:
    """A container that is being filled. ``key`` is the mapping's key whose value comes next."""

    container: dict[str, Any] | list[Any]
    places: dict[errors.PathPart, int]
    part: errors.PathPart | None
    """Where it stands in its own container; None for a document's root."""
    anchor: str | None
    nodes_before: int
    characters_before: int
    key: str | None = None
    key_place: int = 0
    skip: bool = False
    """The value that comes next belongs to a refused key: read, and left out."""
    height: int = 1


@dataclass(frozen=True, slots=True)
class _Anchored:
    """What an alias stands for, and what it costs. ``closed`` is False while the node is still open."""

    value: Any
    nodes: int = 1
    characters: int = 0
    height: int = 0
    closed: bool = True


class _Composer:
    """Turns events into data. One object reads one text."""

    def __init__(self, file: str, limits: bounds.Limits) -> None:
        self._file = file
        self._limits = limits
        self._nodes_max = limits.nodes_max
        self._errors: list[errors.DocumentError] = []
        self._documents: list[LoadedDocument] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._places: dict[int, dict[errors.PathPart, int]] = {}
        self._root: Any = None
        self._start = 0
        self._nodes = self._characters = self._aliases = 0

    def compose(self, text: str) -> list[LoadedDocument]:
        """Read all documents, or raise with every error found."""
        parser = _parser(text)
        try:
            get_event = parser.get_event
            while (event := get_event()) is not None and type(event) is not yaml.StreamEndEvent:
                self._take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = _pack(mark.line + 1, mark.column + 1) if mark else 0
            what = error.problem or error.context or "cannot be read"
            self._note(f"is not YAML: {what}", place, "check indentation, quotes and brackets here")
        except yaml.YAMLError as error:  # the reader's errors carry no mark
            self._note(f"is not YAML: {errors.shorten(str(error))}", 0, "remove the character")
        except _LimitError:
            pass
        finally:
            parser.dispose()
        if self._errors:
            raise errors.InvalidDocumentError(self._errors)
        return self._documents

    def _take(self, event: yaml.Event) -> None:
        kind = type(event)
        if kind is yaml.ScalarEvent:
            self._scalar(event)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._open(event, {} if kind is yaml.MappingStartEvent else [])
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            self._alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._begin(event)
        elif kind is yaml.DocumentEndEvent:
            self._end()

    def _begin(self, event: Any) -> None:
        self._anchors, self._places, self._root = {}, {}, None
        self._start = _place(event)

    def _end(self) -> None:
        if self._root is None:
            return
        if len(self._documents) >= self._limits.documents_max:
            most = self._limits.documents_max
            self._stop(f"holds more than {most} {'documents' if most > 1 else 'document'}", self._start, "split it")
        self._documents.append(LoadedDocument(self._root, self._file, _unpack(self._start), self._places))

    def _scalar(self, event: Any) -> None:
        place, text = _place(event), event.value
        self._nodes += 1
        self._characters += len(text)
        if self._nodes > self._nodes_max:
            self._count(0, 0, place)
        if len(text) > self._limits.scalar_characters_max:
            self._stop(f"a value is longer than {self._limits.scalar_characters_max} characters", place, "shorten it")
        if event.tag is not None:
            self._check_tag(event, place)
        if "\0" in text:  # written as an escape
            self._note("a value holds a NUL character", place, "remove it")
        plain = not event.style
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._key(frame, text, place, plain=plain)
            return
        value = (None if spellings.is_null(text) else spellings.Plain(text)) if plain else text
        if event.anchor is not None:
            self._anchor(event, place, _Anchored(value, characters=len(text)))
        self._put(value, place)

    def _key(self, frame: _Frame, text: str, place: int, *, plain: bool) -> None:
        frame.key, frame.key_place, frame.skip = text, place, False
        if plain and text == "<<":
            frame.skip = True
            self._note("merge keys (<<) are not allowed", place, "write the fields out")
        elif plain and spellings.is_null(text):
            frame.skip = True
            self._note("a key is empty", place, "name it, or quote it")
        elif text in frame.container:
            frame.skip = True
            first, _ = _unpack(frame.places[text] >> _PLACE_BITS)
            self._note(f"{errors.shorten(text)!r} stands twice, first at line {first}", place, "remove one of them")

    def _open(self, event: Any, container: dict[str, Any] | list[Any]) -> None:
        place = _place(event)
        self._count(1, 0, place)
        if len(self._stack) >= self._limits.depth_max:
            self._stop(f"nests deeper than {self._limits.depth_max} levels", place, "flatten it")
        self._check_tag(event, place)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._stop("a key is a list or a mapping", place, "keys are text", code=errors.SYNTAX)
        part = None if frame is None else frame.key if frame.key is not None else len(frame.container)
        self._put(container, place)
        places: dict[errors.PathPart, int] = {}
        self._places[id(container)] = places
        self._stack.append(_Frame(container, places, part, event.anchor, self._nodes - 1, self._characters))
        if event.anchor is not None:
            self._anchor(event, place, _Anchored(container, closed=False))

    def _anchor(self, event: Any, place: int, anchored: _Anchored) -> None:
        self._anchors[event.anchor] = anchored
        if not self._limits.aliases_max:
            name = errors.shorten(event.anchor)
            self._note(f"anchors are not allowed: &{name}", place, "write the values out where they are needed")

    def _close(self) -> None:
        frame = self._stack.pop()
        if self._stack:
            self._stack[-1].height = max(self._stack[-1].height, frame.height + 1)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchored(
                frame.container,
                nodes=self._nodes - frame.nodes_before,
                characters=self._characters - frame.characters_before,
                height=frame.height,
            )

    def _alias(self, event: Any) -> None:
        place = _place(event)
        self._aliases += 1
        if self._aliases > self._limits.aliases_max:
            self._stop(f"holds more than {self._limits.aliases_max} aliases", place, "write the values out")
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._stop("a key is an alias", place, "keys are text", code=errors.SYNTAX)
        name = errors.shorten(event.anchor)
        target = self._anchors.get(event.anchor)
        if target is None:
            self._stop(f"the alias *{name} names nothing before it", place, f"define &{name}", code=errors.SYNTAX)
        if not target.closed:
            self._stop(f"the alias *{name} stands inside what it names", place, "remove it", code=errors.SYNTAX)
        self._count(target.nodes, target.characters, place)
        if len(self._stack) + target.height > self._limits.depth_max:
            self._stop(f"nests deeper than {self._limits.depth_max} levels", place, "flatten it")
        if frame is not None:
            frame.height = max(frame.height, target.height + 1)
        self._put(target.value, place)

    def _put(self, value: Any, place: int) -> None:
        if not self._stack:
            self._root = value
            self._start = place
            return
        frame = self._stack[-1]
        container = frame.container
        if isinstance(container, list):
            frame.places[len(container)] = place << _PLACE_BITS | place
            container.append(value)
            return
        key = frame.key
        if key is not None and not frame.skip:
            container[key] = value
            frame.places[key] = frame.key_place << _PLACE_BITS | place
        frame.key = None

    def _check_tag(self, event: Any, place: int) -> None:
        if event.tag is not None:
            self._note(
                f"tags are not allowed: {errors.shorten(event.tag)}", place, "remove the tag; quote text instead"
            )

    def _count(self, nodes: int, characters: int, place: int) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > self._limits.nodes_max:
            self._stop(f"holds more than {self._limits.nodes_max} values", place, "split it into several files")
        if self._characters > self._limits.characters_max:
            self._stop(f"expands to more than {self._limits.characters_max} characters", place, "use fewer aliases")

    def _note(self, problem: str, place: int, remedy: str, *, code: str = errors.SYNTAX) -> None:
        path = [frame.part for frame in self._stack if frame.part is not None]
        if self._stack:
            frame = self._stack[-1]
            if frame.key is not None:
                path.append(frame.key)
            elif isinstance(frame.container, list):
                path.append(len(frame.container))
        line, column = _unpack(place)
        self._errors.append(
            errors.DocumentError(problem, errors.render_path(path), remedy, code, self._file, line, column)
        )
        if len(self._errors) >= errors.ERRORS_MAX:
            raise _LimitError

    def _stop(self, problem: str, place: int, remedy: str, *, code: str = errors.TOO_COMPLEX) -> NoReturn:
        self._note(problem, place, remedy, code=code)
        raise _LimitError


def _place(event: Any) -> int:
    mark = event.start_mark
    return _pack(mark.line + 1, mark.column + 1)


def _pack(line: int, column: int) -> int:
    return line << _COLUMN_BITS | column


def _unpack(place: int) -> Place:
    return place >> _COLUMN_BITS, place & ((1 << _COLUMN_BITS) - 1)


def _parser(text: str) -> Any:
    """Return an event parser; libyaml's, which every wheel of PyYAML has."""
    if not yaml.__with_libyaml__:
        raise errors.InvalidDocumentError(
            [errors.DocumentError("PyYAML was built without libyaml", "", "install a wheel of PyYAML", errors.SYNTAX)]
        )
    return yaml.CSafeLoader(text)  # used as its event parser only: nothing is composed or constructed
