/* An MX record of anybody's adds one host with a good name, or none. */
#include "os/dns_data.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_result *result = calloc(1, sizeof *result);
    char again[DNS_NAME_BYTES];

    dns_add_mx(result, bytes_of(data, size));
    assert(result->host_count <= 1);
    if (result->host_count == 1) {
        assert(!result->is_null_mx);
        assert(dns_name_read(result->hosts[0].name, again));
        assert(strcmp(again, result->hosts[0].name) == 0);
    }
    dns_put_in_order(result);
    free(result);
    return 0;
}
