#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/edge/route.h"
#include "shared/mem.h"

static const struct snap_site site = {
    .own = { .item = "domain:a.test", .route = "" },
    .routes =
        (struct snap_target[]){
            { .route = "/static/" }, { .route = "/api/v2" }, { .route = "/api" }, { .route = "/a b" } },
    .routes_n = 4,
};

static void test_paths(void **state)
{
    static const struct {
        const char *path, *route;
    } rows[] = {
        { "/", "" },
        { "", "" }, /* which is / */
        { "*", "" },
        { "/api", "/api" },
        { "/api/", "/api" },
        { "/api?a=/static/", "/api" },
        { "/api#x", "/api" },
        { "/apis", "" },
        { "/Api", "" },
        { "/x/api", "" },
        { "/api/v2", "/api/v2" },
        { "/api/v2/", "/api/v2" },
        { "/api/v2?x", "/api/v2" },
        { "/api/v20", "/api" },
        { "/static", "" },
        { "/static/", "/static/" },
        { "/static/a", "/static/" },
        { "/%61%70i", "/api" },
        { "/%2561pi", "" },
        { "/api%2fv2", "/api/v2" },
        { "%2Fapi", "/api" },
        { "/a%20b", "/a b" },
        { "/api%", "" },
        { "/api/%zz", "/api" },
        { "/x/../api", "/api" },
        { "/x/%2e%2E/api", "/api" },
        { "/../../api", "/api" },
        { "/api/..", "" },
        { "/api/../", "" },
        { "/api/.", "/api" },
        { "/./api", "/api" },
        { "/api/./v2", "/api/v2" },
        { "/api/x/../v2", "/api/v2" },
        { "//api///v2", "/api/v2" },
        { "/...", "" },
        { "/api/...", "/api" },
        { "/api..", "" },
        { "/.api", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct snap_target *found = route_find(&site, str_of(rows[i].path));

        if (strcmp(found->route, rows[i].route) != 0)
            fail_msg("%s went to \"%s\", not to \"%s\"", rows[i].path, found->route, rows[i].route);
    }
}

/* No byte behind the path is looked at, and a long one is no trouble. */
static void test_lengths(void **state)
{
    enum { N = 100000 };
    char *path = mem_new(N);

    (void)state;
    for (size_t n = 0; n < N; n += n < 3000 ? 1 : 9001) {
        char *exact = mem_new(n + 1);

        memset(exact, 'x', n);
        memcpy(exact, "/api/", n < 5 ? n : 5);
        assert_string_equal(route_find(&site, (struct str){ exact, n })->route, n >= 4 ? "/api" : "");
        free(exact);
    }
    memset(path, '/', N);
    assert_string_equal(route_find(&site, (struct str){ path, N })->route, "");
    free(path);
}

static void test_a_site_without_routes(void **state)
{
    const struct snap_site plain = { .own = { .route = "" } };

    (void)state;
    assert_ptr_equal(route_find(&plain, STR("/api")), &plain.own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_a_site_without_routes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
