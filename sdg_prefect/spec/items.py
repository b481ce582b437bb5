"""One item of a pipeline: its keys, and its configuration against the real block class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sdg_prefect.blocks import Block, block_names, find_block
from sdg_prefect.blocks.conditions import as_condition
from sdg_prefect.blocks.sampling import KNOWN
from sdg_prefect.blocks.structure import IterBlock, StructureBlock
from sdg_prefect.errors import Problem, did_you_mean
from sdg_prefect.spec.flow import Item, PipelineSpec, Place
from sdg_prefect.spec.positions import Path
from sdg_prefect.spec.roots import read_expectations
from sdg_prefect.spec.structures import read_structure
from sdg_prefect.spec.wording import Finding, explain, is_secret, shown_value

if TYPE_CHECKING:
    from sdg_prefect.spec.file_reader import FileReader

ITEM_KEYS = ("block_type", "block_config", "gen_kwargs", "when", "drop_columns", "drop_duplicates", "scope", "expect")
_DEAD_ITEM_KEYS = ("num_samples", "runtime_overrides")
_DEAD_CONFIG_KEYS = {
    "batch_kwargs": "it has no effect on this block",
    "num_procs": "columns are processed at once, in one process",
    "batched": "calls are always made side by side",
    "client": "endpoints are named under 'models'",
}


def read_item(reader: FileReader, raw: Any, path: Path) -> Item:
    """Read one item; what is wrong is reported to the reader, and an item without block and pipeline returned."""
    unread = Item("", Place(reader.document.file, reader.document.line(*path)))
    if not isinstance(raw, dict):
        what = "a block has to be a mapping with 'block_type' and 'block_config'"
        reader.report(f"{what}, not {shown_value(raw)}.", "", *path)
        return unread
    config = raw.get("block_config")
    name = config.get("block_name") if isinstance(config, dict) else None
    reader.overrides.note(str(name))
    if not _has_sound_keys(reader, raw, path):
        return unread
    gen_kwargs = raw.get("gen_kwargs") or {}
    if not isinstance(gen_kwargs, dict):
        reader.report(f"'gen_kwargs' has to be a mapping, not {shown_value(gen_kwargs)}.", "", *path, "gen_kwargs")
        gen_kwargs = {}
    config, gen_kwargs = reader.overrides.apply(str(name), config or {}, gen_kwargs)
    return _finish(reader, raw, path, _read_block(reader, str(raw["block_type"]), config, gen_kwargs, path) or unread)


def _has_sound_keys(reader: FileReader, raw: Mapping[Any, Any], path: Path) -> bool:
    """Report keys that an item does not have; True if it has those without which it cannot be read."""
    for key in (key for key in raw if key in _DEAD_ITEM_KEYS):
        reader.warn(f"'{key}' has no effect.", "", *path, key)
    others = [key for key in raw if key not in _DEAD_ITEM_KEYS]
    meant = reader.unknown_keys(others, ITEM_KEYS, "a block", path, is_ignored=reader.has_metadata)
    for key, kind, what in (("block_type", str, "text"), ("block_config", dict, "a mapping")):
        if key in raw and not isinstance(raw[key], kind):
            reader.report(f"'{key}' has to be {what}, not {shown_value(raw[key])}.", "", *path, key)
        elif key not in raw and key not in meant:
            reader.report(f"a block needs a '{key}'.", "", *path)
    return isinstance(raw.get("block_type"), str) and isinstance(raw.get("block_config"), dict)


def _finish(reader: FileReader, raw: Mapping[str, Any], path: Path, item: Item) -> Item:
    """Add the keys that stand beside the block's own."""
    scope = raw.get("scope", "all")
    if scope not in ("all", "shard"):
        reader.report(f"'scope' has to be 'all' or 'shard', not {shown_value(scope)}.", "", *path, "scope")
    return replace(
        item,
        name=reader.unique_name(item.name) if item.name else "",
        when=_condition(reader, raw, path),
        drop_columns=_names(reader, raw.get("drop_columns"), path, "drop_columns"),
        drop_duplicates=_names(reader, raw.get("drop_duplicates"), path, "drop_duplicates"),
        scope="shard" if scope == "shard" else "all",
        expect=read_expectations(reader, raw.get("expect"), (*path, "expect")),
        lines={**_lines(reader, raw.get("block_config"), (*path, "block_config")), **_key_lines(reader, raw, path)},
    )


def _condition(reader: FileReader, raw: Mapping[str, Any], path: Path) -> str:
    if "when" not in raw:
        return ""
    try:
        return as_condition(raw["when"])
    except ValueError as error:
        reader.report(f"'when': {str(error).rstrip('.')}.", "", *path, "when")
        return ""


def _lines(reader: FileReader, value: Any, path: Path) -> dict[str, int]:
    """Return the first line of each text in a configuration."""
    if isinstance(value, str):
        return {value: reader.document.line(*path)}
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: dict[str, int] = {}
    for key, inner in entries:
        named = {key: reader.document.line(*path, key)} if isinstance(key, str) else {}
        found = {**_lines(reader, inner, (*path, key)), **named, **found}
    return found


def _key_lines(reader: FileReader, raw: Mapping[str, Any], path: Path) -> dict[str, int]:
    return {f"{key}:": reader.document.line(*path, key) for key in raw}


def _names(reader: FileReader, value: Any, path: Path, key: str) -> tuple[str, ...]:
    if value is None or value is False:
        return ()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        reader.report(f"'{key}' has to be a list of column names, not {shown_value(value)}.", "", *path, key)
        return ()
    return tuple(names)


def _read_block(
    reader: FileReader,
    type_name: str,
    config: dict[str, Any],
    gen_kwargs: Mapping[str, Any],
    path: Path,
    config_key: str = "block_config",
) -> Item | None:
    """Read a block; None where it cannot be read, which is then reported. ``config_key`` is where its configuration stands."""
    within = (*path, config_key)
    cls = find_block(type_name)
    if cls is None:
        near = did_you_mean(type_name, block_names())
        hint = near if near.startswith("Did") else "'python -m sdg_prefect blocks' lists them."
        reader.report(f"unknown block type '{type_name}'.", hint, *path, "block_type")
        return None
    place = Place(reader.document.file, reader.document.line(*path))
    config = _without_dead_keys(reader, cls, config, within)
    if gen_kwargs and "gen_kwargs" not in cls.model_fields:
        reader.report(f"{_subject(cls, config)}: a {type_name} takes no 'gen_kwargs'.", "", *path, "gen_kwargs")
    elif gen_kwargs:
        config = {**config, "gen_kwargs": {**(config.get("gen_kwargs") or {}), **gen_kwargs}}
    block = _validated(reader, cls, config, within)
    if isinstance(block, IterBlock):
        return _repeated(reader, block, place, path)
    if isinstance(block, StructureBlock):
        return read_structure(reader, block, place, within)
    return Item(block.block_name, place, block=block) if block else None


def _repeated(reader: FileReader, repeat: IterBlock, place: Place, path: Path) -> Item | None:
    inner_config = {"block_name": repeat.block_name, **repeat.block_kwargs}
    inner = _read_block(
        reader, repeat.block_type, inner_config, repeat.gen_kwargs, (*path, "block_config"), config_key="block_kwargs"
    )
    if inner is None:
        return None
    if inner.until is not None or inner.branches:
        return Item(repeat.block_name, place, pipeline=PipelineSpec(inner.name, (inner,), place), times=repeat.num_iters)
    return Item(repeat.block_name, place, block=inner.block, pipeline=inner.pipeline, times=repeat.num_iters * inner.times)


def _without_dead_keys(reader: FileReader, cls: type[Block], config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Drop keys that upstream accepts and ignores, with a warning."""
    if cls.model_config.get("extra") != "forbid":
        return config
    if cls.ignores_unknown:
        return _with_known_keys(reader, cls, config, path)
    dead = [key for key in config if key in _DEAD_CONFIG_KEYS and key not in cls.model_fields]
    for key in dead:
        message = f"{_subject(cls, config)}: '{key}' is ignored; {_DEAD_CONFIG_KEYS[key]}."
        reader.warn(message, "", *path, key)
    return {key: value for key, value in config.items() if key not in dead}


def _with_known_keys(reader: FileReader, cls: type[Block], config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Drop keys that a block does not have, with a warning; one under which people write secrets stays, and is refused."""
    unknown = [key for key in config if key not in cls.model_fields and not is_secret(key)]
    for key in unknown:
        near = did_you_mean(str(key), cls.model_fields)
        message = f"{_subject(cls, config)}: unknown field '{key}' is ignored."
        reader.warn(message, near if near.startswith("Did") else "", *path, key)
    return {key: value for key, value in config.items() if key not in unknown}


def _validated(reader: FileReader, cls: type[Block], config: Mapping[str, Any], path: Path) -> Block | None:
    try:
        return cls.model_validate(config, context=reader.files)
    except ValidationError as error:
        for finding in explain(error, cls, config):
            message = f"{_subject(cls, config)}: {finding.message}"
            if reader.overrides.sets(str(config.get("block_name")), finding.path):
                reader.problems.append(Problem(f"--set: {message}", _hint(cls, finding)))
            else:
                # gen_kwargs stand beside the configuration.
                beside = finding.path[:1] == ("gen_kwargs",)
                reader.report(message, _hint(cls, finding), *(path[:-1] if beside else path), *finding.path)
        return None


def _hint(cls: type[Block], finding: Finding) -> str:
    """Return what to do, also where a key is right but stands in the wrong place."""
    key = finding.path[0] if len(finding.path) == 1 and finding.is_unknown else None
    if key in ITEM_KEYS:
        return f"'{key}' stands beside 'block_config', not in it."
    if key in KNOWN and "gen_kwargs" in cls.model_fields:
        return f"'{key}' stands under 'gen_kwargs', beside 'block_config'."
    return finding.hint


def _subject(cls: type[Block], config: Mapping[str, Any]) -> str:
    name = config.get("block_name")
    return f"block '{name}'" if isinstance(name, (str, int, float)) and name != "" else f"a block of type {cls.type_name}"
