/* Any bytes as a configuration: settings or complaints, never both and never a crash.
 *
 * Files that it includes would be read from this machine, and slow the fuzzer down for nothing,
 * so a text that can include is left out. */
#include "directory/directory.h"
#include "policy/receive.h"
#include "policy/route.h"

#include <assert.h>

static void use(struct settings *settings)
{
    struct arrival arrival = { .port = 25 };
    const struct receive_connector *a, *b;
    char why[512], hop[400];

    assert(!receive_conflict(settings, &a, &b, why)); /* it would be a mistake */
    receive_choose(settings, &arrival);
    for (size_t i = 0; i < settings->send_count; i++)
        route_hop_name(&settings->send[i], BYTES("example.com"), hop);
    route_choose(settings, &(struct route_facts){ .domain = BYTES("a.example.com") }, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct complaints complaints = { 0 };
    struct settings *settings = NULL;
    enum err err;
    char line[1000];

    if (memmem(data, size, "include", 7))
        return 0;
    err = directory_read_text(bytes_of(data, size), "fuzz.conf", &settings, &complaints);
    assert((err == OK) == (complaints.error_count == 0));
    assert((err == OK) == (settings != NULL));
    for (size_t i = 0; i < complaints.count; i++) {
        assert(complaints.list[i].where.line >= 0 && complaints.list[i].text[0]);
        complaint_format(&complaints.list[i], line);
    }
    if (settings)
        use(settings);
    settings_free(settings);
    complaints_done(&complaints);
    return 0;
}
