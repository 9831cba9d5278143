"""`make demo`, in short: what it promises, and that it leaves nothing behind."""
import os
import re
import signal
import subprocess

from tests.kit import process

DEMO = os.path.join(process.TOP, "tools", "demo")


def run(folder, *arguments):
    return subprocess.Popen([DEMO, "--quick", "--connections", "20", "--rate", "250", "--sink-delay", "40", "--folder", folder, *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            # Who runs the tests in the background ignores it, and so would the demo.
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def test_nothing_is_lost(folder):
    demo = run(folder)
    out, err = demo.communicate(timeout=110 * process.SLOWER)
    assert demo.returncode == 0, out + err
    lines = out.splitlines()
    sums = re.fullmatch(r"accepted (\d+), delivered (\d+), lost 0, twice \d+( \(.*\))?", lines[-1])
    assert sums and sums[1] == sums[2] and int(sums[1]) > 500, out
    # The story was told, and it was worth telling: mail waited on the node that died.
    assert int(re.search(r"ex01 is killed, its spool deleted: (\d+) mails", out)[1]) > 0, out
    assert "ex02 has taken over" in out and "every mail is on two nodes again" in out, out
    assert "DEAD" in out, "a line a second shows both nodes"
    assert os.listdir(folder) == []


def test_interrupted_it_cleans_up(folder):
    demo = run(folder)
    for line in demo.stdout:
        if "queue" in line:
            break
    started = process.children(demo.pid)
    demo.send_signal(signal.SIGINT)
    try:
        demo.communicate(timeout=60 * process.SLOWER)
    finally:
        for pid in process.children(demo.pid) if demo.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
    assert demo.returncode == 130 and len(started) >= 4
    assert os.listdir(folder) == []
    assert not any(os.path.exists(f"/proc/{pid}") for pid in started)
