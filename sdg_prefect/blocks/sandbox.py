"""Run Python code that nobody has looked at, in a process that is kept short, small and off the network.

What holds: the process gets a fraction of a second to minutes of processor and wall-clock time, so much memory, so many bytes of
files and of output, an empty environment, and a folder of its own that is gone afterwards; on Linux, where the kernel lets
ordinary users have namespaces, it has no network, sees no other process, and all that it starts ends with it.

What does not hold: it runs as the same user on the same kernel. It can read the files that this user can read, and whatever
breaks out of a process breaks out of this. For code of unknown people run the whole flow in a container or a virtual machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

_OUTPUT_BYTES = 64 * 1024
"""Of what a program writes so much is kept."""
_FILE_BYTES = 16 * 1024 * 1024
"""A program may write files of this size."""
_BY_SIGNAL = 128
"""Exit statuses above this say which signal ended a program."""

_LAUNCHER = """
import ctypes, os, resource, sys
seconds, memory, file_bytes, alone = (int(word) for word in sys.argv[1:5])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
for name, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, file_bytes), (resource.RLIMIT_NOFILE, 64),
                    (resource.RLIMIT_CORE, 0)):
    resource.setrlimit(name, (limit, limit))
if alone:
    if ctypes.CDLL(None).unshare(0x10000000 | 0x40000000 | 0x20000000 | 0x08000000):  # user, network, processes, shared memory
        sys.exit(125)
    # Its child is the first process of the new namespace: when that ends, the kernel ends all others. It waits for the program,
    # which is not the first, since signals do that no harm.
    for _ in range(2):
        child = os.fork()
        if child:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            os._exit(code if code >= 0 else 128 - code)
os.execv(sys.executable, [sys.executable, "-s", "-P", "-X", "utf8", *sys.argv[5:]])
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a program."""

    status: str
    """``ok``, ``failed``, ``timeout``, or ``killed`` where a limit of memory or time ended it."""
    stdout: str
    stderr: str


def run_python(code: str, stdin: str = "", *, seconds: int = 10, memory_mb: int = 512, network: bool = False) -> Ran:
    """Run a program in a process of its own; see the module for what that keeps it from.

    Args:
        code: The program.
        stdin: What it can read from its standard input.
        seconds: Processor and wall-clock seconds that it may take.
        memory_mb: MiB of address space that it may have.
        network: True to leave it the network.
    """
    with tempfile.TemporaryDirectory(prefix="sdg-code-") as folder:
        main = os.path.join(folder, "main.py")
        with open(main, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(code)
        limits = [seconds, memory_mb * 2**20, _FILE_BYTES, int(not network)]
        command = [sys.executable, "-I", "-c", _LAUNCHER, *map(str, limits), main]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
            given.write(stdin.encode("utf-8", "replace"))
            given.seek(0)
            # A group of its own, so that what the program starts ends with it.
            process = subprocess.Popen(
                command, stdin=given, stdout=out, stderr=err, cwd=folder, env=_environment(folder), start_new_session=True
            )
            is_late = False
            try:
                code_of_exit = process.wait(timeout=seconds + 1)
            except subprocess.TimeoutExpired:
                is_late, code_of_exit = True, 0
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            return Ran(_status(code_of_exit, is_late=is_late), _read(out, folder), _read(err, folder))


def _environment(folder: str) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
    }


def _status(exit_code: int, *, is_late: bool) -> str:
    if is_late or exit_code in (-signal.SIGXCPU, _BY_SIGNAL + signal.SIGXCPU):
        return "timeout"
    if exit_code < 0 or _BY_SIGNAL < exit_code <= _BY_SIGNAL + signal.NSIG:
        return "killed"
    return "ok" if exit_code == 0 else "failed"


def _read(file: object, folder: str) -> str:
    """Return the beginning of what was written, without the name of the folder, which is another one each time."""
    assert hasattr(file, "seek")
    assert hasattr(file, "read")
    file.seek(0)
    data: bytes = file.read(_OUTPUT_BYTES)
    return data.decode("utf-8", "replace").replace(folder, ".")


@cache
def can_be_alone() -> bool:
    """True where a program can be kept off the network on this machine."""
    if not sys.platform.startswith("linux"):
        return False
    limits = ["5", str(2**31), str(_FILE_BYTES), "1", "-c", "pass"]
    tried = subprocess.run([sys.executable, "-I", "-c", _LAUNCHER, *limits], capture_output=True, check=False, timeout=30)
    return tried.returncode == 0
