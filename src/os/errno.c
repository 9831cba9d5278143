#include "os/errno.h"

#include <errno.h>

enum err err_of_errno(int code)
{
    switch (code) {
    case 0:
        return OK;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* the file size limit of the process: as final as a full disk */
        return ERR_SPACE;
    case EIO:
        return ERR_IO;
    case ENOENT:
    case ENOTDIR:
        return ERR_NONE;
    case EEXIST:
    case ENOTEMPTY:
        return ERR_EXISTS;
    case EADDRINUSE:
    case EAGAIN: /* flock() held elsewhere; a UNIX socket whose backlog is full */
    case EBUSY:
    case ETXTBSY:
        return ERR_BUSY;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EMLINK:
    case ENAMETOOLONG:
        return ERR_LIMIT;
    case ECONNREFUSED:
        return ERR_REFUSED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case ESHUTDOWN:
        return ERR_CLOSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL: /* no such source address here, or no port of it left */
    case ENETRESET:
        return ERR_UNREACHABLE;
    default:
        return ERR_SYSTEM;
    }
}
