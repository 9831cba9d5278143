#include "base/err.h"

static const char *const texts[ERR_COUNT] = {
    [OK] = "ok",
    [ERR_LIMIT] = "over the limit",
    [ERR_SPACE] = "no space left",
    [ERR_IO] = "input/output error",
    [ERR_SYNTAX] = "syntax error",
    [ERR_CORRUPT] = "damaged data",
    [ERR_NONE] = "no such thing",
    [ERR_EXISTS] = "exists already",
    [ERR_BUSY] = "in use",
    [ERR_DENIED] = "permission denied",
    [ERR_REFUSED] = "connection refused",
    [ERR_TIMEOUT] = "timed out",
    [ERR_CLOSED] = "connection closed by the other side",
    [ERR_UNREACHABLE] = "host or network unreachable",
    [ERR_TLS] = "TLS failed",
    [ERR_SYSTEM] = "system error",
};

const char *err_text(enum err err)
{
    return (unsigned)err < ERR_COUNT ? texts[err] : "unknown error";
}
