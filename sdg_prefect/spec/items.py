"""One item of a pipeline: its keys, and its configuration against the real block class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sdg_prefect.blocks import Block, block_names, find_block
from sdg_prefect.blocks.files import REPORTED
from sdg_prefect.blocks.structure import IterBlock, PipelineBlock
from sdg_prefect.errors import did_you_mean
from sdg_prefect.spec.flow import Item, Place
from sdg_prefect.spec.positions import Path

if TYPE_CHECKING:
    from sdg_prefect.spec.reader import FileReader

ITEM_KEYS = ("block_type", "block_config", "gen_kwargs", "drop_columns", "drop_duplicates", "scope")
_DEAD_ITEM_KEYS = ("num_samples", "runtime_overrides")
_DEAD_CONFIG_KEYS = {
    "batch_kwargs": "it has no effect on this block",
    "num_procs": "columns are processed at once, in one process",
    "batched": "calls are always made side by side",
    "client": "endpoints are named under 'models'",
}


def read_item(reader: FileReader, raw: Any, path: Path) -> Item | None:
    """Read one item; what is wrong is reported to the reader, and None returned."""
    if not isinstance(raw, dict):
        reader.report("a block has to be a mapping with 'block_type' and 'block_config'.", "", *path)
        return None
    known = (*ITEM_KEYS, *_DEAD_ITEM_KEYS)
    for key in raw:
        if key in _DEAD_ITEM_KEYS:
            reader.warn(f"'{key}' has no effect.", "", *path, key)
        elif key not in known:
            reader.report(f"unknown key '{key}' of a block.", did_you_mean(str(key), ITEM_KEYS), *path, key)
    config = raw.get("block_config") or {}
    name = config.get("block_name") if isinstance(config, dict) else None
    type_name = raw.get("block_type")
    if not isinstance(type_name, str):
        reader.report("a block needs a 'block_type'.", did_you_mean("block_type", map(str, raw)), *path)
        return None
    if not isinstance(config, dict):
        reader.report(f"block_config of '{type_name}' has to be a mapping.", "", *path, "block_config")
        return None
    gen_kwargs = raw.get("gen_kwargs") or {}
    if not isinstance(gen_kwargs, dict):
        reader.report(f"'gen_kwargs' of block '{name}' has to be a mapping.", "", *path, "gen_kwargs")
        gen_kwargs = {}
    config, gen_kwargs = reader.overrides.apply(str(name), config, gen_kwargs)
    return _finish(reader, raw, path, _read_block(reader, type_name, config, gen_kwargs, path))


def _finish(reader: FileReader, raw: Mapping[str, Any], path: Path, item: Item | None) -> Item | None:
    """Add the keys that stand beside the block's own."""
    drop = _names(reader, raw.get("drop_columns"), path, "drop_columns")
    unique = _names(reader, raw.get("drop_duplicates"), path, "drop_duplicates")
    scope = raw.get("scope", "all")
    if scope not in ("all", "shard"):
        reader.report(f"'scope' has to be 'all' or 'shard', not {scope!r}.", "", *path, "scope")
    if item is None:
        return None
    return Item(
        name=reader.unique_name(item.name),
        place=item.place,
        block=item.block,
        pipeline=item.pipeline,
        times=item.times,
        drop_columns=drop,
        drop_duplicates=unique,
        scope="shard" if scope == "shard" else "all",
    )


def _names(reader: FileReader, value: Any, path: Path, key: str) -> tuple[str, ...]:
    if value is None or value is False:
        return ()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        reader.report(f"'{key}' has to be a list of column names.", "", *path, key)
        return ()
    return tuple(names)


def _read_block(
    reader: FileReader, type_name: str, config: dict[str, Any], gen_kwargs: Mapping[str, Any], path: Path
) -> Item | None:
    cls = find_block(type_name)
    if cls is None:
        reader.report(f"unknown block type '{type_name}'.", did_you_mean(type_name, block_names()), *path, "block_type")
        return None
    place = Place(reader.document.file, reader.document.line(*path))
    config = _without_dead_keys(reader, cls, config, path)
    if gen_kwargs and "gen_kwargs" not in cls.model_fields:
        reader.report(f"block '{config.get('block_name')}' ({type_name}) takes no 'gen_kwargs'.", "", *path, "gen_kwargs")
    elif gen_kwargs:
        config = {**config, "gen_kwargs": {**(config.get("gen_kwargs") or {}), **gen_kwargs}}
    block = _validated(reader, cls, config, path)
    if isinstance(block, PipelineBlock):
        pipeline = reader.nested_pipeline(block, path)
        return Item(block.block_name, place, pipeline=pipeline) if pipeline else None
    if isinstance(block, IterBlock):
        return _repeated(reader, block, place, path)
    return Item(block.block_name, place, block=block) if block else None


def _repeated(reader: FileReader, repeat: IterBlock, place: Place, path: Path) -> Item | None:
    inner_config = {"block_name": repeat.block_name, **repeat.block_kwargs}
    inner = _read_block(reader, repeat.block_type, inner_config, repeat.gen_kwargs, (*path, "block_config"))
    if inner is None:
        return None
    return Item(repeat.block_name, place, block=inner.block, pipeline=inner.pipeline, times=repeat.num_iters * inner.times)


def _without_dead_keys(reader: FileReader, cls: type[Block], config: dict[str, Any], path: Path) -> dict[str, Any]:
    """Drop keys that upstream accepts and ignores, with a warning."""
    dead = [key for key in config if key in _DEAD_CONFIG_KEYS and key not in cls.model_fields]
    for key in dead if cls.model_config.get("extra") == "forbid" else []:
        reader.warn(
            f"block '{config.get('block_name')}': '{key}' is ignored; {_DEAD_CONFIG_KEYS[key]}.", "", *path, "block_config", key
        )
    if cls.model_config.get("extra") != "forbid":
        return config
    return {key: value for key, value in config.items() if key not in dead}


def _validated(reader: FileReader, cls: type[Block], config: Mapping[str, Any], path: Path) -> Block | None:
    try:
        return cls.model_validate(config, context=reader.files)
    except ValidationError as error:
        name = config.get("block_name", cls.type_name)
        for detail in error.errors():
            if detail["type"] != REPORTED:
                reader.report(*_explain(cls, str(name), detail), *_config_path(path, detail["loc"]))
        return None


def _config_path(path: Path, location: Iterable[str | int]) -> Path:
    """Return where in the file a wrong field stands; gen_kwargs stand beside the configuration."""
    loc = tuple(location)
    return (*path, *loc) if loc[:1] == ("gen_kwargs",) else (*path, "block_config", *loc)


def _explain(cls: type[Block], name: str, detail: Any) -> tuple[str, str]:
    """Say what is wrong with a field, and what it could be."""
    location = [str(part) for part in detail["loc"]]
    where = f"block '{name}': "
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        return f"{where}unknown field '{key}'.", did_you_mean(location[-1], cls.model_fields)
    if detail["type"] == "missing":
        given = detail["input"] if isinstance(detail["input"], Mapping) else {}
        near = did_you_mean(key, [str(name) for name in given if name not in cls.model_fields])
        return f"{where}the field '{key}' is missing ({cls.type_name}).", near if near.startswith("Did") else ""
    if detail["type"] == "literal_error":
        allowed = str(detail["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"{where}{key} cannot be {detail['input']!r}.", did_you_mean(str(detail["input"]), allowed)
    message = str(detail["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if message[:2].istitle() or message[1:2].islower() else message
    return f"{where}{key + ': ' if key else ''}{message}" + ("" if message.endswith((".", "?")) else "."), ""
