/* How long a connection is waited for (RFC 5321, 4.5.3.2). */
#include "flow/deliver/internal.h"

enum { TICK_MS = 1000 };

static int64_t limit_ms(const struct delivery *delivery)
{
    const struct send_connector *connector = delivery->connector;

    if (delivery->asked)
        return connector->data_ms;
    if (!delivery->is_up && smtp_client_waits(delivery->engine) == SMTP_CLIENT_WAITS_NOT)
        return connector->connect_ms;
    switch (smtp_client_waits(delivery->engine)) {
    case SMTP_CLIENT_WAITS_GREETING:
        return connector->greeting_ms;
    case SMTP_CLIENT_WAITS_COMMAND:
        return connector->command_ms;
    case SMTP_CLIENT_WAITS_DATA:
        return connector->data_ms;
    case SMTP_CLIENT_WAITS_END:
        return connector->end_ms;
    case SMTP_CLIENT_WAITS_NOT:
        break;
    }
    return connector->idle_ms;
}

static bool is_waiting_for_greeting(const struct delivery *delivery)
{
    enum smtp_client_wait waits = smtp_client_waits(delivery->engine);

    return !delivery->is_up &&
           (waits == SMTP_CLIENT_WAITS_GREETING || waits == SMTP_CLIENT_WAITS_NOT);
}

/* A host may take its time to greet, but no mail needs to wait for it where others can be asked:
 * it is the circuit breaker's then, which has all the time there is. */
static bool is_too_late(const struct delivery *delivery)
{
    int64_t now = loop_now(delivery->destination->deliver->loop).ms;

    return now - delivery->opened.ms >= PATIENCE_MS && !delivery->is_probe &&
           !delivery->host->is_late && is_waiting_for_greeting(delivery) &&
           destination_has_other(delivery->destination, delivery->host, delivery->address_at);
}

static void on_timer(struct timer *timer)
{
    struct delivery *delivery = container_of(timer, struct delivery, timer);
    int64_t left = delivery->active.ms + limit_ms(delivery) -
                   loop_now(delivery->destination->deliver->loop).ms;

    if (left > 0 && is_too_late(delivery)) {
        delivery_lose(delivery,
            verdict_of(451, STATUS(4, 4, 2), "no greeting in %d s", PATIENCE_MS / 1000));
        return;
    }
    if (left > 0) {
        /* What is waited for may change to something shorter: look again soon. */
        timer_start(timer, left < TICK_MS ? left : TICK_MS);
        return;
    }
    timer_start(timer, TICK_MS);
    if (delivery->is_ready && !delivery->preparing && list_is_empty(&delivery->sendings))
        delivery_quit(delivery);
    else if (!delivery->preparing)
        delivery_lose(delivery, verdict_of(451, STATUS(4, 4, 2), "timed out"));
}

void delivery_start_timer(struct delivery *delivery)
{
    timer_init(&delivery->timer, delivery->destination->deliver->loop, on_timer);
    timer_start(&delivery->timer, TICK_MS);
}
