"""What a document becomes: groups that providers bid on, and the manifest that only who has the lease is sent.

The shapes are those of ``group-specs.json`` and ``manifest.json`` in the vectors of akash-network/chain-sdk. A bidder
sees the groups: amounts, attributes, auditors, prices. It does not see images, commands, variables or credentials.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from backends.akash.sdl import checks, documents, quantities

Json = dict[str, Any]
_SHARED_HTTP, _RANDOM_PORT, _LEASED_IP = 0, 1, 2
_HTTP_PORT = 80
_DEFAULTS = {"maxBodySize": 1_048_576, "readTimeout": 60_000, "sendTimeout": 60_000, "nextTries": 3}
_NEXT_CASES = ("error", "timeout")


class SdlError(ValueError):
    """A document that cannot be deployed. ``problems`` are sentences that begin with the path."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


def made(sdl: documents.Sdl) -> tuple[list[Json], list[Json]]:
    """Return groups and manifest; raises :class:`SdlError` with everything that does not fit together."""
    if problems := checks.problems(sdl):
        raise SdlError(problems)
    numbers = _numbers(sdl)
    groups: dict[str, Json] = {}
    manifests: dict[str, Json] = {}
    bound: dict[tuple[str, str], Json] = {}
    for name, places in sorted(sdl.deployment.items()):
        service = sdl.services[name]
        ports = _ports(service, numbers)
        for place, chosen in sorted(places.items()):
            group = groups.setdefault(place, _group(place, sdl.profiles.placement[place]))
            _ask_for_tee(group, service)
            resources = _resources(sdl.profiles.compute[chosen.profile].resources, _endpoints(ports))
            price = sdl.profiles.placement[place].pricing[chosen.profile]
            unit = bound.get((place, chosen.profile)) if sdl.version == "2.1" else None
            if unit is None:
                resources = {"id": len(group["resources"]) + 1, **resources}
                amount = {"denom": price.denom, "amount": quantities.price(price.amount)}
                unit = {"resource": resources, "count": chosen.count, "price": amount}
                group["resources"].append(unit)
                bound[place, chosen.profile] = unit
            else:
                resources = {"id": unit["resource"]["id"], **resources}
                unit["count"] += chosen.count
                shared = [*unit["resource"]["endpoints"], *resources["endpoints"]]
                unit["resource"] = {
                    **unit["resource"],
                    "endpoints": sorted(shared, key=lambda endpoint: endpoint["sequence_number"]),
                }
            manifest = manifests.setdefault(place, {"name": place, "services": []})
            manifest["services"].append(_service(name, service, chosen.count, resources, ports, sdl.version))
    return [groups[place] for place in sorted(groups)], [manifests[place] for place in sorted(manifests)]


def version(manifest: Sequence[Json]) -> str:
    """Return the SHA-256 (hexadecimal) by which the chain knows a manifest: keys in order, no spaces."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _numbers(sdl: documents.Sdl) -> Mapping[str, int]:
    """Return the number of each address: its last place in the sorted list of all its uses."""
    names = [
        to.ip
        for name in sdl.deployment
        for expose in sdl.services[name].expose or ()
        for to in expose.to
        if to.ip or not to.global_
    ]
    return {name: number for number, name in enumerate(sorted(names), start=1)}


def _group(name: str, placement: documents.Placement) -> Json:
    signed = placement.signed_by
    attributes = [{"key": key, "value": _scalar(value)} for key, value in sorted(placement.attributes.items())]
    signed_by = {"all_of": list(signed.all_of) or None, "any_of": list(signed.any_of) or None}
    return {"name": name, "requirements": {"signed_by": signed_by, "attributes": attributes or None}, "resources": []}


def _ask_for_tee(group: Json, service: documents.Service) -> None:
    if service.params is None or service.params.tee is None:
        return
    attributes = list(group["requirements"]["attributes"] or ())
    asked = [one["value"] for one in attributes if one["key"] == "tee/type"]
    if asked and asked[0] != service.params.tee:
        raise SdlError([f"group {group['name']} asks for {asked[0]} and {service.params.tee}: one kind a group"])
    if not asked:
        attributes.append({"key": "tee/type", "value": service.params.tee})
        group["requirements"]["attributes"] = sorted(attributes, key=lambda one: one["key"])


def _resources(resources: documents.Resources, endpoints: list[Json]) -> Json:
    cpu: Json = {"units": {"val": str(quantities.cpu_milli(resources.cpu.units))}}
    if resources.cpu.attributes:
        cpu["attributes"] = [{"key": key, "value": value} for key, value in sorted(resources.cpu.attributes.items())]
    return {
        "cpu": cpu,
        "memory": {"size": {"val": str(quantities.size_bytes(resources.memory.size))}},
        "storage": [_volume(volume) for volume in sorted(checks.volumes(resources), key=_volume_order)],
        "gpu": _gpu(resources.gpu),
        "endpoints": endpoints,
    }


def _volume(volume: documents.Volume) -> Json:
    found: Json = {"name": volume.name, "size": {"val": str(quantities.size_bytes(volume.size))}}
    if volume.attributes is not None:
        kind = volume.attributes.class_ or ("default" if volume.attributes.kept else None)
        attributes = {"class": kind, "persistent": _scalar(volume.attributes.kept)}
        found["attributes"] = [{"key": key, "value": value} for key, value in attributes.items() if value is not None]
    return found


def _volume_order(volume: documents.Volume) -> tuple[int, bool, bool, str]:
    kept = volume.attributes is not None and volume.attributes.kept
    return quantities.size_bytes(volume.size), volume.attributes is not None, kept, volume.name if kept else ""


def _gpu(gpu: documents.Gpu | None) -> Json:
    found: Json = {"units": {"val": str(gpu.count if gpu is not None else 0)}}
    if gpu is not None and gpu.attributes is not None and gpu.attributes.vendor is not None:
        models = gpu.attributes.vendor.nvidia or ()
        keys = sorted(_model(model) for model in models) or ["*"]
        prefix = f"vendor/{documents.GPU_VENDOR}/model"
        found["attributes"] = [{"key": f"{prefix}/{key}", "value": "true"} for key in keys]
    return found


def _model(model: documents.GpuModel) -> str:
    parts = [model.model]
    if model.ram is not None:
        parts += ["ram", quantities.gibibytes(model.ram)]
    if model.interface is not None:
        parts += ["interface", model.interface]
    return "/".join(parts)


def _ports(service: documents.Service, numbers: Mapping[str, int]) -> list[Json]:
    found = []
    for expose in service.expose or ():
        for to in expose.to or (documents.To(),):
            found.append(
                {
                    "port": expose.port,
                    "externalPort": expose.as_ or 0,
                    "proto": expose.protocol,
                    "service": to.service,
                    "global": to.global_,
                    "hosts": list(expose.accept) or None,
                    "httpOptions": _http(expose.http_options),
                    "ip": to.ip,
                    "endpointSequenceNumber": numbers[to.ip] if to.global_ and to.ip else 0,
                }
            )
    return sorted(found, key=lambda port: (port["service"], port["port"], port["proto"], not port["global"]))


def _http(options: documents.HttpOptions) -> Json:
    given = {
        "maxBodySize": options.max_body_size,
        "readTimeout": options.read_timeout,
        "sendTimeout": options.send_timeout,
        "nextTries": options.next_tries,
    }
    return {
        **{name: value or _DEFAULTS[name] for name, value in given.items()},
        "nextTimeout": options.next_timeout,
        "nextCases": list(options.next_cases or _NEXT_CASES),
    }


def _endpoints(ports: Sequence[Json]) -> list[Json]:
    found: list[Json] = []
    for port in ports:
        if not port["global"]:
            continue
        http = port["proto"] == "TCP" and (port["externalPort"] or port["port"]) == _HTTP_PORT
        found.append(_endpoint(_SHARED_HTTP if http else _RANDOM_PORT, 0))
        if port["ip"]:
            found.append(_endpoint(_LEASED_IP, port["endpointSequenceNumber"]))
    return found


def _endpoint(kind: int, number: int) -> Json:
    return {**({"kind": kind} if kind else {}), "sequence_number": number}


def _service(
    name: str, service: documents.Service, count: int, resources: Json, ports: Sequence[Json], version: str
) -> Json:
    found: Json = {
        "name": name,
        "image": service.image,
        "command": list(service.command) if service.command else None,
        "args": list(service.args) if service.args else None,
        "env": list(service.env) if service.env else None,
        "resources": resources,
        "count": count,
        "expose": list(ports),
    }
    if service.params is not None:
        found["params"] = _params(service.params)
    found["credentials"] = _credentials(service.credentials, version)
    return found


def _params(params: documents.Params) -> Json:
    mounts = [
        {"name": name, "mount": one.mount, "readOnly": one.read_only} for name, one in sorted(params.storage.items())
    ]
    found: Json = {"storage": mounts or None}
    if params.permissions is not None:
        found["permissions"] = {"read": list(params.permissions.read)}
    if params.tee is not None:
        found["tee"] = {"type": params.tee, "attestation": True}
    return found


def _credentials(given: documents.Credentials | None, version: str) -> Json | None:
    if given is None:
        return None
    email = (given.email or "").strip() if version == "2.1" else ""
    return {
        "host": given.host.strip(),
        "email": email,
        "username": given.username.strip(),
        "password": given.password.strip(),
    }


def _scalar(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
