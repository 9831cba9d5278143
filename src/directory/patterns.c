/* Lists of address patterns: senders and recipients that are allowed or refused. */
#include "directory/option.h"

#include "base/mem.h"
#include "policy/pattern.h"

/* What was most likely meant. */
static void hint_of_pattern(struct complaint *complaint, const char *text)
{
    char domain[IDNA_BYTES_MAX];

    if (domain_pattern_parse(bytes_text(text), domain))
        complaint_hint(
            complaint, "did you mean \"@%.200s\", all addresses of that domain?", text);
    else if (!*text)
        complaint_hint(complaint, "the null sender is \"<>\"");
    else
        complaint_hint(complaint,
            "\"user@example.com\", \"@example.com\", \"scan*@example.com\", "
            "\"*@*.example.com\", \"<>\" or \"*\"");
}

void read_patterns(struct reader *reader, const struct option *option,
    const struct config_item *item, void *into)
{
    struct address_patterns *patterns = (void *)((char *)into + option->at);
    char pattern[PATTERN_BYTES_MAX];

    patterns->list = mem_grow(
        patterns->list, (patterns->count + item->value_count + 1) * sizeof *patterns->list);
    for (size_t i = 0; i < item->value_count; i++) {
        const char *text = item->values[i].text;

        if (pattern_parse(bytes_text(text), pattern))
            patterns->list[patterns->count++] = mem_text(pattern);
        else
            hint_of_pattern(complain(reader->complaints, value_line(item, i),
                                "'%.120s' is no pattern of addresses", text),
                text);
    }
}
