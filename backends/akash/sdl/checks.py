"""What holds between the parts of a document; its structure is held by :mod:`backends.akash.sdl.documents`."""

from __future__ import annotations

from collections.abc import Iterator

from backends.akash.sdl import documents


def volumes(resources: documents.Resources) -> list[documents.Volume]:
    """Return the volumes, each with a name: the one that has none is ``default``, as is one that stands alone."""
    if isinstance(resources.storage, documents.Volume):
        return [resources.storage.model_copy(update={"name": "default"})]
    return [volume.model_copy(update={"name": volume.name or "default"}) for volume in resources.storage]


def problems(sdl: documents.Sdl) -> list[str]:
    """Return what does not fit together, a sentence each; none: the document can be deployed."""
    found: list[str] = []
    used: set[str] = set()
    ports: dict[tuple[str, int, str], str] = {}
    for name, places in sorted(sdl.deployment.items()):
        for place, chosen in sorted(places.items()):
            found += _references(sdl, name, place, chosen)
        service = sdl.services.get(name)
        if service is not None:
            found += _addresses(sdl, name, service, used, ports)
    found += [f"services.{name} is never deployed" for name in sorted(set(sdl.services) - set(sdl.deployment))]
    found += [f"endpoints.{name} is declared and never used" for name in sorted(set(sdl.endpoints) - used)]
    return found


def _references(sdl: documents.Sdl, name: str, place: str, chosen: documents.Count) -> Iterator[str]:
    where = f"deployment.{name}.{place}"
    service = sdl.services.get(name)
    compute, placement = sdl.profiles.compute.get(chosen.profile), sdl.profiles.placement.get(place)
    if service is None:
        yield f"{where}: there is no service {name}"
    if compute is None:
        yield f"{where}: there is no compute profile {chosen.profile}"
    if placement is None:
        yield f"{where}: there is no placement profile {place}"
    elif chosen.profile not in placement.pricing:
        yield f"{where}: profiles.placement.{place}.pricing has no price for {chosen.profile}"
    if service is not None and compute is not None:
        yield from _mounts(name, service, volumes(compute.resources))
        gpus = compute.resources.gpu.count if compute.resources.gpu else 0
        if service.params is not None and service.params.tee == "cpu-gpu" and not gpus:
            yield f"services.{name}.params.tee: cpu-gpu asks for GPUs, and {chosen.profile} has none"


def _mounts(name: str, service: documents.Service, held: list[documents.Volume]) -> Iterator[str]:
    given = service.params.storage if service.params is not None else {}
    names = [volume.name for volume in held]
    yield from (
        f"volume {volume} is declared twice" for volume in sorted({one for one in names if names.count(one) > 1})
    )
    seen: dict[str, str] = {}
    for volume, wanted in sorted(given.items()):
        where = f"services.{name}.params.storage.{volume}"
        if volume not in names:
            yield f"{where}: its compute profile has no such volume"
        elif wanted.mount is None:
            yield f"{where}: mount is missing"
        elif wanted.mount in seen:
            yield f"{where}: {wanted.mount} is where {seen[wanted.mount]} is mounted"
        else:
            seen[wanted.mount] = volume
    for one in held:
        kept = one.attributes is not None and one.attributes.kept
        if kept and one.name not in seen.values():
            yield f"volume {one.name} is persistent, and services.{name}.params.storage.{one.name}.mount is missing"
        ram = one.attributes is not None and one.attributes.class_ == "ram"
        if ram and one.name in given and given[one.name].read_only:
            yield f"services.{name}.params.storage.{one.name}: memory that is read-only is of no use"


def _addresses(
    sdl: documents.Sdl,
    name: str,
    service: documents.Service,
    used: set[str],
    ports: dict[tuple[str, int, str], str],
) -> Iterator[str]:
    for expose in service.expose or ():
        for to in expose.to:
            if not to.ip:
                continue
            used.add(to.ip)
            if to.ip not in sdl.endpoints:
                yield f"services.{name}: there is no endpoint {to.ip}"
            key = (to.ip, expose.as_ or 0, expose.protocol)
            if key in ports:
                yield f"services.{name}: port {expose.port} of endpoint {to.ip} is already that of {ports[key]}"
            ports[key] = name
