/* Whatever is taken as a parameter is fit to be sent on. */
#include "proto/smtp/params.h"

#include <assert.h>

static void check_text(struct bytes text, size_t bytes_max, bool may_be_utf8)
{
    assert(text.n <= bytes_max);
    for (size_t i = 0; i < text.n; i++)
        assert(text.at[i] > ' ' && text.at[i] != 127 && (text.at[i] < 127 || may_be_utf8));
}

static void check_rcpt(struct bytes in, bool is_smtputf8)
{
    struct smtp_rcpt rcpt = { 0 };

    if (smtp_params_rcpt(in, is_smtputf8, &rcpt) != SMTP_PARAMS_OK)
        return;
    check_text(rcpt.orcpt, 500, is_smtputf8);
    assert(rcpt.notify < 16);
    assert(!(rcpt.notify & NOTIFY_NEVER) || rcpt.notify == NOTIFY_NEVER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = bytes_of(data, size);
    struct smtp_mail mail = { 0 };

    check_rcpt(in, false);
    check_rcpt(in, true);
    if (smtp_params_mail(in, &mail) != SMTP_PARAMS_OK)
        return 0;
    check_text(mail.envid, 100, false);
    check_text(mail.auth, 500, false);
    assert(mail.priority >= -9 && mail.priority <= 9);
    return 0;
}
