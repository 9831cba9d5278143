/* What can be decoded can be encoded, and from then on the bytes stay the same. */
#include "mail/envelope.h"

#include <assert.h>
#include <stdlib.h>

/* Decodes ENCODED and appends its own encoding to OUT.  False: it is no envelope. */
static bool encode_again(struct bytes encoded, struct buf *out)
{
    struct envelope envelope;
    struct envelope_cursor cursor;
    struct recipient *recipients, one;
    size_t n = 0;

    if (envelope_decode(encoded, &envelope) != OK)
        return false;
    recipients = calloc(envelope.recipient_count + 1, sizeof *recipients);
    envelope_recipients(encoded, &cursor);
    while (envelope_next_recipient(&cursor, &one)) {
        assert(n < envelope.recipient_count);
        recipients[n++] = one;
    }
    assert(n == envelope.recipient_count);
    envelope.recipients = recipients;
    assert(envelope_encode(&envelope, out) == OK);
    free(recipients);
    return true;
}

static void walk(struct bytes encoded)
{
    struct envelope_cursor cursor;
    struct recipient recipient;

    envelope_recipients(encoded, &cursor); /* garbage too must not lead it astray */
    while (envelope_next_recipient(&cursor, &recipient))
        assert(recipient.address.n <= encoded.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first, second;

    buf_init(&first, ENVELOPE_BYTES_MAX);
    buf_init(&second, ENVELOPE_BYTES_MAX);
    walk(bytes_of(data, size));
    if (encode_again(bytes_of(data, size), &first)) {
        assert(encode_again(buf_bytes(&first), &second));
        assert(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    }
    buf_done(&first);
    buf_done(&second);
    return 0;
}
