/* What a balancer says of the connection it hands over: the PROXY protocol, versions 1 and 2, as
 * HAProxy's proxy-protocol.txt has them.  Pure; any thread.
 *
 * A header stands in front of everything else, of TLS too.  It is read to its last byte and no
 * further: what stands behind it is the client's. */
#ifndef PROTO_PROXY_PROXY_H
#define PROTO_PROXY_PROXY_H

#include "base/ip.h"

enum {
    PROXY_LINE_BYTES_MAX =
        107,                /* version 1, with its CRLF; longer than the longest there can be */
    PROXY_BYTES_MAX = 4096, /* version 2: 16, addresses of 216 at most, and TLVs */
};

enum proxy_kind {
    PROXY_OWN,  /* LOCAL, UNKNOWN: the balancer speaks for itself, as for a health check */
    PROXY_IP,   /* for a client at `source` */
    PROXY_UNIX, /* for a client at a UNIX socket of the balancer's machine, without an address */
};

struct proxy_header {
    enum proxy_kind kind;
    uint8_t version;               /* 1, 2 */
    struct ip source, destination; /* of PROXY_IP */
    uint16_t source_port, destination_port;
};

/* A header that is being read.  Zeroed before the first use; nothing to free. */
struct proxy_reader {
    size_t n;
    uint8_t bytes[PROXY_BYTES_MAX];
};

enum proxy_progress {
    PROXY_MORE, /* all of the input was used, and it goes on */
    PROXY_DONE,
    PROXY_BAD, /* it is none, or breaks a rule: close the connection */
};

/* Takes what belongs to the header from the front of INPUT; *USED says how much that was.  OUT is
 * written with DONE, WHY (a literal) with BAD.  Not to be called again after either. */
enum proxy_progress proxy_read(struct proxy_reader *reader, struct bytes input, size_t *used,
    struct proxy_header *out, const char **why);

/* Whether INPUT begins as headers do: as far as it goes, when it is that short.  Nothing of SMTP
 * does, and nothing of TLS. */
enum proxy_look { PROXY_LOOKS_OTHER, PROXY_LOOKS_BEGUN, PROXY_LOOKS_SO };
enum proxy_look proxy_look(struct bytes input);

#endif
