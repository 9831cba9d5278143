#include "policy/login.h"

#include <stdio.h>
#include <strings.h>

static const struct {
    enum auth_mechanism mechanism;
    const char *name;
} mechanisms[AUTH_MECHANISM_COUNT] = {
    { AUTH_EXTERNAL, "EXTERNAL" },
    { AUTH_GSSAPI, "GSSAPI" },
    { AUTH_SCRAM_SHA_256_PLUS, "SCRAM-SHA-256-PLUS" },
    { AUTH_SCRAM_SHA_256, "SCRAM-SHA-256" },
    { AUTH_PLAIN, "PLAIN" },
    { AUTH_LOGIN, "LOGIN" },
};

unsigned login_mechanisms(
    const struct receive_connector *connector, const struct login_means *means)
{
    unsigned set = connector->mechanisms;

    if (!means->has_binding)
        set &= ~(unsigned)AUTH_SCRAM_SHA_256_PLUS;
    if (!means->has_certificate)
        set &= ~(unsigned)AUTH_EXTERNAL;
    return set;
}

bool login_has(unsigned set, const char *name)
{
    for (size_t i = 0; i < AUTH_MECHANISM_COUNT; i++) {
        if (strcasecmp(name, mechanisms[i].name) == 0)
            return set & mechanisms[i].mechanism;
    }
    return false;
}

void login_words(unsigned set, char out[LOGIN_WORDS_BYTES])
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < AUTH_MECHANISM_COUNT; i++) {
        if (set & mechanisms[i].mechanism)
            n += (size_t)snprintf(
                out + n, LOGIN_WORDS_BYTES - n, n ? " %s" : "%s", mechanisms[i].name);
    }
}

void login_user(const struct settings *settings, const char *name, bool is_principal,
    char out[LOGIN_NAME_BYTES])
{
    const char *realm = settings->kerberos_realm;
    const char *at = strrchr(name, '@');
    size_t n = strlen(name);

    /* Not for "smtp/host@REALM": that is no person, and stays what it is. */
    if (is_principal && realm && at && strcasecmp(at + 1, realm) == 0 && !strchr(name, '/'))
        n = (size_t)(at - name);
    if (n >= LOGIN_NAME_BYTES)
        n = LOGIN_NAME_BYTES - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)ascii_lower((uint8_t)name[i]);
    out[n] = '\0';
}

bool login_asks_pam(const struct settings *settings, const struct account *account)
{
    return settings->pam_service && !(account && account->hash);
}

void login_decide(const struct settings *settings, const struct receive_connector *connector,
    const char *user, enum login_end end, struct decision *out)
{
    const struct account *account = account_find(settings, user);
    struct verdict no = verdict_of(535, STATUS(5, 7, 8), "Authentication credentials invalid");

    if (end == LOGIN_TROUBLE)
        decide_refusal(out, "login-trouble", connector->name,
            verdict_of(454, STATUS(4, 7, 0), "Temporary authentication failure"),
            "what knows the passwords does not answer");
    else if (end == LOGIN_WRONG) /* nobody is told which of all it was */
        decide(out, "login", no, "wrong name or password");
    else if (account && account->is_disabled)
        decide(out, "login-disabled", no, "account %s is disabled", account->name);
    else
        decide(out, "login", verdict_of(235, STATUS(2, 7, 0), "Authentication successful"),
            "user %s", user);
}

bool login_is_over(const struct receive_connector *connector, uint32_t failed)
{
    return connector->logins_max && failed >= connector->logins_max;
}
