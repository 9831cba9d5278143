#include "answer/answer.h"

#include "policy/addresses.h"
#include "policy/limits.h"
#include "policy/rights.h"

#include <stdlib.h>

static const char default_banner[] = "%{fqdn} ESMTP relais";

static const char *fqdn_of(
    const struct settings *settings, const struct receive_connector *connector)
{
    return connector->fqdn ? connector->fqdn : settings->fqdn;
}

char *answer_banner(const struct settings *settings, const struct receive_connector *connector)
{
    const struct {
        struct bytes name;
        const char *value;
    } names[] = { { BYTES("%{fqdn}"), fqdn_of(settings, connector) },
        { BYTES("%{connector}"), connector->name }, { BYTES("%{node}"), settings->node } };
    struct bytes rest = bytes_text(connector->banner ? connector->banner : default_banner);
    struct buf out;

    buf_init(&out, SMTP_SERVER_LINE_BYTES_MAX / 2); /* what is over is cut */
    while (rest.n) {
        size_t used = 1;
        struct bytes put = bytes_first(rest, 1);
        for (size_t i = 0; i < 3; i++) {
            if (bytes_starts(rest, names[i].name)) {
                put = bytes_text(names[i].value);
                used = names[i].name.n;
            }
        }
        if (buf_add(&out, put) != OK)
            break;
        rest = bytes_skip(rest, used);
    }
    return buf_take_text(&out);
}

struct smtp_server_config answer_config(const struct settings *settings,
    const struct receive_connector *connector, const struct client *client, const char *banner)
{
    return (struct smtp_server_config){
        .fqdn = bytes_text(fqdn_of(settings, connector)),
        .banner = bytes_text(banner),
        .size_bytes_max = limits_size_max(settings, connector, client),
        .recipients_max = limits_recipients_max(connector),
        .errors_max =
            connector->report_only & LIMIT_ERRORS ? UINT32_MAX : connector->errors_max,
        .mails_max = limits_messages_max(connector),
        .offers_starttls =
            connector->tls == TLS_MODE_OFFERED || connector->tls == TLS_MODE_REQUIRED,
        .requires_tls = connector->tls == TLS_MODE_REQUIRED,
        .is_tls = connector->tls == TLS_MODE_IMPLICIT,
        .tolerates_bare_lf = connector->tolerances & TOLERATE_BARE_LF,
        .tolerates_path_spaces = connector->tolerances & TOLERATE_PATH_SPACES,
        .tolerates_no_brackets = connector->tolerances & TOLERATE_NO_BRACKETS,
        .tolerates_bad_helo = connector->tolerances & TOLERATE_BAD_HELO,
        .tolerates_no_helo = connector->tolerances & TOLERATE_NO_HELO,
        .logs_lines = connector->logs_protocol,
    };
}

void answer_offer_auth(struct smtp_server_config *config,
    const struct receive_connector *connector, const struct login_means *means,
    char words[LOGIN_WORDS_BYTES])
{
    login_words(login_mechanisms(connector, means), words);
    config->auth_mechanisms = bytes_text(words);
    config->offers_auth_plain_text = connector->auth_without_tls;
    config->requires_auth = connector->requires_auth;
}

/* The new sender's bytes stay in ANSWER. */
static void rewrite_sender(const struct settings *settings,
    const struct receive_connector *connector, struct answer_mail *answer)
{
    struct address sender;

    answer->rewritten = sender_rewritten(settings, connector, &answer->mail.sender);
    if (!answer->rewritten)
        return;
    if (address_parse(bytes_text(answer->rewritten), ADDRESS_UTF8, &sender) == ADDRESS_OK) {
        answer->mail.sender = sender;
        return;
    }
    free(answer->rewritten); /* too long, with the old one's parts in it: it stays */
    answer->rewritten = NULL;
}

void answer_mail(const struct settings *settings, const struct receive_connector *connector,
    const struct client *client, const struct smtp_mail *mail, struct answer_mail *out)
{
    out->mail = *mail;
    rewrite_sender(settings, connector, out);
    rights_decide_sender(
        settings, connector, client, &out->mail.sender, mail->size_bytes, &out->decision);
}
