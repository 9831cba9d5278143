/* SCRAM-SHA-256's verifiers (RFC 5803, 7677). */
#include "os/sasl.h"

#include "base/base64.h"
#include "os/file.h"

#include <gsasl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ITERATIONS = 16384, /* four times what RFC 7677, 4 asks for */
    ITERATIONS_MIN = 4096,
    ITERATIONS_MAX = 10000000,
    SALT_BYTES = 16,
    KEY_BYTES = GSASL_HASH_SHA256_SIZE,
};

static const char prefix[] = "SCRAM-SHA-256$";

/* RFC 5802, 2.2: the password is prepared first. */
static enum err make_keys(const char *password, unsigned iterations, struct bytes salt,
    char stored_key[KEY_BYTES], char server_key[KEY_BYTES])
{
    char salted[KEY_BYTES], client_key[KEY_BYTES];
    char *prepared = NULL;
    int result = gsasl_saslprep(password, GSASL_ALLOW_UNASSIGNED, &prepared, NULL);

    if (result != GSASL_OK)
        return ERR_SYNTAX;
    result = gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, prepared, iterations,
        (const char *)salt.at, salt.n, salted, client_key, server_key, stored_key);
    explicit_bzero(prepared, strlen(prepared));
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(client_key, sizeof client_key);
    gsasl_free(prepared);
    return result == GSASL_OK ? OK : ERR_SYSTEM;
}

static enum err format(unsigned iterations, struct bytes salt, struct bytes stored_key,
    struct bytes server_key, char out[SASL_VERIFIER_BYTES])
{
    struct buf text;
    enum err err;

    buf_init(&text, SASL_VERIFIER_BYTES - 1);
    err = buf_printf(&text, "%s%u:", prefix, iterations);
    if (err == OK)
        err = base64_encode(salt, &text);
    if (err == OK)
        err = buf_add_text(&text, "$");
    if (err == OK)
        err = base64_encode(stored_key, &text);
    if (err == OK)
        err = buf_add_text(&text, ":");
    if (err == OK)
        err = base64_encode(server_key, &text);
    if (err == OK)
        snprintf(out, SASL_VERIFIER_BYTES, "%.*s", BYTES_ARGS(buf_bytes(&text)));
    buf_done(&text);
    return err;
}

enum err sasl_verifier_make_with(
    const char *password, unsigned iterations, struct bytes salt, char out[SASL_VERIFIER_BYTES])
{
    char stored_key[KEY_BYTES], server_key[KEY_BYTES];
    enum err err = make_keys(password, iterations, salt, stored_key, server_key);

    if (err == OK)
        err = format(iterations, salt, bytes_of(stored_key, KEY_BYTES),
            bytes_of(server_key, KEY_BYTES), out);
    return err;
}

enum err sasl_verifier_make(const char *password, char out[SASL_VERIFIER_BYTES])
{
    char salt[SALT_BYTES];

    if (gsasl_random(salt, sizeof salt) != GSASL_OK)
        return ERR_SYSTEM;
    return sasl_verifier_make_with(password, ITERATIONS, bytes_of(salt, sizeof salt), out);
}

/* The piece up to SIGN, which becomes its end; NULL: no such sign. */
static char *cut(char **at, char sign)
{
    char *piece = *at, *end = strchr(piece, sign);

    if (!end)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return piece;
}

static bool is_base64(const char *text, size_t bytes_min, size_t bytes_max)
{
    struct buf decoded;
    bool is_good;

    buf_init(&decoded, SASL_VERIFIER_BYTES);
    is_good = base64_decode(bytes_text(text), &decoded) == OK && decoded.n >= bytes_min &&
              decoded.n <= bytes_max;
    buf_done(&decoded);
    return is_good;
}

bool sasl_verifier_cut(char text[SASL_VERIFIER_BYTES], struct sasl_verifier *out)
{
    char *at = text, *iterations, *salt, *stored_key;
    uint64_t number;

    if (!bytes_starts(bytes_text(text), bytes_text(prefix)))
        return false;
    at += sizeof prefix - 1;
    iterations = cut(&at, ':');
    salt = iterations ? cut(&at, '$') : NULL;
    stored_key = salt ? cut(&at, ':') : NULL;
    if (!stored_key || !bytes_to_number(bytes_text(iterations), ITERATIONS_MAX, &number) ||
        number < ITERATIONS_MIN || !is_base64(salt, 8, 64) ||
        !is_base64(stored_key, KEY_BYTES, KEY_BYTES) || !is_base64(at, KEY_BYTES, KEY_BYTES))
        return false;
    *out = (struct sasl_verifier){ (unsigned)number, salt, stored_key, at };
    return true;
}

bool sasl_verifier_is_good(const char *text)
{
    char copy[SASL_VERIFIER_BYTES];
    struct sasl_verifier verifier;

    if (strlen(text) >= sizeof copy)
        return false;
    snprintf(copy, sizeof copy, "%s", text);
    return sasl_verifier_cut(copy, &verifier);
}

/* With it a name's salt looks random, and is the same each time. */
static char secret[SALT_BYTES];
static bool has_secret;
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void make_secret(void)
{
    if (has_secret)
        return;
    if (gsasl_random(secret, sizeof secret) != GSASL_OK)
        abort(); /* without random bytes nothing here is safe */
}

_Static_assert((int)SALT_BYTES == (int)SASL_SECRET_BYTES, "the secret is as long as a salt");

void sasl_use_secret(const uint8_t key[SASL_SECRET_BYTES])
{
    memcpy(secret, key, sizeof secret);
    has_secret = true;
}

enum err sasl_secret_make(uint8_t out[SASL_SECRET_BYTES])
{
    return gsasl_random((char *)out, SASL_SECRET_BYTES) == GSASL_OK ? OK : ERR_SYSTEM;
}

enum err sasl_keep_secret(const char *file)
{
    enum { SECRET_FILE_MODE = 0600, SECRET_FILE_BYTES_MAX = 4096 };
    struct buf text;
    enum err err;

    buf_init(&text, SECRET_FILE_BYTES_MAX);
    err = file_read_all(file, SECRET_FILE_BYTES_MAX, &text);
    if (err == OK && text.n == SALT_BYTES) {
        memcpy(secret, text.at, SALT_BYTES);
    } else {
        make_secret();
        err = file_replace(file, bytes_of(secret, SALT_BYTES), SECRET_FILE_MODE);
    }
    has_secret = true;
    buf_done(&text);
    return err;
}

void sasl_verifier_of_nobody(const char *name, char out[SASL_VERIFIER_BYTES])
{
    char salt[KEY_BYTES], key[KEY_BYTES], stored_key[KEY_BYTES], server_key[KEY_BYTES];
    char salted[KEY_BYTES];
    enum err err = ERR_SYSTEM;

    pthread_once(&secret_once, make_secret);
    if (gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, name, 1, secret, sizeof secret,
            salted, key, salt, stored_key) == GSASL_OK &&
        gsasl_random(stored_key, KEY_BYTES) == GSASL_OK &&
        gsasl_random(server_key, KEY_BYTES) == GSASL_OK)
        err = format(ITERATIONS, bytes_of(salt, SALT_BYTES), bytes_of(stored_key, KEY_BYTES),
            bytes_of(server_key, KEY_BYTES), out);
    if (err != OK)
        abort(); /* as above */
}
