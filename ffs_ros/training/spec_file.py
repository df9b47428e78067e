"""The YAML of a spec, as nested mappings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ffs_ros.errors import FileError, SpecError


def loaded(path: Path) -> Any:
    """What is in the file. Raises FileError when there is none, SpecError when it is no YAML or says a key twice."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)
    except OSError as error:
        raise FileError(f"cannot read the spec {path}: {error.strerror}; give -e a YAML file") from None
    except UnicodeDecodeError:
        raise FileError(f"the spec {path} is no text; give -e a YAML file") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SpecError(f"{path} is nested more deeply than any spec; give -e a spec") from None


class _UniqueKeys(yaml.SafeLoader):
    """Refuses what YAML forbids and PyYAML takes: of two values of one key, the first would have no effect."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in lines:
                raise yaml.YAMLError(f"the key '{key.value}' stands in lines {lines[key.value]} and {line}; keep one")
            lines[key.value] = line
        return node
