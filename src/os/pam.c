#include "os/pam.h"

#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

static void free_answers(struct pam_response *answers, int count)
{
    for (int i = 0; i < count; i++) {
        if (answers[i].resp)
            explicit_bzero(answers[i].resp, strlen(answers[i].resp));
        free(answers[i].resp);
    }
    free(answers);
}

/* Whatever is asked for without echo is the password; to a prompt with echo there is no answer.
 * The answers are PAM's to free. */
static int converse(
    int count, const struct pam_message **messages, struct pam_response **out, void *me)
{
    const char *password = me;
    struct pam_response *answers;

    if (count <= 0 || count > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    answers = calloc((size_t)count, sizeof *answers);
    if (!answers)
        return PAM_BUF_ERR;
    for (int i = 0; i < count; i++) {
        int style = messages[i]->msg_style;
        if (style == PAM_PROMPT_ECHO_OFF)
            answers[i].resp = strdup(password);
        if (style == PAM_PROMPT_ECHO_ON || (style == PAM_PROMPT_ECHO_OFF && !answers[i].resp)) {
            free_answers(answers, count);
            return PAM_CONV_ERR;
        }
    }
    *out = answers;
    return PAM_SUCCESS;
}

/* In place of PAM's own wait after a wrong password: a thread would sleep for seconds, and some
 * clients more hold up the logins of all.  The session's tarpit makes him wait. */
static void do_not_wait(int result, unsigned microseconds, void *me)
{
    (void)result, (void)microseconds, (void)me;
}

/* What PAM's own trouble is; all else is a no. */
static enum pam_result result_of(int answer)
{
    switch (answer) {
    case PAM_SUCCESS:
        return PAM_IS_RIGHT;
    case PAM_SYSTEM_ERR:
    case PAM_SERVICE_ERR:
    case PAM_BUF_ERR:
    case PAM_AUTHINFO_UNAVAIL:
    case PAM_OPEN_ERR:
    case PAM_SYMBOL_ERR:
    case PAM_ABORT:
        return PAM_IS_TROUBLE;
    default:
        return PAM_IS_WRONG;
    }
}

enum pam_result pam_check(
    const char *service, const char *user, const char *password, const char *from)
{
    /* PAM hands the pointer back to converse(), which only reads. */
    struct pam_conv conversation = { converse, (void *)(size_t)password };
    pam_handle_t *pam = NULL;
    union {
        void (*function)(int result, unsigned microseconds, void *me);
        const void *item;
    } delay = { do_not_wait };
    int answer = pam_start(service, user, &conversation, &pam);

    if (answer != PAM_SUCCESS)
        return PAM_IS_TROUBLE;
    answer = pam_set_item(pam, PAM_RHOST, from);
    if (answer == PAM_SUCCESS)
        answer = pam_set_item(pam, PAM_FAIL_DELAY, delay.item);
    if (answer == PAM_SUCCESS)
        answer = pam_authenticate(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    if (answer == PAM_SUCCESS)
        answer = pam_acct_mgmt(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
    pam_end(pam, answer);
    return result_of(answer);
}
