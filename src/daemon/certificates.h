/* The certificates on disk: taken anew when their files change, and watched for their end.  Home
 * loop; looks are reads of small files. */
#ifndef DAEMON_CERTIFICATES_H
#define DAEMON_CERTIFICATES_H

#include "flow/setup.h"
#include "os/loop.h"

struct certificates_entry;

struct certificates {
    struct loop *loop;
    struct timer timer;
    struct setup *setup; /* held: the one whose files are watched */
    struct certificates_entry *list;
    size_t count;
    uint64_t folder_state;    /* of the folder of certificates: os/tls_folder.h */
    struct moment choice_due; /* when what is chosen there is chosen again */
    struct moment expiry_due; /* when their ends are looked at again */
};

void certificates_init(struct certificates *certificates, struct loop *loop);
/* These are the settings now; at once after their contexts were made. */
void certificates_watch(struct certificates *certificates, struct setup *setup);
void certificates_done(struct certificates *certificates); /* one that was only zeroed too */

/* A certificate of an enabled connector that ends within 30 days, or has. */
struct certificate_end {
    const char *connector, *file;
    struct tls_certificate_facts facts;
    enum tls_expiry expiry;
    int64_t days_left; /* whole ones; less than 0: over since so long */
};
void certificates_each_end(const struct settings *settings,
    void (*visit)(void *me, const struct certificate_end *end), void *me);
/* "certificate /x.pem of connector In ends on 2026-12-01, in 4 days" */
void certificate_end_format(const struct certificate_end *end, char out[700]);

#endif
