#include "os/tls_folder.h"

#include "base/dn.h"
#include "base/hash.h"
#include "base/mem.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/tls_inside.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { NAMES_BYTES_MAX = 4096, FILES_MAX = 1000, FILE_BYTES_MAX = 1 << 20 };

/* --- One file ---------------------------------------------------------------------------- */

static bool has_ending(const char *name, const char *ending)
{
    return bytes_ends_nocase(bytes_text(name), bytes_text(ending));
}

static bool is_certificate_name(const char *name)
{
    return name[0] != '.' &&
           (has_ending(name, ".pem") || has_ending(name, ".crt") || has_ending(name, ".cer"));
}

static char *join(const char *folder, const char *name)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = mem_new(n);

    snprintf(path, n, "%s/%s", folder, name);
    return path;
}

/* NAME.key beside NAME.pem; NULL: there is none. */
static char *find_key(const char *certificate_file)
{
    size_t n = strlen(certificate_file);
    char *path = mem_text(certificate_file);
    struct stat s;

    memcpy(path + n - 4, ".key", 4); /* all endings have four bytes */
    if (stat(path, &s) == 0)
        return path;
    free(path);
    return NULL;
}

static char *name_text(const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *at, *text = NULL;

    /* RFC 2253's form escapes control bytes, and here all that is no ASCII. */
    if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(bio, &at);
        text = bytes_to_text(bytes_of(at, (size_t)n));
    }
    BIO_free(bio);
    return text ? text : mem_text("");
}

static enum err add_name(struct buf *out, const GENERAL_NAME *name)
{
    const ASN1_OCTET_STRING *ip = name->type == GEN_IPADD ? name->d.iPAddress : NULL;
    const char *comma = out->n ? ", " : "";
    char text[64];

    if (name->type == GEN_DNS)
        return buf_printf(out, "%s%.*s", comma, ASN1_STRING_length(name->d.dNSName),
            (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    if (!ip)
        return OK;
    if (ASN1_STRING_length(ip) == 4) {
        const uint8_t *b = ASN1_STRING_get0_data(ip);
        snprintf(text, sizeof text, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
        return buf_printf(out, "%s%s", comma, text);
    }
    return OK; /* an IPv6 address is seldom there, and long */
}

static char *alternative_names(X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    enum err err = OK;
    struct buf out;

    buf_init(&out, NAMES_BYTES_MAX);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && err == OK; i++)
        err = add_name(&out, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
    return out.n ? buf_take_text(&out) : mem_text("");
}

static void note_sha1(const X509 *certificate, char out[TLS_FINGERPRINT_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int at = snprintf(out, TLS_FINGERPRINT_BYTES, "sha1:");

    if (X509_digest(certificate, EVP_sha1(), digest, &n) != 1)
        n = 0;
    for (unsigned i = 0; i < n; i++)
        at += snprintf(out + at, TLS_FINGERPRINT_BYTES - (size_t)at, "%02x", digest[i]);
}

/* Whether the pair can be used, as a context of TLS would.  That costs a hundred times what reading
 * a certificate does. */
static void try_key(struct tls_folder_entry *entry)
{
    struct tls_context *context;

    if (entry->is_tried || entry->why[0])
        return;
    entry->is_tried = true;
    context = tls_context_new_server(TLS_1_2);
    if (!context)
        (void)tls_why("TLS", entry->why);
    else if (tls_use_certificate(
                 context->ssl, entry->certificate_file, entry->key_file, entry->why) == OK)
        entry->why[0] = '\0';
    else if (!entry->key_file)
        snprintf(entry->why, sizeof entry->why,
            "%.150s: there is no key in it, and no .key file beside it",
            entry->certificate_file);
    tls_context_free(context);
    ERR_clear_error();
}

/* Whoever opens a pipe, or reads what has no end, waits for ever, and with him the whole loop. */
static bool is_readable(const char *file, char why[TLS_ERROR_BYTES])
{
    const char *wrong = "it is no file";
    struct stat s;

    if (stat(file, &s) != 0)
        return true; /* who opens it has the reason */
    if (S_ISREG(s.st_mode) && s.st_size <= FILE_BYTES_MAX)
        return true;
    if (S_ISREG(s.st_mode))
        wrong = "it is too large for a certificate or a key";
    snprintf(why, TLS_ERROR_BYTES, "%.150s: %s", file, wrong);
    return false;
}

static void read_entry(struct tls_folder_entry *entry)
{
    X509 *certificate;
    BIO *bio;

    if (!is_readable(entry->certificate_file, entry->why) ||
        (entry->key_file && !is_readable(entry->key_file, entry->why)))
        return;
    bio = BIO_new_file(entry->certificate_file, "r");
    certificate = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (!certificate) {
        (void)tls_why(entry->certificate_file, entry->why);
        return;
    }
    entry->issuer = name_text(X509_get_issuer_name(certificate));
    entry->subject = name_text(X509_get_subject_name(certificate));
    entry->names = alternative_names(certificate);
    note_sha1(certificate, entry->sha1);
    X509_free(certificate);
    if (tls_certificate_look(entry->certificate_file, "", &entry->facts, entry->why) == OK)
        entry->why[0] = '\0';
    ERR_clear_error();
}

/* --- The folder -------------------------------------------------------------------------- */

struct listing {
    const char *path;
    struct tls_folder *folder;
};

static enum err list_file(const char *name, void *me)
{
    struct listing *listing = me;
    struct tls_folder *folder = listing->folder;
    struct tls_folder_entry *entry;

    if (!is_certificate_name(name))
        return OK;
    if (folder->count == FILES_MAX)
        return ERR_LIMIT;
    folder->list = mem_grow(folder->list, (folder->count + 1) * sizeof *folder->list);
    entry = &folder->list[folder->count++];
    *entry = (struct tls_folder_entry){ .certificate_file = join(listing->path, name) };
    return OK;
}

static int by_file(const void *a, const void *b)
{
    const struct tls_folder_entry *x = a, *y = b;

    return strcmp(x->certificate_file, y->certificate_file);
}

/* No key is tried yet. */
static enum err read_folder(const char *path, struct tls_folder *out, char why[TLS_ERROR_BYTES])
{
    struct tls_folder folder = { 0 };
    enum err err = folder_each(path, list_file, &(struct listing){ path, &folder });

    if (err != OK) {
        snprintf(why, TLS_ERROR_BYTES, "%.200s: %s", path,
            err == ERR_LIMIT ? "more files than 1000" : err_text(err));
        tls_folder_done(&folder);
        return err;
    }
    if (folder.count)
        qsort(folder.list, folder.count, sizeof *folder.list, by_file);
    for (size_t i = 0; i < folder.count; i++) {
        ERR_clear_error();
        folder.list[i].key_file = find_key(folder.list[i].certificate_file);
        read_entry(&folder.list[i]);
    }
    *out = folder;
    return OK;
}

enum err tls_folder_read(const char *path, struct tls_folder *out, char why[TLS_ERROR_BYTES])
{
    enum err err = read_folder(path, out, why);

    for (size_t i = 0; err == OK && i < out->count; i++)
        try_key(&out->list[i]);
    return err;
}

void tls_folder_done(struct tls_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        struct tls_folder_entry *entry = &folder->list[i];
        free(entry->certificate_file);
        free(entry->key_file);
        free(entry->issuer);
        free(entry->subject);
        free(entry->names);
    }
    free(folder->list);
    *folder = (struct tls_folder){ 0 };
}

/* --- Watching ---------------------------------------------------------------------------- */

struct summing {
    const char *path;
    uint64_t sum;    /* the same in any order of the files */
    time_t newest_s; /* when the last of them was changed */
};

static enum err sum_file(const char *name, void *me)
{
    struct summing *summing = me;
    struct {
        int64_t seconds, nanoseconds, bytes;
        uint64_t inode, name;
    } facts = { .name = hash64(bytes_text(name), 0) };
    char *path;
    struct stat s;

    if (!is_certificate_name(name) && !has_ending(name, ".key"))
        return OK;
    path = join(summing->path, name);
    if (stat(path, &s) == 0) {
        facts.seconds = s.st_ctim.tv_sec; /* of its rights too */
        facts.nanoseconds = s.st_ctim.tv_nsec;
        facts.bytes = s.st_size;
        facts.inode = s.st_ino;
        if (s.st_ctim.tv_sec > summing->newest_s)
            summing->newest_s = s.st_ctim.tv_sec;
    }
    free(path);
    summing->sum += hash64(bytes_of(&facts, sizeof facts), 0);
    return OK;
}

/* *SETTLED: nothing was changed just now, so whatever is changed after this has another time. */
static uint64_t folder_state(const char *path, bool *settled)
{
    struct summing summing = { path, 1, 0 };
    enum err err = folder_each(path, sum_file, &summing);

    *settled = summing.newest_s < time(NULL) - 1;
    return err == OK ? summing.sum : 0;
}

uint64_t tls_folder_state(const char *path)
{
    bool settled;

    return folder_state(path, &settled);
}

/* --- What was read last ------------------------------------------------------------------ */

/* Each connector asks the same folder, and so does whoever asks how the node is: it is read again
 * only when it has changed. */
enum { READ_AGAIN_MS = 100 }; /* all connectors ask one after the other */

static struct {
    pthread_mutex_t lock;
    char *path; /* NULL: none */
    uint64_t state;
    bool is_settled; /* a change after it was read shows in the state for sure */
    struct moment read_at;
    struct tls_folder folder;
} last = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void forget_last(void)
{
    free(last.path);
    last.path = NULL;
    tls_folder_done(&last.folder);
}

/* The folder at PATH as it is now, until the lock is given back. */
static enum err read_last(const char *path, char why[TLS_ERROR_BYTES])
{
    bool settled;
    uint64_t state = folder_state(path, &settled);
    enum err err;

    if (last.path && state && state == last.state && strcmp(last.path, path) == 0 &&
        (last.is_settled || clock_moment().ms - last.read_at.ms < READ_AGAIN_MS))
        return OK;
    forget_last();
    err = read_folder(path, &last.folder, why);
    if (err != OK)
        return err;
    last.path = mem_text(path);
    last.state = state;
    last.is_settled = settled;
    last.read_at = clock_moment();
    return OK;
}

/* --- Choosing ---------------------------------------------------------------------------- */

static bool is_name(const char *text, const char *wanted)
{
    struct dn a, b;

    return dn_parse(bytes_text(text), &a) && dn_parse(bytes_text(wanted), &b) &&
           dn_equal(&a, &b);
}

bool tls_folder_fits(
    const struct tls_folder_entry *entry, const struct certificate_choice *choice)
{
    if (!entry->subject)
        return false;
    if (choice->fingerprint)
        return strcmp(choice->fingerprint, entry->facts.fingerprint) == 0 ||
               strcmp(choice->fingerprint, entry->sha1) == 0;
    return choice->issuer && choice->subject && is_name(entry->issuer, choice->issuer) &&
           is_name(entry->subject, choice->subject);
}

/* How good it is now: over, not begun, valid. */
static int rank(const struct tls_folder_entry *entry, struct wall now)
{
    if (now.ms < entry->facts.not_before.ms)
        return 0;
    return now.ms < entry->facts.not_after.ms ? 2 : 1;
}

static bool is_better(
    const struct tls_folder_entry *a, const struct tls_folder_entry *b, struct wall now)
{
    if (rank(a, now) != rank(b, now))
        return rank(a, now) > rank(b, now);
    if (a->facts.not_before.ms != b->facts.not_before.ms)
        return a->facts.not_before.ms > b->facts.not_before.ms;
    return a->facts.not_after.ms > b->facts.not_after.ms;
}

const struct tls_folder_entry *tls_folder_choose(
    const struct tls_folder *folder, const struct certificate_choice *choice, struct wall now)
{
    const struct tls_folder_entry *best = NULL;

    for (size_t i = 0; i < folder->count; i++) {
        const struct tls_folder_entry *entry = &folder->list[i];
        if (!entry->why[0] && tls_folder_fits(entry, choice) &&
            (!best || is_better(entry, best, now)))
            best = entry;
    }
    return best;
}

/* What fits and cannot be used is the better hint; else what there is. */
static void tell_what_is_there(const char *path, const struct tls_folder *folder,
    const struct certificate_choice *choice, char why[TLS_ERROR_BYTES])
{
    int n;

    for (size_t i = 0; i < folder->count; i++) {
        if (tls_folder_fits(&folder->list[i], choice)) {
            snprintf(why, TLS_ERROR_BYTES, "%.250s", folder->list[i].why);
            return;
        }
    }
    n = snprintf(why, TLS_ERROR_BYTES, "%.80s has no such certificate; %s", path,
        folder->count ? "there are: " : "it is empty");
    for (size_t i = 0, said = 0; i < folder->count && n < TLS_ERROR_BYTES; i++) {
        const struct tls_folder_entry *entry = &folder->list[i];
        if (entry->subject)
            n += snprintf(why + n, TLS_ERROR_BYTES - (size_t)n, "%s%.60s by %.60s",
                said++ ? "; " : "", entry->subject, entry->issuer);
    }
}

static const struct tls_folder_entry *choose_last(
    const struct certificate_choice *choice, struct wall now)
{
    const struct tls_folder_entry *best;

    while ((best = tls_folder_choose(&last.folder, choice, now)) && !best->is_tried)
        try_key(&last.folder.list[best - last.folder.list]); /* when it is none, the next one */
    return best;
}

enum err tls_files_find(const char *path, const struct certificate_choice *choice,
    struct wall now, struct tls_files *out, char why[TLS_ERROR_BYTES])
{
    const struct tls_folder_entry *entry = NULL;
    enum err err;

    if (choice->certificate_file) {
        *out = (struct tls_files){ mem_text(choice->certificate_file),
            choice->key_file ? mem_text(choice->key_file) : NULL };
        return OK;
    }
    pthread_mutex_lock(&last.lock);
    err = read_last(path, why);
    if (err == OK)
        entry = choose_last(choice, now);
    if (entry)
        *out = (struct tls_files){ mem_text(entry->certificate_file),
            entry->key_file ? mem_text(entry->key_file) : NULL };
    else if (err == OK)
        tell_what_is_there(path, &last.folder, choice, why);
    if (!entry) /* what could not be read for want of memory or descriptors may be the next time */
        forget_last();
    pthread_mutex_unlock(&last.lock);
    return err == OK && !entry ? ERR_NONE : err;
}

void tls_files_done(struct tls_files *files)
{
    free(files->certificate_file);
    free(files->key_file);
    *files = (struct tls_files){ NULL, NULL };
}
