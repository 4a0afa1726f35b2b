"""What a report relies on in a run's manifest, and what becomes of one that somebody changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def sound(manifest: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a manifest without what has another type than albench writes, and the keys of that.

    In place of an earlier manifest that is none stands an empty one: that there was one is known.
    """
    wrong = [key for key, is_right in _SHAPES.items() if key in manifest and not is_right(manifest[key])]
    kept = {key: value for key, value in manifest.items() if key not in wrong}
    if "earlier" in wrong:
        past = manifest["earlier"] if isinstance(manifest["earlier"], list) else [None]
        kept["earlier"] = [each if isinstance(each, dict) else {} for each in past]
    return kept, wrong


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, kind) for each in value)


def _are_lists_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_list_of(str, each) for each in value.values())


_SHAPES: dict[str, Callable[[Any], bool]] = {
    "citations": _is_texts,
    "earlier": lambda value: _is_list_of(dict, value),
    "fingerprints": _is_texts,
    "marks": _are_lists_of_texts,
    "order": _are_lists_of_texts,
    "predictions_not_kept": _is_texts,
    "replay": lambda value: isinstance(value, dict),
    "versions": lambda value: isinstance(value, dict),
}
"""By key; whatever else a manifest holds is printed as it is."""
