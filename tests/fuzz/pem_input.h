/* tests/fuzz/pem_input.h - an input as the text of a certificate's file: as it is, or, when it begins like DER, as one
 * certificate in PEM form. A fuzzer does not find its way through base64. */
#ifndef TESTS_FUZZ_PEM_INPUT_H
#define TESTS_FUZZ_PEM_INPUT_H
#include "shared/buf.h"

#include <openssl/evp.h>
#include <stdint.h>

static inline void pem_input(const uint8_t *data, size_t size, struct buf *out)
{
    unsigned char line[65];

    if (size == 0 || data[0] != 0x30) {
        buf_add(out, data, size);
        return;
    }
    buf_add_text(out, "-----BEGIN CERTIFICATE-----\n");
    for (size_t at = 0; at < size; at += 48) {
        size_t n = size - at < 48 ? size - at : 48;

        buf_add(out, line, (size_t)EVP_EncodeBlock(line, data + at, (int)n));
        buf_add_text(out, "\n");
    }
    buf_add_text(out, "-----END CERTIFICATE-----\n");
}
#endif
