/* When a next hop is tried again. */
#include "kit.h"

#include "policy/retry.h"

enum { MINUTE = 60000 };

static void plan_is_followed_and_its_last_goes_on(void **state)
{
    static const struct {
        uint32_t failures;
        int64_t want_minutes;
    } cases[] = { { 0, 1 }, { 1, 1 }, { 4, 1 }, { 5, 5 }, { 10, 5 }, { 11, 10 }, { 12, 10 },
        { 1000000, 10 }, { UINT32_MAX, 10 } };
    struct send_connector connector;

    (void)state;
    send_connector_init(&connector, "Out");
    for (size_t i = 0; i < CASES(cases); i++) {
        int64_t want = cases[i].want_minutes * MINUTE;
        int64_t late = retry_hop_ms(&connector, cases[i].failures, 0);
        int64_t early = retry_hop_ms(&connector, cases[i].failures, UINT32_MAX);

        check("without jitter", late == want);
        check("a tenth at the most", early > want - want / 10 - 1 && early < want);
    }
    check("a message", retry_message_ms(&connector, 0) == 5 * MINUTE);
    check("a message", retry_message_ms(&connector, UINT32_MAX) >= 5 * MINUTE * 9 / 10);
    send_connector_done(&connector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_is_followed_and_its_last_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
