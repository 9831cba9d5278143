/* What choosing a connector costs among many ranges, and what they cost (RC-4, RC-5).
 *
 *     receive_bench [RANGES]        prints "NAME VALUE" lines */
#include "base/mem.h"
#include "directory/directory.h"
#include "os/clock.h"
#include "policy/receive.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { RANGES = 100000, CHOICES = 2000000, PORT = 25 };

static const char config[] =
    "address_list \"Many\" { file = \"%s\" }\n"
    "receive_connector \"Many\" { bindings = {\"*:25\"} remote_ranges = {\"@Many\"} }\n"
    "receive_connector \"World\" { bindings = {\"*:25\"} remote_ranges = {\"*\"} }\n"
    "send_connector \"Out\" { address_spaces = {\"*\"} mx = true }\n";

/* The I-th of them; every second address stands alone between its neighbours. */
static struct ip address_of(uint32_t i)
{
    struct ip ip = { { [10] = 0xff, [11] = 0xff, [12] = 10 } };

    i *= 2;
    ip.byte[13] = (uint8_t)(i >> 16);
    ip.byte[14] = (uint8_t)(i >> 8);
    ip.byte[15] = (uint8_t)i;
    return ip;
}

static void write_list(const char *file, uint32_t count)
{
    FILE *out = fopen(file, "w");

    if (!out)
        exit(1);
    for (uint32_t i = 0; i < count; i++) {
        char text[IP_TEXT_BYTES];
        ip_format(address_of(i), text);
        fprintf(out, "%s # device %" PRIu32 "\n", text, i);
    }
    fclose(out);
}

static struct settings *read_settings(const char *file)
{
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;
    char text[1000];

    snprintf(text, sizeof text, config, file);
    if (directory_read_text(bytes_text(text), "bench.conf", &settings, &complaints) != OK)
        exit(1);
    complaints_done(&complaints);
    return settings;
}

/* Members, and strangers between them, in no order. */
static double choose_ns(const struct settings *settings, uint32_t count)
{
    struct arrival arrival = { .port = PORT, .local = address_of(0) };
    uint32_t random = 1;
    uint64_t members = 0;
    clock_t begun = clock(); /* the processor's time: others may share the machine */

    for (uint32_t i = 0; i < CHOICES; i++) {
        random = random * 1664525 + 1013904223;
        arrival.peer = address_of((random >> 8) % count);
        arrival.peer.byte[15] |= i & 1;
        members += receive_choose(settings, &arrival) == &settings->receive[0];
    }
    if (members != CHOICES / 2)
        exit(1);
    return (double)(clock() - begun) * (1e9 / CLOCKS_PER_SEC) / CHOICES;
}

int main(int argc, char **argv)
{
    char file[] = "/tmp/relais-receive-bench-XXXXXX";
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : RANGES;
    struct settings *settings;
    struct mallinfo2 before;
    int64_t begun;
    int fd = mkstemp(file);

    if (fd < 0 || count == 0)
        return 1;
    close(fd);
    write_list(file, count);
    before = mallinfo2();
    begun = clock_us();
    settings = read_settings(file);
    printf("ranges %" PRIu32 "\n", count);
    printf("read_ms %.1f\n", (double)(clock_us() - begun) / 1000);
    printf("bytes_per_range %.0f\n",
        (double)(mallinfo2().uordblks + mallinfo2().hblkhd - before.uordblks - before.hblkhd) /
            count);
    printf("choose_ns %.0f\n", choose_ns(settings, count));
    settings_free(settings);
    unlink(file);
    return 0;
}
