"""What live tests share: relaisd with a configuration of theirs, folders, a time limit."""
import os
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..")))

from tests.kit import certificate, process, relais  # noqa: E402

TEST_SECONDS = 120


def needs_root(function):
    """Network namespaces and Postfix are root's.  The runner counts a skip as a failure for root."""
    return pytest.mark.skipif(os.getuid() != 0, reason="only root can do this")(function)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    def too_long(*_):
        raise TimeoutError(f"longer than {TEST_SECONDS * process.SLOWER:.0f} s")
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(TEST_SECONDS * process.SLOWER))
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what relaisd logged when a test of it failed."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for node in getattr(item.module, "_nodes", []):
            if os.path.exists(node.log_file):
                report.sections.append((f"log of {node.folder}", node.log(whole=True)[-4000:]))


def make_folder():
    # Not pytest's: user postfix must be able to go there.
    path = tempfile.mkdtemp(prefix="relais-test-")
    os.chmod(path, 0o755)
    return path


@pytest.fixture
def folder():
    path = make_folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def module_folder():
    path = make_folder()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def server_certificate():
    path = make_folder()
    yield certificate.make(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(request, folder):
    """start(config, ports...) runs a relaisd; all of them end with the test."""
    request.module._nodes = nodes = []

    def run(config, *ports, name="relais", base=relais.BASE, **more):
        node = relais.Relais(os.path.join(folder, name), config, ports, base=base)
        nodes.append(node)
        return node.start(**more)

    yield run
    for node in nodes:
        if node.process.poll() is None:
            node.stop()
        elif node.process.returncode not in (0, -signal.SIGKILL):
            raise AssertionError(f"relaisd ended with {node.process.returncode}")
