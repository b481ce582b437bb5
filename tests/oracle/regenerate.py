"""Writes the rows of the golden cases by running each flow through sdg_hub 0.1.4.

Make a throwaway environment and run this file in it; nothing of it is needed to run the tests:

    python3.11 -m venv /tmp/oracle && /tmp/oracle/bin/pip install sdg-hub==0.1.4
    /tmp/oracle/bin/python tests/oracle/regenerate.py            # writes rows.jsonl of every case
    /tmp/oracle/bin/python tests/oracle/regenerate.py --check    # writes nothing, exits 1 on a difference
    /tmp/oracle/bin/python tests/oracle/regenerate.py filter_eq  # only this case

The cases of sdg_hub 0.9 have a script of their own, regenerate_09.py. README.md beside this file says what a case holds.
"""

import argparse
import importlib
import json
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
ORACLE = "sdg_hub 0.1.4"
Run = Callable[[Path, list[str], str], list[dict[str, Any]]]
"""Runs a case through upstream: its folder, what upstream needs help with, and where the stub is served."""
OTHER_ROWS = "other rows"
# sdg_hub asks whether a server takes lists of prompts by sending these two.
PROBES = ("test1", "test2")


def read_lines(path: Path) -> list[Any]:
    """Reads a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def dump_lines(rows: list[Any]) -> str:
    """Writes rows as JSON Lines, in one spelling, so that equal rows are equal text."""
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def find_reply(replies: list[dict[str, Any]], prompt: str, sample: int) -> str:
    """Finds the reply for one sample of a prompt: the first line whose `match` is in the prompt wins."""
    for line in replies:
        if line["match"] in prompt:
            reply = line["reply"]
            return str(reply if isinstance(reply, str) else reply[sample % len(reply)])
    if prompt in PROBES:
        return "yes"
    raise LookupError(f"no line of replies.jsonl matches this prompt: {prompt!r}")


class StubHandler(BaseHTTPRequestHandler):
    """Answers `/<case>/v1/...` in the OpenAI protocol with the replies of that case."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: the rows are the output."""

    def do_GET(self) -> None:
        """Lists the one model."""
        self._send(200, {"object": "list", "data": [{"id": "stub", "object": "model"}]})

    def do_POST(self) -> None:
        """Answers a completion or a chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        replies = read_lines(GOLDEN / self.path.split("/")[1] / "replies.jsonl")
        try:
            choices = self._choices(body, replies)
        except LookupError as error:
            self._send(400, {"error": {"message": str(error)}})
            return
        kind = "chat.completion" if "messages" in body else "text_completion"
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        head = {"id": "stub", "object": kind, "created": 0, "model": body["model"]}
        self._send(200, {**head, "choices": choices, "usage": usage})

    def _choices(self, body: dict[str, Any], replies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Builds the choices, all samples of the first prompt before those of the second."""
        is_chat = "messages" in body
        if is_chat:
            prompts = ["\n".join(str(message["content"]) for message in body["messages"])]
        else:
            prompts = [body["prompt"]] if isinstance(body["prompt"], str) else body["prompt"]
        choices: list[dict[str, Any]] = []
        for prompt in prompts:
            for sample in range(body.get("n") or 1):
                reply = find_reply(replies, prompt, sample)
                said = {"message": {"role": "assistant", "content": reply}} if is_chat else {"text": reply}
                choices.append({"index": len(choices), "finish_reason": "stop", **said})
        return choices

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serve() -> Iterator[str]:
    """Serves the stub on a free port of the loopback and gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), StubHandler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def load_flow(case: Path, helped: list[str], address: str) -> Any:
    """Loads the flow of a case as its users do, and helps where its YAML cannot work there.

    Args:
        case: The folder of the case.
        helped: What upstream needs help with: `validator` (it refuses files its engine can run) or
            `client` (blocks to which its loader gives no client or class).
        address: Where the stub is served.
    """
    openai = importlib.import_module("openai")
    settings = {"base_url": f"{address}/{case.name}/v1", "api_key": "none", "max_retries": 0}
    client = openai.OpenAI(**settings)
    flow = importlib.import_module("sdg_hub.flow").Flow(client, log_level="quiet")
    if "validator" in helped:
        result = importlib.import_module("sdg_hub.utils.validation_result").ValidationResult
        flow.validate_config_files = lambda: result(valid=True, errors=[])
    flow.get_flow_from_file(str(case / "flow.yaml"))
    if "client" in helped:
        for block in flow.chained_blocks:
            give_client(block, flow, case, client, openai.AsyncOpenAI(**settings))
    return flow


def give_client(block: dict[str, Any], flow: Any, case: Path, client: Any, async_client: Any) -> None:
    """Gives a block what the loader of sdg_hub 0.1.4 forgets: its client, or the class it repeats."""
    config = block["block_config"]
    name = block["block_type"].__name__
    if name == "OpenAIChatBlock":
        config["client"] = client
    elif name == "OpenAIAsyncChatBlock":
        config["async_client"] = async_client
    elif name == "IterBlock":
        inner = config["block_kwargs"]
        config["block_type"] = flow.registered_blocks[config["block_type"]]
        inner["client"] = client
        inner["config_path"] = str(case / inner["config_path"])


def run_upstream(case: Path, helped: list[str], address: str) -> list[dict[str, Any]]:
    """Runs a case through sdg_hub as one split and gives its rows."""
    dataset = importlib.import_module("datasets").Dataset
    seeds = read_lines(case / "seeds.jsonl")
    if any(list(seed) != list(seeds[0]) for seed in seeds):
        raise ValueError(f"{case.name}: every seed needs the same columns in the same order")
    flow = load_flow(case, helped, address)
    rows = importlib.import_module("sdg_hub.sdg").SDG(flows=[flow]).generate(dataset.from_list(seeds))
    return [dict(row) for row in rows]


def regenerate(case: Path, address: str, check: bool, oracle: str, run: Run) -> str | None:
    """Regenerates one case and gives the problem, if there is one.

    The rows of a case written by hand are never touched: there we only check that upstream still does what
    `case.json` says, be it an exception or other rows.
    """
    about = json.loads((case / "case.json").read_text(encoding="utf-8"))
    path = case / "rows.jsonl"
    expected = about.get("upstream")
    try:
        text = dump_lines(run(case, about.get("helped", []), address))
    except Exception as error:  # what upstream raises is the fact under test, whatever its class
        did = type(error).__name__
        return None if did == expected else f"upstream raised {did}: {error}"
    if about["oracle"] != oracle:
        differs = expected == OTHER_ROWS and path.read_text(encoding="utf-8") != text
        return None if differs else f"upstream was to give {expected}, but gave these rows:\n{text}"
    if check:
        return None if path.read_text(encoding="utf-8") == text else f"upstream gave other rows:\n{text}"
    path.write_text(text, encoding="utf-8")
    return None


def is_of_09(case: str) -> bool:
    """True for a case in the format of sdg_hub 0.9."""
    return "v09_" in case


def main(oracle: str, run: Run, is_mine: Callable[[str], bool]) -> int:
    """Regenerates the cases named on the command line, or all that are this oracle's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", help="names of cases; all without")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    arguments = parser.parse_args()
    problems = 0
    with tempfile.TemporaryDirectory() as home, serve() as address:
        os.environ.update(HF_HOME=home, HF_DATASETS_DISABLE_PROGRESS_BARS="1", LOG_LEVEL="CRITICAL")
        importlib.import_module("datasets").disable_caching()
        logging.disable(logging.ERROR)
        for case in sorted(path.parent for path in GOLDEN.glob("*/case.json")):
            if not is_mine(case.name) or (arguments.cases and case.name not in arguments.cases):
                continue
            problem = regenerate(case, address, arguments.check, oracle, run)
            problems += problem is not None
            print(f"{case.name}: {problem or 'ok'}", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(ORACLE, run_upstream, lambda case: not is_of_09(case)))
