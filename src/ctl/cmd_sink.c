#include "base/mem.h"
#include "ctl/sink.h"
#include "ctl/target.h"
#include "ctl/tool.h"
#include "os/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum { END_WAIT_MS = 2000, REPLIES_MAX = SINK_STAGE_COUNT };

/* What is not in the settings as it stands on the command line. */
struct words {
    const char *listen;
    const char *replies[REPLIES_MAX];
};

struct run {
    struct sink sink;
    struct timer each_second, last;
    uint64_t messages_before;
    bool is_tty;
};

/* --- Options ----------------------------------------------------------------------------- */

static const char *const stages[] = { "never", "banner", "mail", "rcpt", "data", "end", NULL };

static bool read_options(struct tool *tool, int argc, char **argv, struct words *words,
    struct sink_settings *settings, int *code)
{
    const struct option options[] = {
        { "listen", 'l', OPTION_TEXT, &words->listen, "ADDR:PORT",
            "or unix:PATH; port 0: any, printed [127.0.0.1:0]" },
        { "store", 0, OPTION_TEXT, &settings->store_folder, "FOLDER",
            "N.eml and N.env for each message" },
        { "append", 0, OPTION_TEXT, &settings->append_file, "FILE",
            "a line for each message: the header's value" },
        { "header", 0, OPTION_TEXT, &settings->header, "NAME",
            "for --append [X-Load-Id, else Message-ID]" },
        { "trace", 0, OPTION_FLAG, &settings->appends_trace, NULL,
            "for --append: behind it the id in the first Received, and the Unix time" },
        { "fsync", 0, OPTION_FLAG, &settings->syncs, NULL, "flush what is written before 250" },
        { "reply-banner", 0, OPTION_TEXT, &words->replies[SINK_AT_BANNER], "REPLY",
            "such as \"421 4.3.2 try later\", in place of the banner" },
        { "reply-mail", 0, OPTION_TEXT, &words->replies[SINK_AT_MAIL], "REPLY", "to MAIL" },
        { "reply-rcpt", 0, OPTION_TEXT, &words->replies[SINK_AT_RCPT], "REPLY", "to RCPT" },
        { "reply-data", 0, OPTION_TEXT, &words->replies[SINK_AT_DATA], "REPLY", "to DATA" },
        { "reply-end", 0, OPTION_TEXT, &words->replies[SINK_AT_END], "REPLY",
            "to the end of the content" },
        { "fail-rate", 0, OPTION_NUMBER, &settings->fail_percent, "PERCENT",
            "of messages get 451, at random", .max = 100 },
        { "drop-at", 0, OPTION_CHOICE, &settings->drop_at, "STAGE",
            "close the connection at banner, mail, rcpt, data or end", .choices = stages },
        { "stall-at", 0, OPTION_CHOICE, &settings->stall_at, "STAGE",
            "say nothing more from there on", .choices = stages },
        { "delay", 0, OPTION_DURATION, &settings->delay_ms, "MS",
            "before the reply to the end of the content" },
        { "count", 'n', OPTION_NUMBER, &settings->count, "N", "end after N messages" },
        { "size-max", 0, OPTION_SIZE, &settings->size_bytes_max, "SIZE", "[256M]",
            .max = (uint64_t)1 << 40 },
        { "tls", 0, OPTION_FLAG, &settings->offers_tls, NULL,
            "offer STARTTLS, with a self-signed certificate" },
        { "implicit-tls", 0, OPTION_FLAG, &settings->is_implicit_tls, NULL,
            "TLS from the first byte" },
    };

    if (!tool_options(tool, &argc, argv, options, OPTION_COUNT(options), code))
        return false;
    if (argc) {
        *code = tool_usage(tool, "unexpected '%.60s'", argv[0]);
        return false;
    }
    return true;
}

static bool take_words(
    struct tool *tool, const struct words *words, struct sink_settings *settings, int *code)
{
    if (!target_parse(words->listen, &settings->listen)) {
        *code = tool_usage(
            tool, "--listen '%.60s' is not ADDRESS:PORT or unix:PATH", words->listen);
        return false;
    }
    for (unsigned i = 0; i < REPLIES_MAX; i++) {
        if (words->replies[i] && !reply_parse(words->replies[i], &settings->replies[i])) {
            *code = tool_usage(
                tool, "'%.60s' is not a reply like \"451 4.3.0 try later\"", words->replies[i]);
            return false;
        }
    }
    return true;
}

/* --- Running ----------------------------------------------------------------------------- */

static void on_accept(
    void *me, int fd, const struct endpoint *peer, const struct endpoint *local)
{
    (void)peer;
    (void)local;
    sink_session_start(me, fd);
}

static void stop(struct sink *sink)
{
    loop_stop(sink->loop);
}

void sink_received(struct sink *sink, uint64_t bytes)
{
    struct run *run = container_of(sink, struct run, sink);

    sink->messages++;
    sink->bytes += bytes;
    if (sink->settings->count == 0 || sink->messages < sink->settings->count || sink->is_ending)
        return;
    /* The clients are given time to read their last reply and to say QUIT. */
    sink->is_ending = true;
    timer_start(&run->last, END_WAIT_MS);
}

void sink_session_ended(struct sink *sink)
{
    if (--sink->session_count == 0 && sink->is_ending)
        stop(sink);
}

static void on_last(struct timer *timer)
{
    stop(&container_of(timer, struct run, last)->sink);
}

static void on_signal(int signum, void *me)
{
    (void)signum;
    stop(me);
}

static void on_second(struct timer *timer)
{
    struct run *run = container_of(timer, struct run, each_second);

    fprintf(stderr, "\r%llu messages, %llu/s, %llu refused, %llu sessions open   ",
        (unsigned long long)run->sink.messages,
        (unsigned long long)(run->sink.messages - run->messages_before),
        (unsigned long long)run->sink.refused, (unsigned long long)run->sink.session_count);
    run->messages_before = run->sink.messages;
    timer_start(timer, 1000);
}

static enum err make(struct sink *sink, char why[256])
{
    const struct sink_settings *settings = sink->settings;
    enum err err = sink_store_open(settings, &sink->store, why);

    if (err == OK && (settings->offers_tls || settings->is_implicit_tls))
        err = tls_self_signed_context("localhost", &sink->tls, why);
    if (err != OK)
        return err;
    snprintf(why, 256, "the event loop");
    err = loop_new(&sink->loop);
    if (err != OK)
        return err;
    snprintf(why, 256, "--listen");
    return listener_open(sink->loop, &settings->listen, 0666, on_accept, sink, &sink->listener);
}

static void unmake(struct sink *sink)
{
    if (sink->listener)
        listener_close(sink->listener);
    sink_sessions_close(sink);
    if (sink->loop)
        loop_free(sink->loop);
    sink_store_close(sink->store);
    tls_context_free(sink->tls);
}

static void say_address(const struct sink *sink)
{
    char text[ENDPOINT_TEXT_BYTES];

    endpoint_format(listener_endpoint(sink->listener), text);
    printf("listening on %s\n", text);
    fflush(stdout); /* a script waits for it to learn the port */
}

static void serve(struct run *run)
{
    struct sink *sink = &run->sink;

    timer_init(&run->each_second, sink->loop, on_second);
    timer_init(&run->last, sink->loop, on_last);
    err_ignore(loop_signal(sink->loop, SIGTERM, on_signal, sink)); /* then they just end us */
    err_ignore(loop_signal(sink->loop, SIGINT, on_signal, sink));
    signal(SIGPIPE, SIG_IGN);
    run->is_tty = isatty(STDERR_FILENO);
    if (run->is_tty)
        timer_start(&run->each_second, 1000);
    loop_run(sink->loop);
    timer_stop(&run->each_second);
    timer_stop(&run->last);
    if (run->is_tty)
        fputc('\n', stderr);
}

static struct smtp_server_config engine_config(const struct sink_settings *settings)
{
    return (struct smtp_server_config){
        .fqdn = BYTES("localhost"),
        .banner = BYTES("localhost ESMTP relais sink"),
        .size_bytes_max = settings->size_bytes_max,
        .recipients_max = ENVELOPE_RECIPIENTS_MAX,
        .errors_max = 20,
        .offers_starttls = settings->offers_tls && !settings->is_implicit_tls,
        .is_tls = settings->is_implicit_tls,
    };
}

int cmd_sink(struct tool *tool, int argc, char **argv)
{
    struct sink_settings settings = { .header = "X-Load-Id", .size_bytes_max = 256 << 20 };
    struct words words = { .listen = "127.0.0.1:0" };
    struct run run = { 0 };
    char why[256] = "";
    enum err err;
    int code = EX_OK;

    if (!read_options(tool, argc, argv, &words, &settings, &code) ||
        !take_words(tool, &words, &settings, &code))
        return code;
    run.sink.settings = &settings;
    run.sink.config = engine_config(&settings);
    list_init(&run.sink.sessions);
    random_fill(&run.sink.random, sizeof run.sink.random);
    err = make(&run.sink, why);
    if (err == OK) {
        say_address(&run.sink);
        serve(&run);
        printf("received %llu messages, %llu bytes\n", (unsigned long long)run.sink.messages,
            (unsigned long long)run.sink.bytes);
    } else {
        code = tool_fail(tool, tool_code(err), "%s: %s", why, err_text(err));
    }
    unmake(&run.sink);
    return code;
}
