#include "os/file_faults.h"

#include <assert.h>
#include <stdatomic.h>

static _Atomic(const struct file_faults *) current;

void file_set_faults(const struct file_faults *faults)
{
    atomic_store(&current, faults);
}

enum err file_before(const struct file_event *event, size_t *n_max)
{
    const struct file_faults *faults = atomic_load_explicit(&current, memory_order_acquire);
    size_t n = event->n;
    enum err err;

    if (!faults)
        return OK;
    err = faults->before(faults->me, event, &n);
    assert(n <= event->n && (n || !event->n));
    if (n_max)
        *n_max = n;
    return err;
}

enum err file_after(const struct file_event *event, enum err err)
{
    const struct file_faults *faults = atomic_load_explicit(&current, memory_order_acquire);

    if (faults && faults->after)
        faults->after(faults->me, event, err);
    return err;
}
