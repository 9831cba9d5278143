#include "kit.h"
#include "smtp_server_kit.h"

/* Dialogues: what the client sends, what it hears, and what the driver is made to do.  The
 * order of C, S and D among each other is for the reader; each of the three streams is
 * compared. */
struct line {
    char who;
    struct bytes text;
};

/* clang-format off */
#define C(text) { 'C', BYTES(text "\r\n") } /* the client */
#define RAW(text) { 'C', BYTES(text) }      /* the client, no line end added */
#define S(text) { 'S', BYTES(text "\r\n") } /* the server */
#define D(text) { 'D', BYTES(text "\n") }   /* the driver */
#define WAIT { 'W', { NULL, 0 } }           /* the client reads all answers before it goes on */
#define STOP { 'X', { NULL, 0 } }           /* the driver stops the session */
#define FAIL { 'F', { NULL, 0 } }           /* the driver gives up the message */
/* clang-format on */

enum { LINES_MAX = 48 };

struct dialogue {
    const char *name;
    const struct smtp_server_config *config;
    struct line lines[LINES_MAX];
};

#define SIZES                                                                                  \
    .fqdn = BYTES("mx.test"), .banner = BYTES("mx.test ESMTP"), .size_bytes_max = 100,         \
    .recipients_max = 2
#define BASE SIZES, .errors_max = 3

static const struct smtp_server_config plain = { BASE };
static const struct smtp_server_config tolerant = { BASE, .tolerates_bare_lf = true,
    .tolerates_path_spaces = true, .tolerates_no_brackets = true, .tolerates_bad_helo = true,
    .tolerates_no_helo = true };
static const struct smtp_server_config logged = { BASE, .logs_lines = true,
    .auth_mechanisms = BYTES("PLAIN LOGIN"), .offers_auth_plain_text = true };
static const struct smtp_server_config two_mails = { BASE, .mails_max = 2 };
static const struct smtp_server_config starttls = { BASE, .offers_starttls = true,
    .auth_mechanisms = BYTES("PLAIN LOGIN") };
static const struct smtp_server_config needs_tls = { BASE, .offers_starttls = true,
    .requires_tls = true, .auth_mechanisms = BYTES("PLAIN LOGIN") };
static const struct smtp_server_config needs_auth = { BASE,
    .auth_mechanisms = BYTES("PLAIN LOGIN"), .offers_auth_plain_text = true,
    .requires_auth = true };
static const struct smtp_server_config with_tls = { BASE, .is_tls = true,
    .offers_starttls = true, .auth_mechanisms = BYTES("PLAIN LOGIN") };
static const struct smtp_server_config patient = { SIZES, .errors_max = 100 };

#define HI S("220 mx.test ESMTP")
#define HELO HI, C("HELO c"), D("HELO c"), S("250 mx.test")
#define BAD_NAME "501 5.5.2 Invalid name: neither a domain nor an address in brackets"
#define FROM C("MAIL FROM:<a@b.c>"), D("MAIL <a@b.c>"), S("250 2.1.0 Sender OK")
#define TO C("RCPT TO:<d@e.f>"), D("RCPT <d@e.f>"), S("250 2.1.5 Recipient OK")
#define DATA C("DATA"), D("BEGIN"), S("354 End data with <CR><LF>.<CR><LF>")
#define NOOP C("NOOP"), S("250 2.0.0 OK")
#define STORED S("250 2.0.0 id")
#define CHUNK S("250 2.0.0 Chunk received")
#define TOO_LARGE S("552 5.3.4 Message size exceeds the limit")
#define BARE S("550 5.6.11 Bare CR or LF in the message")
#define NUL_IN_IT S("550 5.6.0 NUL in the message")
#define EXTENSIONS                                                                             \
    S("250-PIPELINING"), S("250-8BITMIME"), S("250-SMTPUTF8"), S("250-CHUNKING"),              \
        S("250-BINARYMIME"), S("250-DSN"), S("250-ENHANCEDSTATUSCODES"),                       \
        S("250-MT-PRIORITY MIXER")
#define FIFTY "12345678901234567890123456789012345678901234567890"

static const struct dialogue core[] = {
    { "a message", &plain,
        { HELO, FROM, TO, DATA, C("Subject: x"), C(""), C("..dot"), C("."),
            D("STORE Subject: x\r\n\r\n.dot\r\n"), STORED, C("QUIT"), S("221 2.0.0 Bye"),
            D("CLOSE") } },
    { "EHLO lists what there is", &plain,
        { HI, C("EHLO c"), D("EHLO c"), S("250-mx.test"), EXTENSIONS, S("250-LIMITS RCPTMAX=2"),
            S("250 SIZE 100") } },
    { "EHLO with the limit of mails", &two_mails,
        { HI, C("EHLO c"), D("EHLO c"), S("250-mx.test"), EXTENSIONS,
            S("250-LIMITS RCPTMAX=2 MAILMAX=2"), S("250 SIZE 100") } },
    { "the driver's text behind the name", &plain,
        { HI, C("helo hello"), D("HELO hello"), S("250 mx.test hello there"),
            C("MAIL FROM:<hello@b.c>"), D("MAIL <hello@b.c>"), S("250 2.1.0 hello there"),
            C("RCPT TO:<hello@b.c>"), D("RCPT <hello@b.c>"), S("250 2.1.5 hello there") } },
    { "HELO without a name, with two, refused, closing", &plain,
        { HI, C("HELO"), D("ERROR"), S("501 5.5.4 Syntax: HELO name"), C("EHLO a b"),
            D("ERROR"), S("501 5.5.4 Syntax: EHLO name"), C("EHLO refused"), D("EHLO refused"),
            S("550 5.7.1 no"), C("MAIL FROM:<>"), D("ERROR"),
            S("503 5.5.1 Send EHLO or HELO first"), C("EHLO closing"), D("EHLO closing"),
            S("421 4.3.2 bye"), D("CLOSE"), C("NOOP") } },
    { "two messages, one HELO, null sender, postmaster", &plain,
        { HELO, FROM, TO, DATA, C("."), D("STORE "), STORED, C("mail from:<>"), D("MAIL <>"),
            S("250 2.1.0 Sender OK"), C("rcpt to:<postmaster>"), D("RCPT <postmaster>"),
            S("250 2.1.5 Recipient OK"), C("data"), D("BEGIN"),
            S("354 End data with <CR><LF>.<CR><LF>"), C("x"), C("."), D("STORE x\r\n"),
            STORED } },
    { "all parameters", &plain,
        { HELO,
            C("MAIL FROM:<a@b.c> SIZE=99 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb "
              "AUTH=<> MT-PRIORITY=-4"),
            D("MAIL <a@b.c> 8bit size=99 utf8 ret=hdrs envid=a+2Bb auth=<> priority=-4"),
            S("250 2.1.0 Sender OK"),
            C("RCPT TO:<d@e.f> NOTIFY=SUCCESS,delay ORCPT=rfc822;d+2Be@f"),
            D("RCPT <d@e.f> notify=10 orcpt=rfc822;d+2Be@f"), S("250 2.1.5 Recipient OK") } },
    { "bad parameters of MAIL", &patient,
        { HELO, C("MAIL FROM:<a@b.c> SIZE=x"), D("ERROR"), S("501 5.5.4 Malformed parameter"),
            C("MAIL FROM:<a@b.c> BODY=8BITMIME BODY=8BITMIME"), D("ERROR"),
            S("501 5.5.4 Malformed parameter"), C("MAIL FROM:<a@b.c> SOLICIT=x"), D("ERROR"),
            S("555 5.5.4 Unknown parameter"), C("MAIL FROM:<a@b.c> SIZE=101"),
            S("552 5.3.4 Message size exceeds the limit"),
            C("MAIL FROM:<a@b.c> SIZE=99999999999999999999"),
            S("552 5.3.4 Message size exceeds the limit"), C("MAIL FROM:<a@b.c>SIZE=1"),
            D("ERROR"), S("501 5.5.4 Malformed parameter"), FROM,
            C("RCPT TO:<d@e.f> NOTIFY=NEVER,DELAY"), D("ERROR"),
            S("501 5.5.4 Malformed parameter"), C("RCPT TO:<d@e.f> SIZE=1"), D("ERROR"),
            S("555 5.5.4 Unknown parameter"), TO } },
    { "bad addresses", &patient,
        { HELO, C("MAIL FROM:a@b.c"), D("ERROR"), S("501 5.5.2 Syntax: MAIL FROM:<address>"),
            C("MAIL FROM: <a@b.c>"), D("ERROR"), S("501 5.5.2 Syntax: MAIL FROM:<address>"),
            C("MAIL FROM:<a@b..c>"), D("ERROR"), S("501 5.1.7 Bad sender address"),
            C("MAIL <a@b.c>"), D("ERROR"), S("501 5.5.4 Syntax: MAIL FROM:<address>"),
            C("MAIL"), D("ERROR"), S("501 5.5.4 Syntax: MAIL FROM:<address>"), FROM,
            C("RCPT TO:<d>"), D("ERROR"), S("501 5.1.3 Bad recipient address"), C("RCPT TO:<>"),
            D("ERROR"), S("501 5.1.3 Bad recipient address"), C("RCPT d@e.f"), D("ERROR"),
            S("501 5.5.4 Syntax: RCPT TO:<address>") } },
    { "addresses above ASCII need SMTPUTF8", &plain,
        { HELO, C("MAIL FROM:<\xc3\xa4@b.c>"), D("ERROR"),
            S("553 5.6.7 The address needs SMTPUTF8"), FROM, C("RCPT TO:<\xc3\xa4@b.c>"),
            D("ERROR"), S("553 5.6.7 The address needs SMTPUTF8"), C("RSET"), D("RESET"),
            S("250 2.0.0 Reset"), C("MAIL FROM:<\xc3\xa4@b.c> SMTPUTF8"),
            D("MAIL <\xc3\xa4@b.c> utf8"), S("250 2.1.0 Sender OK"),
            C("RCPT TO:<\xc3\xa4@b.c>"), D("RCPT <\xc3\xa4@b.c>"),
            S("250 2.1.5 Recipient OK") } },
    { "tolerated paths", &tolerant,
        { HELO, C("MAIL FROM: <a@b.c>"), D("MAIL <a@b.c>"), S("250 2.1.0 Sender OK"),
            C("RCPT TO:d@e.f"), D("RCPT <d@e.f>"), S("250 2.1.5 Recipient OK") } },
    { "names of clients", &patient,
        { HI, C("HELO my_printer"), D("ERROR"), S(BAD_NAME), C("EHLO 192.0.2.1"), D("ERROR"),
            S(BAD_NAME), C("HELO fe80::1"), D("ERROR"), S(BAD_NAME), C("HELO [192.0.2.1]"),
            D("HELO [192.0.2.1]"), S("250 mx.test") } },
    { "tolerated names of clients", &tolerant,
        { HI, C("HELO my_printer"), D("HELO my_printer"), S("250 mx.test"), C("HELO 192.0.2.1"),
            D("HELO 192.0.2.1"), S("250 mx.test"), C("HELO HP LaserJet"), D("HELO HP"),
            S("250 mx.test"), C("HELO"), D("HELO "), S("250 mx.test"), C("HELO a\tb"),
            D("ERROR"), S(BAD_NAME) } },
    { "no HELO at all", &tolerant,
        { HI, FROM, TO, DATA, C("."), D("STORE "), STORED, FROM, C("RSET"), D("RESET"),
            S("250 2.0.0 Reset") } },
    { "no HELO, and what it does not open", &tolerant,
        { HI, C("RCPT TO:<d@e.f>"), D("ERROR"), S("503 5.5.1 Send EHLO or HELO first"),
            C("MAIL FROM:<refused@b.c>"), D("MAIL <refused@b.c>"), S("550 5.7.1 no"), FROM } },
    { "the order of commands", &patient,
        { HI, C("MAIL FROM:<a@b.c>"), D("ERROR"), S("503 5.5.1 Send EHLO or HELO first"),
            C("HELO c"), D("HELO c"), S("250 mx.test"), C("RCPT TO:<d@e.f>"), D("ERROR"),
            S("503 5.5.1 Send MAIL first"), C("DATA"), D("ERROR"),
            S("503 5.5.1 Send MAIL first"), FROM, C("MAIL FROM:<a@b.c>"), D("ERROR"),
            S("503 5.5.1 Not during a transaction"), C("DATA"),
            S("554 5.5.1 No valid recipients"), TO, C("AUTH PLAIN"), D("ERROR"),
            S("503 5.5.1 Not during a transaction"), C("STARTTLS"), D("ERROR"),
            S("503 5.5.1 Not during a transaction") } },
    { "what else there is", &patient,
        { HI, NOOP, C("NOOP with words"), S("250 2.0.0 OK"), C("VRFY a"),
            S("252 2.1.5 Cannot verify, but will accept and try"), C("VRFY"), D("ERROR"),
            S("501 5.5.4 Syntax: VRFY address"), C("EXPN list"), D("ERROR"),
            S("502 5.5.1 EXPN is not done here"), C("HELP"),
            S("214-2.0.0 HELO EHLO MAIL RCPT DATA BDAT RSET NOOP QUIT"),
            S("214 2.0.0 VRFY HELP STARTTLS AUTH"), C("ETRN x"), D("ERROR"),
            S("500 5.5.1 Command not recognised"), C(""), D("ERROR"),
            S("500 5.5.1 Command not recognised"), C("STARTTLS"), D("ERROR"),
            S("502 5.5.1 STARTTLS is not offered"), C("RSET"), S("250 2.0.0 Reset"),
            C("RSET x"), D("ERROR"), S("501 5.5.4 Syntax: RSET") } },
    { "spaces around a command", &plain,
        { HI, C("noop  "), S("250 2.0.0 OK"), C("  NoOp"), S("250 2.0.0 OK") } },
    { "a refused MAIL: pipelined commands behind it are no faults", &plain,
        { HELO, C("MAIL FROM:<refused@b.c>"), D("MAIL <refused@b.c>"), S("550 5.7.1 no"),
            C("RCPT TO:<d@e.f>"), S("503 5.5.1 Send MAIL first"), C("RCPT TO:<d@e.f>"),
            S("503 5.5.1 Send MAIL first"), C("RCPT TO:<d@e.f>"),
            S("503 5.5.1 Send MAIL first"), C("RCPT TO:<d@e.f>"),
            S("503 5.5.1 Send MAIL first"), C("DATA"), S("503 5.5.1 Send MAIL first"), FROM } },
    { "refused recipients", &plain,
        { HELO, FROM, C("RCPT TO:<refused@e.f>"), D("RCPT <refused@e.f>"), S("550 5.7.1 no"),
            C("DATA"), S("554 5.5.1 No valid recipients"), TO, C("RCPT TO:<refused@e.f>"),
            D("RCPT <refused@e.f>"), S("550 5.7.1 no"), DATA, C("x"), C("."), D("STORE x\r\n"),
            STORED } },
    { "too many recipients, and the message goes on", &plain,
        { HELO, FROM, TO, TO, C("RCPT TO:<d@e.f>"), S("452 4.5.3 too many recipients"), DATA,
            C("x"), C("."), D("STORE x\r\n"), STORED, FROM, TO } },
    { "RSET and a second HELO forget", &plain,
        { HELO, FROM, C("RSET"), D("RESET"), S("250 2.0.0 Reset"), FROM, TO, C("HELO c"),
            D("HELO c"), D("RESET"), S("250 mx.test"), FROM, C("HELO refused"),
            D("HELO refused"), S("550 5.7.1 no"), TO, C("QUIT"), S("221 2.0.0 Bye"), D("RESET"),
            D("CLOSE") } },
    { "the driver refuses DATA", &plain,
        { HELO, C("MAIL FROM:<full@b.c>"), D("MAIL <full@b.c>"), S("250 2.1.0 Sender OK"), TO,
            C("DATA"), D("BEGIN"), S("452 4.3.1 full"), D("RESET"), FROM } },
    { "the driver fails in the middle, or refuses at the end", &plain,
        { HELO, FROM, TO, DATA, C("BOOM"), C("x"), C("x"), C("."), S("451 4.3.0 boom"), FROM,
            TO, DATA, C("UNWANTED"), C("."), D("STORE UNWANTED\r\n"), S("554 5.7.1 unwanted"),
            FROM } },
    { "DATA with words", &plain,
        { HELO, FROM, TO, C("DATA x"), D("ERROR"), S("501 5.5.4 Syntax: DATA"), DATA, C("."),
            D("STORE "), STORED } },
    { "as large as may be", &plain,
        { HELO, FROM, TO, DATA, C(FIFTY), C("1234567890123456789012345678901234567890123456"),
            C("."), D("STORE " FIFTY "\r\n1234567890123456789012345678901234567890123456\r\n"),
            STORED } },
    { "one byte too large", &plain,
        { HELO, FROM, TO, DATA, C(FIFTY), C("12345678901234567890123456789012345678901234567"),
            C("."), D("ABANDON"), TOO_LARGE, FROM } },
    { "too many errors", &plain,
        { HI, C("A"), D("ERROR"), S("500 5.5.1 Command not recognised"), C("B"), D("ERROR"),
            S("500 5.5.1 Command not recognised"), NOOP, C("C"), D("ERROR"),
            S("500 5.5.1 Command not recognised"), C("D"), D("ERROR"),
            S("421 4.7.0 Too many errors"), D("CLOSE"), C("NOOP") } },
    { "too many mails", &two_mails,
        { HELO, FROM, TO, DATA, C("."), D("STORE "), STORED, FROM, C("RSET"), D("RESET"),
            S("250 2.0.0 Reset"), C("MAIL FROM:<a@b.c>"),
            S("421 4.7.0 Too many messages in this session"), D("CLOSE") } },
    { "stopped", &plain,
        { HELO, FROM, TO, DATA, C("x"), STOP, S("421 4.3.2 going"), D("ABANDON"),
            D("CLOSE") } },
    { "421 from the driver closes", &plain,
        { HELO, FROM, C("RCPT TO:<closing@e.f>"), D("RCPT <closing@e.f>"), S("421 4.3.2 bye"),
            D("RESET"), D("CLOSE"), C("NOOP") } },
};

/* SM-2: nothing but CRLF . CRLF ends content, nothing but CRLF a command. */
static const struct dialogue smuggling[] = {
    { "a bare LF in a command", &plain,
        { HI, RAW("NOOP\nQUIT\r\n"), D("ERROR"),
            S("500 5.5.2 Lines end with CR LF; bare CR, LF or NUL"), NOOP } },
    { "a bare CR in a command", &plain,
        { HI, RAW("NOOP\rQUIT\r\n"), D("ERROR"),
            S("500 5.5.2 Lines end with CR LF; bare CR, LF or NUL"), NOOP } },
    { "a NUL in a command", &plain,
        { HI, RAW("NO\0OP\r\n"), D("ERROR"),
            S("500 5.5.2 Lines end with CR LF; bare CR, LF or NUL"), NOOP } },
    { "a client that knows bare LF alone hears it each time", &plain,
        { HI, RAW("HELO c\n"), WAIT, D("ERROR"),
            S("500 5.5.2 Lines end with CR LF; bare CR, LF or NUL"), RAW("QUIT\n"), WAIT,
            D("ERROR"), S("500 5.5.2 Lines end with CR LF; bare CR, LF or NUL") } },
    { "tolerated bare LF", &tolerant,
        { HI, RAW("HELO c\n"), D("HELO c"), S("250 mx.test"), FROM, TO, DATA,
            RAW("a\nb\rc\n.\nd\r\n"), C("."), D("STORE a\r\nb\r\nc\r\n.\r\nd\r\n"), STORED } },
    { "LF . LF", &plain,
        { HELO, FROM, TO, DATA, RAW("a\n.\nMAIL FROM:<x@y.z>\r\n.\r\n"), D("ABANDON"), BARE,
            NOOP } },
    { "CR . CR", &plain,
        { HELO, FROM, TO, DATA, RAW("a\r.\rQUIT\r\n.\r\n"), D("ABANDON"), BARE, NOOP } },
    { "CRLF . LF", &plain,
        { HELO, FROM, TO, DATA, RAW("a\r\n.\nQUIT\r\n.\r\n"), D("ABANDON"), BARE, NOOP } },
    { "CRLF . CR", &plain,
        { HELO, FROM, TO, DATA, RAW("a\r\n.\rQUIT\r\n.\r\n"), D("ABANDON"), BARE, NOOP } },
    { "LF . CRLF", &plain,
        { HELO, FROM, TO, DATA, RAW("a\n.\r\nQUIT\r\n.\r\n"), D("ABANDON"), BARE, NOOP } },
    { "CR CRLF . CRLF", &plain,
        { HELO, FROM, TO, DATA, RAW("a\r\r\n.\r\n"), D("ABANDON"), BARE, NOOP } },
    { "CRLF . NUL CRLF", &plain,
        { HELO, FROM, TO, DATA, RAW("a\r\n.\0\r\n.\r\n"), D("ABANDON"), NUL_IN_IT, NOOP } },
    { "bare before NUL or behind it: the same answer", &plain,
        { HELO, FROM, TO, DATA, RAW("\0\n\r\n.\r\n"), D("ABANDON"), BARE, FROM, TO, DATA,
            RAW("\n\0\r\n.\r\n"), D("ABANDON"), BARE, NOOP } },
    { "NUL is not tolerated", &tolerant,
        { HELO, FROM, TO, DATA, RAW("a\0\n.\r\n.\r\n"), D("ABANDON"), NUL_IN_IT, NOOP } },
};

static const struct dialogue bdat[] = {
    { "one chunk", &plain,
        { HELO, FROM, TO, RAW("BDAT 5 LAST\r\na\r\n.\n"), D("BEGIN"), D("ABANDON"), BARE, FROM,
            TO, RAW("BDAT 6 LAST\r\n.\r\n..b"), D("BEGIN"), D("STORE .\r\n..b"), STORED } },
    { "many chunks", &plain,
        { HELO, FROM, TO, RAW("BDAT 3\r\nab\r"), D("BEGIN"), CHUNK, RAW("bdat 1\r\n\n"), CHUNK,
            C("BDAT 0"), CHUNK, NOOP, RAW("BDAT 2 last\r\ncd"), D("STORE ab\r\ncd"), STORED,
            FROM } },
    { "nothing at all", &plain,
        { HELO, FROM, TO, C("BDAT 0 LAST"), D("BEGIN"), D("STORE "), STORED } },
    { "an empty end", &plain,
        { HELO, FROM, TO, RAW("BDAT 2\r\nab"), D("BEGIN"), CHUNK, C("BDAT 0 LAST"),
            D("STORE ab"), STORED } },
    { "chunks that look like commands", &plain,
        { HELO, FROM, TO, RAW("BDAT 6\r\nQUIT\r\n"), D("BEGIN"), CHUNK,
            RAW("BDAT 6 LAST\r\nRSET\r\n"), D("STORE QUIT\r\nRSET\r\n"), STORED } },
    { "a CR at the very end is bare", &plain,
        { HELO, FROM, TO, RAW("BDAT 2\r\na\r"), D("BEGIN"), CHUNK, C("BDAT 0 LAST"),
            D("ABANDON"), BARE } },
    { "a bare byte ends the message at its chunk", &plain,
        { HELO, FROM, TO, RAW("BDAT 3\r\na\nb"), D("BEGIN"), D("ABANDON"), BARE,
            RAW("BDAT 4\r\nQUIT"), S("503 5.5.1 Send MAIL first"), RAW("BDAT 2 LAST\r\n\r\n"),
            S("503 5.5.1 Send MAIL first"), RAW("BDAT 2 LAST\r\n\r\n"),
            S("503 5.5.1 Send MAIL first"), RAW("BDAT 2 LAST\r\n\r\n"),
            S("503 5.5.1 Send MAIL first"), FROM } },
    { "tolerated, a bare CR at the end too", &tolerant,
        { HELO, FROM, TO, RAW("BDAT 3 LAST\r\na\n\r"), D("BEGIN"), D("STORE a\r\n\r\n"),
            STORED } },
    { "BINARYMIME takes every byte", &plain,
        { HELO, C("MAIL FROM:<a@b.c> BODY=BINARYMIME"), D("MAIL <a@b.c> binary"),
            S("250 2.1.0 Sender OK"), TO, C("DATA"), D("ERROR"),
            S("503 5.5.1 BINARYMIME needs BDAT"), RAW("BDAT 6 LAST\r\n\0\n\r\0.\r"), D("BEGIN"),
            D("STORE \0\n\r\0.\r"), STORED } },
    { "without MAIL the chunk is thrown away", &plain,
        { HI, RAW("BDAT 6\r\nQUIT\r\n"), D("ERROR"), S("503 5.5.1 Send MAIL first"),
            C("HELO c"), D("HELO c"), S("250 mx.test"), RAW("BDAT 4\r\nQUIT"), D("ERROR"),
            S("503 5.5.1 Send MAIL first"), FROM, RAW("BDAT 4 LAST\r\nQUIT"),
            S("554 5.5.1 No valid recipients"), C("BDAT 0 LAST"),
            S("554 5.5.1 No valid recipients"), TO } },
    { "the driver refuses: the chunk is read first", &plain,
        { HELO, C("MAIL FROM:<full@b.c>"), D("MAIL <full@b.c>"), S("250 2.1.0 Sender OK"), TO,
            RAW("BDAT 6\r\nQUIT\r\n"), D("BEGIN"), D("RESET"), S("452 4.3.1 full"),
            RAW("BDAT 6 LAST\r\nQUIT\r\n"), S("503 5.5.1 Send MAIL first"), FROM } },
    { "the driver fails in the last chunk", &plain,
        { HELO, FROM, TO, RAW("BDAT 6 LAST\r\nBOOM\r\n"), D("BEGIN"), S("451 4.3.0 boom"),
            FROM } },
    { "the driver fails between two chunks", &plain,
        { HELO, FROM, TO, RAW("BDAT 1\r\na"), D("BEGIN"), CHUNK, FAIL,
            RAW("BDAT 6\r\nQUIT\r\n"), S("451 4.3.0 failed"), RAW("BDAT 6 LAST\r\nQUIT\r\n"),
            S("503 5.5.1 Send MAIL first"), FROM } },
    { "too large by its first chunk", &plain,
        { HELO, FROM, TO, RAW("BDAT 101 LAST\r\n" FIFTY FIFTY "x"), D("BEGIN"), D("ABANDON"),
            TOO_LARGE, NOOP } },
    { "too large by its second chunk", &plain,
        { HELO, FROM, TO, RAW("BDAT 50\r\n" FIFTY), D("BEGIN"), CHUNK,
            RAW("BDAT 51\r\n" FIFTY "x"), D("ABANDON"), TOO_LARGE, RAW("BDAT 2 LAST\r\nab"),
            S("503 5.5.1 Send MAIL first"), FROM } },
    { "as large as may be", &plain,
        { HELO, FROM, TO, RAW("BDAT 50\r\n" FIFTY), D("BEGIN"), CHUNK,
            RAW("BDAT 50 LAST\r\n" FIFTY), D("STORE " FIFTY FIFTY), STORED } },
    { "between chunks", &patient,
        { HELO, FROM, TO, RAW("BDAT 1\r\na"), D("BEGIN"), CHUNK, C("DATA"), D("ERROR"),
            S("503 5.5.1 Not during a transaction"), C("RCPT TO:<d@e.f>"), D("ERROR"),
            S("503 5.5.1 Not during a transaction"), C("MAIL FROM:<>"), D("ERROR"),
            S("503 5.5.1 Not during a transaction"), C("HELO refused"), D("HELO refused"),
            S("550 5.7.1 no"), C("RSET"), D("ABANDON"), S("250 2.0.0 Reset"), FROM, TO,
            RAW("BDAT 1\r\na"), D("BEGIN"), CHUNK, C("HELO c"), D("HELO c"), D("ABANDON"),
            S("250 mx.test"), FROM } },
    { "QUIT between chunks", &plain,
        { HELO, FROM, TO, RAW("BDAT 1\r\na"), D("BEGIN"), CHUNK, C("QUIT"), S("221 2.0.0 Bye"),
            D("ABANDON"), D("CLOSE") } },
    { "stopped in a chunk", &plain,
        { HELO, FROM, TO, RAW("BDAT 2\r\na"), D("BEGIN"), STOP, S("421 4.3.2 going"),
            D("ABANDON"), D("CLOSE") } },
    { "a size that is none ends the session", &plain,
        { HELO, FROM, TO, C("BDAT x"), C("QUIT"), D("ERROR"),
            S("501 5.5.4 Syntax: BDAT size [LAST]; closing"), D("RESET"), D("CLOSE") } },
    { "a size that no machine has", &plain,
        { HELO, FROM, TO, C("BDAT 18446744073709551616 LAST"), D("ERROR"),
            S("501 5.5.4 Syntax: BDAT size [LAST]; closing"), D("RESET"), D("CLOSE") } },
    { "a size to overflow a sum", &plain,
        { HELO, FROM, TO, RAW("BDAT 1\r\na"), D("BEGIN"), CHUNK,
            RAW("BDAT 18446744073709551615 LAST\r\nQUIT\r\n"), D("ABANDON") } },
};

static const struct dialogue tls_and_auth[] = {
    { "STARTTLS forgets", &starttls,
        { HI, C("EHLO c"), D("EHLO c"), S("250-mx.test"), EXTENSIONS, S("250-LIMITS RCPTMAX=2"),
            S("250-STARTTLS"), S("250 SIZE 100"), C("STARTTLS x"), D("ERROR"),
            S("501 5.5.4 Syntax: STARTTLS"), C("STARTTLS"), D("TLS"),
            S("220 2.0.0 Ready to start TLS"), WAIT, C("MAIL FROM:<a@b.c>"), D("ERROR"),
            S("503 5.5.1 Send EHLO or HELO first"), C("EHLO c"), D("EHLO c"), S("250-mx.test"),
            EXTENSIONS, S("250-LIMITS RCPTMAX=2"), S("250-AUTH PLAIN LOGIN"), S("250 SIZE 100"),
            C("STARTTLS"), D("ERROR"), S("503 5.5.1 TLS is on already") } },
    { "TLS from the first byte", &with_tls,
        { HI, C("EHLO c"), D("EHLO c"), S("250-mx.test"), EXTENSIONS, S("250-LIMITS RCPTMAX=2"),
            S("250-AUTH PLAIN LOGIN"), S("250 SIZE 100") } },
    { "TLS is required", &needs_tls,
        { HELO, C("MAIL FROM:<a@b.c>"), S("530 5.7.0 Must issue a STARTTLS command first"),
            C("AUTH PLAIN AHUAc2VjcmV0"), D("ERROR"),
            S("530 5.7.0 Must issue a STARTTLS command first"), C("STARTTLS"), D("TLS"),
            S("220 2.0.0 Ready to start TLS"), WAIT, C("HELO c"), D("HELO c"), S("250 mx.test"),
            FROM } },
    { "AUTH before TLS", &starttls,
        { HELO, C("AUTH PLAIN AHUAc2VjcmV0"), D("ERROR"),
            S("538 5.7.11 Encryption required for authentication") } },
    { "AUTH is required", &needs_auth,
        { HELO, C("MAIL FROM:<a@b.c>"), S("530 5.7.0 Authentication required"),
            C("AUTH PLAIN AHUAc2VjcmV0"), { 'D', BYTES("AUTH PLAIN [\0u\0secret]\n") },
            S("235 2.7.0 Authenticated"), FROM, C("RSET"), D("RESET"), S("250 2.0.0 Reset"),
            C("AUTH PLAIN AHUAc2VjcmV0"), D("ERROR"), S("503 5.5.1 Authenticated already") } },
    { "no response in the command", &needs_auth,
        { HELO, C("AUTH plain"), D("AUTH plain"), S("334 VXNlcm5hbWU6"), C("c2VjcmV0"),
            D("RESPONSE [secret]"), S("235 2.7.0 Authenticated") } },
    { "an empty response in the command", &needs_auth,
        { HELO, C("AUTH PLAIN ="), D("AUTH PLAIN []"), S("535 5.7.8 wrong"), NOOP } },
    { "LOGIN, and an empty line", &needs_auth,
        { HELO, C("AUTH LOGIN"), D("AUTH LOGIN"), S("334 VXNlcm5hbWU6"), C(""),
            D("RESPONSE []"), S("334 UGFzc3dvcmQ6"), C("c2VjcmV0"), D("RESPONSE [secret]"),
            S("235 2.7.0 Authenticated") } },
    { "LOGIN with the name in the command; wrong", &needs_auth,
        { HELO, C("AUTH LOGIN dQ=="), D("AUTH LOGIN [u]"), S("334 UGFzc3dvcmQ6"), C("dQ=="),
            D("RESPONSE [u]"), S("535 5.7.8 wrong"), C("MAIL FROM:<a@b.c>"),
            S("530 5.7.0 Authentication required") } },
    { "cancelled", &needs_auth,
        { HELO, C("AUTH LOGIN"), D("AUTH LOGIN"), S("334 VXNlcm5hbWU6"), C("*"), D("CANCEL"),
            D("ERROR"), S("501 5.7.0 Authentication cancelled"), NOOP } },
    { "no base64", &patient,
        { HELO, C("AUTH PLAIN x"), D("ERROR"), S("502 5.5.1 AUTH is not offered") } },
    { "no base64 where it is offered", &needs_auth,
        { HELO, C("AUTH PLAIN dQ="), D("ERROR"), S("501 5.5.2 Not base64"), C("AUTH LOGIN"),
            D("AUTH LOGIN"), S("334 VXNlcm5hbWU6"), C("dR=="), D("CANCEL"), D("ERROR"),
            S("501 5.5.2 Not base64"), NOOP } },
    { "bad AUTH", &needs_auth,
        { HELO, C("AUTH"), D("ERROR"), S("501 5.5.4 Syntax: AUTH mechanism [response]"),
            C("AUTH NTLM"), D("ERROR"), S("504 5.5.4 Unknown mechanism"), C("AUTH PLAIN a b"),
            D("ERROR"), S("501 5.5.4 Syntax: AUTH mechanism [response]") } },
    { "a bare LF in an answer", &needs_auth,
        { HELO, C("AUTH LOGIN"), D("AUTH LOGIN"), S("334 VXNlcm5hbWU6"), RAW("dQ==\nNOOP\r\n"),
            D("CANCEL"), D("ERROR"), S("500 5.5.2 Lines end with CR LF; bare CR, LF or NUL"),
            NOOP } },
    { "the log sees no credentials", &logged,
        { HI, C("EHLO c"), D("LINE EHLO c"), D("EHLO c"), S("250-mx.test"), EXTENSIONS,
            S("250-LIMITS RCPTMAX=2"), S("250-AUTH PLAIN LOGIN"), S("250 SIZE 100"),
            C("AUTH NTLM c2VjcmV0"), D("LINE AUTH NTLM"), D("ERROR"),
            S("504 5.5.4 Unknown mechanism"), C("c2VjcmV0"), D("LINE (not shown)"), D("ERROR"),
            S("500 5.5.1 Command not recognised"), C("AUTH LOGIN"), D("LINE AUTH LOGIN"),
            D("AUTH LOGIN"), S("334 VXNlcm5hbWU6"), C("c2VjcmV0"), D("LINE (not shown)"),
            D("RESPONSE [secret]"), S("334 UGFzc3dvcmQ6"), C("*"), D("LINE *"), D("CANCEL"),
            D("ERROR"), S("501 5.7.0 Authentication cancelled"), C("noop"), D("LINE noop"),
            S("250 2.0.0 OK") } },
};

static struct bytes gather(const struct dialogue *dialogue, char who, struct buf *out)
{
    buf_clear(out);
    for (size_t i = 0; i < LINES_MAX && dialogue->lines[i].who; i++)
        if (dialogue->lines[i].who == who)
            assert_int_equal(buf_add(out, dialogue->lines[i].text), OK);
    return buf_bytes(out);
}

/* The client's bytes up to the next WAIT, STOP or FAIL are one run, that is cut. */
static void play(
    struct driver *driver, const struct dialogue *dialogue, size_t cut, size_t step)
{
    struct buf in;

    buf_init(&in, 1 << 20);
    driver_init(driver, dialogue->config);
    run_event(driver, SMTP_SERVER_OPENED, BYTES_NONE);
    for (size_t i = 0; i < LINES_MAX; i++) { /* the last one is empty */
        char who = dialogue->lines[i].who;
        if (who == 'C')
            assert_int_equal(buf_add(&in, dialogue->lines[i].text), OK);
        if (who == 'C' || who == 'S' || who == 'D')
            continue;
        run_input(driver, buf_bytes(&in), cut, step);
        buf_clear(&in);
        if (!who)
            break;
        driver->verdict = who == 'X' ? say(421, STATUS(4, 3, 2), "going")
                                     : say(451, STATUS(4, 3, 0), "failed");
        if (who == 'X')
            run_event(driver, SMTP_SERVER_STOPPED, BYTES_NONE);
        driver->is_failed |= who == 'F';
        if (who == 'F')
            run_event(driver, SMTP_SERVER_BODY_FAILED, BYTES_NONE);
    }
    buf_done(&in);
}

static void check_dialogue(const struct dialogue *dialogue, size_t cut, size_t step)
{
    struct driver driver;
    struct buf want;
    char name[160];

    snprintf(name, sizeof name, "%s (cut at %zu, then by %zu)", dialogue->name, cut, step);
    check(dialogue->name, dialogue->lines[LINES_MAX - 1].who == 0);
    buf_init(&want, 1 << 20);
    play(&driver, dialogue, cut, step);
    check_bytes(name, buf_bytes(&driver.said), gather(dialogue, 'S', &want));
    check_bytes(name, buf_bytes(&driver.done), gather(dialogue, 'D', &want));
    driver_done(&driver);
    buf_done(&want);
}

static void check_dialogues(const struct dialogue *dialogues, size_t n)
{
    struct buf in;

    buf_init(&in, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        size_t length = gather(&dialogues[i], 'C', &in).n;
        for (size_t cut = 0; cut <= length; cut++)
            check_dialogue(&dialogues[i], cut, length);
        check_dialogue(&dialogues[i], 0, 1);
    }
    buf_done(&in);
}

static void speaks_smtp(void **state)
{
    (void)state;
    check_dialogues(core, CASES(core));
}

static void is_not_smuggled_past(void **state)
{
    (void)state;
    check_dialogues(smuggling, CASES(smuggling));
}

static void takes_chunks(void **state)
{
    (void)state;
    check_dialogues(bdat, CASES(bdat));
}

static void does_tls_and_auth(void **state)
{
    (void)state;
    check_dialogues(tls_and_auth, CASES(tls_and_auth));
}

static struct smtp_server_actions step(
    struct driver *driver, enum smtp_server_event_type type, struct bytes in)
{
    struct smtp_server_actions actions;

    buf_clear(&driver->said);
    give(driver, type, in, &actions);
    return actions;
}

static void open_and_send(struct driver *driver, const char *text)
{
    driver_init(driver, &plain);
    run_event(driver, SMTP_SERVER_OPENED, BYTES_NONE);
    run_input(driver, bytes_text(text), 1000, 1000);
}

/* What the engine refuses without asking is told, with its rule, in any split. */
static const struct {
    const char *name;
    const struct smtp_server_config *config;
    const char *text, *want;
} rejections[] = {
    { "order and syntax", &patient,
        "MAIL FROM:<a@b>\r\nHELO a_b\r\nHELO c\r\nRCPT TO:<a@b>\r\nMAIL FROM:a@b\r\nMAIL "
        "FROM:<a@b> X=Y\r\nXYZZY\r\nEXPN a\r\nAUTH PLAIN\r\nSTARTTLS\r\n",
        "MAIL sequence  503\nHELO syntax a_b 501\nRCPT sequence  503\nMAIL syntax  501\n"
        "MAIL syntax  555\nCOMMAND unknown-command  500\nEXPN not-offered  502\n"
        "AUTH not-offered  502\nSTARTTLS not-offered  502\n" },
    { "lines", &patient, "HELO c\nNOOP\r\n", "COMMAND line-end  500\n" },
    { "errors", &plain, "X\r\nX\r\nX\r\nX\r\nX\r\n",
        "COMMAND unknown-command  500\nCOMMAND unknown-command  500\n"
        "COMMAND unknown-command  500\nCOMMAND errors  421\n" },
    { "size, and too many recipients, once", &plain,
        "HELO c\r\nMAIL FROM:<a@b> SIZE=101\r\nRCPT TO:<c@d>\r\nMAIL FROM:<a@b>\r\nRCPT "
        "TO:<c@d>\r\nRCPT TO:<e@f>\r\nRCPT TO:<g@h>\r\nRCPT TO:<i@j>\r\nRSET\r\n",
        "MAIL size a@b 552\nRCPT recipients g@h 452\n" },
    { "no recipients", &plain, "HELO c\r\nMAIL FROM:<a@b>\r\nDATA\r\nBDAT 3 LAST\r\nabc",
        "DATA no-recipients  554\nBDAT no-recipients  554\n" },
    { "a chunk out of order", &plain, "HELO c\r\nBDAT 3 LAST\r\nabc", "BDAT sequence  503\n" },
    { "content", &plain,
        "HELO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\na\nb\r\n.\r\nMAIL "
        "FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 101 LAST\r\n"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901"
        "2345678901234567890",
        "DATA bare-line-end  550\nBDAT size  552\n" },
    { "TLS first", &needs_tls, "EHLO c\r\nAUTH PLAIN\r\nMAIL FROM:<a@b>\r\n",
        "AUTH tls  530\nMAIL tls  530\n" },
    { "AUTH first", &needs_auth, "EHLO c\r\nMAIL FROM:<a@b>\r\nAUTH X\r\n",
        "MAIL authentication  530\nAUTH not-offered  504\n" },
    { "cancelled", &needs_auth, "EHLO c\r\nAUTH PLAIN\r\n*\r\n", "AUTH syntax  501\n" },
    { "the driver's own", &plain,
        "HELO c\r\nMAIL FROM:<refused@b>\r\nMAIL FROM:<full@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
        "" },
};

static void what_is_refused_has_a_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES(rejections); i++) {
        struct bytes text = bytes_text(rejections[i].text);
        for (size_t cut = 0; cut <= text.n; cut++) {
            struct driver driver;
            driver_init(&driver, rejections[i].config);
            run_event(&driver, SMTP_SERVER_OPENED, BYTES_NONE);
            run_input(&driver, text, cut, text.n);
            check_bytes(rejections[i].name, buf_bytes(&driver.rejected),
                bytes_text(rejections[i].want));
            driver_done(&driver);
        }
    }
}

#define TO_REFUSED "RCPT TO:<refused@e.f>\r\n"

/* Refusals are counted, so that the driver can wait after each; in any split. */
static void each_refusal_is_counted(void **state)
{
    static const struct {
        const char *name, *text;
        const struct smtp_server_config *config;
        uint32_t want;
    } cases[] = {
        { "none", "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRSET\r\nNOOP\r\n", &plain, 0 },
        { "of faults", "X\r\nX\r\nHELO\r\nHELO c\r\nDATA\r\nEXPN a\r\n", &patient, 5 },
        { "of addresses", "HELO c\r\nMAIL FROM:<>\r\n" TO_REFUSED TO_REFUSED TO_REFUSED, &plain,
            3 },
        { "what follows from a refused MAIL is no other one",
            "HELO c\r\nMAIL FROM:<refused@b>\r\n" TO_REFUSED TO_REFUSED "DATA\r\n", &plain, 1 },
        { "no recipients", "HELO c\r\nMAIL FROM:<>\r\nDATA\r\nBDAT 2 LAST\r\nxx", &plain, 2 },
        { "of content",
            "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\na\nb\r\n.\r\nMAIL FROM:<>\r\n"
            "RCPT TO:<a@b>\r\nDATA\r\nUNWANTED\r\n.\r\n",
            &plain, 2 },
        { "4xx is none",
            "HELO c\r\nMAIL FROM:<full@b>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n"
            "RCPT TO:<e@f>\r\nDATA\r\n",
            &plain, 0 },
        { "a wrong password, and no mechanism", "EHLO c\r\nAUTH PLAIN eA==\r\nAUTH X\r\n",
            &needs_auth, 2 },
        { "the last error closes", "X\r\nX\r\nX\r\nX\r\n", &plain, 3 },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct bytes text = bytes_text(cases[i].text);
        for (size_t cut = 0; cut <= text.n; cut++) {
            struct driver driver;
            driver_init(&driver, cases[i].config);
            run_event(&driver, SMTP_SERVER_OPENED, BYTES_NONE);
            run_input(&driver, text, cut, text.n);
            if (driver.server.refusal_count != cases[i].want)
                fail_msg("%s: %u", cases[i].name, driver.server.refusal_count);
            driver_done(&driver);
        }
    }
}

#define UP_TO_RCPT "HELO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n"

/* The session is stopped in every state, and what the driver still owed comes too late. */
static void stops_in_every_state(void **state)
{
    static const struct {
        const char *before, *then; /* THEN is not answered by the driver */
        enum smtp_server_state state;
        const char *done; /* the first letters of the actions */
        enum smtp_server_event_type late;
    } cases[] = {
        { "", "", SMTP_SERVER_HELLO, "C", SMTP_SERVER_INPUT },
        { "", "HELO c\r\n", SMTP_SERVER_DECIDING, "C", SMTP_SERVER_DECIDED },
        { "HELO c\r\n", "", SMTP_SERVER_READY, "C", SMTP_SERVER_INPUT },
        { "HELO c\r\n", "MAIL FROM:<>\r\n", SMTP_SERVER_DECIDING, "C", SMTP_SERVER_DECIDED },
        { "HELO c\r\nMAIL FROM:<>\r\n", "", SMTP_SERVER_MAIL, "RC", SMTP_SERVER_INPUT },
        { UP_TO_RCPT, "", SMTP_SERVER_RCPT, "RC", SMTP_SERVER_INPUT },
        { UP_TO_RCPT, "DATA\r\n", SMTP_SERVER_DECIDING, "RC", SMTP_SERVER_DECIDED },
        { UP_TO_RCPT "DATA\r\n", "", SMTP_SERVER_DATA, "AC", SMTP_SERVER_BODY_FAILED },
        { UP_TO_RCPT "BDAT 9\r\nx", "", SMTP_SERVER_BDAT, "AC", SMTP_SERVER_BODY_FAILED },
        { UP_TO_RCPT "DATA\r\n", ".\r\n", SMTP_SERVER_COMMITTING, "C", SMTP_SERVER_STORED },
        { UP_TO_RCPT "DATA\r\n", ".\r\n", SMTP_SERVER_COMMITTING, "C", SMTP_SERVER_REFUSED },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct driver driver;
        struct smtp_server_actions actions;
        char done[4] = "";

        open_and_send(&driver, cases[i].before);
        step(&driver, SMTP_SERVER_INPUT, bytes_text(cases[i].then));
        check(cases[i].before, driver.server.state == cases[i].state);
        driver.verdict = say(421, STATUS(4, 3, 2), "going");
        actions = step(&driver, SMTP_SERVER_STOPPED, BYTES_NONE);
        check_bytes(cases[i].before, buf_bytes(&driver.said), BYTES("421 4.3.2 going\r\n"));
        for (unsigned k = 0; k < actions.count && k < 3; k++)
            done[k] = actions.list[k].type == SMTP_SERVER_RESET          ? 'R'
                      : actions.list[k].type == SMTP_SERVER_BODY_ABANDON ? 'A'
                      : actions.list[k].type == SMTP_SERVER_CLOSE        ? 'C'
                                                                         : '?';
        check_bytes(cases[i].before, bytes_text(done), bytes_text(cases[i].done));
        driver.verdict = say(250, STATUS(2, 0, 0), "late");
        actions = step(&driver, cases[i].late, BYTES("NOOP\r\n"));
        check(cases[i].before, actions.count == 0 && driver.said.n == 0);
        driver_done(&driver);
    }
}

static void stops_before_the_banner(void **state)
{
    struct driver driver;

    (void)state;
    driver_init(&driver, &plain);
    driver.verdict = say(554, STATUS(5, 7, 1), "no connector");
    run_event(&driver, SMTP_SERVER_STOPPED, BYTES_NONE);
    check_bytes("banner", buf_bytes(&driver.said), BYTES("554 5.7.1 no connector\r\n"));
    assert_true(driver.is_closed);
    driver_done(&driver);
}

/* A line in clear would be read as a part of the handshake. */
static void says_nothing_while_tls_starts(void **state)
{
    struct driver driver;
    struct smtp_server_actions actions;

    (void)state;
    driver_init(&driver, &starttls);
    run_event(&driver, SMTP_SERVER_OPENED, BYTES_NONE);
    actions = step(&driver, SMTP_SERVER_INPUT, BYTES("STARTTLS\r\nNOOP\r\n"));
    assert_int_equal(actions.list[0].type, SMTP_SERVER_START_TLS);
    assert_false(smtp_server_wants_input(&driver.server));
    assert_int_equal(run_event(&driver, SMTP_SERVER_INPUT, BYTES("NOOP\r\n")), 0);
    driver.verdict = say(421, STATUS(4, 3, 2), "going");
    actions = step(&driver, SMTP_SERVER_STOPPED, BYTES_NONE);
    assert_int_equal(actions.list[0].type, SMTP_SERVER_CLOSE);
    assert_int_equal(driver.said.n, 0);
    driver_done(&driver);
}

/* While replies find no room, nothing is read. */
static void reads_no_more_than_it_can_answer(void **state)
{
    struct driver driver;
    struct smtp_server_actions actions;
    struct smtp_server_event event = { .type = SMTP_SERVER_INPUT,
        .input = BYTES("NOOP\r\nNOOP\r\n") };

    (void)state;
    open_and_send(&driver, "");
    assert_int_equal(buf_add(&driver.out, BYTES(FIFTY FIFTY)), OK);
    assert_int_equal(smtp_server_step(&driver.server, &event, &actions, &driver.out), 0);
    buf_clear(&driver.out);
    assert_int_equal(smtp_server_step(&driver.server, &event, &actions, &driver.out), 12);
    check_bytes("out", buf_bytes(&driver.out), BYTES("250 2.0.0 OK\r\n250 2.0.0 OK\r\n"));
    driver_done(&driver);
}

/* A line of LENGTH bytes with its CRLF that begins with START, then NOOP. */
static void send_long(const struct smtp_server_config *config, const char *before,
    const char *start, size_t length, struct driver *driver)
{
    char *text = malloc(length + 6);

    assert_non_null(text);
    memset(text, 'A', length);
    memcpy(text, start, strlen(start));
    memcpy(text + length - 2, "\r\nNOOP\r\n", 8);
    driver_init(driver, config);
    run_event(driver, SMTP_SERVER_OPENED, BYTES_NONE);
    run_input(driver, bytes_text(before), 1000, 1000);
    buf_clear(&driver->said);
    run_input(driver, bytes_of(text, length + 6), 1000, 1000);
    free(text);
}

static void refuses_long_lines(void **state)
{
    static const struct {
        const char *name;
        const struct smtp_server_config *config;
        const char *before, *start;
        size_t length;
        const char *want;
    } cases[] = {
        { "the longest", &plain, "", "NOOP ", 4096, "250 2.0.0 OK\r\n" },
        { "one more", &plain, "", "NOOP ", 4097, "500 5.5.6 Line too long\r\n" },
        { "the longest AUTH", &needs_auth, "HELO c\r\n", "auth PLAIN ", 12285,
            "535 5.7.8 wrong\r\n" },
        { "a longer AUTH", &needs_auth, "HELO c\r\n", "auth PLAIN ", 12289,
            "500 5.5.6 Line too long\r\n" },
        { "the longest response", &needs_auth, "HELO c\r\nAUTH PLAIN\r\n", "A", 12286,
            "535 5.7.8 wrong\r\n" },
        { "a longer response", &needs_auth, "HELO c\r\nAUTH PLAIN\r\n", "A", 20000,
            "500 5.5.6 Line too long\r\n" },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct driver driver;
        char want[80];

        snprintf(want, sizeof want, "%s250 2.0.0 OK\r\n", cases[i].want);
        send_long(cases[i].config, cases[i].before, cases[i].start, cases[i].length, &driver);
        check_bytes(cases[i].name, buf_bytes(&driver.said), bytes_text(want));
        driver_done(&driver);
    }
}

static void keeps_a_large_challenge_within_the_output(void **state)
{
    static uint8_t large[SMTP_SERVER_LINE_BYTES_MAX];
    struct driver driver;
    struct smtp_server_actions actions;

    (void)state;
    driver_init(&driver, &needs_auth);
    run_event(&driver, SMTP_SERVER_OPENED, BYTES_NONE);
    run_input(&driver, BYTES("HELO c\r\n"), 100, 100);
    step(&driver, SMTP_SERVER_INPUT, BYTES("AUTH PLAIN\r\n"));
    actions = step(&driver, SMTP_SERVER_AUTH_CHALLENGE, bytes_of(large, sizeof large));
    assert_int_equal(actions.list[0].type, SMTP_SERVER_AUTH_CANCEL);
    check_bytes("said", buf_bytes(&driver.said), BYTES("454 4.7.0 Challenge too long\r\n"));
    assert_true(smtp_server_wants_input(&driver.server));
    driver_done(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speaks_smtp),
        cmocka_unit_test(is_not_smuggled_past),
        cmocka_unit_test(takes_chunks),
        cmocka_unit_test(does_tls_and_auth),
        cmocka_unit_test(what_is_refused_has_a_rule),
        cmocka_unit_test(each_refusal_is_counted),
        cmocka_unit_test(stops_in_every_state),
        cmocka_unit_test(stops_before_the_banner),
        cmocka_unit_test(says_nothing_while_tls_starts),
        cmocka_unit_test(reads_no_more_than_it_can_answer),
        cmocka_unit_test(refuses_long_lines),
        cmocka_unit_test(keeps_a_large_challenge_within_the_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
