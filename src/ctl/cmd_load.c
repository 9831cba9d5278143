#include "base/mem.h"
#include "ctl/load.h"
#include "ctl/print.h"
#include "ctl/target.h"
#include "ctl/tool.h"
#include "mail/address.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum { TICK_MS = 10, RATE_TICK_MS = 2, SESSIONS_MAX = 100000, SIZE_MAX_BYTES = 1 << 30 };

struct run {
    struct load load;
    struct timer tick;
    uint64_t began_us, shown_us, shown_acked, given; /* given: what the rate has allowed */
    bool is_tty, was_stopped;
};

/* --- Options ----------------------------------------------------------------------------- */

static const char *const tls_modes[] = { "none", "starttls", "implicit", NULL };

static bool read_options(struct tool *tool, int argc, char **argv, const char **to,
    struct load_settings *settings, int *code)
{
    const struct option options[] = {
        { "to", 't', OPTION_TEXT, to, "ADDR:PORT", "or unix:PATH: where to send to" },
        { "sessions", 's', OPTION_NUMBER, &settings->sessions, "N", "at the same time [10]",
            .max = SESSIONS_MAX },
        { "messages", 'n', OPTION_NUMBER, &settings->messages, "N", "in all [1000]" },
        { "size", 0, OPTION_SIZE, &settings->size_bytes, "SIZE", "of each message [1k]",
            .max = SIZE_MAX_BYTES },
        { "rate", 0, OPTION_NUMBER, &settings->rate, "N",
            "messages per second, all sessions together [no limit]", .max = 10000000 },
        { "messages-per-session", 0, OPTION_NUMBER, &settings->messages_per_session, "N",
            "then a new connection; 0: never [0]" },
        { "under-way", 0, OPTION_NUMBER, &settings->under_way, "N",
            "messages of a session at the same time [1]", .max = 100 },
        { "from", 0, OPTION_TEXT, &settings->from, "ADDRESS", "[from@example.com]" },
        { "rcpt", 0, OPTION_TEXT, &settings->rcpt, "ADDRESS", "[to@example.com]" },
        { "recipients", 0, OPTION_NUMBER, &settings->recipient_count, "N",
            "of each message: to-1@..., to-2@... [1]", .max = ENVELOPE_RECIPIENTS_MAX },
        { "pipelining", 0, OPTION_YES_NO, &settings->uses_pipelining, "yes|no", "[yes]" },
        { "chunking", 0, OPTION_YES_NO, &settings->uses_chunking, "yes|no", "BDAT [yes]" },
        { "lmtp", 0, OPTION_FLAG, &settings->is_lmtp, NULL, "speak LMTP" },
        { "tls", 0, OPTION_CHOICE, &settings->tls, "MODE", "none, starttls or implicit [none]",
            .choices = tls_modes },
        { "id-prefix", 0, OPTION_TEXT, &settings->id_prefix, "TEXT",
            "each message has the header X-Load-Id: TEXT-N [load]" },
        { "acked", 0, OPTION_TEXT, &settings->acked_file, "FILE",
            "a line for each acknowledged message: TEXT-N" },
        { "retry", 0, OPTION_FLAG, &settings->retries, NULL,
            "send again what was lost or refused for now" },
        { "timeout", 0, OPTION_DURATION, &settings->timeout_ms, "TIME",
            "for any answer [60s]" },
    };

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), code))
        return false;
    if (argc) {
        *code = tool_usage(tool, "unexpected '%.60s'", argv[0]);
        return false;
    }
    return true;
}

static bool is_address(const char *text)
{
    struct address address;

    return address_parse(bytes_text(text), 0, &address) == ADDRESS_OK;
}

static const char *mistake(const char *to, struct load_settings *settings)
{
    if (!to)
        return "--to is missing";
    if (!target_parse(to, &settings->to))
        return "--to is not ADDRESS:PORT or unix:PATH";
    if (!is_address(settings->from) || !is_address(settings->rcpt))
        return "--from and --rcpt must be addresses like a@example.com";
    if (strlen(settings->id_prefix) > 60 || strpbrk(settings->id_prefix, " \t\r\n<>@") ||
        !settings->id_prefix[0])
        return "--id-prefix is a word of up to 60 bytes";
    if (!settings->sessions || !settings->messages || !settings->recipient_count ||
        !settings->under_way)
        return "--sessions, --messages, --recipients and --under-way begin at 1";
    return NULL;
}

/* --- Running ----------------------------------------------------------------------------- */

static void wake_all(struct load *load)
{
    uint64_t now = load_now_us();

    for (uint64_t i = 0; i < load->settings->sessions; i++) {
        load_session_check(load->sessions[i], now);
        load_session_wake(load->sessions[i]);
    }
}

static void show_progress(struct run *run, uint64_t now)
{
    struct load_work *work = &run->load.work;

    if (!run->is_tty || now - run->shown_us < 1000000)
        return;
    fprintf(stderr,
        "\r%" PRIu64 " of %" PRIu64 " acknowledged, %" PRIu64 "/s, %" PRIu64
        " refused, %" PRIu64 " under way   ",
        work->acked, work->settings->messages,
        (work->acked - run->shown_acked) * 1000000 / (now - run->shown_us), work->refused,
        work->taken);
    run->shown_us = now;
    run->shown_acked = work->acked;
}

/* What the rate allows that was not allowed yet; a second's worth at the most is saved up. */
static void allow(struct run *run, uint64_t now)
{
    struct load_work *work = &run->load.work;
    uint64_t rate = work->settings->rate;
    uint64_t due = (uint64_t)((double)(now - run->began_us) * (double)rate / 1e6);

    work->allowed += due - run->given;
    run->given = due;
    if (work->allowed > rate)
        work->allowed = rate;
}

static void on_tick(struct timer *timer)
{
    struct run *run = container_of(timer, struct run, tick);
    uint64_t now = load_now_us();

    timer_start(timer, run->load.settings->rate ? RATE_TICK_MS : TICK_MS);
    if (run->load.settings->rate)
        allow(run, now);
    show_progress(run, now);
    wake_all(&run->load);
}

static void on_over(struct load *load)
{
    loop_stop(load->loop);
}

static void on_signal(int signum, void *me)
{
    struct run *run = me;

    (void)signum;
    run->was_stopped = true;
    loop_stop(run->load.loop);
}

static enum err make(struct run *run, const struct load_settings *settings, char why[256])
{
    struct load *load = &run->load;
    struct tls_client_settings tls = { .version_min = TLS_1_2 };
    enum err err = load_work_init(&load->work, settings, why);

    if (err == OK && settings->tls != LOAD_TLS_NONE)
        err = tls_client_context(&tls, &load->tls, why);
    if (err != OK)
        return err;
    snprintf(why, 256, "the event loop");
    err = loop_new(&load->loop);
    if (err != OK)
        return err;
    load->settings = settings;
    load->on_over = on_over;
    load->config = (struct smtp_client_config){
        .fqdn = BYTES("localhost"),
        .is_lmtp = settings->is_lmtp,
        .tls = settings->tls == LOAD_TLS_STARTTLS ? SMTP_CLIENT_TLS_MUST : SMTP_CLIENT_TLS_NONE,
        .is_tls = settings->tls == LOAD_TLS_IMPLICIT,
        .uses_chunking = settings->uses_chunking,
        .uses_pipelining = settings->uses_pipelining,
        .under_way_max = (uint32_t)settings->under_way,
    };
    load->sessions = mem_new(settings->sessions * sizeof *load->sessions);
    for (uint64_t i = 0; i < settings->sessions; i++)
        load->sessions[i] = load_session_new(load);
    return OK;
}

static void unmake(struct load *load)
{
    if (load->sessions) {
        for (uint64_t i = 0; i < load->settings->sessions; i++)
            load_session_free(load->sessions[i]);
        free(load->sessions);
    }
    if (load->loop)
        loop_free(load->loop);
    tls_context_free(load->tls);
    load_work_done(&load->work);
}

static void send_all(struct run *run)
{
    struct loop *loop = run->load.loop;

    signal(SIGPIPE, SIG_IGN);
    err_ignore(loop_signal(loop, SIGTERM, on_signal, run)); /* then they just end us */
    err_ignore(loop_signal(loop, SIGINT, on_signal, run));
    run->is_tty = isatty(STDERR_FILENO);
    run->began_us = run->shown_us = run->load.work.last_us = load_now_us();
    timer_init(&run->tick, loop, on_tick);
    timer_start(&run->tick, 0);
    loop_run(loop);
    timer_stop(&run->tick);
    if (run->is_tty)
        fputc('\n', stderr);
}

/* --- The report -------------------------------------------------------------------------- */

static double seconds(const struct run *run)
{
    double s = (double)(run->load.work.last_us - run->began_us) / 1e6;

    return s > 0 ? s : 1e-6;
}

static const struct {
    const char *name;
    double part;
} parts[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "max", 1 } };

static void print_latency(const char *name, const struct histogram *histogram)
{
    char text[200];
    size_t at = 0;

    for (size_t i = 0; i < OPTION_COUNT(parts); i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s %.2f ms", i ? ", " : "",
            parts[i].name, (double)histogram_at(histogram, parts[i].part) / 1000);
    print_fact(name, "%s", text);
}

static void print_human(const struct run *run)
{
    const struct load_work *work = &run->load.work;

    print_fact(
        "acknowledged", "%" PRIu64 " of %" PRIu64, work->acked, work->settings->messages);
    print_fact("time", "%.2f s", seconds(run));
    print_fact("rate", "%.0f messages/s", (double)work->acked / seconds(run));
    print_latency("acknowledgement", &work->ack_us);
    print_latency("transaction", &work->whole_us);
    print_fact("connections", "%" PRIu64 ", failed %" PRIu64, work->connections,
        work->connections_failed);
    print_fact(
        "refused", "%" PRIu64 ", tried again %" PRIu64, work->refused, work->tried_again);
    if (work->codes[0])
        print_fact("lost", "%" PRIu64 " connections or messages", work->codes[0]);
    for (unsigned code = 1; code < LOAD_CODE_MAX; code++) {
        char name[20];
        snprintf(name, sizeof name, "reply %u", code);
        if (work->codes[code])
            print_fact(name, "%" PRIu64, work->codes[code]);
    }
    if (run->load.last_error[0])
        print_fact("last error", "%s", run->load.last_error);
}

static void set_latency(
    struct ctl_object *row, const char *name, const struct histogram *histogram)
{
    struct ctl_object *object = ctl_new();

    for (size_t i = 0; i < OPTION_COUNT(parts); i++)
        ctl_set_real(
            object, parts[i].name, (double)histogram_at(histogram, parts[i].part) / 1000);
    ctl_set_object(row, name, &object);
}

static void print_json(const struct run *run)
{
    const struct load_work *work = &run->load.work;
    struct ctl_object *row = ctl_new(), *errors = ctl_new();
    char code_text[20];

    ctl_set_number(row, "messages", (int64_t)work->settings->messages);
    ctl_set_number(row, "acknowledged", (int64_t)work->acked);
    ctl_set_real(row, "seconds", seconds(run));
    ctl_set_real(row, "rate", (double)work->acked / seconds(run));
    set_latency(row, "ack_ms", &work->ack_us);
    set_latency(row, "transaction_ms", &work->whole_us);
    ctl_set_number(row, "connections", (int64_t)work->connections);
    ctl_set_number(row, "connections_failed", (int64_t)work->connections_failed);
    ctl_set_number(row, "refused", (int64_t)work->refused);
    ctl_set_number(row, "tried_again", (int64_t)work->tried_again);
    for (unsigned code = 0; code < LOAD_CODE_MAX; code++) {
        snprintf(code_text, sizeof code_text, code ? "%u" : "lost", code);
        if (work->codes[code])
            ctl_set_number(errors, code_text, (int64_t)work->codes[code]);
    }
    ctl_set_object(row, "errors", &errors);
    ctl_set_text(row, "last_error", bytes_text(run->load.last_error));
    print_json_row(row);
    ctl_free(row);
}

int cmd_load(struct tool *tool, int argc, char **argv)
{
    struct load_settings settings = { .sessions = 10,
        .messages = 1000,
        .size_bytes = 1024,
        .under_way = 1,
        .recipient_count = 1,
        .from = "from@example.com",
        .rcpt = "to@example.com",
        .id_prefix = "load",
        .timeout_ms = 60000,
        .uses_pipelining = true,
        .uses_chunking = true };
    struct run *run; /* its histograms are large */
    const char *to = NULL, *wrong;
    char why[256] = "";
    enum err err;
    int code = EX_OK;

    if (!read_options(tool, argc, argv, &to, &settings, &code))
        return code;
    wrong = mistake(to, &settings);
    if (wrong)
        return tool_usage(tool, "%s", wrong);
    run = mem_new(sizeof *run);
    err = make(run, &settings, why);
    if (err == OK) {
        send_all(run);
        (tool->is_json ? print_json : print_human)(run);
        code = run->load.work.acked == settings.messages ? EX_OK : EX_TEMPFAIL;
    } else {
        code = tool_fail(tool, tool_code(err), "%s: %s", why, err_text(err));
    }
    unmake(&run->load);
    free(run);
    return code;
}
