/* The machine's own addresses: those that a socket can be bound to. */
#include "kit.h"

#include "os/address.h"
#include "os/own_addresses.h"

#include <netinet/in.h>
#include <unistd.h>

/* The address that packets to a neighbour would leave from; false: there is no network. */
static bool outer_address(struct ip *out)
{
    struct endpoint to = { .port = 53 }, from;
    struct sockaddr_storage address;
    socklen_t n;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_there = false;

    assert_true(ip_parse(BYTES("192.0.2.53"), &to.ip));
    n = endpoint_to_sockaddr(&to, &address);
    if (connect(fd, (struct sockaddr *)&address, n) == 0) { /* nothing is sent */
        n = sizeof address;
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &n), 0);
        endpoint_of_sockaddr((struct sockaddr *)&address, n, &from);
        *out = from.ip;
        is_there = true;
    }
    close(fd);
    return is_there;
}

static void knows_them(void **state)
{
    static const struct {
        const char *ip;
        bool is_own;
    } cases[] = {
        { "127.0.0.1", true },
        { "127.7.7.7", true },
        { "::1", true },
        { "192.0.2.77", false },
        { "2001:db8::77", false },
    };
    struct own_addresses own = { .list = NULL };
    struct ip ip;

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        assert_true(ip_parse(bytes_text(cases[i].ip), &ip));
        check(
            cases[i].ip, own_addresses_have(&own, ip, (struct moment){ 1 }) == cases[i].is_own);
    }
    if (outer_address(&ip))
        check("the outer one", own_addresses_have(&own, ip, (struct moment){ 20000 }));
    own_addresses_done(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(knows_them) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
