"""Many mails of all sizes at once through one relay, with reloads in between: the run that the
sanitizers look at."""
import json
import subprocess

from tests.kit import process, relais


def test_all_of_it_comes_out(start, folder):
    came = f"{folder}/came"
    open(came, "w").close()
    port, target = process.free_port(), process.free_port()
    sink = subprocess.Popen([process.RELAIS, "sink", "--listen", f"127.0.0.1:{target}", "--append", came, "--fail-rate", "2"],
                            stdout=subprocess.DEVNULL)
    try:
        process.wait_for("the sink", lambda: process.listens(target))
        config = relais.block("limits", None, loops=2) + relais.receive("In", f"127.0.0.1:{port}")
        config += relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target}"])
        node = start(config, port)
        loads, sent = [], 0
        for name, size, sessions, messages, more in [
                ("small", "1k", 30, 3000, []), ("middle", "30k", 10, 500, []), ("large", "1M", 4, 20, []),
                ("tls", "4k", 10, 500, ["--tls", "starttls"]), ("short", "2k", 10, 300, ["--messages-per-session", "1"]),
                ("slow", "2k", 5, 300, ["--pipelining", "no", "--chunking", "no"])]:
            sent += messages
            loads.append(subprocess.Popen([process.RELAIS, "load", "--json", "--to", f"127.0.0.1:{port}", "--size", size,
                                           "--sessions", str(sessions), "--messages", str(messages), "--id-prefix", name,
                                           "--retry", *more], stdout=subprocess.PIPE, text=True))
        for _ in range(5):
            revision = node.status()["revision"]
            node.reload()
            process.wait_for("the reload", lambda: node.status()["revision"] > revision)
        for load in loads:
            out, _ = load.communicate(timeout=100 * process.SLOWER)
            assert load.returncode == 0, out
            said = json.loads(out)
            assert said["acknowledged"] == said["messages"]
        node.wait_empty(100)
        with open(came) as f:
            names = f.read().split()
        assert len(set(names)) == sent and len(names) == sent, f"{len(names)} came, {len(set(names))} different, {sent} sent"
    finally:
        process.end(sink)
