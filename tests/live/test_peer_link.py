"""CL-6: the peer link as strangers, mistaken nodes and ones of another version meet it (SHADOW.md 4, R13, R21)."""
import itertools
import os
import re
import socket
import ssl
import threading
import time

import pytest

from tests.kit import cluster, mails, peer_link, process, relais
from tests.kit.peer_link import STORE, Link
from tests.kit.talk import Talk

HOST, OTHER_HOST = "127.50.0.1", "127.50.0.2"
NAME = "ex02.test"
PATIENT = dict(shadow_heartbeat_timeout_interval="60s", shadow_heartbeat_retry_count=10)
MID = "5f" + 30 * "0"
UNKNOWN = "60" + 30 * "0"

_mids = itertools.count(1)


def new_mid():
    return f"{next(_mids):032x}"


class One:
    """A node, and what the other one of its pair has: a key, an address, and no process."""

    def __init__(self, folder, transport):
        self.node = cluster.Node(folder, 1, HOST)
        other = cluster.Node(folder, 2, OTHER_HOST)
        assert other.name == NAME
        self.key, self.port = other.folder, other.link_port
        self.node.configure_in([], relais.send("Out", smart_hosts=["[127.50.0.9]:9"]), transport=transport,
                               more=other.block())
        self.node.start()

    def link(self, **more):
        return Link(HOST, self.node.link_port, self.key, **more)

    def introduced(self, pos=1, **more):
        link = self.link(name=NAME, pos=pos, **more)
        assert link.welcome.startswith("250 2.0.0 NODE=ex01.test STORE="), link.welcome
        return link

    def state(self):
        """All that a peer could change."""
        status = self.node.shadow()
        kept = {name: status[name] for name in status if name not in ("nodes", "ok", "links_in")}
        nodes = [{name: node[name] for name in ("node", "store", "position", "held", "owed") if name in node}
                 for node in status["nodes"]]
        rows = {which: self.node.rows(which) for which in ("held", "unclaimed", "aside", "single")}
        return _without_times([kept, nodes, rows, self.node.ids()])


def _without_times(value):
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items()
                if not k.endswith(("_ms", "_s", "position")) and k not in ("alarms", "why", "text", "reason")}
    if isinstance(value, list):
        return [_without_times(v) for v in value]
    return value


@pytest.fixture
def one(folder, request):
    made = []

    def run(transport=None):
        one = One(folder, PATIENT if transport is None else transport)
        made.append(one)
        request.module._nodes = [one.node]
        return one

    yield run
    for one in made:
        if one.node.process.poll() is None:
            one.node.stop()


# --- Strangers ---------------------------------------------------------------------------------

def what_it_gets(host, port, folder, newest):
    """All that a stranger reads, and its own address."""
    plain = socket.create_connection((host, port), 20)
    address = "%s:%d" % plain.getsockname()
    got = b""
    try:
        with peer_link.context("client", folder, newest).wrap_socket(plain) as link:
            link.sendall(b"EHLO ex02.test\r\nXSHADOW 1 NODE=ex02.test STORE=%s POS=1\r\nXQDISCARD 1\r\n" % STORE.encode())
            while data := link.recv(1000):
                got += data
    except (ssl.SSLError, OSError) as error:
        assert not isinstance(error, TimeoutError), error
    return got, address


STRANGERS = {
    "no certificate": (None, None),
    "another key under the node's name": (os.path.join("stranger", NAME), None),
    "TLS 1.2 with the right key": (NAME, ssl.TLSVersion.TLSv1_2),
    "TLS 1.2 without a certificate": (None, ssl.TLSVersion.TLSv1_2),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_gets_nothing(one, folder, stranger):
    one = one()
    key, newest = STRANGERS[stranger]
    cluster.Node(os.path.join(folder, "stranger"), 2, OTHER_HOST)
    before = one.state()
    got, address = what_it_gets(HOST, one.node.link_port, key and os.path.join(folder, key), newest)
    assert got == b""
    one.node.wait_log("link_refused.*" + re.escape(address))
    assert one.state() == before


@pytest.mark.parametrize("said", [b"EHLO ex02.test\r\n", b"XSHADOW 1 NODE=ex02.test\r\n", b"\x16\x03\x01\xff\xff" + 100 * b"\0"],
                         ids=["EHLO", "XSHADOW", "half a handshake"])
def test_plain_text_gets_nothing(one, said):
    one = one()
    before = one.state()
    with socket.create_connection((HOST, one.node.link_port), 20) as plain:
        address = "%s:%d" % plain.getsockname()
        plain.settimeout(20)
        plain.sendall(said)
        plain.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while data := plain.recv(1000):
                got += data
        except OSError as error:
            assert not isinstance(error, TimeoutError), error
    # At the most the alert of TLS itself, which is no word of ours.
    assert len(got) <= 7 and got[:1] in (b"", b"\x15"), got
    one.node.wait_log("link_refused.*" + re.escape(address))
    assert one.state() == before


def test_another_name_with_a_right_key(one):
    one = one()
    before = one.state()
    with one.link() as link:
        for name in ("ex03.test", "ex01.test", "ex02"):
            assert link.introduce(name).startswith("530 5.7.0 "), name
        one.node.wait_log(f"link_refused.*{re.escape(link.client)}.*ex03.test")
        assert link.say("XQDISCARD 1").startswith("503 ")
        assert one.state() == before
        assert link.introduce(NAME.upper()).startswith("250 ")


def test_nothing_before_the_introduction(one):
    one = one()
    before = one.state()
    for commands in (["XQDISCARD 10", f"XQTAKEN 10 {STORE}", f"XQAUDIT {MID}", "RSET", "VRFY x", "AUTH PLAIN", "DATA"],
                     [f"MAIL FROM:<> XMID={MID} XSHADOW=COPY", "RCPT TO:<b@example.com>", "BDAT 0 LAST", "STARTTLS", ""]):
        with one.link(hello=False) as link:
            assert link.say(f"XSHADOW 1 NODE={NAME} STORE={STORE} POS=1").startswith("503 ")
            assert link.say("NOOP").startswith("250 ")
            assert "XSHADOW 1" in link.say("EHLO ex02.test").splitlines()[1]
            for command in commands:
                assert link.say(command).startswith("503 "), command
    assert one.state() == before


# --- Mistakes ----------------------------------------------------------------------------------

GOOD = f"SIZE=5 XMID={MID} XSHADOW=COPY"

MISTAKES = [
    "XQDISCARD", "XQDISCARD 0", "XQDISCARD -1", "XQDISCARD 1001", "XQDISCARD x", "XQDISCARD 1 x", "XQDISCARD 1 1 1",
    "XQDISCARD 1 WAIT=", "XQDISCARD 1 WAIT=-1", "XQDISCARD 1 WAIT=601", "XQDISCARD 1 WAIT=1.2345", "XQDISCARD 1 WAIT=1 1",
    "XQDISCARD 1 18446744073709551616", "XQDISCARD  1", "XQDISCARD 1 ",
    "XQTAKEN", "XQTAKEN 10", f"XQTAKEN 0 {STORE}", f"XQTAKEN 1001 {STORE}", f"XQTAKEN 10 {STORE[:-1]}",
    f"XQTAKEN 10 {STORE}0", f"XQTAKEN 10 {STORE[:-1]}x", f"XQTAKEN 10 {STORE} x", f"XQTAKEN 10 {STORE} 1 1",
    "XQAUDIT", "XQAUDIT x", f"XQAUDIT {MID} ", f"XQAUDIT {MID[:-1]}", f"XQAUDIT {MID}0",
    "XQAUDIT" + 51 * f" {MID}", "RSET x", "QUIT x", "EHLO",
    "MAIL", "MAIL x", "MAIL FROM:<a@sender.test>", "MAIL FROM:a@sender.test " + GOOD, f"MAIL FROM:<a@sender.test {GOOD}",
    f"MAIL FROM:<a@sender.test>{GOOD}", f"MAIL FROM:<a@> {GOOD}", f"MAIL TO:<a@sender.test> {GOOD}",
    f"MAIL FROM:<> SIZE=5 XMID={MID}", "MAIL FROM:<> SIZE=5 XSHADOW=COPY", f"MAIL FROM:<> {GOOD} XMID={MID}",
    f"MAIL FROM:<> {GOOD} XSHADOW=COPY", f"MAIL FROM:<> SIZE=5 XMID={MID[:-1]} XSHADOW=COPY",
    f"MAIL FROM:<> SIZE=x XMID={MID} XSHADOW=COPY", f"MAIL FROM:<> SIZE=-5 XMID={MID} XSHADOW=COPY",
    f"MAIL FROM:<> SIZE=5 SIZE=5 XMID={MID} XSHADOW=COPY", f"MAIL FROM:<> SIZE XMID={MID} XSHADOW=COPY",
    f"MAIL FROM:<> {GOOD} XGEN", f"MAIL FROM:<> {GOOD} XGEN=x", f"MAIL FROM:<> {GOOD} XGEN=65536", f"MAIL FROM:<> {GOOD} XGEN=-1",
    f"MAIL FROM:<> {GOOD} XFROM=", f"MAIL FROM:<> {GOOD} XFROM=12", f"MAIL FROM:<> {GOOD} XFROM={STORE},",
    f"MAIL FROM:<> {GOOD} XFROM=" + ",".join(5 * [STORE]),
    f"MAIL FROM:<> {GOOD} XCRASH=256", f"MAIL FROM:<> {GOOD} XCRASH=x", f"MAIL FROM:<> {GOOD} XDONE=", f"MAIL FROM:<> {GOOD} XDONE=0",
    f"MAIL FROM:<> {GOOD} XDONE=2-1", f"MAIL FROM:<> {GOOD} XDONE=1,1", f"MAIL FROM:<> {GOOD} XDONE=1,", f"MAIL FROM:<> {GOOD} XARRIVED=-1",
    f"MAIL FROM:<> {GOOD} XARRIVED=x", f"MAIL FROM:<> {GOOD} XPREPEND=6", f"MAIL FROM:<> {GOOD} XPREPEND=4294967296",
    f"MAIL FROM:<> {GOOD} XSESSION=1", f"MAIL FROM:<> {GOOD} XSESSION=xxxxxxxxxxxxxxxx", f"MAIL FROM:<> {GOOD} XCONNECTOR=+4",
    f"MAIL FROM:<> {GOOD} XHELO=+zz", f"MAIL FROM:<> {GOOD} XADDR=1.2.3", f"MAIL FROM:<> {GOOD} XADDR=", f"MAIL FROM:<> {GOOD} XLOGIN=a=b",
    f"MAIL FROM:<> {GOOD} BODY=9BIT", f"MAIL FROM:<> {GOOD} RET=HALF", f"MAIL FROM:<> {GOOD} ENVID=+", f"MAIL FROM:<> {GOOD} MT-PRIORITY=10",
    f"MAIL FROM:<> {GOOD} =x",
]

_PER_LINK = 10  # SHADOW_SERVER_ERRORS_MAX


def test_mistakes(one):
    """One by one: 501, and nothing is changed, nor does what comes next suffer."""
    one = one()
    mid = new_mid()
    with one.introduced() as link:
        assert link.copy(mid, mails.PLAIN)[-1] == f"250 2.6.0 {mid} durable"
    before = one.state()
    assert one.node.held() == {mid}
    wrong = []
    for at in range(0, len(MISTAKES), _PER_LINK):
        with one.introduced() as link:
            for mistake in MISTAKES[at:at + _PER_LINK]:
                answer = link.say(mistake)
                if not answer.startswith("501 5.5.4 ") or link.say("NOOP") != "250 2.0.0 OK":
                    wrong.append((mistake, answer))
    assert not wrong
    assert one.state() == before
    assert len(re.findall("link_fault.*ex02.test", one.node.log())) == len(MISTAKES)


RECIPIENTS = ["RCPT", "RCPT TO:b@example.com", "RCPT TO:<b@example.com", "RCPT TO:<>", "RCPT FROM:<b@example.com>",
              "RCPT TO:<b@example.com> NOTIFY=SOMETIMES", "RCPT TO:<b@example.com> NOTIFY=NEVER,FAILURE",
              "RCPT TO:<b@example.com> ORCPT=x", "RCPT TO:<b@example.com>x"]


def test_mistakes_in_recipients(one):
    """A copy takes all recipients or is refused whole; what follows it is read and thrown away."""
    one = one()
    with one.introduced() as link:
        before = one.state()
        for recipient in RECIPIENTS:
            link.raw(f"MAIL FROM:<> {GOOD}\r\nRCPT TO:<good@example.com>\r\n{recipient}\r\nBDAT 5 LAST\r\nQUIT\n".encode())
            answers = [link.reply() for _ in range(4)]
            assert answers[0][:3] == answers[1][:3] == "250", (recipient, answers)
            assert answers[2].startswith("501 5.5.4 ") and answers[3].startswith("501 5.5.4 "), (recipient, answers)
        assert one.state() == before
        mid = new_mid()
        assert link.copy(mid, mails.PLAIN)[-1] == f"250 2.6.0 {mid} durable"


OTHERS = {
    "bare LF": (b"NOOP\nNOOP", "500 5.5.2"),
    "NUL": (b"NO\0OP", "500 5.5.2"),
    "too long": (b"XQAUDIT " + 70000 * b"a", "500 5.5.6"),
    "unknown": (b"XFROBNICATE 1", "500 5.5.1"),
    "recall, which comes later": (b"XQRECALL " + MID.encode(), "500 5.5.1"),
    "AUTH": (b"AUTH PLAIN AGEAYg==", "500 5.5.1"),
    "DATA": (b"DATA", "500 5.5.1"),
    "RCPT without MAIL": (b"RCPT TO:<b@example.com>", "503 5.5.1"),
    "BDAT without MAIL": (b"BDAT 6\r\nQUIT", "503 5.5.1"),
    "introduced already": (f"XSHADOW 1 NODE={NAME} STORE={STORE} POS=1".encode(), "503 5.5.1"),
}


def test_other_mistakes(one):
    one = one()
    with one.introduced() as link:
        before = one.state()
        for name, (line, answer) in OTHERS.items():
            assert link.say(line).startswith(answer), name
            assert link.say("NOOP").startswith("250 "), name
        assert one.state() == before
    with one.introduced() as link:
        assert link.say("MAIL FROM:<> " + GOOD).startswith("250 ")
        assert link.say("RCPT TO:<b@example.com>").startswith("250 ")
        assert link.say("BDAT x LAST").startswith("421 4.5.4 ")  # where its bytes end is not known
        assert link.is_closed()
    with one.introduced() as link:
        assert link.copy(MID, mails.PLAIN, more=" XDONE=2")[-1].startswith("501 5.5.4 ")
        assert link.copy(MID, mails.PLAIN, more=f" XPREPEND={len(mails.PLAIN)}")[-1].startswith(("250 ", "501 ", "554 "))


def test_one_mistake_too_many(one):
    one = one()
    with one.introduced() as link:
        for _ in range(_PER_LINK):
            assert link.say("XQDISCARD 0").startswith("501 ")
        assert link.say("XQDISCARD 0").startswith("421 4.7.0 ")
        assert link.is_closed()
    with one.introduced() as link:  # the next link is not held responsible
        assert link.say("NOOP").startswith("250 ")


def test_other_versions(one):
    one = one()
    before = one.state()
    with one.link() as link:
        for versions in ("2", "9 7", "9999", "31 32"):
            answer = link.introduce(versions=versions)
            assert re.match(r"555 5\.5\.4 .*\b1$", answer), answer
        for versions in ("0", "x", "10000", "1x", ""):
            assert link.introduce(versions=versions).startswith("501 5.5.4 "), versions
        for wrong in (f"1 NODE={NAME} STORE={STORE}", f"1 NODE={NAME} POS=1", f"1 STORE={STORE} POS=1", "1",
                      f"1 NODE={NAME} NODE={NAME} STORE={STORE} POS=1"):
            assert link.say(f"XSHADOW {wrong}").startswith("501 5.5.4 "), wrong
        assert one.state() == before
    with one.link() as link:
        welcome = link.introduce(versions="7 2 1", more=" XNEW=whatever")
        assert re.match(r"250 2\.0\.0 NODE=ex01\.test STORE=[0-9a-f]{32} POS=\d+ VERSION=1\b", welcome), welcome


def test_unknown_parameters(one):
    one = one()
    with one.introduced() as link:
        before = one.state()
        for unknown in ("XFROB=1", "XFROB", "HOLDFOR=1", "XSHADOW=HOP"):
            good = GOOD.replace(" XSHADOW=COPY", "") if unknown.startswith("XSHADOW") else GOOD
            link.raw(f"MAIL FROM:<> {good} {unknown}\r\nRCPT TO:<b@example.com>\r\nBDAT 5 LAST\r\n12345".encode())
            answers = [link.reply() for _ in range(3)]
            assert answers[0].startswith("555 5.5.4 ") and [a[:3] for a in answers[1:]] == ["503", "503"], (unknown, answers)
        link.raw(f"MAIL FROM:<> {GOOD}\r\nRCPT TO:<b@example.com> XFROB=1\r\nBDAT 5 LAST\r\n12345".encode())
        assert [link.reply()[:9] for _ in range(3)] == ["250 2.1.0", "555 5.5.4", "555 5.5.4"]
        assert one.state() == before


# --- A copy by hand ----------------------------------------------------------------------------

def test_a_copy_is_durable_when_it_is_answered(one):
    one = one()
    mid = new_mid()
    with one.introduced() as link:
        answers = link.copy(mid, mails.PLAIN)
        one.node.kill()
    assert [a[:3] for a in answers] == ["250", "250", "250"] and answers[-1] == f"250 2.6.0 {mid} durable"
    one.node.start()
    assert one.node.held() == {mid}
    with one.introduced(pos=2) as link:
        assert link.copy(mid, mails.PLAIN)[-1] == f"250 2.6.0 {mid} durable"
        for other in (dict(sender="other@sender.test"), dict(recipients=["c@example.com"]),
                      dict(recipients=["b@example.com", "c@example.com"]), dict(content=mails.PLAIN + b"more\r\n")):
            assert link.copy(mid, **dict(dict(content=mails.PLAIN), **other))[-1].startswith("554 5.6.0 "), other
        mids = [new_mid() for _ in range(100)]
        link.raw(b"".join(peer_link.copy_text(m, mails.PLAIN) for m in mids))
        answers = [[link.reply() for _ in range(3)][-1] for _ in mids]
        assert answers == [f"250 2.6.0 {m} durable" for m in mids]
        assert one.node.held() == {mid, *mids}


def test_questions(one):
    one = one()
    mid = new_mid()
    with one.introduced() as link, Talk(one.node.port, HOST) as client:
        own = client.send(mails.PLAIN).rsplit(" ", 1)[1]
        assert link.copy(mid, mails.PLAIN)[-1].endswith(" durable")
        # What it holds for the asker it does not claim; what it has itself is not its alone.
        answer = link.say(f"XQAUDIT {UNKNOWN} {own} {mid}").splitlines()
        assert answer[0] == f"250-{UNKNOWN} UNKNOWN" and answer[1] == f"250-{own} PENDING", answer
        assert answer[2] == f"250-{mid} YOURS" and re.match(r"250 END POS=\d+", answer[3]), answer
        answer = link.say(f"XQTAKEN 10 {STORE}")
        assert re.fullmatch(r"250 \d+ END POS=\d+", answer), answer
        cursor = int(link.say("XQDISCARD 10").split()[1])
        for never in (cursor + 10 ** 12, 2 ** 64 - 1):
            assert link.say(f"XQDISCARD 10 {never}").startswith("501 5.5.4 "), never
        assert link.say(f"XQDISCARD 10 {cursor}").startswith("250 ")
        never = int(link.say(f"XQTAKEN 10 {STORE}").split()[1]) + 10 ** 12
        assert link.say(f"XQTAKEN 10 {STORE} {never}").startswith("501 5.5.4 ")
        assert one.node.held() == {mid}


def test_a_wait_ends(one):
    one = one()
    with one.introduced() as link:
        begun = time.monotonic()
        assert re.fullmatch(r"250 \d+ END POS=\d+", link.say("XQDISCARD 10 WAIT=0.5"))
        assert 0.4 < time.monotonic() - begun < 5 * process.SLOWER


# --- Going back --------------------------------------------------------------------------------

def test_a_store_that_goes_back(one):
    one = one()
    mid = new_mid()
    with one.introduced(pos=5600) as link:
        assert link.copy(mid, mails.PLAIN)[-1].endswith(" durable")
    for _ in range(2):
        with one.link() as link:
            assert link.introduce(pos=5599) == "554 5.7.0 store went back, heard 5600"
            assert link.say("XQDISCARD 1").startswith("503 ")
    with one.link() as link:  # once it has gone back it cannot be trusted, whatever it says
        assert link.introduce(pos=9999).startswith("554 5.7.0 store went back")
    assert one.node.held() == {mid}
    assert one.node.shadow()["events"]["node_went_back"] == 1, one.node.shadow()["events"]
    new = "88" + STORE[2:]
    with one.link() as link:
        assert link.introduce(store=new, pos=1).startswith("250 ")
    process.wait_for("the take-over", lambda: one.node.ids() == {mid})
    with one.link() as link:  # a former life that returns went back too (R14)
        assert link.introduce(pos=9999).startswith("554 5.7.0 store went back")


# --- A primary in Python -----------------------------------------------------------------------

def asks_with(cursor):
    return lambda line: line.startswith(f"XQDISCARD 500 {cursor}")


@pytest.mark.parametrize("word", ["FROBNICATE", "FROBNICATE 1 2 3", "DONE-BUT-NOT-YET", "STUCK 640"])
def test_an_unknown_notice_is_confirmed_and_ignored(one, word):
    one = one(dict(shadow_heartbeat_retry_count=20))
    mid = new_mid()
    said = []

    def say(arguments):
        if said and said[0] and " 41" not in f" {arguments}":
            line, said[0] = said[0], None
            return f"250-{mid} {line}\r\n250 41 END POS=100\r\n"
        if len(said) == 2 and said[1] and f" {arguments}".find(" 41") >= 0:
            line, said[1] = said[1], None
            return f"250-{mid} {line}\r\n250 43 END POS=101\r\n"
        time.sleep(0.05)  # the fake node's own pace, not a wait for anything
        return None

    with peer_link.Node(one.key, OTHER_HOST, one.port) as primary:
        primary.answers["XQDISCARD"] = say
        primary.wait_line(lambda line: line.startswith("XQDISCARD"))
        with one.introduced(pos=100) as link:
            assert link.copy(mid, mails.PLAIN)[-1] == f"250 2.6.0 {mid} durable"
            said.append(word)
            primary.wait_line(asks_with(41))
            assert one.node.held() == {mid} and one.node.ids() == set()
            said.append("DONE")
            primary.wait_line(asks_with(43))
            assert one.node.held() == set() and one.node.ids() == set()
            # A copy that comes behind its notice was settled.  This one was here, and is forgotten.
            assert link.say(f"XQAUDIT {mid}").startswith(f"250-{mid} UNKNOWN")


def test_a_notice_before_its_copy(one):
    one = one(dict(shadow_heartbeat_retry_count=20))
    mid = new_mid()
    with peer_link.Node(one.key, OTHER_HOST, one.port) as primary:
        primary.answers["XQDISCARD"] = lambda arguments: None if " 41" in arguments else \
            f"250-{mid} DONE\r\n250 41 END POS=100\r\n"
        primary.wait_line(asks_with(41))
        with one.introduced(pos=100) as link:
            assert link.copy(mid, mails.PLAIN)[-1] == f"250 2.6.0 {mid} settled"
        assert one.node.held() == set()


REPLIES = {
    "no page": "250 OK\r\n", "no cursor": "250 END POS=1\r\n", "a broken item": "250-xyz DONE\r\n250 41 END POS=100\r\n",
    "no word": f"250-{MID}\r\n250 41 END POS=100\r\n", "a list that is none": f"250-{MID} PART 2-1\r\n250 41 END POS=100\r\n",
    "another code": f"250-{MID} DONE\r\n251 41 END POS=100\r\n", "garbage": "\0\1\2\r\n", "refused": "501 5.5.4 malformed\r\n",
    "cut in the middle": f"250-{MID} DONE\r\n", "too much": 2000 * f"250-{MID} DONE\r\n" + "250 41 END POS=100\r\n",
}


@pytest.mark.parametrize("reply", REPLIES)
def test_a_primary_that_breaks_the_rules(one, reply):
    """It is cut off, reported and connected to again; the copy stays, and its notice is heard later."""
    one = one(dict(shadow_heartbeat_retry_count=20))
    mid, rules = new_mid(), threading.Event()

    def say(arguments):
        if rules.is_set():
            return None if " 43" in arguments else f"250-{mid} DONE\r\n250 43 END POS=101\r\n"
        time.sleep(0.05)  # the fake node's own pace, not a wait for anything
        return REPLIES[reply]

    with peer_link.Node(one.key, OTHER_HOST, one.port) as primary:
        primary.wait_line(lambda line: line.startswith("XQDISCARD"))
        with one.introduced(pos=100) as link:
            assert link.copy(mid, mails.PLAIN)[-1].endswith(" durable")
        primary.answers["XQDISCARD"] = say
        if reply == "cut in the middle":
            primary.wait_line(lambda line: line.startswith("XQDISCARD"))
            primary.cut()
        else:
            one.node.wait_log(r"link_fault.*ex02\.test")
        for _ in range(2):  # it is introduced on both links again
            primary.wait_line(lambda line: line.startswith("XSHADOW"))
        assert one.node.held() == {mid} and one.node.ids() == set()
        rules.set()
        primary.cut()
        primary.wait_line(asks_with(43))
        assert one.node.held() == set() and one.node.ids() == set()


# --- Elsewhere ---------------------------------------------------------------------------------

def test_ordinary_connectors_know_nothing_of_it(one):
    one = one()
    with Talk(one.node.port, HOST) as client:
        assert "XSHADOW" not in client.extensions and "XQ" not in client.extensions
        for command in (f"XSHADOW 1 NODE={NAME} STORE={STORE} POS=1", "XQDISCARD 10", f"XQTAKEN 10 {STORE}", f"XQAUDIT {MID}",
                        f"XQRECALL {MID}"):
            assert client.say(command)[:3] in ("500", "502"), command
    with Talk(one.node.port, HOST) as client:
        for parameter in (f"XMID={MID}", "XSHADOW=COPY", f"XMID={MID} XSHADOW=COPY", "XGEN=1", f"XFROM={STORE}"):
            assert client.say(f"MAIL FROM:<a@sender.test> {parameter}").startswith("555 5.5.4 "), parameter
        assert client.send(mails.PLAIN).startswith("250 ")
    assert one.node.held() == set()
