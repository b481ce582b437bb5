"""The task with distilabel: a step for each block, each in a process of its own.

It limits calls by the batch of a step, and the steps run beside each other. So the calls that may be open are shared out among them.
"""

from __future__ import annotations

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

from tests.benchmarks.peers.arguments import MODEL, columns_of, read_task

if __name__ == "__main__":
    told = read_task()
    batch = max(1, told.concurrency // len(told.prompts))
    with Pipeline(name="chain", cache_dir=told.folder / "cache") as pipeline:
        last = LoadDataFromDicts(data=told.rows, batch_size=batch)
        for number, (prompt, template) in enumerate(zip(told.prompts, told.templates, strict=True), start=1):
            step = TextGeneration(
                name=f"ask_{number}",
                llm=OpenAILLM(model=MODEL, base_url=told.url, api_key="none", generation_kwargs={"max_new_tokens": 1024}),
                template=template,
                columns=columns_of(prompt),
                input_batch_size=batch,
                output_mappings={"generation": f"reply_{number}"},
            )
            last.connect(step)
            last = step
    made = pipeline.run(use_cache=False)
    told.write(made["default"]["train"])
