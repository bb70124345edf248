/* tests/bench/pattern.h - bytes that are known by where they stand, and the sockets that laneload and bulksite share.
 *
 * The pattern repeats after no multiple of a packet's or a buffer's size, so a piece lost, doubled or moved is seen. Whatever
 * goes wrong ends the program. */
#ifndef TESTS_BENCH_PATTERN_H
#define TESTS_BENCH_PATTERN_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { PIECE_BYTES = 256 * 1024 };

void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

char *pattern_new(void);
/* What comes behind the first `at` bytes, as much as the socket takes now. False: it takes nothing more, ever. */
bool pattern_send(const char *pattern, int fd, uint64_t *at);
/* What has come, compared. False: the end. */
bool pattern_take(const char *pattern, char piece[PIECE_BYTES], int fd, uint64_t *at);

struct sockaddr_in net_address(const char *text, size_t n); /* ADDRESS:PORT */
void net_prepare(int fd);                                   /* not blocking, no delay */
void net_watch(int epoll, int operation, int fd, void *user, uint32_t events);
#endif
