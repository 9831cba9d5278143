"""SPEC chapter 3 with a real daemon: the replies to the letter, the rules in the log, the header firewall,
and the settings as the tool shows them."""
import base64
import json
import re
import subprocess

import pytest

from tests.kit import mails, process, relais, sink
from tests.kit.talk import Talk

HOST = "127.81.0.1"
SCANNER, STORAGE, SAFE, LOCKED, PICKY, USERS, BOXES, SECURE = (f"127.81.1.{n}" for n in range(1, 9))
SENDER = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
RELAY = "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"


class Office:
    """One port, a connector for each kind of device."""

    def __init__(self, folder, target):
        self.port = process.free_port(HOST)
        self.target = target
        binding = f"{HOST}:{self.port}"

        def connector(name, address, **options):
            options.setdefault("recipients_max", 3)
            return relais.block("receive_connector", name, bindings=[binding], remote_ranges=[address], tarpit="0s",
                                connections_per_source=1000, errors_max=1000, size_max="64K", header_size_max="8K",
                                hops_max=5, **options)

        config = relais.domain("example.com")
        config += connector("Scanners", SCANNER)
        config += connector("Storage", STORAGE, allow=["any-recipient", "bypass-size-limit"])
        config += connector("Safe", SAFE, permission_groups=["external-secured"])
        config += connector("Locked", LOCKED, permission_groups=["partners"])
        config += connector("Picky", PICKY, allow=["any-recipient"], allow_senders=["@example.com", "<>"],
                            refuse_senders=["ceo@example.com"], allow_recipients=["*@*.example.org", "@example.com"],
                            refuse_recipients=["all@example.com"])
        login = {"auth": ["plain"], "auth_without_tls": True}
        config += connector("Users", USERS, permission_groups=["users", "anonymous"], **login)
        config += connector("Boxes", BOXES, permission_groups=["Storage boxes"], **login)
        config += connector("Secure", SECURE, tls="required")
        config += relais.block("permission_group", "Storage boxes", rights=["submit", "own-domain-sender"],
                               users=["NAS1"])
        config += relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"])
        self.node = relais.Relais(f"{folder}/relais", config, [])
        self.lines = f"{folder}/relais.log"
        self.node.base = self.node.base.replace("target = stderr", f'target = file\n    file = "{self.lines}"')
        self.node.configure(config)

    def talk(self, source):
        return Talk(self.port, host=HOST, source=source)

    def wait_line(self, pattern):
        def find():
            with open(self.lines) as f:
                return re.search(pattern, f.read())
        return process.wait_for(f"'{pattern}' in the log", find)[0]


@pytest.fixture(scope="module")
def office(module_folder):
    with sink.Sink() as target:
        made = Office(module_folder, target)
        for user, *arguments in [("ann",), ("bob", "--address", "robert@example.com", "--address", "@bob.test"), ("nas1",)]:
            subprocess.run([process.RELAIS, "-c", made.node.file, "user", "add", user, *arguments], input="secret word\n",
                           text=True, check=True, timeout=60)
        made.node.spawn()
        process.wait_for("relaisd to answer", made.node._is_ready)
        yield made
        made.node.stop()


# source, sender, recipient, the reply to MAIL, the reply to RCPT
REPLIES = {
    "inside": (SCANNER, "a@sender.test", "b@example.com", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "own domain": (SCANNER, "a@example.com", "b@example.com", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "outside": (SCANNER, "a@example.com", "b@elsewhere.test", "250 2.1.0 Sender OK", RELAY),
    "a domain below": (SCANNER, "a@example.com", "b@sub.example.com", "250 2.1.0 Sender OK", RELAY),
    "a literal": (SCANNER, "a@example.com", "b@[192.0.2.1]", "250 2.1.0 Sender OK", RELAY),
    "hidden in the local part": (SCANNER, "a@example.com", '"b@example.com"@elsewhere.test', "250 2.1.0 Sender OK", RELAY),
    "a bounce": (SCANNER, "", "b@example.com", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "postmaster": (SCANNER, "", "postmaster", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "storage, outside": (STORAGE, "a@example.com", "b@elsewhere.test", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "safe, outside": (SAFE, "a@sender.test", "b@elsewhere.test", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "no group": (LOCKED, "a@sender.test", "b@example.com",
                 "550 5.7.1 SMTP; Client has no right to submit mail [submit@Locked]", None),
    "sender refused": (PICKY, "CEO@example.com", "b@example.com",
                       "550 5.7.1 SMTP; Sender refused by policy [sender-refused@Picky]", None),
    "sender refused, quoted": (PICKY, '"ceo"@example.com', "b@example.com",
                               "550 5.7.1 SMTP; Sender refused by policy [sender-refused@Picky]", None),
    "sender not allowed": (PICKY, "a@sender.test", "b@example.com",
                           "550 5.7.1 SMTP; Sender refused by policy [sender-not-allowed@Picky]", None),
    "recipient refused": (PICKY, "", "all@example.com", "250 2.1.0 Sender OK",
                          "550 5.7.1 SMTP; Recipient refused by policy [recipient-refused@Picky]"),
    "recipient not allowed": (PICKY, "a@example.com", "b@example.org", "250 2.1.0 Sender OK",
                              "550 5.7.1 SMTP; Recipient refused by policy [recipient-not-allowed@Picky]"),
    "recipient allowed": (PICKY, "a@example.com", "b@x.example.org", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
}


@pytest.mark.parametrize("case", REPLIES)
def test_replies(office, case):
    source, sender, recipient, mail, rcpt = REPLIES[case]
    with office.talk(source) as talk:
        assert talk.say(f"MAIL FROM:<{sender}>") == mail
        if rcpt:
            assert talk.say(f"RCPT TO:<{recipient}>") == rcpt


# connector, user, sender, recipient, the reply to MAIL, the reply to RCPT
USER_REPLIES = {
    "a stranger is told to log in": (BOXES, None, "a@example.com", None, "530 5.7.0 Authentication required", None),
    "TLS first": (SECURE, None, "a@example.com", None, "530 5.7.0 Must issue a STARTTLS command first", None),
    "strangers are welcome": (USERS, None, "a@sender.test", "b@elsewhere.test", "250 2.1.0 Sender OK", RELAY),
    "by her name": (USERS, "ann", "Ann@example.com", "b@elsewhere.test", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "her name elsewhere": (USERS, "ann", "ann@elsewhere.test", None, SENDER, None),
    "another's name": (USERS, "ann", "bob@example.com", None, SENDER, None),
    "a bounce": (USERS, "ann", "", "b@elsewhere.test", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "his address": (USERS, "bob", "Robert@example.com", "b@elsewhere.test", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "his domain": (USERS, "bob", "x@bob.test", "b@elsewhere.test", "250 2.1.0 Sender OK", "250 2.1.5 Recipient OK"),
    "his name, which is no address of his": (USERS, "bob", "bob@example.com", None, SENDER, None),
    "a box": (BOXES, "nas1", "any@example.com", "b@elsewhere.test", "250 2.1.0 Sender OK", RELAY),
    "a box, another's domain": (BOXES, "nas1", "a@elsewhere.test", None, SENDER, None),
    "a user among boxes": (BOXES, "ann", "ann@example.com", None,
                           "550 5.7.1 SMTP; Client has no right to submit mail [submit@Boxes]", None),
}


@pytest.mark.parametrize("case", USER_REPLIES)
def test_replies_to_users(office, case):
    source, user, sender, recipient, mail, rcpt = USER_REPLIES[case]
    with office.talk(source) as talk:
        if user:
            secret = base64.b64encode(f"\0{user}\0secret word".encode()).decode()
            assert talk.say(f"AUTH PLAIN {secret}").startswith("235")
        assert talk.say(f"MAIL FROM:<{sender}>") == mail
        if rcpt:
            assert talk.say(f"RCPT TO:<{recipient}>") == rcpt


def test_the_fourth_recipient(office):
    """452 4.5.3, and the message still goes to the first three."""
    with office.talk(SCANNER) as talk:
        talk.say("MAIL FROM:<a@sender.test>")
        for n in range(3):
            assert talk.say(f"RCPT TO:<fourth{n}@example.com>").startswith("250")
        assert talk.say("RCPT TO:<fourth3@example.com>").startswith("452 4.5.3")
        assert talk.say("DATA").startswith("354")
        talk.raw(mails.PLAIN + b".\r\n")
        assert talk.reply().startswith("250 2.")
    office.node.wait_empty()
    assert sorted(r for m in office.target.mails for r in m.recipients if r.startswith("fourth")) == \
        [f"fourth{n}@example.com" for n in range(3)]


def test_sizes(office):
    large = b"Subject: large\r\n\r\n" + b"x" * 70000 + b"\r\n"
    with office.talk(SCANNER) as talk:
        assert talk.say("MAIL FROM:<a@sender.test> SIZE=70000").startswith("552 5.3.4")
        assert talk.send(large).startswith("552 5.3.4")
        header = talk.send((b"X-More: " + b"y" * 900 + b"\r\n") * 10 + b"\r\n")
        assert header.startswith("552 5.3.4"), header
    with office.talk(STORAGE) as talk:
        assert talk.send(large).startswith("250 2."), "it has bypass-size-limit"


def test_hops_and_bare_line_feeds(office):
    with office.talk(SCANNER) as talk:
        assert talk.send(b"Received: from x by y; Mon, 02 Jan 2023 03:04:05 +0000\r\n" * 6 + mails.PLAIN) \
            .startswith("554 5.4.14")
        talk.say("MAIL FROM:<a@sender.test>")
        talk.say("RCPT TO:<b@example.com>")
        talk.say("DATA")
        talk.raw(b"Subject: x\r\n\r\na\nb\r\n.\r\n")
        assert talk.reply().startswith("550 5.6.11")


def test_rules_are_in_the_log_and_in_the_trace(office):
    with office.talk(STORAGE) as talk:
        talk.say("MAIL FROM:<a@traced.test>")
        for recipient in ("b@example.com", "c@elsewhere.test", "d@example.com"):
            talk.say(f"RCPT TO:<{recipient}>")
        assert talk.say("DATA").startswith("354")
        talk.raw(mails.PLAIN + b".\r\n")
        reply = talk.reply()
    assert reply.startswith("250 2.")
    line = office.wait_line(r"received .*traced\.test.*")
    assert "by=any-sender,accepted-domain,any-recipient " in line, line
    trace = office.node.tool("trace", re.search("[0-9a-f]{32}", reply)[0]).stdout
    assert "by=any-sender,accepted-domain,any-recipient " in trace, trace
    with office.talk(SCANNER) as talk:
        talk.say("MAIL FROM:<a@refused.test>")
        talk.say("RCPT TO:<nobody@refused.test>")
    line = office.wait_line(r"reject .*nobody@refused\.test.*")
    assert "rule=relay " in line and "connector=Scanners" in line, line


@pytest.mark.parametrize("source, kept", [(SCANNER, False), (SAFE, True)], ids=["stranger", "who may"])
def test_internal_header_fields(office, source, kept):
    office.node.wait_empty()
    before = len(office.target.mails)
    with office.talk(source) as talk:
        assert talk.send(b"X-Relais-Taken-Over: from evil\r\n\tby me\r\nSubject: kept\r\n"
                         b"x-relais-anything: 1\r\nX-Relaxed: yes\r\n\r\n"
                         b"X-Relais-Body: stays\r\n").startswith("250 2.")
    process.wait_for("the mail", lambda: len(office.target.mails) > before)
    content = office.target.mails[before].content
    header, body = content.split(b"\r\n\r\n", 1)
    assert b"X-Relais-Body: stays" in body and b"\r\nX-Relaxed: yes" in header
    assert (b"X-Relais-Taken-Over: from evil\r\n\tby me\r\n" in header) == kept
    assert (b"x-relais-anything" in header) == kept
    assert kept or b"evil" not in header and b"by me" not in header


def test_internal_header_fields_in_any_split(office):
    """A byte at a time, and by BDAT in the middle of the name."""
    office.node.wait_empty()
    before = len(office.target.mails)
    text = b"X-Relais-A: secret\r\n fold\r\nSubject: split\r\n\r\nbody\r\n"
    with office.talk(SCANNER) as talk:
        talk.say("MAIL FROM:<a@sender.test>")
        talk.say("RCPT TO:<b@example.com>")
        for n, last in [(5, ""), (12, ""), (len(text) - 17, " LAST")]:
            talk.raw(f"BDAT {n}{last}\r\n".encode() + text[:n])
            text = text[n:]
            assert talk.reply().startswith("250")
    process.wait_for("the mail", lambda: len(office.target.mails) > before)
    content = office.target.mails[before].content
    assert b"X-Relais-A" not in content and b"secret" not in content and b"fold" not in content
    assert b"Subject: split\r\n\r\nbody\r\n" in content


def test_get_receive_connector(office):
    node = office.node
    table = node.tool("get-receive-connector").stdout
    assert all(name in table for name in ("Scanners", "Storage", "Safe", "Locked", "Picky", "any-recipient")), table
    whole = node.tool("get-receive-connector", "storage").stdout
    assert re.search(r"^allow +: any-recipient, bypass-size-limit$", whole, re.M), whole
    assert re.search(r"anonymous +: submit, any-recipient, any-sender, own-domain-sender, bypass-size-limit$", whole, re.M)
    assert re.search(r"by allow +: any-recipient, bypass-size-limit$", whole, re.M), whole
    assert re.search(r"relais.conf:\d+$", whole, re.M), whole
    row = json.loads(node.tool("get-receive-connector", "--json", "Picky").stdout)
    assert row["allow_senders"] == ["@example.com", "<>"] and row["refuse_recipients"] == ["all@example.com"]
    assert row["permission_groups"] == ["anonymous"] and row["size_max"] == 64 * 1024 and row["tarpit"] == "0s"
    assert row["effective_rights"][0]["by_allow"] == ["any-recipient"]
    users = json.loads(node.tool("get-receive-connector", "--json", "Users").stdout)  # by the names of relais.conf(5)
    assert users["auth"] == ["plain"] and users["require_auth"] is False and users["auth_without_tls"] is True
    assert re.search(r"^auth +: plain\nrequire_auth +: no\n", node.tool("connector", "show", "Users").stdout, re.M)
    missing = node.tool("get-receive-connector", "Nowhere", check=False)
    assert missing.returncode == 66 and 'no receive connector "Nowhere"' in missing.stderr


def test_other_settings_are_shown(office):
    node = office.node
    both = node.tool("connector", "list").stdout
    assert "Scanners" in both and "Out" in both and "smart_hosts" in both, both
    assert re.search(r"^delivery +: smart_hosts$", node.tool("connector", "show", "Out").stdout, re.M)
    assert node.tool("connector", "show", "Nowhere", check=False).returncode == 66
    row = json.loads(node.tool("get-send-connector", "--json").stdout)
    assert row["name"] == "Out" and row["hosts"][0]["host"] == "127.0.0.1" and row["retry"] == ["1s"]
    assert json.loads(node.tool("get-accepted-domain", "--json").stdout)["type"] == "authoritative"
    assert "authoritative" in node.tool("get-accepted-domain", "example.com").stdout
