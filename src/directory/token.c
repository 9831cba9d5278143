#include "directory/token.h"

#include "base/mem.h"

#include <stdio.h>

static const struct sign {
    char byte;
    enum token_kind kind;
} signs[] = {
    { '=', TOKEN_ASSIGN },
    { '{', TOKEN_OPEN },
    { '}', TOKEN_CLOSE },
    { '[', TOKEN_OPEN_LIST },
    { ']', TOKEN_CLOSE_LIST },
    { '(', TOKEN_OPEN_PAREN },
    { ')', TOKEN_CLOSE_PAREN },
    { ',', TOKEN_COMMA },
};
enum { SIGN_COUNT = sizeof signs / sizeof *signs };

void tokens_init(
    struct tokens *tokens, struct bytes text, const char *file, struct complaints *complaints)
{
    *tokens =
        (struct tokens){ .text = text, .file = file, .complaints = complaints, .line = 1 };
    if (bytes_starts(text, BYTES("\xef\xbb\xbf"))) /* some editors begin UTF-8 with it */
        tokens->at = 3;
}

static struct source_line here(const struct tokens *tokens, int line)
{
    return (struct source_line){ tokens->file, line };
}

/* The byte AHEAD of where we are; 0 behind the end. */
static uint8_t peek(const struct tokens *tokens, size_t ahead)
{
    return ahead < tokens->text.n - tokens->at ? tokens->text.at[tokens->at + ahead] : 0;
}

static bool is_over(const struct tokens *tokens)
{
    return tokens->at == tokens->text.n;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';';
}

static bool ends_word(uint8_t c)
{
    return is_blank(c) || c < ' ' || c == 127 || strchr("#\"'={}[](),", c);
}

static void skip_line(struct tokens *tokens)
{
    while (!is_over(tokens) && peek(tokens, 0) != '\n')
        tokens->at++;
}

static void skip_long_comment(struct tokens *tokens)
{
    int begun = tokens->line;

    for (tokens->at += 2; !is_over(tokens); tokens->at++) {
        if (peek(tokens, 0) == '*' && peek(tokens, 1) == '/') {
            tokens->at += 2;
            return;
        }
        if (peek(tokens, 0) == '\n')
            tokens->line++;
    }
    complaint_hint(complain(tokens->complaints, here(tokens, begun), "this comment has no end"),
        "end it by */");
}

static void complain_of_byte(struct tokens *tokens, uint8_t byte)
{
    if (tokens->complained_line != tokens->line)
        complain(tokens->complaints, here(tokens, tokens->line),
            "a control character (%u) does not belong here", byte);
    tokens->complained_line = tokens->line;
}

static void skip_blanks(struct tokens *tokens)
{
    while (!is_over(tokens)) {
        uint8_t c = peek(tokens, 0), next = peek(tokens, 1);

        if (c == '#' || (c == '/' && next == '/')) {
            skip_line(tokens);
        } else if (c == '/' && next == '*') {
            skip_long_comment(tokens);
        } else if (is_blank(c)) {
            tokens->line += c == '\n';
            tokens->at++;
        } else if (c < ' ' || c == 127) {
            complain_of_byte(tokens, c);
            tokens->at++;
        } else {
            return;
        }
    }
}

/* One byte of a text in QUOTE; false at its end or the line's. */
static bool take_quoted_byte(struct tokens *tokens, uint8_t quote, uint8_t *out)
{
    uint8_t c = peek(tokens, 0), next = peek(tokens, 1);

    if (is_over(tokens) || c == quote || c == '\n')
        return false;
    tokens->at++;
    if (c == '\\' && quote == '"') {
        if (next == '"' || next == '\\') {
            tokens->at++;
            c = next;
        } else {
            complaint_hint(complain(tokens->complaints, here(tokens, tokens->line),
                               "a \\ in \"...\" stands before \" or \\ only"),
                "write \\\\ for one \\, or use '...'");
        }
    } else if ((c < ' ' && c != '\t') || c == 127) {
        complain_of_byte(tokens, c);
        c = '?';
    }
    *out = c;
    return true;
}

/* How many bytes the text takes up to its closing quote, at the least what it will hold. */
static size_t quoted_length(const struct tokens *tokens, uint8_t quote)
{
    size_t n = 0, rest = tokens->text.n - tokens->at;

    while (n < rest && peek(tokens, n) != quote && peek(tokens, n) != '\n')
        n += peek(tokens, n) == '\\' && quote == '"' && n + 1 < rest ? 2 : 1;
    return n < rest ? n : rest;
}

static struct token take_quoted(struct tokens *tokens, uint8_t quote)
{
    struct token token = { .kind = TOKEN_TEXT, .line = tokens->line };
    size_t n = 0;
    uint8_t c;

    tokens->at++;
    token.text = mem_new(quoted_length(tokens, quote) + 1);
    while (take_quoted_byte(tokens, quote, &c))
        token.text[n++] = (char)c;
    if (!is_over(tokens) && peek(tokens, 0) == quote)
        tokens->at++;
    else
        complaint_hint(
            complain(tokens->complaints, here(tokens, token.line), "this text has no end"),
            "end it by %c on the same line", quote);
    return token;
}

static struct token take_word(struct tokens *tokens)
{
    struct token token = { .kind = TOKEN_WORD, .line = tokens->line };
    size_t n = 0;

    while (n < tokens->text.n - tokens->at && !ends_word(peek(tokens, n)) &&
           !(peek(tokens, n) == '+' && peek(tokens, n + 1) == '='))
        n++;
    token.text = bytes_to_text(bytes_of(tokens->text.at + tokens->at, n));
    tokens->at += n;
    return token;
}

struct token token_take(struct tokens *tokens)
{
    struct token token;
    uint8_t c;

    skip_blanks(tokens);
    token = (struct token){ .kind = TOKEN_END, .line = tokens->line };
    if (is_over(tokens))
        return token;
    c = peek(tokens, 0);
    for (size_t i = 0; i < SIGN_COUNT; i++) {
        if (c != (uint8_t)signs[i].byte)
            continue;
        tokens->at++;
        token.kind = signs[i].kind;
        return token;
    }
    if (c == '+' && peek(tokens, 1) == '=') {
        tokens->at += 2;
        token.kind = TOKEN_APPEND;
        return token;
    }
    return c == '"' || c == '\'' ? take_quoted(tokens, c) : take_word(tokens);
}

void token_describe(const struct token *token, char out[64])
{
    if (token->kind == TOKEN_END)
        snprintf(out, 64, "the end of the file");
    else if (token->kind == TOKEN_APPEND)
        snprintf(out, 64, "'+='");
    else if (token->text)
        snprintf(out, 64, token->kind == TOKEN_WORD ? "'%.50s'" : "\"%.50s\"", token->text);
    for (size_t i = 0; i < SIGN_COUNT; i++) {
        if (token->kind == signs[i].kind)
            snprintf(out, 64, "'%c'", signs[i].byte);
    }
}
