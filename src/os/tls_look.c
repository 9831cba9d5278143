/* What stands in a certificate's file, for those who look after it. */
#include "os/tls_inside.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

static struct wall wall_of(const ASN1_TIME *time)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return (struct wall){ 0 };
    return (struct wall){ (int64_t)timegm(&tm) * 1000 };
}

enum err tls_certificate_look(const char *file, const char *host,
    struct tls_certificate_facts *out, char why[TLS_ERROR_BYTES])
{
    BIO *bio;
    X509 *certificate;

    ERR_clear_error();
    bio = BIO_new_file(file, "r");
    if (!bio)
        return tls_why(file, why);
    certificate =
        PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL); /* the first: the chain follows */
    BIO_free(bio);
    if (!certificate)
        return tls_why(file, why);
    *out = (struct tls_certificate_facts){
        .not_before = wall_of(X509_get0_notBefore(certificate)),
        .not_after = wall_of(X509_get0_notAfter(certificate)),
        .fits = X509_check_host(
                    certificate, host, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1,
    };
    tls_fingerprint(certificate, out->fingerprint);
    tls_subject(certificate, out->subject);
    X509_free(certificate);
    ERR_clear_error();
    return OK;
}

enum tls_expiry tls_expiry_of(const struct tls_certificate_facts *facts, struct wall now)
{
    static const int64_t day_ms = 24 * 3600 * 1000LL;
    int64_t left_ms = facts->not_after.ms - now.ms;

    if (left_ms <= 0)
        return TLS_EXPIRY_OVER;
    if (left_ms <= 7 * day_ms)
        return TLS_EXPIRY_WEEK;
    return left_ms <= 30 * day_ms ? TLS_EXPIRY_MONTH : TLS_EXPIRY_FAR;
}
