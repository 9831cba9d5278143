#include "base/weak_tls.h"

static bool has(struct bytes text, const char *part)
{
    struct bytes what = bytes_text(part);

    for (; text.n >= what.n; text = bytes_skip(text, 1)) {
        if (bytes_starts(text, what))
            return true;
    }
    return false;
}

static bool is_old(struct bytes version)
{
    return bytes_starts(version, BYTES("SSL")) || bytes_equal(version, BYTES("TLSv1")) ||
           bytes_equal(version, BYTES("TLSv1.0")) || bytes_equal(version, BYTES("TLSv1.1"));
}

/* Names of ciphers that exchange keys by RSA alone say nothing of it: "AES128-GCM-SHA256". */
static bool is_by_rsa(struct bytes cipher)
{
    static const char *const others[] = { "ECDHE-", "DHE-", "EDH-", "ADH-", "AECDH-", "ECDH-",
        "PSK-", "SRP-", "TLS_" };

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (bytes_starts(cipher, bytes_text(others[i])))
            return false;
    }
    return true;
}

const char *tls_weakness(struct bytes version, struct bytes cipher)
{
    static const struct {
        const char *part, *weakness;
    } parts[] = { { "NULL", "no encryption" }, { "RC4", "RC4" }, { "RC2", "RC2" },
        { "DES-CBC", "DES or 3DES" }, { "3DES", "DES or 3DES" }, { "ADH-", "no certificate" },
        { "AECDH-", "no certificate" }, { "MD5", "MD5" } };

    if (version.n == 0)
        return NULL;
    if (is_old(version))
        return "version below 1.2";
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (has(cipher, parts[i].part))
            return parts[i].weakness;
    }
    if (cipher.n && is_by_rsa(cipher))
        return "RSA key exchange";
    return bytes_ends_nocase(cipher, BYTES("-SHA")) ? "CBC with SHA-1" : NULL;
}
