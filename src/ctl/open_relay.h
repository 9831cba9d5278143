/* What strangers try, for `relais test-open-relay` (AD-5). */
#ifndef CTL_OPEN_RELAY_H
#define CTL_OPEN_RELAY_H

#include "policy/settings.h"

/* No such domain is there: RFC 6761, 6.4. */
#define OPEN_RELAY_FOREIGN "open-relay-test.invalid"
#define OPEN_RELAY_SENDER "stranger@other-relay-test.invalid"

enum { OPEN_RELAY_TRICKS = 10, OPEN_RELAY_LANES_MAX = 12, OPEN_RELAY_PATH_BYTES = 400 };

/* A recipient, without its brackets.  IS_OURS: its domain is one of ours; that is no relaying unless
 * it is then sent on by what stands in its local part, which nothing here looks into. */
struct open_relay_trick {
    const char *what;
    char path[OPEN_RELAY_PATH_BYTES];
    bool is_ours;
};
/* The tricks with OURS as the domain of ours. */
void open_relay_tricks(const char *ours, struct open_relay_trick out[OPEN_RELAY_TRICKS]);
/* The senders they are tried with, NULL-ended. */
void open_relay_senders(const char *ours, char own[OPEN_RELAY_PATH_BYTES], const char *out[4]);

/* A client of RANGE whom CONNECTOR takes at BINDING (not a UNIX socket), and not one that has a narrower
 * range around him; a public address where there is such a one.  False: others have all of it. */
struct open_relay_client {
    struct ip ip, local;
    bool is_public;
};
bool open_relay_find_client(const struct settings *settings,
    const struct receive_connector *connector, const struct binding *binding,
    struct ip_range range, struct open_relay_client *out);

enum open_relay_fate { OPEN_RELAY_REFUSED, OPEN_RELAY_ACCEPTED, OPEN_RELAY_NO_ANSWER };
struct open_relay_live {
    char client[64];  /* our own address at the connection */
    char remark[300]; /* the refusal, or why there is no answer */
    bool is_refused;  /* no session, by a reply that is for good */
    bool is_tls;      /* as the connector has it: else nothing would be taken anyway */
    bool is_sender_refused[3];
    enum open_relay_fate fate[3][OPEN_RELAY_TRICKS]; /* by sender */
};

struct open_relay_pace {
    unsigned at_once; /* connections, 1 to OPEN_RELAY_LANES_MAX; fewer where they are refused */
    int64_t answer_ms; /* how long an answer may take */
};

struct open_relay_target {
    const struct settings *settings; /* for how its connector has TLS */
    const char *host;                /* an address */
    uint16_t port;
    const char *ours;
    const struct open_relay_trick *tricks; /* OPEN_RELAY_TRICKS */
    struct open_relay_pace pace;
};

/* Tries them by SMTP, up to RCPT; never DATA.  Blocking.  False: nothing could be tried, the
 * remark says why. */
bool open_relay_try(const struct open_relay_target *target, struct open_relay_live *out);

#endif
