"""Pictures of flows."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from sdg_prefect.report.described import steps_of
from sdg_prefect.report.mermaid import mermaid
from sdg_prefect.report.picture import flow_svg
from tests.unit.report.told import step


def flow(*names: str) -> dict[str, Any]:
    """Describe a flow with a pipeline inside of a pipeline."""
    inner = {"pipeline": "inner", "times": 3, "steps": [step(name, times=2) for name in names]}
    return {
        "name": "f",
        "pipelines": [
            {"pipeline": "outer", "times": 1, "steps": [step("first"), inner, step("last", "DropDuplicates", scope="all")]}
        ],
    }


def test_mermaid_has_a_node_for_each_block_and_rows_on_the_arrows() -> None:
    drawn = mermaid(flow("ask", "judge"), {"first": 1200, "last": 7})
    assert drawn == (
        'flowchart TD\n  seeds(["seeds"])\n  subgraph n0["outer"]\n    n1["first<br/>LLMBlock · teacher"]\n    seeds --> n1\n'
        '    subgraph n2["inner × 3"]\n      n3["ask<br/>LLMBlock · teacher · × 2"]\n      n1 -->|1,200| n3\n'
        '      n4["judge<br/>LLMBlock · teacher · × 2"]\n      n3 --> n4\n    end\n'
        '    n5[/"last<br/>DropDuplicates · waits for all rows"/]\n    n4 --> n5\n  end\n  output(["output"])\n  n5 -->|7| output\n'
    )


@pytest.mark.parametrize("name", ['a"]; click n0 "javascript:x"', "<script>", "a\nb", "#quot;", "x" * 200, "]]>"])
def test_no_name_of_a_block_breaks_a_picture(name: str) -> None:
    lines = mermaid(flow(name)).splitlines()
    assert len(lines) == len(mermaid(flow("plain")).splitlines())
    assert not any("<script" in line or '"]; click' in line for line in lines)
    drawn = ElementTree.fromstring(str(flow_svg(flow(name))))
    plain = ElementTree.fromstring(str(flow_svg(flow("plain"))))
    assert [element.tag for element in drawn.iter()] == [element.tag for element in plain.iter()]


def test_boxes_lie_in_the_picture_and_do_not_overlap() -> None:
    drawn = ElementTree.fromstring(str(flow_svg(flow("one", "two"), {"one": 5})))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [
        (rect.attrib["class"], [float(rect.attrib[name]) for name in ("x", "y", "width", "height")])
        for rect in drawn.iter(f"{space}rect")
    ]
    assert all(x >= 0 and x + width <= float(drawn.attrib["width"]) for _, (x, _, width, _) in boxes)
    assert all(y + height <= float(drawn.attrib["height"]) for _, (_, y, _, height) in boxes)
    blocks = sorted((y, y + height) for kind, (_, y, _, height) in boxes if kind != "pipeline")
    assert all(one[1] < other[0] for one, other in pairwise(blocks))
    assert "5 rows" in "".join(drawn.itertext())


def test_branches_part_and_come_together_and_repetitions_lead_back() -> None:
    way = {"pipeline": "long", "times": 1, "steps": [step("shorten")], "when": "n > 3"}
    other = {"pipeline": "rest", "times": 1, "steps": [step("keep")], "when": "true"}
    fork = {
        "branches": "fork",
        "split": step("fork · branches"),
        "ways": [way, other],
        "rest": "reject",
        "join": step("fork · join"),
    }
    body = {"pipeline": "better", "times": 1, "steps": [step("rewrite")]}
    loop = {
        "repeat": "better",
        "until": "score >= 4",
        "most": 3,
        "body": body,
        "split": step("better · until"),
        "unmet": step("better · unmet"),
        "join": step("better · join"),
    }
    whole = {"name": "f", "pipelines": [{"pipeline": "f", "times": 1, "steps": [fork, loop]}]}
    arrows = {line.strip() for line in mermaid(whole).splitlines() if "-->" in line}
    names = {match[2]: match[1] for match in re.finditer(r'(n\d+)\["([^"<]+)<br/>', mermaid(whole))}
    assert f"{names['fork · branches']} --> {names['shorten']}" in arrows
    assert f"{names['fork · branches']} --> {names['keep']}" in arrows
    assert {f"{names['shorten']} --> {names['fork · join']}", f"{names['keep']} --> {names['fork · join']}"} <= arrows
    assert f"{names['better · until']} -->|again| {names['rewrite']}" in arrows
    assert f"{names['better · until']} -->|left| {names['better · unmet']}" in arrows
    drawn = ElementTree.fromstring(str(flow_svg(whole, {"shorten": 5, "fork · join": 7})))
    said = " ".join(drawn.itertext())
    assert "5 rows out" in said
    assert "7 rows" in said
    # Into both branches and out of them; again, done, and what is left.
    rails = [path.attrib["d"] for path in drawn.iter("{http://www.w3.org/2000/svg}path") if "H" in path.attrib["d"]]
    assert len(rails) == len(set(rails)) == 4 + 3
    assert "long · when n > 3" in said
    assert "better · up to 3 rounds until score >= 4" in said
    assert list(steps_of(whole)) == [
        "fork · branches",
        "shorten",
        "keep",
        "fork · join",
        "rewrite",
        "better · until",
        "better · unmet",
        "better · join",
    ]
