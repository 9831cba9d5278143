#include "tls_paper.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILES_MAX = 64 };

static char folder[64], files[FILES_MAX][96];
static unsigned file_count;

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(extension);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
}

struct paper paper_make(const struct paper *issuer, const char *common_name, const char *names,
    const char *type, int days)
{
    static long serial;
    struct paper paper = { X509_new(),
        strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256") };
    X509_NAME *name = X509_get_subject_name(paper.certificate);

    X509_set_version(paper.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(paper.certificate), ++serial);
    X509_time_adj_ex(X509_getm_notBefore(paper.certificate), -1000, 0, NULL);
    X509_time_adj_ex(X509_getm_notAfter(paper.certificate), days, 60, NULL);
    X509_set_pubkey(paper.certificate, paper.key);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(
        paper.certificate, issuer ? X509_get_subject_name(issuer->certificate) : name);
    if (!issuer)
        add_extension(paper.certificate, NID_basic_constraints, "CA:TRUE");
    if (names)
        add_extension(paper.certificate, NID_subject_alt_name, names);
    assert_true(
        X509_sign(paper.certificate, issuer ? issuer->key : paper.key, EVP_sha256()) > 0);
    return paper;
}

void paper_free(struct paper *paper)
{
    X509_free(paper->certificate);
    EVP_PKEY_free(paper->key);
}

static FILE *new_file(const char **path)
{
    FILE *file;

    if (!*folder) {
        snprintf(folder, sizeof folder, "/tmp/relais-paper-%d-XXXXXX", (int)getpid());
        assert_non_null(mkdtemp(folder));
    }
    assert_true(file_count < FILES_MAX);
    *path = files[file_count];
    snprintf(files[file_count], sizeof files[0], "%s/%u.pem", folder, file_count);
    file_count++;
    file = fopen(*path, "w");
    assert_non_null(file);
    return file;
}

const char *paper_certificate_file(const struct paper *paper)
{
    const char *path;
    FILE *file = new_file(&path);

    assert_int_equal(PEM_write_X509(file, paper->certificate), 1);
    fclose(file);
    return path;
}

const char *paper_key_file(const struct paper *paper)
{
    const char *path;
    FILE *file = new_file(&path);

    assert_int_equal(PEM_write_PrivateKey(file, paper->key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    return path;
}

/* By rename, as careful administrators do it. */
void paper_replace(const char *file, const char *by)
{
    char text[8192], path[128];
    FILE *from = fopen(by, "r"), *to;
    size_t n = fread(text, 1, sizeof text, from);

    fclose(from);
    snprintf(path, sizeof path, "%s.new", file);
    to = fopen(path, "w");
    assert_int_equal(fwrite(text, 1, n, to), n);
    fclose(to);
    assert_int_equal(rename(path, file), 0);
}

void papers_remove(void)
{
    while (file_count)
        unlink(files[--file_count]);
    rmdir(folder);
    *folder = 0;
}

void paper_fingerprint(const struct paper *paper, char out[72])
{
    unsigned char digest[32];
    int at = snprintf(out, 72, "sha256:");

    assert_int_equal(X509_digest(paper->certificate, EVP_sha256(), digest, NULL), 1);
    for (size_t i = 0; i < sizeof digest; i++)
        at += snprintf(out + at, 72 - (size_t)at, "%02x", digest[i]);
}
