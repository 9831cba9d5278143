#include "kit.h"

#include "os/clock.h"

#include <sys/wait.h>
#include <unistd.h>

static void test_clocks(void **state)
{
    struct moment before = clock_moment();

    (void)state;
    assert_true(clock_wall().ms > 1600000000000); /* 2020 */
    assert_true(clock_moment().ms >= before.ms);
}

static void test_random(void **state)
{
    enum { COUNT = 2000 }; /* over several blocks */
    static struct mid mids[COUNT];
    uint8_t large[4000] = { 0 }, zeros[16] = { 0 };

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        mids[i] = random_mid();
        for (int j = 0; j < i; j++)
            assert_false(mid_equal(mids[i], mids[j]));
    }
    random_fill(large, sizeof large);
    for (size_t i = 0; i + sizeof zeros <= sizeof large; i++)
        assert_true(memcmp(large + i, zeros, sizeof zeros));
}

static void test_sessions(void **state)
{
    struct session_id first = random_session_id(), second = random_session_id();

    (void)state;
    assert_true(second.n == first.n + 1);
}

/* A child gives out names of its own. */
static void test_fork(void **state)
{
    struct {
        struct mid mid;
        struct session_id session;
    } ours, theirs;
    int fds[2], status;
    pid_t child;

    (void)state;
    random_mid();
    random_session_id();
    assert_int_equal(pipe(fds), 0);
    child = fork();
    assert_true(child >= 0);
    ours.mid = random_mid();
    ours.session = random_session_id();
    if (child == 0)
        _exit(write(fds[1], &ours, sizeof ours) != sizeof ours);
    assert_int_equal(read(fds[0], &theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_false(mid_equal(ours.mid, theirs.mid));
    assert_true(ours.session.n != theirs.session.n);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
