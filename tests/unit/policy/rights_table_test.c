/* The table of rights: every group, every set of rights, every kind of sender and recipient, and
 * the replies of SPEC chapter 3 to the letter.
 *
 * First what groups bring by themselves, written out; then everything there is, generated, held
 * against the rules as the manual has them. */
#include "kit.h"

#include "base/mem.h"
#include "policy/rights.h"

#include <stdio.h>

enum { MIB = 1 << 20, ALL_RIGHTS = (1 << RIGHT_COUNT) - 1 };

static const char sender_ok[] = "250 2.1.0 Sender OK";
static const char recipient_ok[] = "250 2.1.5 Recipient OK";
static const char no_relay[] =
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain";
static const char not_his[] =
    "550 5.7.60 SMTP; Client does not have permissions to send as this sender";
static const char log_in[] = "530 5.7.0 Authentication required";
static const char no_right[] = "550 5.7.1 SMTP; Client has no right to submit mail [submit@In]";
static const char too_large[] =
    "552 5.3.4 Message size exceeds the limit of 37748736 bytes [size@In]";

/* --- Who asks ---------------------------------------------------------------------------- */

static const struct account account = { .name = (char *)(uintptr_t) "ann",
    .addresses = { (char *[]){ (char *)(uintptr_t) "ann.other@example.com",
                       (char *)(uintptr_t) "@ann.example.org" },
        2 } };

/* A client on a connector that takes GROUPS. */
struct asker {
    const char *name;
    unsigned groups;  /* of the connector */
    bool offers_auth; /* of the connector */
    const char *user; /* he has logged in as */
    bool is_partner, is_server, has_account;
    unsigned rights; /* that he must have by his groups: PE-1 */
    bool is_in_a_group;
};

enum {
    ANONYMOUS_RIGHTS = RIGHT_SUBMIT | RIGHT_ANY_SENDER | RIGHT_OWN_DOMAIN_SENDER,
    USER_RIGHTS = RIGHT_SUBMIT | RIGHT_ANY_RECIPIENT,
    PARTNER_RIGHTS = RIGHT_SUBMIT | RIGHT_ANY_SENDER,
    CUSTOM_RIGHTS = RIGHT_SUBMIT | RIGHT_BYPASS_SIZE_LIMIT, /* of the group made below */
};

static const struct asker askers[] = {
    { "a stranger", GROUP_ANONYMOUS, .rights = ANONYMOUS_RIGHTS, .is_in_a_group = true },
    { "a stranger where users are welcome", GROUP_ANONYMOUS | GROUP_USERS, true,
        .rights = ANONYMOUS_RIGHTS, .is_in_a_group = true },
    { "a stranger among users", GROUP_USERS, true },
    { "a stranger among users who cannot log in", GROUP_USERS },
    { "a stranger among partners", GROUP_PARTNERS, true },
    { "a stranger among scanners", GROUP_CUSTOM, true },
    { "a stranger among servers", GROUP_SERVERS },
    { "a user", GROUP_USERS, true, "ann", .rights = USER_RIGHTS, .is_in_a_group = true },
    { "a user with addresses", GROUP_USERS, true, "ann", .has_account = true,
        .rights = USER_RIGHTS, .is_in_a_group = true },
    { "a user where strangers are welcome", GROUP_ANONYMOUS | GROUP_USERS, true, "ann",
        .rights = USER_RIGHTS, .is_in_a_group = true },
    { "a user where users do not count", GROUP_ANONYMOUS, true, "ann",
        .rights = ANONYMOUS_RIGHTS, .is_in_a_group = true },
    { "a user among partners", GROUP_PARTNERS, true, "ann" },
    { "a partner", GROUP_PARTNERS, .is_partner = true, .rights = PARTNER_RIGHTS,
        .is_in_a_group = true },
    { "a partner among users", GROUP_USERS, true, .is_partner = true },
    { "a partner who logged in", GROUP_PARTNERS | GROUP_USERS, true, "ann", true,
        .rights = PARTNER_RIGHTS | USER_RIGHTS, .is_in_a_group = true },
    { "a server", GROUP_SERVERS, .is_server = true, .rights = ALL_RIGHTS,
        .is_in_a_group = true },
    { "anybody on a safe network", GROUP_EXTERNAL_SECURED, .rights = ALL_RIGHTS,
        .is_in_a_group = true },
    { "a user on a safe network", GROUP_EXTERNAL_SECURED | GROUP_USERS, true, "ann",
        .rights = ALL_RIGHTS, .is_in_a_group = true },
    { "a scanner", GROUP_CUSTOM, true, "SCANNER1", .rights = CUSTOM_RIGHTS,
        .is_in_a_group = true },
    { "a scanner among all users", GROUP_CUSTOM | GROUP_USERS, true, "scanner1",
        .rights = CUSTOM_RIGHTS | USER_RIGHTS, .is_in_a_group = true },
    { "a scanner where strangers are welcome", GROUP_CUSTOM | GROUP_ANONYMOUS, true, "scanner1",
        .rights = CUSTOM_RIGHTS, .is_in_a_group = true },
    { "a user among scanners", GROUP_CUSTOM, true, "ann" },
};

struct stage {
    struct settings *settings;
    struct receive_connector connector;
    struct client client;
};

static void add_domain(struct settings *settings, const char *pattern, enum domain_type type)
{
    settings->domains =
        mem_grow(settings->domains, (settings->domain_count + 1) * sizeof *settings->domains);
    settings->domains[settings->domain_count++] =
        (struct accepted_domain){ .pattern = mem_text(pattern), .type = type };
}

static void stage_init(struct stage *stage)
{
    struct settings *settings = settings_new("node.example");

    *stage = (struct stage){ .settings = settings };
    add_domain(settings, "example.com", DOMAIN_AUTHORITATIVE);
    add_domain(settings, "branch.example.com", DOMAIN_INTERNAL_RELAY);
    add_domain(settings, "customer.example.net", DOMAIN_EXTERNAL_RELAY);
    settings->user_groups = mem_new(2 * sizeof *settings->user_groups);
    settings->user_group_count = 2;
    settings->user_groups[0] =
        (struct user_group){ .name = mem_text("Nobody"), .rights = ALL_RIGHTS };
    settings->user_groups[1] = (struct user_group){ .name = mem_text("Scanners"),
        .rights = CUSTOM_RIGHTS,
        .users = mem_new(sizeof(char *)),
        .user_count = 1 };
    settings->user_groups[1].users[0] = mem_text("Scanner1");
    receive_connector_init(&stage->connector, "In");
    stage->connector.user_groups = mem_new(2 * sizeof *stage->connector.user_groups);
    stage->connector.user_groups[1] = 1;
}

static void stage_done(struct stage *stage)
{
    receive_connector_done(&stage->connector);
    settings_free(stage->settings);
}

static void stage_put(struct stage *stage, const struct asker *asker, unsigned allow)
{
    stage->connector.groups = asker->groups;
    stage->connector.user_group_count = asker->groups & GROUP_CUSTOM ? 2 : 0;
    stage->connector.mechanisms = asker->offers_auth ? AUTH_PLAIN : 0;
    stage->connector.allow = allow;
    stage->client = (struct client){ .user = asker->user,
        .account = asker->has_account ? &account : NULL,
        .is_partner = asker->is_partner,
        .is_server = asker->is_server };
}

/* --- What is asked, and what is said ----------------------------------------------------- */

static void format(const struct verdict *verdict, char out[300])
{
    char status[STATUS_TEXT_BYTES];

    status_format(verdict->status, status);
    snprintf(out, 300, "%u %s %s", verdict->code, status, verdict->text);
}

static struct address address_known(const char *text)
{
    struct address address;

    check(text, address_parse(bytes_text(text), ADDRESS_NULL | ADDRESS_POSTMASTER, &address) ==
                    ADDRESS_OK);
    return address;
}

static void check_reply(const struct asker *asker, unsigned allow, const char *about,
    const struct decision *decision, const char *want)
{
    char got[300], name[300];

    format(&decision->verdict, got);
    snprintf(name, sizeof name, "%s, allow %#x, <%s> by %s (%s)", asker->name, allow, about,
        decision->rule ? decision->rule : "no rule", decision->why);
    check_bytes(name, bytes_text(got), bytes_text(want));
    check(name, decision->rule && *decision->rule && *decision->why);
}

static void check_mail(struct stage *stage, const struct asker *asker, const char *sender,
    uint64_t size, const char *want)
{
    struct address address = address_known(sender);
    struct decision decision = { .rule = NULL };

    rights_decide_sender(
        stage->settings, &stage->connector, &stage->client, &address, size, &decision);
    check_reply(asker, stage->connector.allow, sender, &decision, want);
}

static void check_rcpt(
    struct stage *stage, const struct asker *asker, const char *recipient, const char *want)
{
    struct address address = address_known(recipient);
    struct resolved resolved;
    struct decision decision = { .rule = NULL };

    rights_decide_recipient(
        stage->settings, &stage->connector, &stage->client, &address, &resolved, &decision);
    check_reply(asker, stage->connector.allow, recipient, &decision, want);
}

/* --- Written out ------------------------------------------------------------------------- */

static void groups_by_themselves(void **state)
{
    static const struct {
        const char *who; /* an asker's name */
        const char *own, *accepted_sender, *foreign_sender, *null_sender;
        const char *accepted_recipient, *foreign_recipient;
    } rows[] = {
        { "a stranger", sender_ok, sender_ok, sender_ok, sender_ok, recipient_ok, no_relay },
        { "a stranger where users are welcome", sender_ok, sender_ok, sender_ok, sender_ok,
            recipient_ok, no_relay },
        { "a stranger among users", log_in, log_in, log_in, log_in, log_in, log_in },
        { "a stranger among users who cannot log in", no_right, no_right, no_right, no_right,
            no_right, no_right },
        { "a stranger among partners", no_right, no_right, no_right, no_right, no_right,
            no_right },
        { "a stranger among scanners", log_in, log_in, log_in, log_in, log_in, log_in },
        { "a user", sender_ok, not_his, not_his, sender_ok, recipient_ok, recipient_ok },
        { "a user with addresses", not_his, not_his, not_his, sender_ok, recipient_ok,
            recipient_ok },
        { "a user where strangers are welcome", sender_ok, not_his, not_his, sender_ok,
            recipient_ok, recipient_ok },
        { "a user where users do not count", sender_ok, sender_ok, sender_ok, sender_ok,
            recipient_ok, no_relay },
        { "a user among partners", no_right, no_right, no_right, no_right, no_right, no_right },
        { "a partner", not_his, not_his, sender_ok, sender_ok, recipient_ok, no_relay },
        { "a partner who logged in", sender_ok, not_his, sender_ok, sender_ok, recipient_ok,
            recipient_ok },
        { "a server", sender_ok, sender_ok, sender_ok, sender_ok, recipient_ok, recipient_ok },
        { "anybody on a safe network", sender_ok, sender_ok, sender_ok, sender_ok, recipient_ok,
            recipient_ok },
        { "a scanner", not_his, not_his, not_his, sender_ok, recipient_ok, no_relay },
        { "a user among scanners", no_right, no_right, no_right, no_right, no_right, no_right },
    };
    struct stage stage;
    size_t done = 0;

    (void)state;
    stage_init(&stage);
    for (size_t i = 0; i < CASES(rows); i++) {
        for (size_t k = 0; k < CASES(askers); k++) {
            const struct asker *asker = &askers[k];
            if (strcmp(asker->name, rows[i].who) != 0)
                continue;
            stage_put(&stage, asker, 0);
            check_mail(&stage, asker, "ann@example.com", 0, rows[i].own);
            check_mail(&stage, asker, "boss@example.com", 0, rows[i].accepted_sender);
            check_mail(&stage, asker, "a@example.org", 0, rows[i].foreign_sender);
            check_mail(&stage, asker, "", 0, rows[i].null_sender);
            check_rcpt(&stage, asker, "b@example.com", rows[i].accepted_recipient);
            check_rcpt(&stage, asker, "b@example.org", rows[i].foreign_recipient);
            done++;
        }
    }
    assert_int_equal(done, CASES(rows));
    stage_done(&stage);
}

/* --- Generated --------------------------------------------------------------------------- */

/* A sender, and whose it is. */
static const struct sender {
    const char *text;
    bool is_accepted;
    bool is_anns;     /* by her name, without an account */
    bool is_account;  /* by the account above */
    bool is_scanners; /* of scanner1 */
} senders[] = {
    { "ann@example.com", true, true },
    { "ANN@Example.COM", true, true },
    { "\"ann\"@example.com", true, true },
    { "ann@branch.example.com", true, true },
    { "ann@customer.example.net", true },
    { "ann@example.org" },
    { "boss@example.com", true },
    { "annie@example.com", true },
    { "Ann.Other@example.com", true, .is_account = true },
    { "x@ann.example.org", .is_account = true },
    { "x@sub.ann.example.org" },
    { "scanner1@example.com", true, .is_scanners = true },
    { "a@[192.0.2.1]" },
};

static const struct recipient {
    const char *text;
    bool is_accepted;
} recipients[] = {
    { "b@example.com", true },
    { "b@EXAMPLE.com", true },
    { "b@branch.example.com", true },
    { "b@customer.example.net", true },
    { "b@example.org", false },
    { "b@sub.example.com", false },
    { "b@[192.0.2.1]", false },
    { "b%example.com@example.org", false },
    { "\"b@example.com\"@example.org", false },
};

static unsigned rights_of(const struct asker *asker, unsigned allow)
{
    return asker->is_in_a_group ? asker->rights | allow : 0;
}

static const char *no_submission(const struct asker *asker)
{
    return asker->offers_auth && !asker->user && asker->groups & (GROUP_USERS | GROUP_CUSTOM)
               ? log_in
               : no_right;
}

static bool is_own(const struct asker *asker, const struct sender *sender)
{
    if (!asker->user)
        return false;
    if (asker->has_account)
        return sender->is_account;
    return strcmp(asker->user, "ann") == 0 ? sender->is_anns : sender->is_scanners;
}

static const char *want_mail(
    const struct asker *asker, unsigned allow, const struct sender *sender, uint64_t size)
{
    unsigned rights = rights_of(asker, allow);
    unsigned needed = sender->is_accepted ? RIGHT_OWN_DOMAIN_SENDER : RIGHT_ANY_SENDER;

    if (!(rights & RIGHT_SUBMIT))
        return no_submission(asker);
    if (!(rights & needed) && !is_own(asker, sender))
        return not_his;
    return size > 36 * MIB && !(rights & RIGHT_BYPASS_SIZE_LIMIT) ? too_large : sender_ok;
}

static const char *want_rcpt(
    const struct asker *asker, unsigned allow, const struct recipient *recipient)
{
    unsigned rights = rights_of(asker, allow);

    if (!(rights & RIGHT_SUBMIT))
        return no_submission(asker);
    return recipient->is_accepted || rights & RIGHT_ANY_RECIPIENT ? recipient_ok : no_relay;
}

static void check_all(struct stage *stage, const struct asker *asker, unsigned allow)
{
    static const uint64_t sizes[] = { 0, 36 * MIB, 36 * MIB + 1 };
    const char *welcome = rights_of(asker, allow) & RIGHT_SUBMIT ? NULL : no_submission(asker);

    check(asker->name, client_rights(stage->settings, &stage->connector, &stage->client) ==
                           rights_of(asker, allow));
    for (size_t i = 0; i < CASES(senders); i++) {
        for (size_t k = 0; k < CASES(sizes); k++)
            check_mail(stage, asker, senders[i].text, sizes[k],
                want_mail(asker, allow, &senders[i], sizes[k]));
    }
    check_mail(stage, asker, "", 0, welcome ? welcome : sender_ok);
    for (size_t i = 0; i < CASES(recipients); i++)
        check_rcpt(stage, asker, recipients[i].text, want_rcpt(asker, allow, &recipients[i]));
    check_rcpt(stage, asker, "Postmaster", welcome ? welcome : recipient_ok);
}

/* Twice: as it is worked out at each question, and once for all. */
static void every_group_and_every_right(void **state)
{
    struct stage stage;

    (void)state;
    stage_init(&stage);
    for (size_t i = 0; i < CASES(askers); i++) {
        for (unsigned allow = 0; allow <= ALL_RIGHTS; allow++) {
            stage_put(&stage, &askers[i], allow);
            check_all(&stage, &askers[i], allow);
            client_know(stage.settings, &stage.connector, &stage.client);
            check_all(&stage, &askers[i], allow);
        }
    }
    stage_done(&stage);
}

/* Each right that somebody has comes from somewhere, and no other does. */
static void every_right_has_a_source(void **state)
{
    struct stage stage;
    char room[100], name[200];

    (void)state;
    stage_init(&stage);
    for (size_t i = 0; i < CASES(askers); i++) {
        for (unsigned bit = 0; bit < RIGHT_COUNT; bit++) {
            enum right right = (enum right)(1 << bit);
            for (unsigned allow = 0; allow <= ALL_RIGHTS; allow += ALL_RIGHTS) {
                const char *source;
                stage_put(&stage, &askers[i], allow);
                source = client_right_source(
                    stage.settings, &stage.connector, &stage.client, right, room);
                snprintf(name, sizeof name, "%s, %s, allow %#x", askers[i].name,
                    right_name(right), allow);
                check(name, !source == !(rights_of(&askers[i], allow) & right));
                check(name, !source || !allow || strcmp(source, "allow") == 0);
            }
        }
    }
    stage_done(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_by_themselves),
        cmocka_unit_test(every_group_and_every_right),
        cmocka_unit_test(every_right_has_a_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
