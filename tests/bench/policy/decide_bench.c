/* What a recipient costs among many patterns, and a route among many send connectors.
 *
 *     decide_bench [PATTERNS [CONNECTORS [SPACES]]]        prints "NAME VALUE" lines */
#include "base/buf.h"
#include "directory/directory.h"
#include "policy/pattern.h"
#include "policy/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    PATTERNS = 10000,
    CONNECTORS = 1000,
    SPACES = 20,
    ASKED = 2000,
    TEXT_BYTES_MAX = 64 << 20
};

static void add(struct buf *out, const char *format, ...) PRINTF(2, 3);
static void add(struct buf *out, const char *format, ...)
{
    char text[200];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (buf_add_text(out, text) != OK)
        exit(1);
}

static struct settings *read_settings(unsigned patterns, unsigned connectors, unsigned spaces)
{
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;
    struct buf text;

    buf_init(&text, TEXT_BYTES_MAX);
    add(&text, "receive_connector \"In\" { bindings = {\"*:25\"} remote_ranges = {\"*\"} "
               "refuse_senders = "
               "{\"none@x.example\"");
    for (unsigned i = 0; i < patterns; i++)
        add(&text, i % 3 ? ", \"user%u@d%u.example\"" : ", \"*@*.d%u-%u.example\"", i, i % 100);
    add(&text, "} }\nsend_connector \"World\" { address_spaces = {\"*\"} mx = true }\n");
    for (unsigned i = 0; i < connectors; i++) {
        add(&text, "send_connector \"Out%u\" { mx = true address_spaces = {\"d%u.example\"", i,
            i);
        for (unsigned k = 1; k < spaces; k++)
            add(&text, ", \"*.s%u.d%u.example\"", k, i);
        add(&text, "} }\n");
    }
    if (directory_read_text(buf_bytes(&text), "bench.conf", &settings, &complaints) != OK)
        exit(1);
    complaints_done(&complaints);
    buf_done(&text);
    return settings;
}

/* The processor's time, for others may share the machine. */
static double ns_since(clock_t begun)
{
    return (double)(clock() - begun) * (1e9 / CLOCKS_PER_SEC) / ASKED;
}

static void print_patterns(const struct settings *settings, unsigned patterns)
{
    const struct address_patterns *refused = &settings->receive[0].senders_refused;
    unsigned found = 0;
    clock_t begun = clock();

    for (unsigned i = 0; i < ASKED; i++) {
        unsigned n = (i * 7919u) % (2 * patterns); /* half of them are not in the list */
        struct pattern_subject subject;
        struct address address;
        char text[100];

        snprintf(text, sizeof text, "user%u@d%u.example", n, n % 100);
        if (address_parse(bytes_text(text), 0, &address) != ADDRESS_OK)
            exit(1);
        pattern_subject_init(&subject, &address);
        found += patterns_find(refused, &subject) != NULL;
    }
    printf("patterns %u\npattern_ns %.0f\n", patterns, ns_since(begun));
    if (found == 0 || found == ASKED)
        exit(1);
}

static void print_routes(const struct settings *settings, unsigned connectors, unsigned spaces)
{
    unsigned others = 0;
    clock_t begun = clock();

    for (unsigned i = 0; i < ASKED; i++) {
        unsigned n = (i * 7919u) % (2 * connectors);
        char text[100];

        snprintf(text, sizeof text, "a.s%u.d%u.example", i % spaces, n);
        others += route_choose(settings, &(struct route_facts){ .domain = bytes_text(text) },
                      NULL) != &settings->send[0];
    }
    printf(
        "connectors %u\nspaces_each %u\nroute_ns %.0f\n", connectors, spaces, ns_since(begun));
    if (others == 0 || others == ASKED)
        exit(1);
}

static unsigned number(int argc, char **argv, int i, unsigned otherwise)
{
    return argc > i ? (unsigned)strtoul(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    unsigned patterns = number(argc, argv, 1, PATTERNS), spaces = number(argc, argv, 3, SPACES);
    unsigned connectors = number(argc, argv, 2, CONNECTORS);
    struct settings *settings;

    if (patterns == 0 || connectors == 0 || spaces == 0)
        return 1;
    settings = read_settings(patterns, connectors, spaces);
    print_patterns(settings, patterns);
    print_routes(settings, connectors, spaces);
    settings_free(settings);
    return 0;
}
