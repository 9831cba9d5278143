"""Keys, settings, and the operator's way to a cluster (CL-6, SH-6)."""
import json
import os
import stat

from tests.kit import process, relais
from tests.kit.talk import Talk

INCLUDE = 'include("cluster.d/*.conf")\n'
TAKE_OVER = ("-ShadowHeartbeatTimeoutInterval", "00:10:00", "-ShadowHeartbeatRetryCount", "8")


def base(name):
    """A configuration of a node of this name: the usual one names all of them relay.test."""
    return relais.BASE.replace("relay.test", name)


def internal(address):
    return f'receive_connector "Internal" {{ role = internal bindings = {{ "{address}" }} }}\n'


def pair(folder):
    """Two nodes that do not know one another yet: (node, address) twice."""
    made = []
    for i in (1, 2):
        client, peer = process.free_port(), process.free_port()
        node = relais.Relais(os.path.join(folder, f"ex0{i}"), "", [client], base=base(f"ex0{i}.example"))
        node.configure(relais.receive("In", f"127.0.0.1:{client}") + internal(f"127.43.0.{i}:{peer}") + INCLUDE)
        made.append((node, f"127.43.0.{i}:{peer}"))
    return made


def pin_of(node):
    return json.loads(node.tool("cluster", "show", "--json").stdout)["pin"]


def transport(node):
    return json.loads(node.tool("get-transport-config", "--json").stdout)


# --- Nodes ---

def test_two_nodes_learn_of_one_another_by_what_init_prints(folder):
    (one, address), (two, _) = pair(folder)
    for node in (one, two):
        assert "The key was made." in node.tool("cluster", "init").stdout
        key = os.path.join(node.folder, "node.key")
        assert stat.S_IMODE(os.stat(key).st_mode) == 0o600, "nobody else reads the key"
    printed = one.tool("cluster", "init").stdout
    assert "was there" in printed, "a key that is there stays"
    line = printed.strip().splitlines()[-1].split()
    assert line[:4] == ["relais", "cluster", "join", "ex01.example"]
    done = two.tool(*line[1:])
    assert "is not running" in done.stdout
    two.tool("check")
    shown = json.loads(two.tool("cluster", "show", "--json").stdout)
    assert [(n["name"], n["address"], n["pin"]) for n in shown["nodes"]] == [("ex01.example", address, pin_of(one))]
    assert "ex01.example" in two.tool("cluster", "show").stdout


def test_before_the_first_start(folder):
    """What is not there yet is said with what makes it."""
    (one, _), _ = pair(folder)
    assert "pin                none yet; relais cluster init makes one\n" in one.tool("cluster", "show").stdout
    done = one.tool("status", check=False)
    assert done.returncode == 66 and "is no spool yet, or not the right folder" in done.stderr, done


def test_a_running_daemon_is_told(folder):
    (one, _), (two, address) = pair(folder)
    two.tool("cluster", "init")
    one.tool("cluster", "init")
    with one:
        revision = one.status()["revision"]
        join = ("cluster", "join", "ex02.example", address, pin_of(two))
        assert "the daemon knows" in one.tool(*join, "--site", "munich").stdout
        assert one.status()["revision"] > revision
        one.tool(*join)  # once more changes nothing
        assert "the daemon knows" in one.tool("cluster", "leave", "EX02.example").stdout
        assert json.loads(one.tool("cluster", "show", "--json").stdout).get("nodes", []) == []
        assert one.tool("cluster", "leave", "ex02.example", check=False).returncode == 66


def test_another_pin_wants_a_word(folder):
    (one, _), (two, address) = pair(folder)
    one.tool("cluster", "init")
    two.tool("cluster", "init")
    old, new = pin_of(two), None
    one.tool("cluster", "join", "ex02.example", address, old)
    for name in ("node.key", "node.pem"):
        os.remove(os.path.join(two.folder, name))
    two.tool("cluster", "init")
    new = pin_of(two)
    assert new != old
    refused = one.tool("cluster", "join", "ex02.example", address, new, check=False)
    assert refused.returncode == 73 and "--replace" in refused.stderr
    one.tool("cluster", "join", "ex02.example", address, new, "--replace")
    assert json.loads(one.tool("cluster", "show", "--json").stdout)["nodes"][0]["pin"] == new


def test_what_would_be_a_mistake_is_not_put_in_place(folder):
    (one, address), (two, _) = pair(folder)
    one.tool("cluster", "init")
    two.tool("cluster", "init")
    pin = pin_of(two)
    cases = [
        (("ex02.example", "nowhere", pin), 78, "'address' cannot be 'nowhere'"),
        (("ex02.example", address, "sha256:abc"), 64, "is no pin"),
        (("../ex02", address, pin), 64, "is no name"),
        (("ex01.example", address, pin), 78, "this node itself"),
        (("ex02.example", address, pin_of(one)), 78, "has the pin of this node"),
    ]
    for arguments, code, words in cases:
        done = one.tool("cluster", "join", *arguments, check=False)
        assert (done.returncode, words in done.stderr) == (code, True), (arguments, done.returncode, done.stderr)
    assert not os.path.exists(os.path.join(one.folder, "cluster.d"))
    with open(one.file, "a") as f:
        f.write("colour = red\n")
    done = one.tool("cluster", "join", "ex02.example", address, pin, check=False)
    assert done.returncode == 78 and "colour" in done.stderr


def test_what_is_missing_is_told(folder):
    node = relais.Relais(folder, relais.receive("In", f"127.0.0.1:{process.free_port()}"))
    done = node.tool("cluster", "init")
    assert "role = internal" in done.stderr and INCLUDE.strip() in done.stderr
    done = node.tool("cluster", "join", "ex02.example", "127.43.0.2:1", pin_of(node), check=False)
    assert done.returncode == 78 and INCLUDE.strip() in done.stderr
    # Without a key of its own a node does not start into a cluster.
    os.remove(os.path.join(folder, "node.key"))
    pin = pin_of(node)
    with open(node.file, "a") as f:
        f.write(internal("127.43.0.1:1") + f'cluster_node "ex02.example" {{ address = "a:1" pin = "{pin}" }}\n')
    done = node.tool("check", check=False)
    assert done.returncode == 78 and "relais cluster init" in done.stderr


def named_node(folder, host, ranges):
    """What `relais check` says of a node that is given by name."""
    (node, _), (other, _) = pair(folder)
    for each in (node, other):
        each.tool("cluster", "init")
    node.configure(relais.receive("In", f"127.108.0.1:{process.free_port()}", ranges=ranges, allow=["submit"]) +
                   relais.send("Out", smart_hosts=["[127.108.0.2]:25"]) + internal("127.108.0.1:1") +
                   f'dns {{ servers = {{ "127.108.0.9@{process.free_port()}" }} timeout = 1s }}\n'
                   f'cluster_node "ex02.example" {{ address = "{host}:2525" pin = "{pin_of(other)}" }}\n')
    return node.tool("check")


def test_a_node_by_name_in_a_range_is_told(folder):
    """RC-9: the name is looked up, here in /etc/hosts."""
    done = named_node(folder, "localhost", ["127.0.0.0/8", "10.0.0.0/8"])
    assert 'warning: the range 127.0.0.0/8 of receive connector "In" has node "ex02.example" in it' in done.stderr
    assert "ok, with warnings" in done.stdout


def test_a_node_by_name_in_no_range(folder):
    assert "ex02.example" not in named_node(folder, "localhost", ["10.0.0.0/8"]).stderr


def test_a_node_whose_name_is_not_found(folder):
    done = named_node(folder, "ex02.nowhere.test", ["127.0.0.0/8"])
    assert 'warning: the address of node "ex02.example", ex02.nowhere.test, was not found: ' in done.stderr


# --- The transport configuration ---

def test_transport_config_is_changed_at_run_time_and_kept(start):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}") + "transport { shadow_heartbeat_retry_count = 7 }\n", port)
    assert transport(node)["ShadowHeartbeatRetryCount"] == 7
    with Talk(port) as talk:
        said = node.tool("Set-TransportConfig", *TAKE_OVER).stdout
        assert said == ("ShadowHeartbeatTimeoutInterval: 00:00:10 -> 00:10:00\n"
                        "ShadowHeartbeatRetryCount: 7 -> 8\n")
        assert "nothing has changed" in node.tool("Set-TransportConfig", *TAKE_OVER).stdout
        node.tool("set-transport-config", "--shadow-message-preference-setting", "LocalOnly", "-FenceWait:00:00:05",
                  "--reject-message-on-shadow-failure=true")
        assert talk.say("NOOP").startswith("250"), "a session goes on"
    want = {"ShadowHeartbeatTimeoutInterval": "00:10:00", "ShadowHeartbeatRetryCount": 8, "FenceWait": "00:00:05",
            "ShadowMessagePreferenceSetting": "LocalOnly", "RejectMessageOnShadowFailure": True}
    for _ in range(2):
        assert {k: v for k, v in transport(node).items() if k in want} == want
        node.stop()
        node.start()
    listed = node.tool("Get-TransportConfig").stdout
    assert any(line.split(" : ") == ["ShadowHeartbeatRetryCount         ", "8"] for line in listed.splitlines()), listed
    said = json.loads(node.tool("set-transport-config", "--json", "-ShadowHeartbeatRetryCount", "default").stdout)
    assert said["changes"] == [{"name": "ShadowHeartbeatRetryCount", "old": "8", "new": "7"}]
    assert transport(node)["ShadowHeartbeatRetryCount"] == 7, "relais.conf's again"


def test_units_are_checked(start):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}"), port)
    before = transport(node)
    cases = [
        (("-ShadowHeartbeatRetryCount", "8s"), "a count takes no unit"),
        (("-ShadowHeartbeatTimeoutInterval", "10"), "a time needs its unit"),
        (("-ShadowHeartbeatTimeoutInterval", "00:90:00"), "cannot be '00:90:00'"),
        (("-ShadowHeartbeatRetries", "8"), "did you mean ShadowHeartbeatRetryCount"),
        (("-SafetyNetHoldTime", "2.00:00:00"), "'SafetyNetHoldTime' in this version: it has no safety net"),
        (("-ShadowRedundancyEnabled", "maybe"), "is true or false"),
        (("-ShadowMessageAutoDiscardInterval", "40s"), "must be longer than"),
        (("-FenceWait", "1s", "-fence_wait", "2s"), "given twice"),
        (("-FenceWait",), "has no value"),
        ((), "which parameter"),
    ]
    for running in (True, False):
        for arguments, words in cases:
            done = node.tool("set-transport-config", *arguments, check=False)
            assert done.returncode and words in done.stderr, (arguments, done.returncode, done.stderr)
        assert transport(node) == before
        assert not os.path.exists(os.path.join(node.folder, "transport.conf"))
        if running:
            node.stop()


def test_without_a_daemon_the_file_is_changed(folder):
    port = process.free_port()
    node = relais.Relais(folder, relais.receive("In", f"127.0.0.1:{port}"), [port])
    assert transport(node)["ShadowHeartbeatRetryCount"] == 6
    done = node.tool("set-transport-config", *TAKE_OVER)
    assert "not running" in done.stderr and "ShadowHeartbeatRetryCount: 6 -> 8\n" in done.stdout
    assert transport(node)["ShadowHeartbeatRetryCount"] == 8
    with node:
        assert transport(node)["ShadowHeartbeatTimeoutInterval"] == "00:10:00"


def test_a_change_that_cannot_be_kept_is_not_made(start):
    port = process.free_port()
    node = start(relais.receive("In", f"127.0.0.1:{port}"), port)
    os.mkdir(os.path.join(node.folder, "transport.conf"))
    done = node.tool("set-transport-config", *TAKE_OVER, check=False)
    assert done.returncode and "transport.conf" in done.stderr
    os.rmdir(os.path.join(node.folder, "transport.conf"))
    assert transport(node)["ShadowHeartbeatRetryCount"] == 6
    with open(node.file, "a") as f:
        f.write("colour = red\n")
    done = node.tool("set-transport-config", *TAKE_OVER, check=False)
    assert done.returncode == 78 and "colour" in done.stderr
    assert transport(node)["ShadowHeartbeatRetryCount"] == 6
