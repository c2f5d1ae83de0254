"""What requests and replies of Akash's Console API must look like: the part that the double answers.

Field names, types and patterns after ``apps/api/swagger/openapi.json`` of akash-network/console (Apache-2.0; read
2026-11-22), written anew; claims of a provider token after ``jwt-schema.json`` of akash-network/chain-sdk (Apache-2.0;
2026-07-02). Where ``COMITY_AKASH_SPEC_DIR`` names the published files, a test compares the two.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import jsonschema

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
DSEQ: Schema = {"type": "string", "pattern": r"^\d+$"}
ADDRESS: Schema = {"type": "string", "pattern": "^akash1[a-z0-9]{38}$"}


def thing(optional: Mapping[str, Schema] | None = None, /, **required: Schema) -> Schema:
    """Return an object with these properties; ``optional``: those that may be missing."""
    return {"type": "object", "required": sorted(required), "properties": {**required, **(optional or {})}}


def many(items: Schema) -> Schema:
    """Return an array of these."""
    return {"type": "array", "items": items}


def maybe(schema: Schema) -> Schema:
    """Return the same, or null."""
    return {**schema, "type": [schema["type"], "null"]}


def by_name(value: Schema) -> Schema:
    """Return an object with any names, whose values are these."""
    return {"type": "object", "additionalProperties": value}


def _all(schema: Schema, names: str) -> dict[str, Schema]:
    return dict.fromkeys(names.split(), schema)


COIN = thing(denom=TEXT, amount=TEXT)
BID_ID = thing(owner=TEXT, dseq=DSEQ, gseq=NUMBER, oseq=NUMBER, provider=TEXT, bseq=NUMBER)
ESCROW = thing(
    id=thing(scope=TEXT, xid=TEXT),
    state=thing(
        owner=TEXT,
        state=TEXT,
        transferred=many(COIN),
        settled_at=TEXT,
        funds=many(COIN),
        deposits=many(thing(owner=TEXT, height=TEXT, source=TEXT, balance=COIN)),
    ),
)
SERVICE = thing(
    name=TEXT,
    uris=many(TEXT),
    **_all(NUMBER, "available total observed_generation replicas updated_replicas ready_replicas available_replicas"),
)
STATUS = maybe(
    thing(
        forwarded_ports=by_name(many(thing({"host": TEXT, "available": NUMBER}, port=NUMBER, externalPort=NUMBER))),
        ips=by_name(many(thing(IP=TEXT, Port=NUMBER, ExternalPort=NUMBER, Protocol=TEXT))),
        services=by_name(SERVICE),
    )
)
_LEASE = {"id": BID_ID, "state": TEXT, "price": COIN, "created_at": TEXT, "closed_on": TEXT}
_HEAD = thing(id=thing(owner=TEXT, dseq=DSEQ), state=TEXT, hash=TEXT, created_at=TEXT)
LISTED = thing(deployment=_HEAD, leases=many(thing({"reason": TEXT}, **_LEASE)), escrow_account=ESCROW)
DETAILED = thing(
    data=thing(deployment=_HEAD, leases=many(thing({"reason": TEXT}, **_LEASE, status=STATUS)), escrow_account=ESCROW)
)
_PAIRS = many(thing(key=TEXT, value=TEXT))
_AMOUNT = thing(val=TEXT)
OFFER = thing(
    count=NUMBER,
    resources=thing(
        cpu=thing(units=_AMOUNT, attributes=_PAIRS),
        gpu=thing(units=_AMOUNT, attributes=_PAIRS),
        memory=thing(quantity=_AMOUNT, attributes=_PAIRS),
        storage=many(thing(name=TEXT, quantity=_AMOUNT, attributes=_PAIRS)),
        endpoints=many(thing(kind=TEXT, sequence_number=NUMBER)),
    ),
)
BID = thing(
    {"reclamation_window": TEXT}, id=BID_ID, state=TEXT, price=COIN, created_at=TEXT, resources_offer=many(OFFER)
)
_PROVIDER = {
    **_all(TEXT, "owner hostUri cosmosSdkVersion akashVersion"),
    **_all(
        maybe(TEXT),
        "name ipRegion ipRegionCode ipCountry ipCountryCode ipLat ipLon lastOnlineDate host organization statusPage "
        "locationRegion country city timezone locationType hostingProvider hardwareCpu hardwareCpuArch "
        "hardwareGpuVendor hardwareMemory networkProvider tier",
    ),
    **_all(NUMBER, "createdHeight networkSpeedDown networkSpeedUp"),
    **_all(
        FLAG,
        "isValidVersion isOnline isAudited featPersistentStorage featEndpointCustomDomain workloadSupportChia "
        "featEndpointIp",
    ),
    "gpuModels": many(thing(**_all(TEXT, "vendor model ram interface"))),
    "attributes": many(thing(key=TEXT, value=TEXT, auditedBy=many(TEXT))),
}
_KINDS = "hardwareGpuModels hardwareDisk featPersistentStorageType workloadSupportChiaCapabilities"
_TOLD = _all(maybe(TEXT), "email website lastCheckDate")
_UPTIMES = "uptime1d uptime7d uptime30d"
PROVIDERS = many(
    thing(
        {**_TOLD, **_all(maybe(NUMBER), "deploymentCount leaseCount")},
        **_PROVIDER,
        **_all(maybe(many(TEXT)), _KINDS),
        **_all(maybe(NUMBER), _UPTIMES),
    )
)
_USE = thing(active=NUMBER, available=NUMBER, pending=NUMBER)
PROVIDER = thing(
    **_PROVIDER,
    **_all(many(TEXT), _KINDS),
    **_all(NUMBER, f"{_UPTIMES} deploymentCount leaseCount"),
    **_TOLD,
    stats=thing(cpu=_USE, gpu=_USE, memory=_USE, storage=thing(ephemeral=_USE, persistent=_USE)),
    uptime=many(thing(id=TEXT, isOnline=FLAG, checkDate=TEXT)),
)
SCOPES = [
    *("send-manifest", "get-manifest", "logs", "shell", "events", "status", "restart"),
    *("hostname-migrate", "ip-migrate", "attestation"),
]
_SCOPE: Schema = {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": SCOPES}}


def _closed(optional: Mapping[str, Schema] | None = None, /, **required: Schema) -> Schema:
    return {**thing(optional, **required), "additionalProperties": False}


def _access(granular: Schema, **each: Schema) -> Schema:
    full, scoped = {"const": "full"}, {"const": "scoped"}
    return {
        "oneOf": [
            _closed(**each, access=full),
            _closed(**each, access=scoped, scope=_SCOPE),
            _closed(**each, access={"const": "granular"}, **granular),
        ]
    }


_NATURAL: Schema = {"type": "integer", "minimum": 0}
_DEPLOYMENT = {
    **_closed(
        {"gseq": _NATURAL, "oseq": _NATURAL},
        dseq={"type": "integer", "minimum": 1},
        scope=_SCOPE,
        services={"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string", "minLength": 1}},
    ),
    "dependentRequired": {"oseq": ["gseq"]},
}
_PERMISSION = _access({"deployments": {**many(_DEPLOYMENT), "minItems": 1}}, provider=ADDRESS)
CLAIMS = _closed(
    {"jti": {"type": "string", "minLength": 1}},
    iss=ADDRESS,
    iat=_NATURAL,
    nbf=_NATURAL,
    exp=_NATURAL,
    version={"enum": ["v1"]},
    leases=_access({"permissions": {**many(_PERMISSION), "minItems": 1}}),
)


@dataclasses.dataclass(frozen=True)
class Operation:
    """One method of one path. ``public``: asks for no key; ``query``: text parameters, each with its pattern."""

    method: str
    path: str
    status: int
    reply: Schema
    body: Schema | None = None
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    public: bool = False

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the parameters in the path, or ``None`` where this is another operation."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found and method == self.method else None


_DIGITS = r"\d+"
_MANAGED = thing(data=thing(sdl=TEXT))
OPERATIONS = (
    Operation(
        "POST",
        "/v1/deployments",
        201,
        thing(data=thing(dseq=DSEQ, manifest=TEXT, signTx=thing(code=NUMBER, transactionHash=TEXT, rawLog=TEXT))),
        thing(data=thing({"deposit": NUMBER}, sdl=TEXT)),
    ),
    Operation(
        "GET",
        "/v1/deployments",
        200,
        thing(
            data=thing(
                deployments=many(LISTED), pagination=thing(total=NUMBER, skip=NUMBER, limit=NUMBER, hasMore=FLAG)
            )
        ),
        query={"skip": _DIGITS, "limit": r"0*[1-9]\d*"},
    ),
    Operation("GET", "/v1/deployments/{dseq}", 200, DETAILED),
    Operation("PUT", "/v1/deployments/{dseq}", 200, DETAILED, _MANAGED),
    Operation("DELETE", "/v1/deployments/{dseq}", 200, thing(data=thing(success=FLAG))),
    Operation(
        "GET",
        "/v1/bids",
        200,
        thing(data=many(thing(bid=BID, escrow_account=ESCROW))),
        query={"dseq": _DIGITS},
        needed=frozenset({"dseq"}),
    ),
    Operation(
        "POST",
        "/v1/leases",
        200,
        DETAILED,
        thing(manifest=TEXT, leases=many(thing(dseq=DSEQ, gseq=NUMBER, oseq=NUMBER, provider=TEXT))),
    ),
    Operation("POST", "/v1/deposit-deployment", 200, DETAILED, thing(data=thing(dseq=DSEQ, deposit=NUMBER))),
    Operation(
        "POST",
        "/v1/create-jwt-token",
        201,
        thing(data=thing(token=TEXT)),
        thing(data=thing(ttl={"type": "integer", "exclusiveMinimum": 0}, leases={"type": "object"})),
    ),
    Operation(
        "GET", "/v1/providers", 200, PROVIDERS, query={"scope": "all|trial", "addresses": r"[\w,]*"}, public=True
    ),
    Operation("GET", "/v1/providers/{address}", 200, PROVIDER, public=True),
    Operation("GET", "/v1/auditors", 200, many(thing(id=TEXT, name=TEXT, address=TEXT, website=TEXT)), public=True),
)


def problems(value: Any, schema: Schema) -> list[str]:
    """Return what is wrong, one line each: where, and why."""
    found = jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator)(schema).iter_errors(value)
    return sorted(f"{error.json_path}: {error.message}" for error in found)


def query_problems(operation: Operation, query: Mapping[str, str], path: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the parameters of a request."""
    lines = [f"query {name}: is missing" for name in sorted(operation.needed - set(query))]
    for name, text in sorted(query.items()):
        if name in operation.query and re.fullmatch(operation.query[name], text, re.ASCII) is None:
            lines.append(f"query {name}: {text!r} is not {operation.query[name]}")
    if "dseq" in path and re.fullmatch(_DIGITS, path["dseq"], re.ASCII) is None:
        lines.append(f"path dseq: {path['dseq']!r} is not {_DIGITS}")
    return lines
