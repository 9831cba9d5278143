"""A private Dovecot that speaks LMTP alone and puts every user's mail into one Maildir each."""
import os
import pwd
import subprocess

from . import process

CONFIG = """\
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = relais-test
protocols = lmtp
listen = 127.0.0.1
log_path = {folder}/log
ssl = no
mail_location = maildir:{folder}/mail/%u
first_valid_uid = 1
default_internal_user = dovecot
auth_username_chars =
auth_username_format =
lmtp_save_to_detail_mailbox = no
mail_plugins =
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home allow_all_users=yes
}}
passdb {{
  driver = static
  args = nopassword=y
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
"""


class Dovecot:
    def __init__(self, folder):
        self.folder = str(folder)
        self.port = process.free_port()
        self.socket = os.path.join(self.folder, "lmtp")
        user = pwd.getpwnam("nobody")
        for name in ("run", "state", "mail", "home"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        for name in ("mail", "home"):
            os.chown(os.path.join(self.folder, name), user.pw_uid, user.pw_gid)
        self.config = os.path.join(self.folder, "dovecot.conf")
        with open(self.config, "w") as f:
            f.write(CONFIG.format(folder=self.folder, port=self.port, uid=user.pw_uid, gid=user.pw_gid))

    def __enter__(self):
        self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", self.config],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process.wait_for("Dovecot to listen", lambda: process.listens(self.port))
        return self

    def __exit__(self, *_):
        process.end(self.process)

    def mails(self, user):
        """The files in USER's new mail."""
        return maildir(os.path.join(self.folder, "mail", user))


def maildir(folder):
    new = os.path.join(folder, "new")
    if not os.path.isdir(new):
        return []
    return [os.path.join(new, name) for name in sorted(os.listdir(new))]


SUBMISSION = """\
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = relais-test-submission
protocols = submission
log_path = {folder}/log
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
default_internal_user = dovecot
default_login_user = dovenull
auth_mechanisms = {mechanisms}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = no
hostname = submission.test
mail_location = maildir:{folder}/mail
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home allow_all_users=yes
}}
service submission-login {{
  inet_listener submission {{
    address = {address}
    port = {port}
  }}
}}
"""


class Submission(Dovecot):
    """Dovecot's submission server: takes mail of those who log in, and hands it on to port RELAY."""

    def __init__(self, folder, relay, password, mechanisms, certificate, address="127.83.0.3"):
        super().__init__(folder)
        user = pwd.getpwnam("nobody")
        with open(self.config, "w") as f:
            f.write(SUBMISSION.format(folder=self.folder, port=self.port, uid=user.pw_uid, gid=user.pw_gid, relay=relay,
                                      password=password, mechanisms=mechanisms, certificate=certificate[0],
                                      key=certificate[1], address=address))
