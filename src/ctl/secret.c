#include "ctl/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static enum err take_line(FILE *from, char out[SECRET_BYTES])
{
    size_t n = 0;
    int c;

    while ((c = getc(from)) != EOF && c != '\n') {
        if (c == '\r')
            continue;
        if (c < ' ' || c == 127)
            return ERR_SYNTAX;
        if (n == SECRET_BYTES - 1)
            return ERR_LIMIT;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return n ? OK : ERR_NONE;
}

static enum err ask(const char *prompt, char out[SECRET_BYTES])
{
    struct termios loud, quiet;
    enum err err;

    if (tcgetattr(STDIN_FILENO, &loud) != 0)
        return ERR_IO;
    quiet = loud;
    quiet.c_lflag &= (tcflag_t)~ECHO;
    fputs(prompt, stderr);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) != 0)
        return ERR_IO;
    err = take_line(stdin, out);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &loud);
    fputs("\n", stderr);
    return err;
}

static enum err ask_twice(char out[SECRET_BYTES])
{
    char again[SECRET_BYTES];
    enum err err = ask("Password: ", out);

    if (err == OK)
        err = ask("Again: ", again);
    if (err == OK && strcmp(out, again) != 0) {
        fputs("The two differ.\n", stderr);
        err = ERR_NONE;
    }
    explicit_bzero(again, sizeof again);
    return err;
}

static enum err read_file(const char *file, char out[SECRET_BYTES])
{
    FILE *from = fopen(file, "re");
    enum err err;

    if (!from)
        return errno == ENOENT ? ERR_NONE : errno == EACCES ? ERR_DENIED : ERR_IO;
    setvbuf(from, NULL, _IONBF, 0); /* no copy of it in a buffer */
    err = take_line(from, out);
    fclose(from);
    return err;
}

enum err secret_read(const char *file, char out[SECRET_BYTES])
{
    if (file)
        return read_file(file, out);
    setvbuf(stdin, NULL, _IONBF, 0);
    return isatty(STDIN_FILENO) ? ask_twice(out) : take_line(stdin, out);
}
