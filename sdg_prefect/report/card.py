"""The card of a dataset: what it is, how it was made, what is known of its rows, and under which licence it may be used.

Its head is what the Hub of Hugging Face reads (https://huggingface.co/docs/hub/datasets-cards).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from sdg_prefect.frozen import digest
from sdg_prefect.report.charts import compact
from sdg_prefect.report.described import steps_of
from sdg_prefect.report.inert import in_markdown, plain
from sdg_prefect.report.mermaid import mermaid
from sdg_prefect.report.wording import share, words

if TYPE_CHECKING:
    from jinja2 import Environment

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
_LARGEST = "n>10M"
_SEAL = "\n<!-- written by sdg_prefect, {} -->\n"
"""Ends a card, with a hash of what is above."""


class WrittenSplit(Protocol):
    """A split of the dataset."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def rows(self) -> int:
        """Its rows."""
        ...


@dataclass(frozen=True, slots=True)
class CardFields:
    """What only the publisher can say."""

    title: str
    license: str = ""
    """Licence of the dataset, by its identifier at the Hub, such as ``apache-2.0``."""
    languages: tuple[str, ...] = ()
    """Languages of its texts, ISO 639-1."""
    tags: tuple[str, ...] = field(default=())
    source: str = ""
    """Where the seeds are from, and their licence."""
    grouped_by: str = "seed"
    """What decides that rows stay in one split."""


def card_text(
    fields: CardFields,
    splits: Sequence[WrittenSplit],
    profile: Mapping[str, Any],
    report: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> str:
    """Write the card of a dataset as Markdown.

    Args:
        fields: What only the publisher can say.
        splits: The splits.
        profile: The profile of all rows, as its JSON has it.
        report: ``report.json`` of the run that made them; empty if none is known.
        manifest: Its ``manifest.json``; empty if none is known.
    """
    flow = manifest.get("flow")
    body = (
        _environment()
        .get_template("card.md.jinja")
        .render(
            fields=fields,
            splits=splits,
            profile=profile,
            report=report,
            gates=report.get("gates", []),
            manifest=manifest,
            flow=flow,
            steps=list(steps_of(flow).values()) if flow else [],
            picture=mermaid(flow, {block["name"]: block["rows_out"] for block in report.get("blocks", [])}) if flow else "",
            is_simulated=any(model["is_simulated"] for model in flow["models"].values()) if flow else False,
        )
    )
    text = f"---\n{_head(fields, splits, profile)}\n---\n\n{body}"
    return f"{text}{_SEAL.format(digest(text))}"


def is_as_written(text: str) -> bool:
    """True for a card that was written here and that nobody has changed since."""
    before, mark, _ = text.rpartition(_SEAL.partition("{")[0])
    return bool(mark) and text == f"{before}{_SEAL.format(digest(before))}"


def _head(fields: CardFields, splits: Sequence[WrittenSplit], profile: Mapping[str, Any]) -> str:
    from huggingface_hub import DatasetCardData

    rows = profile["rows"]
    size = next((name for most, name in _SIZES if rows < most), _LARGEST)
    data = DatasetCardData(
        pretty_name=plain(fields.title),
        license=fields.license or None,
        language=list(fields.languages) or None,
        tags=["synthetic", "sdg_prefect", *fields.tags],
        size_categories=[size],
        config_names=["default"],
        configs=[{"config_name": "default", "data_files": [{"split": one.name, "path": f"data/{one.name}-*"} for one in splits]}],
    )
    return str(data.to_yaml()).strip()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Markdown, into which everything is put as a cell.
    loader = PackageLoader("sdg_prefect.report", "templates")
    made = Environment(loader=loader, autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701
    made.filters |= {"share": share, "words": words, "compact": compact, "cell": in_markdown, "inline": _inline}
    return made


def _inline(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
