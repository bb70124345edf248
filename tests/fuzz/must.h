/* tests/fuzz/must.h - a fact that has to hold, whatever the input: says which one did not, and aborts. */
#ifndef TESTS_FUZZ_MUST_H
#define TESTS_FUZZ_MUST_H
#include <stdio.h>
#include <stdlib.h>

#define must(fact)                                                             \
    do {                                                                       \
        if (!(fact)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #fact); \
            abort();                                                           \
        }                                                                      \
    } while (0)
#endif
