/* XSHADOW and its answer: who a node is, and which versions it speaks. */
#include "proto/shadow/words.h"

#include <assert.h>

/* Versions beyond what a bit is there for are read, and known to nobody here. */
enum { VERSION_BITS = 32, VERSION_MAX = 9999 };

enum { HAS_NODE = 1, HAS_STORE = 2, HAS_POSITION = 4, HAS_RETIRED = 8, HAS_VERSION = 16 };

static bool read_version(struct bytes word, struct shadow_hello *out)
{
    uint64_t version;

    if (!bytes_to_number(word, VERSION_MAX, &version) || version == 0)
        return false;
    if (version < VERSION_BITS)
        out->versions |= 1u << version;
    return true;
}

/* Takes one parameter into OUT and says which it was: 0 for one that is not known here. */
static bool read_param(
    struct bytes name, struct bytes value, struct shadow_hello *out, unsigned *which)
{
    *which = 0;
    if (bytes_equal_nocase(name, BYTES("NODE"))) {
        *which = HAS_NODE;
        out->node.name = value;
        return word_is_name(value);
    }
    if (bytes_equal_nocase(name, BYTES("STORE"))) {
        *which = HAS_STORE;
        return word_is_store(value, &out->node.store);
    }
    if (bytes_equal_nocase(name, BYTES("POS"))) {
        *which = HAS_POSITION;
        return bytes_to_number(value, UINT64_MAX, &out->position);
    }
    if (bytes_equal_nocase(name, BYTES("RETIRED"))) {
        *which = HAS_RETIRED;
        return word_is_stores(value, out->retired, &out->retired_count);
    }
    if (bytes_equal_nocase(name, BYTES("VERSION"))) {
        *which = HAS_VERSION;
        return read_version(value, out);
    }
    return true;
}

/* Parameters are read before a version is agreed on, so those not known are passed over. */
static bool read_params(
    struct words *words, struct bytes word, unsigned wanted, struct shadow_hello *out)
{
    unsigned seen = 0, which;
    struct bytes name, value;

    do {
        if (!word_is_param(word, &name, &value) || !read_param(name, value, out, &which) ||
            seen & which)
            return false;
        seen |= which;
    } while (words_take(words, &word));
    return (seen | HAS_RETIRED) == (wanted | HAS_RETIRED);
}

bool shadow_parse_hello(struct bytes args, struct shadow_hello *out)
{
    struct words words = words_of(args);
    struct shadow_hello hello = { 0 };
    struct bytes word;
    bool has_version = false;

    for (; words_take(&words, &word); has_version = true) {
        if (bytes_find(word, '=') != BYTES_NOT_FOUND)
            break;
        if (!read_version(word, &hello))
            return false;
    }
    if (!has_version || !read_params(&words, word, HAS_NODE | HAS_STORE | HAS_POSITION, &hello))
        return false;
    *out = hello;
    return true;
}

bool shadow_parse_hello_reply(struct bytes text, struct shadow_hello *out)
{
    struct words words = words_of(text);
    struct shadow_hello hello = { 0 };
    struct bytes word;

    if (!words_take(&words, &word) ||
        !read_params(&words, word, HAS_NODE | HAS_STORE | HAS_POSITION | HAS_VERSION, &hello))
        return false;
    *out = hello;
    return true;
}

static void add_node(struct line *line, const struct shadow_hello *hello)
{
    assert(hello->node.name.n > 0 && hello->node.name.n <= SHADOW_NODE_BYTES_MAX);
    line_add(line, BYTES(" NODE="));
    line_add(line, hello->node.name);
    line_add(line, BYTES(" STORE="));
    line_hex(line, hello->node.store.byte);
    line_add(line, BYTES(" POS="));
    line_number(line, hello->position);
}

static void add_retired(struct line *line, const struct shadow_hello *hello)
{
    if (hello->retired_count) {
        line_add(line, BYTES(" RETIRED="));
        line_stores(line, hello->retired, hello->retired_count);
    }
    line_add(line, BYTES("\r\n"));
}

enum err shadow_add_hello_command(struct buf *out, const struct shadow_hello *hello)
{
    struct line line = line_begin(out);

    assert(hello->versions > 1);
    line_add(&line, BYTES("XSHADOW"));
    for (unsigned version = 1; version < VERSION_BITS; version++)
        if (hello->versions & 1u << version) {
            line_add(&line, BYTES(" "));
            line_number(&line, version);
        }
    add_node(&line, hello);
    add_retired(&line, hello);
    return line_end(&line);
}

enum err shadow_add_hello_reply(struct buf *out, const struct shadow_hello *hello)
{
    struct line line = line_begin(out);

    assert(hello->versions > 1);
    line_add(&line, BYTES("250 2.0.0"));
    add_node(&line, hello);
    line_add(&line, BYTES(" VERSION="));
    line_number(&line, 31 - (unsigned)__builtin_clz(hello->versions));
    add_retired(&line, hello);
    return line_end(&line);
}
