"""What the crash harnesses share: a relay with a small spool, a generator that notes what was
acknowledged, a sink that notes what came, and the count of both."""
import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))

from tests.kit import process, relais  # noqa: E402

SHIMS = os.path.join(process.BUILD, "tests", "crash")


def arguments(description, rounds):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seed", type=int, default=None, help="of all that is random; printed")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--folder", help="for the spool and the logs; kept")
    return parser


def shim(name):
    path = os.path.join(SHIMS, name + ".so")
    if not os.path.exists(path):
        sys.exit(f"{path} is not built: tools/build {os.path.relpath(process.BUILD, process.TOP)} -Dtests=true")
    return path


class Rig:
    """The processes of a run.  The sink and the generator live through all rounds."""

    def __init__(self, args):
        self.seed = args.seed if args.seed is not None else random.SystemRandom().randint(1, 10 ** 9)
        self.dice = random.Random(self.seed)
        self.sessions = args.sessions
        self.is_kept = bool(args.folder)
        self.folder = os.path.abspath(args.folder) if args.folder else tempfile.mkdtemp(prefix="relais-crash-")
        os.makedirs(self.folder, exist_ok=True)
        self.acked_file = os.path.join(self.folder, "acked")
        self.came_file = os.path.join(self.folder, "came")
        for path in (self.acked_file, self.came_file):
            open(path, "w").close()
        self.port, self.sink_port = process.free_port(), process.free_port()
        # Small segments: they are filled, recycled and emptied many times in a run.
        self.node = relais.Relais(
            os.path.join(self.folder, "relais"),
            relais.receive("In", f"127.0.0.1:{self.port}", protocol_log=False) +
            relais.send("Out", smart_hosts=[f"[127.0.0.1]:{self.sink_port}"], protocol_log=False),
            [self.port], segment="1M")
        self.sink = subprocess.Popen([process.RELAIS, "sink", "--listen", f"127.0.0.1:{self.sink_port}",
                                      "--append", self.came_file], stdout=subprocess.DEVNULL)
        process.wait_for("the sink to listen", lambda: process.listens(self.sink_port))
        self.load = None
        self.loads = 0
        print(f"seed {self.seed}, folder {self.folder}", flush=True)

    def start_load(self, messages=10 ** 9, retry=True, sessions=None, size="2k"):
        """Each generator has ids, and a file of acknowledged ones, of its own."""
        self.loads += 1
        acked = f"{self.acked_file}.{self.loads}"
        self.load = subprocess.Popen(
            [process.RELAIS, "load", "--to", f"127.0.0.1:{self.port}", "--sessions", str(sessions or self.sessions),
             "--messages", str(messages), "--size", size, "--acked", acked, "--id-prefix", f"run{self.loads}",
             *(["--retry"] if retry else [])],
            stdout=open(os.path.join(self.folder, "load.log"), "a"), stderr=subprocess.STDOUT)

    def stop_load(self):
        process.end(self.load)

    def acked(self):
        ids = []
        for n in range(1, self.loads + 1):
            with open(f"{self.acked_file}.{n}") as f:
                ids += f.read().split("\n")[:-1]  # the last line may have been cut
        return ids

    def came(self):
        with open(self.came_file) as f:
            return f.read().split("\n")[:-1]

    def came_count(self):
        with open(self.came_file, "rb") as f:
            return sum(block.count(b"\n") for block in iter(lambda: f.read(1 << 20), b""))

    def drain(self, seconds=120):
        """Waits until the daemon holds nothing more."""
        self.sink.send_signal(signal.SIGCONT)
        process.wait_for("an empty queue", lambda: self.node.queued() == 0, seconds, pause=0.1)

    def close(self, is_good):
        for p in (self.load, self.sink, self.node.process):
            if p and p.poll() is None:
                p.send_signal(signal.SIGCONT)
                process.end(p)
        if is_good and not self.is_kept:
            shutil.rmtree(self.folder)
        elif not is_good:
            print(f"kept: {self.folder}; again: --seed {self.seed}")


def check_ended(code):
    """Ended by us, or by itself with a reason: never by a crash."""
    if code is not None and code < 0 and code != -signal.SIGKILL:
        raise AssertionError(f"relaisd crashed: signal {signal.Signals(-code).name}")


class Count:
    """What was acknowledged, what came, what came twice.  KILLS has how many mails had come at
    each kill."""

    def __init__(self, acked, came, kills):
        self.acked, self.came = len(acked), len(came)
        seen = collections.Counter(came)
        self.lost = [i for i in acked if i not in seen]
        self.twice = sum(n - 1 for n in seen.values())
        self.unexplained, self.oldest = self._explain(came, seen, kills)

    @staticmethod
    def _explain(came, seen, kills):
        """A mail may come twice only when a kill lies between, and only if it was among the last
        before that kill.  Returns those without a kill, and the greatest distance to it."""
        places = {}
        for at, name in enumerate(came):
            if seen[name] > 1:
                places.setdefault(name, []).append(at)
        unexplained, oldest = [], 0
        for name, all_of_it in places.items():
            for first, second in zip(all_of_it, all_of_it[1:]):
                between = [k for k in kills if first < k <= second]
                if between:
                    oldest = max(oldest, between[0] - first)
                else:
                    unexplained.append(name)
        return unexplained, oldest

    def show(self, what, kills):
        print(f"{what}: {kills} rounds, {self.acked} acknowledged, {self.came} came, lost {len(self.lost)}, "
              f"twice {self.twice} ({self.twice / max(kills, 1):.1f} a kill; the first of them at most {self.oldest} "
              f"mails before it), twice without a kill {len(self.unexplained)}", flush=True)
        if self.lost:
            print("lost: " + " ".join(self.lost[:20]))
        if self.unexplained:
            print("twice without a kill: " + " ".join(self.unexplained[:20]))

    def is_good(self, oldest_max):
        return not self.lost and not self.unexplained and self.oldest <= oldest_max and self.acked > 0


def pause(seconds):
    """Not a wait for anything: the moment of the kill is meant to be random."""
    time.sleep(seconds)
