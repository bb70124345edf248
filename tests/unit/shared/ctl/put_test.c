#include "shared/ctl/put.h"

#include "shared/mem.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct place {
    char home[64], elsewhere[64];
};

static void open_place(struct place *p)
{
    strcpy(p->home, "/tmp/put_test.XXXXXX");
    strcpy(p->elsewhere, "/tmp/put_test.XXXXXX");
    assert_non_null(mkdtemp(p->home));
    assert_non_null(mkdtemp(p->elsewhere));
}

static void close_place(const struct place *p)
{
    char *command = mem_format("rm -rf %s %s", p->home, p->elsewhere);

    assert_int_equal(system(command), 0);
    free(command);
}

static int put(const struct place *p, const char *name, const char *text, uint32_t mode, struct err *e)
{
    const struct put_as as = { getuid(), getgid(), mode };
    char *path = mem_format("%s/%s", p->home, name);
    int rc = text ? put_file(p->home, path, str_of(text), &as, e) : put_folder(p->home, path, &as, e);

    free(path);
    return rc;
}

static void is_there(const char *home, const char *name, mode_t mode, int64_t size)
{
    char *path = mem_format("%s/%s", home, name);
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode, mode);
    if (size >= 0)
        assert_int_equal(st.st_size, size);
    free(path);
}

static void is_empty(const char *folder)
{
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void test_files_and_folders(void **state)
{
    struct place p;

    (void)state;
    open_place(&p);
    assert_int_equal(put(&p, "certs", NULL, 0710, NULL), 0);
    assert_int_equal(put(&p, "certs", NULL, 0700, NULL), 0); /* as it shall be, not as it was */
    is_there(p.home, "certs", S_IFDIR | 0700, -1);
    assert_int_equal(put(&p, "certs/a.test/1/key.pem", "secret", 0600, NULL), 0);
    assert_int_equal(put(&p, "certs/a.test/1/key.pem", "other", 0640, NULL), 0);
    is_there(p.home, "certs/a.test", S_IFDIR | 0755, -1);
    is_there(p.home, "certs/a.test/1/key.pem", S_IFREG | 0640, 5);
    assert_int_equal(put(&p, "empty", "", 0600, NULL), 0);
    is_there(p.home, "empty", S_IFREG | 0600, 0);
    close_place(&p);
}

/* Whatever stands there when it is written: nobody looks beforehand. */
static void test_no_link_is_followed(void **state)
{
    struct place p;
    struct err why = { 0 };
    char *link;

    (void)state;
    open_place(&p);
    link = mem_format("%s/sub", p.home);
    assert_int_equal(symlink(p.elsewhere, link), 0);
    assert_int_equal(put(&p, "sub/ld.so.preload", "mine", 0600, &why), -1);
    assert_non_null(strstr(why.text, "cannot go into the folder"));
    assert_non_null(strstr(why.text, "/sub"));
    assert_int_equal(put(&p, "sub/deeper", NULL, 0700, NULL), -1);
    assert_int_equal(put(&p, "sub", NULL, 0700, NULL), -1);
    is_empty(p.elsewhere);
    assert_int_equal(put(&p, "sub", "a file in its place", 0600, NULL), 0);
    is_there(p.home, "sub", S_IFREG | 0600, 19);
    free(link);
    close_place(&p);
}

/* As one that was killed has left it, or as somebody would like it to be. */
static void test_what_stands_at_the_passing_name_is_removed(void **state)
{
    struct place p;
    char *link, *target;

    (void)state;
    open_place(&p);
    link = mem_format("%s/.tunnelctl-restore", p.home);
    target = mem_format("%s/taken", p.elsewhere);
    assert_int_equal(symlink(target, link), 0);
    assert_int_equal(put(&p, "key", "secret", 0600, NULL), 0);
    is_there(p.home, "key", S_IFREG | 0600, 6);
    assert_int_equal(access(link, F_OK), -1);
    is_empty(p.elsewhere);
    free(link);
    free(target);
    close_place(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_and_folders),
        cmocka_unit_test(test_no_link_is_followed),
        cmocka_unit_test(test_what_stands_at_the_passing_name_is_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
