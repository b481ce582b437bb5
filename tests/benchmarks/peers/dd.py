"""The task with NeMo DataDesigner: one text column for each block, which its scheduler fills cell by cell."""

from __future__ import annotations

import data_designer.config as dd
from data_designer.interface import DataDesigner

from tests.benchmarks.peers.arguments import MODEL, read_task

if __name__ == "__main__":
    told = read_task()
    params = dd.ChatCompletionInferenceParams(max_parallel_requests=told.concurrency)
    teacher = dd.ModelConfig(alias="teacher", model=MODEL, provider="endpoint", inference_parameters=params)
    provider = dd.ModelProvider(name="endpoint", endpoint=told.url, api_key="none")
    designer = DataDesigner(artifact_path=told.folder / "artifacts", model_providers=[provider])
    # Its port for metrics is the same for every run on a machine.
    designer.set_run_config(dd.RunConfig(otel_metrics_port=None))
    builder = dd.DataDesignerConfigBuilder(model_configs=[teacher])
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=str(told.rows_file)))
    for number, template in enumerate(told.templates, start=1):
        builder.add_column(dd.LLMTextColumnConfig(name=f"reply_{number}", model_alias="teacher", prompt=template))
    made = designer.create(builder, num_records=len(told.rows))
    told.write(made.load_dataset().to_dict("records"))
