/* A session of TLS 1.3 is used once, so that a listener cannot tell that two connections are of
 * the same client (RFC 8446, C.4); a used one is given back by the ticket that the server sends
 * on the new connection.  The number of hosts has a ceiling: a newer host takes the place of an
 * older one that falls on its slot. */
#include "base/mem.h"
#include "os/tls_inside.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 512 };

struct slot {
    char *host;
    SSL_SESSION *session;
};

struct tls_sessions {
    pthread_mutex_t lock;
    struct slot slots[SLOTS];
};

struct tls_sessions *tls_sessions_new(void)
{
    struct tls_sessions *sessions = mem_new(sizeof *sessions);

    pthread_mutex_init(&sessions->lock, NULL);
    return sessions;
}

static void empty(struct slot *slot)
{
    free(slot->host);
    SSL_SESSION_free(slot->session);
    *slot = (struct slot){ NULL };
}

void tls_sessions_free(struct tls_sessions *sessions)
{
    if (!sessions)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        empty(&sessions->slots[i]);
    pthread_mutex_destroy(&sessions->lock);
    free(sessions);
}

static struct slot *slot_of(struct tls_sessions *sessions, const char *host)
{
    return &sessions->slots[bytes_hash_nocase(bytes_text(host)) % SLOTS];
}

void tls_sessions_put(struct tls_sessions *sessions, const char *host, SSL_SESSION *session)
{
    struct slot *slot = slot_of(sessions, host);

    pthread_mutex_lock(&sessions->lock);
    empty(slot);
    slot->host = mem_text(host);
    slot->session = session;
    pthread_mutex_unlock(&sessions->lock);
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *sessions, const char *host)
{
    struct slot *slot = slot_of(sessions, host);
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&sessions->lock);
    if (slot->host && bytes_equal_nocase(bytes_text(slot->host), bytes_text(host))) {
        session = slot->session;
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) {
            slot->session = NULL;
            empty(slot);
        } else {
            SSL_SESSION_up_ref(session);
        }
    }
    pthread_mutex_unlock(&sessions->lock);
    return session;
}
