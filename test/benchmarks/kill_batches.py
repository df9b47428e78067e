"""``ffs infer --list`` and ``ffs eval``, killed at any moment again and again: are their files as if nothing had been?

    python test/benchmarks/kill_batches.py [--kills 10] [--pairs 200] [--ray local]

Each verb is started, gets SIGKILL at a moment that chance chooses, and is started again; after so many kills it may
come to its end. Its files must then be, byte for byte, those of one worker that nobody disturbed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from command_line import tree
from shifted_pairs import shifted_pairs

VERBS = {
    "infer": ["--outputs", "pfm,png,npy"],
    "eval": ["--worst", "5"],
}


def main() -> None:
    """Print a row for each verb; exit code 1 where files differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--ray", metavar="ADDRESS")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    same = True
    print("verb, s undisturbed, files after each kill, files at the end, the same")
    with tempfile.TemporaryDirectory() as folder:
        pairs = shifted_pairs(Path(folder) / "data", args.pairs, (120, 320), with_truth=True)
        for verb, options in VERBS.items():
            run = [verb, "sgbm", "--list", str(pairs), "--max-disparity", "64", *options]
            whole, killed = Path(folder) / f"{verb}_whole", Path(folder) / f"{verb}_killed"
            finish([*run, "--workers", "1", "-o", str(whole)])
            command = [*run, "--workers", "2", "-o", str(killed), *(["--ray", args.ray] if args.ray else [])]
            begin_s = time.monotonic()
            finish(command)
            undisturbed_s = time.monotonic() - begin_s
            shutil.rmtree(killed)
            there: list[int] = []
            at_most_s = undisturbed_s
            while len(there) < args.kills:
                if interrupt(command, chance.uniform(0.0, at_most_s)):
                    there.append(sum(1 for path in killed.rglob("*") if path.is_file()))
                else:  # it came to its end: everything anew, and less time
                    shutil.rmtree(killed)
                    there, at_most_s = [], at_most_s * 0.8
            finish(command)
            found, expected = tree(killed), tree(whole)
            same = same and found == expected
            print(f"{verb}, {undisturbed_s:.1f}, {there}, {len(found)}, {found == expected}", flush=True)
    sys.exit(not same)


def start(command: list[str]) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "ffs_ros", *command]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def finish(command: list[str]) -> None:
    """Runs to its end, which is to be a good one."""
    assert start(command).wait() == 0, command


def interrupt(command: list[str], after_s: float) -> bool:
    """Kills the program after so many seconds; False when it came to its end before."""
    program = start(command)
    try:
        program.wait(after_s)
        return False
    except subprocess.TimeoutExpired:
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
        return True


if __name__ == "__main__":
    main()
