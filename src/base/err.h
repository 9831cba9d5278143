/* What the machine may answer.  What other people do (a refusal, garbage, a closed
 * connection) is never an `enum err`: it is an event, an outcome or a reply. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

enum err {
    OK = 0,
    ERR_LIMIT,       /* a ceiling that was given when the thing was made */
    ERR_SPACE,       /* no room on the disk */
    ERR_IO,          /* a read, write or flush failed */
    ERR_SYNTAX,      /* a text that does not follow its grammar */
    ERR_CORRUPT,     /* a checksum or a format that does not hold */
    ERR_NONE,        /* no such thing */
    ERR_EXISTS,      /* there already */
    ERR_BUSY,        /* somebody else has it */
    ERR_DENIED,      /* the system does not let us */
    ERR_REFUSED,     /* nobody listens at that address */
    ERR_TIMEOUT,     /* no answer in time */
    ERR_CLOSED,      /* the other side ended the connection */
    ERR_UNREACHABLE, /* no way to that network or host */
    ERR_TLS,         /* a handshake or a record failed; os/tls.h has the text */
    ERR_SYSTEM,      /* any other answer of the kernel */
    ERR_COUNT
};

/* A short text for logs, never NULL. */
const char *err_text(enum err err);

/* Says that an error may be dropped here; the caller's comment says why. */
static inline void err_ignore(enum err err)
{
    (void)err;
}

#endif
