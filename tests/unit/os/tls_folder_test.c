/* The folder of certificates: what is found there, and which one is chosen. */
#include "tls_paper.h"

#include "os/clock.h"
#include "os/tls_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DAY_MS = 24 * 3600 * 1000 };

static char folder[64];
static struct paper authority, first, newer, over, early, other;

static void path_of(const char *name, char out[160])
{
    snprintf(out, 160, "%s/%s", folder, name);
}

/* The files FROM (NULL: nothing), end to end, as NAME. */
static void put(const char *name, const char *a, const char *b)
{
    char path[160], text[8192];
    const char *from[] = { a, b };
    FILE *to, *file;
    size_t n;

    path_of(name, path);
    to = fopen(path, "w");
    assert_non_null(to);
    for (size_t i = 0; i < 2 && from[i]; i++) {
        file = fopen(from[i], "r");
        assert_non_null(file);
        n = fread(text, 1, sizeof text, file);
        assert_int_equal(fwrite(text, 1, n, to), n);
        fclose(file);
    }
    fclose(to);
}

static void put_pair(const char *name, const struct paper *paper)
{
    char file[80];

    snprintf(file, sizeof file, "%s.pem", name);
    put(file, paper_certificate_file(paper), NULL);
    snprintf(file, sizeof file, "%s.key", name);
    put(file, paper_key_file(paper), NULL);
}

static void remove_file(const char *name)
{
    char path[160];

    path_of(name, path);
    assert_int_equal(unlink(path), 0);
}

/* Makes it begin in DAYS days. */
static void begin_in(struct paper *paper, int days)
{
    X509_time_adj_ex(X509_getm_notBefore(paper->certificate), days, 0, NULL);
    assert_true(X509_sign(paper->certificate, authority.key, EVP_sha256()) > 0);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/relais-folder-%d-XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(folder));
    authority = paper_make(NULL, "Authority", NULL, "EC", 300);
    first = paper_make(&authority, "mx.example", "DNS:mx.example,IP:192.0.2.1", "EC", 30);
    newer = paper_make(&authority, "mx.example", "DNS:mx.example", "EC", 60);
    over = paper_make(&authority, "mx.example", "DNS:mx.example", "EC", -1);
    early = paper_make(&authority, "mx.example", "DNS:mx.example", "EC", 90);
    other = paper_make(NULL, "mx.example", "DNS:mx.example", "EC", 90);
    begin_in(&newer, -3);
    begin_in(&over, -2);
    begin_in(&early, 5);
    return 0;
}

static int clean_up(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    paper_free(&authority);
    paper_free(&first);
    paper_free(&newer);
    paper_free(&over);
    paper_free(&early);
    paper_free(&other);
    papers_remove();
    return 0;
}

static char issuer[] = "cn = Authority", subject[] = "CN=MX.example";
static const struct certificate_choice by_name = { .issuer = issuer, .subject = subject };

/* The name of the file that is chosen now, or why there is none. */
static const char *chosen(const struct certificate_choice *choice, struct wall now)
{
    static char text[TLS_ERROR_BYTES];
    struct tls_files files;

    if (tls_files_find(folder, choice, now, &files, text) != OK)
        return text;
    snprintf(text, sizeof text, "%s", strrchr(files.certificate_file, '/') + 1);
    tls_files_done(&files);
    return text;
}

static void the_newest_valid_one_is_chosen(void **state)
{
    struct wall now = clock_wall(), later = { now.ms + 6LL * DAY_MS };

    (void)state;
    check("empty", strstr(chosen(&by_name, now), "it is empty"));
    put_pair("over", &over);
    check_bytes("better than none", bytes_text(chosen(&by_name, now)), BYTES("over.pem"));
    put_pair("first", &first);
    check_bytes("valid", bytes_text(chosen(&by_name, now)), BYTES("first.pem"));
    put_pair("newer", &newer);
    check_bytes("it began later", bytes_text(chosen(&by_name, now)), BYTES("newer.pem"));
    put_pair("early", &early);
    put_pair("other", &other);
    check_bytes("not valid yet", bytes_text(chosen(&by_name, now)), BYTES("newer.pem"));
    check_bytes("its time has come", bytes_text(chosen(&by_name, later)), BYTES("early.pem"));
    remove_file("newer.key");
    check_bytes("its key is gone", bytes_text(chosen(&by_name, now)), BYTES("first.pem"));
    put("newer.key", paper_key_file(&first), NULL);
    check_bytes("a wrong key", bytes_text(chosen(&by_name, now)), BYTES("first.pem"));
    put("newer.pem", paper_certificate_file(&newer), paper_key_file(&newer));
    remove_file("newer.key");
    check_bytes("the key within", bytes_text(chosen(&by_name, now)), BYTES("newer.pem"));
}

static void by_fingerprint(void **state)
{
    char fingerprint[72], wrong[72];
    struct certificate_choice choice = { .fingerprint = fingerprint };
    struct wall now = clock_wall();
    struct tls_folder entries;
    char why[TLS_ERROR_BYTES];

    (void)state;
    paper_fingerprint(&over, fingerprint);
    check_bytes("that very one", bytes_text(chosen(&choice, now)), BYTES("over.pem"));
    assert_int_equal(tls_folder_read(folder, &entries, why), OK);
    for (size_t i = 0; i < entries.count; i++) {
        choice.fingerprint = entries.list[i].sha1;
        check_bytes("by its thumbprint", bytes_text(chosen(&choice, now)),
            bytes_text(strrchr(entries.list[i].certificate_file, '/') + 1));
    }
    check("five", entries.count == 5);
    check_bytes("names", bytes_text(entries.list[1].names), BYTES("mx.example, 192.0.2.1"));
    tls_folder_done(&entries);
    snprintf(wrong, sizeof wrong, "sha256:%064d", 0);
    choice.fingerprint = wrong;
    check("what is there", strstr(chosen(&choice, now), "there are: CN=mx.example by CN=Auth"));
}

static void what_cannot_be_used_says_why(void **state)
{
    struct tls_folder entries;
    char why[TLS_ERROR_BYTES], fingerprint[72];
    struct certificate_choice choice = { .fingerprint = fingerprint };

    (void)state;
    put("zz.pem", NULL, NULL);
    put("zz.txt", NULL, NULL);
    put("over.key", paper_key_file(&first), NULL);
    assert_int_equal(tls_folder_read(folder, &entries, why), OK);
    check("one more", entries.count == 6);
    check("no certificate", !entries.list[5].subject && strstr(entries.list[5].why, "zz.pem"));
    tls_folder_done(&entries);
    paper_fingerprint(&over, fingerprint);
    check("its key",
        strstr(chosen(&choice, clock_wall()), "over.key: the key is not this certificate's"));
    remove_file("over.key");
    check("no key", strstr(chosen(&choice, clock_wall()), "over.pem: there is no key in it"));
    check("no folder", tls_folder_read("/nowhere", &entries, why) == ERR_NONE);
    check_bytes("its name", bytes_text(why), BYTES("/nowhere: no such thing"));
    check("no state", tls_folder_state("/nowhere") == 0);
}

/* Whoever reads on the home loop waits for nobody. */
static void what_is_no_file_is_not_opened(void **state)
{
    static const char *const wants[] = { "as-key.pem: as-key.key: it is no file",
        "dir.pem: it is no file", "endless.pem: it is no file", "huge.pem: it is too large",
        "loop.pem: ", "pipe.pem: it is no file" };
    char path[160], to[160], why[TLS_ERROR_BYTES];
    struct tls_folder entries;
    size_t seen = 0;

    (void)state;
    path_of("pipe.pem", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    path_of("as-key.key", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    put("as-key.pem", paper_certificate_file(&first), NULL);
    path_of("dir.pem", path);
    assert_int_equal(mkdir(path, 0700), 0);
    path_of("endless.pem", path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    path_of("loop.pem", path);
    assert_int_equal(symlink("loop.pem", path), 0);
    put("huge.pem", paper_certificate_file(&first), NULL);
    path_of("huge.pem", path);
    assert_int_equal(truncate(path, 1LL << 40), 0);

    assert_int_equal(tls_folder_read(folder, &entries, why), OK);
    for (size_t i = 0; i < entries.count; i++) {
        const struct tls_folder_entry *entry = &entries.list[i];
        for (size_t k = 0; k < sizeof wants / sizeof *wants; k++) {
            snprintf(to, sizeof to, "%.*s", (int)strcspn(wants[k], ":"), wants[k]);
            if (strcmp(strrchr(entry->certificate_file, '/') + 1, to) != 0)
                continue;
            check(entry->why, strstr(entry->why, strrchr(wants[k], ':')));
            seen++;
        }
    }
    check("all", seen == sizeof wants / sizeof *wants);
    tls_folder_done(&entries);
}

static void a_path_is_itself(void **state)
{
    char certificate[] = "/a.pem", key[] = "/b.key", why[TLS_ERROR_BYTES];
    struct certificate_choice choice = { .certificate_file = certificate, .key_file = key };
    struct tls_files files;

    (void)state;
    assert_int_equal(tls_files_find("/nowhere", &choice, clock_wall(), &files, why), OK);
    check_bytes("certificate", bytes_text(files.certificate_file), BYTES("/a.pem"));
    check_bytes("key", bytes_text(files.key_file), BYTES("/b.key"));
    tls_files_done(&files);
}

static void changes_are_seen(void **state)
{
    uint64_t before = tls_folder_state(folder), after;

    (void)state;
    check("the same", before && before == tls_folder_state(folder));
    put("zz.txt", paper_key_file(&first), NULL);
    check("nothing of ours", before == tls_folder_state(folder));
    put("zz.pem", paper_certificate_file(&first), NULL);
    after = tls_folder_state(folder);
    check("written to", after != before);
    put("zz.key", paper_key_file(&first), NULL);
    check("a key", after != tls_folder_state(folder));
    remove_file("zz.key");
    check("gone again", after == tls_folder_state(folder));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_valid_one_is_chosen),
        cmocka_unit_test(by_fingerprint),
        cmocka_unit_test(what_cannot_be_used_says_why),
        cmocka_unit_test(a_path_is_itself),
        cmocka_unit_test(changes_are_seen),
        cmocka_unit_test(what_is_no_file_is_not_opened),
    };

    return cmocka_run_group_tests(tests, set_up, clean_up);
}
