"""Parameters of routes, with their bounds: they stand in the schema."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query

JobId = Annotated[str, Path(max_length=64, description="A job's id, or an element's: `ID[3]`")]
Name = Annotated[str, Path(max_length=63, description="A document's name")]
Kinds = Annotated[str, Path(max_length=16, description="controlplanes, operators, backends, datasets, tenants, queues")]
OutputPath = Annotated[str, Path(max_length=1024)]
Digest = Annotated[str, Query(max_length=71, pattern=r"^sha256:[0-9a-f]{64}$")]
At = Annotated[str | None, Query(max_length=40, description="RFC 3339, or a day")]
Limit = Annotated[int, Query(ge=1, le=500)]
Bytes = Annotated[int, Query(ge=1, le=262_144)]
Filter = Annotated[str | None, Query(max_length=1024, description="`label=KEY:VALUE`, several with `;` between")]
Cursor = Annotated[str | None, Query(max_length=1024)]
Attempt = Annotated[int | None, Query(ge=1, le=10_000)]
Node = Annotated[int | None, Query(ge=0, le=100_000)]
Flag = Annotated[bool, Query()]
Reason = Annotated[str | None, Query(min_length=1, max_length=1_000, description="Why it loosens, for the journal")]
After = Annotated[int | None, Query(ge=0, le=2**62)]
Sizes = Annotated[str | None, Query(max_length=64, description="Sizes of checkpoints kept, with commas between")]
Paths = Annotated[str | None, Query(max_length=512, description="What to open, with commas between")]
Word = Annotated[str, Query(min_length=1, max_length=128)]
BackendName = Annotated[str | None, Query(max_length=63)]
Seconds = Annotated[float, Query(ge=0, le=60)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=64)]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=64)]
LastEvent = Annotated[str | None, Header(alias="Last-Event-ID", max_length=32)]
Accept = Annotated[str | None, Header(max_length=512)]
