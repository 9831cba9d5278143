/* TLS of a delivery: which level its host gets, and what came of it. */
#include "flow/deliver/internal.h"

#include <stdio.h>

static bool is_dane(enum send_tls level)
{
    return level == SEND_TLS_DANE || level == SEND_TLS_DANE_ONLY;
}

static enum send_tls planned(enum dane_plan plan)
{
    switch (plan) {
    case DANE_PLAN_MAY:
        return SEND_TLS_MAY;
    case DANE_PLAN_ENCRYPT:
        return SEND_TLS_ENCRYPT;
    case DANE_PLAN_MATCH:
    case DANE_PLAN_DEFER: /* is never connected to; its records match nothing */
        break;
    }
    return SEND_TLS_DANE;
}

void delivery_choose_tls(struct delivery *delivery)
{
    const struct host *host = delivery->host;

    delivery->tls_asked = destination_tls(delivery->destination, host);
    delivery->tls = delivery->tls_asked;
    if (is_dane(delivery->tls))
        delivery->tls = planned(host->dane.plan);
    if (delivery->connector->is_implicit_tls && delivery->tls == SEND_TLS_MAY)
        delivery->tls = SEND_TLS_ENCRYPT;
    if (delivery->tls == SEND_TLS_MAY && host->no_tls_until.ms > delivery->active.ms)
        delivery->tls = SEND_TLS_NONE;
}

void delivery_start_tls(struct delivery *delivery)
{
    const struct host *host = delivery->host;
    const char *names[] = { host->dane.next_hop, host->name };
    struct tls_dane dane = { host->dane.records, host->dane.record_count, names, 2 };
    struct tls_context *context =
        setup_hold_send_tls(delivery->setup, delivery->connector, delivery->tls);

    if (delivery->tls == SEND_TLS_DANE)
        conn_start_tls_dane(delivery->conn, context, host->dane.base, &dane);
    else
        conn_start_tls(delivery->conn, context, host->name);
    tls_context_free(context);
}

/* "verify TLSv1.3 TLS_AES_256_GCM_SHA384 verified", for the delivery line. */
void delivery_note_tls(struct delivery *delivery)
{
    const struct tls_facts *facts = conn_tls(delivery->conn);

    snprintf(delivery->tls_text, sizeof delivery->tls_text, "%s %s %s %s",
        send_tls_name(delivery->tls_asked), facts->version, facts->cipher,
        facts->is_verified ? "verified" : "not-verified");
}

/* 4.7.5: for certificates that do not match, RFC 7672 and Postfix have it too. */
struct verdict delivery_tls_failure(const struct delivery *delivery)
{
    return verdict_of(451, STATUS(4, 7, 5), "TLS handshake failed (level %s): %s",
        send_tls_name(delivery->tls_asked), conn_tls_error(delivery->conn));
}
