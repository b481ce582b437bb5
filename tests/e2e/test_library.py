"""The library of blocks through a whole run: values drawn, JSON asked for, embedded, deduplicated, judged, laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sdg_prefect.simulator import SimulatedModel
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

FLOW = """\
- block_type: SampleCategory
  block_config: {block_name: level, output_col: level, values: {easy: 3, hard: 1}}
- block_type: StructuredLLMBlock
  block_config:
    block_name: ask
    config_path: pair.yaml
    model_id: teacher
    rows_from: pairs
    output_schema:
      type: object
      required: [pairs]
      properties:
        pairs:
          type: array
          minItems: 2
          items:
            type: object
            required: [question, answer]
            properties: {question: {type: string}, answer: {type: string}}
- block_type: DropNearDuplicates
  block_config: {block_name: reworded, columns: [question], similarity: 0.9}
- block_type: EmbedText
  block_config: {block_name: place, model_id: embedder, input_col: question, output_col: vector, dimensions: 64}
- block_type: DropSimilar
  block_config: {block_name: alike, vector_col: vector, similarity: 0.99}
  drop_columns: [vector]
- block_type: JudgeAnswer
  block_config: {block_name: judge, model_id: judge, instruction_col: question, response_col: answer}
- block_type: FormatForTuning
  block_config: {block_name: lay_out, prompt_col: question, response_col: answer}
"""
PAIR = """\
generation: |
  Document:
  {{document}}

  Write {{ level }} questions about the document, each with its answer.
"""


def test_the_blocks_work_together_and_a_second_run_asks_for_nothing(project: Project, model: SimulatedModel) -> None:
    project.write("flow.yaml", FLOW)
    project.write("pair.yaml", PAIR)
    seeds = [*project.documents(12), *project.documents(2)]
    rows = project.generate(seeds, model.url, shard_size=5)
    asked = model.stats()["calls"]
    assert 0 < len({row["question"] for row in rows}) == len(rows)
    assert {row["level"] for row in rows} <= {"easy", "hard"}
    assert all(1 <= row["score"] <= 5 and row["feedback"] for row in rows)
    assert rows[0]["messages"] == [
        {"role": "user", "content": rows[0]["question"].strip()},
        {"role": "assistant", "content": rows[0]["answer"].strip()},
    ]
    assert project.generate(seeds, model.url, shard_size=5) == rows
    # In shards of another size everything is done anew, and nothing is paid for again.
    assert project.generate(seeds, model.url, shard_size=3) == rows
    assert model.stats()["calls"] == asked


def test_vectors_come_from_batches_too(project: Project, model: SimulatedModel) -> None:
    project.write(
        "flow.yaml",
        FLOW[FLOW.index("- block_type: EmbedText") : FLOW.index("- block_type: DropSimilar")].replace("question", "document"),
    )
    project.write("models.yaml", "embedder: {model: embedder, mode: batch}\n")
    project.seeds(6)
    ran = project.run(model.url, SDG_PREFECT_BATCH_QUIET="0.2", SDG_PREFECT_BATCH_POLL="0.1", SDG_PREFECT_BATCH_POLL_MAX="0.3")
    assert ran.code == 0
    assert {len(row["vector"]) for row in project.output()} == {64}
    assert (model.stats()["batches"], model.stats()["calls"]) == (1, 0)
