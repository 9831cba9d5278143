#include "kit.h"

#include "os/address.h"

static struct endpoint endpoint(const char *ip, uint16_t port)
{
    struct endpoint endpoint = { .port = port };
    assert_true(ip_parse(bytes_text(ip), &endpoint.ip));
    return endpoint;
}

static void endpoints_survive_the_kernels_form(void **state)
{
    struct endpoint path = { .is_unix = true, .path = "/run/x" };
    struct endpoint longest = { .is_unix = true };
    const struct {
        const char *text;
        struct endpoint endpoint;
        int family;
    } cases[] = {
        { "192.0.2.1:25", endpoint("192.0.2.1", 25), AF_INET },
        { "0.0.0.0:65535", endpoint("0.0.0.0", 65535), AF_INET },
        { "[2001:db8::1]:25", endpoint("2001:db8::1", 25), AF_INET6 },
        { "[::]:0", endpoint("::", 0), AF_INET6 },
        { "unix:/run/x", path, AF_UNIX },
        { NULL, longest, AF_UNIX },
    };

    (void)state;
    for (size_t i = 0; i < CASES(cases); i++) {
        struct endpoint before = cases[i].endpoint, after;
        struct sockaddr_storage storage;
        char text[ENDPOINT_TEXT_BYTES], again[ENDPOINT_TEXT_BYTES];
        socklen_t n;
        if (!cases[i].text)
            memset(before.path, 'p', sizeof before.path - 1);
        n = endpoint_to_sockaddr(&before, &storage);
        assert_int_equal(storage.ss_family, cases[i].family);
        endpoint_of_sockaddr((struct sockaddr *)&storage, n, &after);
        endpoint_format(&before, text);
        endpoint_format(&after, again);
        assert_string_equal(text, again);
        if (cases[i].text)
            assert_string_equal(text, cases[i].text);
    }
}

static void a_mapped_address_is_v4(void **state)
{
    struct endpoint mapped = endpoint("2001:db8::1", 25), after;
    struct sockaddr_storage storage;
    socklen_t n = endpoint_to_sockaddr(&mapped, &storage);
    char text[ENDPOINT_TEXT_BYTES];

    (void)state;
    memcpy((uint8_t *)&storage + 8, "\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\0\x02\x07", 16);
    endpoint_of_sockaddr((struct sockaddr *)&storage, n, &after);
    endpoint_format(&after, text);
    assert_string_equal(text, "192.0.2.7:25");
}

static void odd_unix_sockets_have_a_text(void **state)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct endpoint got;
    char text[ENDPOINT_TEXT_BYTES];

    (void)state;
    endpoint_of_sockaddr((struct sockaddr *)&un, sizeof un.sun_family, &got);
    assert_true(got.is_unix);
    endpoint_format(&got, text);
    assert_string_equal(text, "unix:");
    memcpy(un.sun_path, "\0name", 5);
    endpoint_of_sockaddr((struct sockaddr *)&un, sizeof un.sun_family + 5, &got);
    endpoint_format(&got, text);
    assert_string_equal(text, "unix:@name");
    endpoint_of_sockaddr((struct sockaddr *)&un, 0, &got);
    assert_false(got.is_unix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_survive_the_kernels_form),
        cmocka_unit_test(a_mapped_address_is_v4),
        cmocka_unit_test(odd_unix_sockets_have_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
