"""Time and most memory of each stage of an audit, of which one process computes all.

    python -m tests.benchmarks.classifier_stages SPEC OUT [--set KEY=VALUE …]

Memory is the process's own (RssAnon), looked at twenty times a second: pages of files that are
mapped, such as spooled images, are the system's to take back, and do not count. Linux only.
"""

import argparse
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

_BEGUN = re.compile(r"^(\w+): \d+ items in \d+ shards")
_ENDED = re.compile(r"^(\w+): finished in")
_REST = "planning, reduction and report"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "offmanifold.jobs", "run", str(arguments.spec)]
    command += ["--out", str(arguments.out), "--set", "cluster.executor=serial"]
    command += [part for each in arguments.set for part in ("--set", each)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    stage = "start and checks"
    seconds: dict[str, float] = {}
    most: dict[str, float] = {}

    def look() -> None:
        while child.poll() is None:
            most[stage] = max(most.get(stage, 0.0), own_mebibytes(child.pid))
            time.sleep(0.05)

    looking = threading.Thread(target=look)
    looking.start()
    since = time.monotonic()
    assert child.stdout is not None
    for line in child.stdout:
        begun, ended = _BEGUN.match(line), _ENDED.match(line)
        if begun or ended:
            now = time.monotonic()
            seconds[stage] = seconds.get(stage, 0.0) + now - since
            since = now
            stage = begun.group(1) if begun else _REST
    looking.join()
    seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - since
    if child.wait() != 0:
        sys.exit(f"the run ended with {child.returncode}")
    print("| stage | seconds | most memory, MiB |\n| --- | ---: | ---: |")
    for name, value in sorted(seconds.items(), key=lambda item: item[0] == _REST):
        print(f"| {name} | {value:.1f} | {most.get(name, 0.0):.0f} |")


def own_mebibytes(process: int) -> float:
    """Memory of a process that is no file's; 0 once it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", text)
    return 0.0 if found is None else int(found.group(1)) / 1024


if __name__ == "__main__":
    main()
