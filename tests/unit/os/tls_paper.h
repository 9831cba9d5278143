/* Certificates made in a test, and the files they stand in. */
#ifndef TESTS_OS_TLS_PAPER_H
#define TESTS_OS_TLS_PAPER_H

#include "kit.h"

#include <openssl/x509.h>

struct paper {
    X509 *certificate;
    EVP_PKEY *key;
};

/* NAMES as "DNS:mx.example,email:me@example", or NULL; ISSUER NULL: its own authority; TYPE "EC"
 * or "RSA".  DAYS from now, negative ones are over. */
struct paper paper_make(const struct paper *issuer, const char *common_name, const char *names,
    const char *type, int days);
void paper_free(struct paper *paper);

/* In a folder of the test's own; the path stays until papers_remove(). */
const char *paper_certificate_file(const struct paper *paper);
const char *paper_key_file(const struct paper *paper);
/* Puts another's text in the place of a file. */
void paper_replace(const char *file, const char *by);
void papers_remove(void);

void paper_fingerprint(const struct paper *paper, char out[72]);

#endif
