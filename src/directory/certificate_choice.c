/* What says which certificate is meant: a path, a fingerprint, or issuer and subject. */
#include "directory/tls_options.h"

#include "base/dn.h"
#include "base/mem.h"

#include <stdlib.h>
#include <strings.h>

/* --- Fingerprints ------------------------------------------------------------------------ */

static bool is_fingerprint(const char *text)
{
    return strncasecmp(text, "sha256:", 7) == 0 || strncasecmp(text, "sha1:", 5) == 0;
}

static void read_fingerprint(struct reader *reader, struct source_line where, const char *text,
    struct certificate_choice *choice)
{
    char fingerprint[FINGERPRINT_BYTES];

    if (fingerprint_parse(text, "sha256:", fingerprint) ||
        fingerprint_parse(text, "sha1:", fingerprint))
        choice->fingerprint = mem_text(fingerprint);
    else
        complaint_hint(complain(reader->complaints, where, "'%.100s' is no fingerprint", text),
            "\"sha256:\" and 64 hex digits, or \"sha1:\" and 40; relais certificate list shows "
            "them");
}

/* --- Issuer and subject ------------------------------------------------------------------ */

/* As Exchange writes it, and as openssl(1) prints the two. */
static const struct {
    const char *issuer, *subject;
} spellings[] = { { "<I>", "<S>" }, { "issuer=", " subject=" } };

/* Where SUBJECT stands in TEXT without regard to case; NULL: nowhere. */
static const char *find_nocase(const char *text, const char *subject)
{
    size_t n = strlen(subject);

    for (; *text; text++) {
        if (strncasecmp(text, subject, n) == 0)
            return text;
    }
    return NULL;
}

static bool is_name(struct bytes text)
{
    struct dn dn;

    return dn_parse(text, &dn);
}

/* False: it is not spelled so. */
static bool read_two_names(struct reader *reader, struct source_line where, const char *text,
    struct certificate_choice *choice)
{
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        size_t n = strlen(spellings[i].issuer);
        const char *middle;
        struct bytes issuer, subject = BYTES_NONE;
        if (strncasecmp(text, spellings[i].issuer, n) != 0)
            continue;
        middle = find_nocase(text + n, spellings[i].subject);
        issuer = bytes_of(text + n, middle ? (size_t)(middle - text) - n : strlen(text + n));
        if (middle)
            subject = bytes_text(middle + strlen(spellings[i].subject));
        if (is_name(issuer) && is_name(subject)) {
            choice->issuer = bytes_to_text(issuer);
            choice->subject = bytes_to_text(subject);
        } else {
            complaint_hint(complain(reader->complaints, where,
                               "'%.100s' does not name an issuer and a subject", text),
                "\"issuer=CN=R3,O=Let's Encrypt,C=US subject=CN=mail.example.com\", or "
                "\"<I>...<S>...\"; relais certificate list shows them");
        }
        return true;
    }
    return false;
}

/* --- All --------------------------------------------------------------------------------- */

void read_file_of_list(struct reader *reader, const struct option *option,
    const struct config_item *item, size_t at, char **into)
{
    struct config_item one = *item;
    struct option as_file = { .name = option->name };

    one.values = &item->values[at];
    one.value_count = 1;
    read_file(reader, &as_file, &one, into);
}

void read_choice_of_list(struct reader *reader, const struct option *option,
    const struct config_item *item, size_t at, struct certificate_choice *choice)
{
    const char *text = item->values[at].text;

    if (!text_is_printable(text) || strlen(text) > DN_BYTES_MAX)
        read_file_of_list(reader, option, item, at, &choice->certificate_file);
    else if (is_fingerprint(text))
        read_fingerprint(reader, value_line(item, at), text, choice);
    else if (read_two_names(reader, value_line(item, at), text, choice))
        return;
    else if (text[0] != '/')
        complaint_hint(complain(reader->complaints, value_line(item, at),
                           "'%s' cannot be '%.100s'", option->name, text),
            strncasecmp(text, "subject=", 8) == 0 || strncasecmp(text, "<S>", 3) == 0
                ? "the issuer stands before the subject: \"issuer=... subject=...\"; relais "
                  "certificate list shows both"
                : "a full path, \"sha256:...\", \"sha1:...\" or \"issuer=... subject=...\"; "
                  "relais certificate list shows them");
    else
        read_file_of_list(reader, option, item, at, &choice->certificate_file);
}

void read_choice_of_certificate(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    read_choice_of_list(reader, option, item, 0,
        (struct certificate_choice *)(void *)((char *)into + option->at));
}
