#include "kit.h"

#include "node/inside.h"

/* An envelope with one thing changed: WHAT counts them. */
static uint64_t digest_with(int what)
{
    struct recipient recipients[3] = {
        { .address = BYTES("a@example.com"), .orcpt = BYTES("rfc822;x"), .notify = 2 },
        { .address = BYTES("b@example.com") },
        { .address = BYTES("c@example.com") },
    };
    struct envelope envelope = { .sender = BYTES("s@example.com"),
        .envid = BYTES("E1"),
        .ret = RET_FULL,
        .prepend = BYTES("Received: x\r\n"),
        .recipients = recipients,
        .recipient_count = what == 1 ? 2 : 3 };
    uint64_t content_bytes = 1000, digest = 0;
    struct buf encoded;

    if (what == 2)
        envelope.sender = BYTES_NONE;
    if (what == 3)
        envelope.envid = BYTES("E2");
    if (what == 4)
        envelope.ret = RET_HDRS;
    if (what == 5)
        recipients[2].address = BYTES("d@example.com");
    if (what == 6)
        recipients[0].notify = 0;
    if (what == 7)
        recipients[0].orcpt = BYTES_NONE;
    if (what == 8) /* the same bytes, cut elsewhere */
        recipients[0].address = BYTES("a@example.comrfc822;"), recipients[0].orcpt = BYTES("x");
    if (what == 9)
        content_bytes++;
    if (what == -1) { /* what another node sees for itself, or may add */
        envelope.has_dot_line = envelope.has_8bit = envelope.has_utf8_header = true;
        envelope.crash_count = 3;
        envelope.hop_count = 9;
        envelope.message_id = BYTES("<m@x>");
        envelope.prepend = BYTES_NONE;
        content_bytes += 13;
    }
    buf_init(&encoded, 4096);
    assert_int_equal(envelope_encode(&envelope, &encoded), OK);
    assert_true(digest_of(buf_bytes(&encoded), content_bytes, &digest));
    buf_done(&encoded);
    return digest;
}

static void test_digest(void **state)
{
    (void)state;
    assert_true(digest_with(0) == digest_with(-1));
    for (int what = 1; what <= 9; what++)
        if (digest_with(what) == digest_with(0))
            fail_msg("change %d is not seen", what);
}

static void test_no_envelope(void **state)
{
    uint64_t digest;

    (void)state;
    assert_false(digest_of(BYTES("\x01\xff\xff"), 1, &digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_no_envelope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
