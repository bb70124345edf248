/* Fuzzes HTTP/1.1 as a client reads it. The first byte of the input says what was asked: H for HEAD, C for
 * CONNECT, anything else for GET. */
#include "tests/fuzz/h1_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    talk_in_pieces(data[0] == 'H'   ? "HEAD"
                   : data[0] == 'C' ? "CONNECT"
                                    : "GET",
                   (const char *)data + 1, size - 1);
    return 0;
}
