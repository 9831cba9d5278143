/* RCPT: what was read is written, and read as the same again. */
#include "shadow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct recipient recipient, again;
    struct shadow_copy copy = { .recipients = &recipient, .recipient_count = 1 };
    struct buf out;
    enum shadow_params got;
    size_t end;

    if (shadow_parse_rcpt(bytes_of(data, size), &recipient) != SHADOW_PARAMS_OK)
        return 0;
    assert(recipient.address.n > 0 && recipient.notify < 16);
    buf_init(&out, 1 << 16);
    fuzz_must(shadow_add_copy(&out, &copy));
    end = bytes_find(buf_bytes(&out), '\n') + 1; /* of MAIL */
    buf_drop(&out, end);
    got = shadow_parse_rcpt(fuzz_line(&out, "RCPT "), &again);
    assert(got == SHADOW_PARAMS_OK);
    assert(bytes_equal(recipient.address, again.address));
    assert(bytes_equal(recipient.orcpt, again.orcpt) && recipient.notify == again.notify);
    buf_done(&out);
    return 0;
}
