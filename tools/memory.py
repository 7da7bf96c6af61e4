"""Measure the peak memory of chapters and note it for the status page (all, or those named).

A chapter is run with `hb run`, which leaves the committed notebook alone, while the memory of that
process and of all it starts is added up twice a second; more often would slow the chapter down.
The peak is noted with the chapter's stamp, by which the status page tells an earlier version.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil

from runner import files, stamp

ROOT = Path(__file__).resolve().parent.parent


def held(process):
    """Bytes that a process and its children hold now; a shared page counts once in all."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            memory = one.memory_full_info()
        except psutil.Error:  # it has just ended
            continue
        total += getattr(memory, "pss", memory.rss)  # only Linux divides what is shared
    return total


def peak(command, folder):
    """Run a command in a folder; the largest sum seen, in MiB."""
    running = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    process, largest = psutil.Process(running.pid), 0
    while running.poll() is None:
        try:
            largest = max(largest, held(process))
        except psutil.NoSuchProcess:  # it ended while its children were listed
            continue
        time.sleep(0.5)
    if running.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return round(largest / 2**20)


def main(root, chosen):
    """Measure the chosen chapters of a book, or all, and write them down with their stamps."""
    unknown = set(chosen) - {path.stem for path in files.chapters(root)}
    if unknown:
        raise SystemExit(f"There is no chapter {', '.join(sorted(unknown))}.")
    notes = root / "book" / "memory.json"
    noted = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    hb = Path(sys.executable).with_name("hb")
    for path in files.chapters(root):
        if chosen and path.stem not in chosen:
            continue
        found = peak([hb, "run", path.stem], root)
        noted[path.stem] = {"mib": found, "stamp": stamp.stamp(path)}
        notes.write_text(json.dumps(noted, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{path.stem}: {found} MiB", flush=True)


if __name__ == "__main__":
    main(ROOT, sys.argv[1:])
