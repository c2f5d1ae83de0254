"""The types of single fields: each with its bound, its pattern, and the sentence said when a value does not fit.

Text takes spellings as they are; numbers and truth values are resolved here, because only the schema knows that one
is wanted (:mod:`orchestrator.wire.spellings`). Every bound is visible in the JSON schema.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import ipaddress
import re
from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic.alias_generators import to_camel

from orchestrator.domain import countries, ids, money
from orchestrator.wire import errors, quantities, spellings

API_VERSION = "comity.dev/v1"
"""The one version of documents that this program reads and writes."""

FILE_BYTES_MAX = 2**20
"""Largest content of one file of a job."""
FILES_MAX = 256
LIST_MAX = 256
"""Bound of lists of names, countries, certificates and the like."""


class Model(pydantic.BaseModel):
    """A part of a document: camelCase names, no unknown fields, no silent conversion."""

    model_config = pydantic.ConfigDict(
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        allow_inf_nan=False,
        defer_build=True,
        use_attribute_docstrings=False,
    )


def _resolve(value: object) -> object:
    return spellings.resolve(value) if type(value) is spellings.Plain else value


RESOLVED = BeforeValidator(_resolve)

Bool = Annotated[bool, RESOLVED]
Int = Annotated[int, RESOLVED]
Float = Annotated[float, RESOLVED]
Count = Annotated[int, Field(ge=0, le=10**15), RESOLVED]
Percent = Annotated[float, Field(ge=0, le=100), RESOLVED]

HINTS = {
    ids.NAME_PATTERN: "1 to 63 letters, digits, - _ . with a letter or digit at both ends",
}
"""Pattern -> what to write instead; read by the translation of errors."""


def patterned(pattern: str, hint: str, *, length_max: int) -> Any:
    """Return the constraints of a text with a pattern, and remember its hint."""
    HINTS[pattern] = hint
    return StringConstraints(pattern=pattern, max_length=length_max)


def bounded(pattern: str, hint: str, *, length_max: int) -> Any:
    """Return the same for a pattern that bounds the length by itself: the schema says the length, the hint the rest."""
    HINTS[pattern] = hint
    return Field(pattern=pattern, json_schema_extra={"maxLength": length_max})


Name = Annotated[str, bounded(ids.NAME_PATTERN, HINTS[ids.NAME_PATTERN], length_max=63)]
Word = Annotated[
    str,
    bounded(
        r"^[A-Za-z0-9]([A-Za-z0-9_.:+/-]{0,126}[A-Za-z0-9])?$",
        "1 to 128 letters, digits and _ . : + / - with a letter or digit at both ends",
        length_max=128,
    ),
]
"""A name that somebody else defines: a scheme, a service, a region, an accelerator."""
Line = Annotated[
    str, patterned(r"^[^\n\r]*$", "one line of at most 1024 characters", length_max=1024), Field(min_length=1)
]
_CLAIMS = ("jws:", "dsse:")
_LINE_MAX = 1024


def _no_claim(value: str) -> str:
    if value.startswith(_CLAIMS):
        raise errors.ValueProblemError("is a signed claim", "claims are read on places and operators, not here")
    return value


def _short_or_claim(value: str) -> str:
    if len(value) > _LINE_MAX and not value.startswith(_CLAIMS):
        raise errors.ValueProblemError("is too long", f"one line of at most {_LINE_MAX} characters, or a signed claim")
    return value


Reference = Annotated[Line, AfterValidator(_no_claim)]
"""What names a paper or a source; never a claim."""
Proof = Annotated[
    str,
    patterned(r"^[^\n\r]*$", "one line: the name of a paper, or signed claims (jws:..., dsse:...)", length_max=16_384),
    Field(min_length=1),
    AfterValidator(_short_or_claim),
]
"""The same, or signed claims, which are longer."""
Text = Annotated[str, StringConstraints(max_length=65_536)]
Argument = Annotated[str, StringConstraints(max_length=131_072)]
"""One argument of a command, or the value of one variable; Linux takes no longer one."""


def _country(value: str) -> str:
    if value in countries.CODES:
        return value
    meant = countries.COMMON_MISTAKES.get(value)
    remedy = f"write {meant}" if meant else "the codes are those of ISO 3166-1 alpha-2, e.g. FR"
    raise errors.ValueProblemError(f"{value} is no country code", remedy)


def _subdivision(value: str) -> str:
    country, _, part = value.partition("-")
    if country in countries.CODES:
        return value
    meant = countries.COMMON_MISTAKES.get(country)
    remedy = f"write {meant}-{part}" if meant else "begin with a code of ISO 3166-1 alpha-2, e.g. FR-59"
    raise errors.ValueProblemError(f"{value} lies in {country}, which is no country code", remedy)


def _subject(value: str) -> str:
    return value if value == countries.SOMEBODY_IN_THE_EU else _country(value)


_TwoLetters = Annotated[str, bounded(r"^[A-Z]{2}$", "the two capital letters of ISO 3166-1, e.g. FR", length_max=2)]
Country = Annotated[_TwoLetters, AfterValidator(_country)]
Subject = Annotated[_TwoLetters, AfterValidator(_subject)]
"""A country, or ``EU`` for somebody in the European Union."""


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise errors.ValueProblemError(
            f"{value} is no network", "write address and length, the bits behind it zero, e.g. 192.0.2.0/24"
        ) from None


Network = Annotated[
    str,
    patterned(r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$", "a network, e.g. 192.0.2.0/24", length_max=64),
    AfterValidator(_network),
]
"""IPv4 or IPv6 addresses (CIDR)."""
_UNIONS = (countries.SOMEBODY_IN_THE_EU, "EEA")


def _country_or_union(value: str) -> str:
    return value if value in _UNIONS else _country(value)


CountryOrUnion = Annotated[
    str,
    bounded(r"^([A-Z]{2}|EEA)$", "a country code such as FR, or EU or EEA for their members", length_max=3),
    AfterValidator(_country_or_union),
]
"""A country, or one of the two sets that a host's terms may name."""
CountryOrSet = Annotated[
    str,
    bounded(
        r"^[A-Za-z][A-Za-z0-9_.:-]{0,62}[A-Za-z0-9]$",
        "a country code such as FR, or the name of a set of countries such as EEA",
        length_max=64,
    ),
]
Subdivision = Annotated[
    str,
    bounded(r"^[A-Z]{2}-[A-Z0-9]{1,3}$", "an ISO 3166-2 code such as FR-59", length_max=6),
    AfterValidator(_subdivision),
]
"""A part of a country. The country before the dash is checked; the codes behind it are not kept here."""
Sha256 = Annotated[
    str, bounded(r"^sha256:[0-9a-f]{64}$", "sha256: and 64 hexadecimal digits, lower case", length_max=71)
]


def _lei(value: str) -> str:
    # ISO 17442-1: letters count as 10 to 35, and the number that results leaves 1 when divided by 97 (ISO 7064).
    if int("".join(str(int(sign, 36)) for sign in value)) % 97 == 1:
        return value
    raise errors.ValueProblemError(f"{value} has check digits that do not fit", "copy it from the register once more")


Lei = Annotated[
    str,
    bounded(r"^[A-Z0-9]{18}[0-9]{2}$", "the 20 characters of an identifier of ISO 17442", length_max=20),
    AfterValidator(_lei),
]
RelativePath = Annotated[
    str,
    patterned(
        r"^([^/\\\n\r.]|\.[^/\\\n\r.]|\.\.[^/\\\n\r])[^/\\\n\r]*(/([^/\\\n\r.]|\.[^/\\\n\r.]|\.\.[^/\\\n\r])[^/\\\n\r]*)*$",
        "a path below the working folder: no / in front or at the end, no . or .. part, no backslash",
        length_max=1024,
    ),
]
AbsolutePath = Annotated[
    str,
    patterned(
        r"^(/([^/\n\r.]|\.[^/\n\r.]|\.\.[^/\n\r])[^/\n\r]*)+$", "a path from the root, e.g. /data", length_max=1024
    ),
]
Image = Annotated[str, patterned(r"^[^\s]+$", "an image reference without spaces", length_max=512), Field(min_length=1)]
VariableName = Annotated[
    str,
    patterned(r"^[A-Za-z_][A-Za-z0-9_]*$", "letters, digits and _ that do not begin with a digit", length_max=128),
]
LabelKey = Annotated[
    str,
    bounded(
        r"^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$",
        "a name of 63 characters, if need be after a domain and a slash",
        length_max=317,
    ),
]
LabelValue = Annotated[
    str,
    bounded(
        r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$",
        "at most 63 letters, digits, - _ . with a letter or digit at both ends",
        length_max=63,
    ),
]
Labels = Annotated[dict[LabelKey, LabelValue], Field(max_length=64)]
Annotations = Annotated[dict[LabelKey, Annotated[str, StringConstraints(max_length=16_384)]], Field(max_length=64)]

Names = Annotated[list[Name], Field(max_length=LIST_MAX)]
Words = Annotated[list[Word], Field(max_length=LIST_MAX)]
Countries = Annotated[list[Country], Field(max_length=LIST_MAX)]
Subjects = Annotated[list[Subject], Field(max_length=LIST_MAX)]
CountriesOrUnions = Annotated[list[CountryOrUnion], Field(max_length=LIST_MAX)]
CountriesOrSets = Annotated[list[CountryOrSet], Field(max_length=LIST_MAX)]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _date(value: object) -> dt.date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return dt.date.fromisoformat(value)
        except ValueError as error:
            raise errors.ValueProblemError(f"{value} is no day of the calendar", "write YYYY-MM-DD") from error
    raise errors.ValueProblemError("is not a date", "write YYYY-MM-DD, e.g. 2027-06-30")


def _content(value: object) -> bytes:
    """Return the bytes of a base64 text."""
    if not isinstance(value, str):
        raise errors.ValueProblemError("must be text", "write the content as base64")
    if len(value) > -(-FILE_BYTES_MAX // 3) * 4:
        raise errors.ValueProblemError(f"is longer than {FILE_BYTES_MAX} bytes", "put it into the workdir")
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.ValueProblemError("is not base64", "encode the content as base64 (RFC 4648)") from error
    if len(content) > FILE_BYTES_MAX:
        raise errors.ValueProblemError(f"is longer than {FILE_BYTES_MAX} bytes", "put it into the workdir")
    return content


def _written(pattern: str, example: str, *, number: bool) -> Any:
    text = {"type": "string", "pattern": pattern, "maxLength": 32, "examples": [example]}
    return WithJsonSchema({"anyOf": [text, {"type": "number", "minimum": 0}]} if number else text)


Date = Annotated[dt.date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date", "maxLength": 10})]
Content = Annotated[
    bytes,
    BeforeValidator(_content),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "maxLength": -(-FILE_BYTES_MAX // 3) * 4}),
]
FreeForm = Annotated[dict[str, Any], Field(max_length=LIST_MAX), BeforeValidator(spellings.free_form)]
Cpus = Annotated[int, BeforeValidator(quantities.parse_cpus), _written(quantities.CPU_PATTERN, "500m", number=True)]
Memory = Annotated[
    int, BeforeValidator(quantities.parse_memory), _written(quantities.MEMORY_PATTERN, "64Gi", number=True)
]
AcceleratorMemory = Annotated[
    int,
    BeforeValidator(quantities.parse_accelerator_memory),
    _written(quantities.ACCELERATOR_MEMORY_PATTERN, "80G", number=False),
]
Duration = Annotated[
    dt.timedelta,
    BeforeValidator(quantities.parse_duration),
    _written(quantities.DURATION_PATTERN, "1h30m", number=False),
]
Money = Annotated[
    Annotated[money.Money, pydantic.InstanceOf()],
    BeforeValidator(quantities.parse_money),
    _written(quantities.MONEY_PATTERN, "2.20 EUR", number=False),
]
