/* MAIL: what was read is written, and read as the same again. */
#include "shadow_fuzz.h"

static void check_same(const struct shadow_copy *a, const struct shadow_copy *b)
{
    const struct envelope *x = &a->envelope, *y = &b->envelope;

    assert(mid_equal(a->mid, b->mid) && a->generation == b->generation);
    assert(memcmp(&a->from, &b->from, sizeof a->from) == 0);
    assert(a->earlier_count == b->earlier_count && a->earlier_count <= SHADOW_EARLIER_MAX);
    assert(memcmp(a->earlier, b->earlier, a->earlier_count * sizeof *a->earlier) == 0);
    assert(a->prepend_bytes == b->prepend_bytes && bytes_equal(a->done, b->done));
    assert(bytes_equal(x->sender, y->sender) && bytes_equal(x->envid, y->envid));
    assert(bytes_equal(x->auth, y->auth) && x->ret == y->ret && x->body == y->body);
    assert(x->is_smtputf8 == y->is_smtputf8 && x->priority == y->priority);
    assert(x->crash_count == y->crash_count && x->arrived.ms == y->arrived.ms);
    assert(x->session.n == y->session.n && x->content_bytes == y->content_bytes);
    assert(
        bytes_equal(x->connector, y->connector) && bytes_equal(x->client_name, y->client_name));
    assert(
        bytes_equal(x->client_ip, y->client_ip) && bytes_equal(x->client_user, y->client_user));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shadow_copy copy, again;
    uint8_t *scratch = malloc(size + 1), *scratch_again;
    struct buf out;
    enum shadow_params got;
    struct bytes text;

    got = shadow_parse_mail(bytes_of(data, size), scratch, &copy);
    buf_init(&out, 1 << 20);
    /* Written, it may be longer than a line: what was left out is said, as SIZE. */
    if (got == SHADOW_PARAMS_OK && shadow_add_copy(&out, &copy) == OK) {
        text = fuzz_line(&out, "MAIL ");
        scratch_again = malloc(text.n);
        got = shadow_parse_mail(text, scratch_again, &again);
        assert(got == SHADOW_PARAMS_OK);
        check_same(&copy, &again);
        free(scratch_again);
    }
    buf_done(&out);
    free(scratch);
    return 0;
}
