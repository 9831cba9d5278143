/* What the engine cannot say by itself when it logs in: SCRAM's steps, done by a thread of the
 * pool, for the other side says how much work they are. */
#include "flow/deliver/internal.h"

#include "base/mem.h"
#include "os/sasl.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert((int)AUTH_PLAIN == (int)SMTP_CLIENT_AUTH_PLAIN &&
                   (int)AUTH_LOGIN == (int)SMTP_CLIENT_AUTH_LOGIN &&
                   (int)AUTH_SCRAM_SHA_256 == (int)SMTP_CLIENT_AUTH_SCRAM_SHA_256 &&
                   (int)AUTH_SCRAM_SHA_256_PLUS == (int)SMTP_CLIENT_AUTH_SCRAM_SHA_256_PLUS,
    "the settings and the engine speak of the same mechanisms");

struct delivery_login {
    struct loop_work work;
    struct delivery *delivery; /* NULL: it is gone */
    struct sasl *sasl;
    struct buf in, out;
    bool has_in, is_running;
    enum sasl_result result;
};

static void free_login(struct delivery_login *login)
{
    sasl_free(login->sasl);
    buf_done(&login->in);
    buf_done(&login->out);
    free(login);
}

void delivery_login_end(struct delivery *delivery)
{
    struct delivery_login *login = delivery->login;

    delivery->login = NULL;
    if (!login)
        return;
    if (login->is_running)
        login->delivery = NULL; /* on_done() frees it */
    else
        free_login(login);
}

/* Never a refusal for good: the mail waits until somebody has mended the password. */
static void give_up(struct delivery *delivery, const char *why)
{
    struct verdict verdict = verdict_of(454, STATUS(4, 7, 0), "AUTH: %s", why);

    delivery_step(delivery,
        &(struct smtp_client_event){ .type = SMTP_CLIENT_AUTH_FAILED, .verdict = &verdict });
}

static void on_run(struct loop_work *work)
{
    struct delivery_login *login = container_of(work, struct delivery_login, work);

    login->result = sasl_step(login->sasl, login->has_in, buf_bytes(&login->in), &login->out);
}

static void on_done(struct loop_work *work)
{
    struct delivery_login *login = container_of(work, struct delivery_login, work);
    struct delivery *delivery = login->delivery;

    login->is_running = false;
    if (!delivery) {
        free_login(login);
        return;
    }
    if (login->result == SASL_MORE || login->result == SASL_DONE)
        delivery_step(delivery, &(struct smtp_client_event){ .type = SMTP_CLIENT_AUTH_RESPONSE,
                                    .input = buf_bytes(&login->out),
                                    .is_last = login->result == SASL_DONE });
    else
        give_up(delivery, sasl_why(login->sasl));
}

static struct delivery_login *new_login(struct delivery *delivery, struct bytes mechanism)
{
    const struct send_connector *connector = delivery->connector;
    struct delivery_login *login = mem_new(sizeof *login);
    struct tls_binding binding;
    char *name = bytes_to_text(mechanism);

    login->delivery = delivery;
    conn_tls_binding(delivery->conn, &binding);
    login->sasl = sasl_client_new(name, connector->user, connector->password, &binding);
    assert(login->sasl); /* the engine has but those that the library has */
    buf_init(&login->in, SASL_OUT_BYTES_MAX);
    buf_init(&login->out, SMTP_CLIENT_CREDENTIALS_BYTES_MAX);
    free(name);
    return login;
}

void delivery_login(struct delivery *delivery, const struct smtp_client_action *action)
{
    struct delivery_login *login;
    enum err err;

    if (action->is_first) {
        delivery_login_end(delivery);
        delivery->login = new_login(delivery, action->text);
    }
    login = delivery->login;
    login->has_in = !action->is_first;
    buf_clear(&login->in);
    err = buf_add(&login->in, action->more);
    assert(err == OK); /* a reply's text is shorter than that */
    login->is_running = true;
    login->work = (struct loop_work){ .run = on_run, .done = on_done };
    loop_work(delivery->destination->deliver->loop, &login->work);
}

void delivery_login_choose(struct delivery *delivery)
{
    struct tls_binding binding;

    conn_tls_binding(delivery->conn, &binding);
    if (binding.n == 0)
        delivery->config.auth_mechanisms &= ~(unsigned)SMTP_CLIENT_AUTH_SCRAM_SHA_256_PLUS;
}
