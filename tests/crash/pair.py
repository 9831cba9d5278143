"""Two nodes that keep their mail on both, a sink of its own for each, a generator, and the count:
who delivered what, when, and why twice."""
import collections
import datetime
import os
import re
import signal
import subprocess
import time

from harness import check_ended  # also makes tests.kit known
from tests.kit import cluster, process, relais

HOSTS = "127.49.0.1", "127.49.0.2"
SINK_HOST = "127.49.0.9"
LATER = "451 4.7.1 later"


class Sink:
    """Where one node delivers.  Its file lives through all restarts."""

    def __init__(self, folder, name):
        self.file = os.path.join(folder, f"came.{name}")
        open(self.file, "w").close()
        self.port = process.free_port(SINK_HOST)
        self.process = None
        self.at, self.lines = 0, []

    def open(self, *options):
        """Other options mean another process: never while somebody waits for its answer."""
        self.close()
        self.process = subprocess.Popen([process.RELAIS, "sink", "--listen", f"{SINK_HOST}:{self.port}", "--append",
                                         self.file, "--trace", *options], stdout=subprocess.DEVNULL)
        process.wait_for("the sink to listen", lambda: process.listens(self.port))

    def refuse(self):
        self.open("--reply-rcpt", LATER)

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process and self.process.poll() is None:
            self.go_on()
            process.end(self.process)

    def came(self):
        """(name the generator gave, message id, when it came) of each mail."""
        with open(self.file) as f:
            f.seek(self.at)
            text = f.read()
        text = text[:text.rfind("\n") + 1]
        self.at += len(text)
        for line in text.splitlines():
            name, mid, when = line.split(" ")
            self.lines.append((name, mid, float(when)))
        return self.lines

    def wait_quiet(self, seconds=1.0):
        """Until it has read what a dead node left in the sockets."""
        count = -1
        while count != len(self.came()):
            count = len(self.lines)
            time.sleep(seconds)  # silence is what is waited for


class Load:
    """A generator beside the test.  Each name is sent once."""

    def __init__(self, folder, number, node, **options):
        self.prefix = f"run{number}"
        self.file = os.path.join(folder, f"acked.{number}")
        open(self.file, "w").close()
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        self.process = subprocess.Popen(
            [process.RELAIS, "load", "--to", f"{node.host}:{node.port}", "--size", "2k", "--acked", self.file,
             "--id-prefix", self.prefix, *words],
            stdout=open(os.path.join(folder, "load.log"), "a"), stderr=subprocess.STDOUT)

    def count(self):
        return os.path.getsize(self.file) and len(self.acked())

    def acked(self):
        with open(self.file) as f:
            return f.read().split("\n")[:-1]

    def wait(self, count, seconds=60):
        process.wait_for(f"{count} acknowledged mails", lambda: self.count() >= count, seconds, pause=0.005)

    def stop(self):
        if self.process.poll() is None:
            process.end(self.process)


class Pair:
    """TRANSPORT: the settings of both nodes."""

    def __init__(self, folder, transport):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.loads = folder, []
        self.nodes = [cluster.Node(folder, n + 1, host) for n, host in enumerate(HOSTS)]
        for node in self.nodes:
            node.sink = Sink(folder, node.name)
            node.sink.open()
            send = relais.send("Out", smart_hosts=[f"[{SINK_HOST}]:{node.sink.port}"], tls="none", protocol_log=False)
            node.configure_in([n for n in self.nodes if n is not node], send, dict(transport, fence_wait="60s"),
                              tls="off", protocol_log=False)
        for node in self.nodes:
            node.spawn()
        for node in self.nodes:
            node.wait_ready()
        self.wait_together()

    def wait_together(self, seconds=60):
        for node in self.nodes:
            process.wait_for(f"{node.name} to see the other", lambda: self.state(node) == ("live", True), seconds)

    def state(self, node):
        """How the other one looks to it."""
        check_ended(node.process.poll())
        other = node.shadow()["nodes"][0]
        return other["state"], other["up"]

    def to_deliver(self, node):
        """Ids of all messages it is to deliver."""
        return {row["id"] for row in node.ask("queue", limit=-1)[0] if row.get("status") != "held"}

    def load(self, node, **options):
        self.loads.append(Load(self.folder, len(self.loads) + 1, node, **options))
        return self.loads[-1]

    def wait_gone(self, node, seconds=90):
        """Until it has given up the other one."""
        process.wait_for(f"{node.name} to take over", lambda: self.state(node)[0] == "gone", seconds)

    def drain(self, seconds=120):
        """Until nothing waits on either, and neither holds a copy for the other."""
        for node in self.nodes:
            node.tool("retry", "--all")
        for node in self.nodes:
            process.wait_for(f"{node.name} to be empty", lambda: node.queued() == 0 and not node.shadow()["held"],
                             seconds, pause=0.05)

    def close(self):
        for load in self.loads:
            load.stop()
        for node in self.nodes:
            if node.process and node.process.poll() is None:
                node.thaw()
                process.end(node.process)
            node.sink.close()


def logged(node, event, since):
    """(when, fields) of the first line of EVENT in the node's log that is not older than SINCE."""
    for line in node.log(whole=True).splitlines():
        if f" {event} " not in line + " ":
            continue
        stamp = re.match(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:?\d\d)?", line)[0]
        when = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
        if when >= since:
            return when, dict(re.findall(r"([a-z-]+)=(\S+)", line))
    return None


class Count:
    """What became of one generator's mails.  DEAD's process ended at KILLED, its next one began at
    BACK.  Its sink got a mail before BACK: then it was handed over before the kill.

    One cause is allowed: D1, handed over by the dead one, and delivered once more by the other."""

    def __init__(self, load, dead, other, killed, back):
        acked = load.acked()
        self.acked = len(acked)
        times = collections.defaultdict(list)
        names = set()
        for node in (dead, other):
            for name, mid, when in node.sink.came():
                if name.startswith(load.prefix + "-"):
                    times[mid].append((node, when))
                    names.add(name)
        self.lost = [name for name in acked if name not in names]
        self.by_other = sum(node is other for whens in times.values() for node, _ in whens)
        self.unexplained = [f"{mid} ({len(times)} ids, {len(names)} names)" for mid in times if len(times) != len(names)][:1]
        self.d1, self.oldest_seconds = 0, 0.0
        for mid, whens in times.items():
            if len(whens) == 1:
                continue
            firsts = [when for node, when in whens if node is dead]
            if len(whens) == 2 and len(firsts) == 1 and firsts[0] < back:
                self.d1 += 1
                self.oldest_seconds = max(self.oldest_seconds, killed - firsts[0])
            else:
                self.unexplained.append(mid + " " + ", ".join(f"{node.name} {when - killed:+.3f}" for node, when in whens))

    def check(self):
        assert self.acked, "nothing was acknowledged"
        assert not self.lost, f"{len(self.lost)} lost: {' '.join(self.lost[:10])}"
        assert not self.unexplained, f"{len(self.unexplained)} twice, and not by D1: {'; '.join(self.unexplained[:10])}"
