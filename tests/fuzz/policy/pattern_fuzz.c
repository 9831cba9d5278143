/* A pattern, a line feed, and an address.  A pattern in normal form is one that fits itself as
 * written, and case makes no difference. */
#include "policy/pattern.h"

#include <assert.h>

static void check_case(const char *pattern, const struct address *address)
{
    struct pattern_subject subject, upper;
    char text[ADDRESS_BYTES_MAX + 1];
    struct address changed;

    for (size_t i = 0; i < address->text.n; i++) {
        uint8_t c = address->text.at[i];
        text[i] = (char)(c >= 'a' && c <= 'z' ? c & ~0x20 : c);
    }
    pattern_subject_init(&subject, address);
    if (address_parse(bytes_of(text, address->text.n), ADDRESS_UTF8, &changed) != ADDRESS_OK)
        return;
    pattern_subject_init(&upper, &changed);
    assert(pattern_fits(pattern, &subject) == pattern_fits(pattern, &upper));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    size_t lf = bytes_find(text, '\n');
    struct bytes first = bytes_first(text, lf);
    char pattern[PATTERN_BYTES_MAX];
    struct pattern_subject subject;
    struct address address;

    if (!pattern_parse(first, pattern))
        return 0;
    assert(strlen(pattern) < PATTERN_BYTES_MAX);
    if (address_parse(first, ADDRESS_UTF8, &address) == ADDRESS_OK) {
        pattern_subject_init(&subject, &address);
        assert(pattern_fits(pattern, &subject));
    }
    if (lf != BYTES_NOT_FOUND &&
        address_parse(bytes_skip(text, lf + 1), ADDRESS_UTF8, &address) == ADDRESS_OK)
        check_case(pattern, &address);
    return 0;
}
