"""Takes the pictures of prefect-ui.md and of the README: of a real run on the simulated model, in a real browser.

The run has a Prefect server of its own. Give these commands in the root of the project:

    pip install -e . playwright pillow
    python docs/screenshots.py --browser "$(command -v chromium)"
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from PIL import Image

from sdg_prefect.simulator import SimulatedModel, SimulatorSettings

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).parent / "images"
SIZE = {"width": 1280, "height": 800}
ROWS = 180
FLOW = """\
name: handbook
description: Questions about the pages of a handbook, and their answers.
blocks:
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
  drop_duplicates: [question]
- block_type: LLMBlock
  block_config: {block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}
- block_type: ReviewBlock
  block_config: {block_name: check, question: "Is every answer right?", show: [question, answer], sample: 6}
"""
ASK = """\
generation: |
  Write one question about this page of a handbook.
  {{ page }}
  Write <question>your question</question>.
start_tags: ["<question>"]
end_tags: ["</question>"]
"""
REPLY = """\
generation: |
  {{ page }}
  Answer: {{ question }}
  Write <answer>your answer</answer>.
start_tags: ["<answer>"]
end_tags: ["</answer>"]
"""
_NODE, _CENTER = (639, 291), (1149, 477)
"""Where the graph of the run has its pipeline, and the button that shows all of it."""
_COLORS = 96
"""Enough for pages, in a third of the bytes."""
SUBJECTS = ("valve", "pump", "filter", "gasket", "sensor", "motor", "belt", "switch", "lamp")


def wait_for(what: Callable[[], Any], seconds: float = 180) -> Any:
    """Wait until something is there, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not there after {seconds:g} s")
        time.sleep(0.3)
    return found


class Workplace:
    """A folder with a flow, and a Prefect server of its own."""

    def __init__(self, folder: Path) -> None:
        """Write the flow and its seeds, and start the server."""
        self.folder = folder
        for name, text in (("flow.yaml", FLOW), ("ask.yaml", ASK), ("reply.yaml", REPLY)):
            (folder / name).write_text(text, "utf-8")
        pages = [
            {"page": f"The {SUBJECTS[place % 9]} of machine {place} is changed every {place % 7 + 2} weeks, by two people."}
            for place in range(ROWS)
        ]
        (folder / "pages.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages), "utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SDG_PREFECT_"))}
        self.environment = {**kept, "SDG_PREFECT_HOME": str(folder / "home"), "SDG_PREFECT_SERVER_PORT": "4290"}
        self.ui = self.command("server", "start").strip()
        self.pages = f"{self.ui}/v2"

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a command."""
        command = [sys.executable, "-m", "sdg_prefect", *words]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE)

    def command(self, *words: str) -> str:
        """Give a command and return what it prints."""
        process = self.start(*words)
        said, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"sdg_prefect {' '.join(words)} failed")
        return said

    def api(self, path: str, body: dict[str, Any]) -> Any:
        """Ask the server."""
        return httpx.post(f"{self.ui}/api/{path}", json=body, timeout=60).raise_for_status().json()

    def flow_run(self) -> dict[str, Any]:
        """Return the last run of the flow."""
        asked = {"flows": {"name": {"any_": ["handbook"]}}, "sort": "START_TIME_DESC"}
        found: list[dict[str, Any]] = self.api("flow_runs/filter", asked)
        return found[0] if found else {}

    def artifact(self, key: str) -> dict[str, Any]:
        """Return the last artifact under a key; nothing where there is none."""
        found: list[dict[str, Any]] = self.api(
            "artifacts/filter", {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"}
        )
        return found[0] if found else {}

    def share_done(self) -> int:
        """Return how much of the run is done, in percent, as its artifact says."""
        found = re.search(r"(\d+)% done", str(self.artifact("handbook-progress").get("data")))
        return int(found[1]) if found else 0

    def deployment(self) -> str:
        """Make a deployment of the flow, and return its id."""
        code = (
            "from sdg_prefect import run_flow_file\nfrom prefect.deployments.runner import EntrypointType\n"
            "kept = {'flow': 'flow.yaml', 'input': 'pages.jsonl', 'output': 's3://handbook/pairs.parquet', 'concurrency': 16}\n"
            "kind = EntrypointType.MODULE_PATH\n"
            "made = run_flow_file.to_deployment('nightly', parameters=kept, cron='0 3 * * *', entrypoint_type=kind)\n"
            "print(made.apply())"
        )
        own = {**self.environment, "PREFECT_API_URL": f"{self.ui}/api"}
        ran = subprocess.run([sys.executable, "-c", code], env=own, cwd=self.folder, text=True, capture_output=True, check=True)
        return ran.stdout.split()[-1]


@contextmanager
def a_browser(program: str) -> Iterator[Page]:
    """Open a window."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        browser.close()


def picture(page: Page, name: str, *, seconds: float = 3, **options: Any) -> None:
    """Take a picture of what the window shows after some seconds, in which it is drawn."""
    page.wait_for_timeout(1000 * seconds)
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, **options)
    Image.open(path).convert("RGB").quantize(_COLORS).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def take(work: Workplace, page: Page, model: SimulatedModel) -> None:
    """Run the flow, and take a picture at each station."""
    words = ("--input", "pages.jsonl", "--output", "pairs.jsonl", "--shard-size", "60", "--allow-rejects")
    endpoint = {"model": "teacher", "api_base": model.url, "price": {"input": 0.15, "output": 0.6}}
    (work.folder / "models.yaml").write_text(json.dumps({"teacher": endpoint}), "utf-8")
    run = work.start("run", "flow.yaml", *words, "--concurrency", "12")
    progress = wait_for(lambda: work.artifact("handbook-progress"))["id"]
    wait_for(lambda: work.share_done() >= 45)
    page.goto(f"{work.pages}/artifacts/artifact/{progress}")
    picture(page, "progress", clip={"x": 0, "y": 0, "width": SIZE["width"], "height": 620})

    flow_run = wait_for(lambda: (one := work.flow_run()).get("state_name") == "Waits for review" and one)
    page.goto(f"{work.pages}/runs/flow-run/{flow_run['id']}")
    page.get_by_role("button", name="Open menu").click()
    page.get_by_role("menuitem", name="Resume").click()
    picture(page, "review")
    shown = work.command("review", "--json")
    first = json.loads(shown)["shown"][1]["row id"]
    work.command("review", "--drop", first, "--note", "two people are not enough")
    if run.wait(120):
        raise SystemExit("the run failed")

    page.goto(f"{work.pages}/runs/flow-run/{flow_run['id']}")
    page.wait_for_timeout(15_000)
    page.mouse.click(*_NODE)
    page.wait_for_timeout(5_000)
    page.mouse.click(*_CENTER)
    picture(page, "run", seconds=10)
    page.goto(f"{work.pages}/artifacts/artifact/{work.artifact('handbook-report')['id']}")
    picture(page, "report")
    page.goto(f"{work.pages}/deployments/deployment/{work.deployment()}/run")
    picture(page, "form")
    page.goto(f"file://{work.command('report', '--html').strip()}")
    picture(page, "report-page")


def main() -> None:
    """Take all pictures."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--browser", default="chromium", help="program of a Chromium browser")
    asked.add_argument("--folder", help="keep everything in this folder")
    given = asked.parse_args()
    settings = SimulatorSettings(latency=0.6, malformed_share=0.04)
    with tempfile.TemporaryDirectory(prefix="handbook-") as made, SimulatedModel(settings) as model:
        work = Workplace(Path(given.folder or made))
        try:
            with a_browser(given.browser) as page:
                take(work, page, model)
        finally:
            work.command("server", "stop")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
