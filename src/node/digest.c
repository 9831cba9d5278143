/* What makes two envelopes under one mid the same message (R15): who it is from, all recipients
 * with what was asked for them, and how long it is.  Not what a node sees or adds for itself:
 * where our own header fields end, flags of the content, crash counts, done recipients. */
#include "base/hash.h"
#include "node/inside.h"

static uint64_t mix(uint64_t hash, struct bytes bytes)
{
    return hash64(bytes, hash + bytes.n);
}

static uint64_t mix_number(uint64_t hash, uint64_t number)
{
    return hash64(bytes_of(&number, sizeof number), hash);
}

bool digest_of(struct bytes encoded, uint64_t content_bytes, uint64_t *out)
{
    struct envelope_cursor cursor;
    struct envelope envelope;
    struct recipient recipient;
    uint64_t hash;

    if (envelope_decode(encoded, &envelope) != OK)
        return false;
    hash = mix_number(0, content_bytes + envelope.prepend.n);
    hash = mix(hash, envelope.sender);
    hash = mix(hash, envelope.envid);
    hash = mix_number(hash, envelope.ret);
    hash = mix_number(hash, envelope.recipient_count);
    envelope_recipients(encoded, &cursor);
    while (envelope_next_recipient(&cursor, &recipient)) {
        hash = mix(hash, recipient.address);
        hash = mix(hash, recipient.orcpt);
        hash = mix_number(hash, recipient.notify + (recipient.is_expanded ? 256u : 0));
    }
    *out = hash;
    return true;
}
