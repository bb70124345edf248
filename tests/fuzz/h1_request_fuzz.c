/* Fuzzes HTTP/1.1 as a server reads it: requests, one after the other, until one closes the connection. */
#include "tests/fuzz/h1_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    talk_in_pieces(NULL, (const char *)data, size);
    return 0;
}
