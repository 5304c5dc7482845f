"""A small round with what not every machine has: servers under h2load beside our load generator, and instructions counted by callgrind.

beside.py PROGRAM FOLDER, where PROGRAM is the built bench `loop_swap`. It wants h2load and valgrind, and fails without them.
"""

import json
import subprocess
import sys
from pathlib import Path

# Rounds are too few for a verdict. That the same server costs as much under both is a matter of noise; this much apart would be another load.
TIMES_MAX = 10


def main():
    program, folder = sys.argv[1], Path(sys.argv[2])
    file = folder / "beside.json"
    arguments = ["--peers", "none", "--h2load", "always", "--instructions", "always", "--json", str(file)]
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr + ran.stdout[-3000:]
    run = json.loads(file.read_text())
    for title in ("Our load generator beside h2load", "Instructions a call, of the whole server"):
        assert title in ran.stdout, f"no table says {title!r}"

    drives = {(drive["row"], drive["shape"], drive["client"]): drive["outcome"] for drive in run["drives"]}
    pairs = {(row, shape) for row, shape, _ in drives}
    assert len(pairs) == 15 and len(drives) == 30, f"{len(pairs)} pairs, {len(drives)} drives"
    for row, shape in sorted(pairs):
        ours, other = (drives[row, shape, client]["measured"] for client in ("loopswap", "h2load"))
        times = other["cpu_us"] / ours["cpu_us"]
        assert 1 / TIMES_MAX < times < TIMES_MAX, f"{row} at {shape} costs {times:.2f} times as much under h2load"
        if "sleep" in shape and "no-sleep" not in shape:
            assert ours["client_waits"] > 0 and other["client_waits"] > 0, f"{row} at {shape}: clients that wait for a sleep fall asleep"

    counts = {count["row"]: count["outcome"]["instructions"] for count in run["counts"]}
    assert sorted(counts) == ["loopswap-tokio-hyper", "loopswap-tokio-native", "stock-tonic"], counts
    assert counts["loopswap-tokio-native"] < counts["loopswap-tokio-hyper"] / 3, counts
    print(f"beside: {len(pairs)} pairs under both clients, {len(counts)} servers counted")


if __name__ == "__main__":
    main()
