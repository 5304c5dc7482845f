"""Ctrl-C in the middle of a run: it ends at once, its children with it, and what was measured is kept and marked.

interrupt.py PROGRAM FOLDER, where PROGRAM is the built bench `loop_swap`.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

# A server that has lost its load ends within its drain; the run gives children 2 s before it kills them.
END_S_MAX = 15
# Until a few cells are measured, on a slow machine.
START_S_MAX = 120


def children(pid):
    """The processes whose parent it is, with their command lines."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
            if int(parent) == pid and state != "Z":
                found[int(stat.parent.name)] = (stat.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def main():
    program, folder = sys.argv[1], Path(sys.argv[2])
    files = {kind: folder / f"interrupted.{kind}" for kind in ("json", "html", "markdown", "csv")}
    arguments = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    run = subprocess.Popen([program, "--rounds", "100", "--peers", "none", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen, give_up = set(), time.monotonic() + START_S_MAX
    # When the third server runs, two cells are measured.
    while len(seen) < 3:
        assert run.poll() is None, f"it ended by itself: {run.stderr.read()}"
        assert time.monotonic() < give_up, "it does not start children"
        seen |= {pid for pid, command in children(run.pid).items() if "serve" in command.split("--addr")[0]}
        time.sleep(0.01)
    while not (under_way := children(run.pid)):
        assert run.poll() is None, "it ended by itself"
        time.sleep(0.001)
    run.send_signal(signal.SIGINT)
    stdout, stderr = run.communicate(timeout=END_S_MAX)
    assert run.returncode == 130, (run.returncode, stderr)
    left = [command for pid, command in under_way.items() if Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") == command]
    assert not left, f"still there: {left}"
    kept = json.loads(files["json"].read_text())
    n_cells, n_planned = len(kept["cells"]), kept["plan"]["n_cells"]
    assert kept["interrupted"] and 0 < n_cells < n_planned, (kept["interrupted"], n_cells)
    assert all("measured" in cell["outcome"] for cell in kept["cells"]), "the cell under way is not one that failed"
    mark = f"Interrupted: {n_cells} of {n_planned} cells were measured"
    for name, text in (("table", stdout), ("page", files["html"].read_text()), ("Markdown", files["markdown"].read_text())):
        assert mark in text, f"the {name} is not marked"
    assert len(files["csv"].read_text().splitlines()) == 1 + n_cells
    assert "cells" in stdout and "0/" in stderr, "progress is shown where there is no terminal, too"
    print(f"a run that was interrupted after {n_cells} of {n_planned} cells ended with its children, and is kept and marked")


main()
