/* Outcomes: the first three bytes are the code.  What was read is written, and read as the same
 * again. */
#include "shadow_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mid mid = { { 0x5f } };
    struct shadow_outcome outcome, again;
    uint64_t code;
    struct buf out;
    struct bytes line;
    bool is_good;

    if (size < 3 || !bytes_to_number(bytes_of(data, 3), 599, &code))
        return 0;
    if (!shadow_parse_outcome((uint16_t)code, bytes_of(data + 3, size - 3), mid, &outcome))
        return 0;
    assert(code == 250 || code >= 400);
    assert((code == 250) == (outcome.fate <= SHADOW_MOVED));
    buf_init(&out, 1 << 16);
    fuzz_must(shadow_add_outcome(&out, mid, &outcome));
    line = fuzz_line(&out, "");
    is_good = bytes_to_number(bytes_first(line, 3), 599, &code) &&
              shadow_parse_outcome((uint16_t)code, bytes_skip(line, 4), mid, &again);
    assert(is_good && again.fate == outcome.fate);
    assert(bytes_equal(again.node.name, outcome.node.name));
    assert(strcmp(again.verdict.text, outcome.verdict.text) == 0);
    buf_done(&out);
    return 0;
}
