#include "spool/standing.h"

#include <assert.h>

/* Where each field stands; docs/formats/spool.md draws it.  A later version may let the first
 * part grow, whose length stands in it: what is behind the fields we know is skipped.  What must
 * not be skipped sets a flag, and no flag is known yet. */
enum {
    AT_FRONT_BYTES = 0, /* length of all that stands before the holders */
    AT_ROLE = 1,
    AT_SINGLE = 2,
    AT_FLAGS = 3,
    AT_GENERATION = 4, /* 2 bytes, little-endian */
    AT_HOLDER_COUNT = 6,
    AT_EARLIER_COUNT = 7,
    AT_OWNER = 8,
    AT_FROM = 24,
    FRONT_BYTES = 40,
};

_Static_assert(
    STANDING_BYTES_MAX == FRONT_BYTES + 16 * (STANDING_HOLDERS_MAX + STANDING_EARLIER_MAX),
    "room for all stores");

size_t standing_encode(const struct standing *standing, uint8_t out[STANDING_BYTES_MAX])
{
    size_t holders_bytes = sizeof standing->holders[0] * (size_t)standing->holder_count;
    size_t earlier_bytes = sizeof standing->earlier[0] * (size_t)standing->earlier_count;

    assert(standing->role < STANDING_ROLE_COUNT && standing->single < SINGLE_COUNT);
    assert(standing->holder_count <= STANDING_HOLDERS_MAX);
    assert(standing->earlier_count <= STANDING_EARLIER_MAX);
    memset(out, 0, FRONT_BYTES);
    out[AT_FRONT_BYTES] = FRONT_BYTES;
    out[AT_ROLE] = standing->role;
    out[AT_SINGLE] = standing->single;
    out[AT_GENERATION] = (uint8_t)standing->generation;
    out[AT_GENERATION + 1] = (uint8_t)(standing->generation >> 8);
    out[AT_HOLDER_COUNT] = standing->holder_count;
    out[AT_EARLIER_COUNT] = standing->earlier_count;
    memcpy(out + AT_OWNER, standing->owner.byte, sizeof standing->owner.byte);
    memcpy(out + AT_FROM, standing->from.byte, sizeof standing->from.byte);
    memcpy(out + FRONT_BYTES, standing->holders, holders_bytes);
    memcpy(out + FRONT_BYTES + holders_bytes, standing->earlier, earlier_bytes);
    return FRONT_BYTES + holders_bytes + earlier_bytes;
}

static bool is_known(struct bytes bytes)
{
    size_t front = bytes.n ? bytes.at[AT_FRONT_BYTES] : 0;

    if (front < FRONT_BYTES || bytes.n < front || bytes.at[AT_FLAGS])
        return false;
    if (bytes.at[AT_ROLE] >= STANDING_ROLE_COUNT || bytes.at[AT_SINGLE] >= SINGLE_COUNT)
        return false;
    return bytes.at[AT_HOLDER_COUNT] <= STANDING_HOLDERS_MAX &&
           bytes.at[AT_EARLIER_COUNT] <= STANDING_EARLIER_MAX &&
           bytes.n == front + sizeof(struct store_id) * (size_t)(bytes.at[AT_HOLDER_COUNT] +
                                                                 bytes.at[AT_EARLIER_COUNT]);
}

bool standing_decode(struct bytes bytes, struct standing *out)
{
    const uint8_t *at = bytes.at;

    if (!is_known(bytes))
        return false;
    *out = (struct standing){
        .role = at[AT_ROLE],
        .single = at[AT_SINGLE],
        .generation = (uint16_t)(at[AT_GENERATION] | at[AT_GENERATION + 1] << 8),
        .holder_count = at[AT_HOLDER_COUNT],
        .earlier_count = at[AT_EARLIER_COUNT],
    };
    memcpy(out->owner.byte, at + AT_OWNER, sizeof out->owner.byte);
    memcpy(out->from.byte, at + AT_FROM, sizeof out->from.byte);
    memcpy(out->holders, at + at[AT_FRONT_BYTES],
        sizeof out->holders[0] * (size_t)out->holder_count);
    memcpy(out->earlier,
        at + at[AT_FRONT_BYTES] + sizeof out->holders[0] * (size_t)out->holder_count,
        sizeof out->earlier[0] * (size_t)out->earlier_count);
    return true;
}
