"""TLS on both sides: certificates and who they belong to, what the next hop must show."""
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess

import pytest

from tests.kit import certificate, mails, process, relais, sink
from tests.kit.talk import Talk

HERE = "127.84.1.1"


@pytest.fixture(scope="module")
def authority(module_folder):
    return certificate.Authority(module_folder)


@pytest.fixture(scope="module")
def stranger(module_folder):
    return certificate.Authority(module_folder, "Stranger")


def client_context(ca=None, pair=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        context.load_verify_locations(ca)
    if pair:
        context.load_cert_chain(*pair)
    return context


def start_tls(talk, context=None, name=None):
    """The certificate the server shows, as DER."""
    assert talk.say("STARTTLS").startswith("220")
    talk.file.close()
    talk.socket = (context or client_context()).wrap_socket(talk.socket, server_hostname=name)
    talk.file = talk.socket.makefile("rb")
    assert talk.say("EHLO client.test").startswith("250")
    return talk.socket.getpeercert(binary_form=True)


def shown(port, name=None, context=None):
    with Talk(port, HERE) as talk:
        return hashlib.sha256(start_tls(talk, context, name)).hexdigest()


def digest(pair):
    return certificate.fingerprint(pair[0]).partition(":")[2].replace(":", "").lower()


# --- Clients ---------------------------------------------------------------------------------


def test_client_certificates(start, authority, stranger):
    """TL-2: by authority or fingerprint; the handshake never fails, policy refuses."""
    port = process.free_port()
    known, foreign, listed = authority.sign("Printer"), stranger.sign("Printer"), stranger.sign("Scanner")
    options = {"client_certificate": "require", "client_ca": authority.file,
               "permission_groups": ["anonymous", "partners"]}
    out = relais.send("Out", smart_hosts=[f"[{HERE}]:1"])
    node = start(relais.receive("In", f"{HERE}:{port}", **options,
                                client_fingerprints=[certificate.fingerprint(listed[0])]) + out, port)
    cases = [(None, "530 5.7.0 Client certificate required"), (foreign, "550 5.7.1 SMTP; Client certificate is not"),
             (known, "250 2.1.0"), (listed, "250 2.1.0")]
    for pair, reply in cases:
        with Talk(port, HERE) as talk:
            assert talk.say("MAIL FROM:<a@sender.test>").startswith("530 5.7.0 Must issue a STARTTLS")
            start_tls(talk, client_context(pair=pair))
            assert talk.say("MAIL FROM:<a@sender.test>").startswith(reply), pair
    node.wait_log("rule=client-certificate")
    log = node.log_of("protocol")
    assert "client certificate known: CN=Printer" in log and "client certificate not known: CN=Printer" in log
    with Talk(port, HERE) as first, Talk(port, HERE) as second:  # one is struck off, in the middle of its session
        start_tls(first, client_context(pair=known))
        start_tls(second, client_context(pair=listed))
        node.configure(relais.receive("In", f"{HERE}:{port}", **options) + out)
        node.reload()
        node.wait_log(" reloaded ")
        assert first.say("MAIL FROM:<a@sender.test>").startswith("250")
        assert second.say("MAIL FROM:<a@sender.test>").startswith("550 5.7.1 SMTP; Client certificate is not")


# --- Our certificates ------------------------------------------------------------------------


def tls_node(start, folder, *pairs, name="relais", **options):
    """A node that shows certificates from files of its own, which a test may change."""
    port, files = process.free_port(), []
    for i, pair in enumerate(pairs):
        files.append([os.path.join(folder, f"{i}.{end}") for end in ("pem", "key")])
        for old, new in zip(pair, files[-1]):
            shutil.copy(old, new)
    node = start(relais.receive("In", f"{HERE}:{port}", certificate=[f[0] for f in files], key=[f[1] for f in files],
                                **options) + relais.send("Out", smart_hosts=[f"[{HERE}]:1"]), port, name=name)
    return node, port, files


def put(pair, files):
    """As certbot's hook or an administrator does it: by rename, the key first."""
    for new, file in reversed(list(zip(pair, files))):
        shutil.copy(new, file + ".new")
        os.rename(file + ".new", file)


def test_sni(start, folder, authority):
    pairs = [authority.sign("relay.test"), authority.sign("b.test", "DNS:b.test", "DNS:*.b.test"),
             authority.sign("relay.test", kind="RSA")]
    node, port, _ = tls_node(start, folder, *pairs)
    for name, want in [(None, 0), ("relay.test", 0), ("b.test", 1), ("x.b.test", 1), ("unknown.test", 0)]:
        assert shown(port, name) == digest(pairs[want]), name
    old = client_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    assert shown(port, "relay.test", old) == digest(pairs[2])


def self_signed(start, **options):
    port = process.free_port()
    node = start(relais.receive("In", f"{HERE}:{port}", **options) + relais.send("Out", smart_hosts=[f"[{HERE}]:1"]), port)
    return node, port, os.path.join(node.folder, "self-signed-relay.test.pem")


def test_a_self_signed_certificate_stays(start):
    """Who has pinned it goes on with it: over reloads, changes of other things, and restarts."""
    node, port, file = self_signed(start)
    first = shown(port)
    assert os.stat(file).st_mode & 0o777 == 0o600
    node.tool("reload")
    assert shown(port) == first
    node.configure(relais.receive("In", f"{HERE}:{port}", tls_min="1.0") + relais.receive("Other", f"{HERE}:{process.free_port()}"))
    node.tool("reload")
    assert shown(port) == first
    old = client_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    rsa = shown(port, context=old)
    node.stop()
    node.start()
    assert shown(port) == first and shown(port, context=old) == rsa != first
    node.configure(relais.receive("In", f"{HERE}:{port}", fqdn="other.test"))
    node.tool("reload")
    assert shown(port) != first
    assert "self-signed" not in node.log()


@pytest.mark.parametrize("damage", ["", "hello\n"])
def test_a_self_signed_certificate_that_is_damaged(start, damage):
    node, port, file = self_signed(start)
    first = shown(port)
    with open(file, "w") as f:
        f.write(damage)
    node.tool("reload")
    second = shown(port)
    node.wait_log("the self-signed certificate of relay.test could not be used, and is another one now: .*self-signed-relay")
    node.stop()
    node.start()
    assert shown(port) == second != first


def test_a_self_signed_certificate_that_cannot_be_kept(start):
    """Mail flows all the same."""
    node, port, file = self_signed(start)
    first = shown(port)
    os.unlink(file)
    os.mkdir(file)
    node.tool("reload")
    node.wait_log("the self-signed certificate of relay.test cannot be kept")
    assert shown(port) != first


def resumed(port, context, session=None):
    """(whether it was one resumed, the session to resume next)"""
    with Talk(port, HERE) as talk:
        assert talk.say("STARTTLS").startswith("220")
        talk.file.close()
        talk.socket = context.wrap_socket(talk.socket, session=session)
        talk.file = talk.socket.makefile("rb")
        assert talk.say("EHLO client.test").startswith("250")
        return talk.socket.session_reused, talk.socket.session


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_outlive_a_reload(start, version):
    """TL-5: another rule is no reason for a thousand devices to shake hands anew."""
    node, port, _ = self_signed(start)
    context = client_context()
    context.maximum_version = context.minimum_version = ssl.TLSVersion[version]
    was, session = resumed(port, context)
    assert not was
    node.tool("reload")
    was, session = resumed(port, context, session)
    assert was
    node.configure(relais.receive("In", f"{HERE}:{port}", client_certificate="ask", client_fingerprints=["sha256:" + "ab" * 32]))
    node.tool("reload")
    assert not resumed(port, context, session)[0]


def test_a_replaced_certificate_is_used_by_the_next_handshake(start, folder, authority):
    first, second, third = (authority.sign("relay.test") for _ in range(3))
    node, port, (files,) = tls_node(start, folder, first)
    with Talk(port, HERE) as talk:
        assert hashlib.sha256(start_tls(talk)).hexdigest() == digest(first)
        assert talk.say("MAIL FROM:<a@sender.test>").startswith("250")
        put(second, files)
        node.wait_log("certificate_renewed connector=In")
        assert shown(port) == digest(second)
        assert talk.say("RCPT TO:<b@example.com>").startswith("250")  # the session lives
        assert talk.say("RSET").startswith("250")

        # What cannot be used is told, and what is in use stays.
        with open(files[0], "w") as f:
            f.write("no certificate\n")
        node.wait_log("error: certificate_failed connector=In .*0.pem.*the one in use stays")
        assert shown(port) == digest(second)
        put(third, files)
        process.wait_for("the third", lambda: shown(port) == digest(third))
        assert talk.send(mails.PLAIN).startswith("250")
    assert len(re.findall("certificate_failed", node.log())) == 1


def test_a_certificate_that_ends(start, folder, authority):
    """The log at the start, relais check, relais status; a new one ends the alarm."""
    node, port, (files,) = tls_node(start, folder, authority.sign("relay.test", days=5))
    node.wait_log("warning: certificate_ends connector=In .*days=4")
    assert re.search(r"warning: .*ends on \d{4}-", node.tool("check").stderr)
    text = r"certificate .*0.pem of connector In ends on .*, in 4 days"
    assert re.search("ALARM +" + text, node.tool("status").stdout)
    assert re.search(text, node.status()["alarms"][-1])
    put(authority.sign("relay.test", days=20), files)
    node.wait_log("certificate_ends connector=In .*days=19")
    status = node.tool("status").stdout
    assert "ALARM" not in status and re.search("warning +certificate .* in 19 days", status)
    put(authority.sign("relay.test", days=-1), files)
    node.wait_log("error: certificate_expired connector=In .*days=-[12]")
    assert re.search("ALARM +certificate .* has expired on ", node.tool("status").stdout)
    assert "has expired on" in node.tool("check").stderr
    put(authority.sign("relay.test", days=200), files)
    process.wait_for("no word of it", lambda: "certificate " not in node.tool("status").stdout)


def test_a_certificate_chosen_in_the_folder(start, folder, authority):
    """TL-1: by issuer and subject the newest, so that a renewed one dropped in is shown; by fingerprint that one."""
    first, second = (authority.sign("relay.test", days=200 + i) for i in range(2))
    room = os.path.join(folder, "certificates")
    os.mkdir(room)

    def drop(pair, name):
        put(pair, [os.path.join(room, name + end) for end in (".pem", ".key")])

    drop(first, "2026")
    by_name, by_print = process.free_port(), process.free_port()
    config = (f"certificate_folder = {room}\n" +
              relais.receive("In", f"{HERE}:{by_name}", certificate="<I>CN=Authority<S>CN = relay.test") +
              relais.receive("Fixed", f"{HERE}:{by_print}", certificate=certificate.fingerprint(first[0])) +
              relais.send("Out", smart_hosts=[f"[{HERE}]:1"], certificate="issuer=CN=Authority subject=CN=relay.test"))
    node = start(config, by_name)
    assert shown(by_print) == digest(first)
    with Talk(by_name, HERE) as talk:
        assert hashlib.sha256(start_tls(talk)).hexdigest() == digest(first)
        assert talk.say("MAIL FROM:<a@sender.test>").startswith("250")
        drop(second, "2027")
        node.wait_log("certificate_renewed connector=In .*2027.pem")
        node.wait_log("certificate_renewed connector=Out .*2027.pem")
        assert shown(by_name) == digest(second) and shown(by_print) == digest(first)
        assert talk.say("RCPT TO:<b@example.com>").startswith("250")  # the session lives
        assert talk.say("RSET").startswith("250")
        assert talk.send(mails.PLAIN).startswith("250")
    assert "certificate_renewed connector=Fixed" not in node.log()

    rows = [json.loads(line) for line in node.tool("certificate", "list", "--json").stdout.splitlines()]
    assert [os.path.basename(row["file"]) for row in rows] == ["2026.pem", "2027.pem"]
    assert [row.get("connectors") for row in rows] == [["Fixed"], ["In", "Out"]]
    assert rows[0]["fingerprint"] == "sha256:" + digest(first) and rows[0]["subject"] == "CN=relay.test"
    text = node.tool("get-certificate").stdout
    assert re.search(r"issuer +CN=Authority", text) and re.search(r"shown by +Fixed", text)

    os.rename(os.path.join(room, "2027.key"), os.path.join(folder, "away"))  # back to the one with a key
    process.wait_for("the older one", lambda: shown(by_name) == digest(first))
    os.remove(os.path.join(room, "2026.key"))
    node.wait_log("error: certificate_failed connector=In .*the one in use stays")
    assert shown(by_name) == shown(by_print) == digest(first)
    done = node.tool("check", check=False)
    assert "2026.pem: there is no key in it" in done.stderr and "the certificate cannot be chosen" in done.stderr


def test_a_certificate_for_another_name(start, folder, authority):
    node, port, (files,) = tls_node(start, folder, authority.sign("other.test", days=200))
    assert 'the certificate is not for "relay.test"' in node.tool("check").stderr
    put(authority.sign("relay.test", "DNS:*.test", days=200), files)
    assert "certificate" in node.tool("check").stderr  # "*.test" would be a whole top level
    put(authority.sign("relay.test", days=200), files)
    assert "certificate" not in node.tool("check").stderr


# --- Old devices -----------------------------------------------------------------------------


def old_device(port, source, *more):
    """What openssl, in the role of a device of 2003, says of STARTTLS."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"{HERE}:{port}", "-bind", f"{source}:0", "-starttls",
                           "smtp", "-tls1", "-cipher", "AES128-SHA:@SECLEVEL=0", *more], input="QUIT\n", timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout


@pytest.mark.parametrize("own", [False, True])
def test_a_floor_for_old_devices_alone(start, folder, authority, own):
    """PE-10: TLS 1.0 with RSA key exchange for one range, TLS 1.3 for the others, on one port."""
    port = process.free_port()
    pairs = [authority.sign("relay.test", kind="RSA") for _ in range(2)]
    old, new = (dict(certificate=pair[0], key=pair[1]) if own else {} for pair in pairs)
    node = start(relais.receive("Old", f"{HERE}:{port}", ranges=["127.84.7.0/24"], tls_min="1.0", **old) +
                 relais.receive("In", f"{HERE}:{port}", tls_min="1.3", **new) +
                 relais.send("Out", smart_hosts=[f"[{HERE}]:1"]), port)
    text = old_device(port, "127.84.7.7")
    assert re.search("Protocol *: TLSv1$", text, re.M) and "AES128-SHA" in text, text
    text = old_device(port, "127.84.8.8")
    assert "alert protocol version" in text and not re.search("Cipher *: AES", text), text
    assert not own or shown(port) == digest(pairs[1])  # TLS 1.3 from elsewhere
    with Talk(port, HERE, source="127.84.7.7") as talk:
        der = start_tls(talk)
        assert not own or hashlib.sha256(der).hexdigest() == digest(pairs[0])  # RC-7
        assert talk.socket.version() == "TLSv1.3"
    node.wait_log("connector=Old")


# --- Next hops -------------------------------------------------------------------------------


def server_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context


def send_to(start, host, target, name, **options):
    """A node that has just been given one mail for TARGET."""
    port = process.free_port()
    node = start(relais.receive("In", f"{HERE}:{port}") +
                 relais.send("Out", smart_hosts=[f"[{host}]:{target.port}"], **options), port, name=name)
    with Talk(port, HERE) as talk:
        assert talk.send(mails.PLAIN).startswith("250")
    return node


def check_delivered(node, target, level, outcome="verified"):
    process.wait_for("the mail", lambda: target.mails)
    assert target.mails[0].is_tls
    node.wait_log(f'tls="{level} TLSv1.3 TLS_[A-Z0-9_]+ {outcome}".*status=sent')
    node.wait_empty()
    node.stop()


def check_waits(node, target, *why):
    """The reason stands in the log and the queue, and nothing has gone out."""
    node.wait_log("hop_down .*" + ".*".join(why))
    assert not target.mails
    assert node.queued() == 1
    assert not any(line.upper().startswith(b"MAIL") for line in target.commands)
    node.stop()


def test_verify(start, authority, stranger):
    good = [(authority.sign("x", f"IP:{HERE}"), HERE), (authority.sign("localhost"), "localhost")]
    for i, (pair, host) in enumerate(good):
        with sink.Sink(HERE if host == HERE else "127.0.0.1", tls=server_context(pair)) as target:
            node = send_to(start, host, target, f"good{i}", tls="verify", ca_file=authority.file)
            check_delivered(node, target, "verify")
    bad = [(authority.sign("other.test"), "(ostname|IP address) mismatch"),
           (stranger.sign("x", f"IP:{HERE}"), "self-signed certificate|unable to get"),
           (authority.sign("x", f"IP:{HERE}", days=-1), "expired")]
    for i, (pair, why) in enumerate(bad):
        with sink.Sink(HERE, tls=server_context(pair)) as target:
            node = send_to(start, HERE, target, f"bad{i}", tls="verify", ca_file=authority.file)
            check_waits(node, target, "4.7.5 TLS handshake failed .level verify.", why)


def test_verify_by_the_systems_authorities(start, authority):
    """Of which ours is none."""
    pair = authority.sign("x", f"IP:{HERE}")
    with sink.Sink(HERE, tls=server_context(pair)) as target:
        node = send_to(start, HERE, target, "system", tls="verify")
        check_waits(node, target, "4.7.5", "certificate verify failed")


@pytest.mark.parametrize("level", ["encrypt", "verify", "secure"])
def test_never_in_clear(start, authority, level):
    """STARTTLS stripped from the answer to EHLO, or refused."""
    options = {"tls": level}
    if level == "secure":
        options["tls_fingerprints"] = [certificate.fingerprint(authority.file)]
    with sink.Sink(HERE) as target:
        check_waits(send_to(start, HERE, target, "stripped", **options), target, "4.7.4 TLS is required")
    with sink.Sink(HERE, extensions=("STARTTLS",),
                   answer=lambda stage, text: "454 4.7.0 no" if stage == "starttls" else None) as target:
        check_waits(send_to(start, HERE, target, "refused", **options), target, "4.7.4 TLS is required")


def test_secure(start, authority, stranger):
    pair, other = stranger.sign("whoever"), stranger.sign("whoever")
    pin = certificate.fingerprint(pair[0])
    with sink.Sink(HERE, tls=server_context(pair)) as target:
        check_delivered(send_to(start, HERE, target, "right", tls="secure", tls_fingerprints=[pin]), target, "secure")
    with sink.Sink(HERE, tls=server_context(other)) as target:
        node = send_to(start, HERE, target, "wrong", tls="secure", tls_fingerprints=[pin])
        check_waits(node, target, "4.7.5", "level secure", digest(other), "is not pinned here")


def test_resumed_sessions_are_verified_too(start, authority):
    """The second connection resumes the first one's session, and says so of its verification."""
    pair = authority.sign("x", f"IP:{HERE}")
    with sink.Sink(HERE, tls=server_context(pair)) as target:
        node = send_to(start, HERE, target, "again", tls="verify", ca_file=authority.file, messages_per_connection="1")
        process.wait_for("the mail", lambda: target.mails)
        with Talk(node.ports[0], HERE) as talk:
            assert talk.send(mails.PLAIN).startswith("250")
        process.wait_for("the second mail", lambda: len(target.mails) == 2)
        node.wait_empty()
        assert len([line for line in node.log().splitlines()
                    if "status=sent" in line and " verified\"" in line]) == 2


def test_policies_of_domains(start, authority):
    """One connector, two smart hosts' names, two levels."""
    pair = authority.sign("nobody.test")
    with sink.Sink(HERE, tls=server_context(pair)) as target:
        port = process.free_port()
        config = relais.send("Out", smart_hosts=[f"[{HERE}]:{target.port}"], tls="verify", ca_file=authority.file)
        config = config.rstrip().rstrip("}") + f'tls_policy "{HERE}" {{ tls = encrypt }} }}\n'
        node = start(relais.receive("In", f"{HERE}:{port}") + config, port)
        with Talk(port, HERE) as talk:
            assert talk.send(mails.PLAIN).startswith("250")
        check_delivered(node, target, "encrypt", "not-verified")
