#include "ctl/print.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS_HELD = 200, CELL_WIDTH_MAX = 60, FACT_WIDTH = 18 };

void print_size(uint64_t bytes, char out[PRINT_NUMBER_BYTES])
{
    static const char units[] = " KMGTPE";
    unsigned unit = 0;
    double value = (double)bytes;

    while (value >= 999.5 && unit < sizeof units - 2) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        snprintf(out, PRINT_NUMBER_BYTES, "%llu", (unsigned long long)bytes);
    else
        snprintf(
            out, PRINT_NUMBER_BYTES, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
}

void print_age(int64_t seconds, char out[PRINT_NUMBER_BYTES])
{
    long long s = seconds;

    if (s < 0)
        snprintf(out, PRINT_NUMBER_BYTES, "-");
    else if (s < 60)
        snprintf(out, PRINT_NUMBER_BYTES, "%llds", s);
    else if (s < 3600)
        snprintf(out, PRINT_NUMBER_BYTES, "%lldm", s / 60);
    else if (s < 86400)
        snprintf(out, PRINT_NUMBER_BYTES, "%lldh%lldm", s / 3600, s / 60 % 60);
    else
        snprintf(out, PRINT_NUMBER_BYTES, "%lldd%lldh", s / 86400, s / 3600 % 24);
}

void print_json_row(const struct ctl_object *row)
{
    struct buf line;

    buf_init(&line, SIZE_MAX / 2);
    if (ctl_format(row, &line) == OK)
        fwrite(line.at, 1, line.n, stdout); /* main looks at stdout's state at the end */
    buf_done(&line);
}

/* How much of TEXT may be printed as it is, and what follows it is to be replaced. */
static size_t clean_run(struct bytes text, bool keeps_lines)
{
    size_t n = 0;

    while (n < text.n) {
        uint8_t c = text.at[n];
        size_t bytes = utf8_first(bytes_skip(text, n));
        if (bytes == 0 || c == 0x7f || (c == 0xc2 && text.at[n + 1] < 0xa0))
            return n;
        if (c < 0x20 && !(keeps_lines && (c == '\n' || c == '\t')))
            return n;
        n += bytes;
    }
    return n;
}

static void clean_to(FILE *to, struct bytes text, bool keeps_lines)
{
    while (text.n) {
        size_t n = clean_run(text, keeps_lines);
        fwrite(text.at, 1, n, to);
        text = bytes_skip(text, n);
        if (text.n == 0)
            return;
        if (!(keeps_lines && text.n > 1 && text.at[0] == '\r' && text.at[1] == '\n'))
            fputc('?', to);
        text = bytes_skip(text, 1);
    }
}

void print_clean(struct bytes text)
{
    clean_to(stdout, text, true);
}

/* --- Tables ------------------------------------------------------------------------------ */

struct print_table {
    const struct print_column *columns;
    unsigned count;
    unsigned *widths;
    char **cells; /* rows held, until the widths are known */
    unsigned rows;
    bool is_running;
};

/* Columns on the screen: characters, not bytes. */
static unsigned width_of(const char *text)
{
    unsigned n = 0;

    for (; *text; text++)
        n += ((uint8_t)*text & 0xc0) != 0x80;
    return n;
}

struct print_table *print_table_new(const struct print_column *columns, unsigned count)
{
    struct print_table *table = mem_new(sizeof *table);

    *table = (struct print_table){ columns, count };
    table->widths = mem_new(count * sizeof *table->widths);
    table->cells = mem_new((size_t)ROWS_HELD * count * sizeof *table->cells);
    for (unsigned i = 0; i < count; i++)
        table->widths[i] = width_of(columns[i].title);
    return table;
}

static void print_row(const struct print_table *table, const char *const *cells)
{
    for (unsigned i = 0; i < table->count; i++) {
        const char *cell = cells[i] ? cells[i] : "-";
        unsigned width = width_of(cell);
        int pad = width < table->widths[i] ? (int)(table->widths[i] - width) : 0;
        if (table->columns[i].is_right)
            printf("%*s", pad, "");
        clean_to(stdout, bytes_text(cell), false);
        if (i + 1 == table->count)
            break; /* no spaces at the end of a line */
        printf("%*s", 2 + (table->columns[i].is_right ? 0 : pad), "");
    }
    putchar('\n');
}

static void release(struct print_table *table)
{
    const char *titles[32];

    for (unsigned i = 0; i < table->count && i < 32; i++)
        titles[i] = table->columns[i].title;
    print_row(table, titles);
    for (unsigned row = 0; row < table->rows; row++) {
        char **cells = table->cells + (size_t)row * table->count;
        print_row(table, (const char *const *)cells);
        for (unsigned i = 0; i < table->count; i++)
            free(cells[i]);
    }
    table->is_running = true;
}

void print_table_row(struct print_table *table, const char *const *cells)
{
    if (table->is_running) {
        print_row(table, cells);
        return;
    }
    for (unsigned i = 0; i < table->count; i++) {
        const char *cell = cells[i] ? cells[i] : "-";
        unsigned width = width_of(cell);
        table->cells[(size_t)table->rows * table->count + i] = mem_text(cell);
        if (width > CELL_WIDTH_MAX)
            width = CELL_WIDTH_MAX; /* one long value does not push all others out of sight */
        if (width > table->widths[i])
            table->widths[i] = width;
    }
    if (++table->rows == ROWS_HELD)
        release(table);
}

void print_table_end(struct print_table *table)
{
    if (!table)
        return;
    if (!table->is_running && table->rows)
        release(table);
    free(table->widths);
    free(table->cells);
    free(table);
}

void print_fact(const char *name, const char *format, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, SIZE_MAX / 2);
    va_start(args, format);
    err_ignore(buf_vprintf(&text, format, args)); /* the ceiling is out of reach */
    va_end(args);
    printf("%-*s ", FACT_WIDTH, name);
    clean_to(stdout, buf_bytes(&text), false);
    putchar('\n');
    buf_done(&text);
}
