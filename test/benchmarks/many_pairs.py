"""What ``ffs eval`` makes of two cores, and of long lists: pairs/s by the number of workers, memory, lines/s.

    python test/benchmarks/many_pairs.py [--pairs 200] [--rounds 3] [--size 480x640]      one worker and two, in turns
    python test/benchmarks/many_pairs.py --lengths 200 2000 20000                         peak memory, on pairs of 48x96
    python test/benchmarks/many_pairs.py --lines 1000000                                  a list, line by line

Pairs are one texture moved by 8 px and more, with their truth, and the engine is ``sgbm``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from shifted_pairs import shifted_pairs

from ffs_ros.annotation import AnnotationList

DIFFERENT_PAIRS = 20
SMALL = 48, 96


def main() -> None:
    """Print a row for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="480x640", help="rows x columns (default: %(default)s)")
    parser.add_argument("--max-disparity", type=int, default=192)
    parser.add_argument("--lengths", type=int, nargs="+", help="measure memory")
    parser.add_argument("--lines", type=int, help="measure how long a list of so many lines takes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.lines:
            parse(Path(folder), args.lines)
        elif args.lengths:
            print("pairs, peak MB of the program, of its largest worker")
            for pairs in args.lengths:
                run = evaluation(annotated(Path(folder), pairs, SMALL), 2, 16)
                print(f"{pairs}, {run.program_MB:.0f}, {run.worker_MB:.0f}", flush=True)
        else:
            height, width = map(int, args.size.split("x"))
            in_turns(annotated(Path(folder), args.pairs, (height, width)), args.rounds, args.max_disparity)


def annotated(folder: Path, pairs: int, size: tuple[int, int]) -> Path:
    """A list of so many lines, with truth; after some pairs they are the same ones again."""
    if not (folder / "list.txt").exists():
        shifted_pairs(folder, DIFFERENT_PAIRS, size, with_truth=True)
    different = (folder / "list.txt").read_text().splitlines(keepends=True)[:DIFFERENT_PAIRS]
    (folder / "list.txt").write_text("".join(different[number % DIFFERENT_PAIRS] for number in range(pairs)))
    return folder / "list.txt"


def in_turns(pairs: Path, rounds: int, max_disparity: int) -> None:
    """One worker, two, one, two, ... so that what else the machine does falls on both; how much that is, is said."""
    print("round, workers, s, CPU s, cores that others took meanwhile")
    taken_s: dict[int, list[float]] = {1: [], 2: []}
    for round_ in range(rounds):
        for workers in taken_s:
            run = evaluation(pairs, workers, max_disparity)
            taken_s[workers].append(run.wall_s)
            print(f"{round_ + 1}, {workers}, {run.wall_s:.1f}, {run.cpu_s:.1f}, {run.others_cores:.2f}", flush=True)
    ratios = [one / two for one, two in zip(*taken_s.values(), strict=True)]
    print(f"two workers are {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")


class Run(NamedTuple):
    """What an evaluation took."""

    wall_s: float
    cpu_s: float
    """Of all its processes."""
    others_cores: float
    """On which something else ran, on average."""
    program_MB: float
    """Peak of resident memory, as of ``worker_MB``, the largest worker."""
    worker_MB: float


def evaluation(pairs: Path, workers: int, max_disparity: int) -> Run:
    """``ffs eval sgbm`` of the pairs."""
    with tempfile.TemporaryDirectory() as out:
        options = ["--max-disparity", max_disparity, "--workers", workers, "-o", out]
        command = [sys.executable, "-m", "ffs_ros", "eval", "sgbm", "--list", pairs, *options]
        begin_s, cpu_before_s, busy_before_s = time.monotonic(), cpu_of_children_s(), busy_s()
        peaks_MB = [0.0, 0.0]
        with subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
            while program.poll() is None:
                with suppress(FileNotFoundError, ProcessLookupError, IndexError):
                    children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
                    found_MB = [peak_MB(str(program.pid)), max(map(peak_MB, children), default=0.0)]
                    peaks_MB = [max(*both) for both in zip(peaks_MB, found_MB, strict=True)]
                time.sleep(0.05)
        assert program.returncode == 0, command
        wall_s, cpu_s = time.monotonic() - begin_s, cpu_of_children_s() - cpu_before_s
        return Run(wall_s, cpu_s, max(0.0, busy_s() - busy_before_s - cpu_s) / wall_s, *peaks_MB)


def cpu_of_children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def busy_s() -> float:
    """Of all cores since the machine started, also for other machines on the same host (proc_stat(5))."""
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, Path("/proc/stat").read_text().split()[1:11])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def peak_MB(pid: str) -> float:
    """As Linux counts it, anew in each program."""
    return float(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1e3


def parse(folder: Path, lines: int) -> None:
    """CPU time, of names that are looked for, and found, beside the list and of whole paths."""
    (folder / "scenes").mkdir()
    print("names, lines, s to check every line, s to go through it")
    for kind, before in (("relative", ""), ("whole", f"{folder}/")):
        name = f"{before}scenes/{{0:07d}}/im{{1}}.png"
        with (folder / "list.txt").open("w") as file:
            file.writelines(f"{name.format(n, 0)} {name.format(n, 1)} {name.format(n, 2)}\n" for n in range(lines))
        begin_s = time.process_time()
        pairs = AnnotationList(folder / "list.txt")
        checked_s = time.process_time()
        assert sum(1 for _ in pairs) == len(pairs) == lines
        print(f"{kind}, {lines}, {checked_s - begin_s:.2f}, {time.process_time() - checked_s:.2f}")


if __name__ == "__main__":
    main()
