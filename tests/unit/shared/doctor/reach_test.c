#include "shared/doctor/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/fault_table.h"

struct server {
    int fd;
    const char *says; /* NULL: it closes at once, "": it waits for the other side to go */
};

static void *serve(void *arg)
{
    const struct server *s = arg;
    int fd = accept(s->fd, NULL, NULL);
    char rest[16];

    if (s->says && send(fd, s->says, strlen(s->says), MSG_NOSIGNAL) >= 0 && !strchr(s->says, '\n'))
        shutdown(fd, SHUT_WR);
    if (s->says)
        (void)!recv(fd, rest, sizeof rest, 0);
    close(fd);
    return NULL;
}

static unsigned listen_somewhere(int *fd)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;

    *fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(*fd, 8), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&at, &n), 0);
    return ntohs(at.sin_port);
}

static void test_greetings(void **state)
{
    static const struct {
        const char *says, *state, *said;
    } rows[] = {
        { "SSH-2.0-OpenSSH_9.2\r\n", "greeted", "SSH-2.0-OpenSSH_9.2" },
        { "Exceeded MaxStartups\r\n", "busy", "Exceeded MaxStartups" },
        { "Not allowed at this time\r\n", "busy", "Not allowed at this time" },
        { "220 mail\r\n", "other", "220 mail" },
        { NULL, "closed", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server s = { .says = rows[i].says };
        unsigned port = listen_somewhere(&s.fd);
        pthread_t thread;
        json_t *seen;

        assert_int_equal(pthread_create(&thread, NULL, serve, &s), 0);
        seen = reach_port("127.0.0.1", port, REACH_GREETING, NULL);
        assert_string_equal(fact_text(seen, "state"), rows[i].state);
        assert_string_equal(fact_text(seen, "said"), rows[i].said);
        assert_string_equal(fact_text(seen, "from"), "127.0.0.1");
        json_decref(seen);
        pthread_join(thread, NULL);
        close(s.fd);
    }
}

static void test_ports(void **state)
{
    int fd;
    unsigned port = listen_somewhere(&fd);
    json_t *seen = reach_port("127.0.0.1", port, REACH_NOBODY, NULL);

    (void)state;
    assert_string_equal(fact_text(seen, "state"), "open");
    json_decref(seen);
    close(fd);
    seen = reach_port("127.0.0.1", port, REACH_NOBODY, NULL);
    assert_string_equal(fact_text(seen, "state"), "refused");
    json_decref(seen);
    seen = reach_port("no address", 80, REACH_NOBODY, NULL);
    assert_string_equal(fact_text(seen, "state"), "unreachable");
    json_decref(seen);
}

static void test_names(void **state)
{
    json_t *seen = reach_name("127.0.0.1");

    (void)state;
    assert_string_equal(fact_text(seen, "state"), "found");
    assert_string_equal(json_string_value(json_array_get(json_object_get(seen, "addresses"), 0)),
                        "127.0.0.1");
    json_decref(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greetings),
        cmocka_unit_test(test_ports),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
