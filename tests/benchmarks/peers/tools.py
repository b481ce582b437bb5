"""The tools that are compared: how each is installed and started, and what its process took."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.arguments import MODEL

OURS = "sdg_prefect"
BARE = "bare"
PEERS = {
    "sdg_hub": ("sdg-hub==0.9.4",),
    "dd": ("data-designer==0.9.6",),
    # It imports requests without saying that it needs it.
    "distilabel": ("distilabel[openai]==1.5.3", "requests>=2.32,<3"),
    "curator": ("bespokelabs-curator==0.1.31",),
}
"""What pip installs for each peer."""

_ROOT = Path(__file__).parents[3]
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")
_ON_LOOPBACK = {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NEMO_TELEMETRY_ENABLED": "false",
    "OPENAI_API_KEY": "none",
    "TELEMETRY_ENABLED": "false",
}


@dataclass(frozen=True)
class Job:
    """What a tool has to do."""

    folder: Path
    rows: Path
    prompts: list[str]
    url: str
    concurrency: int

    @property
    def output(self) -> Path:
        """Where its rows go."""
        return self.folder / "out.jsonl"

    def kept(self) -> int:
        """Return how many rows came out, each counted once and only with a reply."""
        if not self.output.is_file():
            return 0
        column = f"reply_{len(self.prompts)}"
        # What was killed may have left half a line.
        whole = self.output.read_text(encoding="utf-8").rpartition("\n")[0]
        made = [json.loads(line) for line in whole.split("\n") if line]
        return len({row["id"] for row in made if row.get("reply", row.get(column))})


@dataclass(frozen=True)
class Took:
    """What a process took; the times are those of ``time.monotonic``."""

    began: float
    ended: float
    cpu_seconds: float
    """Of the process and all that it started and waited for; for ours also of its Prefect server."""
    peak_mb: float
    code: int


class Bench:
    """Runs tools in environments that know no network and nothing of the user's."""

    def __init__(self, folder: Path, peers: Path | None, timeout: float, shard_size: int | None = None) -> None:
        self._folder, self._peers, self._timeout = folder, peers, timeout
        self._own_words = ["--shard-size", str(shard_size)] if shard_size else []
        self._home = folder / "home"
        self._home.mkdir()
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        place = {"HOME": str(self._home), "PYTHONPATH": str(_ROOT), "SDG_PREFECT_HOME": str(self._home / "sdg_prefect")}
        self.environment = {**kept, **_ON_LOOPBACK, **place}

    def run(self, tool: str, job: Job) -> Took:
        """Run a tool to its end; one that takes too long is killed."""
        command = self._command(tool, job)
        served = self._server_cpu() if tool == OURS else 0.0
        with (job.folder / "log.txt").open("wb") as log:
            began = time.monotonic()
            process = subprocess.Popen(
                command, cwd=job.folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            timer = threading.Timer(self._timeout, os.killpg, (process.pid, signal.SIGKILL))
            timer.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                # It is in a session of its own and hears of no Ctrl-C.
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                timer.cancel()
            ended = time.monotonic()
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime + (self._server_cpu() - served if tool == OURS else 0.0)
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return Took(began, ended, cpu, usage.ru_maxrss / unit, process.returncode)

    def close(self) -> None:
        """End the Prefect server that our runs share."""
        stop = [sys.executable, "-m", "sdg_prefect", "server", "stop"]
        subprocess.run(stop, cwd=self._folder, env=self.environment, capture_output=True, check=False)

    def _command(self, tool: str, job: Job) -> list[str]:
        """Return the command line, with the files that it names written."""
        if tool == OURS:
            words = ["run", str(_flow_file(job)), "--input", str(job.rows), "--api-base", job.url, "--storage", "store"]
            words += self._own_words
            return [sys.executable, "-m", OURS, *words, "--concurrency", str(job.concurrency), "--output", str(job.output)]
        prompts = job.folder / "prompts.json"
        prompts.write_text(json.dumps(job.prompts), encoding="utf-8")
        python = sys.executable if self._peers is None or tool == BARE else str(python_of(self._peers, tool))
        words = ["--rows", str(job.rows), "--prompts", str(prompts), "--url", job.url, "--output", str(job.output)]
        return [python, "-m", f"tests.benchmarks.peers.{tool}", *words, "--concurrency", str(job.concurrency)]

    def _server_cpu(self) -> float:
        """Return the CPU seconds of the Prefect server so far; 0 where the system does not tell."""
        try:
            address = json.loads((self._home / "sdg_prefect" / "server.json").read_text(encoding="utf-8"))
            fields = Path(f"/proc/{address['pid']}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return 0.0
        # User and system time are fields 14 and 15, and the split begins at the third.
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _flow_file(job: Job) -> Path:
    """Write the chain as a flow of ours."""
    blocks = []
    for number, prompt in enumerate(job.prompts, start=1):
        # JSON is YAML. Two empty tags mean the whole reply.
        template = {"generation": prompt.replace("{", "{{ ").replace("}", " }}"), "start_tags": [""], "end_tags": [""]}
        (job.folder / f"ask_{number}.yaml").write_text(json.dumps(template), encoding="utf-8")
        config = {"block_name": f"ask_{number}", "config_path": f"ask_{number}.yaml", "model_id": MODEL}
        blocks.append({"block_type": "LLMBlock", "block_config": {**config, "output_cols": [f"reply_{number}"]}})
    path = job.folder / "flow.yaml"
    path.write_text(json.dumps({"name": "chain", "blocks": blocks}), encoding="utf-8")
    return path


def python_of(peers: Path, peer: str) -> Path:
    """Return the interpreter of a peer's environment."""
    return peers.absolute() / peer / "bin" / "python"


def make_peers(peers: Path, names: list[str]) -> None:
    """Create the environments that are not there yet, and install in each what is missing."""
    for name in names:
        print(f"installing {' '.join(PEERS[name])} into {peers / name}", file=sys.stderr, flush=True)
        python = python_of(peers, name)
        if not python.exists():
            venv.create(peers / name, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS[name]], check=True)
