#include "os/password.h"

#include "base/mem.h"

#include <assert.h>
#include <crypt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(PASSWORD_HASH_BYTES >= CRYPT_OUTPUT_SIZE, "room for every hash");

static enum err hash_with(const char *password, const char *setting, char *out)
{
    struct crypt_data *data = mem_new(sizeof *data); /* 32 KiB */
    const char *made = crypt_r(password, setting, data);
    bool is_good = made && made[0] != '*';

    assert(data); /* gcc does not see it when it sanitizes */
    if (is_good)
        snprintf(out, PASSWORD_HASH_BYTES, "%s", made);
    explicit_bzero(data, sizeof *data);
    free(data);
    return is_good ? OK : ERR_SYSTEM;
}

enum err password_hash(const char *password, char out[PASSWORD_HASH_BYTES])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];

    if (strlen(password) >= CRYPT_MAX_PASSPHRASE_SIZE)
        return ERR_LIMIT;
    if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting))
        return ERR_SYSTEM;
    return hash_with(password, setting, out);
}

bool password_hash_is_good(const char *hash)
{
    return hash[0] == '$' && strlen(hash) < PASSWORD_HASH_BYTES &&
           crypt_checksalt(hash) == CRYPT_SALT_OK;
}

/* What an unknown user's password is held against. */
static char nobody[PASSWORD_HASH_BYTES];
static pthread_once_t nobody_once = PTHREAD_ONCE_INIT;

static void make_nobody(void)
{
    if (password_hash("nobody", nobody) != OK)
        nobody[0] = '\0'; /* then an unknown user is known by the time it takes */
}

static bool is_same(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char differs = 0;

    if (strlen(b) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}

bool password_is_right(const char *password, const char *hash)
{
    char made[PASSWORD_HASH_BYTES] = "";
    bool is_right;

    if (!hash)
        pthread_once(&nobody_once, make_nobody);
    if (strlen(password) >= CRYPT_MAX_PASSPHRASE_SIZE ||
        hash_with(password, hash ? hash : nobody, made) != OK)
        return false;
    is_right = hash && is_same(made, hash);
    explicit_bzero(made, sizeof made);
    return is_right;
}
