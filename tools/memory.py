"""Measure the peak memory of chapters and note it for the status page (all, or those named).

A chapter is run with `hb run`, which leaves the committed notebook alone, while the memory of that
process and of all it starts is added up ten times a second.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from hblib import execute

ROOT = Path(__file__).resolve().parent.parent
NOTED = ROOT / "book" / "memory.json"


def resident(process):
    """Bytes that a process and its children hold now; shared pages count once for each."""
    total = 0
    try:
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    except psutil.NoSuchProcess:  # one of them has just ended
        pass
    return total


def peak(chapter):
    """Run a chapter; the largest sum seen, in MiB."""
    command = [Path(sys.executable).with_name("hb"), "run", chapter]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    process, largest = psutil.Process(running.pid), 0
    while running.poll() is None:
        largest = max(largest, resident(process))
        time.sleep(0.1)
    if running.returncode:
        raise SystemExit(f"{chapter} did not run")
    return round(largest / 2**20)


def main(chosen):
    """Measure the chosen chapters, or all, and write them down with their stamps."""
    noted = json.loads(NOTED.read_text(encoding="utf-8")) if NOTED.is_file() else {}
    for path in execute.chapters(ROOT):
        if chosen and path.stem not in chosen:
            continue
        stamp = json.loads(path.read_text(encoding="utf-8"))["metadata"]["hblib"]["stamp"]
        noted[path.stem] = {"mib": peak(path.stem), "stamp": stamp}
        NOTED.write_text(json.dumps(noted, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{path.stem}: {noted[path.stem]['mib']} MiB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
