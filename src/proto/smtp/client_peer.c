/* What the peer says in its reply to EHLO (RFC 5321, 4.1.1.1), one line at a time.  Words that
 * are not known, and known ones with arguments that make no sense, are passed over. */
#include "proto/smtp/client_engine.h"

void client_peer_forget(struct smtp_client *client)
{
    client->peer = (struct smtp_client_peer){ 0 };
    client->peer_auth = 0;
}

/* The next word of *TEXT, which keeps the rest; empty at the end. */
static struct bytes take_word(struct bytes *text)
{
    size_t space;
    struct bytes word;

    *text = bytes_trim(*text);
    space = bytes_find(*text, ' ');
    word = bytes_first(*text, space);
    *text = bytes_skip(*text, word.n);
    return word;
}

static void learn_name(struct smtp_client *client, struct bytes text)
{
    struct bytes name = take_word(&text);
    size_t n = 0;

    for (; n < name.n && n < sizeof client->peer.name - 1; n++)
        client->peer.name[n] = name.at[n] > 32 && name.at[n] != 127 ? (char)name.at[n] : '?';
    client->peer.name[n] = 0;
}

/* "SIZE", "SIZE 0" and "SIZE 1000" (RFC 1870, 4): nothing and 0 say that no limit is known. */
static void learn_size(struct smtp_client *client, struct bytes arguments)
{
    uint64_t number;

    client->peer.size = true;
    if (bytes_to_number(take_word(&arguments), UINT64_MAX, &number))
        client->peer.size_bytes_max = number;
}

static void learn_auth(struct smtp_client *client, struct bytes arguments)
{
    struct bytes word;

    while ((word = take_word(&arguments)).n)
        client->peer_auth |= client_auth_find(word);
}

static void learn_limit(struct bytes word, struct bytes name, uint32_t *limit)
{
    uint64_t number;

    if (!bytes_starts_nocase(word, name))
        return;
    if (bytes_to_number(bytes_skip(word, name.n), UINT32_MAX, &number) && number > 0)
        *limit = (uint32_t)number;
}

/* "LIMITS MAILMAX=20 RCPTMAX=100" (RFC 9422, 3). */
static void learn_limits(struct smtp_client *client, struct bytes arguments)
{
    struct bytes word;

    while ((word = take_word(&arguments)).n) {
        learn_limit(word, BYTES("MAILMAX="), &client->peer.mail_max);
        learn_limit(word, BYTES("RCPTMAX="), &client->peer.rcpt_max);
    }
}

static void learn_flag(struct smtp_client_peer *peer, struct bytes keyword)
{
    const struct {
        struct bytes keyword;
        bool *flag;
    } flags[] = {
        { BYTES("PIPELINING"), &peer->pipelining },
        { BYTES("CHUNKING"), &peer->chunking },
        { BYTES("BINARYMIME"), &peer->binarymime },
        { BYTES("8BITMIME"), &peer->eightbit },
        { BYTES("SMTPUTF8"), &peer->smtputf8 },
        { BYTES("DSN"), &peer->dsn },
        { BYTES("STARTTLS"), &peer->starttls },
        { BYTES("MT-PRIORITY"), &peer->mt_priority },
    };

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (bytes_equal_nocase(keyword, flags[i].keyword))
            *flags[i].flag = true;
    }
}

void client_peer_learn(struct smtp_client *client, struct bytes text, bool is_first)
{
    struct bytes keyword;

    if (is_first) {
        learn_name(client, text);
        return;
    }
    if (bytes_starts_nocase(text, BYTES("AUTH="))) { /* from before RFC 2554; still met */
        learn_auth(client, bytes_skip(text, 5));
        return;
    }
    keyword = take_word(&text);
    if (bytes_equal_nocase(keyword, BYTES("SIZE")))
        learn_size(client, text);
    else if (bytes_equal_nocase(keyword, BYTES("AUTH")))
        learn_auth(client, text);
    else if (bytes_equal_nocase(keyword, BYTES("LIMITS")))
        learn_limits(client, text);
    else
        learn_flag(&client->peer, keyword);
}
