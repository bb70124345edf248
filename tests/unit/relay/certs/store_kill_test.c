/* A process that writes certificates, one after the other, is killed at a random moment, 200 times. What others find
 * afterwards is whole each time: certificate, key and notes of one version, the last that was finished or the one
 * that was being written. */
#include "relay/certs/store.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/file.h"
#include "shared/json.h"
#include "tests/unit/relay/certs/maker.h"
#include "tests/unit/temp.h"

enum { EARLY_KILLS = 40, KILLS = 200, CERTS = 12 };

static const time_t start = 1800000000;
static const char *const names[] = { "a.com", "www.a.com" };

/* Seen by both processes. */
struct progress {
    volatile unsigned begun, done; /* how many writes */
    volatile int64_t took_ns;      /* one of them, as they were of late */
};

struct bench {
    struct made made[CERTS];
    char serials[CERTS][48];
    struct progress *progress;
};

static void bench_begin(struct bench *b)
{
    struct maker *maker = maker_new("R10");

    for (int i = 0; i < CERTS; i++) {
        const struct made_order order = { names, 2, start - 3600 + i, 90 * 86400,
                                          i % 4 == 3 ? KEY_RSA2048 : KEY_ECDSA };
        struct facts f;

        b->made[i] = maker_issue(maker, &order);
        assert_int_equal(facts_read(b->made[i].pem, strlen(b->made[i].pem), &f, NULL), 0);
        snprintf(b->serials[i], sizeof b->serials[i], "%s", f.serial);
        facts_free(&f);
    }
    b->progress = mmap(NULL, sizeof *b->progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(b->progress, MAP_FAILED);
    maker_free(maker);
}

static void bench_end(struct bench *b)
{
    for (int i = 0; i < CERTS; i++)
        made_free(&b->made[i]);
    munmap(b->progress, sizeof *b->progress);
}

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* One certificate, and then a note: the number of the write. False when it was refused. */
static bool write_one(const struct bench *b, const struct store *s, struct meta *m, unsigned number)
{
    const struct made *made = &b->made[number % CERTS];
    const struct store_offer offer = { .chain_pem = made->pem,
                                       .key = made->key,
                                       .names = names,
                                       .names_n = 2,
                                       .issuer = b->serials[number % CERTS],
                                       .origin = "ordered" };

    if (store_install(s, &offer, m, start, NULL) != 0)
        return false;
    renewal_failed(&m->retry, start + number, RENEWAL_SOON, 0, 0);
    meta_set(&m->configured, b->serials[number % CERTS]);
    return store_save(s, m, NULL) == 0;
}

/* Writes until it is killed. */
static void child_run(const struct bench *b, const char *state_dir)
{
    struct store *s = store_open(state_dir, NULL);
    struct meta m;

    if (!s || store_load(s, "a.com", &m, NULL) != 0)
        _exit(1);
    for (unsigned number = b->progress->begun;; number++) {
        int64_t began = now_ns(), took;

        b->progress->begun = number + 1;
        if (!write_one(b, s, &m, number))
            _exit(2);
        b->progress->done = number + 1;
        took = now_ns() - began;
        b->progress->took_ns = b->progress->took_ns ? (7 * b->progress->took_ns + took) / 8 : took;
    }
}

/* Ends it somewhere within the next writes, of which so many are finished before. The wait has no meaning but to end
 * anywhere. */
static void kill_somewhere(const struct bench *b, pid_t child, unsigned begun, unsigned finished)
{
    int64_t span = b->progress->took_ns ? 2 * b->progress->took_ns : 1000000;
    struct timespec wait;
    int status;

    while (b->progress->begun <= begun + finished)
        usleep(50);
    wait = (struct timespec){ 0, (long)((int64_t)((double)random() / RAND_MAX * (double)span) % 1000000000) };
    nanosleep(&wait, NULL);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

/* As another program reads it: by the plain names. */
static void assert_whole_for_others(const char *state_dir, const char *suffix, struct buf *serial)
{
    char chain[200], key[200];
    struct buf pem = { 0 };
    struct facts f;
    struct signer *signer;

    snprintf(chain, sizeof chain, "%s/certs/a.com/fullchain%s.pem", state_dir, suffix);
    snprintf(key, sizeof key, "%s/certs/a.com/privkey%s.pem", state_dir, suffix);
    assert_int_equal(file_read(chain, 100000, &pem, NULL), 0);
    assert_int_equal(facts_read(buf_bytes(&pem), pem.len, &f, NULL), 0);
    signer = signer_load(key, NULL);
    assert_non_null(signer);
    assert_int_equal(signer_matches(signer, f.chain.certs[0], NULL), 0);
    assert_int_equal(f.chain.n, 2);
    buf_printf(serial, "%s;", f.serial);
    signer_free(signer);
    facts_free(&f);
    buf_free(&pem);
}

static json_t *notes(const char *state_dir)
{
    struct buf text = { 0 };
    char path[200];
    json_t *doc;

    snprintf(path, sizeof path, "%s/certs/a.com/meta.json", state_dir);
    assert_int_equal(file_read(path, 100000, &text, NULL), 0);
    doc = json_read(buf_bytes(&text), text.len, NULL);
    assert_non_null(doc);
    buf_free(&text);
    return doc;
}

/* The last write that was finished, or one that began after it. */
static bool is_one_of_the_last(const struct bench *b, const char *serials)
{
    for (unsigned i = b->progress->done; i <= b->progress->begun; i++)
        if (i > 0 && strstr(serials, b->serials[(i - 1) % CERTS]))
            return true;
    return false;
}

/* Each certificate that the notes speak of is there, as they say. */
static void assert_whole(const struct bench *b, const char *state_dir)
{
    json_t *doc = notes(state_dir), *certs = json_object_get(doc, "certificates");
    struct buf serials = { 0 };

    assert_whole_for_others(state_dir, "", &serials);
    if (json_array_size(certs) == 2)
        assert_whole_for_others(state_dir, "-rsa", &serials);
    for (size_t i = 0; i < json_array_size(certs); i++) {
        const char *serial = json_string_value(json_object_get(json_array_get(certs, i), "serial"));

        assert_non_null(strstr(buf_text(&serials), serial));
        assert_string_equal(json_string_value(json_object_get(json_array_get(certs, i), "issuer")), serial);
    }
    assert_true(is_one_of_the_last(b, buf_text(&serials)));
    buf_free(&serials);
    json_decref(doc);
}

/* And as we do, at the next start; nothing that was half-written stays. */
static void assert_clean_after_a_start(const struct bench *b, const char *state_dir)
{
    struct store *s = store_open(state_dir, NULL);
    const struct dirent *entry;
    char path[200];
    struct meta m;
    int versions = 0;
    DIR *dir;

    assert_non_null(s);
    assert_int_equal(store_load(s, "a.com", &m, NULL), 0);
    /* One in four has an RSA key, and that may be the first that was finished. */
    assert_true(m.certs[META_ECDSA].there || m.certs[META_RSA].there || b->progress->done == 0);
    meta_free(&m);
    store_free(s);
    snprintf(path, sizeof path, "%s/certs/a.com", state_dir);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        assert_true(entry->d_name[0] != '.' || !entry->d_name[1] || strcmp(entry->d_name, "..") == 0);
        versions += entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
    }
    if (dir)
        closedir(dir);
    assert_true(versions <= STORE_KEPT + 1);
}

/* True when a write was cut off. */
static bool run_and_kill(const struct bench *b, const char *state_dir, unsigned finished)
{
    unsigned begun = b->progress->begun;
    pid_t child = fork();
    bool during;

    assert_int_not_equal(child, -1);
    if (child == 0)
        child_run(b, state_dir);
    kill_somewhere(b, child, begun, finished);
    during = b->progress->begun != b->progress->done;
    if (b->progress->done > 0)
        assert_whole(b, state_dir);
    assert_clean_after_a_start(b, state_dir);
    if (b->progress->done > 0)
        assert_whole(b, state_dir);
    return during;
}

static void test_a_kill_leaves_the_old_version_or_the_new_one(void **state)
{
    const struct temp *t = *state;
    struct bench b = { 0 };
    unsigned during = 0;

    srandom((unsigned)now_ns());
    bench_begin(&b);
    for (int i = 0; i < EARLY_KILLS; i++) /* of writes of the first certificate, most likely */
        during += run_and_kill(&b, t->folder, 0);
    during += run_and_kill(&b, t->folder, 3); /* now it is known how long one takes */
    for (int i = 0; i < KILLS; i++)
        during += run_and_kill(&b, t->folder, 0);
    print_message("%u kills were during a write, of %u writes\n", during, b.progress->begun);
    assert_true(during > KILLS / 2);
    assert_true(b.progress->begun > EARLY_KILLS + KILLS);
    bench_end(&b);
}

/* In memory where there is such a folder: a kill does not ask whether the disk has what the kernel has, and a disk that is
 * slow would make this test a long one. */
static int make_folder(void **state)
{
    struct temp *t = calloc(1, sizeof *t);

    if (!t)
        return -1;
    strcpy(t->folder, "/dev/shm/tunnel-unit-XXXXXX");
    *state = t;
    if (mkdtemp(t->folder))
        return 0;
    free(t);
    return temp_make(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_kill_leaves_the_old_version_or_the_new_one, make_folder,
                                        temp_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
