"""The datasets of a run as assets of Prefect: what it was made of, and what was made."""

from __future__ import annotations

import re
from typing import Any

from prefect.assets import Asset, AssetProperties
from prefect.context import AssetContext
from prefect.states import Completed

from sdg_prefect.report.run_report import RunReport
from sdg_prefect.store.manifest import address_of

_MADE_BY = "sdg_prefect"
_LONGEST = 500
_REFUSED = re.compile(r"""[\s#?&%"'<>\[\]{}|\\^`]""")
"""Characters that Prefect refuses in the key of an asset."""


def tell_of_datasets(seeds: Any, report: RunReport) -> None:
    """Tell Prefect that the output of a run was made of its seeds; nothing where the output is no file.

    Args:
        seeds: Where they were read; no text where they were in memory.
        report: What the run did.
    """
    if report.output is None:
        return
    total = report.total
    made = Asset(
        key=asset_key(report.output), properties=AssetProperties(name=f"Rows of {report.flow}", url=report.ui_url or None)
    )
    given = {Asset(key=asset_key(seeds))} if isinstance(seeds, str) else set()
    told = AssetContext(direct_asset_dependencies=given, downstream_assets={made}, materialized_by=_MADE_BY)
    facts = {"rows": report.rows_out, "seeds": report.rows_in, "rejected": total.rejected, "cost_usd": round(total.cost_usd, 6)}
    told.add_asset_metadata(made.key, {**facts, "flow": report.flow, "run": report.run_id, "storage": report.storage})
    told.emit_events(Completed())


def asset_key(place: str) -> str:
    """Return the key of a dataset: its address, as far as Prefect takes it.

    Args:
        place: A local path, an address, or ``hf:NAME``.
    """
    return _REFUSED.sub("-", address_of(place))[:_LONGEST]
