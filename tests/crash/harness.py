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


class Folder:
    """Where a run leaves what it makes: kept when it failed.  All that is random is DICE's."""

    def __init__(self, args):
        self.seed = args.seed if args.seed is not None else random.SystemRandom().randint(1, 10 ** 9)
        self.dice = random.Random(self.seed)
        self.is_kept = bool(args.folder)
        self.folder = os.path.abspath(args.folder) if args.folder else tempfile.mkdtemp(prefix="relais-crash-")
        os.makedirs(self.folder, exist_ok=True)
        print(f"seed {self.seed}, folder {self.folder}", flush=True)

    def close(self, is_good):
        if is_good and not self.is_kept:
            shutil.rmtree(self.folder)
        elif not is_good:
            print(f"kept: {self.folder}; again: --seed {self.seed}")


class Rig(Folder):
    """The processes of a run.  The sink and the generator live through all rounds."""

    def __init__(self, args):
        super().__init__(args)
        self.sessions = args.sessions
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
                                      "--append", self.came_file, "--trace"], stdout=subprocess.DEVNULL)
        process.wait_for("the sink to listen", lambda: process.listens(self.sink_port))
        self.load = None
        self.loads = 0

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
        """(name the generator gave, id relaisd gave, when it came) of each mail at the sink."""
        with open(self.came_file) as f:
            lines = [line.split(" ") for line in f.read().split("\n")[:-1]]
        return [(name, own, float(when)) for name, own, when in lines]

    def drain(self, seconds=120):
        """Waits until the daemon holds nothing more."""
        self.sink.send_signal(signal.SIGCONT)
        process.wait_for("an empty queue", lambda: self.node.queued() == 0, seconds, pause=0.1)

    def close(self, is_good):
        for p in (self.load, self.sink, self.node.process):
            if p and p.poll() is None:
                p.send_signal(signal.SIGCONT)
                process.end(p)
        super().close(is_good)


def check_ended(code):
    """Ended by us, or by itself with a reason: never by a crash."""
    if code is not None and code < 0 and code != -signal.SIGKILL:
        raise AssertionError(f"relaisd crashed: signal {signal.Signals(-code).name}")


class Count:
    """What was acknowledged, what came, what came twice and why.  KILLS has the time of each.

    Two causes are possible.  The client did not hear its 250 and sent the mail again: another id
    of relaisd's.  Or relaisd was killed after the next hop's 250, before that was on disk."""

    # A mail that lay in the sink's socket at the kill is stamped a little later.
    LATE_SECONDS = 5.0

    def __init__(self, acked, came, kills):
        self.acked, self.came = len(acked), len(came)
        names = collections.Counter(name for name, _, _ in came)
        self.lost = [i for i in acked if i not in names]
        times = collections.defaultdict(list)
        for _, own, when in came:
            times[own].append(when)
        self.sent_again = len(times) - len(names)
        self.delivered_again = len(came) - len(times)
        self.unexplained, self.oldest_seconds = [], 0.0
        for own, whens in times.items():
            for first, second in zip(whens, whens[1:]):
                self._explain(own, first, second, kills)

    def _explain(self, own, first, second, kills):
        """A kill lies between, and the first delivery was shortly before it."""
        between = [k for k in kills if first <= k + self.LATE_SECONDS and k < second]
        if not between:
            self.unexplained.append(own)
        else:
            self.oldest_seconds = max(self.oldest_seconds, min(k - first for k in between))

    def show(self, what, kills):
        print(f"{what}: {kills} rounds, {self.acked} acknowledged, {self.came} came, lost {len(self.lost)}; "
              f"sent again by the client after a lost 250: {self.sent_again}, delivered again after a kill: "
              f"{self.delivered_again} ({self.delivered_again / max(kills, 1):.1f} a kill, the first time at most "
              f"{self.oldest_seconds * 1000:.0f} ms before it), twice without a kill: {len(self.unexplained)}", flush=True)
        if self.lost:
            print("lost: " + " ".join(self.lost[:20]))
        if self.unexplained:
            print("twice without a kill: " + " ".join(self.unexplained[:20]))

    def is_good(self, kills, sessions, again_seconds_max):
        return (self.acked > 0 and not self.lost and not self.unexplained and self.sent_again <= kills * sessions and
                self.oldest_seconds <= again_seconds_max)


def pause(seconds):
    """Not a wait for anything: the moment of the kill is meant to be random."""
    time.sleep(seconds)
