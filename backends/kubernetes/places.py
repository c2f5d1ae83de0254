"""Where a pod runs: what its node's label says, held against a second source where the settings have one. Pure."""

from __future__ import annotations

import ipaddress

from backends.kubernetes import settings as schema
from backends.kubernetes import views
from orchestrator.domain import facts, offers

_ZONE, _REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"


def whereabouts(
    rank: int, pod: views.Pod, node: views.Node | None, wanted: schema.KubernetesSettings
) -> offers.Whereabouts | None:
    """Return what was seen of one node of an attempt; None where its machine is not known yet.

    Labels are declared; a provider id or an address is documented. Where they differ, the second is reported: the
    selector has seen to it that the label says what was decided.
    """
    if not pod.node:
        return None
    if node is None:
        return offers.Whereabouts(rank, pod.node, pod.image_digest, source="name of the node")
    labelled = _country(node.labels.get(wanted.jurisdiction_label, ""))
    label = f"label {wanted.jurisdiction_label}"
    second, source, level = second_source(node, wanted.second_source)
    if second is None:
        country, text = labelled, label
    elif labelled is None or second == labelled:
        country, text = second, source if labelled is None else f"{source} and {label}"
    else:
        country, text = second, f"{source}; {label} says {labelled}"
    return offers.Whereabouts(rank, pod.node, pod.image_digest, country, text[:200] if country else "", level)


def second_source(node: views.Node, wanted: schema.SecondSource) -> tuple[str | None, str, facts.Assurance]:
    """Return the country that something other than the label says, where it was read, and what that is worth."""
    declared, documented = facts.Assurance.DECLARED, facts.Assurance.DOCUMENTED
    found = [start for start in wanted.provider_ids if node.provider.startswith(start)]
    if found:
        return wanted.provider_ids[max(found, key=len)], "providerID", documented
    if (network := _network(node, wanted)) is not None:
        return wanted.addresses[network], "address", documented
    for key in (_ZONE, _REGION):
        if (country := wanted.zones.get(node.labels.get(key, ""))) is not None:
            return country, f"label {key}", declared  # a kubelet may set it itself
    return None, "", declared


def _network(node: views.Node, wanted: schema.SecondSource) -> str | None:
    best: tuple[int, str] | None = None
    for text in node.addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        for network in wanted.addresses:
            parsed = ipaddress.ip_network(network)
            if address in parsed and (best is None or parsed.prefixlen > best[0]):
                best = (parsed.prefixlen, network)
    return None if best is None else best[1]


def _country(text: str) -> str | None:
    return text if len(text) == 2 and text.isascii() and text.isalpha() and text.isupper() else None
