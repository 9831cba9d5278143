# The log of relais as analysers of Postfix logs know it:
#
#     sed -E -f mail-log.sed /var/log/relais/relais.log | pflogsumm --syslog_name=relais
#
# or /var/log/mail.log, or what `journalctl -u relais` prints.  Delivery lines are what they look for
# already.  Lines about mail that came in, or was refused, are written as Postfix has them, and lines that
# have our own time get what they lack of syslog's: the name of a host.

s/^([A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [^ ]+ relaisd\[[0-9]+\]: )?([-0-9]{10}T[0-9:.]+Z) (relais[[\/])/\2 localhost \3/

/^[^ ]+( +[0-9]+ [0-9:]+)? [^ ]+ relais\[[0-9]+\]: (received|reject) / {
    # What nobody counts, and could be anything a client says.
    s/ (session|connector|helo|user|by|rule)=("([^"\\]|\\.)*"|[^" ]+)//g
    s/ client=\[?([0-9a-f.:]+)\]?:[0-9]+ / client=unknown[\1] /
    s/ client=("unix:[^"]*"|unix:[^ ]*) / client=localhost[127.0.0.1] /

    s/^([^ ]+( +[0-9]+ [0-9:]+)? [^ ]+) relais(\[[0-9]+\]): received id=([0-9a-f]+) client=([^ ]+) from=(<[^>]*>) nrcpt=([0-9]+) size=([0-9]+).*/\1 relais\/smtpd\3: \4: client=\5\n\1 relais\/qmgr\3: \4: from=\6, size=\8, nrcpt=\7 (queue active)/

    s/ text="(([^"\\]|\\.)*)".*/ text=\1/
    s/ text=SMTP; / text=/
    s/ relais(\[[0-9]+\]): reject client=([^ ]+) stage=CONNECT text=(.*)/ relais\/smtpd\1: NOQUEUE: reject: CONNECT from \2: \3/
    s/ relais(\[[0-9]+\]): reject client=([^ ]+) stage=MAIL about=(<[^>]*>) code=([0-9]+) dsn=([0-9.]*)[^ ]* text=(.*)/ relais\/smtpd\1: NOQUEUE: reject: MAIL from \2: \4 \5 \3: \6; from=\3/
    s/ relais(\[[0-9]+\]): reject client=([^ ]+) stage=([A-Z]+) about=(<[^>]*>) code=([0-9]+) dsn=([0-9.]*)[^ ]* text=(.*)/ relais\/smtpd\1: NOQUEUE: reject: \3 from \2: \5 \6 \4: \7; to=\4/
}
