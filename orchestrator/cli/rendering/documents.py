"""Values as YAML that this program's own strict loader reads back: block style, text quoted where it must be."""

from __future__ import annotations

from typing import Any

import yaml

from orchestrator.wire import spellings


class _Dumper(yaml.SafeDumper):
    """YAML 1.2 in YAML 1.1's clothes: what looks like another type to our loader is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out; aliases only puzzle a reader."""
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    if style is None and (spellings.is_null(value) or not isinstance(spellings.resolve(value), str)):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


_Dumper.add_representer(str, _text)


def dump(value: object) -> str:
    """Return ``value`` as one YAML document, keys in their own order."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))
