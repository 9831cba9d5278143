/* SASL mechanisms, both sides: the only door to libgsasl.
 *
 * An exchange belongs to one thread at a time: a step may be done on another one, as long as
 * nobody else uses the exchange meanwhile.  A step of PLAIN, LOGIN or GSSAPI may block. */
#ifndef OS_SASL_H
#define OS_SASL_H

#include "base/buf.h"
#include "base/err.h"
#include "os/tls.h"

enum {
    SASL_NAME_BYTES = 256,     /* a user's name, with its zero byte */
    SASL_VERIFIER_BYTES = 256, /* "SCRAM-SHA-256$...", with its zero byte */
    SASL_OUT_BYTES_MAX = 12 << 10,
};

enum sasl_result {
    SASL_MORE,    /* send what is in OUT, which may be empty, and give the answer to it */
    SASL_DONE,    /* authenticated; what is in OUT, if anything, still has to be sent */
    SASL_REFUSED, /* wrong: who, why or how; a client: the server is not what it should be */
    SASL_TROUBLE, /* nobody can say now */
};

enum sasl_answer { SASL_YES, SASL_NO, SASL_UNKNOWN };

struct sasl;

/* Texts are copied, functions are called inside of sasl_step(), on its thread, with ME. */
struct sasl_server {
    const char *mechanism;      /* "PLAIN", in any case */
    const char *service, *host; /* GSSAPI: "smtp", and the name in the keytab */
    const char *external;       /* whom the certificate names; NULL: nobody */
    struct tls_binding binding; /* for -PLUS; n 0: none */
    bool offers_plus;           /* then a client that says we do not is being deceived */
    void *me;
    enum sasl_answer (*check_password)(void *me, const char *user, const char *password);
    /* Copies the verifier of RFC 5803; false: there is none. */
    bool (*find_verifier)(void *me, const char *user, char out[SASL_VERIFIER_BYTES]);
    /* NAME (GSSAPI: a principal; EXTERNAL: the certificate's) proved itself: is it a user? */
    enum sasl_answer (*check_name)(void *me, const char *name);
};

/* Cannot fail: what is wrong is heard in the first step. */
struct sasl *sasl_server_new(const struct sasl_server *server);

/* USER and PASSWORD are copied, and wiped in the end.  NULL: no such mechanism here. */
struct sasl *sasl_client_new(const char *mechanism, const char *user, const char *password,
    const struct tls_binding *binding);
void sasl_free(struct sasl *sasl); /* NULL too */

/* IN: what the other side said; HAS_IN false: nothing yet.  OUT is emptied first. */
enum sasl_result sasl_step(struct sasl *sasl, bool has_in, struct bytes in, struct buf *out);

/* Whether a step of this mechanism should not be done on a loop's thread. */
bool sasl_may_block(const char *mechanism);

/* As whom; after DONE, and as far as it is known after REFUSED.  Never NULL. */
const char *sasl_user(const struct sasl *sasl);
/* Why not; never NULL, never with a secret in it. */
const char *sasl_why(const struct sasl *sasl);

/* Which keytab GSSAPI goes by; before any other thread is there.  NULL: the system's. */
void sasl_use_keytab(const char *file);

/* --- SCRAM-SHA-256's verifier: RFC 5803 ------------------------------------------------------ */

struct sasl_verifier {
    unsigned iterations;
    const char *salt, *stored_key, *server_key; /* base64, into the text */
};

/* "SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY" of PASSWORD, with a new salt. */
enum err sasl_verifier_make(const char *password, char out[SASL_VERIFIER_BYTES]) MUST_USE;
/* The same with that SALT. */
enum err sasl_verifier_make_with(const char *password, unsigned iterations, struct bytes salt,
    char out[SASL_VERIFIER_BYTES]) MUST_USE;
/* Takes TEXT apart; it is cut into pieces in place.  False: it is none. */
bool sasl_verifier_cut(char text[SASL_VERIFIER_BYTES], struct sasl_verifier *out);
bool sasl_verifier_is_good(const char *text);
/* At the start, before any thread logs in: what unknown names' salts are made of stands in FILE, or
 * is put there.  Else a new start would change them, and tell them from those of users.  On an
 * error it is a secret of this process alone. */
enum err sasl_keep_secret(const char *file) MUST_USE;
/* The same with a secret that other nodes have too; and such a one, new. */
enum { SASL_SECRET_BYTES = 16 };
void sasl_use_secret(const uint8_t key[SASL_SECRET_BYTES]);
enum err sasl_secret_make(uint8_t out[SASL_SECRET_BYTES]) MUST_USE;
/* What an unknown NAME seems to have: always the same, and no password fits. */
void sasl_verifier_of_nobody(const char *name, char out[SASL_VERIFIER_BYTES]);

#endif
