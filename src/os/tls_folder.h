/* The folder of certificates: PEM files NAME.pem, NAME.crt or NAME.cer, each with its chain, and
 * with its key in it or in NAME.key beside it.  Any thread; these calls block.
 *
 * Who drops a renewed certificate in has it taken at the next look: what was read is kept only until
 * something in the folder is another file, or has another time. */
#ifndef OS_TLS_FOLDER_H
#define OS_TLS_FOLDER_H

#include "base/certificate.h"
#include "os/tls.h"

/* What stands in one file. */
struct tls_folder_entry {
    char *certificate_file, *key_file; /* key NULL: in the same file */
    char *issuer, *subject;            /* RFC 4514; NULL: there is no certificate */
    char *names;                       /* "mx.example.com, 192.0.2.1"; may be "" */
    char sha1[TLS_FINGERPRINT_BYTES];  /* "sha1:HEX" */
    struct tls_certificate_facts facts;
    bool is_tried;             /* its key */
    char why[TLS_ERROR_BYTES]; /* it cannot be used; "": it can */
};

struct tls_folder {
    struct tls_folder_entry *list; /* in the order of file names */
    size_t count;
};

/* WHY on failure: the folder cannot be read.  A file that cannot is an entry that says so. */
enum err tls_folder_read(
    const char *path, struct tls_folder *out, char why[TLS_ERROR_BYTES]) MUST_USE;
void tls_folder_done(struct tls_folder *folder);

/* True: ENTRY is what CHOICE asks for, whether it can be used or not. */
bool tls_folder_fits(
    const struct tls_folder_entry *entry, const struct certificate_choice *choice);

/* The newest of those that fit and can be used: one that is valid at NOW comes before one that is
 * over, and that before one that is not valid yet; then the one that began last.  NULL: none. */
const struct tls_folder_entry *tls_folder_choose(
    const struct tls_folder *folder, const struct certificate_choice *choice, struct wall now);

/* The files that a choice stands for; free by tls_files_done(). */
struct tls_files {
    char *certificate_file, *key_file;
};

/* Those of the choice itself, or the chosen ones of the folder at PATH.  ERR_NONE: there is none;
 * WHY says what there is. */
enum err tls_files_find(const char *path, const struct certificate_choice *choice,
    struct wall now, struct tls_files *out, char why[TLS_ERROR_BYTES]) MUST_USE;
void tls_files_done(struct tls_files *files);

/* A number that is another one when a file of the folder is new, gone or written to.  0: the
 * folder cannot be read. */
uint64_t tls_folder_state(const char *path);

#endif
