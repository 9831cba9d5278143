"""OP-3: what `relais explain` says beforehand is what live sessions then do, and `relais trace` afterwards.

Every case is asked three times: of explain, of a session by hand, and of the trace of that session.
"""
import re
import smtplib
import ssl

import pytest

from tests.kit import certificate, process, relais, sink
from tests.kit.talk import Talk

HOST = "127.86.0.1"


@pytest.fixture(scope="module")
def node(module_folder):
    """Three connectors on one port, two more of their own; ways by domain, sender and connector."""
    folder = module_folder
    with open(f"{folder}/aliases", "w") as f:
        f.write("root: admin@example.com\nteam: a, out@elsewhere.test\n")
    with open(f"{folder}/users", "w") as f:
        f.write("a\nadmin\n")
    port, strict, tls = (process.free_port() for _ in range(3))
    with sink.Sink(extensions=("PIPELINING", "8BITMIME", "SMTPUTF8")) as target:
        def way(name, spaces=("*",), **options):
            return relais.send(name, spaces=spaces, smart_hosts=[f"[127.0.0.1]:{target.port}"], **options)
        config = (f'alias_files = {{ "{folder}/aliases" }}\n' +
                  relais.block("accepted_domain", "example.com", recipients=f"{folder}/users", default=True) +
                  relais.block("accepted_domain", "*.inside.test", type="internal-relay") +
                  relais.block("rewrite_sender", "*@*.local", to="device@example.com") +
                  relais.receive("Everybody", f"{HOST}:{port}", ranges=["127.0.0.0/8"], allow=["submit"], size_max="64K") +
                  relais.receive("Scanners", f"{HOST}:{port}", ranges=["127.86.1.0/24"], allow=["submit"], recipients_max=2) +
                  relais.receive("Storage", f"{HOST}:{port}", ranges=["127.86.1.30", "127.86.2.1-127.86.2.9"], allow=["any-recipient"],
                                 tolerate=["path-spaces", "bad-helo"]) +
                  relais.receive("Off", f"{HOST}:{port}", ranges=["127.86.3.0/24"], enabled=False) +
                  relais.receive("Strict", f"{HOST}:{strict}", ranges=["127.86.0.0/16"], allow=["any-recipient"],
                                 allow_senders=["@example.com", "<>"], refuse_recipients=["boss@example.com", "*@*.test"]) +
                  relais.receive("Tls", f"{HOST}:{tls}", ranges=["127.86.0.0/16"], tls="required") +
                  way("World") + way("Dear", spaces=["*:50", "dear.test:5"]) + way("Sub", spaces=["*.inside.test"]) +
                  way("Ours", spaces=["--"]) + way("TenantA", senders=["@tenant.test"]) +
                  way("Scans", receive_connectors=["Scanners"]) + way("Disabled", spaces=["elsewhere.test"], enabled=False) +
                  way("Small", spaces=["example.com"], size_max="1K"))
        node = relais.Relais(folder + "/relais", config, [])
        node.log_file = f"{folder}/relais.log"  # which `relais trace` reads
        node.base = node.base.replace("target = stderr", f'target = file\n    file = "{node.log_file}"')
        node.configure(config)
        node.spawn()
        try:
            process.wait_for("relaisd to listen", lambda: process.listens(port, HOST) and
                             process.listens(tls, HOST) and node._answers())
            node.port, node.strict, node.tls, node.target = port, strict, tls, target
            yield node
        finally:
            process.end(node.process)


# source, port, EHLO, sender, size, recipient, {connector, mail, rcpt, queue}
S, T, O = "127.86.1.7", "127.86.1.30", "127.0.0.9"
CASES = [
    (O, "port", "x", "a@else.test", 0, "a@example.com", "Everybody 250 250 Small"),
    (O, "port", "x", "a@else.test", 5000, "a@example.com", "Everybody 250 250 Ours"),
    (O, "port", "x", "a@else.test", 0, "A@EXAMPLE.COM", "Everybody 250 250 Small"),
    (O, "port", "x", "a@else.test", 0, "out@elsewhere.test", "Everybody 250 550-5.7.54 -"),
    (O, "port", "x", "a@else.test", 0, "nobody@example.com", "Everybody 250 550-5.1.1 -"),
    (O, "port", "x", "a@else.test", 0, "root@example.com", "Everybody 250 250 Small"),
    (O, "port", "x", "a@else.test", 0, "b@deep.inside.test", "Everybody 250 250 Sub"),
    (O, "port", "x", "a@else.test", 0, "b@inside.test", "Everybody 250 550-5.7.54 -"),
    (O, "port", "x", "a@else.test", 0, "postmaster", "Everybody 250 250 Small"),
    (O, "port", "x", "a@else.test", 70000, "a@example.com", "Everybody 552-5.3.4 - -"),
    (O, "port", "x", "a@else.test", 0, "not an address", "Everybody 250 501-5.1.3 -"),
    (O, "port", "x", "a@else.test", 0, "a@[192.0.2.1]", "Everybody 250 550-5.7.54 -"),
    (O, "port", "x", "a@else.test", 0, "a%elsewhere.test@example.com", "Everybody 250 550-5.1.1 -"),
    (O, "port", "x", "", 0, "a@example.com", "Everybody 250 250 Small"),
    (O, "port", "x", "", 0, "out@elsewhere.test", "Everybody 250 550-5.7.54 -"),
    (O, "port", "x", "bad sender", 0, "a@example.com", "Everybody 501-5.1.7 - -"),
    (O, "port", "bad_name", "a@else.test", 0, "a@example.com", "Everybody-501 - - -"),
    (O, "port", "x", "root@printer.local", 0, "a@example.com", "Everybody 250 250 Small"),
    (S, "port", "x", "a@else.test", 0, "a@example.com", "Scanners 250 250 Small"),
    (S, "port", "x", "a@else.test", 5000, "a@example.com", "Scanners 250 250 Ours"),
    (S, "port", "x", "a@else.test", 0, "out@elsewhere.test", "Scanners 250 550-5.7.54 -"),
    (S, "port", "x", "a@else.test", 0, "b@deep.inside.test", "Scanners 250 250 Sub"),
    (S, "port", "bad_name", "a@else.test", 0, "a@example.com", "Scanners-501 - - -"),
    (S, "port", "x", "scan@mfp.local", 0, "a@example.com", "Scanners 250 250 Small"),
    (T, "port", "x", "a@else.test", 0, "out@elsewhere.test", "Storage 250 250 World"),
    (T, "port", "bad_name", "a@else.test", 0, "out@elsewhere.test", "Storage 250 250 World"),
    (T, "port", "x", "a@else.test", 0, "out@dear.test", "Storage 250 250 Dear"),
    (T, "port", "x", "a@tenant.test", 0, "out@elsewhere.test", "Storage 250 250 TenantA"),
    (T, "port", "x", "A@TENANT.test", 0, "out@elsewhere.test", "Storage 250 250 TenantA"),
    (T, "port", "x", "a@sub.tenant.test", 0, "out@elsewhere.test", "Storage 250 250 World"),
    (T, "port", "x", "a@tenant.test", 0, "out@dear.test", "Storage 250 250 Dear"),
    (T, "port", "x", "", 0, "out@elsewhere.test", "Storage 250 250 World"),
    (T, "port", "x", "a@else.test", 0, "nobody@example.com", "Storage 250 550-5.1.1 -"),
    (T, "port", "x", "a@else.test", 0, "a@[192.0.2.1]", "Storage 250 250 World"),
    (T, "port", "x", "root@nas.local", 0, "out@elsewhere.test", "Storage 250 250 World"),
    ("127.86.2.1", "port", "x", "a@else.test", 0, "out@elsewhere.test", "Storage 250 250 World"),
    ("127.86.2.9", "port", "x", "a@else.test", 0, "out@elsewhere.test", "Storage 250 250 World"),
    ("127.86.2.10", "port", "x", "a@else.test", 0, "out@elsewhere.test", "Everybody 250 550-5.7.54 -"),
    ("127.86.3.1", "port", "x", "a@else.test", 0, "a@example.com", "Everybody 250 250 Small"),
    (S, "strict", "x", "a@example.com", 0, "out@elsewhere.org", "Strict 250 250 World"),
    (S, "strict", "x", "a@else.test", 0, "out@elsewhere.org", "Strict 550-5.7.1 - -"),
    (S, "strict", "x", "", 0, "out@elsewhere.org", "Strict 250 250 World"),
    (S, "strict", "x", "a@example.com", 0, "boss@example.com", "Strict 250 550-5.1.1 -"),
    (S, "strict", "x", "a@example.com", 0, "out@sub.elsewhere.test", "Strict 250 550-5.7.1 -"),
    (S, "strict", "x", "a@example.com", 0, "out@elsewhere.test", "Strict 250 550-5.7.1 -"),
    (S, "strict", "x", "x@sub.local", 0, "out@elsewhere.org", "Strict 250 250 World"),
    (O, "strict", "x", "a@example.com", 0, "a@example.com", "none-554 - - -"),
    ("127.85.0.1", "tls", "x", "a@example.com", 0, "a@example.com", "none-554 - - -"),
    (S, "tls", "x", "a@else.test", 0, "a@example.com", "Tls 530-5.7.0 - -"),
    (O, "port", "", "a@else.test", 0, "a@example.com", "Everybody-501 - - -"),
    (O, "port", "[192.0.2.1]", "a@else.test", 0, "a@example.com", "Everybody 250 250 Small"),
    (S, "port", "x", "root@mfp.local", 40000000, "a@example.com", "Scanners 552-5.3.4 - -"),
    (O, "port", "x", "a@else.test", 0, "@example.com", "Everybody 250 501-5.1.3 -"),
    (O, "port", "x", "grüße@else.test", 0, "a@example.com", "Everybody 250 250 Small"),
    (T, "port", "x", "a@else.test", 0, "jürgen@elsewhere.test", "Storage 250 250 World"),
    (O, "port", "x", "grüße@else.test", 0, "jürgen@example.com", "Everybody 250 550-5.1.1 -"),
    (O, "port", "[nonsense]", "a@else.test", 0, "a@example.com", "Everybody 250 250 Small"),
]


def explained(node, source, port, helo, sender, size, recipient):
    """(connector, {stage: reply}, the queues in order, the rule of the last answer)."""
    rows, _ = node.ask("explain", **{"from": source, "to": f"{HOST}:{port}", "helo": helo, "mail": sender,
                                     "size": size, "rcpt": [recipient]})
    taken = [r for r in rows if r["stage"] == "connector" and r["yes"]]
    replies = {r["stage"]: r.get("reply", "") for r in rows if r["stage"] in ("hello", "mail", "recipient")}
    if not taken:
        replies["hello"] = next(r["reply"] for r in rows if r["stage"] == "connector" and not r["about"])
    queues = [r["queue"] for r in rows if r["stage"] == "route" and r["yes"]]
    rules = [r.get("rule", "") for r in rows if r["stage"] in ("mail", "recipient")]
    return taken[0]["about"] if taken else "none", replies, queues, rules[-1] if rules else ""


def lived(node, source, port, helo, sender, size, recipient):
    """The same of a session: what it was told, where the message went, and the session's trace."""
    replies = {}
    with Talk(port, HOST, source=source, hello=False) as talk:
        if not talk.banner.startswith("220"):
            return {"hello": talk.banner}, None, ""
        mail = f"MAIL FROM:<{sender}>" + (f" SIZE={size}" if size else "") + ("" if (sender + recipient).isascii() else " SMTPUTF8")
        lines = [("hello", f"EHLO {helo}".rstrip()), ("mail", mail),
                 ("recipient", f"RCPT TO:<{recipient}>")]
        for stage, line in lines:
            replies[stage] = talk.say(line).split("\n")[-1]
            if replies[stage][0] != "2":
                break
        else:
            assert talk.say("DATA").startswith("354")
            talk.raw(b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * (size // 72) + b".\r\n")
            stored = talk.reply()
            assert stored.startswith("250"), stored
        address = "{}:{}".format(*talk.socket.getsockname())
    session = node.wait_log(rf"session=(\w+) \S+ client={re.escape(address)}\b").group(1)
    trace = process.wait_for("the session's end in its trace", lambda: re.search(r"disconnect", traced(node, session)) and traced(node, session))
    queue = None
    if len(replies) == 3 and replies["recipient"][0] == "2":
        queue = process.wait_for("the delivery", lambda: re.search(rf"queue=([^,]+), .*session={session}", node.log())).group(1)
    return replies, queue, trace


def traced(node, session):
    return node.tool("trace", session).stdout


@pytest.mark.parametrize("source, port, helo, sender, size, recipient, want", CASES)
def test_explain_tells_what_sessions_do(node, source, port, helo, sender, size, recipient, want):
    facts = (source, getattr(node, port), helo, sender, size, recipient)
    connector, said, queues, rule = explained(node, *facts)
    replies, queue, trace = lived(node, *facts)
    assert said == replies
    assert queues[:1] == ([queue] if queue else [])
    # What this test expects, so that both cannot be wrong in the same way.
    name, *codes, way = want.split()
    if "-" in name:
        name, code = name.split("-")
        assert replies["hello"].startswith(code)
    assert connector == name and (way == "-" or queue == way)
    for stage, code in zip(("mail", "recipient"), codes):
        assert (stage not in replies) if code == "-" else replies[stage].startswith(code.replace("-", " "))
    # The trace of the session says the same: its connector and the rule.
    if name != "none":
        assert f"connector={name}" in trace
        refused = [r for r in replies.values() if r[0] != "2"]
        if rule and refused:
            assert f"rule={rule}" in trace and refused[0][4:] .split(" ", 1)[-1][:40] in trace
        elif queue:
            assert rule in re.search(r" by=(\S+)", trace).group(1).split(",")


def test_users_may_send_as_themselves(start, folder, server_certificate):
    """What a login changes: explain --user beforehand, a session that logs in afterwards."""
    port = process.free_port()
    with sink.Sink() as target:
        node = start(relais.receive("Users", f"127.0.0.1:{port}", allow=[], permission_groups=["users"], auth=["plain"], tls="offered",
                                    certificate=server_certificate[0], key=server_certificate[1]) +
                     relais.domain("example.com") + relais.send("Out", smart_hosts=[f"[127.0.0.1]:{target.port}"]), port)
        with open(f"{folder}/password", "w") as f:
            f.write("correct horse\n")
        node.tool("user", "add", "alice", "--address", "alice@example.com", "--password-file", f"{folder}/password")
        cases = [(None, "alice@example.com"), ("alice", "alice@example.com"), ("alice", "boss@example.com"), ("alice", "a@else.test")]
        for user, sender in cases:
            rows, _ = node.ask("explain", **{"to": f":{port}", "tls": True, "mail": sender, "rcpt": ["b@anywhere.test"],
                                             **({"user": user} if user else {})})
            said = [r.get("reply") for r in rows if r["stage"] in ("mail", "recipient")]
            with smtplib.SMTP("127.0.0.1", port, "client.test") as client:
                client.starttls(context=ssl._create_unverified_context())
                if user:
                    client.login(user, "correct horse")
                client.ehlo_or_helo_if_needed()
                lived = [client.docmd("MAIL", f"FROM:<{sender}>")]
                if lived[0][0] == 250:
                    lived.append(client.docmd("RCPT", "TO:<b@anywhere.test>"))
            assert said == [f"{code} {text.decode()}" for code, text in lived], (user, sender)
        text = node.tool("explain", "--to", f":{port}", "--user", "alice", "--tls", "--mail", "alice@example.com", "--rcpt", "b@c.test").stdout
        assert "any-recipient (group users)" in text and "rule own-address" in text
        assert "account" not in text
        ask = ["explain", "--to", f":{port}", "--tls", "--user"]
        assert "; there is no account of that name: no login succeeds" in node.tool(*ask, "ghost").stdout
        assert "account" not in node.tool(*ask, "ghost", "--file").stdout, "the tool alone does not read the accounts"
        node.tool("user", "disable", "alice")
        assert "; his account is disabled: no login succeeds" in node.tool(*ask, "alice").stdout


def test_a_file_by_name(node):
    done = node.tool("explain", "--file", "x.conf", check=False)
    assert done.returncode == 64 and "--file takes no name; relais -c x.conf explain --file does" in done.stderr


@pytest.fixture(scope="module")
def certificates(module_folder):
    """Of a known client, by its fingerprint, of one by its authority, and of a stranger."""
    authority, stranger = (certificate.Authority(module_folder, name) for name in ("Ours", "Strangers"))
    return authority, {"listed": stranger.sign("Scanner"), "signed": authority.sign("Printer"), "stranger": stranger.sign("Other")}


@pytest.mark.parametrize("asked, shown, code, rule", [
    ({}, None, "530 5.7.0 Must issue a STARTTLS", "tls"),
    ({"tls": True}, "nothing", "530 5.7.0 Client certificate required", "client-certificate"),
    ({"certificate": "unknown"}, "stranger", "550 5.7.1 SMTP; Client certificate is not known", "client-certificate"),
    ({"certificate": "stranger"}, "stranger", "550 5.7.1 SMTP; Client certificate is not known", "client-certificate"),
    ({"certificate": "listed"}, "listed", "250 2.1.0", "any-sender"),
    ({"partner": True}, "signed", "250 2.1.0", "any-sender"),
])
def test_certificates(start, certificates, asked, shown, code, rule):
    """What a client's certificate changes: explain beforehand, a session that shows it afterwards."""
    authority, pairs = certificates
    port = process.free_port()
    node = start(relais.receive("Partners", f"127.0.0.1:{port}", tls="required", client_certificate="require", allow=[],
                                permission_groups=["partners"], client_ca=authority.file,
                                client_fingerprints=[certificate.fingerprint(pairs["listed"][0])]) +
                 relais.send("Out", smart_hosts=["[127.0.0.1]:1"]), port)
    if asked.get("certificate") in pairs:
        asked = {"certificate": certificate.fingerprint(pairs[asked["certificate"]][0])}
    rows, _ = node.ask("explain", **{"to": f":{port}", "mail": "a@b.test", **asked})
    said = next(r for r in rows if r["stage"] == "mail")
    context = ssl._create_unverified_context()
    if shown in pairs:
        context.load_cert_chain(*pairs[shown])
    with smtplib.SMTP("127.0.0.1", port, "client.test") as client:
        if shown:
            client.starttls(context=context)
        client.ehlo()
        number, text = client.docmd("MAIL", "FROM:<a@b.test>")
    assert said["reply"] == f"{number} {text.decode()}" and said["reply"].startswith(code) and said["rule"] == rule
    if rule != "any-sender":
        node.wait_log(f"reject .*stage=MAIL rule={rule} ")
    assert node.tool("explain", "--cert", "nonsense", check=False).returncode == 64


def test_rules_that_depend_on_groups_and_counts(start):
    """authentication, submit, and the recipients of one message."""
    port = process.free_port()
    node = start(relais.receive("Users", f"127.0.0.1:{port}", ranges=["127.0.0.1"], allow=[], permission_groups=["users"], auth=["plain"],
                                auth_without_tls=True, require_auth=True) +
                 relais.receive("Nobody", f"127.0.0.1:{port}", ranges=["127.0.0.2"], allow=[], permission_groups=["partners"]) +
                 relais.receive("Few", f"127.0.0.1:{port}", ranges=["127.0.0.3"], recipients_max=1) +
                 relais.send("Out", smart_hosts=["[127.0.0.1]:1"]), port)
    cases = [("127.0.0.1", [], "530 5.7.0 Authentication required", "authentication"),
             ("127.0.0.2", [], "550 5.7.1 SMTP; Client has no right", "submit"),
             ("127.0.0.3", ["a@c.test", "b@c.test"], "452 4.5.3 too many recipients", "recipients")]
    for source, recipients, want, rule in cases:
        rows, _ = node.ask("explain", **{"from": source, "to": f":{port}", "mail": "a@b.test", "rcpt": recipients})
        said = [r for r in rows if r["stage"] in ("mail", "recipient")][-1]
        with Talk(port, source=source) as talk:
            for line in ["MAIL FROM:<a@b.test>", *(f"RCPT TO:<{r}>" for r in recipients)]:
                lived = talk.say(line)
            address = "{}:{}".format(*talk.socket.getsockname())
        assert said["reply"] == lived and lived.startswith(want) and said["rule"] == rule
        assert node.wait_log(rf"reject .*client={re.escape(address)} .*rule={rule} ")


def test_there_are_fifty_cases():
    assert len(CASES) >= 50


def test_for_people(node):
    done = node.tool("explain", "--from-ip", T, "--to", f":{node.port}", "--helo", "nas", "--mail", "a@tenant.test", "--rcpt", "b@elsewhere.test")
    text = done.stdout
    assert "-> Storage: its range 127.86.1.30 is the smallest with 127.86.1.30" in text
    assert "   Scanners: its range 127.86.1.0/24 is wider than 127.86.1.30" in text
    assert "   Off: it is not enabled" in text and "   Strict: none of its bindings covers" in text
    assert "any-recipient (allow)" in text
    assert "rule any-recipient: any-recipient by allow" in text
    assert "-> TenantA, queue TenantA: address space *, cost 1" in text
    assert "   World: TenantA is for this sender or receive connector" in text
    refused = node.tool("explain", "--from-ip", S, "--to", f":{node.port}", "--mail", "a@b.test", "--rcpt", "b@elsewhere.test", check=False)
    assert refused.returncode == 77 and "550 5.7.54 SMTP; Unable to relay" in refused.stdout


def test_where_nobody_listens(node):
    """A client has no reply then, but a connection refused; whom no connector takes has one."""
    closed = process.free_port()
    with pytest.raises(ConnectionRefusedError):
        Talk(closed, HOST, source=S)
    cases = [(f":{closed}", f"port {closed}"), (f"{HOST}:{closed}", f"port {closed}"), ("127.112.9.9:" + str(node.port), f"127.112.9.9:{node.port}"),
             ("unix:/nowhere/at/all", "unix:/nowhere/at/all")]
    for to, place in cases:
        done = node.tool("explain", "--from-ip", S, "--to", to, "--mail", "a@b.test", check=False)
        assert done.returncode == 77 and f"none: nobody listens on {place}: the connection itself is refused\n" in done.stdout, (to, done.stdout)
        assert "554" not in done.stdout and S not in done.stdout
    rows, _ = node.ask("explain", **{"from": S, "to": f":{closed}"})
    assert "reply" not in rows[-1] and "rule" not in rows[-1]
    assert node.tool("explain", "--from-ip", S, "--to", f":{closed}", "--file", check=False).returncode == 77


def test_where_clients_connect_to_when_nobody_says(node):
    rows, _ = node.ask("explain", **{"from": S})
    assert [r["about"] for r in rows if r["stage"] == "connector" and r["yes"]] == ["Scanners"]


def test_failover(start):
    """SC-4: with the first choice down, mail leaves by the one that stands in, and explain says so."""
    port, closed = process.free_port(), process.free_port()
    with sink.Sink() as good:
        node = start(relais.receive("In", f"127.0.0.1:{port}") +
                     relais.send("First", smart_hosts=[f"[127.0.0.1]:{closed}"], failover=True, retry=["1h"]) +
                     relais.send("Second", spaces=["*:5"], smart_hosts=[f"[127.0.0.1]:{good.port}"]), port)
        arguments = ["explain", "--to", f":{port}", "--mail", "a@b.test", "--rcpt", "b@c.test"]
        before = node.tool(*arguments).stdout
        assert "-> First, queue First: address space *, cost 1" in before and "   Second: its cost 5 is more than 1" in before
        with Talk(port) as talk:
            assert talk.send(b"Subject: x\r\n\r\nx\r\n").startswith("250 2.")
        process.wait_for("the mail by the second way", lambda: good.mails)
        node.wait_empty()
        text = node.tool(*arguments).stdout
        assert "   First: it is down, so -> Second" in text
        assert "-> Second, queue Second: it stands in for First, which is down" in text
        rows, _ = node.ask("explain", **{"to": f":{port}", "mail": "a@b.test", "rcpt": ["b@c.test"]})
        ways = {r["about"]: (r["yes"], r.get("status")) for r in rows if r["stage"] == "route"}
        assert ways == {"First": (False, "retry"), "Second": (True, "ready")}
        offline = node.tool(*arguments, "--file").stdout
        assert "-> First, queue First: address space *, cost 1; whether it is up only the daemon knows: if not, Second stands in" in offline


def test_without_the_daemon_the_file_answers(node):
    arguments = ["explain", "--file", "--from-ip", T, "--to", f"{HOST}:{node.port}", "--mail", "a@b.test", "--rcpt", "team@example.com"]
    text = node.tool(*arguments).stdout
    assert "by the alias <team@example.com>" in text and "out@elsewhere.test" in text and "-> Small, queue Small" in text
    assert node.tool("explain", "--from-ip", "nonsense", check=False).returncode == 64


# --- Limits: told before they refuse anybody ---

LIMITED = "127.104.2.1"


@pytest.fixture
def limited(start):
    def run(node_connections=100, **options):
        port = process.free_port(LIMITED)
        with_settings = relais.block("limits", None, connections=node_connections) + \
            relais.receive("Few", f"{LIMITED}:{port}", ranges=["127.104.0.0/16"], **options) + \
            relais.send("Out", smart_hosts=[f"[{LIMITED}]:{process.free_port(LIMITED)}"], retry=["1h"])
        node = start(with_settings, port)
        node.port = port
        return node
    return run


def limits(node, source, **more):
    """{(name, of what): row} of explain; how it says no is what a session would read."""
    rows, _ = node.ask("explain", **{"from": source, "to": f"{LIMITED}:{node.port}", **more})
    found = [r for r in rows if r["stage"] == "limits"]
    assert all(r["yes"] == ("reply" not in r) == ("rule" not in r) for r in found)
    return {(r["about"], r["why"].split()[-1]) if r["about"] == "connections" else r["about"]: r for r in found}


def settled(node, source, name, now):
    """The row, once connections that ended are counted no more."""
    return process.wait_for(f"{now} of {name}", lambda: (r := limits(node, source)[name])["now"] == now and r)


@pytest.mark.parametrize("options, here, name, limit", [
    (dict(connections_max=3), ["127.104.3.1", "127.104.3.2", "127.104.3.3"], ("connections", "Few"), 3),
    (dict(node_connections=2), ["127.104.3.1", "127.104.3.2"], ("connections", "node"), 2),
    (dict(connections_per_source=2), ["127.104.3.9"] * 2, "connections-per-source", 2),
    (dict(connections_max=20, source_share_percent=10), ["127.104.3.9"] * 2, "source-share", 2),
])
def test_connections_are_counted_beforehand(limited, options, here, name, limit):
    node = limited(**options)
    source = "127.104.3.9"
    assert settled(node, source, name, 0)["limit"] == limit
    talks = [Talk(node.port, LIMITED, source=s) for s in here]
    try:
        row = settled(node, source, name, limit)
        with Talk(node.port, LIMITED, source=source, hello=False) as one_more:
            assert not row["yes"] and one_more.banner == row["reply"]
        done = node.tool("explain", "--from-ip", source, "--to", f"{LIMITED}:{node.port}", check=False)
        assert done.returncode == 77 and f"{limit} of {limit} connections" in done.stdout and f"rule {row['rule']}" in done.stdout
    finally:
        for talk in talks:
            talk.close()
    assert settled(node, source, name, 0)["yes"]


def test_messages_a_minute_are_counted_beforehand(limited):
    node = limited(messages_per_minute=5)
    source, other = "127.104.3.9", "127.104.3.8"
    assert (row := limits(node, source)["message-rate"])["limit"] == 5 and row["now"] == 0 and row["yes"]
    with Talk(node.port, LIMITED, source=source) as talk:
        for _ in range(5):  # once, but where a minute ends in between
            told = "250"
            while told.startswith("250"):
                told = talk.say("MAIL FROM:<a@sender.test>")
                talk.say("RSET")
            row = limits(node, source)["message-rate"]
            if not row["yes"]:
                break
    assert row["reply"] == told and row["rule"] == "message-rate" and row["now"] == 5
    assert limits(node, other)["message-rate"]["now"] == 0
    assert limits(node, source, user="ann")["message-rate"]["now"] == 0


def test_a_user_is_counted_by_the_name_of_his_account(limited, folder):
    """However he writes it, here or when he logs in."""
    node = limited(messages_per_minute=1, auth=["plain"], auth_without_tls=True)
    with open(f"{folder}/password", "w") as f:
        f.write("correct horse\n")
    node.tool("user", "add", "bob", "--password-file", f"{folder}/password")
    source = "127.104.3.9"
    for _ in range(20):  # a minute may end in between
        with smtplib.SMTP(LIMITED, node.port, "client.test", source_address=(source, 0)) as client:
            client.login("BOB", "correct horse")
            while client.mail("a@sender.test")[0] == 250:
                client.rset()
        rows = [limits(node, source, user=user)["message-rate"] for user in ("bob", "Bob")]
        if not rows[0]["yes"]:
            break
    assert all(not r["yes"] and r["now"] == 1 and r["rule"] == "message-rate" and r["about"] == "message-rate" for r in rows), rows
    assert rows[0]["why"] == rows[1]["why"] and limits(node, source, user="ann")["message-rate"]["now"] == 0


def test_limits_that_are_only_told_refuse_nobody(limited):
    node = limited(connections_per_source=1, report_only=["connections-per-source"], size_max="1M", recipients_max=7)
    with Talk(node.port, LIMITED, source="127.104.3.9"):
        row = settled(node, "127.104.3.9", "connections-per-source", 1)
    assert row["yes"] and row["limit"] == 1 and "let through" in row["why"]
    rows = limits(node, "127.104.3.9")
    assert rows["size"]["limit"] == 1 << 20 and rows["recipients"]["limit"] == 7
    assert "source-share" not in rows and "limit" not in rows["message-rate"]
    text = node.tool("explain", "--file", "--from-ip", "127.104.3.9", "--to", f"{LIMITED}:{node.port}").stdout
    assert "at most 1 connections from 127.104.3.9" in text and "no limit on messages a minute: " in text
